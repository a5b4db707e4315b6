"""What checks have found, and in which words it is said."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal

from s1_hf.conformance.comparing import Compared

Verdict = Literal["passed", "rounding", "fault", "measured", "not run"]


@dataclass(frozen=True)
class Finding:
    """What one check has found.

    Args:
        name (`str`): of the check.
        verdict (`str`): `"passed"`; `"rounding"`, which is no fault: some choices were open to the rounding of scores;
            `"fault"`; `"measured"`, which is never judged; or `"not run"`.
        what (`str`): what was looked at, and what was found.
        figures (`dict`): the same as numbers, of JSON types.
    """

    name: str
    verdict: Verdict
    what: str
    figures: dict[str, Any] = field(default_factory=dict)


@dataclass
class Tally:
    """Rows of one kind beside the reference, counted."""

    name: str
    rows: int = 0
    rounded: int = 0
    margin: float = 0.0
    faults: int = 0
    first: str = ""

    def add(self, compared: Compared, whose: str) -> None:
        """One more row, which is `whose`."""
        self.rows += 1
        self.rounded += compared.roundings > 0
        self.margin = max(self.margin, compared.margin)
        if compared.fault:
            self.faults += 1
            self.first = self.first or f"{whose}: {compared.fault}"

    def finding(self, more: str = "") -> Finding:
        """What is said of them."""
        figures = {name: getattr(self, name) for name in ("rows", "rounded", "margin", "faults", "first")}
        said = f"{self.rows} rows"
        if self.rounded:
            said += f", {self.rounded} with choices open to rounding (at most {self.margin:.2g} apart)"
        if more:
            said += f", {more}"
        if self.faults:
            return Finding(self.name, "fault", f"{self.faults} of {said}. First, {self.first}", figures)
        if not self.rows:
            return Finding(self.name, "not run", more or "no row of this kind", figures)
        return Finding(self.name, "rounding" if self.rounded else "passed", said, figures)
