"""Answers branched off a trace: where a setting leaves it, and what it writes from there."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import zip_longest
from typing import TYPE_CHECKING, Any, Protocol

import torch
from transformers import StoppingCriteria

from s1_hf.forcing.collect import stacked
from s1_hf.forcing.decisions import Field, Limits, advance, judge, limits_for
from s1_hf.generation.chats import Completion, completion_of
from s1_hf.generation.reports import report_of

if TYPE_CHECKING:
    from s1_hf.forcing.automaton import Automaton
    from s1_hf.forcing.budget import Budget
    from s1_hf.forcing.report import Report
    from s1_hf.generation.trace import Replay, SweepTrace


@dataclass(frozen=True)
class Branch:
    """Where a setting leaves the trace: after `step` generated tokens row `row` takes `token`, then is in `state`."""

    row: int
    step: int
    token: int
    state: tuple[int, ...]
    budget: Budget  # what holds from there on


class Decided(Protocol):
    """What a trace has decided, whatever host made it."""

    @property
    def replay(self) -> Replay:
        """Its decisions."""

    @property
    def automaton(self) -> Automaton:
        """Of the largest setting."""

    @property
    def counts(self) -> torch.Tensor:
        """How many tokens each row has generated, `(rows,)`."""


def find_branches(trace: Decided, setting: Budget) -> list[Branch | None]:
    """For every row, where `setting` first decides otherwise than the trace; `None` if it never does."""
    replay, tables, rows = trace.replay, trace.automaton.tables, len(trace.counts)
    steps = len(replay.picks) // rows
    # 1. What the rules make of every step under this setting.
    limits = Limits(*(column.expand(len(replay.picks)) for column in limits_for(setting, 1)))
    state = judge(tables, limits, replay.before, replay.picks, replay.last, replay.looped).state  # (7, steps * rows)
    # 2. Where that differs first; steps after a row's end do not count.
    differs = (state != replay.after).any(0).reshape(steps, rows)
    differs = differs & (torch.arange(steps)[:, None] < trace.counts)
    # 3. The token that is forced there, and the state after it.
    token = tables.forced(state[Field.CELL])  # (steps * rows,)
    after = advance(tables, state, token.clamp(min=0))
    if not trace.automaton.format.interleaved:
        # Thinking does not open again, so what is left of the budget makes no difference: branches can be shared.
        setting = replace(setting, max_thinking_tokens=None, num_ignores=0)
    found: list[Branch | None] = []
    for row in range(rows):
        step = int(differs[:, row].int().argmax())
        at = step * rows + row
        if bool(differs[step, row]):
            found.append(Branch(row, step, int(token[at]), tuple(after[:, at].tolist()), setting))
        else:
            found.append(None)
    return found


def in_rounds(branches: Sequence[Branch]) -> Iterator[list[Branch]]:
    """Branches in groups that have each row at most once."""
    of_row: dict[int, list[Branch]] = {}
    for branch in branches:
        of_row.setdefault(branch.row, []).append(branch)
    for group in zip_longest(*of_row.values()):
        yield [branch for branch in group if branch is not None]


def answer_branches(trace: SweepTrace, branches: Sequence[Branch]) -> list[Completion]:
    """One answer per branch, all from the trace's cache; the branches are of different rows, the other rows idle."""
    call, rows = trace.call, range(len(trace.ids))
    at = {branch.row: branch for branch in branches}
    standing = [at.get(row, branches[0]) for row in rows]  # idle rows stand anywhere
    room = [trace.limit - at[row].step - 1 if row in at else 0 for row in rows]
    if max(room) == 0:
        return [_join(trace, branch, [], report_of(branch.state, ())) for branch in branches]

    # 1. Every row stands where its branch left off, with one token that is not in the cache yet.
    ids, mask = _slots(trace, at)
    width = ids.shape[1]
    states = torch.tensor([branch.state for branch in standing]).T.contiguous()  # (7, rows)
    kwargs, processor = call.arguments(
        stacked([branch.budget for branch in standing]),
        steps=[at[row].step + 1 if row in at else 0 for row in rows],
        max_new_tokens=max(room),
        stopping_criteria=[*(call.options.get("stopping_criteria") or []), _RoomPerRow(room, width)],
    )
    processor.resume(states.to(call.model.device))

    # 2. The answers, whose cache entries are dropped again.
    inputs = {"input_ids": ids.to(call.model.device), "attention_mask": mask.to(call.model.device)}
    outputs = call.model.generate(**inputs, **kwargs, past_key_values=trace.cache)  # type: ignore[operator]
    trace.cache.crop(trace.cached - trace.cache.get_seq_length())  # a negative number of tokens to drop
    reports = processor.reports(outputs)

    # 3. What each row wrote.
    answers = []
    for branch in branches:
        report = reports[branch.row]
        if room[branch.row]:
            written = outputs[branch.row, width : width + len(report.forced)].tolist()
            answers.append(_join(trace, branch, written, report))
        else:
            answers.append(_join(trace, branch, [], report_of(branch.state, ())))
    return answers


def _slots(trace: SweepTrace, at: Mapping[int, Branch]) -> tuple[torch.Tensor, torch.Tensor]:
    """The rows up to their branches, and which cache slots they see; both of shape `(rows, cached + 1)`.

    Of the cached part only its width counts for the model: rows stand there as processors have to see them, padded on
    the left. The mask belongs to the slots: what the trace wrote after a branch is hidden by it, and positions follow
    from it.
    """
    prompt_width = trace.call.width
    ids = torch.full((len(trace.ids), trace.cached + 1), trace.pad)
    mask = torch.zeros_like(ids)
    for row in range(len(trace.ids)):
        kept = prompt_width + (at[row].step if row in at else 0)
        ids[row, trace.cached - kept : trace.cached] = trace.ids[row, :kept]
        ids[row, -1] = at[row].token if row in at else trace.pad
        mask[row, :prompt_width] = trace.prompt_mask[row]
        mask[row, prompt_width:kept] = 1
    mask[:, -1] = 1
    return ids, mask


def _join(trace: SweepTrace, branch: Branch, answer: list[int], report: Report) -> Completion:
    """What the trace wrote up to the branch, the token there, and the answer."""
    width = trace.call.width
    kept = trace.ids[branch.row, width : width + branch.step].tolist()
    forced = (*trace.completions[branch.row].forced[: branch.step], True, *report.forced)
    prompt = trace.call.rows[branch.row]
    ids = [*kept, branch.token, *answer]
    return completion_of(trace.call.tokenizer, trace.processor.automaton, prompt, ids, replace(report, forced=forced))


class _RoomPerRow(StoppingCriteria):
    """Stops each row where its own length limit is, `room` tokens after a prompt of `width`."""

    def __init__(self, room: list[int], width: int) -> None:
        self._ends = torch.tensor(room) + width  # (batch_size,)

    def __call__(self, input_ids: torch.LongTensor, scores: Any, **kwargs: Any) -> torch.BoolTensor:
        self._ends = self._ends.to(input_ids.device)
        return input_ids.shape[1] >= self._ends  # type: ignore[return-value]
