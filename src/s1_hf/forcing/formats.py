"""Thinking formats: how a family of reasoning models opens and closes its thinking.

Source: s1 (https://arxiv.org/abs/2501.19393, section 3.1 and its evaluation harness) for `s1`; the chat templates of
the models themselves for the others.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from s1_hf.forcing.vocabulary import Vocabulary, encode

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase


@dataclass(frozen=True)
class _Family:
    start: str
    close: str
    tokens: tuple[str, ...]  # each must be one token of the vocabulary
    force_start: bool = False


# Delimiters by name.
FAMILIES = {
    "s1": _Family("<|im_start|>think", "<|im_start|>answer", ("<|im_start|>",), force_start=True),
    "think": _Family("<think>", "</think>", ("<think>", "</think>")),
    "harmony": _Family(
        "<|channel|>analysis<|message|>",
        "<|end|><|start|>assistant<|channel|>final<|message|>",
        ("<|start|>", "<|channel|>", "<|message|>", "<|end|>"),
    ),
    "magistral": _Family("[THINK]", "[/THINK]", ("[THINK]", "[/THINK]")),
    "seed": _Family("<seed:think>", "</seed:think>", ("<seed:think>", "</seed:think>")),
}


@dataclass(frozen=True)
class ThinkingFormat:
    """The delimiters of a family of reasoning models, as token ids of one tokenizer.

    Make one with [`ThinkingFormat.from_tokenizer`] or, for delimiters of your own, [`ThinkingFormat.from_delimiters`].

    Args:
        name (`str`): `"s1"`, `"think"`, `"harmony"`, `"magistral"`, `"seed"`, or a name of your choice.
        start (`tuple[int, ...]`): ids that open thinking.
        close (`tuple[int, ...]`): ids that end thinking; what is forced when thinking is cut.
        ends (`tuple[int, ...]`): single ids by which the model shows that it wants to stop thinking: the first id of
            `close` if that is one token or begins with a special token, then every end-of-sequence id.
        turn (`tuple[int, ...]`): ids that open the assistant's turn in a prompt. Thinking is looked for after their
            last occurrence only, so that tags in user text or earlier turns mean nothing. Empty: the prompts have
            no turns, and the whole prompt is the model's own text.
        force_start (`bool`): whether `start` is forced when the prompt has not opened thinking (s1), or awaited from
            a model that may answer without thinking.
        interleaved (`bool`): whether thinking may open again after it was closed; all blocks then share one budget.
        start_text, close_text, turn_text (`str`): the same as texts.
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
    def from_tokenizer(cls, tokenizer: PreTrainedTokenizerBase, name: str | None = None) -> ThinkingFormat:
        """Resolve a shipped format on `tokenizer`; without `name` the family is detected.

        Detected are, by tokens that are whole in the vocabulary: `think` (`<think>` and `</think>`; several plain
        tokens do if the chat template names them), `harmony`, `magistral`, `seed`; and `s1` for a ChatML vocabulary
        (`<|im_start|>`) with none of these. Not detected are formats whose delimiters appear in neither.

        Raises:
            ValueError: the tokenizer has the delimiters of no family, of more than one, or not those of `name`.
        """
        check_tokenizer(tokenizer)
        vocabulary = Vocabulary.of(tokenizer)
        if name is None:
            name = _detect(vocabulary, _chat_template(tokenizer))
        elif name not in FAMILIES:
            raise ValueError(
                f"A thinking format's name has to be one of {', '.join(map(repr, FAMILIES))}, but is {name!r}. For "
                "delimiters of your own use `ThinkingFormat.from_delimiters(tokenizer, start=..., close=...)`."
            )
        family = FAMILIES[name]
        missing = [token for token in family.tokens if token not in vocabulary.single]
        if missing and name != "think":
            raise ValueError(
                f"The thinking format {name!r} needs {' and '.join(map(repr, missing))} as single tokens, which this "
                f"tokenizer ({len(tokenizer)} tokens) does not have. Use the tokenizer of the model itself, another "
                "format, or `ThinkingFormat.from_delimiters(tokenizer, start=..., close=...)`."
            )
        return cls.from_delimiters(
            tokenizer, start=family.start, close=family.close, force_start=family.force_start, name=name
        )

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
        name: str = "custom",
    ) -> ThinkingFormat:
        """Resolve delimiters of your own on `tokenizer`.

        Args:
            start, close (`str`): the texts that open and close thinking.
            turn (`str`, *optional*): the text that opens the assistant's turn; read off the chat template if absent.

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
        for label, text in (("start", start), ("close", close)):
            if not isinstance(text, str) or not text.strip():
                raise ValueError(f"`{label}` has to be a text such as '<think>', but is {text!r}.")
        for text, other in ((start, close), (close, start)):
            if text in other:
                raise ValueError(f"`start` and `close` have to be told apart, but {text!r} is part of {other!r}.")
        vocabulary = Vocabulary.of(tokenizer)
        start_ids, close_ids = encode(tokenizer, start), encode(tokenizer, close)
        for label, text, ids in (("start", start, start_ids), ("close", close, close_ids)):
            if not ids or (tokenizer.unk_token_id is not None and tokenizer.unk_token_id in ids):
                raise ValueError(f"`{label}` has to be a text that the tokenizer can write, but {text!r} is not.")
            if "".join(vocabulary.texts[i] or "" for i in ids).strip() != text.strip():
                raise ValueError(
                    f"`{label}` has to be a text whose characters this tokenizer keeps whole, so that it can be found "
                    f"in what the model writes, but of {text!r} it splits one over several tokens. Use a delimiter of "
                    "ASCII characters, or add it to the tokenizer as one token."
                )
        if turn is None:
            turn = _assistant_turn(tokenizer, start)
        eos = [i for i in [tokenizer.eos_token_id] if i is not None]
        known_by_first = len(close_ids) == 1 or close_ids[0] in vocabulary.special
        if interleaved and start_ids[0] == close_ids[0]:
            raise ValueError(
                f"`interleaved` has to be False when both delimiters begin with the same token, as {start!r} and "
                f"{close!r} do: a first token does not say which of the two it begins."
            )
        return cls(
            name=name,
            start=start_ids,
            close=close_ids,
            ends=tuple(dict.fromkeys((*close_ids[:known_by_first], *eos))),
            turn=encode(tokenizer, turn) if turn else (),
            force_start=force_start,
            interleaved=interleaved,
            start_text=start,
            close_text=close,
            turn_text=turn,
        )


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
    """The format that settings name: as for [`resolve_format`], or the arguments of `from_delimiters` in a `dict`."""
    if isinstance(given, dict):
        return ThinkingFormat.from_delimiters(tokenizer, **given)
    return resolve_format(tokenizer, given)


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


def check_tokenizer(tokenizer: object) -> None:
    """Raises a `TypeError` if `tokenizer` is not a transformers tokenizer."""
    from transformers import PreTrainedTokenizerBase

    if not isinstance(tokenizer, PreTrainedTokenizerBase):
        raise TypeError(
            f"`tokenizer` has to be a transformers tokenizer, but is {type(tokenizer).__name__}. Load it with "
            "`AutoTokenizer.from_pretrained(...)`; of a multimodal processor take `.tokenizer`."
        )


def _detect(vocabulary: Vocabulary, template: str) -> str:
    found = []
    for name, family in FAMILIES.items():
        has_all = vocabulary.single.keys() >= set(family.tokens)
        if has_all and name != "s1":
            found.append(name)
    if not found and "think>" in template:
        found = ["think"]
    if not found and "<|im_start|>" in vocabulary.single:
        found = ["s1"]
    if len(found) == 1:
        return found[0]
    looked_for = "; ".join(f"{name}: {' '.join(family.tokens)}" for name, family in FAMILIES.items())
    problem = "has the delimiters of none"
    if found:
        problem = f"has the delimiters of several ({', '.join(found)})"
    raise ValueError(
        f"The thinking format could not be detected: this tokenizer {problem}. Looked for, in the vocabulary and the "
        f"chat template: {looked_for}. Say it: `format=ThinkingFormat.from_tokenizer(tokenizer, 'think')`, or "
        "`format=ThinkingFormat.from_delimiters(tokenizer, start='<think>', close='</think>')`."
    )


def _chat_template(tokenizer: PreTrainedTokenizerBase) -> str:
    template = tokenizer.chat_template
    if isinstance(template, dict):
        return " ".join(template.values())
    return template or ""


def _assistant_turn(tokenizer: PreTrainedTokenizerBase, start: str) -> str:
    """The text with which the chat template opens the assistant's turn, up to where thinking starts."""
    if not tokenizer.chat_template:
        return ""
    chat = [{"role": "user", "content": "1+1"}]
    closed = str(tokenizer.apply_chat_template(chat, tokenize=False, add_generation_prompt=False))
    opened = str(tokenizer.apply_chat_template(chat, tokenize=False, add_generation_prompt=True))
    added = ""
    if opened.startswith(closed):
        added = opened[len(closed) :]
    # Some templates have no generation prompt: what follows the user's text opens the turn ("[/INST]").
    header = added.split(start)[0] or opened.rsplit("1+1", 1)[-1].split(start)[0]
    return header.rstrip()  # a newline may merge with what follows it
