"""What notebook 08 has beside its text; it stands in `notebooks/08_nsp.ipynb`."""
