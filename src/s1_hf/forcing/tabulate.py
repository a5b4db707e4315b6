"""From an automaton on the host to its tables."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING

import torch

from s1_hf.forcing.tables import Effect, Mark, Tables, classified, effects_of_rulings, move_of
from s1_hf.forcing.vocabulary import ends_line, ends_sentence

if TYPE_CHECKING:
    from s1_hf.forcing.automaton import Automaton


def tables_of(automaton: Automaton) -> Tables:
    """The cells and effects of an automaton as tensors."""
    texts, cells, ends = automaton.vocabulary.texts, automaton.cells, list(automaton.format.ends)
    # 1. Kinds of tokens, and what they and the rulings do in every cell.
    kinds, known, effects = classified(automaton.effects, _marks(automaton), len(texts))
    acting = []
    for cell, (of_cell, fixed) in enumerate(zip(effects, cells, strict=True)):
        acting.append([*of_cell, *effects_of_rulings(cell, fixed, automaton.wait_cells)])
    # 2. Which tokens are ends in which cell: right behind a finished tool call those of the sequence are none.
    attempts = torch.zeros(len(cells), len(known), dtype=torch.long)
    for cell, fixed in enumerate(cells):
        for k, kind in enumerate(known):
            hands_over = cell == automaton.called and kind.mark.stops
            attempts[cell, k] = bool(fixed.thinking) and kind.mark.is_end and not hands_over
    # 3. What is never allowed in a cell.
    banned = sorted(set().union(*automaton.ban_rows))
    bans = torch.zeros(len(cells), len(banned), dtype=torch.bool)
    for cell, fixed in enumerate(cells):
        bans[cell, [banned.index(i) for i in automaton.ban_rows[fixed.bans]]] = True
    return Tables(
        kinds=kinds,
        moves=_moves(acting),
        attempts=attempts,
        end_kinds=torch.tensor([kind.mark.is_end for kind in known]),
        line_kinds=torch.tensor([kind.mark.ends_line for kind in known]),
        soft_kinds=torch.tensor([kind.mark.soft_end for kind in known]),
        forced_tokens=torch.tensor([cell.forced for cell in cells]),
        thinks=torch.tensor([bool(cell.thinking) for cell in cells]),
        bans=bans,
        banned_ids=torch.tensor(banned, dtype=torch.long),
        ends=torch.tensor(ends, dtype=torch.long),
        ends_in=attempts[:, kinds[ends]].bool(),
        unused_ids=torch.tensor(automaton.vocabulary.unused, dtype=torch.long),
        wait_lengths=torch.tensor([len(ids) for ids in automaton.wait_ids] or [0]),
        num_ids=len(texts),
        close_first=automaton.format.close[0],
        message_length=len(automaton.message_ids),
        has_wait=bool(automaton.wait_ids),
    )


def _moves(effects: Sequence[Sequence[Effect]]) -> torch.Tensor:
    """`Tables.moves`, (3, 7, C, K + R); most effects are met in many places."""
    numbers: dict[Effect, int] = {}
    places = []
    for of_cell in effects:
        places.append([numbers.setdefault(effect, len(numbers)) for effect in of_cell])
    moves = torch.tensor([move_of(effect) for effect in numbers])  # (effects, 3, 7)
    return moves[torch.tensor(places)].permute(2, 3, 0, 1).contiguous()


def _marks(automaton: Automaton) -> dict[int, Mark]:
    """Those of all tokens that have any."""
    texts = automaton.vocabulary.texts
    soft_ends = (ends_line,) if automaton.cut_at == "line" else (ends_line, ends_sentence)
    marks: dict[int, Mark] = {}
    for name, tokens in (
        ("is_end", automaton.format.ends),
        ("stops", automaton.stops),
        ("ends_line", _among(texts, ends_line)),
        ("soft_end", _among(texts, *soft_ends)),
    ):
        for token in tokens:
            marks[token] = marks.get(token, Mark())._replace(**{name: True})
    return marks


def _among(texts: Sequence[str | None], *holds: Callable[[str], bool]) -> Iterable[int]:
    """The tokens of whose text any of these holds."""
    return [i for i, text in enumerate(texts) if any(one(text or "") for one in holds)]
