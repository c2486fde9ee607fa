"""What notebook 06 has beside its text; it stands in `notebooks/06_encoder.ipynb`."""
