"""What notebook 01 has beside its text; it stands in `notebooks/01_word2vec.ipynb`."""
