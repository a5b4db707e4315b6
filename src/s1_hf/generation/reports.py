"""Reports, read off the steps that led to finished rows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch

from s1_hf.forcing.decisions import Field, Rule
from s1_hf.forcing.report import Ended, Report
from s1_hf.forcing.tables import Tables
from s1_hf.generation.guards import check_followed
from s1_hf.generation.record import PrefixRecord, RecordedSteps


@dataclass(frozen=True)
class RowEnds:
    """What ends a row.

    Args:
        eos (`Sequence[int]`): ids that end a sequence.
        pad (`int`, *optional*): what fills a row after its end.
    """

    eos: Sequence[int]
    pad: int | None


@dataclass(frozen=True, eq=False)
class FinishedRows:
    """The rows of one call of `generate`, and how they came about.

    Args:
        ids (`torch.LongTensor` of shape `(rows, length)`): prompts and what was generated, on the CPU.
        lengths (`list[int]`): of each row without the padding after it.
        trace ([`RecordedSteps`]): the steps.
    """

    ids: torch.Tensor
    lengths: list[int]
    trace: RecordedSteps


def checked_sequences(given: Any, prompt_length: int) -> torch.Tensor:
    """What `generate` returned, as ids of shape `(rows, length)` on the CPU; raises a `RuntimeError` if it is not."""
    sequences = getattr(given, "sequences", given)
    if not (isinstance(sequences, torch.Tensor) and sequences.dim() == 2 and not sequences.is_floating_point()):
        raise RuntimeError(
            "`sequences` has to be what `generate` returned, ids of shape (rows, length), but is "
            f"{getattr(sequences, 'shape', type(sequences).__name__)}."
        )
    if len(sequences) == 0 or sequences.shape[1] <= prompt_length:
        raise RuntimeError(
            f"`sequences` has to be the prompts, {prompt_length} tokens long, with what was generated, but has the "
            f"shape {tuple(sequences.shape)}. Pass what `generate` returned, prompts included."
        )
    return sequences.cpu()


def with_last_token(ids: torch.Tensor, scores: torch.Tensor, rule: Rule, is_known: bool) -> torch.Tensor:
    """The rows of a call with the token that its last scores lead to, on the CPU.

    Args:
        is_known (`bool`): whether that token is the most likely one.

    Raises:
        RuntimeError: it is not, or which beams were returned is not known.
    """
    if rule == "beam":
        raise RuntimeError("After beam search say which beams were returned: `reports(model.generate(...))`.")
    if not is_known:
        raise RuntimeError(
            "With assisted decoding, or sampling that was not announced, the last token is not known here: pass what "
            "`generate` returned, `reports(outputs)`, or take all arguments from "
            "`budget_forcing(model, tokenizer, ...)`."
        )
    return torch.cat([ids, scores.argmax(-1)[:, None]], dim=1).cpu()


def finished_rows(
    record: PrefixRecord,
    tables: Tables,
    rule: Rule,
    ends: RowEnds,
    ids: torch.Tensor,
    stops: Sequence[int],
    most: int | None = None,
) -> FinishedRows:
    """Find the steps behind the rows of `ids`.

    Args:
        record ([`PrefixRecord`]): of the call.
        tables ([`Tables`]): on the CPU.
        ids (`torch.LongTensor` of shape `(rows, length)`): what `generate` returned.
        stops (`Sequence[int]`): the length at which a stopping criterion ended each row; 0: none did.
        most (`int`, *optional*): answer tokens at which a criterion ends rows whose stops are not known (beams).

    Raises:
        RuntimeError: the rows are not what was recorded.
    """
    start, rows = record.prompt_length, ids.tolist()
    lengths = [_length(row, start, stop, ends) for row, stop in zip(rows, stops, strict=True)]
    trace = record.trace(ids, lengths)
    # A row that a stopping criterion ended is padded, perhaps with the end of sequence, which it did not generate.
    forced = tables.forced(trace.states[:, Field.CELL])  # (steps, rows)
    padded = False
    for r, row in enumerate(rows):
        step = lengths[r] - start - 1  # of the row's last token
        if not stops[r] and step > 0 and row[lengths[r] - 1] in ends.eos and row[lengths[r] - 1] == ends.pad:
            was_picked = rule == "beam" or int(trace.picks[step, r]) == ends.pad
            is_full = most is not None and int(trace.states[step, Field.ANSWER, r]) >= most
            if bool(forced[step, r] >= 0) or not was_picked or is_full:
                lengths[r] -= 1
                padded = True
    return FinishedRows(ids, lengths, record.trace(ids, lengths) if padded else trace)


def read_reports(
    finished: FinishedRows, prompt_length: int, tables: Tables, rule: Rule, pad: int | None
) -> list[Report]:
    """One report per row.

    Raises:
        RuntimeError: a forced token was changed, or decoding was not what the processor was told.
    """
    trace = finished.trace
    forced = tables.forced(trace.states[:, Field.CELL])  # (steps, rows), -1: the model chose
    reports = []
    for r, ids in enumerate(finished.ids.tolist()):
        if rule == "beam" and set(ids[prompt_length:]) == {pad}:
            # Where only one continuation is allowed, beam search fills the beams it lacks with padding.
            reports.append(Report(0, "never_started", 0, (), 0))
            continue
        taken = torch.tensor(ids[prompt_length : finished.lengths[r]])
        own = forced[: len(taken), r]
        check_followed(tables, rule, trace, r, taken, own)
        reports.append(report_of(trace.final[:, r].tolist(), tuple((own >= 0).tolist())))
    return reports


def report_of(state: Sequence[int], forced: tuple[bool, ...]) -> Report:
    """The report of a row that ends in `state`, of which the `forced` tokens are known."""
    return Report(
        thinking_tokens=state[Field.THINKING],
        ended=Ended(state[Field.ENDED]).label,
        ends_ignored=state[Field.IGNORED],
        forced=forced,
        answer_tokens=state[Field.ANSWER],
    )


def _length(row: list[int], prompt_length: int, stop: int, ends: RowEnds) -> int:
    """How long a row is without the padding after it; a criterion stopped it at `stop`, unless that is 0."""
    for i in range(prompt_length, min(stop or len(row), len(row))):
        if row[i] in ends.eos:
            return i + 1
    if stop:
        return min(stop, len(row))
    end = len(row)
    while end > prompt_length + 1 and row[end - 1] == ends.pad:
        end -= 1
    return end
