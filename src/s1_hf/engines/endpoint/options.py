"""What may be said about a server on the way to it, without anything that takes time to import."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

from s1_hf.forcing.collect import check_spelling
from s1_hf.secrets import shown_address

KEY_IN = "OPENAI_API_KEY"
"""The variable of the environment that holds the key, if no other one is named."""

OPTIONS = ("served_name", "rounds", "concurrency", "timeout_s", "max_retries", "api_key_env")
"""What may be said about a server besides its address, and kept with results: all but the key itself."""


def is_address(engine: str) -> bool:
    """Whether the name of an engine is a server's address.

    Example:

    ```python
    >>> from s1_hf.engines.endpoint.options import is_address
    >>> is_address("http://127.0.0.1:8000/v1"), is_address("vllm")
    (True, False)

    ```
    """
    return "://" in engine


def wrong_address(address: str) -> list[str]:
    """What is wrong with the address of a server; empty if nothing is. Passwords are not repeated."""
    shown = shown_address(str(address))
    bad = []
    if not shown.startswith(("http://", "https://")):
        bad.append(f"`base_url` has to be an address such as 'http://localhost:8000/v1', but is {shown!r}.")
    if {"?", "#"} & {*shown}:
        bad.append(f"`base_url` has to have no '?' and no '#', but is {shown!r}. A key belongs in OPENAI_API_KEY.")
    return bad


def check_options(options: Mapping[str, Any]) -> None:
    """Raises a `ValueError` for what is none of [`OPTIONS`]."""
    unknown = [name for name in options if name not in OPTIONS]
    check_spelling(unknown, OPTIONS)
    if unknown:
        raise ValueError(
            f"A server has the options {', '.join(OPTIONS)}, but got {', '.join(unknown)}. A key belongs in the "
            f"environment: {KEY_IN}."
        )


def key_in(variable: str | None) -> str | None:
    """The key that a variable of the environment holds; of the usual one if none is named, and then perhaps none.

    Raises:
        ValueError: the variable that is named is not set.
    """
    if variable is not None and not os.environ.get(variable):  # which is not repeated: it may be the key itself
        raise ValueError(
            "`api_key_env` has to name a variable of the environment that holds a key, but what it names is not set."
        )
    return os.environ.get(variable or KEY_IN)
