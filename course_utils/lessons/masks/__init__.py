"""What notebook 05 has beside its text; it stands in `notebooks/05_masks.ipynb`."""
