"""What notebook 11 has beside its text; it stands in `notebooks/11_other_tasks.ipynb`."""
