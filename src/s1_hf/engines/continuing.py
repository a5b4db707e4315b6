"""Rows that go on from a pause, in a ledger: each entry holds what came after the pause, and names the one before it.

Otherwise a search would write every row from its beginning at each of its steps.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

from s1_hf.forcing.pauses import Begun
from s1_hf.forcing.report import forced_at
from s1_hf.records import TEXT, Schema, check, counts_below

if TYPE_CHECKING:
    from s1_hf.engines.ledger import Ledger
    from s1_hf.engines.request import Place, Request

Entry = dict[str, Any]

_TEXTS = ("thinking", "answer", "output")
_COUNTS = counts_below(2**31)
_CONTINUED: Schema = {
    "after": TEXT, "shared": _COUNTS, "token_ids": _COUNTS, "forced": _COUNTS, **dict.fromkeys(_TEXTS, TEXT),
}  # fmt: skip


class Continuing:
    """Makes entries short, and whole again.

    The entries of the rows that have paused last are remembered, so that a search that takes one step after another
    does not look for them.
    """

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        self._keys: dict[Place, str] = {}
        self._entries: dict[str, Entry] = {}

    def forget(self, requests: Sequence[Request]) -> None:
        """All that none of these requests goes on from."""
        needed = {one.place for one in requests}
        self._keys = {place: key for place, key in self._keys.items() if place in needed}
        self._entries = {key: self._entries[key] for key in self._keys.values()}

    def remember(self, entries: Iterable[tuple[Request, str, Entry]]) -> None:
        """Whole entries by their keys, of which those matter whose rows have paused."""
        for request, key, entry in entries:
            if "state" in entry:
                self._keys[request.prompt, begun_of(entry)] = key
                self._entries[key] = entry

    def shortened(self, request: Request, entry: Entry) -> Entry:
        """An entry without what it goes on from, if that is in the ledger."""
        key = self._keys.get(request.place)
        if request.begun is None or key is None:
            return entry
        before = self._entries[key]
        length = len(before["token_ids"])
        shared = [_shared(before[name], entry[name]) for name in _TEXTS]
        return {
            **entry,
            **{name: entry[name][same:] for name, same in zip(_TEXTS, shared, strict=True)},
            "token_ids": entry["token_ids"][length:],
            "forced": [i - length for i in entry["forced"] if i >= length],
            "after": key,
            "shared": shared,
        }

    def whole(self, entry: Entry, where: str) -> Entry:
        """The entry as it was before it was shortened.

        Raises:
            ValueError: it is none, or what it goes on from is not there.
        """
        parts: list[tuple[Entry, str]] = []
        seen: set[str] = set()
        while "after" in entry:
            check(entry, _CONTINUED, where)
            if len(entry["shared"]) != len(_TEXTS):
                raise ValueError(f"{where}: `shared` has to be three numbers, but is {entry['shared']}.")
            parts.append((entry, where))
            key = entry["after"]
            if key in self._entries:  # which are whole
                entry = self._entries[key]
                break
            before = self._ledger.find([key]).get(key)
            if before is None or key in seen:
                raise ValueError(f"{where} goes on from an entry that is not there.")
            seen.add(key)
            entry, where = before, self._ledger.where(key)
        for part, of_part in reversed(parts):
            entry = _joined(entry, part, of_part)
        return entry


def begun_of(entry: Entry) -> Begun:
    """What the row of a whole entry, which has paused, goes on from."""
    ids = tuple(entry["token_ids"])
    return Begun(ids, forced_at(entry["forced"], len(ids)), tuple(entry["state"]))


def _joined(before: Entry, part: Entry, where: str) -> Entry:
    try:
        length = len(before["token_ids"])
        whole = {name: value for name, value in part.items() if name not in ("after", "shared")}
        for name, same in zip(_TEXTS, part["shared"], strict=True):
            whole[name] = before[name][:same] + part[name]
        whole["token_ids"] = [*before["token_ids"], *part["token_ids"]]
        whole["forced"] = [*before["forced"], *(i + length for i in part["forced"])]
    except (KeyError, TypeError):
        raise ValueError(f"{where} goes on from an entry that is no completion.") from None
    return whole


def _shared(one: str, other: str) -> int:
    """In how many characters two texts begin alike."""
    return next((i for i, (a, b) in enumerate(zip(one, other, strict=False)) if a != b), min(len(one), len(other)))
