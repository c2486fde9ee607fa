"""Experiments too long for a notebook: each module makes one stored result, a JSON file beside it."""
