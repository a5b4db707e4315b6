"""What a chat template says about turns: the texts that open them, read off several renderings."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from jinja2 import meta

from s1_hf.forcing.families import SWITCHES
from s1_hf.forcing.spelling import Spelling, is_whole

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

_ASKED, _ANSWERED, _ASKED_AGAIN = "Zeroth?", "Oneth.", "Twoth?"
_CHATS: dict[str, list[dict[str, Any]]] = {
    "one question": [{"role": "user", "content": _ASKED}],
    "a second turn": [
        {"role": "user", "content": _ASKED},
        {"role": "assistant", "content": _ANSWERED},
        {"role": "user", "content": _ASKED_AGAIN},
    ],
    "a system message": [{"role": "system", "content": "Answer."}, {"role": "user", "content": _ASKED}],
}
# Variables that every template is given, or that say something else.
_NO_SWITCHES = frozenset(
    [
        "messages",
        "tools",
        "documents",
        "add_generation_prompt",
        "continue_final_message",
        "bos_token",
        "eos_token",
        "pad_token",
        "unk_token",
        "raise_exception",
        "strftime_now",
        "namespace",
        "range",
        "dict",
        "loop",
        "true",
        "false",
        "none",
        "date_string",
        "tools_in_user_message",
    ]
)
_MOST_SWITCHES = 6
"""How many variables with names that are not known are tried."""
_TOOL = {
    "type": "function",
    "function": {
        "name": "look",
        "description": "Look.",
        "parameters": {"type": "object", "properties": {"at": {"type": "string", "description": "What."}}},
    },
}


_CALL: dict[str, Any] = {
    "role": "assistant",
    "content": "",
    "tool_calls": [{"id": "abcdefghi", "type": "function", "function": {"name": "look", "arguments": {"at": "it"}}}],
}
_RESULT: dict[str, Any] = {"role": "tool", "name": "look", "tool_call_id": "abcdefghi", "content": "Threeth."}


@dataclass(frozen=True)
class Turns:
    """The texts that open turns; empty where a template has none.

    Args:
        assistant (`str`): opens the assistant's turn, without anything that switches thinking on or off.
        user (`str`): opens a user's turn.
        results (`tuple[tuple[str, str], ...]`): special tokens that stand around a tool's result.
    """

    assistant: str = ""
    user: str = ""
    results: tuple[tuple[str, str], ...] = ()


def template_of(tokenizer: PreTrainedTokenizerBase) -> str:
    """The text of the chat template, all of them if there are several; empty if there is none."""
    template = getattr(tokenizer, "chat_template", None)
    if isinstance(template, dict):
        return "\n".join(template.values())
    return template or ""


def switches_of(tokenizer: PreTrainedTokenizerBase) -> dict[str, tuple[object, ...]]:
    """The variables that turn thinking on or off and that the chat template names, with values to try."""
    variables = _variables(template_of(tokenizer))
    return {name: values for name, values in SWITCHES.items() if name in variables}


def modes_of(tokenizer: PreTrainedTokenizerBase) -> list[dict[str, object]]:
    """Arguments for the chat template: none, and each value of each switch."""
    modes: list[dict[str, object]] = [{}]
    for name, values in switches_of(tokenizer).items():
        modes += [{name: value} for value in values]
    return modes


def _other_modes(tokenizer: PreTrainedTokenizerBase) -> list[dict[str, object]]:
    """Both values of variables that the chat template asks about and whose names are not known."""
    template = template_of(tokenizer)
    asked = []
    for name in sorted(_variables(template) - _NO_SWITCHES - set(SWITCHES)):
        if re.search(rf"\b(?:if|elif|and|or|not)\s+{name}\b(?!\s*[.\[(])", template):
            asked.append(name)
    return [{name: value} for name in asked[:_MOST_SWITCHES] for value in (True, False)]


@lru_cache(maxsize=32)
def _variables(template: str) -> frozenset[str]:
    """The variables that a chat template reads."""
    try:
        from transformers.utils.chat_template_utils import _compile_jinja_template

        environment = _compile_jinja_template(template).environment
        return frozenset(meta.find_undeclared_variables(environment.parse(template)))
    except Exception:  # of another version, or a template that cannot be read, which is said where it is rendered
        return frozenset(re.findall(r"\w+", template))


def render(tokenizer: PreTrainedTokenizerBase, chat: Sequence[Any], *, prompt: bool = True, **options: Any) -> str:
    """A chat as text, by the chat template; `prompt`: with what opens the assistant's turn."""
    return str(tokenizer.apply_chat_template(list(chat), tokenize=False, add_generation_prompt=prompt, **options))


def read_turns(tokenizer: PreTrainedTokenizerBase, delimiters: Sequence[str]) -> Turns:
    """Read off the chat template how turns are opened.

    Args:
        delimiters (`Sequence[str]`): texts that belong to thinking and to no turn's opening.

    Raises:
        ValueError: there is a template, but none of the ways to render it works.
    """
    if not template_of(tokenizer):
        return Turns()
    return _read_turns(tokenizer, template_of(tokenizer), tuple(delimiters))


@lru_cache(maxsize=32)
def _read_turns(tokenizer: PreTrainedTokenizerBase, template: str, delimiters: tuple[str, ...]) -> Turns:
    spelling = Spelling.of(tokenizer)

    def spelled(text: str) -> str:
        return spelling.text_of(tokenizer.encode(text, add_special_tokens=False))

    # 1. What stands behind the last question, in every way to render, up to the first delimiter of thinking.
    openings, failures = [], []
    for way, options, chat in _ways(tokenizer):
        try:
            openings.append(_opening(tokenizer, chat, options, delimiters))
        except Exception as error:  # templates raise whatever they like
            failures.append(f"{way}: {type(error).__name__}: {error}")
    if not openings:
        tried = "; ".join(dict.fromkeys(failures))
        raise ValueError(
            f"The chat template has to be rendered to see where an assistant's turn begins, but no way works: {tried}. "
            "Say how it begins: `turn=...` of `ThinkingFormat.from_tokenizer` or `from_delimiters`."
        )
    # 2. What all of them share, in whole tokens; white space at its end may merge with what follows.
    shared = _shared_beginning([spelled(opening) for opening in openings if opening])
    for opening in _other_openings(tokenizer, delimiters):
        common = _shared_beginning([shared, spelled(opening)])
        if 2 * len(common) >= len(shared):  # else the variable is about something else
            shared = common
    turn = spelling.written(shared)
    if not turn.strip():
        turn = next((opening for opening in openings if opening), "")
    # 3. What stands in front of both questions of a chat, behind the end of the turn before.
    user = _user_turn(tokenizer, turn.rstrip(), spelling, spelled)
    return Turns(turn.rstrip(), user, _around_results(tokenizer, spelling, spelled))


def _ways(tokenizer: PreTrainedTokenizerBase) -> Iterator[tuple[str, dict[str, Any], list[dict[str, Any]]]]:
    """Every way to render: its name, the template's arguments, and a chat."""
    for tools in (None, [_TOOL]):
        for name, chat in _CHATS.items():
            for mode in modes_of(tokenizer):
                said = ", ".join(f"{switch}={value!r}" for switch, value in mode.items())
                way = ", ".join(filter(None, [name, said, "with a tool" if tools else ""]))
                yield way, {**mode, **({"tools": tools} if tools else {})}, chat


def _other_openings(tokenizer: PreTrainedTokenizerBase, delimiters: Sequence[str]) -> Iterator[str]:
    """How the assistant's turn opens under variables that are not known; most say nothing about it."""
    for mode in _other_modes(tokenizer):
        try:
            yield _opening(tokenizer, _CHATS["one question"], mode, delimiters)
        except Exception:  # templates raise whatever they like
            continue


def _opening(
    tokenizer: PreTrainedTokenizerBase, chat: list[dict[str, Any]], options: dict[str, Any], delimiters: Sequence[str]
) -> str:
    """What a template writes to let the assistant begin, up to the first delimiter."""
    closed = render(tokenizer, chat, prompt=False, **options)
    opened = render(tokenizer, chat, **options)
    added = opened[len(closed) :] if opened.startswith(closed) else ""
    # Some templates have no generation prompt: what follows the user's text opens the turn ("[/INST]"), or ends the
    # user's and opens it (Command-R7B).
    added = _before(added, delimiters)
    following = opened.rsplit(chat[-1]["content"], 1)[-1].removeprefix(str(tokenizer.eos_token))
    return added or _before(following, delimiters)


def _before(text: str, delimiters: Sequence[str]) -> str:
    for delimiter in delimiters:
        text = text.split(delimiter.rstrip(), 1)[0]
    return text


def _user_turn(
    tokenizer: PreTrainedTokenizerBase, assistant: str, spelling: Spelling, spelled: Callable[[str], str]
) -> str:
    try:
        one, two = (render(tokenizer, _CHATS[name]) for name in ("one question", "a second turn"))
    except Exception:
        return ""
    first = spelled(one.split(_ASKED)[0])
    second = spelled(two.rsplit(_ANSWERED, 1)[-1].split(_ASKED_AGAIN)[0])
    shared = _shared_beginning([first[::-1], second[::-1]])[::-1]
    # Turns of the system, the user and the assistant end alike; the end that is known is what the assistant's follows.
    end = spelled(one.rsplit(_ASKED, 1)[-1].split(assistant)[0]) if assistant else ""
    return spelling.written(shared.removeprefix(end).strip())


def _around_results(
    tokenizer: PreTrainedTokenizerBase, spelling: Spelling, spelled: Callable[[str], str]
) -> tuple[tuple[str, str], ...]:
    """The special tokens next to a tool's result, if they speak of one."""
    try:
        text = render(tokenizer, [*_CHATS["one question"], _CALL, _RESULT], tools=[_TOOL])
    except Exception:  # templates raise whatever they like
        return ()
    before, _, after = text.partition(_RESULT["content"])
    opening = next((letter for letter in reversed(spelled(before)) if is_whole(letter)), "")
    closing = next((letter for letter in spelled(after) if is_whole(letter)), "")
    pair = spelling.written(opening), spelling.written(closing)
    speaks = all(re.search("tool|result|response|output|observation|return", token, re.IGNORECASE) for token in pair)
    return (pair,) if speaks and opening != closing else ()


def _shared_beginning(texts: Sequence[str]) -> str:
    shared = texts[0] if texts else ""
    for text in texts:
        while not text.startswith(shared):
            shared = shared[:-1]
    return shared
