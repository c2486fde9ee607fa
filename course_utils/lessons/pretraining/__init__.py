"""What notebook 09 has beside its text; it stands in `notebooks/09_pretraining.ipynb`."""
