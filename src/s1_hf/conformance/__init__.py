"""The conformance suite: proof that budget forcing does on a machine what the contract says.

The same code is what the tests of this package use: random cases, and a slow reference that uses no cache.
"""

from typing import Any

__all__ = ["Outcome", "check"]


def __getattr__(name: str) -> Any:
    """`check` and `Outcome` of the suite, imported when they are first wanted: tests need only its parts."""
    if name in __all__:
        from s1_hf.conformance import suite

        return getattr(suite, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
