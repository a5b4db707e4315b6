"""A table of efforts from rows: what is claimed is true as often as it says, and what cannot be claimed is said."""

import math

import numpy as np
import pytest
from result_rows import a_row

from s1_hf import Budget
from s1_hf.metrics import retention_test
from s1_hf.results.efforts import propose, smallest_keeping

KEEPS = {"low": 90.0, "medium": 95.0, "high": 99.0}


def answers_under(law, problems, draw):
    """Answers under caps and without one, where each cap keeps and gains what its law says: (kept, gained)."""
    free = draw.random((problems, 1)) < 0.6
    right = {}
    for cap, (kept, gained) in law.items():
        right[cap] = draw.random((problems, 1)) < np.where(free, kept, gained)
    return right, free


def truth(kept, gained):
    return 100 * (kept + gained * 0.4 / 0.6)


FLAT = {800: (1, 0), 700: (1, 0), 600: (0.949, 0), 500: (0.949, 0), 400: (0.949, 0), 300: (0.949, 0), 200: (0.949, 0)}
"""The worst case: many caps that just fail to keep 95 %."""
WILD = {800: (0.99, 0.03), 600: (0.92, 0.045), 400: (0.9, 0.12), 300: (0.93, 0.029), 200: (0.5, 0.2)}
"""A smaller cap may keep more."""


@pytest.mark.parametrize("law", [FLAT, WILD], ids=["flat", "wild"])
def test_a_proposed_cap_keeps_what_it_claims_19_times_out_of_20(law):
    """Of 300 sweeps at most 30 propose a cap that keeps less than 95 %, which a level of 5 % exceeds with 1e-4."""
    draw, false = np.random.default_rng(3), 0
    for _ in range(300):
        right, free = answers_under(law, 300, draw)
        cap = smallest_keeping(right, free, 95, resamples=400)
        false += cap is not None and truth(*law[cap]) < 95
    assert false <= 30


def test_the_smallest_cap_that_passes_by_itself_would_be_false_far_more_often():
    """So the order of the tests matters, and the test above can fail."""
    draw, false = np.random.default_rng(3), 0
    for _ in range(100):
        right, free = answers_under(FLAT, 300, draw)
        passes = [
            cap
            for cap in right
            if retention_test(right[cap], free, kept=95, resamples=400, rng=np.random.default_rng(0)) <= 0.05
        ]
        false += bool(passes) and truth(*FLAT[min(passes)]) < 95
    assert false > 12


def test_a_test_is_at_5_percent():
    """If only 95 % were kept, all of 65 problems would be solved again in 3.6 % of the cases, all of 52 in 6.9 %."""
    for problems, cap in ((65, 9), (52, None)):
        solved = np.ones((problems, 1), bool)
        assert smallest_keeping({9: solved}, solved, 95) == cap


def test_with_enough_problems_the_smallest_cap_is_found():
    law = {800: (1, 0), 600: (0.99, 0.02), 400: (0.97, 0.01), 200: (0.9, 0), 100: (0.5, 0)}
    right, free = answers_under(law, 4000, np.random.default_rng(0))
    assert [smallest_keeping(right, free, percent) for percent in (85, 95, 99)] == [200, 400, 600]


def rows_of(right, free, natural=60):
    """A sweep's rows; the setting is named by its cap."""
    found = []
    for cap, answers in [*right.items(), (None, free)]:
        for problem, samples in enumerate(answers):
            for sample, correct in enumerate(samples):
                more = {"thinking_tokens": min(natural, cap or natural), "ended": "cut" if cap else "natural"}
                more |= {"max_thinking_tokens": cap, "setting": f"cap {cap}", "correct": bool(correct)}
                found.append(a_row(problem=str(problem), sample=sample, **more))
    return found


def right_of(*counts, problems=400):
    """Answers of which the first so many are right."""
    return [np.arange(problems)[:, None] < count for count in counts]


def test_a_proposal_says_what_was_seen():
    free, large, small = right_of(200, 200, 150)
    found = propose(rows_of({30: small, 90: large}, free), KEEPS)
    assert (found.problems, found.samples, found.accuracy, found.thinking_tokens) == (400, 1, 50, 60)
    assert [cap.max_thinking_tokens for cap in found.caps] == [90, 30]
    assert (found.caps[1].kept, found.caps[1].accuracy, found.caps[1].cut) == (75, 37.5, 100)
    assert found.caps[1].low < 75 < found.caps[1].high and found.caps[0].low < 100 < found.caps[0].high
    assert {claim.name: claim.max_thinking_tokens for claim in found.claims} == {"low": 90, "medium": 90, "high": None}


def test_the_table_has_what_was_shown_between_nothing_and_all_that_fits():
    free, large, small = right_of(200, 200, 150)
    effort = propose(rows_of({30: small, 90: large}, free), KEEPS).effort(Budget(cut_window=8))
    assert effort.names == ("none", "low", "medium", "max")
    assert effort.budget("none") == Budget(max_thinking_tokens=0)
    assert effort.budget("medium") == Budget(max_thinking_tokens=90, cut_window=8)
    assert effort.budget("max") == Budget(max_thinking_tokens="auto", cut_window=8)


def why(rows, keeps):
    (claim,) = propose(rows, {"e": keeps}).claims
    return claim.max_thinking_tokens, claim.why


def test_too_few_problems_are_named_with_how_many_it_takes():
    """200 of 400 are solved and none lost: 299 solved ones show 99 %, so it takes 598 problems."""
    free, large = right_of(200, 200)
    cap, said = why(rows_of({90: large}, free), 99)
    assert cap is None and "keeps 100.0 %, but 98.5 % is all that 400 problems show" in said
    assert said.endswith("It takes about 600.")


def test_a_cap_that_keeps_less_asks_for_larger_ones():
    free, small = right_of(200, 150)
    cap, said = why(rows_of({30: small}, free), 90)
    assert cap is None and said == "not shown: the largest cap, 30, keeps 75.0 %. Try larger caps."


def test_the_smallest_cap_of_all_asks_for_smaller_ones():
    free, large = right_of(200, 200)
    cap, said = why(rows_of({30: large, 90: large}, free), 90)
    assert cap == 30 and said.endswith("; the smallest cap that was tried, so a smaller one may do")


def test_problems_of_several_tasks_count_alike_and_are_not_mixed_up():
    free, large = right_of(30, 30, problems=40)
    one = rows_of({90: large}, free)
    two = [a_row(**vars(row) | {"task": "other", "correct": False}) for row in one]
    found = propose([*one, *two], KEEPS)
    assert (found.problems, found.accuracy) == (80, 37.5)


def test_the_order_of_rows_does_not_matter():
    free, large, small = right_of(200, 198, 150)
    rows = rows_of({30: small, 90: large}, free)
    shuffled = [rows[i] for i in np.random.default_rng(0).permutation(len(rows))]
    assert propose(shuffled, KEEPS) == propose(rows, KEEPS)


def test_samples_of_a_problem_belong_together():
    draw = np.random.default_rng(0)
    free = np.repeat(draw.random((60, 1)) < 0.8, 4, axis=1)
    found = propose(rows_of({90: free}, free), {"e": 90.0})
    assert (found.problems, found.samples) == (60, 4)
    solved = int(free[:, 0].sum())
    assert found.caps[0].low == pytest.approx(100 * 0.05 ** (1 / solved), abs=0.7)


@pytest.mark.parametrize(
    ("rows", "said"),
    [
        ([], "of several caps and of no cap"),
        (rows_of({}, right_of(3, problems=5)[0]), "of several caps and of no cap"),
        (rows_of({9: right_of(3, problems=5)[0]}, right_of(0, problems=5)[0]), "none of the 5 problems is solved"),
        (rows_of({9: right_of(3, problems=4)[0]}, right_of(3, problems=5)[0]), "Every cap needs the same problems"),
    ],
    ids=["nothing", "no caps", "nothing solved", "other problems"],
)
def test_rows_that_say_nothing_are_refused(rows, said):
    with pytest.raises(ValueError, match=said):
        propose(rows, KEEPS)


def test_an_infinite_high_end_is_no_error():
    free, better = right_of(1, 30, problems=40)
    assert propose(rows_of({9: better}, free), {"e": 90.0}).caps[0].high == math.inf
