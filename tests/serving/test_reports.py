"""Which reports are wanted."""

from __future__ import annotations

import pytest

from s1_hf.serving.reports import wanted_in


def test_a_report_is_wanted_by_its_key_and_tokens():
    assert wanted_in({"reports": [{"key": "a", "token_ids": [1, 2]}], "states": True}) == [("a", [1, 2])]


@pytest.mark.parametrize(
    "body", [{}, {"reports": 5}, {"reports": [5]}, {"reports": [{"key": 5, "token_ids": []}]},
             {"reports": [{"key": "a", "token_ids": [-1]}]}, {"reports": [{"key": "a", "token_ids": [True]}]}], ids=str,
)  # fmt: skip
def test_anything_else_is_refused(body):
    with pytest.raises(ValueError, match="Such as"):
        wanted_in(body)
