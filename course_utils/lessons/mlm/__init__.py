"""What notebook 07 has beside its text; it stands in `notebooks/07_mlm.ipynb`."""
