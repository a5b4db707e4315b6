"""s1K as a dataset, and its rows as conversations."""
