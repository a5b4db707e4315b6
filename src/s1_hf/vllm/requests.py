"""The requests of an engine, as they enter its batch, leave it, come back, and end."""

from __future__ import annotations

import hashlib
import logging
from collections import OrderedDict
from collections.abc import Sequence
from typing import TYPE_CHECKING

import torch

from s1_hf.forcing.decisions import RAISED
from s1_hf.vllm.group import Group
from s1_hf.vllm.row import Row, Told

if TYPE_CHECKING:
    from s1_hf.vllm.settings import RequestSettings
    from s1_hf.vllm.setup import Setup

MOST_REPORTS = 100_000
"""Finished requests whose reports wait to be fetched."""
MOST_TOKENS_AWAY = 2_000_000
"""Of requests that have left the batch and may come back, whose prompts and outputs are kept: some 150 MB. However long
they are, four times as many as the engine runs at once are kept."""
FEWER = 8
"""The output of a request that a stop string ended may lack so many of the tokens that were computed."""

logger = logging.getLogger(__name__)


class Refused:
    """A request whose budget turned out to be impossible when it had been let in: it ends at once, without an answer.

    An exception would end the whole engine.
    """

    def __init__(self, settings: RequestSettings, why: str) -> None:
        self.settings, self.why = settings, why
        self.generated: list[int] = []
        logger.error("A request is ended at once: %s", why)


class Requests:
    """Follows every request by its own tokens, not by its place in the batch.

    Args:
        setup ([`Setup`]): of the engine.
        device (`torch.device`): where scores are.
        most_rows (`int`): how many requests the engine runs at once.
        seed (`int`): for the draws of requests that bring no seed.
        shows_tokens (`bool`): whether the engine shows on the host what a request has generated; or only what it had
            when it joined the batch.
    """

    def __init__(
        self,
        setup: Setup,
        device: torch.device,
        most_rows: int,
        seed: int = 0,
        shows_tokens: bool = True,
    ) -> None:
        self._setup, self._device, self._seed, self._shows_tokens = setup, device, seed, shows_tokens
        self._begun = 0  # requests so far; the same in every process of a model that is split up
        self._groups: list[Group] | None = None
        # Rows that have left the batch and may come back, in the order in which they left.
        self._away: OrderedDict[int, tuple[Row, int]] = OrderedDict()  # with their sizes in tokens
        self._tokens_away = 0
        self._least_away = 4 * most_rows
        # Rows whose reports may be asked for: all of them by key, and those that have ended in that order.
        self._by_key: dict[str, list[Row | Refused]] = {}
        self._finished: OrderedDict[int, Row | Refused] = OrderedDict()

    def enter(
        self,
        settings: RequestSettings,
        prompt: Sequence[int] | None,
        generated: list[int],
        perhaps_preempted: Sequence[Row | Refused] = (),
    ) -> Row | Refused:
        """A request joins the batch: a new one, or one that had been sent away and has `generated` something.

        Args:
            generated (`list[int]`): see [`Row`].
            perhaps_preempted (`Sequence[Row]`): rows that may have left the batch, of which nobody told.
        """
        self.changed()
        try:
            if prompt is None:
                raise ValueError("A thinking budget needs a prompt of tokens, not of embeddings.")
            if generated:
                return self._returned(settings, tuple(prompt), generated, perhaps_preempted)
            row: Row | Refused = self._new(settings, prompt, generated)
        except Exception as error:  # whatever a request asks for, the others go on
            row = Refused(settings, str(error) or type(error).__name__)
        if row.settings.key is not None:
            self._by_key.setdefault(row.settings.key, []).append(row)
        return row

    def _new(self, settings: RequestSettings, prompt: Sequence[int], generated: list[int]) -> Row:
        self._begun += 1
        seed = settings.seed
        if seed is None:  # neighbouring seeds of engines have nothing in common
            seed = int.from_bytes(hashlib.sha256(f"{self._seed} {self._begun}".encode()).digest()[:7], "big")
        return Row(self._setup, settings, prompt, generated, seed, self._device)

    def leave(self, row: Row | Refused, is_over: bool) -> None:
        """A request leaves the batch, for good (`is_over`), or perhaps to come back."""
        self.changed()
        if isinstance(row, Refused) or is_over or not self._has_begun(row):
            self._finish(row)
            return
        row.settle()
        size = len(row.prompt) + row.taken + 500  # its random numbers, and what else it has
        self._away[id(row)] = row, size
        self._tokens_away += size
        # Most were aborted, or ended by a stop string, which nobody says.
        while self._tokens_away > MOST_TOKENS_AWAY and len(self._away) > self._least_away:
            oldest, _ = next(iter(self._away.values()))
            self._take_out(oldest)
            self._finish(oldest)

    def changed(self) -> None:
        """Rows enter, leave or change places before the next decision."""
        if self._groups is not None:
            for group in self._groups:
                group.dissolve()
            self._groups = None

    def decide(
        self, rows: Sequence[Row | Refused | None], taken: Sequence[int], last: torch.Tensor, scores: torch.Tensor
    ) -> None:
        """Decide the next token of every row, and change `scores` so that it is taken.

        Args:
            rows (`Sequence`): of the batch; `None` for requests without a budget.
            taken (`Sequence[int]`): how many tokens each has generated.
            last (`torch.LongTensor` of shape `(batch_size,)`): the last token of each.
            scores (`torch.FloatTensor` of shape `(batch_size, vocab_size)`): changed in place.
        """
        if self._groups is None:
            self._groups = _grouped(rows)
        for group in self._groups:
            places = group.places
            if len(places) == len(rows):
                group.step(list(taken), last, scores)
            else:
                group.step([taken[place] for place in places], last[places], scores)
        for place, row in enumerate(rows):
            if isinstance(row, Refused):
                scores[place, self._setup.eos[0]] = RAISED

    def told(self, key: str, ids: Sequence[int]) -> Told:
        """What happened to the request of that name that generated `ids`, all of them; forgotten with that.

        Raises:
            RuntimeError: it is not known, any more or at all, or it was refused, or it generated something else.
        """
        self.changed()
        found: Row | None = None
        for row in self._by_key.get(key, []):
            if isinstance(row, Refused):
                if ids and ids[-1] in self._setup.eos:
                    self._forget(row)
                    raise RuntimeError(row.why)
                continue
            row.settle()
            # Of several outputs of one prompt, the one that led to these tokens; the last may not have been seen here.
            if self._are_all(row, ids) and (found is None or row.forced_next() in ids[-1:]):
                found = row
        if found is None:  # in the same words, whether or not there is such a key
            raise RuntimeError(
                f"The report of request {key!r} and these {len(ids)} tokens is not known: those of the last "
                f"{MOST_REPORTS:,} finished requests are kept, until they are fetched."
            )
        self._forget(found)
        return found.told(ids)

    def _are_all(self, row: Row, ids: Sequence[int]) -> bool:
        """Whether a row has generated these ids, and nothing more but what was computed beyond its end."""
        if not ids or not row.has_written(ids):
            return False
        is_ended = ids[-1] in (*self._setup.eos, *row.settings.stops)
        return is_ended or row.taken - len(ids) <= (FEWER if row.settings.has_stop_texts else 0)

    # -- rows that are not in the batch -------------------------------------------------------------------------

    def _returned(
        self,
        settings: RequestSettings,
        prompt: tuple[int, ...],
        generated: list[int],
        perhaps_preempted: Sequence[Row | Refused],
    ) -> Row:
        """The row that had left with this prompt, these settings and this output.

        Rows that are alike in all three may stand in for each other, but not one for two.

        Raises:
            ValueError: there is none.
        """
        rows = [row for row, _ in self._away.values()] + [row for row in perhaps_preempted if isinstance(row, Row)]
        for row in sorted(rows, key=lambda one: one.taken > len(generated)):  # at last those that have to take back
            if row.prompt == prompt and row.settings == settings and row.has_written(generated):
                self._take_out(row)
                row.generated = generated
                if len(generated) < row.taken:
                    row.take_back(len(generated))
                return row
        raise ValueError("It came back, and where its thinking stands is not known any more.")

    def _take_out(self, row: Row | Refused) -> None:
        """A row is not away any more, if it was."""
        _, size = self._away.pop(id(row), (row, 0))
        self._tokens_away -= size

    def _has_begun(self, row: Row) -> bool:
        """Whether a row may have got a token; one that has not begins anew when it comes back."""
        return len(row.generated) > 0 if self._shows_tokens else row.decided is not None or row.taken > 0

    def _finish(self, row: Row | Refused) -> None:
        """Keep a row whose report may be asked for."""
        if row not in self._by_key.get(row.settings.key or "", []):
            return
        if isinstance(row, Row) and not self._has_begun(row):  # it will begin anew
            self._forget(row)
            return
        self._finished[id(row)] = row
        while len(self._finished) > MOST_REPORTS:
            self._forget(next(iter(self._finished.values())))

    def _forget(self, row: Row | Refused) -> None:
        self._finished.pop(id(row), None)
        self._take_out(row)
        key = row.settings.key
        if key in self._by_key:
            self._by_key[key] = [one for one in self._by_key[key] if one is not row]
            if not self._by_key[key]:
                del self._by_key[key]


def _grouped(rows: Sequence[Row | Refused | None]) -> list[Group]:
    """The rows that have a budget, in groups that can be decided together."""
    together: dict[object, tuple[list[Row], list[int]]] = {}
    for place, row in enumerate(rows):
        if isinstance(row, Row):
            members, places = together.setdefault(row.group_key, ([], []))
            members.append(row)
            places.append(place)
    return [Group(members, places) for members, places in together.values()]
