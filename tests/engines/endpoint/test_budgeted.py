"""Without reports, what became of requests at a server with the plug-in is found out, exactly or not at all."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest

from s1_hf.conformance.cases import Case, case_of, setting
from s1_hf.engines.endpoint.budgeted import Budgeted
from s1_hf.engines.endpoint.server import Reply
from s1_hf.vllm.asking import Asked
from toy_servers import SERVED, asked_of, plug_in_row, setup_of

CASES = [case_of(seed) for seed in range(400, 480)]


class PluggedServer:
    """Has the plug-in, and no route for reports."""

    def __init__(self, case: Case, asked: Asked) -> None:
        self._case, self._asked = case, asked
        self.connection = SimpleNamespace(shown="http://toy/v1")

    def complete(self, body: dict[str, Any], *, returns: bool = True) -> Reply:
        ids, picks, _ = plug_in_row(self._case, self._asked)
        return Reply(ids, "", picks if "logprobs" in body else None, len(body["prompt"]), 0)


def without_reports(case: Case, asked: Asked) -> Budgeted:
    way = Budgeted(PluggedServer(case, asked), SERVED, setup_of(case))  # type: ignore[arg-type]
    way.has_reports = False
    return way


def test_greedy_rows_are_told_exactly_in_every_family():
    families = set()
    for case in CASES:
        asked = asked_of(case, 0)
        ran = without_reports(case, asked).run(asked)
        ids, _, told = plug_in_row(case, asked)
        assert list(ran.completion.token_ids) == ids and ran.completion.report == told.report
        families.add(case["family"])
    assert len(families) == 11


def test_sampled_rows_are_refused_where_the_ids_do_not_tell():
    """That is where ends may be ignored, and where delimiters are spelled out of plain tokens."""
    for case in CASES:
        asked = replace(asked_of(case, 0), sampling={"temperature": 1.0})
        way = without_reports(case, asked)
        if asked.budget.ignores_ends or setting(case["family"])[1].plain:
            with pytest.raises(ValueError, match="has no route for reports, without which it is not known where"):
                way.check(asked)
        else:
            way.check(asked)
