"""What notebook 12 has beside its text; it stands in `notebooks/12_inside_bert.ipynb`."""
