"""What notebook 16 has beside its text; it stands in `notebooks/16_modern_encoder.ipynb`."""
