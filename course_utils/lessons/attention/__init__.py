"""What notebook 04 has beside its text; it stands in `notebooks/04_attention.ipynb`."""
