"""Best of N and weighted votes: the samples of a plain vote, chosen by their scores."""

from __future__ import annotations

import pytest

pytest.importorskip("math_verify")

from s1_hf.forcing.budget import Budget
from s1_hf.methods import BestOfN, Parallel, run_methods
from s1_hf.methods.search.electing import elected
from s1_hf.methods.search.rewards import candidate_of
from s1_hf.scoring import Oracle
from searching import Counting, by_text, equal_scorer, lamp_bench, text_scorer


def test_the_best_and_the_heaviest_by_hand():
    bench = lamp_bench(2)
    plain = Parallel(samples=4, votes=[1]).run(bench)
    answers = list(bench.answers(bench.problems, samples=4))
    for election in ("best", "weighted"):
        rows = BestOfN(scorer=text_scorer(), widths=[4], election=election, separator="\n").run(bench)
        for row, problem in zip(rows, bench.problems, strict=True):
            done = [one.completion for one in answers if one.problem == problem]
            rewards = [by_text(candidate_of(problem, one, "\n"))[-1] for one in done]
            own = [one for one in plain if one.problem == problem.id]
            chosen = own[elected([one.extracted for one in own], rewards, election)]
            assert (row.digest, row.correct, row.request) == (chosen.digest, chosen.correct, chosen.request)
            assert row.total_tokens == sum(one.total_tokens for one in own) and row.tries == 4
            assert row.thinking_tokens == sum(one.thinking_tokens for one in own)


def test_equal_rewards_make_a_weighted_vote_a_vote():
    bench = lamp_bench(2)
    weighted = BestOfN(scorer=equal_scorer(), widths=[1, 3], samples=6, election="weighted", separator="\n").run(bench)
    votes = Parallel(samples=6, votes=[1, 3]).run(bench)
    order = lambda row: (row.tries, row.problem, row.sample)  # noqa: E731
    for one, other in zip(sorted(weighted, key=order), sorted(votes, key=order), strict=True):
        assert (one.digest, one.extracted, one.total_tokens) == (other.digest, other.extracted, other.total_tokens)


def test_an_oracle_finds_the_right_answer_if_there_is_one():
    """The bound of every method over the same samples; an outcome reward model sees answers only."""
    bench = lamp_bench(3)
    best = BestOfN(scorer=Oracle(bench.problems), widths=[1, 4]).run(bench)
    plain = Parallel(samples=4, votes=[1]).run(bench)
    for row in best:
        own = [one for one in plain if one.problem == row.problem]
        expected = any(one.correct for one in own) if row.tries == 4 else own[row.sample].correct
        assert row.correct == expected


def test_a_single_sample_is_not_scored_and_tokens_are_counted():
    scorer, bench = Counting(), lamp_bench(1)
    rows = BestOfN(scorer=scorer, widths=[1, 2, 4], separator="\n").run(bench)
    assert [(row.setting, row.sample) for row in rows] == [
        *((f"width {1}", i) for i in range(4)), ("width 2", 0), ("width 2", 1), ("width 4", 0)
    ]  # fmt: skip
    assert [row.scorer_tokens > 0 for row in rows] == [False] * 4 + [True] * 3
    assert sum(row.scorer_tokens for row in rows) == 10 * sum(len(one.parts) for asked in scorer.asked for one in asked)


def test_samples_are_generated_once_for_all_votes(tmp_path):
    bench = lamp_bench(1)
    methods = [
        Parallel(samples=4, votes=[4]),
        BestOfN(scorer=text_scorer(), widths=[4], separator="\n"),
        BestOfN(scorer=text_scorer(), widths=[4], separator="\n", election="weighted"),
    ]
    rows = run_methods(methods, bench, tmp_path)
    assert [row.method for row in rows] == ["majority voting", "best-of-N", "weighted voting"]
    lines = (tmp_path / "finished.jsonl").read_bytes().splitlines()
    assert sum(line.count(b'"token_ids"') for line in lines) == 4
    assert sum(b'"rewards"' in line for line in lines) == 1


def test_budgets_hold():
    (row,) = BestOfN(
        scorer=text_scorer(), widths=[3], separator="\n", point=Budget(max_thinking_tokens=20)
    ).run(lamp_bench(1))  # fmt: skip
    assert (row.method, row.ended, row.thinking_tokens, row.max_thinking_tokens) == ("best-of-N, cap 20", "cut", 60, 20)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"election": "majority"}, "there is `Parallel`"),
        ({"samples": 1}, "`samples` has to be an integer of at least the largest width, 2, but is 1"),
        ({"widths": 2}, "`widths` has to be"),
        ({"separator": None}, "`separator` has to be a text"),
    ],
)
def test_misuse_is_refused(options, said):
    with pytest.raises(ValueError, match=said):
        BestOfN(**{"scorer": equal_scorer(), "widths": [2]} | options)
