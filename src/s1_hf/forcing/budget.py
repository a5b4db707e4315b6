"""The settings of budget forcing (s1, https://arxiv.org/abs/2501.19393, section 3.1), checked when they are built."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from numbers import Integral
from typing import Any, Literal

NO_LIMIT = 2**40  # tokens; stands for "no cap"


@dataclass(frozen=True, kw_only=True)
class LoopGuard:
    """Closes thinking that repeats itself: ignoring the end too often can drive a model into a loop (s1, section 4).

    Matches when the last `max(repeats * p, min_tokens)` thinking tokens have a period of `p` tokens, for some `p` up
    to `max_period`: each token equals the one `p` tokens before it. Does not match a loop with a longer period, or
    one whose text changes, such as a counter.

    Args:
        max_period (`int`, *optional*, defaults to 64): longest period looked for, in tokens, at most 512; a step costs
            as much as its square.
        repeats (`int`, *optional*, defaults to 4): how often the period must have occurred, at least 2.
        min_tokens (`int`, *optional*, defaults to 64): shortest stretch that counts, so that `0000` is no loop.

    Raises:
        ValueError: a value is not an integer in its range.
    """

    max_period: int = 64
    repeats: int = 4
    min_tokens: int = 64

    def __post_init__(self) -> None:
        limits = {"max_period": 1, "repeats": 2, "min_tokens": 2}
        values = {name: getattr(self, name) for name in limits}
        bad = [
            f"`{name}` has to be an integer of at least {limits[name]}, but is {value!r}."
            for name, value in values.items()
            if not is_count(value) or value < limits[name]
        ]
        if not bad and self.max_period > 512:
            bad = [f"`max_period` has to be at most 512, because a step costs as its square, but is {self.max_period}."]
        if bad:
            raise ValueError(" ".join(bad))


@dataclass(frozen=True, kw_only=True)
class Budget:
    """How long a model thinks. The three budgets take one value, or one per prompt; all lengths are in tokens.

    Args:
        max_thinking_tokens (`int`, `"auto"` or a sequence, *optional*): thinking is cut when it has this many tokens.
            `None` sets no cap; `"auto"` leaves all the room that the length limit of `generate` allows, less the
            closing sequences and [`ANSWER_RESERVE`] tokens for the answer.
        min_thinking_tokens (`int` or a sequence, *optional*, defaults to 0): thinking does not end before this.
        num_ignores (`int` or a sequence, *optional*, defaults to 0): how many attempts to end are ignored.
        wait_text (`str`, a sequence or `None`, *optional*, defaults to `"Wait"`): what replaces an ignored end; of
            several the i-th ignored end takes the i-th, starting over after the last. `None`: nothing replaces it,
            and the next-best token that is no end is taken (the paper's "without string").
        answer_prefix (`str`, *optional*, defaults to `"Final Answer:"`): follows a cut on a new line. `None`: nothing.
        loop_guard ([`LoopGuard`], *optional*): closes thinking that repeats itself. The paper has none.

    Raises:
        ValueError: a value has the wrong type or range, names everything wrong at once.
    """

    max_thinking_tokens: int | Literal["auto"] | None | Sequence[int | None] = None
    min_thinking_tokens: int | Sequence[int] = 0
    num_ignores: int | Sequence[int] = 0
    wait_text: str | Sequence[str] | None = "Wait"
    answer_prefix: str | None = "Final Answer:"
    loop_guard: LoopGuard | None = None

    def __post_init__(self) -> None:
        bad = [*self._bad_budgets(), *self._bad_texts()]
        if bad:
            raise ValueError(" ".join(bad))
        for name, value in self._budgets().items():
            if _is_many(value):
                object.__setattr__(self, name, tuple(value))  # the caller's list may change later

    @property
    def waits(self) -> tuple[str, ...]:
        """The wait texts in their order; empty for `wait_text=None`."""
        if self.wait_text is None:
            return ()
        return (self.wait_text,) if isinstance(self.wait_text, str) else tuple(self.wait_text)

    @property
    def ignores_ends(self) -> bool:
        """Whether any end could be ignored."""
        return any(self.column("num_ignores", 1)) or any(self.column("min_thinking_tokens", 1))

    @property
    def num_prompts(self) -> int | None:
        """How many prompts the budgets were given for; `None` if every one is a single value."""
        lengths = [len(v) for v in self._budgets().values() if _is_many(v)]
        return lengths[0] if lengths else None

    def column(self, name: str, num_prompts: int) -> list[int]:
        """The values of one budget, one per prompt; a cap that is absent or `"auto"` is [`NO_LIMIT`]."""
        value = getattr(self, name)
        values = list(value) if _is_many(value) else [value] * num_prompts
        return [NO_LIMIT if v is None or v == "auto" else min(int(v), NO_LIMIT) for v in values]

    def _budgets(self) -> dict[str, Any]:
        return {n: getattr(self, n) for n in ("max_thinking_tokens", "min_thinking_tokens", "num_ignores")}

    def _bad_budgets(self) -> list[str]:
        bad = []
        for name, value in self._budgets().items():
            capped = name == "max_thinking_tokens"
            allowed = "an integer of at least 0" + (', "auto" or None' if capped else "")
            if capped and isinstance(value, str) and value == "auto":
                continue
            for v in value if _is_many(value) else [value]:
                if not ((is_count(v) and v >= 0) or (capped and v is None)):
                    bad.append(f"`{name}` has to be {allowed}, or a sequence with one per prompt, but is {value!r}.")
                    break
            if _is_many(value) and len(value) == 0:
                bad.append(f"`{name}` has to have one value per prompt, but is empty.")
        lengths = {n: len(v) for n, v in self._budgets().items() if _is_many(v)}
        if len(set(lengths.values())) > 1:
            bad.append(f"Budgets given per prompt have to have the same length, but have {lengths}.")
        if bad:
            return bad
        rows = self.num_prompts or 1
        pairs = zip(self.column("min_thinking_tokens", rows), self.column("max_thinking_tokens", rows), strict=True)
        for row, (low, high) in enumerate(pairs):
            if low > high:
                where = f" (prompt {row})" if self.num_prompts else ""
                bad.append(f"`min_thinking_tokens` has to be at most `max_thinking_tokens`, but {low} > {high}{where}.")
        return bad

    def _bad_texts(self) -> list[str]:
        bad = []
        if self.wait_text is not None:
            texts = [self.wait_text] if isinstance(self.wait_text, str) else self.wait_text
            if not isinstance(texts, Sequence) or not texts or not all(isinstance(t, str) and t for t in texts):
                bad.append(
                    "`wait_text` has to be a text, a sequence of texts, or None for no text at all, "
                    f"but is {self.wait_text!r}."
                )
        if self.answer_prefix is not None and not (isinstance(self.answer_prefix, str) and self.answer_prefix):
            bad.append(f"`answer_prefix` has to be a text, or None for none, but is {self.answer_prefix!r}.")
        if self.loop_guard is not None and not isinstance(self.loop_guard, LoopGuard):
            bad.append(f"`loop_guard` has to be a LoopGuard or None, but is {self.loop_guard!r}.")
        return bad


def _is_many(value: object) -> bool:
    return isinstance(value, Sequence) and not isinstance(value, (str, bytes))


def is_count(value: object) -> bool:
    """Whether `value` is an integer of any kind, which a bool is not."""
    return isinstance(value, Integral) and not isinstance(value, bool)
