"""Hostile text made safe to show: characters that are invisible, or that hide or reorder others, are spelled out."""

from __future__ import annotations

import codecs
import re
import sys
from collections.abc import Iterable
from typing import Any, TextIO
from unicodedata import category

# The joiners are of category Cf, but words and emoji need them.
_KEPT = frozenset("\n\t\u200c\u200d")
_HIDDEN = frozenset({"Cc", "Cf", "Cs", "Zl", "Zp"})


def visible(text: str) -> str:
    """The text with its control, format and direction characters and lone surrogates spelled out.

    Line feeds, tabs and all visible characters stay. The result can be encoded as UTF-8, and its characters are
    allowed in XML, but it is not escaped.

    Example:

    ```python
    >>> from s1_hf.visible import visible
    >>> visible("a\\x00b \\u202ec \\ud800")
    'a⟨U+0000⟩b ⟨U+202E⟩c ⟨U+D800⟩'

    ```
    """
    if text.isprintable():
        return text
    return "".join(character if _is_seen(character) else f"⟨U+{ord(character):04X}⟩" for character in text)


def visible_in(text: str, encoding: str) -> str:
    """The text made visible, and with escapes for what the encoding of a terminal lacks."""
    return visible(text).encode(encoding, "backslashreplace").decode(encoding)


def shortened(text: str, most: int) -> str:
    """The text as one line of at most `most` characters, all visible.

    Example:

    ```python
    >>> from s1_hf.visible import shortened
    >>> shortened("a long\\nname", 8)
    'a long …'

    ```
    """
    line = " ".join(visible(text[: most + 1]).split())
    return line if len(line) <= most else line[: most - 1] + "…"


def in_markdown(text: str) -> str:
    """The text as one line of Markdown that shows it and does nothing else.

    Example:

    ```python
    >>> from s1_hf.visible import in_markdown
    >>> in_markdown("a_name <b> [x]")
    'a\\\\_name &lt;b> \\\\[x\\\\]'

    ```
    """
    line = " ".join(visible(text).split()).replace("&", "&amp;").replace("<", "&lt;")
    return "".join(f"\\{letter}" if letter in "\\`*_[]|!#" else letter for letter in line)


# -- terminals ------------------------------------------------------------------------------------------------------


def guard_terminal() -> None:
    """From here on, whatever is written to a terminal's stdout or stderr, by whomever, controls it no more.

    What is written to a file or a pipe stays as it is.
    """
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        if stream is None or isinstance(stream, VisibleStream):
            continue
        if stream.isatty() or hasattr(stream, "rich_proxied_file"):  # rich's, in front of a terminal
            setattr(sys, name, VisibleStream(stream, has_progress=name == "stderr"))


class VisibleStream:
    """A terminal's stream to which libraries write, and with them the texts of others.

    Their colours and the movements of their progress bars are left out; a progress bar may still return to the
    beginning of its line. All other control characters are spelled out, also where one write ends and the next begins
    in the middle of a sequence.

    Args:
        beneath (`TextIO`): the terminal itself.
        has_progress (`bool`, defaults to `False`): a write may begin by a return to the beginning of the line.
    """

    def __init__(self, beneath: TextIO, has_progress: bool = False) -> None:
        self.beneath = beneath
        self._begins = _RETURN if has_progress else _NOTHING
        self._encoding = beneath.encoding or "utf-8"  # rich's streams have none
        self.buffer = _VisibleBytes(self, self._encoding)

    def write(self, text: str) -> int:
        """Write what can be seen of the text."""
        begin = self._begins.match(text)[0]  # type: ignore[index]  # it matches every text
        rest = _COLOURS_AND_MOVES.sub("", text[len(begin) :])
        self.beneath.write(begin + visible_in(rest, self._encoding))
        return len(text)

    def writelines(self, lines: Iterable[str]) -> None:
        """Write one after the other."""
        for line in lines:
            self.write(line)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.beneath, name)


class _VisibleBytes:
    """The same for those who write bytes."""

    def __init__(self, stream: VisibleStream, encoding: str) -> None:
        self._stream, self._decoder = stream, codecs.getincrementaldecoder(encoding)("replace")

    def write(self, data: Any) -> int:
        self._stream.write(self._decoder.decode(bytes(data)))
        return len(data)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream.beneath.buffer, name)


_NOTHING = re.compile("")
_RETURN = re.compile(r"(\r( *\r)?)?")  # tqdm begins its line like this, and removes it by spaces between two
_COLOURS_AND_MOVES = re.compile(r"\x1b\[[0-9;:]*m|\x1b\[[0-9]*A")


def _is_seen(character: str) -> bool:
    return character in _KEPT or (category(character) not in _HIDDEN and not _is_noncharacter(ord(character)))


def _is_noncharacter(code: int) -> bool:
    return code & 0xFFFE == 0xFFFE or 0xFDD0 <= code <= 0xFDEF
