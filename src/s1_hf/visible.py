"""Hostile text made safe to show: characters that are invisible, or that hide or reorder others, are spelled out."""

from __future__ import annotations

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
    return "".join(character if _is_seen(character) else f"⟨U+{ord(character):04X}⟩" for character in text)


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


def _is_seen(character: str) -> bool:
    return character in _KEPT or (category(character) not in _HIDDEN and not _is_noncharacter(ord(character)))


def _is_noncharacter(code: int) -> bool:
    return code & 0xFFFE == 0xFFFE or 0xFDD0 <= code <= 0xFDEF
