"""A row beside the reference: rounding is told apart from faults, and faults behind it are found."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from s1_hf import Budget, Completion, Report
from s1_hf.conformance.cases import setting
from s1_hf.conformance.comparing import Reference, compare
from s1_hf.conformance.models import EXTRA, biases, table_model
from s1_hf.engines.request import Request
from s1_hf.engines.transformers_engine import TransformersEngine
from s1_hf.forcing.vocabulary import encode

TOKENIZER, FORMAT, DELIMITERS = setting("think")
PROMPT = tuple(encode(TOKENIZER, "<|im_start|>user\na<|im_end|>\n<|im_start|>assistant\n<think>"))
REQUEST = Request(prompt=PROMPT, budget=Budget(max_thinking_tokens=9, num_ignores=1), max_new_tokens=24)
NUDGE = 1e-3


BIAS = biases("think", ends=-4.0)
BIAS[-EXTRA:] = -200.0  # which are never written, but may be the runners-up


@pytest.fixture(scope="module")
def model():
    return table_model("think", 3, BIAS)


def reference_of(model, precision: float = 1e-7) -> Reference:
    return Reference(model.next_logits, DELIMITERS, TOKENIZER, precision)


def run(model, request: Request = REQUEST) -> Completion:
    ((finished,),) = TransformersEngine(model, TOKENIZER, format=FORMAT).run([request], lambda rows: None)
    return finished.completion


def nudged(model, place: int, own: Completion):
    """Logits that differ from the model's at one place, where the runner-up is now a little ahead."""
    known = [*PROMPT, *own.token_ids[:place]]
    first, second = model.next_logits(known).topk(2).indices.tolist()

    def logits(ids):
        scores = model.next_logits(ids).clone()
        if list(ids) == known:
            scores[first] = scores[second] + NUDGE
        return scores

    return logits


def test_a_row_that_is_the_references_has_nothing_wrong(model):
    compared = compare(reference_of(model), REQUEST, run(model))
    assert (compared.fault, compared.roundings) == ("", 0)
    assert compared.row.ended == "cut"


@pytest.mark.parametrize("place", [1, 2, 4])
def test_a_choice_within_the_rounding_is_no_fault(model, place):
    """The reference of another machine, on which one score is a thousandth higher, would have gone another way."""
    own = run(model)
    logits = nudged(model, place, own)
    elsewhere = table_model("think", 3, BIAS)
    forward = elsewhere.forward

    def other_forward(input_ids, **options):  # the same model, where the runner-up wins
        out = forward(input_ids, **options)
        if input_ids[0].tolist() == [*PROMPT, *own.token_ids[:place]]:
            best, next_best = out.logits[0, -1].topk(2).indices.tolist()
            out.logits[0, -1, next_best] = out.logits[0, -1, best] + NUDGE
        return out

    elsewhere.forward = other_forward
    got = run(elsewhere)
    assert got.token_ids != own.token_ids
    reference = Reference(logits, DELIMITERS, TOKENIZER, precision=1e-3)
    compared = compare(reference, REQUEST, got)
    assert (compared.fault, compared.roundings) == ("", 1)
    assert compared.margin == pytest.approx(NUDGE, rel=1e-2)
    assert compared.row.new == list(got.token_ids)

    strict = compare(Reference(logits, DELIMITERS, TOKENIZER, precision=1e-7), REQUEST, got)
    assert f"token {place} is" in strict.fault and "of which rounding explains" in strict.fault

    # A fault behind it is still found: the last token is another one.
    wrong = replace(got, token_ids=(*got.token_ids[:-1], got.token_ids[0]))
    behind = compare(Reference(logits, DELIMITERS, TOKENIZER, precision=1e-3), REQUEST, wrong)
    assert f"token {len(got.token_ids) - 1} is" in behind.fault and behind.roundings == 1


def test_a_report_that_says_otherwise_is_a_fault(model):
    own = run(model)
    wrong = replace(own, report=replace(own.report, thinking_tokens=own.report.thinking_tokens + 1))
    assert "`thinking_tokens` is 10 where the reference has 9" in compare(reference_of(model), REQUEST, wrong).fault


def test_a_mask_that_does_not_go_with_the_ids_is_a_fault(model):
    own = run(model)
    short = replace(own, forced=own.forced[:-1])
    assert "mask" in compare(reference_of(model), REQUEST, short).fault


def test_rounding_is_what_other_ways_to_compute_a_score_show(model):
    """Four times the largest difference among likely tokens, and two units of the dtype's precision."""
    noisy = Reference(
        model.next_logits, DELIMITERS, TOKENIZER, 0.0, [lambda ids: model.next_logits(ids) + torch.tensor(0.25)]
    )
    assert noisy.rounding(PROMPT) == pytest.approx(1.0)
    largest = float(model.next_logits(list(PROMPT)).topk(20).values.abs().max())
    assert reference_of(model, 0.01).rounding(PROMPT) == pytest.approx(0.02 * largest)


def test_scores_that_are_not_numbers_are_no_rounding(model):
    """A kernel that gives NaN is a fault, not noise."""
    broken = Reference(model.next_logits, DELIMITERS, TOKENIZER, float("nan"))
    own = run(model)
    wrong = replace(own, token_ids=(own.token_ids[1], *own.token_ids[1:]))
    assert isinstance(own.report, Report) and compare(broken, REQUEST, wrong).fault


def test_of_two_tokens_that_are_alike_either_is_right(model):
    """Wherever they stand among the largest scores."""
    own = run(model)
    first, second = model.next_logits(list(PROMPT)).topk(2).indices.tolist()
    for taken, other in ((first, second), (second, first)):

        def alike(ids, taken=taken, other=other):
            scores = model.next_logits(ids).clone()
            if list(ids) == list(PROMPT):
                scores[other] = scores[taken] = scores.max()
            return scores

        elsewhere = table_model("think", 3, BIAS)
        forward = elsewhere.forward

        def wants(input_ids, forward=forward, taken=taken, **options):
            out = forward(input_ids, **options)
            if input_ids[0].tolist() == list(PROMPT):
                out.logits[0, -1, taken] = out.logits[0, -1].max() + 1
            return out

        elsewhere.forward = wants
        compared = compare(Reference(alike, DELIMITERS, TOKENIZER, 1e-7), REQUEST, run(elsewhere))
        assert compared.fault == "" and compared.margin == 0
    assert compared.row.new != list(own.token_ids) or own.token_ids[0] == first
