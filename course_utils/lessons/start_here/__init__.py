"""What notebook 00 has beside its text; it stands in `notebooks/00_start_here.ipynb`."""
