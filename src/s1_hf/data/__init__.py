"""s1K as a data set, and its rows as conversations."""
