"""What notebook 10 has beside its text; it stands in `notebooks/10_classification.ipynb`."""
