"""What notebook 15 has beside its text; it stands in `notebooks/15_sentence_vectors.ipynb`."""
