"""Thinking formats: how a family of reasoning models opens and closes its thinking.

Source: s1 (https://arxiv.org/abs/2501.19393, section 3.1 and its evaluation harness) for `s1`; the chat templates of
the models themselves for the others.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, TypedDict

from s1_hf.forcing.detection import detect, is_named
from s1_hf.forcing.families import CALL_ENDS, FAMILIES
from s1_hf.forcing.format_settings import check_settings
from s1_hf.forcing.templates import Turns, read_turns, template_of
from s1_hf.forcing.vocabulary import Vocabulary, check_tokenizer, encode, encode_whole, single_tokens

if TYPE_CHECKING:
    from collections.abc import Sequence

    from transformers import PreTrainedTokenizerBase
    from typing_extensions import Unpack


class Overrides(TypedDict, total=False):
    """What a caller may say in place of a family's row or the chat template: see `ThinkingFormat.from_delimiters`."""

    force_start: bool
    interleaved: bool
    turn: str
    answer_start: str
    handovers: Sequence[str]
    call_ends: Sequence[str]
    tool_results: Sequence[tuple[str, str]]


@dataclass(frozen=True)
class ThinkingFormat:
    """The delimiters of a family of reasoning models, as token ids of one tokenizer.

    Make one with [`ThinkingFormat.from_tokenizer`] or, for delimiters of your own, [`ThinkingFormat.from_delimiters`].

    Args:
        name (`str`): that of a family, see `s1_hf.forcing.families`, or a name of your choice.
        start (`tuple[int, ...]`): ids that open thinking.
        close (`tuple[int, ...]`): ids that end thinking: what is looked for, and what is forced.
        ends (`tuple[int, ...]`): single ids by which the model shows that it wants to stop thinking: the first id of
            `close` if that is one token or begins with a special token, then every end-of-sequence id that is no
            handover.
        turn (`tuple[int, ...]`): ids that open the assistant's turn in a prompt. Thinking is looked for after their
            last occurrence only, so that tags in user text or earlier turns mean nothing. Empty: the prompts have
            no turns, and the whole prompt is the model's own text.
        force_start (`bool`): whether `start` is forced when the prompt has not opened thinking (s1), or awaited from
            a model that may answer without thinking.
        interleaved (`bool`): whether thinking may open again after it was closed; all blocks then share one budget.
        start_text, close_text, turn_text (`str`): the same as texts.
        user_turn_text (`str`): what opens a user's turn, in which tags mean nothing; empty if it is not known.
        answer_start (`tuple[int, ...]`): ids forced behind `close` on a cut, before the answer prefix: what opens the
            family's answer block.
        answer_start_text (`str`): the same as a text.
        handovers (`tuple[int, ...]`): ends of sequence by which the model hands its turn to a tool. Inside thinking
            they are let through as they are.
        call_ends (`tuple[int, ...]`): ids that end a tool call. Right behind one, white space aside, every end of
            sequence inside thinking is a handover.
    """

    name: str
    start: tuple[int, ...]
    close: tuple[int, ...]
    ends: tuple[int, ...]
    turn: tuple[int, ...]
    force_start: bool
    interleaved: bool
    start_text: str
    close_text: str
    turn_text: str = ""
    user_turn_text: str = ""
    answer_start: tuple[int, ...] = ()
    answer_start_text: str = ""
    handovers: tuple[int, ...] = ()
    call_ends: tuple[int, ...] = ()
    tool_results: tuple[tuple[str, str], ...] = ()

    def __post_init__(self) -> None:
        for name in ("start", "close", "start_text", "close_text"):
            if not getattr(self, name):
                raise ValueError(f"`{name}` of a ThinkingFormat must not be empty.")

    @property
    def plain(self) -> bool:
        """Whether `close` is several plain tokens, so that it is recognised by its text, once it is complete.

        Such thinking can be capped, but its end cannot be ignored: it is known only after it has been written.
        """
        return self.close[0] not in self.ends

    @classmethod
    def from_tokenizer(
        cls, tokenizer: PreTrainedTokenizerBase, name: str | None = None, **overrides: Unpack[Overrides]
    ) -> ThinkingFormat:
        """Resolve a family's format on `tokenizer`; without `name` the family is detected.

        Detected are families by tokens that are whole in the vocabulary, or by the tags that the chat template names;
        and what a folder says of itself (`thinking_format` in its `tokenizer_config.json`, the name of simplescaling's
        models). A guess never forces tokens: `s1` on any other ChatML vocabulary has to be named.

        Args:
            **overrides: as in [`ThinkingFormat.from_delimiters`]; `force_start=True` makes a model think that may.

        Raises:
            ValueError: the tokenizer has the delimiters of no family, of more than one, or not those of `name`.
        """
        check_tokenizer(tokenizer)
        if name is None:
            found = detect(tokenizer)
            if not isinstance(found, str):
                return format_of_settings(tokenizer, {**found, **overrides})
            name = found
        elif name not in FAMILIES:
            raise ValueError(
                f"A thinking format's name has to be one of {', '.join(map(repr, FAMILIES))}, but is {name!r}. For "
                "delimiters of your own use `ThinkingFormat.from_delimiters(tokenizer, start=..., close=...)`."
            )
        family = FAMILIES[name]
        missing = [token for token in family.tokens if token not in Vocabulary.of(tokenizer).single]
        may_be_plain = set(family.tokens) <= {family.start, family.close} and is_named(family, template_of(tokenizer))
        if missing and name != "think" and not may_be_plain:
            raise ValueError(
                f"The thinking format {name!r} needs {' and '.join(map(repr, missing))} as single tokens, which this "
                f"tokenizer ({len(tokenizer)} tokens) does not have. Use the tokenizer of the model itself, another "
                "format, or `ThinkingFormat.from_delimiters(tokenizer, start=..., close=...)`."
            )
        chosen: dict[str, Any] = {
            "force_start": family.force_start,
            "interleaved": family.interleaved,
            "answer_start": family.answer_start,
            "handovers": Vocabulary.of(tokenizer).known(family.handovers),
        }
        check_settings(dict(overrides))
        chosen.update(overrides)
        return cls.from_delimiters(tokenizer, start=family.start, close=family.close, name=name, **chosen)

    @classmethod
    def from_delimiters(
        cls,
        tokenizer: PreTrainedTokenizerBase,
        *,
        start: str,
        close: str,
        force_start: bool = False,
        interleaved: bool = False,
        turn: str | None = None,
        answer_start: str = "",
        handovers: Sequence[str] | None = None,
        call_ends: Sequence[str] | None = None,
        tool_results: Sequence[tuple[str, str]] = (),
        name: str = "custom",
    ) -> ThinkingFormat:
        """Resolve delimiters of your own on `tokenizer`.

        Args:
            start, close (`str`): the texts that open and close thinking.
            force_start (`bool`): force `start` where a prompt has not opened thinking.
            interleaved (`bool`): let thinking open again after it was closed.
            turn (`str`, *optional*): the text that opens the assistant's turn; read off the chat template if absent.
            answer_start (`str`): what opens the answer; forced behind `close` on a cut.
            handovers (`Sequence[str]`, *optional*): ends of sequence by which the model hands its turn to a tool, each
                one token; those of all known families by default.
            call_ends (`Sequence[str]`, *optional*): what ends a tool call, each one token; `CALL_ENDS` of
                `s1_hf.forcing.families` by default.
            tool_results (`Sequence[tuple[str, str]]`): what stands around a tool's result in the assistant's turn, in
                which tags mean nothing; besides `TOOL_RESULTS` of `s1_hf.forcing.families`.

        Raises:
            ValueError: a delimiter is empty, or one of them contains the other.

        Example:

        ```python
        >>> from s1_hf import ThinkingFormat, embedded
        >>> _, tokenizer = embedded.load()
        >>> ThinkingFormat.from_delimiters(tokenizer, start="<r>", close="</r>").plain
        True
        >>> ThinkingFormat.from_tokenizer(tokenizer).close_text
        '<|im_start|>answer'

        ```
        """
        check_tokenizer(tokenizer)
        given = {"force_start": force_start, "interleaved": interleaved, "turn": turn, "answer_start": answer_start}
        lists = {"handovers": handovers, "call_ends": call_ends, "tool_results": tool_results}
        check_settings({**given, **lists})
        for label, text in (("start", start), ("close", close)):
            if not isinstance(text, str) or not text.strip():
                raise ValueError(f"`{label}` has to be a text such as '<think>', but is {text!r}.")
        for text, other in ((start, close), (close, start)):
            if text in other:
                raise ValueError(f"`start` and `close` have to be told apart, but {text!r} is part of {other!r}.")
        vocabulary = Vocabulary.of(tokenizer)
        start_ids = encode_whole(tokenizer, "start", start)
        close_ids = encode_whole(tokenizer, "close", close)
        answer_ids = encode_whole(tokenizer, "answer_start", answer_start) if answer_start else ()
        if interleaved and start_ids[0] == close_ids[0]:
            raise ValueError(
                f"`interleaved` has to be False when both delimiters begin with the same token, as {start!r} and "
                f"{close!r} do: a first token does not say which of the two it begins."
            )
        turns = read_turns(tokenizer, [start, close]) if turn is None else Turns(turn)
        delimiters = {*start_ids, *close_ids}
        if handovers is None:
            handovers = vocabulary.known(token for family in FAMILIES.values() for token in family.handovers)
        if call_ends is None:
            call_ends = vocabulary.known(CALL_ENDS)
        handed = single_tokens(vocabulary, "handovers", handovers, delimiters)
        eos = [i for i in [tokenizer.eos_token_id] if i is not None and i not in handed]
        known_by_first = len(close_ids) == 1 or close_ids[0] in vocabulary.special
        return cls(
            name=name,
            start=start_ids,
            close=close_ids,
            ends=tuple(dict.fromkeys((*close_ids[:known_by_first], *eos))),
            turn=encode(tokenizer, turns.assistant) if turns.assistant else (),
            force_start=force_start,
            interleaved=interleaved,
            start_text=start,
            close_text=close,
            turn_text=turns.assistant,
            user_turn_text=turns.user,
            answer_start=answer_ids,
            answer_start_text=answer_start,
            handovers=handed,
            call_ends=single_tokens(vocabulary, "call_ends", call_ends, delimiters),
            tool_results=(*turns.results, *((opening, closing) for opening, closing in tool_results)),
        )

    def with_ends(self, eos: Sequence[int]) -> ThinkingFormat:
        """The same where these ids end a sequence as well."""
        more = [i for i in eos if i not in self.handovers]
        return replace(self, ends=tuple(dict.fromkeys((*self.ends, *more))))


def resolve_format(tokenizer: PreTrainedTokenizerBase, format: ThinkingFormat | str | None) -> ThinkingFormat:
    """`format` itself, or the one of that name, or the one detected from `tokenizer`."""
    check_tokenizer(tokenizer)
    if isinstance(format, ThinkingFormat):
        check_format(format, tokenizer, [])
        return format
    if isinstance(format, str) and format not in FAMILIES:
        raise ValueError(
            f"`format` has to be one of {', '.join(map(repr, FAMILIES))}, or a ThinkingFormat, but is {format!r}. For "
            "delimiters of your own use `ThinkingFormat.from_delimiters(tokenizer, start=..., close=...)`."
        )
    if format is None or isinstance(format, str):
        return ThinkingFormat.from_tokenizer(tokenizer, format)
    raise TypeError(f"`format` has to be a ThinkingFormat, its name or None, but is {format!r}.")


def format_of_settings(tokenizer: PreTrainedTokenizerBase, given: Any) -> ThinkingFormat:
    """The format that settings name: as for [`resolve_format`], or a dictionary.

    With `start` and `close` these are the arguments of [`ThinkingFormat.from_delimiters`]; without them those of
    [`ThinkingFormat.from_tokenizer`], such as `{"name": "think", "force_start": True}` or `{"force_start": True}`.

    Raises:
        ValueError: a key is unknown, a value is of the wrong type, or one delimiter stands without the other.
    """
    if not isinstance(given, dict):
        return resolve_format(tokenizer, given)
    check_settings(given)
    if "start" in given:
        return ThinkingFormat.from_delimiters(tokenizer, **given)
    return ThinkingFormat.from_tokenizer(tokenizer, **given)


def check_format(format: ThinkingFormat, tokenizer: PreTrainedTokenizerBase, eos: list[int]) -> None:
    """Raises a `ValueError` if a format was resolved on another tokenizer, or holds an end of sequence."""
    texts = Vocabulary.of(tokenizer).texts
    for name, ids, text in (("start", format.start, format.start_text), ("close", format.close, format.close_text)):
        written = ""
        for i in ids:
            written += (texts[i] if i < len(texts) else None) or "?"
        if written.strip() != text.strip():
            raise ValueError(
                f"`format` has to be resolved on this tokenizer, but its `{name}` {text!r} has the ids {list(ids)}, "
                "which stand for something else here. Make it with `ThinkingFormat.from_tokenizer(tokenizer, ...)`."
            )
        if set(ids) & set(eos) and (name == "close" or format.force_start):
            raise ValueError(
                f"`{name}` of the thinking format has to be free of ends of sequence, at which `generate` stops, but "
                f"{text!r} contains one of {eos}. Leave it out of `eos_token_id`."
            )
