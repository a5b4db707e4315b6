"""A search as it grows, on made-up completions: which rows go on, by which seeds, and what is counted."""

from __future__ import annotations

from collections import Counter
from random import Random

import pytest

pytest.importorskip("math_verify")

from s1_hf.conformance.laws import chi_square
from s1_hf.engines.request import Request, Sampling
from s1_hf.forcing.pauses import Begun, Pause
from s1_hf.forcing.report import Report
from s1_hf.generation.chats import Completion
from s1_hf.methods import ParticleFiltering
from s1_hf.methods.search.rewards import Scored
from s1_hf.methods.search.tree import Tree
from s1_hf.results.rows import Problem
from searching import equal_scorer

PROBLEM = Problem("p", "1 + 1?", "2")


class ByIds:
    """A row's reward is its last token, in percent, and costs a token for each of the row's."""

    def __init__(self) -> None:
        self.asked: list[int] = []

    def of(self, problem, completions):
        self.asked.append(len(completions))
        return Scored([one.token_ids[-1] / 100 for one in completions], sum(len(one.token_ids) for one in completions))


def grown(request: Request, *ids: int, over: bool = False) -> Completion:
    """What a request has become: two thinking tokens a step, or one and one of the answer."""
    before = () if request.begun is None else request.begun.ids
    every = (*before, *ids)
    report = Report(len(every) - over, "natural" if over else "unfinished", 0, (False,) * len(every), int(over))
    begun = None if over else Begun(every, (False,) * len(every), (0,) * 7)
    return Completion("", "", "", every, (False,) * len(every), report, begun)


def tree_of(width: int, seed: int = 0, max_steps: int | None = None) -> Tree:
    roots = [
        Request(prompt=(1,), max_new_tokens=99, seed=7 + i, sample=i, sampling=Sampling(), pause=Pause("\n"))
        for i in range(width)
    ]
    return Tree(PROBLEM, roots, max_steps=max_steps, seed=seed)


def step(tree: Tree, rewards: ByIds, *rows: tuple[int, bool]) -> None:
    """Grow by a step: of each row its reward and whether it has ended."""
    done = {}
    for request, (reward, over) in zip(tree.asked, rows, strict=True):
        done[request.key] = grown(request, 1, reward, over=over)
    tree.grow(done, rewards)


def test_rows_go_on_branch_off_and_are_given_up():
    tree, rewards = tree_of(3), ByIds()
    step(tree, rewards, (10, False), (50, True), (90, False))
    told = []

    def choice(*given):
        told.append(given[:3])
        return [0, 1, 2]

    tree.choose(choice)
    assert told == [([0.1, 0.5, 0.9], [False, True, False], 3)]
    assert [request.begun.ids for request in tree.asked] == [(1, 90)] * 2
    step(tree, rewards, (20, True), (30, True))
    assert [row.completion.token_ids for row in tree.rows] == [(1, 50), (1, 90, 1, 20), (1, 90, 1, 30)]
    tree.choose(choice)
    assert tree.asked == [] and len(told) == 1
    assert rewards.asked == [3, 2]
    assert (tree.leaves, tree.scorer_tokens) == (4, 3 * 2 + 2 * 4)
    assert (tree.total_tokens, tree.thinking_tokens, tree.answer_tokens) == (10, 2 + 1 + 2 + 1 + 1, 3)


def test_the_first_branch_keeps_its_seed_and_no_two_rows_share_one_at_one_place():
    tree, rewards, seen = tree_of(3), ByIds(), Counter()
    for _ in range(4):
        for request in tree.asked:
            seen[request.seed, 0 if request.begun is None else len(request.begun.ids)] += 1
        step(tree, rewards, *[(50, False)] * 3)
        tree.choose(lambda *given: [3, 0, 0])
        assert tree.asked[0].seed == 7
        assert len({request.seed for request in tree.asked}) == 3
    assert set(seen.values()) == {1}


def test_seeds_do_not_depend_on_what_else_there_is():
    """Only on the node's seed, its length and the number of the branch."""
    seeds = []
    for width in (2, 3):
        tree = tree_of(width)
        step(tree, ByIds(), *[(50, False)] * width)
        tree.choose(lambda *given: [2] + [0] * (len(given[0]) - 1))
        seeds.append([request.seed for request in tree.asked])
    assert seeds[0] == seeds[1] and len(set(seeds[0])) == 2


def test_rows_with_enough_steps_do_not_pause_again():
    tree, rewards = tree_of(2, max_steps=2), ByIds()
    step(tree, rewards, (50, False), (50, False))
    tree.choose(lambda *given: [1, 1])
    assert all(request.pause is not None for request in tree.asked)
    step(tree, rewards, (50, False), (50, False))
    tree.choose(lambda *given: [1, 1])
    assert all(request.pause is None for request in tree.asked)


def test_a_search_of_one_row_scores_nothing():
    tree, rewards = tree_of(1), ByIds()
    step(tree, rewards, (50, False))
    tree.choose(lambda *given: [1])
    assert rewards.asked == [] and tree.scorer_tokens == 0


def test_particles_are_drawn_by_their_odds_from_seed_to_seed():
    """Two rows with odds of 4 and 1: both places go to the first with a probability of 0.64, and so on."""
    choice = ParticleFiltering(scorer=equal_scorer(), widths=[2]).choice
    seen: Counter[tuple[int, ...]] = Counter()
    for seed in range(4000):
        tree = tree_of(2, seed)
        step(tree, ByIds(), (80, False), (50, False))
        tree.choose(choice)
        seen[tuple(request.begun.ids[-1] for request in tree.asked)] += 1
    law = {(80, 80): 0.64, (80, 50): 0.32, (50, 50): 0.04}
    assert chi_square(seen, law, 4000) > 1e-6  # false alarms: one in a million
    tree = tree_of(2, 3)
    step(tree, ByIds(), (80, False), (50, False))
    again = tree_of(2, 3)
    step(again, ByIds(), (80, False), (50, False))
    tree.choose(choice)
    again.choose(choice)
    assert tree.asked == again.asked


def test_ended_particles_are_drawn_with_the_others():
    tree = tree_of(3)
    step(tree, ByIds(), (99, True), (50, False), (1, True))
    tree.choose(lambda *given: [3, 0, 0])
    assert tree.asked == [] and [row.completion.token_ids[-1] for row in tree.rows] == [99] * 3
    assert tree.leaves == 3


def test_numbers_of_a_choice_follow_from_the_seed_and_the_step():
    drawn = []
    for _ in range(2):
        tree = tree_of(1, seed=5)
        for _ in range(2):
            step(tree, ByIds(), (50, False))

            def choice(rewards, ended, width, random: Random):
                drawn.append(random.random())
                return [1]

            tree.choose(choice)
    assert drawn[:2] == drawn[2:] and drawn[0] != drawn[1]
