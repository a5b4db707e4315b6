"""From an automaton on the host to its tables."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import torch

from s1_hf.forcing.tables import Tables, classified
from s1_hf.forcing.vocabulary import ends_line, ends_sentence

if TYPE_CHECKING:
    from s1_hf.forcing.automaton import Automaton


def tables_of(automaton: Automaton) -> Tables:
    """The cells and effects of an automaton as tensors."""
    texts, ends = automaton.vocabulary.texts, list(automaton.format.ends)
    classes, effects = classified(automaton.effects, len(texts))
    banned = sorted(set().union(*automaton.ban_rows))
    bans = torch.zeros(len(automaton.ban_rows), len(banned), dtype=torch.bool)
    for r, row in enumerate(automaton.ban_rows):
        bans[r, [banned.index(i) for i in row]] = True
    soft_ends = (ends_line,) if automaton.cut_at == "line" else (ends_line, ends_sentence)
    return Tables(
        classes=classes,
        effects=effects,
        cells=torch.tensor(automaton.cells),
        ends=torch.tensor(ends, dtype=torch.long),
        is_end=_among(ends, len(texts)),
        stops=_among(automaton.stops, len(texts)),
        ends_line=_marked(texts, ends_line),
        soft_end=_marked(texts, *soft_ends),
        banned_ids=torch.tensor(banned, dtype=torch.long),
        bans=bans,
        unused_ids=torch.tensor(automaton.vocabulary.unused, dtype=torch.long),
        wait_cells=torch.tensor(automaton.wait_cells or [0]),
        wait_lengths=torch.tensor([len(ids) for ids in automaton.wait_ids] or [0]),
        num_ids=len(texts),
        close_first=automaton.format.close[0],
        called=automaton.called,
        knows_calls=bool(automaton.call_ends),
        message_length=len(automaton.message_ids),
        cuts_softly=automaton.cuts_softly,
        has_wait=bool(automaton.wait_ids),
    )


def _among(ids: Sequence[int], num_ids: int) -> torch.Tensor:
    """Of each token whether it is one of `ids`, `bool` in the shape of `Tables.classes`."""
    marks = torch.zeros(num_ids + 1, dtype=torch.bool)
    marks[torch.tensor(ids, dtype=torch.long)] = True
    return marks


def _marked(texts: Sequence[str | None], *holds: Callable[[str], bool]) -> torch.Tensor:
    """Of each token whether any of these holds of its text, `bool` in the shape of `Tables.classes`."""
    marks = [any(one(text or "") for one in holds) for text in texts]
    return torch.tensor([*marks, False])
