"""A row that is decoded elsewhere, followed by the rules: what had to come, and what became of it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

import torch

from s1_hf.engines.endpoint.kept import Terms
from s1_hf.forcing.decisions import Field, Limits, judge
from s1_hf.forcing.loops import looping
from s1_hf.forcing.report import Ended
from s1_hf.forcing.tables import Ruling, State
from s1_hf.vllm.row import Row, Told
from s1_hf.vllm.settings import RequestSettings

if TYPE_CHECKING:
    from s1_hf.vllm.asking import Asked
    from s1_hf.vllm.setup import Setup

_CPU = torch.device("cpu")


class Looked(NamedTuple):
    """What the rules make of the token that a model wants next."""

    token: int | None  # what comes: that token, or one that is forced; `None`: the next best without `excluded`
    excluded: frozenset[int]  # what may not come
    forced: bool


class Mismatch(Exception):
    """The rules do not lead to these tokens."""


class Replay:
    """One row.

    Args:
        setup ([`Setup`]): the tokenizer, the format, the ends of sequence, the context.
        asked ([`Asked`]): the request whose row it is.

    Raises:
        ValueError: the budget cannot be met.
    """

    def __init__(self, setup: Setup, asked: Asked) -> None:
        settings = RequestSettings(
            budget=asked.budget,
            max_tokens=asked.max_tokens,
            max_answer_tokens=asked.max_answer_tokens,
            give_up_after=asked.give_up_after,
            pause=asked.pause,
            start=asked.start,
            steps=asked.steps,
        )
        self._row = Row(setup, settings, asked.prompt, [], 0, _CPU)
        self._most = setup.room(settings, len(asked.prompt))
        self._automaton = self._row.automaton
        self._tables = self._automaton.tables
        self._limits = Limits(*self._row.limits).acting()

    @property
    def ids(self) -> list[int]:
        """What the row has got."""
        return self._row.generated

    @property
    def is_over(self) -> bool:
        """Whether nothing follows: it has ended, has given up, or has all the tokens that it may have."""
        ids = self.ids
        return len(ids) >= self._most or (bool(ids) and ids[-1] in self._automaton.eos) or self.is_stopped

    @property
    def is_stopped(self) -> bool:
        """Whether it has paused, or reached a limit of its own, at which it ends without an end of sequence."""
        return self._row.ends_here[1]

    @property
    def paused(self) -> State | None:
        """Where it stands, if it has paused: with tokens left."""
        return self._state if self._row.ends_here[0] and self.room > 0 else None

    @property
    def separator(self) -> str | None:
        """What ends a step of thinking that has begun, or may begin."""
        may_think = self._state.ended in (Ended.NEVER_STARTED, Ended.UNFINISHED)
        return self._row.separator if may_think else None

    @property
    def room(self) -> int:
        """How many tokens may follow."""
        return self._most - len(self.ids)

    @property
    def is_thinking(self) -> bool:
        """Whether it thinks now, and chooses what."""
        return bool(self._automaton.cells[self._state.cell].thinking)

    @property
    def banned(self) -> frozenset[int]:
        """What may not come next, whatever the budget."""
        return frozenset(self._automaton.ban_rows[self._automaton.cells[self._state.cell].bans])

    @property
    def stops(self) -> list[int]:
        """The tokens by which it may want to end, its thinking or altogether."""
        return sorted({*self._automaton.format.ends, *self._automaton.eos})

    @property
    def thought(self) -> int:
        """How many thinking tokens there are, those aside that may turn out to be a delimiter."""
        return self._state.thinking_tokens - self._state.pending

    @property
    def thinking_left(self) -> int:
        """How many more there may be before thinking is stopped, the stop message aside, or pauses."""
        cap = int(self._row.limits.max_thinking_tokens) - len(self._automaton.message_ids)
        left = max(cap - self._state.thinking_tokens, 0)
        pause = self._row.pause_limit
        return left if pause is None else min(left, max(pause - self.thought, 0))

    @property
    def answered(self) -> int:
        """How many answer tokens there are."""
        return self._state.answer_tokens

    @property
    def terms(self) -> Terms:
        """What it has to keep to; of a row that has got nothing yet."""
        start, automaton, settings = self._state, self._automaton, self._row.settings
        cap, least, ignores, window = (int(column) for column in self._row.limits)
        return Terms(
            start=start,
            starts=start.ended == Ended.NEVER_STARTED and automaton.cells[start.cell].forced >= 0,
            room=self._most,
            cap=cap,
            least=least,
            ignores=ignores,
            window=window,
            waits=tuple(map(len, automaton.wait_ids)),
            message=len(automaton.message_ids),
            has_guard=self._row.guard is not None,
            give_up_after=settings.give_up_after,
            max_answer_tokens=settings.max_answer_tokens,
            plain=automaton.format.plain,
            interleaved=automaton.format.interleaved,
        )

    @property
    def forceable(self) -> frozenset[int]:
        """Every token that may be forced in it."""
        return frozenset(cell.forced for cell in self._automaton.cells if cell.forced >= 0)

    def look(self, pick: int | None = None) -> Looked:
        """What comes if the model wants `pick`; without one, what comes whatever it wants, or nothing.

        A row has to be looked at before each token that it takes.
        """
        row, banned = self._row, self.banned
        if pick is not None and pick in banned:
            return Looked(None, banned, False)
        state = row.committed[:, None]  # (7, 1)
        looped = None
        if row.guard is not None:
            looped = looping(row.tail[None], state[Field.THINKING], row.guard)
        wanted = self._tables.num_ids if pick is None else pick  # beyond the tokenizer: a token without any effect
        verdict = judge(self._tables, self._limits, state, torch.tensor([wanted]), row.tail[-1:], looped)
        ruling = int(verdict.ruling)
        row.decided = verdict.state[:, 0]
        forced = row.forced_next()
        if forced >= 0:
            return Looked(forced, frozenset(), True)
        if ruling in (Ruling.SKIPPED, Ruling.SKIPPED_EARLY):
            return Looked(None, banned | self._ends_here(), False)
        return Looked(pick, banned, False)

    def take(self, token: int) -> None:
        """The row gets a token."""
        self._row.generated.append(token)
        self._row.settle()

    def follow(self, ids: Sequence[int], picks: Sequence[int] | None = None) -> None:
        """The row gets all of these.

        Args:
            picks (`Sequence[int]`, *optional*): what the model wanted most at each place. Without them only a cut is
                told from a choice of the model's.

        Raises:
            Mismatch: the rules do not lead there.
        """
        for place, token in enumerate(ids):
            if self.is_stopped and place == len(ids) - 1 and token in self._automaton.eos:
                return  # made by the limit; it is none of the row's own
            self.follow_one(token, token if picks is None else picks[place])

    def told(self) -> Told:
        """What happened in the row."""
        return self._row.told(self.ids)

    def follow_one(self, token: int, pick: int) -> bool:
        """The row gets a token where the model wanted `pick`; returns whether it was forced.

        Raises:
            Mismatch: the rules do not lead there.
        """
        looked = self.look(pick)
        if looked.token is None and pick in self.banned:
            looked = self.look(token)  # the best of what is left
        is_wrong = token in looked.excluded if looked.token is None else token != looked.token
        if is_wrong:
            raise Mismatch(f"its token {len(self.ids)} is {token}, where the budget leads to {looked.token}")
        self.take(token)
        return looked.forced

    @property
    def _state(self) -> State:
        return State(*self._row.committed.tolist())

    def _ends_here(self) -> frozenset[int]:
        """The ends that are an attempt to end where the row stands."""
        here = self._tables.ends_in[self._state.cell]
        return frozenset(self._tables.ends[here].tolist())
