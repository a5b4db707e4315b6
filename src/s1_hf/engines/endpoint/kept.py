"""What a report cannot be under its budget, whatever the model wanted: what follows from the contract alone."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from s1_hf.forcing.budget import NO_LIMIT
from s1_hf.forcing.report import Ended

if TYPE_CHECKING:
    from s1_hf.forcing.report import Report
    from s1_hf.forcing.tables import State


class Terms(NamedTuple):
    """What a row was to keep to; lengths are in tokens."""

    start: State  # where its prompt has left it
    starts: bool  # whether thinking has to begin
    room: int  # what it may write
    cap: int  # `NO_LIMIT` if there is none
    least: int
    ignores: int
    window: int
    waits: tuple[int, ...]  # the length of each, in turn
    message: int
    has_guard: bool
    give_up_after: int | None
    max_answer_tokens: int | None
    plain: bool  # the closing delimiter is made of tokens that mean no end by themselves
    interleaved: bool
    has_stopped: bool = False  # it has paused, or lost the model's confidence, where it was to


def broken_in(report: Report, terms: Terms) -> str | None:
    """What a report says that is impossible under these terms, as the end of a sentence; `None` if nothing is.

    It is no proof that they were kept: a model may do by itself what a budget asks for.
    """
    start, ended, thought = terms.start, report.ended, report.thinking_tokens
    if start.ended not in (Ended.NEVER_STARTED, Ended.UNFINISHED):  # by its prompt, or by what was asked before
        if terms.interleaved or ended == Ended(start.ended).label:
            return _broken_answer(report, terms)
        return f"thinking that had ended ({Ended(start.ended).label}) is said to be {ended}"
    if thought > max(terms.cap, start.thinking_tokens):
        return f"{_tokens(thought)}, where {terms.cap} is the cap"
    most = terms.ignores + start.ends_ignored - start.ignores_used + max(terms.least - start.thinking_tokens, 0)
    if report.ends_ignored > most:
        return f"{report.ends_ignored} ends were ignored, where no more than {most} can be"
    is_full = len(report.forced) >= terms.room
    by_ending = {"natural": _broken_end, "cut": _broken_cut, "unfinished": _broken_off}
    if ended in by_ending and (found := by_ending[ended](report, terms, is_full)):
        return found
    if ended == "looped" and not terms.has_guard:
        return "a loop was closed, where no loop guard was asked for"
    if ended == "never_started" and (start.ended == Ended.UNFINISHED or (terms.starts and not is_full)):
        return "nothing was thought, where thinking had to begin"
    return _broken_answer(report, terms)


def _broken_end(report: Report, terms: Terms, is_full: bool) -> str | None:
    """Of an end that was let through: rules 2, 3 and 6."""
    thought, ignored, stop_at = report.thinking_tokens, report.ends_ignored, terms.cap - terms.message
    if terms.plain:  # such a delimiter ends thinking, wherever the model writes it
        return None
    ending = f"thinking ended by itself after {_tokens(thought)}"
    if thought < terms.least:
        return f"{ending}, where {terms.least} is the minimum"
    if thought == stop_at or thought >= terms.cap:
        return f"{ending}, where it is cut at {stop_at}"
    wait = terms.waits[ignored % len(terms.waits)] if terms.waits else 0
    if ignored < terms.ignores and thought + wait < stop_at:
        return f"{ending}, of which {ignored} ends were ignored, where {terms.ignores} have to be"
    return None


def _broken_cut(report: Report, terms: Terms, is_full: bool) -> str | None:
    """Of a cut: rule 6. One that the end of the row tears, and one in a delimiter, fall short of the cap."""
    thought = report.thinking_tokens
    if terms.cap >= NO_LIMIT:
        return f"thinking was cut after {_tokens(thought)}, where there is no cap"
    if thought <= terms.cap - max(terms.window, 1) and not is_full and not terms.plain:
        return f"thinking was cut after {_tokens(thought)}, where {terms.cap} is the cap"
    return None


def _broken_off(report: Report, terms: Terms, is_full: bool) -> str | None:
    """Of thinking that is left open: only where it was to stop, or nothing more may be written."""
    gave_up = terms.give_up_after is not None and report.thinking_tokens > terms.give_up_after
    if is_full or gave_up or terms.has_stopped:
        return None
    return f"thinking was left open after {len(report.forced)} tokens, where {terms.room} may be written"


def _broken_answer(report: Report, terms: Terms) -> str | None:
    most = terms.max_answer_tokens
    may_open = terms.interleaved or report.ended == "never_started"  # a part of an opening delimiter does not count
    if most is None or may_open or report.answer_tokens <= max(most, terms.start.answer_tokens):
        return None
    return f"the answer has {report.answer_tokens} tokens, where {most} is the most"


def _tokens(count: int) -> str:
    return f"{count} thinking token{'' if count == 1 else 's'}"
