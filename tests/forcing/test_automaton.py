"""The tables of a format: cells, forced runs, what each token does, and texts that may not be forced."""

from __future__ import annotations

import pytest
import torch
from transformers import GenerationConfig

from misuse import PLAIN, S1, forcing, generating, processor
from placed_rows import PlacedRows
from s1_hf import Budget, BudgetForcingLogitsProcessor, ThinkingFormat
from s1_hf.forcing.automaton import Automaton
from s1_hf.forcing.report import Ended
from s1_hf.forcing.tables import State
from s1_hf.forcing.vocabulary import encode, ends_line, ends_sentence
from stances import forced_texts
from toys import byte_tokenizer, metaspace_tokenizer

UNFREE = "has to be free of delimiters and ends of sequence of the '{}' format, but is "


@pytest.mark.parametrize("build", [processor, forcing, generating])
@pytest.mark.parametrize("name", ["wait_text", "answer_prefix"])
@pytest.mark.parametrize("text", ["<|im_start|>", "a<|im_start|>think", "b <|im_start|>answer", "c<|im_end|>"])
def test_a_forced_text_with_a_delimiter_or_an_end_is_refused(build, name, text):
    """It would end the thinking, open it again, or end the sequence."""
    with pytest.raises(ValueError, match=f"`{name}` " + UNFREE.format("s1")):
        build(**{name: text})


def test_one_bad_wait_text_among_several_is_named():
    with pytest.raises(ValueError, match=r"`wait_text` has to be free .* but is 'b<\|im_end\|>' \(ids"):
        processor(wait_text=["a", "b<|im_end|>", "c"])


def test_an_end_of_sequence_of_the_generation_config_is_an_end_too():
    """Every id at which `generate` stops counts, not the tokenizer's alone."""
    config = GenerationConfig(eos_token_id=[S1.eos_token_id, encode(S1, "Hmm")[0]])
    processor(wait_text="Hmm")
    with pytest.raises(ValueError, match="`wait_text` " + UNFREE.format("s1") + "'Hmm'"):
        processor(wait_text="Hmm", generation_config=config)


@pytest.mark.parametrize("text", ["a</think>", "<think>"])
def test_an_answer_prefix_with_a_plain_delimiter_is_refused(text):
    """After closing, thinking does not reopen, and no second end delimiter is emitted."""
    with pytest.raises(ValueError, match="`answer_prefix` " + UNFREE.format("think")):
        BudgetForcingLogitsProcessor(PLAIN, answer_prefix=text)


def test_a_single_token_close_behind_a_plain_start_is_never_spelled_out():
    """If only `start` is plain, `close` is still one token: `<` is text, and the token itself is forced."""
    tokenizer = byte_tokenizer(["<|im_start|>", "<|im_end|>"], added=["</think>"])
    fmt = ThinkingFormat.from_delimiters(tokenizer, start="Hm begin", close="</think>")
    assert not fmt.plain
    prompts = ["<|im_start|>assistant\nHm begin ab <", "<|im_start|>assistant\nHm begin ab </"]
    assert forced_texts(tokenizer, fmt, prompts) == ["\n</think>", "\n</think>"]


SPACED = "{% for m in messages %}<|{{ m['role'] }}|>{{ m['content'] }}{% endfor %}<|assistant|><think>"


def test_forced_texts_have_no_space_of_the_tokenizers_own():
    """Tokenizers that put a space before a text (Llama 2, Mistral) add none to what is forced inside a text."""
    tokenizer = metaspace_tokenizer(["<|user|>", "<|assistant|>", "<think>", "</think>"], ["▁Wait", "Wait"], SPACED)
    fmt = ThinkingFormat.from_tokenizer(tokenizer)
    texts = ["<|assistant|><think>ab", "<|assistant|><think>ab\n"]
    forced = forced_texts(tokenizer, fmt, texts, answer_prefix="So:")
    assert forced == ["\n</think>\nSo:", "</think>\nSo:"]


def test_a_begun_plain_close_is_completed_without_a_space():
    """`</` is completed to `</think>`, not to `</ think>`, which the model does not know."""
    tokenizer = metaspace_tokenizer(["<|user|>", "<|assistant|>"], ["▁</", "</", "think", "▁think"], SPACED)
    fmt = ThinkingFormat.from_tokenizer(tokenizer)
    assert fmt.plain
    assert forced_texts(tokenizer, fmt, ["<|assistant|><think>ab</"]) == ["think>"]


# -- cells and forced runs ----------------------------------------------------------------------------------------


def test_a_forced_run_leads_to_where_it_says_one_token_at_a_time():
    rows = PlacedRows("think", wait_text="Hm Wait")
    state = rows.placed(rows.automaton.wait_cells[0], thinking_tokens=4)
    assert rows.forced_from(state.cell) == "Hm Wait"
    after = rows.after("Hm Wait", state)
    assert (after.cell, after.thinking_tokens) == (rows.automaton.hold, 7)


def test_the_closing_run_counts_only_the_prefix_as_answer():
    rows = PlacedRows("think", max_thinking_tokens=5, answer_prefix="So:")
    cut = rows.automaton.cells[rows.automaton.think].cut_after_text
    after = rows.after("\n</think>\nSo:", rows.placed(cut, thinking_tokens=5))
    assert rows.forced_from(cut) == "\n</think>\nSo:"
    assert (after.cell, after.thinking_tokens, after.answer_tokens) == (rows.automaton.answer, 5, 4)


def test_the_opening_run_opens_thinking_with_its_last_token():
    rows = PlacedRows("s1")
    (first, *_) = rows.automaton.openings.values()
    begun = rows.after("<|im_start|>", State(first))
    assert (begun.ended, rows.after("think", begun).ended) == (Ended.NEVER_STARTED, Ended.UNFINISHED)
    assert rows.after("think", begun).cell == rows.automaton.think


def test_a_format_that_awaits_thinking_forces_no_opening():
    assert PlacedRows("think").automaton.openings == {}


def test_only_thinking_cells_stand_under_budgets():
    automaton = PlacedRows("plain").automaton
    thinking = [cell for cell, fixed in enumerate(automaton.cells) if fixed.thinking]
    assert thinking == list(range(automaton.think, automaton.hold + 1))
    assert all(automaton.cells[cell].forced < 0 for cell in thinking)


def test_an_end_of_sequence_in_the_answer_ends_the_row():
    rows = PlacedRows("think")
    assert rows.after("<|im_end|>", rows.placed("answer")).cell == rows.automaton.done
    assert rows.after("ab", rows.placed("done")).answer_tokens == 0


def test_the_longest_closing_is_a_newline_the_delimiter_the_answer_block_and_the_prefix():
    harmony = PlacedRows("harmony", answer_prefix="So:").automaton
    assert harmony.max_closing == 1 + len(harmony.format.close) + len(harmony.format.answer_start) + len("\nSo:")
    assert len(harmony.format.answer_start) == 7
    assert PlacedRows("think", answer_prefix=None).automaton.max_closing == 1 + 1


def test_the_largest_id_is_that_of_a_delimiter_or_a_forced_text():
    rows = PlacedRows("think")
    assert rows.automaton.largest_id == rows.id("</think>")
    tokenizer = byte_tokenizer(["<|im_start|>", "<|im_end|>"], added=["Moreover"])
    automaton = Automaton(tokenizer, ThinkingFormat.from_tokenizer(tokenizer, "s1"), Budget(wait_text="Moreover"))
    assert automaton.largest_id == encode(tokenizer, "Moreover")[0]


# -- tables -------------------------------------------------------------------------------------------------------


def test_tables_know_ends_lines_and_waits():
    rows = PlacedRows("think", wait_text=["Wait", "Hm Wait"], cut_text="ab")
    tables = rows.tables
    tokens = torch.arange(tables.num_ids)
    assert tables.is_end(tokens).nonzero()[:, 0].tolist() == sorted(rows.automaton.format.ends)
    assert {rows.texts[i] for i in tables.ends_line(tokens).nonzero()[:, 0].tolist()} == {"\n", "\n\n", ">\n"}
    assert tables.wait_lengths.tolist() == [1, 3]
    assert [rows.forced_from(cell) for cell in rows.automaton.wait_cells] == ["Wait", "Hm Wait"]
    assert (tables.message_length, tables.has_wait, tables.close_first) == (2, True, rows.id("</think>"))
    assert PlacedRows("think", wait_text=None).tables.has_wait is False


@pytest.mark.parametrize(
    ("text", "line", "sentence"),
    [
        ("\n", True, True),
        ("a.\n", True, True),
        (".", False, True),
        ('?"', False, True),
        ("!) ", False, True),
        ("…", False, True),
        ("。」", False, False),
        (".a", False, False),
        (",", False, False),
        ("", False, False),
    ],
)
def test_soft_ends_are_ends_of_lines_or_of_sentences(text, line, sentence):
    """Spaces, closing quotes and brackets aside; 」 is none of those that are known."""
    assert [ends_line(text), ends_line(text) or ends_sentence(text)] == [line, sentence]


# -- one for every batch ------------------------------------------------------------------------------------------


def test_the_same_texts_share_an_automaton_whatever_the_budgets_and_others_do_not():
    tokenizer = byte_tokenizer(["<|im_start|>", "<|im_end|>"])
    fmt = ThinkingFormat.from_tokenizer(tokenizer, "s1")
    one = Automaton.of(tokenizer, fmt, Budget(max_thinking_tokens=3), [5])
    assert Automaton.of(tokenizer, fmt, Budget(max_thinking_tokens=[9, 1]), (5,)) is one
    assert Automaton.of(tokenizer, fmt, Budget(wait_text="Hm", num_ignores=1), [5]) is not one
    assert Automaton.of(tokenizer, fmt, None, [5]) is not one
    assert Automaton.of(tokenizer, fmt, Budget(max_thinking_tokens=3)) is not one


def test_a_tokenizer_that_has_grown_gets_a_new_automaton():
    tokenizer = byte_tokenizer(["<|im_start|>", "<|im_end|>"])
    fmt = ThinkingFormat.from_tokenizer(tokenizer, "s1")
    before = Automaton.of(tokenizer, fmt).tables
    tokenizer.add_tokens(["new\n"])
    after = Automaton.of(tokenizer, fmt).tables
    assert after.num_ids == before.num_ids + 1
    assert after.ends_line(torch.tensor(before.num_ids))


def test_tables_first_made_in_inference_mode_serve_gradients_later():
    tokenizer = byte_tokenizer(["<|im_start|>", "<|im_end|>"])
    with torch.inference_mode():
        tables = Automaton.of(tokenizer, ThinkingFormat.from_tokenizer(tokenizer, "s1")).tables
    assert not any(value.is_inference() for value in vars(tables).values() if isinstance(value, torch.Tensor))
