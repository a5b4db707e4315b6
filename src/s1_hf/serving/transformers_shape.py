"""The shape of a request to `transformers serve`, which fails on a wrong one with status 500, or ignores a field."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from typing import Any

from transformers import PreTrainedTokenizerBase

from s1_hf.records import FLAG, LIST, OBJECT, TEXT, Kind, Schema, as_json, check, or_null, parse
from s1_hf.serving.transformers_settings import STOPS, is_finite

CHAT, PLAIN, RESPONSES = "/v1/chat/completions", "/v1/completions", "/v1/responses"

_SOME = Kind("a list that is not empty", lambda value: isinstance(value, list) and bool(value))
_TEXT_OR_SOME = Kind("a text or a list that is not empty", lambda value: isinstance(value, (str, list)) and bool(value))
_TEXT_OR_LIST = Kind("a text or a list of parts", lambda value: isinstance(value, (str, list)))
_OBJECTS = Kind("a list of objects", lambda value: isinstance(value, list) and all(isinstance(v, dict) for v in value))

_NEEDED: dict[str, Schema] = {
    CHAT: {"messages": _SOME},
    PLAIN: {"prompt": _TEXT_OR_SOME},
    RESPONSES: {"input": _TEXT_OR_SOME},
}

_KINDS: Schema = {
    "model": TEXT,
    "stream": FLAG,
    "stop": STOPS,
    "tools": _OBJECTS,
    "logit_bias": OBJECT,
    "chat_template_kwargs": OBJECT,
    "instructions": TEXT,
    "suffix": TEXT,
    "reasoning": OBJECT,
    "return_token_ids": FLAG,
    "skip_special_tokens": FLAG,
}

_NOT_COMPUTED = "this server does not compute it"
_NOT_FORCED = "this server does not hold answers to it"
_NOT_STORED = "this server stores nothing"

_NO_EFFECT: dict[str, tuple[Callable[[Any], bool], str]] = {
    "presence_penalty": (lambda value: value == 0, "this server has `repetition_penalty` only"),
    "frequency_penalty": (lambda value: value == 0, "this server has `repetition_penalty` only"),
    "response_format": (lambda value: value == {"type": "text"}, _NOT_FORCED),
    "text": (lambda value: value in ({}, {"format": {"type": "text"}}), _NOT_FORCED),
    "tool_choice": (lambda value: value == "auto", _NOT_FORCED),
    "logprobs": (lambda value: value is False, _NOT_COMPUTED),
    "top_logprobs": (lambda value: value == 0, _NOT_COMPUTED),
    "echo": (lambda value: value is False, _NOT_COMPUTED),
    "functions": (lambda value: value == [], "give them as `tools`"),
    "function_call": (lambda value: value == "auto", _NOT_FORCED),
    "modalities": (lambda value: value == ["text"], "this server gives texts only"),
    "audio": (lambda value: False, "this server gives texts only"),
    "prediction": (lambda value: False, _NOT_COMPUTED),
    "web_search_options": (lambda value: False, "this server does not search"),
    "background": (lambda value: value is False, _NOT_STORED),
    "previous_response_id": (lambda value: False, _NOT_STORED),
    "conversation": (lambda value: False, _NOT_STORED),
    "include": (lambda value: value == [], _NOT_COMPUTED),
    "context_management": (lambda value: value == [], "this server leaves nothing of a prompt out"),
    "verbosity": (lambda value: value == "medium", _NOT_FORCED),
    "max_tool_calls": (lambda value: False, _NOT_FORCED),
    "truncation": (lambda value: value == "disabled", "this server leaves nothing of a prompt out"),
}
"""Fields that the server takes and ignores: the values that ask for nothing, and why others are refused."""

_OF_TEMPLATES = inspect.signature(PreTrainedTokenizerBase.apply_chat_template).parameters.keys() | {
    "load_audio_from_video"
}
_TEXTS = ("text", "input_text", "output_text")  # the types of parts that are texts


def checked(body: Mapping[str, Any], path: str) -> dict[str, Any]:
    """A request of the right shape, without the fields that ask for nothing.

    Raises:
        ValueError: it has another shape, or asks for what this server would ignore.
    """
    check(body, _NEEDED[path], "The request", optional={name: or_null(kind) for name, kind in _KINDS.items()})
    for name, (asks_for_nothing, reason) in _NO_EFFECT.items():
        if body.get(name) is not None and not asks_for_nothing(body[name]):
            raise ValueError(f"`{name}` has to be left out, but is {as_json(body[name])}: {reason}.")
    if path == RESPONSES and body.get("prompt") is not None:
        raise ValueError(f"`prompt` has to be left out, but is {as_json(body['prompt'])}: {_NOT_STORED}.")
    if path == CHAT:
        body = {**body, "messages": _without_nothing(body["messages"])}
        _check_messages(body["messages"], "messages")
    elif path == RESPONSES and isinstance(body["input"], list):
        _check_items(body["input"])
    _check_template(body.get("chat_template_kwargs") or {})
    silent = {name for name in (*_KINDS, *_NO_EFFECT) if body.get(name) is None} | _NO_EFFECT.keys()
    return {name: value for name, value in body.items() if name not in silent}


def biases(given: Mapping[str, Any], vocabulary: int) -> list[list[Any]]:
    """A `logit_bias` as `sequence_bias` has it.

    Raises:
        ValueError: it is not one number for every id of a token.
    """
    for name, value in given.items():
        if not (name.isascii() and name.isdigit() and len(name) < 10 and int(name) < vocabulary):
            raise ValueError(f"`logit_bias` has to have ids of tokens for its names, but has {as_json(name)}.")
        if not is_finite(value) or abs(value) > 100:
            raise ValueError(f"`logit_bias` has to hold numbers from -100 to 100, but holds {as_json(value)}.")
    return [[[int(name)], float(value)] for name, value in given.items()]


def _without_nothing(messages: list[Any]) -> list[Any]:
    """Clients send whole messages back, with `null` for calls of tools, at which the server would fail."""
    return [
        {name: value for name, value in message.items() if value is not None and (name, value) != ("tool_calls", [])}
        if isinstance(message, dict)
        else message
        for message in messages
    ]


def _check_items(items: list[Any]) -> None:
    """Of a request to `/v1/responses`: messages and calls of tools, or the parts of one message."""
    if not all(isinstance(item, dict) for item in items):
        raise ValueError("`input` has to be a text or a list of objects, but holds something else.")
    if "role" not in items[0] and items[0].get("type") in _TEXTS:
        return _check_parts(items, "`input`")
    _check_messages([item for item in items if "role" in item], "input")
    calls: dict[str, Schema] = {
        "function_call": {"name": TEXT, "call_id": TEXT, "arguments": _ARGUMENTS},
        "function_call_output": {"call_id": TEXT, "output": _TEXT_OR_LIST},
        "reasoning": {},
    }
    for item in items:
        if "role" in item:
            continue
        if not isinstance(item.get("type"), str) or item["type"] not in calls:
            raise ValueError(f"`input` has to hold messages and calls of tools, but holds {as_json(item)}.")
        check(item, calls[item["type"]], "An item of `input`", optional={"content": or_null(LIST)})
        for parts in (item.get("content"), item.get("output")):
            if isinstance(parts, list):
                _check_parts(parts, "`input`", (*_TEXTS, "reasoning_text"))


def _check_messages(messages: list[Any], field: str) -> None:
    for number, message in enumerate(messages):
        where = f"`{field}[{number}]`"
        check(message, {"role": TEXT}, where, optional={"content": or_null(_TEXT_OR_LIST), "tool_calls": _OBJECTS})
        if isinstance(message.get("content"), list):
            _check_parts(message["content"], where)
        for call in message.get("tool_calls", ()):
            check(call.get("function") or call, {"arguments": _ARGUMENTS}, f"A call in {where}")


def _check_parts(parts: list[Any], where: str, types: tuple[str, ...] = _TEXTS) -> None:
    for part in parts:
        check(part, {"type": TEXT}, f"A part of {where}")
        if part["type"] not in types:
            raise ValueError(f"A part of {where} is {as_json(part['type'])}, but this server reads texts only.")
        check(part, {"text": TEXT}, f"A part of {where}")


def _is_json_object(value: Any) -> bool:
    try:
        return isinstance(parse(value, "its value", strict=False) if isinstance(value, str) else value, dict)
    except ValueError:
        return False


_ARGUMENTS = Kind("a JSON object", _is_json_object)


def _check_template(given: Mapping[str, Any]) -> None:
    for name in given:
        if name in _OF_TEMPLATES:
            why = "a request's is not run here" if name == "chat_template" else "that is the server's to say"
            raise ValueError(f"`chat_template_kwargs` has to do without a `{name}`: {why}.")
