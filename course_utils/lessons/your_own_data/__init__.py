"""What notebook 17 has beside its text; it stands in `notebooks/17_your_own_data.ipynb`."""
