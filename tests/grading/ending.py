"""Calls that have to end, whatever a model wrote."""

from __future__ import annotations

import threading
from typing import Any

ENDS_S = 120  # generous: a hang takes for ever


def ending(function: Any, *args: Any, **options: Any) -> Any:
    """What `function` returns, in a thread other than the main one; fails if it does not end."""
    results: list[Any] = []
    thread = threading.Thread(target=lambda: results.append(function(*args, **options)), daemon=True)
    thread.start()
    thread.join(ENDS_S)
    assert not thread.is_alive(), "it does not end"
    return results[0]
