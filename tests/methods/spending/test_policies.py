"""Who thinks on, by hand and beside a slow account of every token: never more than the total."""

from __future__ import annotations

import random

import pytest

from s1_hf.methods.exits.trials import Trial
from s1_hf.methods.spending.policies import Terms, spend
from s1_hf.methods.spending.replaying import Replayed
from s1_hf.results.rows import Row

CAPS = (10, 20, 30, 40)


def walk(name, answers, *, ends_at=None, cost=6, opening=0, confidences=None) -> Replayed:
    """Of as many levels as answers, or fewer if the thinking ends by itself; each answer takes `cost` tokens."""
    trials: list[Trial] = []
    before = 0
    for i, answer in enumerate(answers):
        over = ends_at is not None and ends_at < CAPS[i]
        thinking = ends_at if over else CAPS[i]
        confidence = confidences[i] if confidences else None
        row = Row(
            "m", f"cap {CAPS[i]}", "t", name, 0, thinking, cost, answer == "5", "natural" if over else "cut",
            extracted=answer, total_tokens=opening + thinking + cost, max_thinking_tokens=CAPS[i], num_ignores=0,
            confidence=confidence,
        )  # fmt: skip
        is_last = over or i == len(answers) - 1
        trials.append(Trial(row, row.total_tokens - before, is_last, 0 if is_last else cost))
        before = opening + thinking
        if over:
            break
    return Replayed(trials, "math")


def run(walks, total, policy, reserve=6, round_size=1, opening=0):
    """Levels at the end; the order in which problems came to them."""
    order = []

    def think_on(some):
        assert 1 <= len(some) <= round_size
        for one in some:
            one.think_on()
            order.append(one.every[0].row.problem)

    def try_answers(some):
        for one in some:
            one.answer()

    spend(walks, total, policy, Terms(CAPS, reserve, opening, round_size), think_on, try_answers)
    assert sum(one.spent for one in walks) <= total
    assert not any(one.awaits for one in walks)
    return [one.level for one in walks], "".join(order)


def test_uniform_gives_all_the_same_and_pays_for_no_answer_on_the_way():
    walks = [walk(name, "7775") for name in "abc"]
    assert run(walks, 3 * 26, "uniform") == ([2, 2, 2], "abcabc")
    assert [one.spent for one in walks] == [26] * 3
    assert [len(one.trials) for one in walks] == [1] * 3
    walks = [walk(name, "7775") for name in "abc"]
    assert run(walks, 3 * 26 + 10, "uniform") == ([3, 2, 2], "abcabca")


def test_what_ends_early_leaves_its_tokens_to_others():
    walks = [walk("a", "5555", ends_at=4), walk("b", "7775")]
    assert run(walks, 10 + 36, "uniform") == ([1, 3], "abbb")
    assert [one.spent for one in walks] == [10, 36]


def test_stability_leaves_those_alone_that_are_settled():
    """Of a the answers agree from the first, those of b never; each level takes 16."""
    walks = [walk("a", "5555"), walk("b", "7815")]
    levels, order = run(walks, 16 * 6, "stability")
    assert (levels, order) == ([2, 4], "ababbb")
    assert [one.spent for one in walks] == [32, 64]


def test_who_gives_no_answer_is_the_least_settled():
    walks = [walk("a", "7815"), walk("b", [None, None, None, "5"])]
    assert run(walks, 16 * 5, "stability")[1] == "abbbb"


def test_confidence_goes_to_the_least_confident_and_none_is_the_least():
    walks = [
        walk("a", "5555", confidences=[0.5, 0.9, 0.9, 0.9]),
        walk("b", "7775", confidences=[0.6, 0.1, 0.7, 0.9]),
        walk("c", [None, "7", "7", "5"], confidences=[0.99, 0.8, 0.8, 0.9]),
    ]
    assert run(walks, 16 * 7, "confidence")[1] == "abccabb"


def test_ties_go_to_the_lower_level_and_then_in_order():
    walks = [walk(name, "7815") for name in "abc"]
    assert run(walks, 16 * 9, "stability")[1] == "abcabcabc"


def test_those_for_whom_it_does_not_fit_are_passed_over():
    """Of a the third level takes 26, because it goes on from the first; of b 16."""
    first = walk("a", [None, None, "7", "7"])
    columns = {"max_thinking_tokens": 20, "num_ignores": 1}
    no_room = Row("m", "s", "t", "a", 0, 19, 6, False, "natural", extracted=None, total_tokens=25, **columns)
    first.every[1:3] = [Trial(no_room, 15, False), Trial(first.every[2].row, 26, False, 6)]
    walks = [first, walk("b", "7815")]
    assert run(walks, 16 + 16 + 15 + 25, "stability") == ([2, 2], "abab")
    assert sum(one.spent for one in walks) == 16 + 16 + 15 + 16


def test_a_round_is_decided_before_any_of_its_answers():
    """After two levels each, a is settled and b is not: one by one b gets the other two, together each gets one."""
    assert run([walk("a", "7775"), walk("b", "7815")], 16 * 6, "stability", round_size=1)[1] == "ababbb"
    assert run([walk("a", "7775"), walk("b", "7815")], 16 * 6, "stability", round_size=2)[1] == "ababba"


@pytest.mark.parametrize("policy", ["uniform", "stability", "confidence"])
def test_the_total_is_never_exceeded_and_nothing_that_surely_fits_is_left(policy):
    """Random problems and totals: what is left at the end is less than the most that any level could have taken."""
    random_ = random.Random(policy)
    for _ in range(400):
        opening = random_.choice([0, 2])
        walks = []
        for i in range(random_.randint(1, 7)):
            answers = [random_.choice(["5", "7", "8", None]) for _ in CAPS]
            ends = random_.choice([None, random_.randint(1, 40)])
            confidences = [random_.choice([None, random_.random()]) for _ in CAPS]
            cost = random_.randint(1, 9)
            walks.append(walk(str(i), answers, ends_at=ends, cost=cost, opening=opening, confidences=confidences))
        total, size = random_.randint(0, 250), random_.randint(1, 4)
        run(walks, total, policy, reserve=9, round_size=size, opening=opening)
        left = total - sum(one.spent for one in walks)
        able = [one for one in walks if not one.is_over and one.level < len(CAPS)]
        if policy != "uniform":
            assert all(left < (opening if one.level == 0 else 0) + 10 + 9 for one in able)


def test_a_total_of_nothing_begins_nobody():
    walks = [walk("a", "5555")]
    assert run(walks, 15, "stability") == ([0], "")
    assert run(walks, 16, "stability") == ([1], "a")
