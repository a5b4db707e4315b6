"""Budgets that stand in a request where no server would look for them, under any name: refused."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from s1_hf.forcing.budget import NAMES
from s1_hf.forcing.collect import check_spelling, looks_like_budget
from s1_hf.serving.terms import ANSWER, PLACE

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

MOST_NAMES = 1000
"""Different names of fields in one request: each is held against those of budgets."""

_OURS = (*NAMES, ANSWER)
_HOLDERS = (PLACE, "generation_config")
_KNOWN = ("reasoning_effort", "thinking_token_budget")
"""Of other names for budgets those that a server reads, or refuses, at the top of a request."""

_READ = {("reasoning", "effort"), ("output_config", "effort")}
_OF_CLIENTS = (
    "arguments", "document", "documents", "functions", "guided_json", "input_schema", "json_schema", "logit_bias",
    "parameters", "response_format", "schema", "structured_outputs", "tools",
)  # fmt: skip
"""Fields with names of the client's own in them: of its functions, formats and documents."""

_TEMPLATE = "chat_template_kwargs"


def check_places(body: Mapping[str, Any], template: str = "", own: tuple[str, ...] = ()) -> None:
    """Raises a `ValueError` for a budget, or what looks like one, that stands where a server would not look for it.

    Args:
        template (`str`): the model's chat template, which may have a variable for budgets.
        own (`tuple[str, ...]`): fields with budgets that the route has of its own.
    """
    _check_number(len(body))
    check_spelling([name for name in body if name not in _OURS], NAMES)
    for name in body:
        if name in _OURS:
            raise _misplaced(name, "stands beside it")
        if name not in _KNOWN and looks_like_budget(name):
            raise _elsewhere(name)
    _check_objects(body, template, own)


def _check_objects(body: Mapping[str, Any], template: str, own: tuple[str, ...]) -> None:
    """The same for what is in the fields of a request."""
    reasoning = body.get("reasoning")
    if isinstance(reasoning, dict) and "max_tokens" in reasoning:
        raise _elsewhere("reasoning.max_tokens")
    judged: set[tuple[str, str]] = set()
    for top, inner in _objects_in(body, own):
        for name in inner:
            if (top, name) in judged:
                continue
            judged.add((top, name))
            _check_number(len(judged))
            if name in (*_OURS, *_HOLDERS):
                raise _misplaced(name, f"stands in `{top}`")
            is_read = (top, name) in _READ or (top == _TEMPLATE and _reads(template, name))
            if not is_read and looks_like_budget(name):
                raise _elsewhere(f"{top}.{name}")


def _check_number(names: int) -> None:
    if names > MOST_NAMES:
        raise ValueError(f"A request has to have at most {MOST_NAMES:,} different names of fields, but has more.")


def template_of(tokenizer: PreTrainedTokenizerBase) -> str:
    """All chat templates of a model, as one text."""
    return str(tokenizer.chat_template or "")


def _reads(template: str, name: str) -> bool:
    """Whether a chat template has this variable."""
    return re.search(rf"\b{re.escape(name)}\b", template) is not None


def _objects_in(body: Mapping[str, Any], own: tuple[str, ...]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Every object in a request, however deep, with the field of the request that it is in; but for those that are
    judged elsewhere, or are the client's."""
    left = [(name, value) for name, value in body.items() if name not in (*_HOLDERS, *_OF_CLIENTS, *own)]
    while left:
        top, value = left.pop()
        if isinstance(value, dict):
            yield top, value
            parts = [inner for name, inner in value.items() if name not in (*_OF_CLIENTS, "input")]
        else:
            parts = value if isinstance(value, list) else []
        left += [(top, inner) for inner in parts if isinstance(inner, (dict, list))]


def _elsewhere(name: str) -> ValueError:
    return ValueError(
        f"`{name}` is not read here. A cap of thinking is `max_thinking_tokens` in `{PLACE}`, and an effort is "
        "`reasoning_effort`, at the top of the request."
    )


def _misplaced(name: str, where: str) -> ValueError:
    if name in _HOLDERS:
        return ValueError(
            f"`{name}` has to stand at the top of the request, but {where}, where no server reads it. `extra_body` is "
            "an argument of OpenAI's client for Python, which puts what it holds there."
        )
    return ValueError(
        f"`{name}` has to stand in the request's `{PLACE}`, but {where}, where no server reads it. With OpenAI's "
        f"client: `extra_body={{{PLACE!r}: {{{name!r}: ...}}}}`."
    )
