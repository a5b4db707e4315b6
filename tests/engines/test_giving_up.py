"""Rows that are given up, each at a limit of its own."""

from __future__ import annotations

from dataclasses import replace

from lamp_requests import lamp_engine, lamp_requests, run_all


def test_rows_are_given_up_with_their_first_token_beyond_a_limit():
    engine = lamp_engine(batch_size=16)
    limits = [10 + 5 * i for i in range(16)]
    whole = run_all(engine, lamp_requests(engine, 16))
    requests = lamp_requests(engine, 16)
    requests = [replace(request, give_up_after=limit) for request, limit in zip(requests, limits, strict=True)]
    for done, limit, full in zip(run_all(engine, requests), limits, whole, strict=True):
        if full.report.thinking_tokens <= limit:
            assert done == full
        else:
            assert (done.report.ended, done.report.thinking_tokens) == ("unfinished", limit + 1)
            assert done.token_ids == full.token_ids[: len(done.token_ids)]
