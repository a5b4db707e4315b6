"""What is seen: pieces of text, reports and tables as HTML, in which no text can be anything but text."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import TYPE_CHECKING

from s1_hf.generation.streaming import PieceKind
from s1_hf.reporting.html import Element, Node, element
from s1_hf.visible import visible

if TYPE_CHECKING:
    from s1_hf.generation.chats import Completion
    from s1_hf.reporting.tables import Table

Told = tuple[str, PieceKind]

MOST_CHARACTERS = 40_000
"""Of a text that is shown; of a longer one the beginning and the end."""

_NAMES = {"thinking": "Thinking", "answer": "Answer"}
_ENDED = {
    "natural": "by itself",
    "cut": "cut at the cap",
    "looped": "closed, because it repeated itself",
    "handed_over": "by a tool call",
    "unfinished": "not at all: the tokens ran out",
    "never_started": "never started",
}


def joined(pieces: Sequence[Told]) -> list[Told]:
    """The same, neighbours of one kind as one, without the middle of a text that is too long to be shown."""
    whole: list[Told] = []
    for text, kind in pieces:
        if whole and whole[-1][1] == kind:
            text = whole.pop()[0] + text
        whole.append((text, kind))
    return whole


def transcript(pieces: Sequence[Told]) -> Element:
    """Thinking and answers in boxes with names; what was forced is marked in them."""
    parts: list[tuple[str, list[Node]]] = []
    before: list[Node] = []  # forced, before it is known what it opens
    for text, kind in _clipped(joined(pieces)):
        if kind == "forced":
            node = element("mark", element("span", "forced: ", class_="unseen"), text)
            (parts[-1][1] if parts else before).append(node)
            continue
        if not parts or parts[-1][0] != kind:
            parts.append((kind, before))
            before = []
        parts[-1][1].append(text)
    if before:
        parts.append(("thinking", before))
    return element("div", *(_part(kind, nodes) for kind, nodes in parts), class_="transcript")


def _part(kind: str, nodes: list[Node]) -> Element:
    name = _NAMES[kind]
    text = element("div", *nodes, class_="text", dir="auto")
    return element("div", element("p", name, class_="name"), text, class_=f"part {kind}", role="group", aria_label=name)


def _clipped(pieces: Sequence[Told]) -> list[Told]:
    left_out = sum(len(text) for text, _ in pieces) - MOST_CHARACTERS
    if left_out <= 0:
        return list(pieces)
    begin, at, kept = MOST_CHARACTERS // 4, 0, list[Told]()
    for text, kind in pieces:
        start, at = at, at + len(text)
        head, tail = text[: max(0, begin - start)], text[max(0, begin + left_out - start) :]
        if start <= begin < at:
            head += f" [{left_out:,} characters are left out] "
        if head + tail:
            kept.append((head + tail, kind))
    return kept


def legend() -> Element:
    """What the looks of a transcript mean."""
    return element(
        "p",
        "Thinking stands in a dashed box and the answer in a solid one. Text that was forced on the model is marked ",
        element("mark", "like this"),
        "; all other text is its own.",
        class_="note",
    )


def report(completion: Completion, seconds: float) -> Element:
    """What budget forcing did, as a list."""
    told = completion.report
    rate = f" ({len(completion.token_ids) / seconds:,.1f} a second)" if seconds else ""
    facts = {
        "thinking tokens": f"{told.thinking_tokens:,}",
        "thinking ended": _ENDED[told.ended],
        "ends ignored": f"{told.ends_ignored:,}",
        "answer tokens": f"{told.answer_tokens:,}",
        "forced tokens": f"{sum(completion.forced):,}",
        "all tokens": f"{len(completion.token_ids):,}{rate}",
    }
    return element("dl", *((element("dt", name), element("dd", said)) for name, said in facts.items()), class_="report")


def panels(named: Sequence[tuple[str, Completion, Sequence[Told]]], note: str) -> Element:
    """Completions side by side, each with its name."""
    shown = []
    for name, completion, pieces in named:
        body = element("section", element("h2", name), transcript(pieces), report(completion, 0.0), class_="panel")
        shown.append(body)
    return element("div", element("p", note, class_="note"), element("div", *shown, class_="panels"))


def table_of(table: Table) -> Element:
    """A table of numbers, whose first columns are names."""
    head = [element("th", name, scope="col") for name in table.columns]
    rows = []
    for row in table.rows:
        names = [element("th", cell, scope="row", class_="name") for cell in row[: table.names]]
        rows.append(element("tr", *names, *(element("td", cell) for cell in row[table.names :])))
    body = element("table", element("thead", element("tr", *head)), element("tbody", *rows))
    return element("div", body, class_="scroll", tabindex="0", role="region", aria_label="Numbers of the curve")


def problem(said: str) -> str:
    """An error, as a sentence beside the settings, that is read out at once; nothing if there is none."""
    return str(element("p", element("strong", "Not run: "), said, role="alert", class_="problem-note")) if said else ""


def status(said: str) -> str:
    """One line about how far it is."""
    return str(element("p", said, class_="note"))


class Aloud:
    """What a screen reader is told of a text that is being written: whole lines, now and then.

    Args:
        every_s (`float`): seconds between two of them.
    """

    def __init__(self, every_s: float = 1.5) -> None:
        self._every_s, self._last, self._kind, self._left = every_s, time.monotonic(), "", ""

    def hear(self, pieces: Sequence[Told]) -> None:
        """More of the text."""
        for text, kind in pieces:
            if kind != self._kind:
                self._left += f"\n{kind}: "
                self._kind = kind
            self._left += text

    def say(self, last: bool = False) -> str | None:
        """What is to be said now, as HTML: all that is left, if it is the `last`; `None`: nothing."""
        end = len(self._left) if last else self._left.rfind("\n")
        if end <= 0 or not (last or time.monotonic() - self._last >= self._every_s):
            return None
        said, self._left = self._left[:end].strip(), self._left[end:]
        self._last = time.monotonic()
        return aloud(said)


def aloud(said: str) -> str:
    """For screen readers, and for nobody else."""
    return str(element("p", visible(said), role="status", aria_live="polite", class_="unseen"))
