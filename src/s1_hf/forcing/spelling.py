"""Token ids as text in which delimiters are looked for, and back."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import cached_property
from typing import TYPE_CHECKING

from s1_hf.forcing.vocabulary import Vocabulary, encode

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

_PRIVATE = 0xF0000  # where Unicode's private letters begin: no text holds them


class Spelling:
    """What each token of a vocabulary is in a text in which delimiters are looked for.

    A special or added token is one private letter, so that plain tokens that spell its text are not taken for it; every
    other token is its text, so that it does not matter into which tokens a text was split.

    Args:
        texts (`Sequence[str | None]`): of every id; `None` where there is no token.
        whole (`Iterable[int]`): ids that are private letters.
    """

    def __init__(self, texts: Sequence[str | None], whole: Iterable[int] = ()) -> None:
        self._texts = texts
        self.symbols = list(texts)
        self._whole: dict[str, int] = {}  # ids, by private letter
        for letter, i in enumerate(sorted(set(whole)), start=_PRIVATE):
            self.symbols[i] = chr(letter)
            self._whole[chr(letter)] = i
        self._holding: dict[str, list[int]] = {}

    @classmethod
    def of(cls, tokenizer: PreTrainedTokenizerBase, delimiters: Sequence[Sequence[int]] = ()) -> Spelling:
        """That of a tokenizer; a delimiter that is a single id is found as that id only."""
        vocabulary = Vocabulary.of(tokenizer)
        whole = {i for i in vocabulary.special if (vocabulary.texts[i] or "").strip()}  # added white space is text
        whole.update(ids[0] for ids in delimiters if len(ids) == 1)
        return cls(vocabulary.texts, whole)

    def text_of(self, ids: Iterable[int]) -> str:
        """The text that tokens make; one that does not exist (padded embedding rows) is none."""
        return "".join(self.pieces_of(ids))

    def pieces_of(self, ids: Iterable[int]) -> list[str]:
        """The text of each token."""
        size = len(self.symbols)
        return [(self.symbols[i] or "") if i < size else "" for i in ids]

    def ids_of(self, text: str, tokenizer: PreTrainedTokenizerBase) -> tuple[int, ...]:
        """Tokens that make this text."""
        ids: list[int] = []
        plain = ""
        for letter in text:
            if letter in self._whole:
                ids += [*encode(tokenizer, plain), self._whole[letter]]
                plain = ""
            else:
                plain += letter
        return (*ids, *encode(tokenizer, plain))

    def written(self, text: str) -> str:
        """The text as people write it, with what private letters stand for."""
        return "".join((self._texts[self._whole[letter]] or "") if letter in self._whole else letter for letter in text)

    def beginning(self, letter: str) -> list[int]:
        """The tokens whose text begins with a letter."""
        return self._by_first.get(letter, [])

    def holding(self, letter: str) -> list[int]:
        """The tokens whose text holds a letter."""
        if letter in self._whole:
            return [self._whole[letter]]
        if letter not in self._holding:
            self._holding[letter] = [i for i, symbol in enumerate(self.symbols) if symbol and letter in symbol]
        return self._holding[letter]

    @cached_property
    def _by_first(self) -> dict[str, list[int]]:
        by_first: dict[str, list[int]] = {}
        for i, symbol in enumerate(self.symbols):
            if symbol:
                by_first.setdefault(symbol[0], []).append(i)
        return by_first


def is_whole(letter: str) -> bool:
    """Whether a letter stands for a special token."""
    return ord(letter) >= _PRIVATE
