"""Reports by a route of their own: `POST /v1/s1_hf/reports`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from s1_hf.records import LIST, TEXT, check, counts_below

ROUTE = "/v1/s1_hf/reports"
"""The route that tells what became of requests, by the keys that they came with."""

MOST = 1000
"""Reports that one request may ask for."""


def wanted_in(body: Mapping[str, Any]) -> list[tuple[str, list[int]]]:
    """The keys of requests, with the tokens that each has generated.

    Raises:
        ValueError: the body has none, or not in this form.
    """
    remedy = 'Such as {"reports": [{"key": "...", "token_ids": [1, 2, 3]}]}.'
    check(body, {"reports": LIST}, "The request", remedy=remedy)
    if len(body["reports"]) > MOST:
        raise ValueError(f"`reports` has to be at most {MOST:,} at once, but is {len(body['reports']):,}.")
    for number, one in enumerate(body["reports"], 1):
        check(one, {"key": TEXT, "token_ids": counts_below(2**31)}, f"Report {number}", remedy=remedy)
    return [(one["key"], one["token_ids"]) for one in body["reports"]]
