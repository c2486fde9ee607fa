"""What notebook 03 has beside its text; it stands in `notebooks/03_embeddings.ipynb`."""
