"""LoopGuard: what repeats itself and what does not, to the token, and what follows when thinking is closed for it."""

from __future__ import annotations

import itertools
import random
from collections.abc import Sequence
from typing import Any

import pytest
import torch

from s1_hf import BudgetForcingLogitsProcessor, LoopGuard, Report, ThinkingFormat, generate
from s1_hf.forcing.loops import looping
from s1_hf.forcing.vocabulary import encode
from toys import tiny_qwen2, toy_tokenizer
from wishes import FAMILIES, family_of, opening, prompt_of, wanting

LETTERS = "abcdefghijklmnopqrstuvwxyz"


def thinking(text: str, guard: LoopGuard | None, *, own: str = "", **options: Any) -> tuple[Report, str]:
    """The report and the thinking of a model that wants to think `text` and then `z`s, after having thought `own`."""
    tokenizer, fmt = family_of("opened")
    model = wanting(tokenizer, {prompt_of(tokenizer, "q", own): text + "z"})
    prompt = prompt_of(tokenizer, "q", own)
    tokenizer = toy_tokenizer("opened")
    tokenizer.chat_template = None  # the prompt is given as it stands
    fmt = ThinkingFormat.from_delimiters(tokenizer, start="<think>", close="</think>", turn="<|im_start|>assistant")
    options = {"max_new_tokens": len(encode(tokenizer, text)) + 20, "format": fmt, "loop_guard": guard} | options
    (completion,) = generate(model, tokenizer, prompt, **options)
    return completion.report, completion.thinking


def endless(letters: str, count: int) -> str:
    """The first `count` letters of `letters` over and over."""
    return "".join(itertools.islice(itertools.cycle(letters), count))


def obvious(tokens: Sequence[int], guard: LoopGuard) -> bool:
    """The docstring's words: the last `max(repeats * p, min_tokens)` tokens have a period of `p`, for some `p`."""
    for p in range(1, guard.max_period + 1):
        stretch = max(guard.repeats * p, guard.min_tokens)
        tail = tokens[-stretch:]
        if len(tail) == stretch and all(a == b for a, b in zip(tail, tail[p:], strict=False)):
            return True
    return False


# -- what matches -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("guard", "period", "closes_at"),
    [
        (LoopGuard(max_period=4, repeats=3, min_tokens=2), 1, 3),
        (LoopGuard(max_period=4, repeats=3, min_tokens=2), 2, 6),
        (LoopGuard(max_period=4, repeats=3, min_tokens=2), 4, 12),
        (LoopGuard(max_period=4, repeats=2, min_tokens=2), 4, 8),
        (LoopGuard(max_period=4, repeats=2, min_tokens=9), 1, 9),
        (LoopGuard(max_period=4, repeats=2, min_tokens=9), 2, 9),  # a stretch need not be whole periods
        (LoopGuard(max_period=4, repeats=2, min_tokens=9), 4, 9),
        (LoopGuard(max_period=4, repeats=3, min_tokens=9), 4, 12),
        (LoopGuard(max_period=1, repeats=5, min_tokens=5), 1, 5),
        (LoopGuard(), 1, 64),
        (LoopGuard(), 16, 64),
        (LoopGuard(), 17, 68),
        (LoopGuard(), 20, 80),
    ],
)
def test_a_loop_is_closed_at_the_first_token_that_completes_it(guard, period, closes_at):
    """The longer of `repeats` periods and `min_tokens`, not one token sooner."""
    report, thought = thinking(endless(LETTERS[:period], 90), guard)
    assert (report.thinking_tokens, report.ended) == (closes_at, "looped")
    assert thought == endless(LETTERS[:period], closes_at)
    report, _ = thinking(endless(LETTERS[:period], closes_at - 1) + "zx</think>", guard)
    assert (report.thinking_tokens, report.ended) == (closes_at + 1, "natural")


@pytest.mark.parametrize("period", [5, 6, 9])
def test_a_loop_with_a_longer_period_is_none(period):
    """Whatever `repeats` is; its own period is what counts, not a multiple of it."""
    guard = LoopGuard(max_period=4, repeats=2, min_tokens=2)
    report, _ = thinking(endless(LETTERS[:period], 60), guard, max_new_tokens=60)
    assert (report.thinking_tokens, report.ended) == (60, "unfinished")
    report, _ = thinking(endless(LETTERS[:period], 60), LoopGuard(max_period=period, repeats=2, min_tokens=2))
    assert (report.thinking_tokens, report.ended) == (2 * period, "looped")


@pytest.mark.parametrize(
    "text",
    [
        "a1b a2b a3b a4b a5b a6b a7b a8b",  # a counter
        "abcabcabxabcabcabxabcabcabx",  # one letter off in every third round
        "abcdabcdabc",  # not yet three times
        "aab" + "bba" + "abb",
    ],
)
def test_text_that_changes_is_no_loop(text):
    report, thought = thinking(text + "</think>", LoopGuard(max_period=8, repeats=3, min_tokens=6))
    assert (report.ended, thought) == ("natural", text)


def test_a_loop_may_begin_after_other_thoughts():
    """The last tokens count, wherever the loop began."""
    report, thought = thinking("here we go: " + endless("xy", 40), LoopGuard(max_period=4, repeats=4, min_tokens=4))
    assert (report.ended, thought) == ("looped", "here we go: xyxyxyxy")


def test_the_numbers_mean_what_the_docstring_says_on_random_text():
    """Tokens of two kinds, all small guards: the tensor code agrees with the sentence, over every length."""
    rng = random.Random(0)
    seen = {True: 0, False: 0}
    for _ in range(400):
        guard = LoopGuard(max_period=rng.randint(1, 5), repeats=rng.randint(2, 4), min_tokens=rng.randint(2, 9))
        loop = [rng.randint(0, 1) for _ in range(rng.randint(1, 5))]
        thoughts = [rng.randint(0, 1) for _ in range(rng.randint(0, 4))] + loop * rng.randint(1, 6)
        thoughts = thoughts[: rng.randint(1, len(thoughts))]
        before = [rng.randint(0, 1) for _ in range(rng.randint(0, 12))]  # a prompt, which may look like the loop
        ids = torch.tensor([before + thoughts])
        (match,) = looping(ids, torch.tensor([len(thoughts)]), guard).tolist()
        assert match == obvious(thoughts, guard)
        seen[match] += 1
    assert min(seen.values()) > 50


# -- what is looked at --------------------------------------------------------------------------------------------


@FAMILIES
def test_a_prompt_that_repeats_itself_is_no_loop(family):
    """User text and the template stand outside thinking; thoughts that go on in their rhythm start from nothing."""
    tokenizer, fmt = family_of(family)
    start = opening(family, fmt)
    user = "ab" * 30
    model = wanting(tokenizer, {prompt_of(tokenizer, user): f"{start}ababab{fmt.close_text}x"})
    guard = LoopGuard(max_period=2, repeats=4, min_tokens=4)
    (completion,) = generate(model, tokenizer, user, format=fmt, loop_guard=guard, max_new_tokens=40)
    assert (completion.report.thinking_tokens, completion.report.ended) == (6, "natural")


def test_thoughts_in_the_prompt_count():
    """They are thinking tokens: a loop that the prompt has begun is closed where it is completed."""
    guard = LoopGuard(max_period=2, repeats=4, min_tokens=4)
    report, thought = thinking("abab", guard, own="abab")
    assert (report.thinking_tokens, report.ended, thought) == (8, "looped", "abab")
    report, thought = thinking("ab", guard, own="ababababab")
    assert (report.thinking_tokens, report.ended, thought) == (10, "looped", "")


def test_the_opening_delimiters_and_the_templates_newline_do_not_count():
    """A newline behind `<think>` is the template's: three of the model's own are needed for three repeats."""
    report, _ = thinking("\n" * 20, LoopGuard(max_period=1, repeats=3, min_tokens=3))
    assert (report.thinking_tokens, report.ended) == (3, "looped")


def test_an_answer_that_repeats_itself_is_left_alone():
    report, _ = thinking("q</think>" + "ab" * 20, LoopGuard(max_period=2, repeats=2, min_tokens=2), max_new_tokens=42)
    assert (report.ended, report.answer_tokens, sum(report.forced)) == ("natural", 40, 1)


@pytest.mark.parametrize("family", ["think", "harmony", "magistral", "seed"])
def test_text_before_thinking_is_left_alone(family):
    tokenizer, fmt = family_of(family)
    model = wanting(tokenizer, {prompt_of(tokenizer, "q"): "ab" * 30})
    guard = LoopGuard(max_period=2, repeats=2, min_tokens=2)
    (completion,) = generate(model, tokenizer, "q", format=fmt, loop_guard=guard, max_new_tokens=40)
    assert (completion.report.ended, sum(completion.forced), len(completion.token_ids)) == ("never_started", 0, 40)


def test_forced_waits_are_part_of_the_loop():
    """A model that tries to end after each Wait goes round in circles of Waits, which is what the guard is for."""
    guard = LoopGuard(max_period=4, repeats=3, min_tokens=2)
    tokenizer, _ = family_of("opened")
    model = wanting(tokenizer, {prompt_of(tokenizer, "q"): "h" + "a</think>" * 30})
    (completion,) = generate(model, tokenizer, "q", num_ignores=20, loop_guard=guard, max_new_tokens=60)
    assert completion.report.ended == "looped"
    assert completion.thinking == "haWaitaWaitaWait"
    assert completion.report.ends_ignored == 3


# -- what follows -------------------------------------------------------------------------------------------------


@FAMILIES
@pytest.mark.parametrize("prefix", ["Final Answer:", None])
def test_closing_sequence_and_answer_prefix_follow_a_loop(family, prefix):
    """As after a cut: newline, delimiter, prefix on its own line; then the model answers."""
    tokenizer, fmt = family_of(family)
    start = opening(family, fmt)
    model = wanting(tokenizer, {prompt_of(tokenizer, "q"): f"{start}" + "ab" * 60})
    guard = LoopGuard(max_period=2, repeats=4, min_tokens=4)
    options = {"format": fmt, "loop_guard": guard, "answer_prefix": prefix, "max_new_tokens": 60}
    (completion,) = generate(model, tokenizer, "q", **options)
    closing = f"\n{fmt.close_text}{fmt.answer_start_text}" + ("" if prefix is None else f"\n{prefix}")
    assert completion.text.startswith(f"{start}abababab{closing}")
    assert completion.report.ended == "looped"
    forced = len(encode(tokenizer, "\n")) + len(fmt.close) + len(fmt.answer_start)
    forced += 0 if prefix is None else len(encode(tokenizer, f"\n{prefix}"))
    forced += len(fmt.start) if fmt.force_start else 0
    assert sum(completion.forced) == forced


def test_no_second_newline_follows_a_loop_of_lines():
    tokenizer, _ = family_of("opened")
    model = wanting(tokenizer, {prompt_of(tokenizer, "q"): "a\n" * 40})
    guard = LoopGuard(max_period=2, repeats=4, min_tokens=4)
    (completion,) = generate(model, tokenizer, "q", loop_guard=guard, answer_prefix=None, max_new_tokens=20)
    assert completion.text.startswith("a\n" * 4 + "</think>")


def test_a_loop_that_begins_the_delimiter_is_continued():
    """The plain delimiter's `</` over and over: the last one is completed, and is no thinking token."""
    tokenizer, fmt = family_of("plain")
    model = wanting(tokenizer, {prompt_of(tokenizer, "q"): "</" * 40})
    guard = LoopGuard(max_period=2, repeats=4, min_tokens=4)
    options = {"format": fmt, "loop_guard": guard, "answer_prefix": None, "max_new_tokens": 20}
    (completion,) = generate(model, tokenizer, "q", **options)
    assert completion.text.startswith("</</</</think></")
    assert (completion.report.ended, completion.report.thinking_tokens) == ("looped", 3)


def test_a_cap_at_the_same_token_is_a_cut():
    """The cap is checked first; one token more of room, and the loop is what ends thinking."""
    guard = LoopGuard(max_period=2, repeats=4, min_tokens=4)
    ended = [thinking("ab" * 30, guard, max_thinking_tokens=cap)[0].ended for cap in (7, 8, 9)]
    assert ended == ["cut", "cut", "looped"]


def test_an_end_attempt_at_the_token_that_completes_the_loop_is_a_loop():
    """The guard looks at what has been thought, before the model is asked for its next token."""
    guard = LoopGuard(max_period=2, repeats=4, min_tokens=4)
    assert thinking("abababab</think>", guard)[0].ended == "looped"
    assert thinking("abababa</think>", guard)[0].ended == "natural"


def test_ends_are_no_longer_ignored_once_a_loop_is_closed():
    """Ignores that are left do not keep a loop going."""
    report, thought = thinking("ab" * 30, LoopGuard(max_period=2, repeats=4, min_tokens=4), num_ignores=5)
    assert (report.ended, report.ends_ignored, thought) == ("looped", 0, "abababab")


@pytest.mark.parametrize("text", ["ab" * 30, "a" * 100])
def test_off_by_default(text):
    """The paper has no such guard: the loop goes on to its cap or the length limit."""
    report, _ = thinking(text, None, max_new_tokens=60)
    assert (report.ended, report.thinking_tokens) == ("unfinished", 60)
    tokenizer, _ = family_of("opened")
    assert BudgetForcingLogitsProcessor(tokenizer).budget.loop_guard is None


# -- rows and modes -----------------------------------------------------------------------------------------------


def test_each_row_of_a_batch_is_looked_at_for_itself():
    """Left-padded rows of different lengths: loops of different periods, no loop, a loop in the prompt, a cap."""
    tokenizer, _ = family_of("opened")
    users = ["q", "ababababababab", "rst", "uvwxyz", "m"]
    wants = ["a" * 60, "0123456789</think>x", "xyz" * 20, "k" + "ab" * 30, "ab" * 30]
    model = wanting(tokenizer, {prompt_of(tokenizer, u): w for u, w in zip(users, wants, strict=True)})
    guard = LoopGuard(max_period=3, repeats=3, min_tokens=5)
    caps = [None, None, None, None, 4]
    options = {"loop_guard": guard, "max_thinking_tokens": caps, "max_new_tokens": 50}
    reports = [c.report for c in generate(model, tokenizer, users, **options)]
    assert [(r.thinking_tokens, r.ended) for r in reports] == [
        (5, "looped"),
        (10, "natural"),
        (9, "looped"),
        (7, "looped"),
        (4, "cut"),
    ]


def test_a_batch_is_what_its_rows_are_alone():
    tokenizer, _ = family_of("opened")
    users = ["q", "rst", "u" * 11]
    wants = ["aab" * 30, "ab" * 30, "hello hello hello hello"]
    model = wanting(tokenizer, {prompt_of(tokenizer, u): w for u, w in zip(users, wants, strict=True)})
    guard = LoopGuard(max_period=6, repeats=3, min_tokens=7)
    options = {"loop_guard": guard, "max_new_tokens": 60}
    together = generate(model, tokenizer, users, **options)
    alone = [generate(model, tokenizer, user, **options)[0] for user in users]
    assert [c.report.ended for c in together] == ["looped"] * 3
    assert [(c.text, c.report) for c in together] == [(c.text, c.report) for c in alone]


@pytest.mark.parametrize("mode", [{"do_sample": True}, {"num_beams": 2}], ids=str)
def test_a_loop_is_closed_when_sampling_and_in_beams(mode):
    tokenizer, _ = family_of("opened")
    model = wanting(tokenizer, {prompt_of(tokenizer, "q"): "ab" * 60})
    model.generation_config.pad_token_id = tokenizer.pad_token_id
    guard = LoopGuard(max_period=2, repeats=4, min_tokens=4)
    (completion, *_) = generate(model, tokenizer, "q", loop_guard=guard, max_new_tokens=40, **mode)
    assert (completion.report.thinking_tokens, completion.report.ended) == (8, "looped")
    assert completion.text.startswith("abababab\n</think>\nFinal Answer:")


@pytest.mark.parametrize("seed", range(4))
def test_a_loop_is_closed_at_the_same_token_when_drafts_are_taken_back(seed):
    """Assisted decoding drafts a loop's next rounds itself; what it takes back does not count."""
    tokenizer, _ = family_of("opened")
    torch.manual_seed(seed)
    model = tiny_qwen2(tokenizer, hidden_size=16, initializer_range=1.0)
    model.lm_head.bias = torch.nn.Parameter(torch.full((len(tokenizer),), -200.0))
    model.lm_head.bias.data[[encode(tokenizer, t)[0] for t in "abxyz"]] = 0.0
    guard = LoopGuard(max_period=8, repeats=3, min_tokens=6)
    plain, assisted = (
        generate(model, tokenizer, "q", loop_guard=guard, max_new_tokens=80, **options)[0]
        for options in ({}, {"prompt_lookup_num_tokens": 4})
    )
    assert plain.report.ended == "looped"  # a model this small goes round in circles
    assert assisted == plain
