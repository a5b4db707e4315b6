"""The keywords that type checkers know are the settings."""

from s1_hf.forcing.budget import NAMES, PER_PROMPT
from s1_hf.forcing.keywords import BudgetKeywords, SharedKeywords


def test_the_keywords_are_the_fields():
    """Type checkers read the one, everything else the other."""
    assert set(BudgetKeywords.__annotations__) | set(SharedKeywords.__annotations__) == set(NAMES)
    assert set(SharedKeywords.__annotations__) == set(NAMES) - set(PER_PROMPT)
