"""Votes and shortest samples: against enumeration, by hand, and on a bench."""

from __future__ import annotations

import itertools
import random
from dataclasses import replace

import pytest
from benches import random_bench

from s1_hf.methods import BudgetForcing, Parallel, shortest_of, vote
from s1_hf.results.rows import Row


def samples(*said: tuple[str | None, int], problem: str = "p", ended: str = "natural") -> list[Row]:
    """Rows of (answer, thinking tokens); right is 5; 3 answer tokens, and 4 of delimiters."""
    return [
        Row(
            "m", "s", "t", problem, i, tokens, 3, answer in ("5", "5.0"), "unfinished" if answer is None else ended,
            extracted=answer, total_tokens=tokens + 7, max_thinking_tokens=99,
        )
        for i, (answer, tokens) in enumerate(said)
    ]  # fmt: skip


def elected_by_enumeration(answers: list[str | None]) -> float | None:
    """Of the values given most often, the one given first; the slow way."""
    given = [float(answer) for answer in answers if answer is not None]
    return next((v for v in given if all(given.count(v) >= given.count(w) for w in given)), None)


def test_votes_equal_an_enumeration_of_all_ballots():
    """Every sequence of four out of 5, 5.0, 7, 8 and no answer."""
    for ballot in itertools.product(["5", "5.0", "7", "8", None], repeat=4):
        (row,) = vote(samples(*((answer, 10) for answer in ballot)), k=4)
        expected = elected_by_enumeration(list(ballot))
        assert (None if row.extracted is None else float(row.extracted)) == expected
        assert row.correct == (expected == 5)


def test_a_tie_goes_to_the_answer_given_first():
    (row,) = vote(samples(("7", 1), ("5", 1), ("5.0", 1), ("07", 1)), k=4)
    assert row.extracted == "7"


def test_disjoint_groups_of_each_problem_are_samples_and_the_rest_does_not_vote():
    rows = samples(*[("5", n) for n in (1, 2, 3, 4, 5)]) + samples(*[("7", n) for n in (10, 20)], problem="q")
    random.Random(0).shuffle(rows)
    done = sorted(vote(rows, k=2), key=lambda row: (row.problem, row.sample))
    assert [(r.problem, r.sample, r.thinking_tokens) for r in done] == [("p", 0, 3), ("p", 1, 7), ("q", 0, 30)]


def test_a_votes_tokens_are_sums_and_it_promises_nothing():
    (row,) = vote(samples(("5", 10), ("5", 30)), k=2)
    assert (row.thinking_tokens, row.answer_tokens, row.total_tokens, row.tries) == (40, 6, 54, 2)
    assert (row.method, row.setting, row.promises) == ("majority voting", "2 votes", (None, None))


def test_one_vote_is_the_samples_themselves():
    rows = samples(("5", 10), (None, 30))
    assert [(r.extracted, r.thinking_tokens, r.sample, r.setting) for r in vote(rows, k=1)] == [
        ("5", 10, 0, "1 vote"), (None, 30, 1, "1 vote"),
    ]  # fmt: skip


def test_choices_are_grouped_by_their_letters():
    (row,) = vote(samples(("A", 1), ("(B)", 1), ("B", 1)), k=3, kind="choice")
    assert row.extracted == "(B)"


@pytest.mark.parametrize(
    ("m", "said", "answer", "thinking", "answered"),
    [
        # The second finishes first, after 20: all others have thought as long.
        (1, [("7", 30), ("5", 20), ("8", 50)], "5", 60, 3),
        # Two finish, and disagree: the shorter wins. The third is stopped at 30.
        (2, [("7", 30), ("5", 20), ("8", 50)], "5", 80, 6),
        # All three finish: two agree, though they are longer.
        (3, [("7", 30), ("5", 20), ("7.0", 50)], "7", 100, 9),
        # Equally short: the earlier sample.
        (1, [("7", 20), ("5", 20), ("8", 20)], "7", 60, 3),
        # Thinking that never ends is last, however short it was cut off; it is not waited for.
        (2, [(None, 10), ("5", 20), ("8", 30)], "5", 60, 6),
        # Only one of two finishes: the other two ran to their ends.
        (2, [(None, 40), ("5", 20), (None, 40)], "5", 100, 9),
    ],
)
def test_the_shortest_m_vote_and_the_others_are_stopped(m, said, answer, thinking, answered):
    (row,) = shortest_of(samples(*said), m, k=3)
    assert (row.extracted, row.thinking_tokens, row.answer_tokens) == (answer, thinking, answered)
    voters = answered // 3
    assert row.total_tokens == thinking + 7 * voters
    assert (row.method, row.setting, row.tries) == ("short-m@k", f"shortest {m} of 3", 3)


def test_a_sample_that_called_a_tool_while_thinking_is_last_too():
    """It has no answer, however short its thinking was."""
    rows = samples((None, 10), ("5", 20), ("8", 30))
    (row,) = shortest_of([replace(rows[0], ended="handed_over"), *rows[1:]], 1, k=3)
    assert (row.extracted, row.thinking_tokens) == ("5", 50)


def test_m_of_k_with_m_equal_to_k_spends_what_a_vote_does():
    rows = samples(("7", 30), ("5", 20), ("5", 50))
    (short,), (voted,) = shortest_of(rows, 3, 3), vote(rows, 3)
    assert (short.total_tokens, short.extracted) == (voted.total_tokens, voted.extracted)


def test_too_few_samples_are_refused():
    with pytest.raises(ValueError, match="has to hold at least k=3 of each problem, but has 2 of 'p'"):
        vote(samples(("5", 1), ("5", 1)), k=3)


def test_a_grid_of_budgets_and_votes_comes_from_the_samples_of_sequential_scaling():
    bench = random_bench(3, batch_size=4, answer_prefix=None)
    grid = {"max_thinking_tokens": [3, None], "num_ignores": [0, 1]}
    rows = Parallel(samples=4, votes=[1, 4], shortest=[(1, 4)], **grid).run(bench)
    sequential = BudgetForcing(**grid).run(random_bench(3, batch_size=3, answer_prefix=None, samples=4))
    assert len(rows) == 4 * (3 * 4 + 3 + 3)
    for setting in ("cap 3", "cap 3, 1 ignore", "no intervention", "1 ignore"):
        mine = [row for row in sequential if row.setting == setting]
        name = "" if setting == "no intervention" else f", {setting}"
        for method, expected in (
            ("majority voting", vote(mine, 1) + vote(mine, 4)),
            ("short-m@k", shortest_of(mine, 1, 4)),
        ):
            found = [row for row in rows if row.method == method + name]
            key = lambda row: (row.setting, row.problem, row.sample)  # noqa: E731
            assert [(*key(r), r.total_tokens, r.transcript) for r in sorted(found, key=key)] == [
                (*key(r), r.total_tokens, r.transcript) for r in sorted(expected, key=key)
            ]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"samples": 4}, "`votes` or `shortest` has to be given"),
        ({"samples": 0, "votes": [1]}, "`samples` has to be an integer of at least 1"),
        ({"samples": 4, "votes": [8]}, "`samples` has to be at least the largest k, 8, but is 4"),
        ({"samples": 4, "votes": [2, 2]}, "`votes` has to be a sequence of different integers"),
        ({"samples": 4, "shortest": [(3, 2)]}, "pairs .m, k. with 1 <= m <= k, but is"),
        ({"samples": 4, "shortest": [2]}, "pairs .m, k. with 1 <= m <= k, but is .2."),
        ({"samples": 4, "shortest": 2}, "pairs .m, k. with 1 <= m <= k, but is 2"),
        ({"samples": 4, "shortest": [(1, 2), (1, 2)]}, "different pairs"),
        ({"samples": 4, "votes": [2], "max_thinking_tokens": []}, "`max_thinking_tokens` has to be a sequence"),
        ({"samples": 4, "votes": [2], "wait_text": ""}, "`wait_text` has to be a text"),
    ],
)
def test_bad_settings_of_parallel_scaling_are_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        Parallel(**arguments)
