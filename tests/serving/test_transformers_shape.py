"""Requests of another shape, and those that ask for what the server would ignore, are refused; the rest pass."""

from __future__ import annotations

import json

import pytest

from s1_hf.serving.transformers_shape import CHAT, PLAIN, RESPONSES, checked

USER = {"role": "user", "content": "Hi"}
CALL = {"id": "1", "type": "function", "function": {"name": "f", "arguments": '{"a": 1}'}}
PARTS = [{"type": "text", "text": "a"}, {"type": "input_text", "text": "b"}]

RIGHT = [
    (CHAT, {"messages": [USER, {"role": "assistant", "content": None, "tool_calls": [CALL]}, USER]}),
    (CHAT, {"messages": [{"role": "user", "content": PARTS}], "tools": [{"type": "function"}], "stop": ["a", "b"]}),
    (PLAIN, {"prompt": "Hi", "stop": "a"}),
    (PLAIN, {"prompt": [1, 2]}),
    (RESPONSES, {"input": "Hi"}),
    (RESPONSES, {"input": PARTS}),
    (RESPONSES, {"input": [USER, {"type": "reasoning", "content": [{"type": "reasoning_text", "text": "a"}]}]}),
    (
        RESPONSES,
        {
            "input": [
                {"type": "function_call", "name": "f", "call_id": "1", "arguments": "{}"},
                {"type": "function_call_output", "call_id": "1", "output": "5"},
            ]
        },
    ),
]


@pytest.mark.parametrize(("path", "body"), RIGHT, ids=range(len(RIGHT)))
def test_what_is_right_passes(path, body):
    found = checked(body, path)
    assert found.keys() == body.keys()


def test_what_asks_for_nothing_is_left_out():
    nothing = {"presence_penalty": 0, "frequency_penalty": 0.0, "logprobs": False, "tool_choice": "auto", "echo": False}
    nothing |= {"response_format": {"type": "text"}, "stop": None, "chat_template_kwargs": None, "top_logprobs": 0}
    again = {"role": "assistant", "content": "a", "tool_calls": None, "refusal": None}
    found = checked({"messages": [again, {**again, "tool_calls": []}], **nothing}, CHAT)
    assert found == {"messages": [{"role": "assistant", "content": "a"}] * 2}


OF_CHATS = [
    {},
    {"messages": None},
    {"messages": "Hi"},
    {"messages": []},
    {"messages": [{}]},
    {"messages": ["Hi"]},
    {"messages": [{"role": 5, "content": "Hi"}]},
    {"messages": [{"role": "user", "content": 5}]},
    {"messages": [{"role": "user", "content": ["Hi"]}]},
    {"messages": [{"role": "user", "content": [{"type": "text"}]}]},
    {"messages": [{"role": "user", "content": [{"type": "text", "text": 5}]}]},
    {"messages": [{"role": "user", "content": [{"type": "image_url", "image_url": {"url": "a"}}]}]},
    {"messages": [{"role": "assistant", "tool_calls": 5}]},
    {"messages": [{"role": "assistant", "tool_calls": [{}]}]},
    {"messages": [{"role": "assistant", "tool_calls": [{"function": {"arguments": "{"}}]}]},
]
OF_ALL = [
    {"stop": []},
    {"stop": 5},
    {"stop": ""},
    {"stop": ["a", 5]},
    {"stop": ["a"] * 17},
    {"tools": 5},
    {"tools": [5]},
    {"logit_bias": 5},
    {"model": 5},
    {"stream": "yes"},
    {"chat_template_kwargs": 5},
    {"chat_template_kwargs": {"chat_template": "a"}},
    {"chat_template_kwargs": {"tokenize": False}},
    {"chat_template_kwargs": {"add_generation_prompt": False}},
    {"presence_penalty": 0.5},
    {"frequency_penalty": -0.5},
    {"response_format": {"type": "json_object"}},
    {"tool_choice": "required"},
    {"logprobs": True},
    {"logprobs": 0},
    {"top_logprobs": 3},
    {"echo": True},
    {"text": {"format": {"type": "json_object"}}},
    {"previous_response_id": "a"},
    {"conversation": "a"},
    {"include": ["message.output_text.logprobs"]},
    {"verbosity": "low"},
]
WRONG = [(CHAT, body) for body in OF_CHATS] + [(CHAT, {"messages": [USER], **more}) for more in OF_ALL]
WRONG += [(PLAIN, {"prompt": prompt}) for prompt in ("", [], 5, {}, None)] + [(PLAIN, {})]
WRONG += [(RESPONSES, {"input": "Hi", "prompt": {"id": "a"}})]
WRONG += [
    (RESPONSES, {"input": given}) for given in ("", [], 5, [5], [{}], [{"type": []}], [{"type": "function_call"}])
]


@pytest.mark.parametrize(("path", "body"), WRONG, ids=[f"{path} {json.dumps(body)}" for path, body in WRONG])
def test_another_shape_is_refused(path, body):
    with pytest.raises(ValueError, match="lacks|has to|surrogate|reads texts only"):
        checked(body, path)
