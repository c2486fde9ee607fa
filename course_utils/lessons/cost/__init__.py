"""What notebook 13 has beside its text; it stands in `notebooks/13_what_it_costs.ipynb`."""
