"""Agents: turns of thinking and calling a tool, in the chat formats of four families, each turn under a budget."""

from __future__ import annotations

import functools
import re
from dataclasses import dataclass
from typing import Any

import pytest

from s1_hf import Budget, Completion, ThinkingFormat, generate
from s1_hf.forcing.vocabulary import encode
from s1_hf.generation.chats import prompt_ids
from toys import ToyConfig, byte_tokenizer, toy_tokenizer
from wishes import Wanting, wanting

TOOLS = [{"type": "function", "function": {"name": "get", "description": "Get.", "parameters": {}}}]

QWEN = """\
{%- if tools %}<|im_start|>system
{{ tools | tojson }}<|im_end|>
{% endif %}
{%- for m in messages %}
{%- if m.role == "tool" %}<|im_start|>user
<tool_response>
{{ m.content }}
</tool_response><|im_end|>
{% else %}<|im_start|>{{ m.role }}
{% if m.reasoning_content %}<think>
{{ m.reasoning_content }}
</think>

{% endif %}{{ m.content or "" }}
{%- for call in m.tool_calls or [] %}
<tool_call>
{{ call.function | tojson }}
</tool_call>
{%- endfor %}<|im_end|>
{% endif %}
{%- endfor %}
{%- if add_generation_prompt %}<|im_start|>assistant
{% endif %}"""

GLM = """\
[gMASK]<sop>{% if tools %}<|system|>
{{ tools | tojson }}{% endif %}
{%- for m in messages %}
{%- if m.role == "tool" %}<|observation|>
<tool_response>
{{ m.content }}
</tool_response>
{%- else %}<|{{ m.role }}|>
{% if m.reasoning_content %}<think>{{ m.reasoning_content }}</think>{% endif %}{{ m.content or "" }}
{%- for call in m.tool_calls or [] %}
<tool_call>{{ call.function.name }}
</tool_call>
{%- endfor %}
{%- endif %}
{%- endfor %}
{%- if add_generation_prompt %}<|assistant|>
<think>{% endif %}"""

HARMONY = """\
{%- if tools %}<|start|>developer<|message|>{{ tools | tojson }}<|end|>{% endif %}
{%- for m in messages %}
{%- if m.role == "tool" %}<|start|>functions.get to=assistant<|channel|>commentary<|message|>{{ m.content }}<|end|>
{%- elif m.tool_calls %}<|start|>assistant<|channel|>analysis<|message|>{{ m.thinking }}<|end|>
{%- for call in m.tool_calls %}<|start|>assistant to=functions.get<|channel|>commentary json<|message|>
{{- call.function.arguments | tojson }}<|call|>{% endfor %}
{%- else %}<|start|>{{ m.role }}<|message|>{{ m.content }}<|end|>
{%- endif %}
{%- endfor %}
{%- if add_generation_prompt %}<|start|>assistant{% endif %}"""

GEMMA = """\
{%- if tools %}<|turn>system
{{ tools | tojson }}<turn|>
{% endif %}
{%- for m in messages %}
{%- if m.role == "tool" %}<|tool_response>response:get{{ "{" }}value:{{ m.content }}{{ "}" }}<tool_response|>
{%- elif m.tool_calls %}{% if messages[loop.index0 - 1].role != "tool" %}<|turn>model
{% endif %}<|channel>thought
{{ m.reasoning_content }}
<channel|>{% for call in m.tool_calls %}<|tool_call>call:get{}<tool_call|>{% endfor %}
{%- else %}<|turn>{{ "model" if m.role == "assistant" else m.role }}
{{ m.content }}<turn|>
{% endif %}
{%- endfor %}
{%- if add_generation_prompt and messages[-1].role != "tool" %}<|turn>model
{% endif %}"""


@dataclass(frozen=True)
class Family:
    """How a family calls tools.

    Args:
        special, added (`list[str]`): tokens; the first of `special` is the tokenizer's own end of sequence.
        eos (`list[str]`): every end of sequence of its generation config.
        opens, closes (`str`): what the model writes around its thoughts; `opens` is empty where the template opens.
        call (`str`): a call after thinking, up to the end of sequence.
        after_cut (`str`): what the model writes before such a call if it was cut, and stands in an answer.
        answer_start (`str`): what a cut forces behind `closes`.
        inside (`str`): a call while thinking, up to the end of sequence.
        overrides (`dict`): of the thinking format.
    """

    template: str
    special: list[str]
    added: list[str]
    eos: list[str]
    opens: str
    closes: str
    call: str
    inside: str
    after_cut: str = ""
    answer_start: str = ""
    overrides: tuple[tuple[str, Any], ...] = ()


QWEN_CALL = '<tool_call>\n{"name": "get", "arguments": {"at": "x. y?"}}\n</tool_call>\n<|im_end|>'
GLM_CALL = "<tool_call>get\n<arg_key>at</arg_key>\n</tool_call><|observation|>"
GEMMA_CALL = "<|tool_call>call:get{at:x}<tool_call|><|tool_response>"
HARMONY_CALL = '<|start|>assistant<|channel|>commentary to=functions.get<|message|>{"at": "x. y?"}<|call|>'
FAMILIES = {
    "qwen3": Family(
        template=QWEN,
        special=["<|im_end|>", "<|im_start|>", "<|endoftext|>"],
        added=["<think>", "</think>", "<tool_call>", "</tool_call>", "<tool_response>", "</tool_response>"],
        eos=["<|im_end|>", "<|endoftext|>"],
        opens="<think>",
        closes="</think>",
        call="\n\n" + QWEN_CALL,
        inside=QWEN_CALL,
    ),
    "glm": Family(
        template=GLM,
        special=["<|endoftext|>", "[gMASK]", "<sop>", "<|system|>", "<|user|>", "<|assistant|>", "<|observation|>"],
        added=["<think>", "</think>", "<tool_call>", "</tool_call>", "<tool_response>", "</tool_response>"],
        eos=["<|endoftext|>", "<|user|>", "<|observation|>"],
        opens="",
        closes="</think>",
        call="\n" + GLM_CALL,
        inside=GLM_CALL,
    ),
    "harmony": Family(
        template=HARMONY,
        special=["<|return|>", "<|start|>", "<|end|>", "<|channel|>", "<|message|>", "<|call|>"],
        added=[],
        eos=["<|return|>", "<|call|>"],
        opens="<|channel|>analysis<|message|>",
        closes="<|end|>",
        call=HARMONY_CALL,
        inside="to=python x<|call|>",
        after_cut="<|end|>",
        answer_start="<|start|>assistant<|channel|>final<|message|>",
    ),
    "gemma4": Family(
        template=GEMMA,
        special=[
            *("<turn|>", "<|turn>", "<|channel>", "<channel|>"),
            *("<|tool_call>", "<tool_call|>", "<|tool_response>", "<tool_response|>"),
        ],
        added=[],
        eos=["<turn|>", "<|tool_response>"],
        opens="<|channel>thought\n",
        closes="<channel|>",
        call=GEMMA_CALL,
        inside=GEMMA_CALL,
        overrides=(("interleaved", True),),  # its turn goes on behind a result, and its template does not open thinking
    ),
}
EACH_FAMILY = pytest.mark.parametrize("name", FAMILIES)
ORDERS = [("natural", "cut", "handed_over"), ("handed_over", "natural", "cut"), ("cut", "handed_over", "natural")]
EXTRAS = {"plain": {}, "ignores": {"num_ignores": 2}, "minimum": {"min_thinking_tokens": 4}}
IGNORED = {"plain": 0, "ignores": 2, "minimum": 1}
"""How many ends are ignored of a model that tries to end after every two tokens; each Wait is one token."""


@functools.cache
def parts(name: str) -> tuple[Any, ThinkingFormat]:
    family = FAMILIES[name]
    tokenizer = byte_tokenizer(family.special, added=family.added, eos=family.special[0], template=family.template)
    return tokenizer, ThinkingFormat.from_tokenizer(tokenizer, **dict(family.overrides))


def turn(name: str, chat: list[dict[str, Any]], wants: list[int], **budget: Any) -> Completion:
    """One turn of an agent whose model wants to write `wants`, whatever is forced meanwhile."""
    tokenizer, fmt = parts(name)
    prompt = prompt_ids(tokenizer, fmt, chat, {"tools": TOOLS})
    model = Wanting(ToyConfig(vocab_size=len(tokenizer))).eval()
    model.wants = {tuple(prompt): wants}
    eos = tokenizer.convert_tokens_to_ids(FAMILIES[name].eos)
    options = {"format": fmt, "max_new_tokens": 400, "eos_token_id": eos, "chat_template_kwargs": {"tools": TOOLS}}
    (completion,) = generate(model, tokenizer, chat, budget=Budget(**budget), **options)
    return completion


def with_result(chat: list[dict[str, Any]], content: dict[str, Any], thought: str) -> list[dict[str, Any]]:
    """The chat, with a turn that called a tool and the tool's result."""
    call = {"type": "function", "function": {"name": "get", "arguments": {"at": "x"}}}
    said = {"role": "assistant", "reasoning_content": thought, "thinking": thought, "tool_calls": [call], **content}
    return [*chat, said, {"role": "tool", "content": "<think>4</think>"}]


# -- three turns --------------------------------------------------------------------------------------------------


@EACH_FAMILY
@pytest.mark.parametrize("order", ORDERS, ids="-".join)
@pytest.mark.parametrize("extra", EXTRAS)
def test_three_turns_keep_their_budgets_and_their_calls(name, order, extra):
    """Caps hold to the token in every turn, whatever was thought before; into a call nothing is ever forced."""
    tokenizer, _ = parts(name)
    family, budget = FAMILIES[name], EXTRAS[extra]
    ids = lambda text: list(encode(tokenizer, text))  # noqa: E731
    chat: list[dict[str, Any]] = [{"role": "user", "content": "Hi"}]
    for number, how in enumerate(order):
        cap = 20 + number
        if how == "natural":  # tries to end after every two tokens; what is ignored is replaced by a Wait, of one token
            end = ids(family.closes)[:1]
            wants = ids(family.opens) + (ids("ab") + end) * IGNORED[extra] + ids("ab" + family.closes + family.call)
            got = turn(name, chat, wants, max_thinking_tokens=cap, **budget)
            thought = "abWait" * IGNORED[extra] + "ab"
            tail = ids(family.closes + family.call)
            expected = (3 * IGNORED[extra] + 2, "natural", IGNORED[extra])
        elif how == "cut":
            forced = ids("\n" + family.closes + family.answer_start + "\nFinal Answer:")
            tail = ids(family.after_cut + family.call)
            wants = [*ids(family.opens), *ids("a" * cap), *ids("b" * len(forced)), *tail]
            got = turn(name, chat, wants, max_thinking_tokens=cap, **budget)
            thought, expected = "a" * cap, (cap, "cut", 0)
            assert list(got.token_ids[-len(tail) - len(forced) : -len(tail)]) == forced
        else:  # calls while it thinks, be it below the minimum
            cap, tail = 200, ids(family.inside)
            got = turn(name, chat, ids(family.opens) + ids("ab") + tail, max_thinking_tokens=cap, **budget)
            thought = "ab"
            expected = (2 + len(tail) - 1, "handed_over", 0)
            assert got.answer == "" and not any(got.forced)
            assert list(got.token_ids) == ids(family.opens) + ids("ab") + tail
        report = got.report
        assert (report.thinking_tokens, report.ended, report.ends_ignored) == expected, (number, how)
        assert list(got.token_ids[-len(tail) :]) == tail
        first = len(ids(family.closes)) if how == "natural" else 0  # the close itself, which is completed by force
        assert not any(got.forced[len(got.forced) - len(tail) + first :])
        assert got.thinking.startswith(thought)
        chat = with_result(chat, {"content": None} if number else {}, thought)


@EACH_FAMILY
def test_a_fourth_turn_without_a_call_answers(name):
    """Behind three results the model thinks under its own cap, and an end of sequence ends its answer."""
    tokenizer, _ = parts(name)
    family, chat = FAMILIES[name], [{"role": "user", "content": "Hi"}]
    for _turn in range(3):
        chat = with_result(chat, {"content": ""}, "a" * 30)
    wants = encode(tokenizer, f"{family.opens}abc{family.closes}{family.answer_start}So.{family.eos[0]}")
    got = turn(name, chat, list(wants), max_thinking_tokens=4, num_ignores=0)
    assert (got.report.thinking_tokens, got.report.ended, got.answer) == (3, "natural", "So.")


# -- cuts and calls -----------------------------------------------------------------------------------------------


def test_a_cut_inside_a_call_leaves_it_inside_thinking_and_the_next_call_whole():
    """The cap holds to the token, whatever is being written; what follows the closing delimiter is no torn call."""
    tokenizer, _ = parts("qwen3")
    whole = '<tool_call>\n{"name": "get"}\n</tool_call>'
    for cap in range(4, 20):
        torn = list(encode(tokenizer, "<think>ab" + whole)[: 1 + cap])
        forced = encode(tokenizer, "</think>" if tokenizer.decode(torn).endswith("\n") else "\n</think>")
        wants = [*torn, *forced, *encode(tokenizer, "\n\n" + whole + "<|im_end|>")]
        chat = [{"role": "user", "content": "Hi"}]
        got = turn("qwen3", chat, wants, max_thinking_tokens=cap, answer_prefix=None)
        assert (got.report.thinking_tokens, got.report.ended) == (cap, "cut")
        assert got.answer == whole
        assert "<tool_call>" in got.thinking and "</tool_call>" not in got.thinking
        after = got.text.split("</think>")[1]
        assert re.findall(r"<tool_call>.*?</tool_call>", after, flags=re.DOTALL) == [whole]


def test_without_a_known_end_of_calls_an_end_of_sequence_in_thinking_closes_it():
    """What `call_ends=()` switches off, and what keeps other vocabularies as they were."""
    tokenizer = toy_tokenizer("tools")
    prompt = tokenizer.apply_chat_template(
        [{"role": "user", "content": "Hi"}], tokenize=False, add_generation_prompt=True
    )
    for call_ends, ended in ((None, "handed_over"), ((), "natural")):
        fmt = ThinkingFormat.from_tokenizer(tokenizer, call_ends=call_ends)
        model = wanting(tokenizer, {prompt: "<think>ab</tool_call>\n<|im_end|>c<|im_end|>"})
        (got,) = generate(model, tokenizer, "Hi", format=fmt, max_thinking_tokens=50, max_new_tokens=60)
        assert got.report.ended == ended
        assert got.text == "<think>ab</tool_call>\n" + ("" if ended == "handed_over" else "</think>c")


# -- chats --------------------------------------------------------------------------------------------------------

CALLED = {"role": "assistant", "tool_calls": [{"type": "function", "function": {"name": "get", "arguments": {}}}]}
ASKED = {"role": "user", "content": "Hi"}


@pytest.mark.parametrize("content", [{}, {"content": None}, {"content": ""}, {"content": "Look."}], ids=str)
@pytest.mark.parametrize("result", ["4", [{"type": "text", "text": "4"}], {"value": 4}], ids=str)
def test_chats_hold_calls_without_content_and_results_of_any_kind(content, result):
    tokenizer, fmt = parts("qwen3")
    chat = [ASKED, {**CALLED, **content}, {"role": "tool", "content": result}]
    text = tokenizer.decode(prompt_ids(tokenizer, fmt, chat, {"tools": TOOLS}))
    if isinstance(result, list):  # which this template would write as Python does
        chat[-1]["content"] = "4"
    assert text == tokenizer.apply_chat_template(chat, tools=TOOLS, tokenize=False, add_generation_prompt=True)


@pytest.mark.parametrize("content", [{}, {"content": None}, {"content": "Look."}], ids=str)
def test_a_chat_that_ends_with_calls_waits_for_their_results(content):
    """Continued as an answer it would lose the calls."""
    with pytest.raises(ValueError, match=r"ends with `tool_calls` waits for their results: append .* 'tool'"):
        generate(Wanting(ToyConfig(vocab_size=len(parts("qwen3")[0]))), parts("qwen3")[0], [ASKED, CALLED | content])
