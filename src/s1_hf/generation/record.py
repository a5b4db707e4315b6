"""State that follows each row's own prefix, not its index or the number of calls.

Beam search reorders rows, assisted decoding tries tokens and takes them back, and a processor is used again for
another batch. The record keeps, for every length, one state per row with a hash of the row's ids; a row is found again
by its hash at the length before. Matching is one pass over the ids and never waits for the device.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch


class Step:
    """All rows at one length.

    Args:
        hashes (`torch.LongTensor` of shape `(batch_size,)`): of the ids.
        state (`torch.LongTensor` of shape `(fields, batch_size)`): to which the next token will be added; or `None`.
        parents (`torch.LongTensor` of shape `(batch_size,)`, *optional*): the row at the length before; the same row
            by default.
        before (`torch.LongTensor` of shape `(fields, batch_size)`, *optional*): the state at the length before.
        advance (`Callable`, *optional*): from `before` to `state`, once that is asked for.

    Attributes:
        pick (`torch.LongTensor` of shape `(batch_size,)`, *optional*): the token that the decision looked at.
    """

    def __init__(
        self,
        hashes: torch.Tensor,
        state: torch.Tensor | None,
        parents: torch.Tensor | None = None,
        before: torch.Tensor | None = None,
        advance: Callable[[torch.Tensor], torch.Tensor] | None = None,
    ) -> None:
        self.hashes, self.parents, self.before = hashes, parents, before
        self.pick: torch.Tensor | None = None
        self._state, self._advance = state, advance

    @property
    def state(self) -> torch.Tensor:
        """See above."""
        if self._state is None:
            assert self._advance is not None and self.before is not None
            self._state, self._advance = self._advance(self.before), None
        return self._state

    @state.setter
    def state(self, state: torch.Tensor) -> None:
        self._state, self._advance, self.before = state, None, None


@dataclass(frozen=True, eq=False)
class RecordedSteps:
    """The steps that led to some finished rows, on the CPU; entry `[i, r]` is the row's step at `prompt_length + i`."""

    states: torch.Tensor  # (steps, fields, rows)
    picks: torch.Tensor  # (steps, rows)
    final: torch.Tensor  # (fields, rows): after the last token


class PrefixRecord:
    """Keeps the state of every row during one call of `generate`, and starts afresh with the next call.

    A prefix that was never seen is read as a prompt. One that was seen continues from its record, wherever its row
    stands now and whatever was tried after it since.

    Args:
        read (`Callable`): `(prompts)` to the states, of shape `(fields, batch_size)`, of rows that were never seen,
            as lists of ids.
        advance (`Callable`): `(state, tokens)` to the state after one more token in every row.
        rows_move (`bool`): whether rows may change places, as in beam search.
        may_follow (`Callable`): `(state, pick, tokens)` to whether `tokens` can have been generated after this state,
            whose decision looked at `pick`; asked where a length comes again, to tell a retry from another prompt.
        forgets (`Callable`): told before what was recorded is forgotten for a new call.
    """

    def __init__(
        self,
        read: Callable[[list[list[int]]], torch.Tensor],
        advance: Callable[[torch.Tensor, torch.Tensor], torch.Tensor],
        rows_move: bool = True,
        may_follow: Callable[[torch.Tensor, torch.Tensor | None, torch.Tensor], bool] = lambda *_: True,
        forgets: Callable[[], None] = lambda: None,
    ) -> None:
        self._read, self._advance, self._rows_move, self._may_follow = read, advance, rows_move, may_follow
        self._forgets = forgets
        self._steps: dict[int, Step] = {}
        self._factors = _odd_numbers(1024)
        self._last_length = -1
        self._peeked: tuple[torch.Tensor, int, Step | None] | None = None  # of what, in which version; and the step
        self.prompt_length = -1
        self.runs = 0  # how many calls of `generate` were seen
        self.is_linear = True  # whether no token was ever taken back
        self.lost: torch.Tensor | None = None  # whether a row was met whose prefix is not known

    def follow(self, input_ids: torch.Tensor) -> Step:
        """The rows of `input_ids`, of shape `(batch_size, length)`, as a new step."""
        length = input_ids.shape[1]
        step = self.peek(input_ids)
        self._peeked = None
        if step is None:
            self._forgets()
            _, hashes = self._hashes(input_ids)
            self._steps = {}
            self.prompt_length, self.runs, self.is_linear, self.lost = length, self.runs + 1, True, None
            step = Step(hashes, self._read(input_ids.tolist()).to(input_ids.device))
        elif length != self._last_length + 1:
            self.is_linear = False
        self._steps[length] = step
        self._last_length = length
        return step

    def peek(self, input_ids: torch.Tensor) -> Step | None:
        """The step that [`follow`] would make of `input_ids`, which is not kept; `None` if they are a prompt.

        Criteria ask for it, one after the other, and the processor then follows the very same tensor.
        """
        if input_ids.is_inference():  # has no version that would tell of changes
            return self._grow(input_ids)
        if self._peeked is None or self._peeked[0] is not input_ids or self._peeked[1] != input_ids._version:
            self._peeked = (input_ids, input_ids._version, self._grow(input_ids))
        return self._peeked[2]

    def step(self, length: int) -> Step:
        """The last step that was made of rows of this length."""
        return self._steps[length]

    def continues(self, hashes: torch.Tensor, input_ids: torch.Tensor) -> bool:
        """Whether the rows are those with these `hashes` and one more token; waits for the device."""
        if hashes.shape != input_ids.shape[:1] or hashes.device != input_ids.device:
            return False
        return bool((self._hashes(input_ids)[0] == hashes).all())

    def _grow(self, input_ids: torch.Tensor) -> Step | None:
        """The step after the one at the length before; `None` if the rows do not come from there."""
        parent = self._steps.get(input_ids.shape[1] - 1)
        if parent is None or parent.hashes.shape != input_ids.shape[:1] or parent.hashes.device != input_ids.device:
            return None
        before, hashes = self._hashes(input_ids)
        same = before == parent.hashes
        follows = input_ids.shape[1] == self._last_length + 1
        if follows and input_ids.device.type != "cpu":  # asking would wait for the device; `trace` asks
            parents, found = _match(before, parent.hashes, same) if self._rows_move else (None, same)
            lost = ~found.all()
            self.lost = lost if self.lost is None else self.lost | lost
        elif same.cpu().numpy().all():  # on the CPU there is nothing to wait for
            parents = None
        else:
            parents, found = _match(before, parent.hashes, same)
            if not found.cpu().numpy().all():
                return None
        state = parent.state if parents is None else parent.state[:, parents]
        if not follows:
            pick = parent.pick if parents is None or parent.pick is None else parent.pick[parents]
            if not self._may_follow(state, pick, input_ids[:, -1]):
                return None
        tokens = input_ids[:, -1]
        return Step(hashes, None, parents, state, lambda before: self._advance(before, tokens))

    def _hashes(self, input_ids: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Hashes of the rows without and with their last token: a random odd factor a position, sums modulo 2^64.

        Two rows that differ in one position never collide; others do with a probability below 2^-45 a pair.
        """
        length = input_ids.shape[1]
        if length > len(self._factors):
            self._factors = _odd_numbers(2 * length)
        if self._factors.device != input_ids.device:
            self._factors = self._factors.to(input_ids.device)
        before = (input_ids[:, :-1] * self._factors[: length - 1]).sum(1)
        return before, before.addcmul(input_ids[:, -1], self._factors[length - 1])

    def trace(self, sequences: torch.Tensor, lengths: list[int]) -> RecordedSteps:
        """The steps behind `sequences`, of shape `(rows, length)`, of which row `r` ends after `lengths[r]` tokens.

        Raises:
            RuntimeError: a row is none that was recorded.
        """
        if self.lost is not None and bool(self.lost):
            raise RuntimeError(
                "A row came whose prefix is not known: the rows changed places although no beam search was announced "
                "in `generation_config`, or the processor was used for another call of `generate` whose prompt is as "
                "long as the last call's output. Use a new processor for every call."
            )
        sequences = sequences.cpu()
        top = max(lengths) - 1
        # 1. Every recorded step, on the CPU: states (steps, fields, width), the others (steps, width).
        steps = [self._steps[t] for t in range(self.prompt_length, top + 1) if t in self._steps]
        if self.prompt_length < 0 or len(steps) != top + 1 - self.prompt_length:
            raise RuntimeError("The sequences are longer than, or not, what this processor has seen being generated.")
        states = torch.stack([step.state for step in steps]).cpu()
        hashes = torch.stack([step.hashes for step in steps]).cpu()
        picks = torch.stack([_pick_of(step) for step in steps]).cpu()
        parents = torch.stack([_parents_of(step) for step in steps]).cpu()
        # 2. The row in which each sequence was met last, and its state after its last token.
        self._factors = self._factors.cpu()
        row = torch.tensor([self._locate(sequences[r], r, n, hashes) for r, n in enumerate(lengths)])
        ends = torch.tensor(lengths) - 1 - self.prompt_length  # the step of each sequence's last token
        last = states[ends, :, row].T.contiguous()
        final = self._advance(last, sequences[torch.arange(len(lengths)), torch.tensor(lengths) - 1])
        # 3. Backwards from there to the row in which it was met at every step.
        rows = torch.empty(len(steps), len(lengths), dtype=torch.long)
        for i in range(len(steps) - 1, -1, -1):
            rows[i] = row
            row = torch.where(ends >= i, parents[i, row], row)
        states = states.gather(2, rows[:, None, :].expand(-1, states.shape[1], -1))
        return RecordedSteps(states, picks.gather(1, rows), final)

    def _locate(self, ids: torch.Tensor, index: int, length: int, hashes: torch.Tensor) -> int:
        """The row in which the first `length - 1` of `ids` were met."""
        _, seen = self._hashes(ids[None, : length - 1])
        rows = (hashes[length - 1 - self.prompt_length] == seen).nonzero()[:, 0].tolist()
        if not rows:
            raise RuntimeError(
                f"Row {index} of the sequences is not what this processor has seen being generated. Pass what the "
                "last `generate` returned, as it was returned."
            )
        return index if index in rows else rows[0]


def _pick_of(step: Step) -> torch.Tensor:
    return step.state[0] if step.pick is None else step.pick  # without a decision any ids of that shape do


def _parents_of(step: Step) -> torch.Tensor:
    if step.parents is None:
        return torch.arange(len(step.hashes), device=step.hashes.device)
    return step.parents


def _match(before: torch.Tensor, hashes: torch.Tensor, same: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """For each row the one of `hashes` it comes from, and whether there is one.

    Rows with equal ids can differ (a Wait may be forced or the model's own): the row of the same index goes first.
    """
    ordered, rows = hashes.sort()
    at = torch.searchsorted(ordered, before).clamp(max=len(rows) - 1)
    own = torch.arange(len(rows), device=rows.device)
    return torch.where(same, own, rows[at]), same | (ordered[at] == before)


def _odd_numbers(count: int) -> torch.Tensor:
    generator = torch.Generator().manual_seed(2501_19393)
    return torch.randint(-(2**62), 2**62, (count,), generator=generator) * 2 + 1
