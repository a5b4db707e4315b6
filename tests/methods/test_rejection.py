"""Tries until the thinking fits: their law, and their count."""

from __future__ import annotations

import dataclasses
from collections import Counter

import pytest
from benches import memoryless_model, problems, random_bench, recording
from scipy.stats import chi2

from s1_hf.engines.progress import Progress
from s1_hf.methods import Bench, RejectionSampling

ENDS, STOPS = 0.10, 0.05  # `<|im_start|>` and the end of sequence: both end thinking, the second an answer too
LIMITS = [2, 6]


@pytest.fixture(scope="module")
def memoryless_rows():
    """Of a model that ends thinking with probability 0.15 at every token; 400 problems."""
    model, tokenizer = memoryless_model(ENDS, STOPS)
    bench = Bench(
        model=model, tokenizer=tokenizer, problems=problems(400), max_new_tokens=14, max_answer_tokens=2,
        batch_size=200, seed=5,
    )  # fmt: skip
    rows = RejectionSampling(LIMITS, max_tries=200).run(bench)
    return {limit: [row for row in rows if row.setting == f"limit {limit}"] for limit in LIMITS}


def accepted(limit: int) -> float:
    """Thinking ends within the limit, and the first token behind it is none that ends the answer at once."""
    return (1 - (1 - ENDS - STOPS) ** (limit + 1)) * (1 - STOPS / (1 - ENDS))


def assert_law(found: list[int], law: dict[int, float]) -> None:
    """Chi-square, entries expected less than ten times being put together; a false alarm in 10^7 runs."""
    counts, n = Counter(found), len(found)
    common = [key for key, p in law.items() if n * p >= 10]
    cells = [(counts[key], n * law[key]) for key in common]
    cells.append((n - sum(o for o, _ in cells), n - sum(e for _, e in cells)))
    statistic = sum((o - e) ** 2 / e for o, e in cells if e > 1e-6)
    assert len(common) >= 3
    assert statistic < chi2.ppf(1 - 1e-7, df=len(cells) - 1)


@pytest.mark.parametrize("limit", LIMITS)
def test_tries_are_geometric_with_the_known_probability(memoryless_rows, limit):
    p = accepted(limit)
    assert_law([row.tries for row in memoryless_rows[limit]], {n: p * (1 - p) ** (n - 1) for n in range(1, 60)})


@pytest.mark.parametrize("limit", LIMITS)
def test_accepted_thinking_has_the_law_of_natural_thinking_that_fits(memoryless_rows, limit):
    stay = 1 - ENDS - STOPS
    law = {t: stay**t * (1 - stay) / (1 - stay ** (limit + 1)) for t in range(limit + 1)}
    assert_law([row.thinking_tokens for row in memoryless_rows[limit]], law)


def test_accepted_rows_ended_by_themselves_and_answered(memoryless_rows):
    for limit, rows in memoryless_rows.items():
        assert {row.ended for row in rows} == {"natural"}
        assert all(row.answer_tokens > 0 and row.thinking_tokens <= limit == row.promised_max_tokens for row in rows)


def test_tries_and_tokens_are_those_of_one_try_after_the_other_under_each_limit_alone():
    """Against whole samples: a try counts up to its first thinking token beyond the limit."""
    bench = random_bench(6, samples=2, batch_size=7, max_new_tokens=24)
    limits, most = [9, 0, 3], 8
    rows = {(row.setting, row.problem, row.sample): row for row in RejectionSampling(limits, most).run(bench)}
    assert len(rows) == 36 and {row.ended for row in rows.values()} == {"natural", "not_found"}
    opening = len(bench.thinking_format.start)
    asked = [(problem, sample, attempt) for problem in bench.problems for sample in (0, 1) for attempt in range(most)]
    requests = [bench.request(p, sample=s, attempt=attempt, sampled=True) for p, s, attempt in asked]
    done = dataclasses.replace(bench, batch_size=len(asked)).complete(requests)
    whole = [done[request.key] for request in requests]
    for problem in bench.problems:
        for sample in (0, 1):
            tries = [done for (p, s, _), done in zip(asked, whole, strict=True) if (p, s) == (problem, sample)]
            for limit in limits:
                tokens, count, found = 0, 0, None
                for done in tries:
                    count += 1
                    too_long = done.report.thinking_tokens > limit
                    tokens += opening + limit + 1 if too_long else len(done.token_ids)
                    if not too_long and done.report.ended == "natural" and done.report.answer_tokens:
                        found = done
                        break
                row = rows[f"limit {limit}", problem.id, sample]
                assert (row.tries, row.total_tokens) == (count, tokens)
                assert row.ended == ("natural" if found else "not_found")
                assert row.thinking_tokens == (found.report.thinking_tokens if found else 0)
                assert row.answer == (found.answer if found else "")


def test_what_is_not_found_says_so():
    model, tokenizer = memoryless_model(0.0, 0.0)  # never ends
    told: list[Progress] = []
    options = {"max_new_tokens": 20, "batch_size": 2, "progress": told.append}
    bench = Bench(model=model, tokenizer=tokenizer, problems=problems(3), **options)
    rows = RejectionSampling([4], max_tries=3).run(bench)
    assert [(row.ended, row.tries, row.correct, row.extracted) for row in rows] == [("not_found", 3, False, None)] * 3
    assert {row.total_tokens for row in rows} == {3 * (2 + 5)}  # opening, and one token beyond the limit
    assert told[-1].tokens == 3 * 3 * (2 + 5)  # no more was generated


def test_a_limit_that_generation_cannot_reach_rejects_what_was_cut_off():
    model, tokenizer = memoryless_model(0.0, 0.0)
    bench = Bench(model=model, tokenizer=tokenizer, problems=problems(1), max_new_tokens=20)
    (row,) = RejectionSampling([100], max_tries=2).run(bench)
    assert (row.ended, row.total_tokens) == ("not_found", 40)


def test_free_rows_go_to_other_problems_and_to_further_tries():
    model, tokenizer = memoryless_model(ENDS, STOPS)
    options = {"max_new_tokens": 14, "max_answer_tokens": 2, "batch_size": 8}
    bench, engine = recording(Bench(model=model, tokenizer=tokenizer, problems=problems(20), **options))
    rows = RejectionSampling([1], max_tries=10**6).run(bench)
    sizes = [len(requests) for requests in engine.asked]
    assert len(sizes) > 3 and set(sizes) == {8}  # no row is idle, to the last round
    assert max(row.tries for row in rows) > 4


@pytest.mark.parametrize("family", ["think", "opened", "plain", "harmony"])
def test_every_format_gives_what_fits(family):
    bench = random_bench(4, family, batch_size=8, max_new_tokens=40, temperature=3.0)
    for row in RejectionSampling([0, 5, 12], max_tries=20).run(bench):
        assert row.ended in ("natural", "never_started", "not_found")
        assert row.thinking_tokens <= row.promised_max_tokens


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"limits": []}, "`limits` has to be a sequence of different integers"),
        ({"limits": 500}, "`limits` has to be a sequence"),
        ({"limits": [5, 5]}, "`limits` has to be a sequence"),
        ({"limits": [5, 2.5]}, "`limits` has to be a sequence"),
        ({"limits": [5], "max_tries": 0}, "`max_tries` has to be an integer of at least 1, but is 0"),
    ],
)
def test_bad_limits_are_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        RejectionSampling(**arguments)
