"""The log-probabilities of rollouts are those of the exact law, and what is kept in the loss is a score function."""

from __future__ import annotations

import math

import pytest
import torch
from law_scenes import BUDGETS, LAWS, Scene

from s1_hf.rl.law import TOLERANCE
from s1_hf.rl.places import Mismatch, follow
from s1_hf.rl.rollout import law_of_rows


def check(scene: Scene, law: str) -> None:
    """To 1e-4, by enumeration of every choice of the slow reference."""
    chances, rows = scene.chances(law), scene.drawn(40, law)
    found = law_of_rows(scene.engine, rows)
    for r, (_, completion) in enumerate(rows):
        wanted = math.log(chances[completion.token_ids, completion.forced])
        assert float(found.logprobs[r, : len(completion.token_ids)].sum()) == pytest.approx(wanted, abs=1e-4)


@pytest.mark.parametrize("budget", BUDGETS)
def test_a_rows_log_probabilities_sum_up_to_that_of_the_row(budget):
    check(Scene(3, budget), "plain")


@pytest.mark.parametrize("law", LAWS)
@pytest.mark.parametrize("budget", ["two ignores, cap", "minimum, no Wait"])
def test_so_they_do_however_tokens_are_drawn(law, budget):
    check(Scene(3, budget), law)


@pytest.mark.parametrize("family", ["s1", "think"])
def test_so_they_do_in_other_formats(family):
    check(Scene(5, "two ignores, cap", family), "plain")


def mean_score(scene: Scene, masks: list[torch.Tensor], rows: list, chances: list[float]) -> float:
    """The largest component of the mean, over all rows, of what a trainer sums up where a mask is 1.

    The gradient of `log pi` of each token by the model's biases, one for each token of the vocabulary.
    """
    bias = torch.zeros(scene.model.bias.shape, dtype=torch.float64, requires_grad=True)
    total = torch.zeros((), dtype=torch.float64)
    for (request, completion), mask, chance in zip(rows, masks, chances, strict=True):
        ids = list(request.prompt)
        for token, kept in zip(completion.token_ids, mask, strict=True):
            if kept:
                scores = scene.model.next_logits(ids).double() + bias
                total = total + chance * scores.log_softmax(-1)[token]
            ids.append(token)
    (gradient,) = torch.autograd.grad(total, bias)
    return float(gradient.abs().max())


@pytest.mark.parametrize("budget", ["cap", "one ignore", "minimum, no Wait"])
def test_what_is_kept_has_a_mean_of_zero(budget):
    """As every score function has; by enumeration of all rows. Leaving out what the report calls forced does not do."""
    scene = Scene(3, budget, one_end=True)
    every = scene.every()
    rows, chances = [row for row, _ in every], [chance for _, chance in every]
    law = law_of_rows(scene.engine, rows, tolerance=1e-6)
    masks = [law.kept[r, : len(row.completion.token_ids)] for r, row in enumerate(rows)]
    assert mean_score(scene, masks, rows, chances) < 1e-4
    by_report = [torch.tensor(row.completion.forced).logical_not() for row in rows]
    assert mean_score(scene, by_report, rows, chances) > 0.05
    assert any(mask.any() for mask in masks)


def test_what_is_kept_is_near_it_up_to_the_tolerance():
    """Ends are rare here, so that places with a moved share are kept: up to 4 of them, each within 2 * tolerance."""
    scene = Scene(3, "one ignore", ends=-5.0, one_end=True)
    every = scene.every()
    rows, chances = [row for row, _ in every], [chance for _, chance in every]
    law = law_of_rows(scene.engine, rows)
    masks = [law.kept[r, : len(row.completion.token_ids)] for r, row in enumerate(rows)]
    moved = torch.cat([law.moved[r, : len(mask)][mask] for r, mask in enumerate(masks)])
    assert 0 < moved.max() <= TOLERANCE
    assert 1e-6 < mean_score(scene, masks, rows, chances) < 2 * TOLERANCE * 4


def test_an_end_that_was_honoured_is_kept_and_forced_tokens_are_not():
    scene = Scene(3, "cap")
    rows = scene.drawn(40)
    law = law_of_rows(scene.engine, rows)
    honoured = 0
    for r, (_, completion) in enumerate(rows):
        forced = [i for i, one in enumerate(completion.forced) if one]
        if completion.report.ended == "natural":
            first = forced[0]
            honoured += 1
            assert not law.kept[r, forced[1:]].any()
            shares = scene_shares(scene, rows[r], first)
            assert bool(law.kept[r, first]) == (shares <= TOLERANCE)
        elif completion.report.ended == "cut":
            assert not law.kept[r, forced].any() and law.logprobs[r, forced].abs().max() == 0
    assert honoured > 5


def scene_shares(scene: Scene, row, place: int) -> float:
    """The model's probability of all ends but the closing delimiter itself, and of what is no token."""
    request, completion = row
    p = scene.model.next_logits([*request.prompt, *completion.token_ids[:place]]).softmax(-1)
    others = [i for i in scene.format.ends if i != scene.format.close[0]]
    none = [i for i, text in enumerate(scene.delimiters.texts) if text is None]
    return float(p[others].sum() + p[none].sum() + p[len(scene.delimiters.texts) :].sum())


def test_a_wait_and_the_token_after_it_are_not_kept():
    scene = Scene(3, "one ignore")
    rows = [row for row in scene.drawn(40) if row.completion.report.ends_ignored]
    law = law_of_rows(scene.engine, rows)
    for r, (_, completion) in enumerate(rows):
        wait = completion.forced.index(True, len(scene.format.start) if scene.format.force_start else 0)
        assert not law.kept[r, wait]
        if len(completion.token_ids) > wait + 1:
            assert law.moved[r, wait + 1] > TOLERANCE and not law.kept[r, wait + 1]
    assert len(rows) > 5


def test_rows_of_another_budget_are_refused():
    scene, other = Scene(3, "cap"), Scene(3, "one ignore")
    rows = [type(row)(other.request(), row.completion) for row in scene.drawn(20)]
    processor = pytest.importorskip("s1_hf.generation.processor").BudgetForcingLogitsProcessor(
        other.tokenizer, budget=other.budget, format=other.format
    )
    with pytest.raises(Mismatch, match="The rules do not lead to the row"):
        follow(processor.automaton, rows)
