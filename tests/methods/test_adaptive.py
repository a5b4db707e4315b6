"""Adaptive self-consistency: by hand, against all sequences of answers, and on a bench beside its replay."""

from __future__ import annotations

import dataclasses
import functools
import itertools
import math
from collections import Counter
from fractions import Fraction

import pytest

pytest.importorskip("math_verify")

from counted import tokens_fed
from s1_hf.forcing.budget import Budget
from s1_hf.methods import Adaptive, Parallel, adaptive_vote, run_methods, shortest_of, vote
from s1_hf.methods.adaptive import decided_at
from s1_hf.results.rows import Row
from searching import lamp_bench


def samples(said, lengths=None) -> list[Row]:
    """Rows of answers; 3 answer tokens, and 4 of delimiters; right is 5."""
    lengths = lengths or [10 + i for i in range(len(said))]
    return [
        Row(
            "m", "s", "t", "p", i, tokens, 3, answer == "5", "unfinished" if answer is None else "natural",
            extracted=answer, total_tokens=tokens + 7, max_thinking_tokens=99,
        )
        for i, (answer, tokens) in enumerate(zip(said, lengths, strict=True))
    ]  # fmt: skip


def slowly(said, threshold: Fraction) -> int | None:
    """The Beta rule by counting coins."""
    for n in range(1, len(said) + 1):
        votes = Counter(answer for answer in said[:n] if answer is not None)
        if not votes:
            continue
        first, second = [*sorted(votes.values(), reverse=True), 0][:2]
        coins = first + second + 1
        below = sum(math.comb(coins, k) for k in range(first + 1))
        if Fraction(below, 2**coins) >= threshold:
            return n
    return None


def test_every_sequence_of_answers_is_decided_where_counting_coins_says():
    for said in itertools.product(["5", "7", "8", None], repeat=6):
        for threshold in (Fraction(3, 4), Fraction(9, 10)):
            assert decided_at(samples(said), threshold=float(threshold)) == slowly(said, threshold), said


def test_the_voters_are_those_up_to_the_decision_and_the_answer_is_their_vote():
    for said in itertools.product(["5", "7", None], repeat=6):
        rows = samples(said)
        n = slowly(said, Fraction(9, 10)) or 6
        (row,) = adaptive_vote(rows, most=6, threshold=0.9)
        (expected,) = vote(rows[:n], k=n)
        assert (row.extracted, row.correct, row.tries, row.total_tokens) == (
            expected.extracted, expected.correct, n, expected.total_tokens,
        )  # fmt: skip


def test_neither_lengths_nor_rounds_change_the_law_of_the_answer():
    """All sequences of five independent answers, 5 with 0.6 and 7 with 0.4. Where right answers are the long ones,
    whoever votes on what finishes first is misled."""
    chance = {"5": Fraction(3, 5), "7": Fraction(2, 5)}

    def law(elect) -> Fraction:
        """The chance of being right."""
        total = Fraction(0)
        for said in itertools.product("57", repeat=5):
            total += math.prod(chance[one] for one in said) * elect(said)
        return total

    def lengths_of(said, right_is_long):
        return [100 if (one == "5") == right_is_long else 10 for one in said]

    def adaptive(said, right_is_long, size):
        return adaptive_vote(samples(said, lengths_of(said, right_is_long)), 5, threshold=0.8, round_size=size)[0]

    def first(said, right_is_long):
        return shortest_of(samples(said, lengths_of(said, right_is_long)), 1, 5)[0]

    laws = {
        law(lambda said, long=long, size=size: adaptive(said, long, size).correct)
        for long in (True, False)
        for size in (1, 2, 3, 5)
    }
    assert len(laws) == 1
    assert Fraction(6, 10) < laws.pop() < 1
    assert law(lambda said: first(said, True).correct) == chance["5"] ** 5
    assert law(lambda said: first(said, False).correct) == 1 - chance["7"] ** 5


def test_a_larger_round_counts_all_that_it_generates():
    rows = samples(["5"] * 8)
    for size in range(1, 9):
        (row,) = adaptive_vote(rows, most=8, round_size=size)
        assert row.tries == min(-(-4 // size) * size, 8)
        assert row.total_tokens == sum(one.total_tokens for one in rows[: row.tries])
        assert row.thinking_tokens == sum(one.thinking_tokens for one in rows[: row.tries])


def test_votes_after_the_decision_do_not_count():
    """Four agree, and then the round brings four of another mind."""
    (row,) = adaptive_vote(samples(["5"] * 4 + ["7"] * 5), most=9, round_size=9)
    assert (row.extracted, row.tries) == ("5", 9)


def test_all_answers_are_harder_to_convince_than_two():
    said = ["5", "7", "5", "8", "5", "5", "5", "5"]
    two = adaptive_vote(samples(said), most=8, threshold=0.93)[0]
    every = adaptive_vote(samples(said), most=8, threshold=0.93, rule="dirichlet")[0]
    assert two.tries < every.tries
    assert (two.method, every.method) == ("adaptive voting", "adaptive voting, all answers")


def test_without_any_answer_there_is_none():
    (row,) = adaptive_vote(samples([None] * 4), most=4)
    assert (row.extracted, row.correct, row.tries) == (None, False, 4)


# -- on a bench -------------------------------------------------------------------------------------------------------


@functools.cache
def sampled(count: int = 3) -> list[Row]:
    """Twelve samples of each problem, as a vote of one has them."""
    return Parallel(samples=12, votes=[1]).run(lamp_bench(count, temperature=1.0))


COMPARED = ("problem", "sample", "setting", "method", "extracted", "digest", "tries", "total_tokens", "thinking_tokens")


@pytest.mark.parametrize(
    "options", [{}, {"round_size": 3, "threshold": 0.8}, {"rule": "dirichlet"}, {"threshold": 0.8}], ids=str
)
def test_a_run_is_its_replay(options):
    method = Adaptive(most=[2, 6], **options)
    rows = method.run(lamp_bench(3, temperature=1.0, samples=2))
    replayed = []
    for most in (2, 6):
        replayed += [row for row in adaptive_vote(sampled(), most, **options) if row.sample < 2]
    assert sorted([getattr(row, name) for name in COMPARED] for row in rows) == sorted(
        [getattr(row, name) for name in COMPARED] for row in replayed
    )
    assert any(row.tries < 6 for row in rows if row.setting == "up to 6 votes"), "no vote was decided early"


def test_batches_and_other_problems_change_nothing():
    method = Adaptive(most=[6], threshold=0.8)
    rows = method.run(lamp_bench(3, temperature=1.0))
    assert method.run(lamp_bench(3, temperature=1.0, batch_size=2)) == rows
    bench = lamp_bench(3, temperature=1.0)
    assert method.run(dataclasses.replace(bench, problems=bench.problems[1:2])) == rows[1:2]


def test_every_token_is_counted_and_no_sample_is_generated_that_is_not(monkeypatch):
    fed = tokens_fed(monkeypatch)
    bench = lamp_bench(1, temperature=1.0)
    (row,) = Adaptive(most=[8], threshold=0.8).run(bench)
    prompt = len(bench.encode(bench.problems[0].prompt))
    assert sum(fed) == row.tries * (prompt - 1) + row.total_tokens  # each sample is a batch of its own


def test_a_budget_holds_for_every_sample():
    rows = Adaptive(most=[4], point=Budget(max_thinking_tokens=20)).run(lamp_bench(1))
    assert rows[0].method == "adaptive voting, cap 20"
    assert rows[0].thinking_tokens <= 20 * rows[0].tries and rows[0].promised_max_tokens is None


def test_killed_anywhere_it_goes_on_to_what_an_unbroken_run_gives(tmp_path):
    bench, method = lamp_bench(2, temperature=1.0, batch_size=2), Adaptive(most=[6], threshold=0.8)
    whole = run_methods([method], bench, tmp_path / "whole")
    lines = (tmp_path / "whole" / "finished.jsonl").read_bytes().splitlines(keepends=True)
    for kept in range(len(lines)):
        folder = tmp_path / str(kept)
        folder.mkdir()
        (folder / "finished.jsonl").write_bytes(b"".join(lines[:kept]) + lines[kept][:50])
        assert run_methods([method], bench, folder) == whole
    assert run_methods([method, Parallel(samples=6, votes=[6])], bench, tmp_path / "whole")[: len(whole)] == whole


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"most": []}, "`most` has to be a sequence"),
        ({"most": [0]}, "`most` has to be"),
        ({"most": [4], "rule": "bayes"}, "`rule` has to be 'beta' or 'dirichlet'"),
        ({"most": [4], "threshold": 0.5}, "`threshold` has to be"),
        ({"most": [4], "threshold": math.nan}, "`threshold` has to be"),
        ({"most": [4], "round_size": 0}, "`round_size` has to be"),
        ({"most": [4], "point": Budget(wait_text="Hmm", num_ignores=1)}, "`point` has to leave all but"),
    ],
)
def test_misuse_is_refused(options, said):
    with pytest.raises(ValueError, match=said):
        Adaptive(**options)


def test_too_few_samples_to_replay_are_refused():
    with pytest.raises(ValueError, match="at least k=9"):
        adaptive_vote(samples(["5"] * 8), most=9)
