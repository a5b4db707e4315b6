"""What a chat template says about turns, read off several renderings."""

from __future__ import annotations

import pytest

from s1_hf.forcing.templates import Turns, modes_of, read_turns, switches_of
from toys import CHATML, byte_tokenizer, toy_tokenizer

TAGS = ["<think>", "</think>"]
MESSAGES = "{% for m in messages %}<|im_start|>{{ m.role }}\n{{ m.content }}<|im_end|>\n{% endfor %}"


def turns_of(prompt: str, messages: str = MESSAGES, tokens: tuple[str, ...] = ()) -> Turns:
    template = messages + "{% if add_generation_prompt %}" + prompt + "{% endif %}"
    return read_turns(byte_tokenizer(["<|im_start|>", "<|im_end|>", *tokens], added=TAGS, template=template), TAGS)


@pytest.mark.parametrize(
    "prompt",
    [
        "<|im_start|>assistant\n",
        "<|im_start|>assistant\n<think>\n",
        "<|im_start|>assistant\n</think>",
        "<|im_start|>assistant\n<think>\n\n</think>\n\n",
        "<|im_start|>assistant\n{% if thinking %}<think>{% else %}</think>{% endif %}",
        "<|im_start|>assistant\n{% if enable_thinking is defined and not enable_thinking %}<think></think>{% endif %}",
        "<|im_start|>assistant{% if reasoning_effort == 'none' %} quickly{% endif %}\n",
    ],
)
def test_no_switch_is_part_of_the_header(prompt):
    assert turns_of(prompt) == Turns("<|im_start|>assistant", "<|im_start|>user")


def test_a_header_may_be_what_follows_the_users_text():
    template = (
        "{% for m in messages %}{% if m.role == 'user' %}[INST]{{ m.content }}[/INST]{% else %}{{ m.content }}</s>"
    )
    template += "{% endif %}{% endfor %}"
    assert read_turns(byte_tokenizer(["[INST]", "[/INST]", "</s>"], template=template), TAGS) == Turns(
        "[/INST]", "[INST]"
    )


def test_without_a_template_there_are_no_turns():
    assert read_turns(toy_tokenizer("seed"), TAGS) == Turns()


def test_a_template_that_works_in_some_ways_only_is_read_in_those():
    """One that needs tools, or that a mode breaks."""
    for guard in (
        "{% if not tools %}{{ raise_exception('tools!') }}{% endif %}",
        "{% if enable_thinking %}{{ 1/0 }}{% endif %}",
    ):
        assert turns_of(guard + "<|im_start|>assistant\n").assistant == "<|im_start|>assistant"


def test_a_template_that_works_in_no_way_is_refused_with_what_was_tried():
    with pytest.raises(ValueError, match="one question: TemplateError: never; .*a second turn.*with a tool.*turn="):
        turns_of("{{ raise_exception('never') }}")


def test_switches_are_the_variables_that_the_template_names():
    tokenizer = byte_tokenizer(["<|im_start|>", "<|im_end|>"], template=CHATML + "{% if enable_thinking %}{% endif %}")
    assert switches_of(tokenizer) == {"enable_thinking": (True, False)}
    assert modes_of(tokenizer) == [{}, {"enable_thinking": True}, {"enable_thinking": False}]
    assert switches_of(toy_tokenizer("s1")) == {}


def test_a_switch_that_nobody_knows_is_no_part_of_the_header():
    """Variables that the template asks about are tried, whatever they are called."""
    prompt = "<|im_start|>assistant{% if deep_mode %}<|im_end|>\n<think>{% else %}<|im_start|>{% endif %}"
    assert turns_of(prompt).assistant == "<|im_start|>assistant"
    prompt = "<|im_start|>{% if persona %}{{ persona }}{% else %}assistant{% endif %}\n"
    assert turns_of(prompt).assistant == "<|im_start|>assistant"  # a variable about something else


@pytest.mark.parametrize(
    ("opening", "closing", "found"), [("<|result|>", "<|/result|>", 1), ("<tool>", "</tool>", 1), ("<a>", "</a>", 0)]
)
def test_special_tokens_around_a_tools_result_are_found(opening, closing, found):
    """If they speak of one; others may be a turn's."""
    messages = "{% for m in messages %}{% if m.role == 'tool' %}" + opening + "{{ m.content }}" + closing
    messages += "{% else %}<|im_start|>{{ m.role }}\n{{ m.content }}{% endif %}{% endfor %}"
    turns = turns_of("<|im_start|>assistant\n", messages, (opening, closing))
    assert turns.results == ((opening, closing),) * found
