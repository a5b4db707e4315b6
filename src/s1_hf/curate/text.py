"""Texts as words, and hashes that are the same on every machine."""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import blake2b


def words(text: str) -> list[str]:
    """Lower-case and split at whitespace, like the original's decontamination. Punctuation stays attached to its word.

    Example:

    ```python
    >>> from s1_hf.curate.text import words
    >>> words("Find  $x$,\\nplease.")
    ['find', '$x$,', 'please.']

    ```
    """
    return text.lower().split()


def ngrams(text: str, size: int) -> list[str]:
    """All runs of `size` consecutive words; a shorter text is one n-gram as a whole.

    **Where we differ**: the original makes no n-grams from a shorter text, so it misses a short question that equals a
    test question word for word.

    Example:

    ```python
    >>> from s1_hf.curate.text import ngrams
    >>> ngrams("Find the real x.", 3), ngrams("Find x.", 3)
    (['find the real', 'the real x.'], ['find x.'])

    ```
    """
    return runs(words(text), size)


def runs(parts: Sequence[str], size: int) -> list[str]:
    """The same of words that are known."""
    if len(parts) <= size:
        return [" ".join(parts)] if parts else []
    return [" ".join(parts[at : at + size]) for at in range(len(parts) - size + 1)]


def number(text: str) -> int:
    """63 bits of the text's BLAKE2 hash, which fit into a column of int64."""
    return int.from_bytes(blake2b(text.encode("utf-8", "surrogatepass"), digest_size=8).digest(), "big") >> 1


def key(*texts: str | None) -> str:
    """A stable key for breaking ties: 32 hexadecimal digits of the texts' BLAKE2 hash."""
    digest = blake2b(digest_size=16)
    for text in texts:
        data = b"-" if text is None else text.encode("utf-8", "surrogatepass")
        digest.update(len(data).to_bytes(8, "big") + data)
    return digest.hexdigest()


def trace_text(trace: str | Sequence[str | None] | None) -> str:
    """A trace, which may be a list of texts, as one text, joined as in training."""
    if trace is None or isinstance(trace, str):
        return trace or ""
    return "\n".join(part or "" for part in trace)


def excerpt(text: str, length: int = 160) -> str:
    """The beginning of a text, on one line."""
    line = " ".join(text.split())
    return line if len(line) <= length else line[: length - 3] + "..."
