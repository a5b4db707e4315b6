"""`generate` and `budget_forcing`: prompts, defaults, lengths, and completions whose fields agree with each other."""

from __future__ import annotations

import copy
import logging
import random
import threading
from typing import Any

import numpy as np
import pytest
import torch
from test_bad_input import Untouched, tiny_qwen2
from test_criteria import FAMILIES, Until, family_of, opening, prompt_of, wanting
from test_formats import bug, byte_tokenizer, qwen
from transformers import GenerationConfig, LogitsProcessor, LogitsProcessorList, StoppingCriteria, StoppingCriteriaList
from transformers.utils import logging as transformers_logging

from s1_hf import BudgetForcingLogitsProcessor, Completion, ThinkingFormat, budget_forcing, generate
from s1_hf.forcing.vocabulary import Vocabulary, encode
from shared_data import needs_shared
from toys import CHATML, ToyConfig, toy_model, toy_tokenizer

UNSEEN = pytest.fail.Exception
ANSWER = "\nFinal Answer:"


def chat(*contents: str) -> list[dict[str, str]]:
    """User and assistant in turn."""
    return [{"role": ("user", "assistant")[i % 2], "content": content} for i, content in enumerate(contents)]


def babbler(tokenizer: Any, seed: int = 0, likely: dict[int, float] | None = None, ends: bool = True, **config: Any):
    """A random model of a few words, which tries to end now and then."""
    fmt = ThinkingFormat.from_tokenizer(tokenizer)
    only = [*(encode(tokenizer, t)[0] for t in ("a", "b", "\n", "x", "Wait")), *(fmt.ends if ends else ())]
    model = toy_model(len(Vocabulary.of(tokenizer).texts), seed, likely, only)
    for name, value in config.items():
        setattr(model.config, name, value)
    return model


def length(tokenizer: Any, text: str) -> int:
    return len(encode(tokenizer, text))


# -- prompts ------------------------------------------------------------------------------------------------------


def test_a_text_is_a_user_message_and_a_chat_is_taken_as_it_is():
    """Alone or in a list, a list or a tuple, texts and chats together: the same prompts give the same completions."""
    tokenizer = toy_tokenizer("s1")
    model = babbler(tokenizer)
    options = {"max_thinking_tokens": 5, "max_new_tokens": 30}
    (one,) = generate(model, tokenizer, "ab", **options)
    assert one.report.thinking_tokens > 0
    for prompts in (chat("ab"), tuple(chat("ab")), ["ab"], [chat("ab")], ("ab",), [tuple(chat("ab"))]):
        assert generate(model, tokenizer, prompts, **options) == [one]
    both = generate(model, tokenizer, ["ab", chat("c", "d", "ab")], **options)
    assert both[0] == one != both[1]


def test_a_text_without_a_chat_template_is_the_prompt():
    tokenizer, _ = family_of("seed")
    model = wanting(tokenizer, {"hello<seed:think>": "ab</seed:think>xyz"})
    (completion,) = generate(model, tokenizer, "hello<seed:think>", max_new_tokens=5)
    assert (completion.thinking, completion.answer, completion.text) == ("ab", "xy", "ab</seed:think>xy")


@pytest.mark.parametrize("family", ["s1", "think", "opened", "harmony", "magistral"])
def test_a_batch_is_what_its_prompts_are_alone(family):
    """Left padding, longer neighbours and their budgets change no row."""
    tokenizer, fmt = family_of(family)
    only = [*(encode(tokenizer, t)[0] for t in "abx"), *fmt.start, *fmt.close, *fmt.ends]
    model = toy_model(len(tokenizer), 3, {i: -1.0 for i in fmt.ends}, only)
    prompts = ["a", chat("abcdefgh"), chat("a", f"{fmt.start_text}x{fmt.close_text}y", "b"), "x" * 30]
    caps, ignores = [4, None, 0, 9], [1, 0, 3, 2]
    options = {"format": fmt, "max_new_tokens": 40}
    together = generate(model, tokenizer, prompts, max_thinking_tokens=caps, num_ignores=ignores, **options)
    alone = [
        generate(model, tokenizer, [prompt], max_thinking_tokens=cap, num_ignores=n, **options)[0]
        for prompt, cap, n in zip(prompts, caps, ignores, strict=True)
    ]
    assert together == alone
    assert len({c.text for c in together}) >= 3


@pytest.mark.parametrize(
    ("own", "thinking", "answer", "ended", "count"),
    [
        ("<think>\nab", "xyz", "uvw", "natural", 5),
        ("<think>\n", "xyz", "uvw", "natural", 3),
        ("<think>\nab\n\nc\n", "xyz", "uvw", "natural", 8),  # only the template's white space is not counted
        ("<think>\nab</think>", "", "xyz</think>uvw", "never_started", 0),
        ("hello", "", "xyz</think>uvw", "never_started", 0),
        ("hello <think>", "xyz", "uvw", "natural", 3),
    ],
)
def test_a_chat_that_ends_with_an_assistant_message_is_continued(own, thinking, answer, ended, count):
    """The message is no part of the completion's text, though its thoughts are thinking tokens of the report."""
    tokenizer, _ = family_of("think")
    prompt = prompt_of(tokenizer, "q", own)
    model = wanting(tokenizer, {prompt: "xyz</think>uvw"})
    if ended == "never_started":  # written out, so that the tag is text even where it is banned or means nothing
        model.wants = {k: encode(tokenizer, "xyz") for k in model.wants}
        answer = "xyzzzzz"
    (completion,) = generate(model, tokenizer, chat("q", own), max_new_tokens=7)
    assert (completion.thinking, completion.answer) == (thinking, answer)
    assert (completion.report.ended, completion.report.thinking_tokens) == (ended, count)
    assert length(tokenizer, completion.text) == len(completion.token_ids) == 7


@needs_shared
def test_thoughts_begun_in_an_assistant_message_are_continued_on_qwen3():
    """Thinking that the prompt's assistant turn has opened goes on; here the cap of 0 has to close it at once."""
    tokenizer = qwen("qwen3")
    torch.manual_seed(0)
    model = tiny_qwen2(tokenizer)
    options = {"max_thinking_tokens": 0, "max_new_tokens": 8}
    (completion,) = generate(model, tokenizer, chat("q", "<think>\nLet me see"), **options)
    assert completion.text.startswith("\n</think>\nFinal Answer:")


def test_chat_template_kwargs_reach_the_template():
    tokenizer = toy_tokenizer("think")
    tokenizer.chat_template = CHATML.replace(
        "assistant\n{% endif %}", "assistant\n{% if not deep %}<think></think>{% endif %}{% endif %}"
    )
    model = babbler(tokenizer, likely={tokenizer.convert_tokens_to_ids("<think>"): 90.0}, ends=False)
    for deep, ended in ((True, "cut"), (False, "never_started")):
        options = {"max_thinking_tokens": 0, "max_new_tokens": 9}
        (completion,) = generate(model, tokenizer, "q", chat_template_kwargs={"deep": deep}, **options)
        assert completion.report.ended == ended


def test_a_beginning_of_sequence_comes_from_the_template_alone():
    """It is not put before the text a second time by the tokenizer."""
    tokenizer = byte_tokenizer(
        ["<|im_start|>", "<|im_end|>", "<s>"], template="{{ bos_token }}" + CHATML, bos_token="<s>"
    )
    tokenizer.backend_tokenizer.post_processor = beginning("<s>", tokenizer)
    assert encode(tokenizer, "a") != tuple(tokenizer("a")["input_ids"])  # it does put one before a text
    seen = prompts_seen(tokenizer, "a")
    assert seen.count(tokenizer.bos_token_id) == 1 and seen[0] == tokenizer.bos_token_id


def test_a_text_without_a_template_gets_its_beginning_of_sequence():
    """A base model's prompt is what its tokenizer makes of the text."""
    tokenizer = byte_tokenizer(["<|im_start|>", "<|im_end|>", "<s>"], template=None, bos_token="<s>")
    tokenizer.backend_tokenizer.post_processor = beginning("<s>", tokenizer)
    assert prompts_seen(tokenizer, "ab") == tokenizer("ab")["input_ids"]


def beginning(token: str, tokenizer: Any) -> Any:
    from tokenizers.processors import TemplateProcessing

    return TemplateProcessing(single=f"{token} $A", special_tokens=[(token, tokenizer.convert_tokens_to_ids(token))])


def prompts_seen(tokenizer: Any, prompt: Any) -> list[int]:
    """The ids that the model's first forward pass gets."""
    model = babbler(tokenizer)
    seen: list[list[int]] = []
    model.register_forward_pre_hook(
        lambda _, args, kwargs: seen.append(kwargs["input_ids"][0].tolist()), with_kwargs=True
    )
    generate(model, tokenizer, prompt, max_new_tokens=1)
    return seen[0]


def test_prompts_and_settings_are_left_as_they_were():
    """Chats, budgets, processors, criteria, configurations: nothing of the caller's is changed."""
    tokenizer = toy_tokenizer("s1")
    model = babbler(tokenizer)
    given = {
        "prompts": [chat("a", "<|im_start|>think b"), chat("c")],
        "max_thinking_tokens": [3, None],
        "logits_processor": LogitsProcessorList([Ban(5)]),
        "stopping_criteria": StoppingCriteriaList([Until(99)]),
        "generation_config": GenerationConfig(max_new_tokens=9),
        "chat_template_kwargs": {"deep": True},
    }
    before = {k: copy.deepcopy(v) for k, v in given.items() if k not in ("logits_processor", "stopping_criteria")}
    defaults = model.generation_config.to_dict()
    generate(model, tokenizer, given["prompts"], **{k: v for k, v in given.items() if k != "prompts"})
    for name, value in before.items():
        now = given[name]
        assert (now.to_dict() == value.to_dict()) if isinstance(now, GenerationConfig) else now == value
    assert (len(given["logits_processor"]), len(given["stopping_criteria"])) == (1, 1)
    assert model.generation_config.to_dict() == defaults


# -- several rows of a prompt -------------------------------------------------------------------------------------


@pytest.mark.parametrize("mode", [{"do_sample": True}, {"num_beams": 3}], ids=["sample", "beam"])
def test_num_return_sequences_come_prompt_by_prompt_with_their_prompts_budget(mode):
    tokenizer = toy_tokenizer("s1")
    model = babbler(tokenizer, ends=False)
    torch.manual_seed(0)
    options = {"max_thinking_tokens": [2, 7], "num_return_sequences": 3, "max_new_tokens": 24, **mode}
    completions = generate(model, tokenizer, ["a", "bcdef"], **options)
    assert [c.report.thinking_tokens for c in completions] == [2, 2, 2, 7, 7, 7]
    assert len({c.token_ids for c in completions}) >= 4


def test_the_same_seed_gives_the_same_completions_and_greedy_draws_nothing():
    """Sampling takes its randomness from torch's generator; greedy decoding leaves it alone."""
    tokenizer = toy_tokenizer("s1")
    model = babbler(tokenizer)
    options = {"num_ignores": 1, "max_new_tokens": 30, "do_sample": True, "num_return_sequences": 8}
    torch.manual_seed(3)
    first = generate(model, tokenizer, "a", **options)
    torch.manual_seed(3)
    assert generate(model, tokenizer, "a", **options) == first
    assert len({c.text for c in first}) > 1
    state = torch.get_rng_state()
    generate(model, tokenizer, "a", num_ignores=1, max_new_tokens=30)
    assert torch.equal(torch.get_rng_state(), state)


# -- completions --------------------------------------------------------------------------------------------------


def agreed(tokenizer: Any, fmt: ThinkingFormat, completion: Completion, opened: bool) -> None:
    """Every field follows from the ids, the mask and the delimiters."""
    ids, report = list(completion.token_ids), completion.report
    assert completion.forced == report.forced and len(completion.forced) == len(ids)
    body = ids[:-1] if ids[-1:] == [tokenizer.eos_token_id] else ids
    assert completion.text == tokenizer.decode(body, skip_special_tokens=False)
    begin = 0 if opened else find(body, fmt.start) + len(fmt.start)
    if not opened and find(body, fmt.start) < 0:
        assert (report.ended, report.thinking_tokens, completion.thinking) == ("never_started", 0, "")
        assert report.answer_tokens == completion.forced[: len(body)].count(False)  # a start may be forced in part
        return
    end = find(body, fmt.close, begin)
    if end < 0:  # generation stopped while thinking, or inside the closing delimiter
        assert completion.answer == "" and report.answer_tokens == 0
        if report.ended == "unfinished":
            assert report.thinking_tokens == len(body) - begin
            assert completion.thinking == tokenizer.decode(body[begin:]).strip()
        return
    answer = body[end + len(fmt.close) :]
    assert completion.answer == tokenizer.decode(answer, skip_special_tokens=True).strip()
    assert report.answer_tokens == len(answer)
    line = report.ended == "cut" and completion.forced[end - 1] and end > begin + report.thinking_tokens
    assert report.thinking_tokens == end - begin - line
    assert completion.thinking == tokenizer.decode(body[begin:end]).strip()
    assert all(completion.forced[end + 1 : end + len(fmt.close)])


def find(ids: list[int], part: tuple[int, ...], start: int = 0) -> int:
    return next((i for i in range(start, len(ids) - len(part) + 1) if tuple(ids[i : i + len(part)]) == part), -1)


@pytest.mark.parametrize("family", ["s1", "think", "opened", "harmony", "magistral", "seed"])
def test_completions_agree_with_themselves_and_their_report(family):
    """Thinking, answer, text, ids and mask of random batches, under random budgets, read again from the ids."""
    tokenizer, fmt = family_of(family)
    rng = random.Random(family)
    only = [*(encode(tokenizer, t)[0] for t in ("a", "b", "\n", "x")), *fmt.start, *fmt.close, *fmt.ends]
    ended = set()
    for _ in range(25):
        likely = {i: rng.choice([-2.0, 0.0, 2.0]) for i in only}
        model = toy_model(len(tokenizer), rng.randrange(10**6), likely, only)
        options = {
            "max_thinking_tokens": rng.choice([None, rng.randint(0, 12)]),
            "num_ignores": rng.randint(0, 2),
            "max_new_tokens": rng.choice([rng.randint(1, 12), rng.randint(12, 50)]),
            "answer_prefix": rng.choice([None, "Final Answer:"]),
            "do_sample": rng.random() < 0.3,
        }
        own = fmt.start_text if family != "opened" and rng.random() < 0.7 else ""
        prompts: list[Any] = ["q" + own, "rstuv" + own]
        if tokenizer.chat_template:
            prompts = [chat(user, own) if own else chat(user) for user in ("q", "rstuv")]
        for completion in generate(model, tokenizer, prompts, format=fmt, **options):
            agreed(tokenizer, fmt, completion, opened=family == "opened" or bool(own))
            ended.add(completion.report.ended)
    assert {"natural", "cut", "unfinished"} <= ended


def test_the_end_of_sequence_is_an_id_and_no_text():
    tokenizer, _ = family_of("opened")
    model = wanting(tokenizer, {prompt_of(tokenizer, "q"): "ab</think>xy<|im_end|>"})
    (completion,) = generate(model, tokenizer, "q", max_new_tokens=20)
    assert completion.token_ids == encode(tokenizer, "ab</think>xy<|im_end|>")
    assert (completion.text, completion.answer) == ("ab</think>xy", "xy")
    assert completion.report.answer_tokens == 2


def test_a_cut_has_its_newline_neither_in_the_thinking_nor_in_its_count():
    tokenizer, _ = family_of("opened")
    model = wanting(tokenizer, {prompt_of(tokenizer, "q"): "abcdef"})
    (completion,) = generate(model, tokenizer, "q", max_thinking_tokens=3, max_new_tokens=40)
    assert (completion.thinking, completion.report.thinking_tokens) == ("abc", 3)
    assert completion.text.startswith("abc\n</think>\nFinal Answer:")
    assert completion.answer.startswith("Final Answer:")
    assert completion.forced[:5] == (False, False, False, True, True)


def test_thinking_and_answer_are_what_the_plain_tags_stand_between():
    """Whatever tokens the model spells them in, and whatever reaches over their edges."""
    tokenizer, fmt = family_of("plain")
    ids = [*encode(tokenizer, "ab</th"), *encode(tokenizer, "ink"), *encode(tokenizer, ">\n"), *encode(tokenizer, "xy")]
    model = wanting(tokenizer, {prompt_of(tokenizer, "q"): ids})
    (completion,) = generate(model, tokenizer, "q", format=fmt, max_new_tokens=len(ids))
    assert (completion.thinking, completion.answer) == ("ab", "xy")
    assert (completion.report.thinking_tokens, completion.report.answer_tokens) == (2, 2)


def test_a_model_that_never_thinks_has_only_an_answer():
    tokenizer, _ = family_of("think")
    model = wanting(tokenizer, {prompt_of(tokenizer, "q"): "xyz<|im_end|>"})
    (completion,) = generate(model, tokenizer, "q", max_thinking_tokens=2, num_ignores=3, max_new_tokens=20)
    assert (completion.thinking, completion.answer, completion.text) == ("", "xyz", "xyz")
    assert (completion.report.ended, completion.report.answer_tokens) == ("never_started", 3)


def test_a_harmony_answer_without_analysis_is_the_final_message():
    """gpt-oss may answer at once; the header of the final channel is no part of the answer."""
    tokenizer, _ = family_of("harmony")
    model = wanting(tokenizer, {prompt_of(tokenizer, "q"): "<|channel|>final<|message|>xyz<|return|>"})
    (completion,) = generate(model, tokenizer, "q", max_new_tokens=20)
    assert (completion.report.ended, completion.answer) == ("never_started", "xyz")


def test_interleaved_thoughts_are_all_in_the_completion():
    tokenizer, _ = family_of("think")
    fmt = ThinkingFormat.from_delimiters(tokenizer, start="<think>", close="</think>", interleaved=True)
    want = "<think>ab</think>xy<think>cde</think>uv<|im_end|>"
    model = wanting(tokenizer, {prompt_of(tokenizer, "q"): want})
    (completion,) = generate(model, tokenizer, "q", format=fmt, max_new_tokens=40)
    assert completion.report.thinking_tokens == 5
    assert "ab" in completion.thinking and "cde" in completion.thinking
    assert completion.report.answer_tokens == 4


def test_interleaved_blocks_share_one_budget():
    """Ignores and tokens of an earlier block are used up in the next; the cap holds for all together."""
    tokenizer, _ = family_of("think")
    fmt = ThinkingFormat.from_delimiters(tokenizer, start="<think>", close="</think>", interleaved=True)
    want = "<think>a</think>b</think>xy<think>cdefg"
    model = wanting(tokenizer, {prompt_of(tokenizer, "q"): want})
    options = {"num_ignores": 1, "max_thinking_tokens": 6, "answer_prefix": "So:", "max_new_tokens": 18}
    (completion,) = generate(model, tokenizer, "q", format=fmt, **options)
    # Thinking tokens: a, Wait, b, then c, d, e; ends ignored: the first alone.
    assert completion.text.startswith("<think>aWaitb</think>xy<think>cde\n</think>\nSo:")
    assert (completion.report.ends_ignored, completion.report.thinking_tokens) == (1, 6)


# -- budgets through generate -------------------------------------------------------------------------------------


@FAMILIES
@pytest.mark.parametrize("prefix", ["Final Answer:", None])
def test_no_thinking_at_all_with_a_cap_of_0(family, prefix):
    """Closed at once behind the opening delimiter, on a line of its own, with the prefix on the next."""
    tokenizer, fmt = family_of(family)
    start = opening(family, fmt)
    model = wanting(tokenizer, {prompt_of(tokenizer, "q"): f"{start}xyz"})
    options = {"format": fmt, "max_thinking_tokens": 0, "answer_prefix": prefix, "max_new_tokens": 60}
    (completion,) = generate(model, tokenizer, "q", **options)
    line = "\n" if start else ""  # the template's `<think>` has its newline already
    closing = [line, fmt.close_text, ANSWER if prefix else ""]
    assert completion.text.startswith(start + "".join(closing))
    assert (completion.thinking, completion.report.ended, completion.report.thinking_tokens) == ("", "cut", 0)
    own, forced = length(tokenizer, start), sum(length(tokenizer, text) for text in closing)
    if fmt.force_start:
        own, forced = 0, own + forced
    assert (completion.forced.index(True), sum(completion.forced)) == (own, forced)


@FAMILIES
def test_a_single_new_token(family):
    """The smallest length there is: one token, and a report about it."""
    tokenizer, fmt = family_of(family)
    model = wanting(tokenizer, {prompt_of(tokenizer, "q"): "xyz"})
    (completion,) = generate(model, tokenizer, "q", format=fmt, max_thinking_tokens=0, max_new_tokens=1)
    forced = family in ("s1", "opened", "plain")
    assert (len(completion.token_ids), completion.forced) == (1, (forced,))
    assert completion.report.ended == ("cut" if family in ("opened", "plain") else "never_started")


def test_waits_are_used_in_turn_and_start_over():
    """Each prompt goes through them for itself."""
    tokenizer, _ = family_of("opened")
    users, waits = ["q", "rstu"], ["One.", "Two, and more.", "3"]
    model = wanting(
        tokenizer,
        {prompt_of(tokenizer, u): [*encode(tokenizer, "a"), *encode(tokenizer, "</think>") * 200] for u in users},
    )
    for token in encode(tokenizer, "b"):
        model.bias.data[token] = 1.0
    options = {"num_ignores": [4, 2], "wait_text": waits, "max_new_tokens": 80}
    four, two = generate(model, tokenizer, users, **options)
    texts = [c.text.split("</think>")[0] for c in (four, two)]
    for text, n in zip(texts, (4, 2), strict=True):
        at = 0
        for i in range(n):
            at = text.index(waits[i % 3], at) + 1
    assert (four.report.ends_ignored, two.report.ends_ignored) == (4, 2)
    assert texts[1].count("3") == 0 and texts[0].count("One.") == 2


def test_ends_ignored_below_the_minimum_take_their_turn_of_the_waits():
    """The i-th ignored end has the i-th Wait, whether the minimum or an ignore was the reason."""
    tokenizer, _ = family_of("opened")
    model = wanting(tokenizer, {prompt_of(tokenizer, "q"): "a</think>" + "b</think>" * 4 + "c"})
    waits = ["1", "2", "3"]
    options = {"min_thinking_tokens": 3, "num_ignores": 2, "wait_text": waits, "max_new_tokens": 12}
    (completion,) = generate(model, tokenizer, "q", **options)
    assert completion.text.startswith("a1b2b3b</think>")  # at 1 thinking token below the minimum, then two ignores
    assert completion.report.ends_ignored == 3


@pytest.mark.parametrize("cap", [3, 4, 12, 13, 14, 15])
def test_a_wait_that_does_not_fit_under_the_cap_is_not_begun(cap):
    """An end is ignored if the Wait and one more token fit: 1 thought and 12 of the Wait need a cap of 14."""
    tokenizer, _ = family_of("opened")
    wait = "Let me check"
    assert length(tokenizer, wait) == 12
    model = wanting(
        tokenizer, {prompt_of(tokenizer, "q"): [*encode(tokenizer, "a"), *encode(tokenizer, "</think>") * 60]}
    )
    options = {"num_ignores": 1, "wait_text": wait, "max_thinking_tokens": cap, "max_new_tokens": 40}
    (completion,) = generate(model, tokenizer, "q", **options)
    ignored = cap >= 14
    assert (wait in completion.thinking, completion.report.ends_ignored) == (ignored, int(ignored))
    assert completion.report.thinking_tokens == (14 if ignored else 1)


def test_any_end_of_sequence_of_the_model_is_an_end():
    """Several EOS ids, as most models have: each is an attempt to end, and never appears inside thinking."""
    tokenizer, _ = family_of("opened")
    model = wanting(tokenizer, {prompt_of(tokenizer, "q"): "a<|pad|>b<|im_end|>c</think>xyz<|pad|>"})
    model.generation_config.eos_token_id = [tokenizer.eos_token_id, tokenizer.pad_token_id]
    (natural,) = generate(model, tokenizer, "q", max_new_tokens=20)
    assert natural.text.startswith("a</think>")
    (longer,) = generate(model, tokenizer, "q", num_ignores=2, max_new_tokens=20)
    assert longer.text == "aWaitbWaitc</think>xyz"
    assert longer.token_ids[-1] == tokenizer.pad_token_id


def test_numpy_budgets_work():
    tokenizer = toy_tokenizer("s1")
    model = babbler(tokenizer, ends=False)
    caps = [np.int64(2), np.int32(5)]
    completions = generate(model, tokenizer, ["a", "b"], max_thinking_tokens=caps, max_new_tokens=np.int64(20))
    assert [c.report.thinking_tokens for c in completions] == [2, 5]


def test_padding_that_is_the_end_of_sequence_is_counted_once():
    """GPT-2's way: rows that have ended are padded with their own end."""
    tokenizer = toy_tokenizer("opened")
    tokenizer.pad_token = tokenizer.eos_token
    wants = {
        prompt_of(tokenizer, "q"): "ab</think>x<|im_end|>",
        prompt_of(tokenizer, "rs"): "ababab</think>xyz<|im_end|>",
    }
    short, long = generate(wanting(tokenizer, wants), tokenizer, ["q", "rs"], max_new_tokens=30)
    assert (short.token_ids, long.token_ids) == tuple(encode(tokenizer, want) for want in wants.values())
    assert (short.report.answer_tokens, long.report.answer_tokens) == (1, 3)


def test_a_tokenizer_without_padding_takes_batches():
    tokenizer = toy_tokenizer("opened")
    tokenizer.pad_token = None
    wants = {prompt_of(tokenizer, "q"): "ab</think>x<|im_end|>", prompt_of(tokenizer, "rstu"): "a</think>xyz<|im_end|>"}
    completions = generate(wanting(tokenizer, wants), tokenizer, ["q", "rstu"], max_new_tokens=30)
    assert [c.text for c in completions] == ["ab</think>x", "a</think>xyz"]


# -- "auto" -------------------------------------------------------------------------------------------------------


def closing_length(tokenizer: Any, fmt: ThinkingFormat, prefix: str | None) -> int:
    return 1 + len(fmt.close) + (0 if prefix is None else length(tokenizer, "\n" + prefix))


@pytest.mark.parametrize("prefix", ["Final Answer:", None])
@pytest.mark.parametrize("new", [150, 200])
def test_auto_leaves_100_tokens_for_the_answer(prefix, new):
    """All of `max_new_tokens` but the forced start, newline, close and prefix, and 100 tokens of answer."""
    tokenizer, fmt = family_of("s1")
    model = babbler(tokenizer, ends=False)
    options = {"max_thinking_tokens": "auto", "answer_prefix": prefix, "max_new_tokens": new}
    for completion in generate(model, tokenizer, ["a", "bcdefghi"], **options):
        report = completion.report
        assert report.ended == "cut"
        assert report.thinking_tokens == new - len(fmt.start) - closing_length(tokenizer, fmt, prefix) - 100
        newline = report.thinking_tokens + 2 + len(fmt.close) + 1 + report.answer_tokens == new
        forced_prefix = 0 if prefix is None else length(tokenizer, "\n" + prefix)
        assert report.answer_tokens == forced_prefix + 100 + (not newline)


@pytest.mark.parametrize("limit", ["max_length", "context", "max_length of the model"])
def test_auto_counts_the_prompt_where_the_whole_length_is_limited(limit):
    """With `max_length`, or the model's context, the padded prompt takes its part of the room."""
    tokenizer, fmt = family_of("s1")
    model = babbler(tokenizer, ends=False, max_position_embeddings=190 if limit == "context" else 4096)
    if limit == "max_length of the model":
        model.generation_config.max_length = 190
    options = {"max_length": 190} if limit == "max_length" else {}
    users = ["a", "b" * 20]
    completions = generate(model, tokenizer, users, max_thinking_tokens="auto", **options)
    prompt = length(tokenizer, prompt_of(tokenizer, users[1]))
    room = 190 - prompt - len(fmt.start) - closing_length(tokenizer, fmt, "Final Answer:") - 100
    assert [c.report.thinking_tokens for c in completions] == [room, room]
    assert [len(c.token_ids) for c in completions] == [190 - prompt] * 2


def test_auto_adds_what_the_prompt_has_thought_already():
    """The cap is on all thinking tokens, the room is for new ones, and an open block needs no opening delimiter."""
    tokenizer, fmt = family_of("s1")
    model = babbler(tokenizer, ends=False)
    options = {"max_thinking_tokens": "auto", "max_new_tokens": 150}
    plain, thought = generate(model, tokenizer, [chat("q"), chat("q", "<|im_start|>think" + "ab" * 10)], **options)
    assert thought.report.thinking_tokens - plain.report.thinking_tokens == 20 + len(fmt.start)


def test_auto_uses_all_the_room_where_the_template_opens_thinking():
    tokenizer, fmt = family_of("opened")
    model = babbler(tokenizer, ends=False)
    (completion,) = generate(model, tokenizer, "q", max_thinking_tokens="auto", max_new_tokens=150)
    assert completion.report.thinking_tokens == 150 - closing_length(tokenizer, fmt, "Final Answer:") - 100


# -- length limits ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("legacy", [False, True])
def test_without_a_length_the_context_is_filled(legacy):
    """Not the 20 tokens of `generate`, also if a saved configuration says so."""
    tokenizer = toy_tokenizer("s1")
    model = babbler(tokenizer, ends=False, max_position_embeddings=77)
    if legacy:
        model.generation_config.max_length = 20
    for user in ("a", "b" * 30):
        (completion,) = generate(model, tokenizer, user, max_thinking_tokens=4)
        assert length(tokenizer, prompt_of(tokenizer, user)) + len(completion.token_ids) == 77


@pytest.mark.parametrize(
    "how",
    ["max_new_tokens", "max_length", "generation_config", "its max_length", "the model's", "the model's max_length"],
)
def test_a_length_that_is_given_holds(how):
    """By argument, configuration or the model's defaults."""
    tokenizer = toy_tokenizer("s1")
    model = babbler(tokenizer, ends=False)
    whole = length(tokenizer, prompt_of(tokenizer, "a")) + 23
    options: dict[str, Any] = {
        "max_new_tokens": {"max_new_tokens": 23},
        "max_length": {"max_length": whole},
        "generation_config": {"generation_config": GenerationConfig(max_new_tokens=23)},
        "its max_length": {"generation_config": GenerationConfig(max_length=whole)},
    }.get(how, {})
    if how == "the model's":
        model.generation_config.max_new_tokens = 23
    elif how == "the model's max_length":
        model.generation_config.max_length = whole
    assert [len(c.token_ids) for c in generate(model, tokenizer, "a", **options)] == [23]


@pytest.mark.parametrize("how", ["argument", "configuration"])
def test_a_max_length_of_20_that_is_given_holds(how):
    tokenizer = toy_tokenizer("s1")
    model = babbler(tokenizer, ends=False, max_position_embeddings=64)
    options = {"max_length": 20} if how == "argument" else {"generation_config": GenerationConfig(max_length=20)}
    (completion,) = generate(model, tokenizer, "a", **options)
    assert length(tokenizer, prompt_of(tokenizer, "a")) + len(completion.token_ids) == 20


def test_an_argument_wins_over_the_configuration():
    tokenizer = toy_tokenizer("s1")
    model = babbler(tokenizer, ends=False)
    config = GenerationConfig(max_new_tokens=40)
    assert len(generate(model, tokenizer, "a", generation_config=config, max_new_tokens=9)[0].token_ids) == 9


def test_a_prompt_longer_than_the_context_is_refused():
    tokenizer = toy_tokenizer("s1")
    model = Untouched(ToyConfig(vocab_size=len(tokenizer), max_position_embeddings=24))
    with pytest.raises(ValueError, match="Input length of input_ids is 41, but `max_length` is set to 24"):
        generate(model, tokenizer, "b" * 31, max_thinking_tokens=4)


# -- configurations -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("by", ["model", "generation_config", "arguments"])
@pytest.mark.parametrize("law", [{"temperature": 0.6, "top_k": 1}, {"temperature": 1e-4, "top_k": 20}, {"top_p": 1e-6}])
def test_sampling_defaults_are_those_that_generate_uses(by, law):
    """A model whose own configuration samples is sampled: laws that leave one token give what greedy gives."""
    tokenizer = toy_tokenizer("s1")
    model = babbler(tokenizer)
    options = {"num_ignores": 2, "max_thinking_tokens": 9, "max_new_tokens": 40}
    greedy = generate(model, tokenizer, ["a", "bcd"], **options)
    law = {"do_sample": True, **law}
    given: dict[str, Any] = {}
    if by == "model":
        for name, value in law.items():
            setattr(model.generation_config, name, value)
    elif by == "arguments":
        given = law
    else:
        given = {"generation_config": GenerationConfig(**law)}
    processor = budget_forcing(model, tokenizer, **options, **given)["logits_processor"][-1]
    assert processor.rule == "sample"
    assert {k: getattr(processor.generation_config, k) for k in law} == law
    assert generate(model, tokenizer, ["a", "bcd"], **options, **given) == greedy


def test_an_argument_overrules_a_model_that_samples():
    tokenizer = toy_tokenizer("s1")
    model = babbler(tokenizer)
    greedy = generate(model, tokenizer, "a", max_new_tokens=30, num_ignores=1)
    model.generation_config.do_sample = True
    model.generation_config.temperature = 5.0
    kwargs = budget_forcing(model, tokenizer, max_new_tokens=30, num_ignores=1, do_sample=False)
    assert kwargs["logits_processor"][-1].rule == "greedy"
    assert generate(model, tokenizer, "a", max_new_tokens=30, num_ignores=1, do_sample=False) == greedy


def test_the_configurations_that_processor_and_generate_see_are_one():
    """Every setting that the model, a configuration and arguments leave or change arrives at both."""
    tokenizer = toy_tokenizer("s1")
    model = babbler(tokenizer)
    model.generation_config.temperature = 0.6
    model.generation_config.top_k = 20
    used: list[GenerationConfig] = []
    inner = model._sample
    type(model)._sample, kept = (
        lambda self, *a, **k: (used.append(k["generation_config"]), inner(*a, **k))[1],
        type(model)._sample,
    )
    try:
        for given in (
            {"do_sample": True},
            {"do_sample": True, "temperature": 0.9},
            {"generation_config": GenerationConfig(do_sample=True, top_p=0.5)},
            {"generation_config": GenerationConfig(do_sample=True, min_p=0.1), "top_k": 7},
        ):
            kwargs = budget_forcing(model, tokenizer, max_new_tokens=5, **given)
            ids = torch.tensor([encode(tokenizer, prompt_of(tokenizer, "a"))])
            model.generate(ids, **kwargs)
            seen = kwargs["logits_processor"][-1].generation_config
            names = (
                "do_sample",
                "temperature",
                "top_k",
                "top_p",
                "min_p",
                "eos_token_id",
                "max_new_tokens",
                "num_beams",
            )
            assert {n: getattr(seen, n) for n in names} == {n: getattr(used[-1], n) for n in names}
    finally:
        type(model)._sample = kept


class Ban(LogitsProcessor):
    """Makes one token impossible."""

    def __init__(self, token: int) -> None:
        self.token = token

    def __call__(self, input_ids, scores):
        return scores.index_fill(1, torch.tensor([self.token]), -torch.inf)


def test_processors_and_criteria_of_the_users_are_kept_before_ours():
    """A banned token stays away from what the model writes, forced texts are whole, a criterion stops."""
    tokenizer, _ = family_of("opened")
    a, w = encode(tokenizer, "a")[0], encode(tokenizer, "Wait")[0]
    model = babbler(tokenizer, likely={tokenizer.eos_token_id: -30.0})
    until = Until(length(tokenizer, prompt_of(tokenizer, "q")) + 33)
    own = {"logits_processor": [Ban(a), Ban(w)], "stopping_criteria": [until]}
    kwargs = budget_forcing(model, tokenizer, max_new_tokens=60, **own)
    assert kwargs["logits_processor"][:2] == own["logits_processor"] and len(kwargs["logits_processor"]) == 3
    assert isinstance(kwargs["logits_processor"][-1], BudgetForcingLogitsProcessor)
    options = {"num_ignores": 30, "max_thinking_tokens": 14, "answer_prefix": "Wait a", "max_new_tokens": 60}
    (completion,) = generate(model, tokenizer, "q", **options, **own)
    written = [i for i, f in zip(completion.token_ids, completion.forced, strict=True) if not f]
    assert len(completion.token_ids) == 33
    assert not {a, w} & set(written)
    assert "</think>\nWait a" in completion.text


def test_budget_forcings_arguments_give_what_generate_gives():
    """In one line with `model.generate`, and with scores and logits asked for."""
    tokenizer = toy_tokenizer("s1")
    model = babbler(tokenizer)
    options = {"max_thinking_tokens": 8, "num_ignores": 1, "max_new_tokens": 40}
    (completion,) = generate(model, tokenizer, "a", **options)
    ids = torch.tensor([encode(tokenizer, prompt_of(tokenizer, "a"))])
    for more in ({}, {"return_dict_in_generate": True, "output_scores": True, "output_logits": True}):
        kwargs = budget_forcing(model, tokenizer, **options, **more)
        out = model.generate(ids, **kwargs)
        sequences = getattr(out, "sequences", out)
        assert sequences[0, ids.shape[1] :].tolist() == list(completion.token_ids)
        processor = kwargs["logits_processor"][-1]
        assert processor.reports() == processor.reports(out) == [completion.report]
        assert generate(model, tokenizer, "a", **options, **more) == [completion]
    raw = torch.stack(out.logits)[:, 0]
    assert torch.isfinite(raw).all()  # the model's own logits, with nothing of ours in them


class Heard(logging.Handler):
    """Keeps transformers' warnings."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.said: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.said.append(record.getMessage())


@pytest.fixture
def heard():
    handler, logger = Heard(), logging.getLogger("transformers")
    transformers_logging.warning_once.cache_clear()
    logger.addHandler(handler)
    yield handler.said
    logger.removeHandler(handler)


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"max_new_tokens": 30},
        {"max_length": 50},
        {"max_new_tokens": 30, "do_sample": True, "temperature": 0.7, "top_p": 0.9, "top_k": 20},
        {"max_new_tokens": 30, "num_beams": 2},
        {"max_new_tokens": 30, "max_answer_tokens": 4},
        {"max_new_tokens": 150, "max_thinking_tokens": "auto"},
        {"generation_config": GenerationConfig()},
        {"generation_config": GenerationConfig(max_length=50)},
        {"generation_config": GenerationConfig(max_new_tokens=30)},
    ],
    ids=lambda options: " ".join(options) or "none",
)
def test_nothing_warns(options, heard):
    """Neither Python nor transformers' log has anything to say about correct use."""
    tokenizer = toy_tokenizer("s1")
    model = babbler(tokenizer, max_position_embeddings=200)
    generate(model, tokenizer, ["a", "bcd"], **({"max_thinking_tokens": 6} | options))
    assert heard == []


def test_the_check_for_warnings_can_fail(heard):
    tokenizer = toy_tokenizer("s1")
    generate(babbler(tokenizer), tokenizer, "a", max_new_tokens=9, max_length=50)
    assert any("max_new_tokens" in said for said in heard)


def test_stop_strings_work():
    tokenizer, _ = family_of("opened")
    model = wanting(tokenizer, {prompt_of(tokenizer, "q"): "ab</think>xyzxyz"})
    (completion,) = generate(model, tokenizer, "q", stop_strings=["yz"], max_new_tokens=20)
    assert completion.text == "ab</think>xyz"


def test_a_model_with_adapters_is_taken():
    """A LoRA fine-tune, as s1's own users train it."""
    peft = pytest.importorskip("peft")
    tokenizer = toy_tokenizer("s1")
    config = peft.LoraConfig(r=2, target_modules=["q_proj"], task_type="CAUSAL_LM")
    model = peft.get_peft_model(tiny_qwen2(tokenizer), config)
    (completion,) = generate(model, tokenizer, "a", max_thinking_tokens=2, max_new_tokens=20)
    assert completion.report.thinking_tokens <= 2


# -- a processor used again ---------------------------------------------------------------------------------------


def rows(tokenizer: Any, text: str) -> torch.Tensor:
    return torch.tensor([encode(tokenizer, text)])


@pytest.mark.parametrize("family", ["s1", "opened"])
def test_a_prompt_one_token_longer_than_the_last_is_a_new_prompt(family):
    """A processor used again behaves like a new one, also if the second prompt begins with the first."""
    tokenizer, _ = family_of(family)
    model = babbler(tokenizer)
    prompt = prompt_of(tokenizer, "q")
    options = {"max_new_tokens": 30, "pad_token_id": tokenizer.pad_token_id}
    again = BudgetForcingLogitsProcessor(tokenizer, max_thinking_tokens=4)
    model.generate(rows(tokenizer, prompt), logits_processor=[again], **options)
    results = []
    for processor in (again, BudgetForcingLogitsProcessor(tokenizer, max_thinking_tokens=4)):
        out = model.generate(rows(tokenizer, prompt + "a"), logits_processor=[processor], **options)
        try:
            results.append((out.tolist(), processor.reports(out)))
        except RuntimeError as error:
            results.append((out.tolist(), str(error)))
    assert results[0] == results[1]


@bug("under sampling any token may follow, so that the longer prompt is taken for the last call's next step")
def test_a_longer_prompt_is_a_new_one_under_sampling_too():
    """The report is about the tokens that this call has generated, and no others."""
    tokenizer, _ = family_of("opened")
    model = babbler(tokenizer, ends=False)
    processor = BudgetForcingLogitsProcessor(
        tokenizer, max_thinking_tokens=4, generation_config=GenerationConfig(do_sample=True)
    )
    options = {"max_new_tokens": 20, "pad_token_id": tokenizer.pad_token_id, "do_sample": True}
    prompt = prompt_of(tokenizer, "q")
    model.generate(rows(tokenizer, prompt), logits_processor=[processor], **options)
    out = model.generate(rows(tokenizer, prompt + "z"), logits_processor=[processor], **options)
    (report,) = processor.reports(out)
    assert len(report.forced) == 20


def test_a_processor_may_be_used_in_one_thread_after_another():
    """One call at a time is enough, in whichever threads (a streamer's call runs in its own)."""
    tokenizer, _ = family_of("opened")
    model = babbler(tokenizer, ends=False)
    processor = BudgetForcingLogitsProcessor(tokenizer, max_thinking_tokens=4)
    short = rows(tokenizer, prompt_of(tokenizer, "q"))

    def call(ids: torch.Tensor, new: int) -> None:
        model.generate(ids, logits_processor=[processor], max_new_tokens=new, pad_token_id=tokenizer.pad_token_id)

    call(short, 5)
    other = threading.Thread(target=call, args=(short, 3))
    other.start()
    other.join()
    call(torch.cat([short[:, :1], short[:, :4], short], 1), 3)
    assert processor.reports()[0].thinking_tokens == 3


def test_a_processor_of_budget_forcing_works_again_by_itself():
    """Its reports are about the last call, with or without the criteria that came with it."""
    tokenizer = toy_tokenizer("s1")
    model = babbler(tokenizer)
    kwargs = budget_forcing(model, tokenizer, max_thinking_tokens=4, max_new_tokens=30)
    (processor,) = kwargs["logits_processor"]
    model.generate(rows(tokenizer, prompt_of(tokenizer, "a")), **kwargs)
    del kwargs["stopping_criteria"]
    out = model.generate(rows(tokenizer, prompt_of(tokenizer, "bcd")), **kwargs)
    assert processor.reports() == processor.reports(out)


class Stop(StoppingCriteria):
    """Stops every row once a deadline, given as a length, has come."""

    def __call__(self, input_ids, scores, **kwargs):
        return torch.ones(len(input_ids), dtype=torch.bool)


def test_a_row_stopped_by_the_user_while_thinking_is_unfinished():
    tokenizer, _ = family_of("opened")
    model = wanting(tokenizer, {prompt_of(tokenizer, "q"): "abcdef"})
    (completion,) = generate(model, tokenizer, "q", stopping_criteria=[Stop()], max_new_tokens=30)
    assert (completion.text, completion.report.ended, completion.report.thinking_tokens) == ("a", "unfinished", 1)


def test_two_threads_in_one_processor_are_noticed():
    """Two calls at once, their steps in turn, as the interpreter may switch between them."""
    tokenizer, fmt = family_of("opened")
    processor = BudgetForcingLogitsProcessor(tokenizer, format=fmt, max_thinking_tokens=9)
    scores = torch.zeros(1, 400)
    mine, other = rows(tokenizer, prompt_of(tokenizer, "q")), rows(tokenizer, prompt_of(tokenizer, "abc"))
    processor(mine, scores)
    thread = threading.Thread(target=processor, args=(other, scores))
    thread.start()
    thread.join()
    with pytest.raises(RuntimeError, match="one call of `generate` at a time"):
        processor(torch.cat([mine, mine[:, -1:]], 1), scores)
