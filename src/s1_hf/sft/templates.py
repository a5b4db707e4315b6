"""Chat templates by name, and what a template puts around the assistant's turn that is trained.

Training sees what the model sees when it generates: the prompt as the template renders it, the reply as the model would
write it, and behind it what the template puts behind an answer. A template that drops the thinking of earlier turns
(DeepSeek-R1's), or puts an empty block of its own there (Qwen3's), is therefore trained and saved as it is.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import takewhile
from pathlib import Path
from typing import Any

import trl
from jinja2 import TemplateError
from transformers import PreTrainedTokenizerBase

from s1_hf.forcing.families import FAMILIES
from s1_hf.forcing.formats import ThinkingFormat
from s1_hf.forcing.templates import switches_of
from s1_hf.records import read_text

_OURS = {"chatml": Path(__file__).with_name("chatml.jinja")}
_TRLS = Path(trl.__file__).with_name("chat_templates")
_ASKED, _ANSWERED, _ASKED_AGAIN = "Zeroth?", "Oneth.", "Twoth?"
_CHAT = [{"role": "user", "content": _ASKED}, {"role": "assistant", "content": _ANSWERED}]
# What the authors of templates mean to be one token.
_TOKENS = re.compile(r"<\|[^<>|\s]{1,40}\|>|<｜[^<>｜\s]{1,40}｜>|<(?:start|end)_of_turn>|\[/?INST\]")
_DELIMITERS = tuple(text.strip() for family in FAMILIES.values() for text in family.texts)


def find_template(source: str) -> str:
    """The text of a chat template: of a Jinja file, of ours (`chatml`), or of TRL's, by name.

    Raises:
        ValueError: there is none.
    """
    if Path(source).is_file():
        return read_text(source)
    name = source.removesuffix(".jinja")
    known = _OURS | {path.stem: path for path in sorted(_TRLS.glob("*.jinja"))}
    if name in known:
        return read_text(known[name])
    close = difflib.get_close_matches(name, known, 3)
    hint = f" Did you mean {' or '.join(map(repr, close))}?" if close else ""
    raise ValueError(
        f"`chat_template_path` has to be a Jinja file, `chatml`, or the name of one of TRL's templates, but {source!r} "
        f"is not a file and none of these: {', '.join(known)}.{hint}"
    )


def tokens_of_template(tokenizer: PreTrainedTokenizerBase, options: Mapping[str, Any] | None = None) -> list[str]:
    """What a chat template writes into a chat of one question that is meant to be one token each, such as `<|x|>`."""
    asked, answered = _render(tokenizer, _CHAT[:1], options, prompt=True), _render(tokenizer, _CHAT, options)
    return list(dict.fromkeys(_TOKENS.findall(asked + answered)))


@dataclass(frozen=True)
class Turn:
    """How the assistant's turn is rendered around a reply.

    Args:
        end (`str`): what stands behind an answer: the end of turn, and white space.
        ends (`frozenset[int]`): the tokens at which generation stops.
        options (`Mapping[str, Any]`): what the template is given besides the messages.
    """

    end: str
    ends: frozenset[int]
    options: Mapping[str, Any] = field(default_factory=dict)

    def prompt(self, tokenizer: PreTrainedTokenizerBase, messages: list[dict[str, str]]) -> str:
        """The prompt for these messages.

        Raises:
            ValueError: the template cannot render them.
        """
        return _render(tokenizer, messages, self.options, prompt=True)


def read_turn(
    tokenizer: PreTrainedTokenizerBase,
    thinking_format: ThinkingFormat,
    ends: Collection[int] = (),
    options: Mapping[str, Any] | None = None,
) -> Turn:
    """Read off the chat template how the assistant's turn begins and ends.

    Args:
        ends (`Collection[int]`): tokens at which generation stops, besides the tokenizer's end of sequence.
        options (`Mapping[str, Any]`, *optional*): for the template, such as `{"enable_thinking": True}`.

    Raises:
        ValueError: there is no template; its prompts do not begin as its answers do, have ended the thinking already,
            or open thinking of another format; or it puts no end of turn behind an answer.
    """
    if not tokenizer.chat_template:
        raise ValueError(
            "The tokenizer has no chat template. Set `chat_template_path` to a Jinja file, to `chatml`, or to one of "
            "TRL's templates, such as llama3."
        )
    asked, answered = _render(tokenizer, _CHAT[:1], options, prompt=True), _render(tokenizer, _CHAT, options)
    head, found, tail = answered.rpartition(_ANSWERED)
    if not found:
        raise ValueError("The chat template does not write what the assistant says. Choose a `chat_template_path`.")
    _check_beginning(asked, head)
    _check_thinking(asked, tokenizer, thinking_format)
    known = {i for i in (tokenizer.eos_token_id, *ends) if i is not None}
    texts = [str(tokenizer.convert_ids_to_tokens(i)) for i in sorted(known)]
    end = _end(tail, texts) or _end_before_more(tokenizer, texts, options)
    if not end:
        raise _no_end(tail, texts)
    return Turn(end, frozenset(known), dict(options or {}))


def _render(
    tokenizer: Any, messages: list[dict[str, str]], options: Mapping[str, Any] | None, prompt: bool = False
) -> str:
    try:
        return str(
            tokenizer.apply_chat_template(messages, tokenize=False, add_generation_prompt=prompt, **(options or {}))
        )
    except (TemplateError, TypeError, KeyError, AttributeError) as error:
        raise ValueError(f"the chat template cannot render this row: {error}") from None


def _check_beginning(asked: str, head: str) -> None:
    """Refuse a prompt that begins the turn otherwise than an answer does, delimiters of thinking aside."""
    shared = len(list(takewhile(lambda pair: pair[0] == pair[1], zip(asked, head, strict=False))))
    for text in (asked, head):
        rest = text[shared:]
        begun = (text.find(delimiter, max(0, shared - len(delimiter) + 1)) for delimiter in _DELIMITERS)
        if rest.strip() and not any(at >= 0 for at in begun) and not _is_of_channel(rest):
            raise ValueError(
                "the chat template renders the prompt differently once an answer follows it. Without an answer, it "
                f"ends with {asked[-60:]!r}; with one, that is preceded by {head[-60:]!r}. Use the template of an "
                "instruction model, or one of TRL's training templates (`chat_template_path`)."
            )


def _is_of_channel(text: str) -> bool:
    """Whether it is part of what opens an answer where answers are opened."""
    return any(text in family.answer_start for family in FAMILIES.values())


def _check_thinking(asked: str, tokenizer: PreTrainedTokenizerBase, thinking_format: ThinkingFormat) -> None:
    begun = asked.rstrip()
    pairs = {(thinking_format.start_text, thinking_format.close_text)}
    pairs |= {(family.start, family.close) for family in FAMILIES.values()}
    if any(begun.endswith(close) for _, close in pairs):
        switches = ", ".join(switches_of(tokenizer))
        raise ValueError(
            f"the chat template has ended the thinking before the model begins: the prompt ends with {asked[-40:]!r}. "
            "Set `chat_template_kwargs` so that it does not"
            + (f"; the template reads {switches}" if switches else "")
            + ", or choose another `chat_template_path`."
        )
    opened = next((start.strip() for start, _ in pairs if begun.endswith(start.strip())), None)
    if opened is not None and opened != thinking_format.start_text.strip():
        raise ValueError(
            f"the chat template opens thinking by {opened!r}, but the rows would open it by "
            f"{thinking_format.start_text!r} once more. Choose the `thinking_format` of the template, or another "
            "`chat_template_path`."
        )


def _end(tail: str, texts: Sequence[str]) -> str:
    """The end of turn in what stands behind an answer, with the white space behind it; empty if there is none."""
    cut = max((tail.rfind(text) + len(text) for text in texts if text in tail), default=0)
    rest = tail[cut:]
    return tail[:cut] + rest[: len(rest) - len(rest.lstrip())] if cut else ""


def _end_before_more(tokenizer: Any, texts: Sequence[str], options: Mapping[str, Any] | None) -> str:
    """The same where a template ends a turn only before the next one: GLM's ends with what opens the user's."""
    chat = [*_CHAT, {"role": "user", "content": _ASKED_AGAIN}]
    between = _render(tokenizer, chat, options).rpartition(_ANSWERED)[2].partition(_ASKED_AGAIN)[0]
    return between[: min((between.find(text) + len(text) for text in texts if text in between), default=0)]


def _no_end(tail: str, texts: Sequence[str]) -> ValueError:
    offered = _TOKENS.search(tail)
    remedy = f"set `eos_token` to {offered.group()!r}" if offered else "set `chat_template_path` or `eos_token`"
    return ValueError(
        f"the trained part has to end with the end of turn {' or '.join(map(repr, texts))}, but ends with "
        f"{('the answer' + tail)[-60:]!r}: {remedy}."
    )
