"""Rule 11: budgets that cannot act, or did not, are refused or warned about, once a call, with the likely cause."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from s1_hf import BudgetForcingLogitsProcessor, BudgetWarning, ThinkingFormat, budget_forcing, generate
from s1_hf.forcing.vocabulary import encode
from toys import CHATML, ToyConfig, Untouched, byte_tokenizer, toy_tokenizer
from wishes import chat, family_of, id_rows, prompt_of, wanting


@contextmanager
def silence() -> Iterator[None]:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        yield


def opened(says: str = "ab" * 30, user: str = "q") -> tuple[Any, Any]:
    tokenizer, _ = family_of("opened")
    return wanting(tokenizer, {prompt_of(tokenizer, user): says}), tokenizer


def untouched(tokenizer: Any) -> Untouched:
    return Untouched(ToyConfig(vocab_size=len(tokenizer)))


@pytest.mark.parametrize(("least", "room", "fits"), [(20, 20, True), (21, 20, False), (100, 20, False)])
def test_a_minimum_that_does_not_fit_is_refused_before_the_model_runs(least, room, fits):
    tokenizer, _ = family_of("opened")
    if fits:
        model, _ = opened()
        (completion,) = generate(model, tokenizer, "q", min_thinking_tokens=least, max_new_tokens=room)
        assert completion.report.thinking_tokens == room
        return
    match = f"but is {least}, and only {room} thinking tokens fit into {room} new tokens. Raise `max_new_tokens`"
    with pytest.raises(ValueError, match=match):
        generate(untouched(tokenizer), tokenizer, "q", min_thinking_tokens=least, max_new_tokens=room)


def test_an_opening_that_is_forced_takes_room_from_the_minimum():
    tokenizer = toy_tokenizer("s1")
    with pytest.raises(ValueError, match="only 8 thinking tokens fit into 10 new tokens"):
        generate(untouched(tokenizer), tokenizer, "q", min_thinking_tokens=9, max_new_tokens=10)


def test_thoughts_of_the_prompt_count_for_the_minimum():
    model, tokenizer = opened()
    own = chat("q", "<think>\n" + "ab" * 5)
    with silence():
        generate(model, tokenizer, own, min_thinking_tokens=30, max_new_tokens=20)


@pytest.mark.parametrize(("cap", "room", "warned"), [(500, 20, True), (8, 20, True), (4, 20, False), (None, 20, False)])
def test_a_cap_that_leaves_no_room_for_an_answer_is_warned_about(cap, room, warned):
    """A newline, `</think>` and the answer prefix are 12 tokens here: a cap of 4 leaves four for the answer."""
    model, tokenizer = opened()
    assert len(encode(tokenizer, "\n</think>\nFinal Answer:")) == 12
    options = {"max_thinking_tokens": cap, "max_new_tokens": room}
    if not warned:
        with silence():
            generate(model, tokenizer, "q", **options)
        return
    with pytest.warns(BudgetWarning, match=f"no room for an answer: .* of {room} new tokens") as caught:
        generate(model, tokenizer, "q", **options)
    assert len(caught) == 1


def test_a_stop_string_that_can_fire_inside_thinking_is_warned_about():
    model, tokenizer = opened("a\nb</think>\n\nyes\nno")
    options = {"max_thinking_tokens": 9, "max_new_tokens": 40}
    with pytest.warns(BudgetWarning, match="`stop_strings` can fire inside thinking.*`answer_stop_strings`") as caught:
        (completion,) = generate(model, tokenizer, "q", stop_strings=["\n"], **options)
    assert (len(caught), completion.report.ended) == (1, "unfinished")
    with silence():
        generate(model, tokenizer, "q", stop_strings=["\n"], max_new_tokens=40)  # no budget, so no promise


@pytest.mark.parametrize(
    ("cap", "stop", "want"),
    [
        (9, "\n", "a\nb</think>xyz\n"),
        (1, "\n", "a\n</think>\nFinal Answer:bc\n"),
        (1, "Final Answer:b", "a\n</think>\nFinal Answer:bc\nde"),  # begins in what was forced
        (9, "b</think>x", "a\nb</think>xyz\nno"),  # begins in thinking
    ],
)
def test_stop_strings_can_be_limited_to_the_models_own_answer(cap, stop, want):
    """Neither thinking, nor the newline that a cut forces, nor the answer prefix's own line stops the row."""
    tokenizer, _ = family_of("opened")
    prompt = prompt_of(tokenizer, "q")
    ends = "<|im_end|>"
    wants = {prompt: f"a\nb</think>xyz\nno{ends}", prompt + "a\n</think>\nFinal Answer:": f"bc\nde{ends}"}
    model = wanting(tokenizer, wants)
    options = {"max_thinking_tokens": cap, "max_new_tokens": 40, "answer_stop_strings": [stop]}
    with silence():
        (completion,) = generate(model, tokenizer, "q", **options)
    assert completion.text == want
    assert completion.report.ended == ("natural" if cap == 9 else "cut")


@pytest.mark.parametrize("bad", ["", [], [3], [""], 5], ids=str)
def test_stop_strings_that_are_none_are_refused(bad):
    model, tokenizer = opened()
    with pytest.raises(ValueError, match="`answer_stop_strings` has to be a text"):
        budget_forcing(model, tokenizer, answer_stop_strings=bad, max_new_tokens=9)


def test_stop_strings_of_the_answer_are_not_for_beams():
    model, tokenizer = opened()
    with pytest.raises(ValueError, match="`answer_stop_strings` does not work with beam search"):
        budget_forcing(model, tokenizer, answer_stop_strings="x", num_beams=2, max_new_tokens=9)


def test_a_prompt_that_has_closed_thinking_is_warned_about_before_the_model_runs():
    template = CHATML.replace("assistant\n{% endif %}", "assistant\n<think>\n\n</think>\n\n{% endif %}")
    tokenizer = byte_tokenizer(["<|im_start|>", "<|im_end|>"], added=["<think>", "</think>"], template=template)
    match = "closed thinking already.*enable_thinking.*force_start=True"
    with pytest.warns(BudgetWarning, match=match) as caught, pytest.raises(AssertionError, match="a forward pass"):
        generate(untouched(tokenizer), tokenizer, "q", max_thinking_tokens=4, max_new_tokens=40)
    assert len(caught) == 1


def test_a_budgeted_row_that_never_thinks_is_warned_about():
    """A hybrid model that answers at once: the remedy makes it think."""
    tokenizer, _ = family_of("think")
    model = wanting(tokenizer, {prompt_of(tokenizer, "q"): "xyz<|im_end|>"})
    options = {"max_thinking_tokens": 4, "max_new_tokens": 40}
    with pytest.warns(BudgetWarning, match="no thinking was seen .opened by '<think>'.*force_start=True") as caught:
        generate(model, tokenizer, "q", **options)
    assert len(caught) == 1
    with silence():
        generate(model, tokenizer, "q", max_new_tokens=40)  # no budget, so no promise
    forced = ThinkingFormat.from_tokenizer(tokenizer, force_start=True)
    (completion,) = generate(model, tokenizer, "q", format=forced, max_thinking_tokens=0, max_new_tokens=30)
    assert completion.report.ended == "cut"
    assert completion.text.startswith("<think>\n</think>")


def test_the_remedy_keeps_delimiters_that_were_named():
    tokenizer, _ = family_of("think")
    model = wanting(tokenizer, {prompt_of(tokenizer, "q"): "xyz<|im_end|>"})
    named = ThinkingFormat.from_delimiters(tokenizer, start="<r>", close="</r>")
    match = r"from_delimiters\(tokenizer, start='<r>', close='</r>', force_start=True\)"
    with pytest.warns(BudgetWarning, match=match):
        generate(model, tokenizer, "q", format=named, max_thinking_tokens=4, max_new_tokens=40)


def test_an_empty_answer_is_warned_about():
    model, tokenizer = opened("ab</think><|im_end|>")
    with pytest.warns(BudgetWarning, match="A row has no answer: the model stopped right after its thinking"):
        generate(model, tokenizer, "q", max_thinking_tokens=9, max_new_tokens=40)


def test_an_answer_that_is_only_the_forced_prefix_is_empty():
    tokenizer, _ = family_of("opened")
    prompt = prompt_of(tokenizer, "q")
    model = wanting(tokenizer, {prompt: "abcdef", prompt + "ab\n</think>\nFinal Answer:": "<|im_end|>"})
    with pytest.warns(BudgetWarning, match="A row has no answer"):
        generate(model, tokenizer, "q", max_thinking_tokens=2, max_new_tokens=40)


def test_a_warning_comes_once_a_call_however_often_reports_are_read():
    tokenizer, _ = family_of("think")
    model = wanting(tokenizer, {prompt_of(tokenizer, "q"): "xyz<|im_end|>"})
    processor = BudgetForcingLogitsProcessor(tokenizer, max_thinking_tokens=4)
    for _ in range(2):
        out = model.generate(
            id_rows(tokenizer, prompt_of(tokenizer, "q")),
            max_new_tokens=30,
            logits_processor=[processor],
            eos_token_id=tokenizer.eos_token_id,
        )
        with pytest.warns(BudgetWarning) as caught:
            processor.reports(out)
            processor.reports(out)
        assert len(caught) == 1
