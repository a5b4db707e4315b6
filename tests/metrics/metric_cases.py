"""Curves of settings, and answers of two settings, for the tests of metrics."""

from hypothesis import strategies as st

curves = st.lists(st.tuples(st.integers(1, 1000), st.integers(0, 100)), min_size=2, max_size=8).filter(
    lambda points: len({x for x, _ in points}) > 1
)


def versus(wins, losses, problems=30):
    """Two settings: only the first solves `wins` problems, and only the second `losses`."""
    a = [1] * wins + [0] * (problems - wins)
    b = [0] * wins + [1] * losses + [0] * (problems - wins - losses)
    return a, b
