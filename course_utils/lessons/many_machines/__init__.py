"""What notebook 18 has beside its text; it stands in `notebooks/18_many_machines.ipynb`."""
