"""What is known not to hold yet."""

from __future__ import annotations

from typing import Any

import pytest


def bug(reason: str, raises: Any = AssertionError) -> pytest.MarkDecorator:
    """What the contract demands and the package does not do yet; fails as soon as it does, or fails otherwise."""
    return pytest.mark.xfail(strict=True, reason=reason, raises=raises)
