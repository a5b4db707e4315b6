"""Prompts as texts and chats, and completions whose fields agree with each other."""

from __future__ import annotations

import random
from collections import deque
from typing import Any

import numpy as np
import pytest
import torch

from misuse import MODEL, S1, Series
from s1_hf import BudgetWarning, Completion, ThinkingFormat, generate
from s1_hf.forcing.automaton import Automaton
from s1_hf.forcing.prompts import read_prompt
from s1_hf.forcing.report import Ended
from s1_hf.forcing.vocabulary import encode
from s1_hf.generation.chats import _first_missing, as_list, prompt_ids
from shared_data import needs_shared, qwen
from toys import CHATML, byte_tokenizer, tiny_qwen2, toy_model, toy_tokenizer
from wishes import babbler, chat, family_of, length, prompt_of, wanting

FORMAT = ThinkingFormat.from_tokenizer(S1)
NO_PROMPTS = [
    None,
    3,
    [],
    (),
    {"role": "user", "content": "a"},
    {"a"},
    b"abc",
    pytest.param(iter("a"), id="iterator"),
]


@pytest.mark.parametrize("prompts", NO_PROMPTS, ids=str)
def test_what_is_no_list_of_prompts_is_refused(prompts):
    with pytest.raises(
        ValueError, match="`prompts` has to be a text, a chat, or a list of these with at least one, but"
    ):
        generate(MODEL, S1, prompts)


@pytest.mark.parametrize(
    "prompts", [{"a"}, iter("a"), {"question": "a"}, (text for text in "a")], ids=lambda value: type(value).__name__
)
def test_prompts_without_an_order_or_with_one_pass_are_to_be_a_list(prompts):
    with pytest.raises(ValueError, match=r"Give a list, with one for each prompt, in their order\.$"):
        generate(MODEL, S1, prompts)


IDS = {
    "a tensor": torch.tensor([[1, 2], [3, 4]]),
    "one row": [1, 2, 3],
    "an array": np.array([1, 2, 3]),
    "what a tokenizer gives": S1("a", return_tensors="pt"),
    "its dict": {"input_ids": [[1]]},
}


@pytest.mark.parametrize("prompts", IDS.values(), ids=IDS)
def test_token_ids_belong_into_generate_itself(prompts):
    remedy = r"are token ids already: `model.generate\(\*\*inputs, \*\*budget_forcing\(model, tokenizer, ...\)\)`; "
    remedy += "in vLLM `llm.generate`"
    with pytest.raises(ValueError, match=remedy):
        generate(MODEL, S1, prompts)


A, B = [{"role": "user", "content": "a"}], [{"role": "user", "content": "b"}]
PROMPTS = {
    "a tuple": ("a", "b"),
    "a deque": deque(["a", "b"]),
    "an array of texts": np.array(["a", "b"]),
    "an array of objects": np.array(["a", "b"], dtype=object),
    "a Series": Series(["a", "b"]),
    "a Series of chats": Series([A, B]),
    "a Series of arrays, as parquet gives": Series([np.array(A, dtype=object), np.array(B, dtype=object)]),
    "chats as tuples": [tuple(A), tuple(B)],
    "both": ["a", B],
}


@pytest.mark.parametrize("prompts", PROMPTS.values(), ids=PROMPTS)
def test_prompts_come_in_any_sequence(prompts):
    got = [prompt_ids(S1, FORMAT, prompt, {}) for prompt in as_list(prompts)]
    assert got == [prompt_ids(S1, FORMAT, chat, {}) for chat in (A, B)]


@pytest.mark.parametrize("values", [["a", "b"], [A, B]], ids=["texts", "chats"])
def test_prompts_come_in_a_column_of_a_data_set(values):
    datasets = pytest.importorskip("datasets")
    test_prompts_come_in_any_sequence(datasets.Dataset.from_dict({"question": values})["question"])


def test_one_prompt_is_one_in_an_array_too():
    for prompt in (np.array("a"), np.str_("a"), Series(A), tuple(A)):
        (only,) = as_list(prompt)
        assert prompt_ids(S1, FORMAT, only, {}) == prompt_ids(S1, FORMAT, A, {})


def test_an_error_does_not_quote_a_long_prompt_whole():
    with pytest.raises(ValueError) as error:
        generate(MODEL, S1, [[{"role": "user", "text": "a" * 1_000_000}]])
    assert len(str(error.value)) < 1000


BAD_CHATS = [
    [[]],
    [{}],
    [{"content": "a"}],
    ["a", None],
    ["a", {"role": "user", "content": "b"}],
    [["a"]],
    [[1, 2, 3]],
    torch.tensor([[1]]),
    [{"role": "user", "content": "a"}, "b"],
]


@pytest.mark.parametrize("prompts", BAD_CHATS, ids=repr)
def test_a_malformed_chat_is_refused(prompts):
    with pytest.raises(ValueError, match=r"A prompt has to be a text or a chat, a list of messages such as \{'role'"):
        generate(MODEL, S1, prompts)


@pytest.mark.parametrize("message", [{"role": "user"}, {"role": "user", "content": None}], ids=["absent", "None"])
def test_a_user_message_without_content_is_refused(message):
    with pytest.raises(ValueError, match="content"):
        generate(MODEL, S1, [message])


@pytest.mark.parametrize("wrong", [True, 3, 1.5, {"a": 1}])
@pytest.mark.parametrize(("role", "field"), [("user", "content"), ("assistant", "content"), ("assistant", "thinking")])
def test_what_is_neither_text_nor_parts_is_refused(role, field, wrong):
    with pytest.raises(ValueError, match=f"`{field}` has to be a text or a list of parts"):
        generate(MODEL, S1, [{"role": "user", "content": "a"}, {"role": role, field: wrong}])


def test_prompts_that_are_no_tokens_are_refused():
    """Without a chat template a text is the whole prompt, and an empty one is none."""
    tokenizer = toy_tokenizer("seed")
    for prompts in ("", ["a", ""]):
        with pytest.raises(ValueError, match="A prompt has to be at least one token, but '' is none"):
            generate(MODEL, tokenizer, prompts)


def test_a_chat_without_a_template_is_refused():
    with pytest.raises(
        ValueError, match="A chat needs a chat template, which this tokenizer does not have. Pass texts"
    ):
        generate(MODEL, toy_tokenizer("seed"), [{"role": "user", "content": "a"}])


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
        ["<|im_start|>", "<|im_end|>", "<s>"],
        template="{{ bos_token }}" + CHATML,
        bos_token="<s>",
        thinking_format="s1",
    )
    tokenizer.backend_tokenizer.post_processor = beginning("<s>", tokenizer)
    assert encode(tokenizer, "a") != tuple(tokenizer("a")["input_ids"])  # it does put one before a text
    seen = prompts_seen(tokenizer, "a")
    assert seen.count(tokenizer.bos_token_id) == 1 and seen[0] == tokenizer.bos_token_id


def test_a_text_without_a_template_gets_its_beginning_of_sequence():
    """A base model's prompt is what its tokenizer makes of the text."""
    tokenizer = byte_tokenizer(
        ["<|im_start|>", "<|im_end|>", "<s>"], template=None, bos_token="<s>", thinking_format="s1"
    )
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
    assert report.answer_tokens == len(answer)
    block = fmt.answer_start  # what opens it is no part of its text
    written = answer[len(block) :] if tuple(answer[: len(block)]) == block else answer
    if not (block and len(answer) < len(block)):  # generation stopped there
        assert completion.answer == tokenizer.decode(written, skip_special_tokens=True).strip()
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
    torch.manual_seed(1)  # without one a sampled answer may think again, in formats that interleave
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


PARTS = "{% for m in messages %}<|im_start|>{{ m.role }}\n"
PARTS += "{% for c in m.content %}{% if c.type == 'text' %}{{ c.text }}{% endif %}{% endfor %}"
PARTS += "{% if not (loop.last and continue_final_message) %}<|im_end|>\n{% endif %}{% endfor %}"
PARTS += "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"


def rendered(tokenizer: Any, prompt: Any, **options: Any) -> str:
    fmt = ThinkingFormat.from_tokenizer(tokenizer)
    return tokenizer.decode(prompt_ids(tokenizer, fmt, prompt, options))


@pytest.mark.parametrize("template", [CHATML, PARTS], ids=["texts", "parts"])
@pytest.mark.parametrize(
    "messages",
    [
        [("user", "How many?")],
        [("user", ["How ", "many?"])],
        [("system", ["Be brief."]), ("user", "How many?")],
        [("user", "How many?"), ("assistant", "I look."), ("tool", ["42"])],
        [("user", "How many?"), ("assistant", ["The answer is"])],
    ],
    ids=str,
)
def test_contents_are_given_as_the_template_wants_them(template, messages):
    """As texts or as lists of parts, whatever the caller has; nothing is lost and nothing is written as Python does."""
    tokenizer = byte_tokenizer(["<|im_start|>", "<|im_end|>"], added=["<think>", "</think>"], template=template)
    given = []
    for role, content in messages:
        parts = content if isinstance(content, str) else [{"type": "text", "text": part} for part in content]
        given.append({"role": role, "content": parts})
    text = rendered(tokenizer, given)
    assert "{'type'" not in text
    for _, content in messages:
        assert "".join(content) in text or all(part in text for part in content)


def test_a_template_that_loses_the_question_is_warned_about():
    tokenizer = toy_tokenizer("think")
    tokenizer.chat_template = "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
    with pytest.warns(BudgetWarning, match="The chat template leaves out, or changes, a part of the chat"):
        rendered(tokenizer, "How many?")


def parts(*texts: str) -> list[dict[str, str]]:
    return [{"type": "text", "text": text} for text in texts]


ROW = "{% for m in messages %}<|im_start|>{{ m.content[0].text }}{% endfor %}<|im_start|>assistant\n"


def test_the_part_that_a_template_loses_is_the_one_that_is_named():
    tokenizer = toy_tokenizer("think")
    tokenizer.chat_template = ROW
    messages = [{"role": "user", "content": parts("one")}, {"role": "user", "content": parts("two", "three")}]
    with pytest.warns(BudgetWarning, match="leaves out, or changes, a part of the chat, such as 'three': the prompt"):
        rendered(tokenizer, messages)


@pytest.mark.parametrize("texts", [["a", "b", "ab"], ["ab", "a", "b"], ["b", "b", "a"]])
def test_parts_that_a_template_puts_in_another_order_are_there(texts, recwarn):
    tokenizer = toy_tokenizer("think")
    tokenizer.chat_template = ROW.replace("messages %}", "messages | reverse %}")
    rendered(tokenizer, [{"role": "user", "content": parts(text)} for text in texts])
    assert not recwarn


def test_thousands_of_parts_are_looked_for_in_one_pass():
    """Each from where the one before it was found, so that 1 MB in 10,000 messages is read once."""

    class Text(str):
        looked = 0

        def find(self, part, begin=0):
            at = super().find(part, begin)
            Text.looked += (at if at >= 0 else len(self)) - begin
            return at

    words = [f"{i:05}," for i in range(3000)]
    assert _first_missing(words, Text("".join(words))) is None
    assert Text.looked <= 6 * 3000
    assert _first_missing([*words, "x", "y"], Text("".join(words))) == "x"


@pytest.mark.parametrize("own", ["The answer is", "<think>\nLet me", "<think>a</think>b"])
@pytest.mark.parametrize("family", ["think", "opened", "gemma4", "kimi_k3", "magistral", "harmony"])
def test_a_prefilled_message_is_continued_as_transformers_does_it(family, own):
    tokenizer, messages = toy_tokenizer(family), chat("Hi", own)
    text = tokenizer.apply_chat_template(messages, tokenize=False, continue_final_message=True)
    fmt = ThinkingFormat.from_tokenizer(tokenizer)
    assert prompt_ids(tokenizer, fmt, messages, {}) == list(encode(tokenizer, text))


@needs_shared
@pytest.mark.parametrize(
    "name", ["Qwen-Qwen3-0.6B", "deepseek-ai-DeepSeek-V3.1", "GLM-4.7-Flash", "HuggingFaceTB-SmolLM3-3B"]
)
@pytest.mark.parametrize("field", ["content", "reasoning_content"])
def test_begun_thinking_is_never_lost(name, field):
    """Real templates; where one leaves the field out, it is put behind the generation prompt."""
    tokenizer = qwen("qwen3", f"chat_templates/families/{name}.jinja")
    begun = "<think>\nLet me see" if field == "content" else "Let me see"
    messages = [*chat("Hi"), {"role": "assistant", "content": "", field: begun}]
    fmt = ThinkingFormat.from_tokenizer(tokenizer)
    ids = prompt_ids(tokenizer, fmt, messages, {})
    assert tokenizer.decode(ids).endswith("Let me see")
    assert read_prompt(Automaton(tokenizer, fmt), ids).ended == Ended.UNFINISHED


@pytest.mark.parametrize("name", ["tokenize", "add_generation_prompt", "continue_final_message"])
def test_arguments_of_the_template_that_are_ours_are_refused(name):
    with pytest.raises(ValueError, match=f"`chat_template_kwargs` has to be without {name}"):
        rendered(toy_tokenizer("think"), "a", **{name: True})


@pytest.mark.parametrize("prompt", ["a\ud800", [{"role": "user", "content": "a\ud800"}]], ids=["text", "chat"])
def test_a_lone_surrogate_in_a_prompt_is_named(prompt):
    with pytest.raises(ValueError, match=r"lone surrogate \(U\+D800\)"):
        generate(MODEL, S1, prompt)
