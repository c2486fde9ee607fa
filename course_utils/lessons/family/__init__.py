"""What notebook 14 has beside its text; it stands in `notebooks/14_family.ipynb`."""
