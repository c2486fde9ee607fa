"""What notebook 02 has beside its text; it stands in `notebooks/02_wordpiece.ipynb`."""
