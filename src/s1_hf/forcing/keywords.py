"""The fields of [`Budget`] as keywords, for type checkers and editors."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, TypedDict

from s1_hf.forcing.loops import LoopGuard


class SharedKeywords(TypedDict, total=False):
    """The fields of [`Budget`] that are the same for all rows of a batch, as keywords for type checkers and editors."""

    wait_text: str | Sequence[str] | None
    cut_text: str | None
    cut_window: int
    cut_at: Literal["line", "sentence"]
    answer_prefix: str | None
    answer_reserve: int
    thinking_share: float
    loop_guard: LoopGuard | None


class BudgetKeywords(SharedKeywords, total=False):
    """All fields of [`Budget`], as keywords for type checkers and editors."""

    max_thinking_tokens: int | Literal["auto"] | None | Sequence[int | None]
    min_thinking_tokens: int | Sequence[int]
    num_ignores: int | Sequence[int]
