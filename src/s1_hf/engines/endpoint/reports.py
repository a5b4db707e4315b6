"""The report of a request, as a server tells it."""

from __future__ import annotations

from typing import Any

from s1_hf.forcing.decisions import Field
from s1_hf.forcing.report import ENDED_NAMES
from s1_hf.records import COUNT, LIST, TEXT, Kind, Schema, check, counts_below, one_of

_REPORT: Schema = {
    "thinking_tokens": COUNT, "ended": one_of(ENDED_NAMES), "ends_ignored": COUNT, "answer_tokens": COUNT,
    "forced": counts_below(2**31), "tokens": COUNT,
}  # fmt: skip

_COUNTS = counts_below(2**53)
_STATE = Kind(f"a list of {len(Field)} counts", lambda value: _COUNTS.fits(value) and len(value) == len(Field))


_MEASURED = Kind("a list of whole numbers", lambda value: isinstance(value, list) and all(map(_is_part, value)))


def _is_part(value: Any) -> bool:
    return type(value) is int and -1 <= value < 2**53


def report_in(said: Any, written: int, with_states: bool) -> dict[str, Any]:
    """The one report of a reply, or its `error`."""
    check(said, {"reports": LIST}, "it")
    if len(said["reports"]) != 1:
        raise ValueError(f"it has to have one report, but has {len(said['reports'])}")
    (told,) = said["reports"]
    if isinstance(told, dict) and "error" in told:
        check(told, {"error": TEXT}, "its report")
        return told
    check(told, _REPORT, "its report", optional={"paused": _STATE, "measured": _MEASURED})
    if not written - 1 <= told["tokens"] <= written or max(told["forced"], default=-1) >= told["tokens"]:
        raise ValueError(f"its report is of other tokens than the {written} that were generated")
    if "measured" in told and len(told["measured"]) != told["tokens"]:
        raise ValueError("its report does not say of each token how sure the model was")
    if with_states:
        check(told, {"states": LIST}, "its report")
        if len(told["states"]) != told["tokens"] or not all(map(_STATE.fits, told["states"])):
            raise ValueError("the states of its report are none")
    return told
