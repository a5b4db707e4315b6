"""Stopping criteria that know where thinking ends: exact lengths, alone and with budget forcing."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
import torch
from transformers import StoppingCriteria

from misuse import S1, forcing, generating
from s1_hf import AnswerLengthCriteria, ThinkingEndCriteria, ThinkingFormat, budget_forcing, generate
from s1_hf.forcing.vocabulary import encode
from toys import ToyConfig, ToyModel, byte_tokenizer, toy_tokenizer
from wishes import FAMILIES, Until, family_of, opening, prompt_of, wanting


def run(tokenizer: Any, wants: dict[str, Any], *criteria: StoppingCriteria, **options: Any) -> list[list[int]]:
    """What was generated behind each prompt, left-padded into one batch, without the padding behind a stopped row."""
    model = wanting(tokenizer, wants)
    rows = [encode(tokenizer, text) for text in wants]
    width, pad = max(map(len, rows)), tokenizer.pad_token_id
    out = model.generate(
        input_ids=torch.tensor([[pad] * (width - len(row)) + list(row) for row in rows]),
        attention_mask=torch.tensor([[0] * (width - len(row)) + [1] * len(row) for row in rows]),
        stopping_criteria=list(criteria),
        **({"max_new_tokens": 40, "pad_token_id": pad, "eos_token_id": tokenizer.eos_token_id} | options),
    )
    return [[i for i in row if i != pad] for row in out[:, width:].tolist()]


def texts(tokenizer: Any, rows: Sequence[Sequence[int]]) -> list[str]:
    return [tokenizer.decode(row, skip_special_tokens=False) for row in rows]


# -- ThinkingEndCriteria ------------------------------------------------------------------------------------------


@FAMILIES
def test_a_row_stops_right_behind_the_complete_closing_delimiter(family):
    """Rows of different lengths in one left-padded batch stop each at its own end."""
    tokenizer, fmt = family_of(family)
    start = opening(family, fmt)
    wants = {
        prompt_of(tokenizer, "a"): f"{start}a{fmt.close_text}xyz",
        prompt_of(tokenizer, "bcdefgh"): f"{start}abab\nab{fmt.close_text}xyz",
        prompt_of(tokenizer, "cd"): f"{start}{fmt.close_text}xyz",
    }
    rows = run(tokenizer, wants, ThinkingEndCriteria(tokenizer, format=fmt))
    assert texts(tokenizer, rows) == [want.removesuffix("xyz") for want in wants.values()]


@FAMILIES
def test_a_prompt_that_has_closed_thinking_stops_at_its_first_token(family):
    tokenizer, fmt = family_of(family)
    start = opening(family, fmt)
    wants = {
        prompt_of(tokenizer, "a", f"{start}ab{fmt.close_text}"): "xyz",
        prompt_of(tokenizer, "bcdefgh", f"{start}a"): f"b{fmt.close_text}xyz",
    }
    rows = run(tokenizer, wants, ThinkingEndCriteria(tokenizer, format=fmt))
    assert texts(tokenizer, rows) == ["x", f"b{fmt.close_text}"]


@FAMILIES
def test_a_row_that_never_thinks_or_never_stops_thinking_runs_on(family):
    """So does one whose user text, or earlier turn, has the delimiters."""
    tokenizer, fmt = family_of(family)
    user = f"{fmt.start_text}q{fmt.close_text}" if tokenizer.chat_template else "q"
    want = "ababab" if family in ("opened", "plain") else f"{fmt.start_text}ababab"
    wants = {prompt_of(tokenizer, user): want, prompt_of(tokenizer, user + user): "xyxyxy"}
    rows = run(tokenizer, wants, ThinkingEndCriteria(tokenizer, format=fmt), max_new_tokens=17)
    assert [len(row) for row in rows] == [17, 17]


@pytest.mark.parametrize(
    ("family", "half"),
    [
        ("s1", "<|im_start|>think ab<|im_start|>"),
        ("kimi_k3", "<|open|>think<|sep|>ab<|close|>"),
        ("kimi_k3", "<|open|>think<|sep|>ab<|close|>think"),
        ("plain", "ab</thin"),
        ("plain", "ab</"),
    ],
)
def test_half_a_closing_delimiter_stops_nothing(family, half):
    tokenizer, fmt = family_of(family)
    (row,) = run(tokenizer, {prompt_of(tokenizer, "a"): half + "x"}, ThinkingEndCriteria(tokenizer, format=fmt))
    assert len(row) == 40


def test_a_closing_delimiter_may_be_spelled_in_any_tokens():
    """Plain delimiters are found by their text, also where a token reaches over their end."""
    tokenizer, fmt = family_of("plain")
    ids = [*encode(tokenizer, "ab<"), *encode(tokenizer, "/"), *encode(tokenizer, "th"), *encode(tokenizer, "ink")]
    ids += encode(tokenizer, ">\n")
    assert tuple(ids[2:]) != encode(tokenizer, "</think>\n")
    wants = {prompt_of(tokenizer, "a"): [*ids, *encode(tokenizer, "xyz")]}
    assert run(tokenizer, wants, ThinkingEndCriteria(tokenizer, format=fmt)) == [ids]


@FAMILIES
def test_a_criterion_used_again_behaves_like_a_new_one(family):
    """On other prompts, the same ones, and, for the second phase, on what was generated."""
    tokenizer, fmt = family_of(family)
    start = opening(family, fmt)
    stop = ThinkingEndCriteria(tokenizer, format=fmt)
    for user in ("a", "bcd", "a"):
        wants = {prompt_of(tokenizer, user): f"{start}abc{fmt.close_text}xyz"}
        assert texts(tokenizer, run(tokenizer, wants, stop)) == [f"{start}abc{fmt.close_text}"]
    again = {prompt_of(tokenizer, "a", f"{start}abc{fmt.close_text}"): "xyz"}
    assert texts(tokenizer, run(tokenizer, again, stop)) == ["x"]


@FAMILIES
@pytest.mark.parametrize(("cap", "ended"), [(2, "cut"), (None, "natural")])
def test_with_budget_forcing_a_row_stops_behind_the_forced_close(family, cap, ended):
    """No answer prefix, no answer; the report says how thinking ended."""
    tokenizer, fmt = family_of(family)
    start = opening(family, fmt)
    model = wanting(tokenizer, {prompt_of(tokenizer, "a"): f"{start}abab{fmt.close_text}xyz"})
    options = {"format": fmt, "max_thinking_tokens": cap, "max_new_tokens": 60}
    stop = ThinkingEndCriteria(tokenizer, format=fmt)
    (completion,) = generate(model, tokenizer, "a", stopping_criteria=[stop], **options)
    thought = "ab\n" if cap else "abab"
    assert completion.text == f"{start}{thought}{fmt.close_text}"
    assert (completion.report.ended, completion.report.answer_tokens, completion.answer) == (ended, 0, "")


def test_an_end_of_sequence_while_thinking_is_no_end_without_budget_forcing():
    """Alone, a criterion only watches: the row stops as `generate` has it, thinking unfinished."""
    tokenizer, fmt = family_of("opened")
    wants = {prompt_of(tokenizer, "a"): "ab<|im_end|>xyz", prompt_of(tokenizer, "bc"): "abab</think>xyz"}
    rows = run(tokenizer, wants, ThinkingEndCriteria(tokenizer, format=fmt))
    assert texts(tokenizer, rows) == ["ab<|im_end|>", "abab</think>"]


# -- AnswerLengthCriteria -----------------------------------------------------------------------------------------


@FAMILIES
@pytest.mark.parametrize("most", [1, 2, 5])
def test_an_answer_has_just_as_many_tokens(family, most):
    """Opening, thinking and closing are not counted; each row of a left-padded batch has its own answer."""
    tokenizer, fmt = family_of(family)
    start = opening(family, fmt)
    wants = {
        prompt_of(tokenizer, "a"): f"{start}ab{fmt.close_text}xyzxyz",
        prompt_of(tokenizer, "bcdefgh"): f"{start}ababab\n\nabab{fmt.close_text}xyzxyz",
        prompt_of(tokenizer, "cd"): f"{start}{fmt.close_text}xyzxyz",
    }
    rows = run(tokenizer, wants, AnswerLengthCriteria(most, tokenizer, format=fmt))
    assert texts(tokenizer, rows) == [want.removesuffix("xyzxyz") + "xyzxyz"[:most] for want in wants.values()]


@FAMILIES
def test_a_prompt_that_has_closed_thinking_is_all_answer(family):
    """What the prompt itself has answered is not counted, however long it is."""
    tokenizer, fmt = family_of(family)
    own = f"{opening(family, fmt)}ab{fmt.close_text}"
    wants = {prompt_of(tokenizer, "a", own): "xyzxyz", prompt_of(tokenizer, "bcde", own + "a long answer"): "xyzxyz"}
    rows = run(tokenizer, wants, AnswerLengthCriteria(4, tokenizer, format=fmt))
    assert texts(tokenizer, rows) == ["xyzx", "xyzx"]


@pytest.mark.parametrize("family", ["s1", "think", "harmony", "magistral", "seed"])
def test_a_row_that_never_thinks_is_all_answer(family):
    """Prompt and padding are not counted: a long and a short prompt get the same length."""
    tokenizer, fmt = family_of(family)
    wants = {prompt_of(tokenizer, "a"): "xyzxyz", prompt_of(tokenizer, "bcdefghijklmnop"): "xyzxyz"}
    rows = run(tokenizer, wants, AnswerLengthCriteria(4, tokenizer, format=fmt))
    assert texts(tokenizer, rows) == ["xyzx", "xyzx"]


@FAMILIES
def test_unfinished_thinking_is_not_cut_by_the_answers_length(family):
    tokenizer, fmt = family_of(family)
    wants = {prompt_of(tokenizer, "a"): opening(family, fmt) + "ababababab"}
    (row,) = run(tokenizer, wants, AnswerLengthCriteria(1, tokenizer, format=fmt))
    assert len(row) == 40


def test_an_answer_that_ends_before_its_length_ends():
    tokenizer, fmt = family_of("opened")
    wants = {prompt_of(tokenizer, "a"): "ab</think>x<|im_end|>", prompt_of(tokenizer, "bcd"): "ab</think>xyzxyz"}
    rows = run(tokenizer, wants, AnswerLengthCriteria(4, tokenizer, format=fmt))
    assert texts(tokenizer, rows) == ["ab</think>x<|im_end|>", "ab</think>xyzx"]


@FAMILIES
@pytest.mark.parametrize("most", [1, 3, 40])
def test_with_budget_forcing_the_answer_prefix_is_counted(family, most):
    """The report's answer tokens are the criterion's, in a batch whose rows are cut and end by themselves."""
    tokenizer, fmt = family_of(family)
    start = opening(family, fmt)
    users = ["a", "bcdefg"]
    model = wanting(
        tokenizer, {prompt_of(tokenizer, user): f"{start}abab{fmt.close_text}{'xyz' * 40}" for user in users}
    )
    options = {"format": fmt, "max_thinking_tokens": [2, 30], "max_answer_tokens": most, "max_new_tokens": 120}
    cut, natural = generate(model, tokenizer, users, **options)
    assert (cut.report.ended, natural.report.ended) == ("cut", "natural")
    assert (cut.report.answer_tokens, natural.report.answer_tokens) == (most, most)
    prefix = (*fmt.answer_start, *encode(tokenizer, "\nFinal Answer:"))[:most]
    closed = len(encode(tokenizer, f"{start}ab\n{fmt.close_text}"))
    assert cut.token_ids[closed : closed + len(prefix)] == prefix
    assert len(cut.token_ids) == len(cut.forced) == closed + most
    assert len(natural.token_ids) == len(encode(tokenizer, f"{start}abab{fmt.close_text}")) + most


@pytest.mark.parametrize(
    ("most", "mode"),
    [
        (1, {}),
        (14, {}),
        (1, {"do_sample": True}),
        (1, {"num_beams": 2}),
        (14, {"do_sample": True}),
        (14, {"num_beams": 2}),
    ],
    ids=str,
)
@pytest.mark.parametrize("how", ["one id", "one of several, as Qwen2.5's"])
def test_padding_that_is_an_end_of_sequence_is_no_generated_token(most, how, mode):
    """A row that a criterion has stopped is padded: `token_ids`, `forced` and the report end before that."""
    tokenizer = toy_tokenizer("opened")
    users = ["a", "bcd"]
    model = wanting(tokenizer, {prompt_of(tokenizer, user): "abababab</think>" + "xyz" * 40 for user in users})
    if how == "one id":
        tokenizer.pad_token = tokenizer.eos_token
    else:
        model.generation_config.eos_token_id = [tokenizer.eos_token_id, tokenizer.pad_token_id]
    options = {"max_thinking_tokens": [2, 6], "max_answer_tokens": most, "max_new_tokens": 60}
    short, long = generate(model, tokenizer, users, **options, **mode)
    closing = 2  # a newline and the delimiter
    assert [len(c.token_ids) for c in (short, long)] == [2 + closing + most, 6 + closing + most]
    assert [len(c.forced) for c in (short, long)] == [2 + closing + most, 6 + closing + most]


def test_padding_where_the_model_would_have_ended_is_no_generated_token():
    """In a batch a row has the tokens that it has alone, also if its last wish was the id that it is padded with."""
    tokenizer = toy_tokenizer("opened")
    tokenizer.pad_token = tokenizer.eos_token
    wants = {
        prompt_of(tokenizer, "a"): "ab</think>xyz<|im_end|>",
        prompt_of(tokenizer, "b"): "ababab</think>xyz<|im_end|>",
    }
    model = wanting(tokenizer, wants)
    options = {"max_answer_tokens": 3, "max_new_tokens": 60}
    together = generate(model, tokenizer, ["a", "b"], **options)
    assert together == [generate(model, tokenizer, user, **options)[0] for user in ("a", "b")]


def test_both_criteria_and_one_of_the_users_stop_at_the_first():
    tokenizer, fmt = family_of("opened")
    prompt = prompt_of(tokenizer, "a")
    wants = {prompt: "abab</think>xyzxyz"}
    length = len(encode(tokenizer, prompt))
    end, answer = ThinkingEndCriteria(tokenizer, format=fmt), AnswerLengthCriteria(3, tokenizer, format=fmt)
    for criteria, want in [
        ((end, answer), "abab</think>"),
        ((answer, Until(length + 7)), "abab</think>xy"),
        ((answer, Until(length + 99)), "abab</think>xyz"),
    ]:
        assert texts(tokenizer, run(tokenizer, wants, *criteria)) == [want]


def test_the_number_of_answer_tokens_holds_for_every_beam():
    """Beams change places; each goes on from the row it came from."""
    tokenizer, fmt = family_of("opened")
    model = ToyModel(ToyConfig(vocab_size=len(tokenizer), seed=1)).eval()
    only = [*(encode(tokenizer, t)[0] for t in "abx"), fmt.close[0]]
    model.bias.data[:] = -30.0
    model.bias.data[only] = 0.0
    ids = torch.tensor([encode(tokenizer, prompt_of(tokenizer, "a"))])
    stop = AnswerLengthCriteria(3, tokenizer, format=fmt)
    out = model.generate(
        ids,
        stopping_criteria=[stop],
        num_beams=4,
        num_return_sequences=4,
        max_new_tokens=14,
        pad_token_id=tokenizer.pad_token_id,
        eos_token_id=tokenizer.eos_token_id,
    )
    rows = [[i for i in row if i != tokenizer.pad_token_id] for row in out[:, ids.shape[1] :].tolist()]
    assert len({row.index(fmt.close[0]) for row in rows}) >= 3  # they close at different places
    assert [len(row) - row.index(fmt.close[0]) - 1 for row in rows] == [3, 3, 3, 3]


def test_a_formats_name_resolves_in_criteria_as_in_the_processor():
    """Plain `<think>` by name on a ChatML tokenizer, which alone would be s1's."""
    tokenizer = byte_tokenizer(["<|im_start|>", "<|im_end|>"])
    prompt = tokenizer.apply_chat_template(
        [{"role": "user", "content": "a"}], tokenize=False, add_generation_prompt=True
    )
    wants = {prompt: "<think>ab</think>xyz"}
    assert texts(tokenizer, run(tokenizer, wants, ThinkingEndCriteria(tokenizer, format="think"))) == [
        "<think>ab</think>"
    ]
    assert [len(row) for row in run(tokenizer, wants, ThinkingEndCriteria(tokenizer, format="s1"))] == [40]


def test_interleaved_thinking_stops_at_its_first_end():
    tokenizer = toy_tokenizer("think")
    fmt = ThinkingFormat.from_delimiters(tokenizer, start="<think>", close="</think>", interleaved=True)
    wants = {prompt_of(tokenizer, "a"): "x<think>ab</think>y<think>c</think>z"}
    rows = run(tokenizer, wants, ThinkingEndCriteria(tokenizer, format=fmt))
    assert texts(tokenizer, rows) == ["x<think>ab</think>"]


def test_interleaved_answers_count_together():
    tokenizer = toy_tokenizer("think")
    fmt = ThinkingFormat.from_delimiters(tokenizer, start="<think>", close="</think>", interleaved=True)
    wants = {prompt_of(tokenizer, "a"): "<think>a</think>xy<think>b</think>xy<think>c</think>xy"}
    rows = run(tokenizer, wants, AnswerLengthCriteria(3, tokenizer, format=fmt))
    assert texts(tokenizer, rows) == ["<think>a</think>xy<think>b</think>x"]


def test_the_processors_ends_of_sequence_are_the_criterions():
    """Several EOS ids: the answer ends at any of them, and the next batch row goes on to its length."""
    tokenizer, _ = family_of("opened")
    other = tokenizer.pad_token_id
    users = ["a", "bc"]
    model = wanting(
        tokenizer, {prompt_of(tokenizer, "a"): "ab</think>x<|pad|>", prompt_of(tokenizer, "bc"): "a</think>xyz"}
    )
    ends = {"eos_token_id": [tokenizer.eos_token_id, other], "max_new_tokens": 30}
    kwargs = budget_forcing(model, tokenizer, max_answer_tokens=5, **ends)
    assert kwargs["logits_processor"][-1].format.ends[-1] == other
    first, second = generate(model, tokenizer, users, max_answer_tokens=5, **ends)
    assert (first.text, first.report.answer_tokens) == ("ab</think>x", 1)
    assert (second.text, second.report.answer_tokens) == ("a</think>xyzzz", 5)


def test_a_numpy_integer_is_an_answer_length_too():
    assert AnswerLengthCriteria(np.int64(7), S1).max_answer_tokens == 7


@pytest.mark.parametrize("value", [0, -1, True, 1.5, "3", [3]], ids=repr)
def test_an_answer_length_that_is_no_length_is_refused(value):
    for build in (
        lambda: AnswerLengthCriteria(value, S1),
        lambda: forcing(max_answer_tokens=value),
        lambda: generating(max_answer_tokens=value),
    ):
        with pytest.raises(ValueError) as error:
            build()
        assert str(error.value) == f"`max_answer_tokens` has to be an integer of at least 1, but is {value!r}."


def test_an_answer_length_has_to_be_given():
    with pytest.raises(ValueError, match="`max_answer_tokens` has to be an integer of at least 1, but is None"):
        AnswerLengthCriteria(None, S1)


def test_an_answer_length_beyond_64_bits_is_no_limit():
    tokenizer, _ = family_of("opened")
    model = wanting(tokenizer, {prompt_of(tokenizer, "a"): "ab</think>xyz"})
    (completion,) = generate(model, tokenizer, "a", max_answer_tokens=10**30, max_new_tokens=8)
    assert completion.report.answer_tokens == 5  # as many as `max_new_tokens` leaves
