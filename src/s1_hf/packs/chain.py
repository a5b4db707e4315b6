"""A chain of hashes over rows, by which a row that was changed, dropped, added or moved is found and named.

Each link is the hash of the link before it and of its row; the first follows on the facts of the run, so that the last
one, the head, stands for everything. Whoever changes a row has to change all links behind it, and so the head: compare
it with the one that was published.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, fields
from typing import Any, NamedTuple

from s1_hf.engines.request import digest
from s1_hf.records import TEXT, Kind, Schema, check
from s1_hf.results.rows import Row
from s1_hf.visible import shortened

_OF = Kind("a list of five names", lambda value: isinstance(value, list) and len(value) == 5)
_LINE: Schema = {"row": TEXT, "of": _OF, "link": TEXT}
_MOST_NAMED = 5


class Link(NamedTuple):
    """A line of the chain.

    Args:
        row (`str`): the hash of the row.
        of (`list`): its task, method, setting, problem and sample.
        link (`str`): the hash of the link before it and of these.
    """

    row: str
    of: list[Any]
    link: str


def chain(rows: Sequence[Row], facts: Mapping[str, Any]) -> list[Link]:
    """The links of rows, in their order, after the facts of their run (of JSON types)."""
    links: list[Link] = []
    before = digest(facts)
    for row in rows:
        own, name = _hash(row), _name(row)
        links.append(Link(own, name, digest([before, own, name])))
        before = links[-1].link
    return links


def head(links: Sequence[Link], facts: Mapping[str, Any]) -> str:
    """What stands for all of them."""
    return links[-1].link if links else digest(facts)


def link_of(line: Any, where: str) -> Link:
    """A line as it stands in a file.

    Raises:
        ValueError: it is none.
    """
    check(line, _LINE, where, others=False, remedy="Has the pack been changed? Pack the results again.")
    return Link(**line)


def faults(rows: Sequence[Row], links: Sequence[Link], facts: Mapping[str, Any], told_head: str) -> list[str]:
    """What has been changed since the rows were packed, in words; empty if nothing was."""
    found = _faults_of_chain(links, facts, told_head)
    said, seen = [link.row for link in links], [_hash(row) for row in rows]
    if said == seen:
        return found
    kept, gone = _apart([(link.row, link.of) for link in links], Counter(said) - Counter(seen))
    left, new = _apart([(_hash(row), _name(row)) for row in rows], Counter(seen) - Counter(said))
    found += _said("changed", [name for name in new if name in gone])
    found += _said("dropped", [name for name in gone if name not in new])
    found += _said("added", [name for name in new if name not in gone])
    if kept != left:
        first = next(i for i, pair in enumerate(zip(kept, left, strict=True), 1) if pair[0] != pair[1])
        found.append(f"The rows stand in another order; row {first:,} is the first out of its place.")
    return found


def _faults_of_chain(links: Sequence[Link], facts: Mapping[str, Any], told_head: str) -> list[str]:
    """Whether the links follow on each other, from the facts to the head."""
    found = []
    before = digest(facts)
    for number, link in enumerate(links, 1):
        if digest([before, link.row, link.of]) != link.link:
            what = "the facts in pack.json" if number == 1 else f"line {number - 1:,}"
            found.append(f"Line {number:,} of chain.jsonl does not follow on {what}: one of them was changed.")
        before = link.link
    if before != told_head:
        found.append("The head in pack.json is not the last link of chain.jsonl: one of them was changed.")
    return found[:_MOST_NAMED]


def _apart(hashes: Sequence[tuple[str, list[Any]]], taken: Counter[str]) -> tuple[list[str], list[tuple[str, ...]]]:
    """The hashes without so many of each that are taken, the last ones first, and the names of those."""
    kept: list[str] = []
    names: list[tuple[str, ...]] = []
    for own, name in reversed(hashes):
        if taken[own] > 0:
            taken[own] -= 1
            names.append(tuple(map(str, name)))
        else:
            kept.append(own)
    return kept[::-1], names[::-1]


def _said(what: str, names: Sequence[tuple[str, ...]]) -> list[str]:
    lines = []
    for *setting, problem, sample in names[:_MOST_NAMED]:
        row = ", ".join(filter(None, setting))
        lines.append(f"A row was {what}: {shortened(f'{row}, problem {problem}, sample {sample}', 160)}.")
    if len(names) > _MOST_NAMED:
        lines.append(f"{len(names) - _MOST_NAMED:,} more rows were {what}.")
    return lines


def _name(row: Row) -> list[Any]:
    return [row.task, row.method, row.setting, row.problem, row.sample]


def _hash(row: Row) -> str:
    """Of all that is not at its default, so that later versions, which may have more columns, give the same."""
    told = asdict(row) | {"transcript": tuple(row.transcript)}
    for one in fields(row):
        if told[one.name] == one.default:
            del told[one.name]
    return digest(told)
