"""What a tokenizer's ids stand for: their texts, and which ids exist at all."""

from __future__ import annotations

import weakref
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase


@dataclass(frozen=True, eq=False)
class Vocabulary:
    """Texts of all token ids of one tokenizer; `texts[i]` is `None` where the tokenizer has no token `i`.

    A model's embedding may have more rows than this (Qwen2.5: 151,665 tokens, 152,064 rows): those ids belong to no
    token and are never generated.
    """

    texts: tuple[str | None, ...]
    single: dict[str, int]  # every token by its own text, added and special tokens included
    special: frozenset[int]  # special tokens, and added tokens, which the tokenizer never splits or merges

    def known(self, texts: Iterable[str]) -> list[str]:
        """Those of some texts that are single tokens."""
        return [text for text in texts if text in self.single]

    @property
    def unused(self) -> list[int]:
        return [i for i, text in enumerate(self.texts) if text is None]

    @classmethod
    def of(cls, tokenizer: PreTrainedTokenizerBase) -> Vocabulary:
        """Read the vocabulary of `tokenizer` (under a second for 150,000 tokens); read again only if it has grown."""
        known = _known.get(tokenizer)
        if known is None or known[0] != len(tokenizer):
            known = (len(tokenizer), cls._read(tokenizer))
            _known[tokenizer] = known
        return known[1]

    @classmethod
    def _read(cls, tokenizer: PreTrainedTokenizerBase) -> Vocabulary:
        single = dict(tokenizer.get_vocab())
        ids = sorted(set(single.values()))
        # A token by itself may lose its leading space when decoded; after another token it cannot.
        lead = tokenizer.encode("a", add_special_tokens=False)
        skip = len(tokenizer.decode(lead))
        texts: list[str | None] = [None] * (ids[-1] + 1)
        for i, text in zip(ids, _decoded(tokenizer, [[*lead, i] for i in ids]), strict=True):
            texts[i] = text[skip:]
        return cls(
            texts=tuple(texts),
            single=single,
            special=frozenset(tokenizer.all_special_ids) | frozenset(tokenizer.get_added_vocab().values()),
        )


_known: weakref.WeakKeyDictionary[PreTrainedTokenizerBase, tuple[int, Vocabulary]] = weakref.WeakKeyDictionary()


def _decoded(tokenizer: PreTrainedTokenizerBase, rows: list[list[int]]) -> list[str]:
    """The text of each row of ids; by the backend, which is much faster, where transformers does no more than that."""
    from transformers import PreTrainedTokenizerFast

    own = type(tokenizer)
    if (
        own.decode is PreTrainedTokenizerFast.decode
        and getattr(own, "_decode", None) is PreTrainedTokenizerFast._decode
    ):
        backend = tokenizer.backend_tokenizer  # its `decode_batch` starts threads, which a fork would warn about
        return [backend.decode(row, skip_special_tokens=False) for row in rows]
    options = {"skip_special_tokens": False, "clean_up_tokenization_spaces": False}
    return list(tokenizer.batch_decode(rows, **options))


def encode(tokenizer: PreTrainedTokenizerBase, text: str) -> tuple[int, ...]:
    """Token ids of `text` as it stands inside other text: no BOS or EOS around it, and no space put before it."""
    ids = tuple(tokenizer.encode(text, add_special_tokens=False))
    if ids and (Vocabulary.of(tokenizer).texts[ids[0]] or "").startswith(" ") and not text.startswith(" "):
        for lead in ("\n", "0", "("):
            head, both = (tuple(tokenizer.encode(t, add_special_tokens=False)) for t in (lead, lead + text))
            if both[: len(head)] == head:
                return both[len(head) :]
    return ids


def ends_line(text: str) -> bool:
    """Whether a line ends with a token of this text."""
    return text.endswith("\n")


def ends_sentence(text: str) -> bool:
    """Whether a sentence ends with a token of this text, closing quotes and brackets and white space aside."""
    return text.rstrip().rstrip("\"')]}»”’").endswith((".", "!", "?", "…", "。", "！", "？"))


def check_tokenizer(tokenizer: object) -> None:
    """Raises a `TypeError` if `tokenizer` is not a transformers tokenizer."""
    from transformers import PreTrainedTokenizerBase

    if not isinstance(tokenizer, PreTrainedTokenizerBase):
        raise TypeError(
            f"`tokenizer` has to be a transformers tokenizer, but is {type(tokenizer).__name__}. Load it with "
            "`AutoTokenizer.from_pretrained(...)`; of a multimodal processor take `.tokenizer`."
        )
    if type(tokenizer).__name__.startswith("MistralCommon"):
        raise TypeError(
            "`tokenizer` has to make control tokens from text, so that delimiters such as '[THINK]' can be found, but "
            f"is {type(tokenizer).__name__}, which never does. Load the model's tokenizer.json instead: "
            "`PreTrainedTokenizerFast.from_pretrained(...)`."
        )


def encode_whole(tokenizer: PreTrainedTokenizerBase, label: str, text: str) -> tuple[int, ...]:
    """The ids of a delimiter, if it can be written and found again."""
    ids = encode(tokenizer, text)
    if not ids or (tokenizer.unk_token_id is not None and tokenizer.unk_token_id in ids):
        raise ValueError(f"`{label}` has to be a text that the tokenizer can write, but {text!r} is not.")
    texts = Vocabulary.of(tokenizer).texts
    if "".join(texts[i] or "" for i in ids).strip() != text.strip():
        raise ValueError(
            f"`{label}` has to be a text whose characters this tokenizer keeps whole, so that it can be found in what "
            f"the model writes, but of {text!r} it splits one over several tokens. Use a delimiter of ASCII "
            "characters, or add it to the tokenizer as one token."
        )
    return ids


def single_tokens(vocabulary: Vocabulary, label: str, texts: Sequence[str], taken: set[int]) -> tuple[int, ...]:
    """The ids of texts that are one token each, but for those `taken`; raises a `ValueError` if one is not."""
    missing = [text for text in texts if text not in vocabulary.single]
    if missing:
        raise ValueError(f"`{label}` have to be single tokens of this tokenizer, which {missing!r} are not.")
    ids = dict.fromkeys(vocabulary.single[text] for text in texts)
    return tuple(i for i in ids if i not in taken)
