"""The settings of budget forcing (s1, https://arxiv.org/abs/2501.19393, section 3.1), checked when they are built.

This is the one list of settings: whatever takes budgets (the processor, `generate`, sweeps, evaluation, traces, the
command line, result files) takes a whole [`Budget`] and reads its fields from here, so that a new field reaches all of
them. At the public edge the fields can also be given as single keywords, see `collect`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields
from typing import Any, Literal

from s1_hf.forcing.effect import check_effect as check_effect  # for who has budgets
from s1_hf.forcing.effect import check_room as check_room
from s1_hf.forcing.effect import with_defaults_of
from s1_hf.forcing.effect import without_idle as without_idle
from s1_hf.forcing.loops import LoopGuard
from s1_hf.forcing.values import instead, is_count, is_many, is_number, not_unicode, plain, shown

NO_LIMIT = 2**40  # tokens; stands for "no cap"


class BudgetWarning(UserWarning):
    """A budget that has no effect, or not the one that was probably meant; once a call."""


@dataclass(frozen=True, kw_only=True)
class Budget:
    """How long a model thinks. The three budgets take one value, or one per prompt; all lengths are in tokens.

    Arrays, tensors and Series are taken as the lists of what they hold.

    Args:
        max_thinking_tokens (`int`, `"auto"` or a sequence, *optional*): thinking is cut when it has this many tokens.
            `None` sets no cap; `"auto"` leaves all the room that the length limit of `generate` allows, less the
            closing sequences and a reserve for the answer.
        min_thinking_tokens (`int` or a sequence, *optional*, defaults to 0): thinking does not end before this.
        num_ignores (`int` or a sequence, *optional*, defaults to 0): how many attempts to end are ignored.
        wait_text (`str`, a sequence or `None`, *optional*, defaults to `"Wait"`): what replaces an ignored end; of
            several, the i-th ignored end takes the i-th, starting over after the last. `None`: nothing replaces it,
            and the next-best token that is not an end is taken (the paper's "without string").
        cut_text (`str`, *optional*): a stop message that is forced before the closing delimiter on a cut, such as
            Qwen3's "Considering the limited time by the user, ...". Its tokens are thinking tokens: it begins early
            enough for the cap to hold. White space and line breaks around it are yours to give.
        cut_window (`int`, *optional*, defaults to 0): soft cuts: thinking is cut at the first end of a line or sentence
            within this many thinking tokens before the cap (or before the stop message), else at the cap.
        cut_at (`str`, *optional*, defaults to `"line"`): `"line"`, after a token whose text ends in a line break, or
            `"sentence"`, also after one that ends in a full stop, exclamation mark, question mark or ellipsis, closing
            quotes and brackets and white space aside. One token is looked at: a decimal point that is a token of its
            own counts.
        answer_prefix (`str`, *optional*, defaults to `"Final Answer:"`): follows a cut on a new line. `None`: nothing.
        answer_reserve (`int`, *optional*, defaults to 100): how many tokens `"auto"` leaves for the answer; 100 is what
            the paper's evaluation harness leaves.
        thinking_share (`float`, *optional*, defaults to 1): the share of that room which `"auto"` allows for thinking,
            above 0 and at most 1, rounded to whole tokens; what is left is the answer's.
        loop_guard ([`LoopGuard`], *optional*): closes thinking that repeats itself. The paper has none.

    Raises:
        ValueError: a value has the wrong type or range; the message names everything that is wrong.

    Example:

    ```python
    >>> from s1_hf import Budget
    >>> Budget(max_thinking_tokens=500, num_ignores=2).name
    'cap 500, 2 ignores'

    ```
    """

    max_thinking_tokens: int | Literal["auto"] | None | Sequence[int | None] = field(
        default=None, metadata={"help": "Maximum thinking tokens; 'auto' is all that fits."}
    )
    min_thinking_tokens: int | Sequence[int] = field(default=0, metadata={"help": "Minimum thinking tokens."})
    num_ignores: int | Sequence[int] = field(
        default=0, metadata={"help": "How many attempts to end thinking are ignored."}
    )
    wait_text: str | Sequence[str] | None = field(
        default="Wait", metadata={"help": "What replaces an ignored end; '' for nothing."}
    )
    cut_text: str | None = field(default=None, metadata={"help": "Stop message that ends thinking on a cut."})
    cut_window: int = field(
        default=0, metadata={"help": "Cut at the end of a line or sentence within so many tokens before the cap."}
    )
    cut_at: Literal["line", "sentence"] = field(default="line", metadata={"help": "Where such a soft cut may fall."})
    answer_prefix: str | None = field(default="Final Answer:", metadata={"help": "What follows a cut; '' for nothing."})
    answer_reserve: int = field(default=100, metadata={"help": "Tokens that 'auto' leaves for the answer."})
    thinking_share: float = field(default=1.0, metadata={"help": "What share of that room 'auto' allows for thinking."})
    loop_guard: LoopGuard | None = field(default=None, metadata={"help": "End thinking that repeats itself."})

    def __post_init__(self) -> None:
        for one in fields(self):
            object.__setattr__(self, one.name, plain(getattr(self, one.name)))
        bad = [*self._bad_budgets(), *self._bad_texts(), *self._bad_numbers()]
        if bad:
            raise ValueError(" ".join(bad))
        for one in fields(self):
            value = getattr(self, one.name)
            if is_many(value):  # hashable, and the caller's list may change later
                object.__setattr__(self, one.name, tuple(value))

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Budget:
        """The budget that [`Budget.to_dict`] described."""
        given = dict(values)
        if isinstance(given.get("loop_guard"), Mapping):
            given["loop_guard"] = LoopGuard(**given["loop_guard"])
        return cls(**given)

    def to_dict(self) -> dict[str, Any]:
        """Every field, as JSON types: what result files and exported folders hold."""
        found = asdict(self)
        for name, value in found.items():
            if isinstance(value, tuple):
                found[name] = list(value)
        return found

    def changed(self) -> dict[str, Any]:
        """[`Budget.to_dict`] without fields at their defaults: what keys hold, so that they outlive new fields."""
        everything = self.to_dict()
        for one in fields(self):
            if getattr(self, one.name) == one.default:
                del everything[one.name]
        return everything

    @property
    def name(self) -> str:
        """Such as `"cap 500, 2 ignores"` or `"no intervention"`; fields other than these two only if they are set."""
        said = []
        (acting,) = without_idle([self])
        for one in fields(self):
            value = getattr(acting, one.name)
            if one.name == "max_thinking_tokens" and value is not None:
                said.append(f"cap {value}")
            elif one.name == "num_ignores" and value == 1:
                said.append("1 ignore")
            elif one.name == "num_ignores" and value:
                said.append(f"{value} ignores")
            elif one.name not in ("max_thinking_tokens", "num_ignores") and value != one.default:
                said.append(f"{one.name} {value!r}")
        return ", ".join(said) or "no intervention"

    @property
    def waits(self) -> tuple[str, ...]:
        """The wait texts in their order; empty for `wait_text=None`."""
        if self.wait_text is None:
            return ()
        if isinstance(self.wait_text, str):
            return (self.wait_text,)
        return tuple(self.wait_text)

    @property
    def has_cap(self) -> bool:
        """Whether any thinking could be cut."""
        return self.max_thinking_tokens == "auto" or min(self.column("max_thinking_tokens", 1)) < NO_LIMIT

    @property
    def ignores_ends(self) -> bool:
        """Whether any end could be ignored."""
        return any(self.column("num_ignores", 1)) or any(self.column("min_thinking_tokens", 1))

    @property
    def num_prompts(self) -> int | None:
        """How many prompts the budgets were given for; `None` if every one is a single value."""
        for name in PER_PROMPT:
            value = getattr(self, name)
            if is_many(value):
                return len(value)
        return None

    def column(self, name: str, num_prompts: int) -> list[int]:
        """The values of one budget, one per prompt; a cap that is absent or `"auto"` is [`NO_LIMIT`]."""
        value = getattr(self, name)
        column = []
        for one in value if is_many(value) else [value] * num_prompts:
            absent = one is None or one == "auto"
            column.append(NO_LIMIT if absent else min(int(one), NO_LIMIT))
        return column

    def shared(self) -> Budget:
        """The same without its three budgets: what all rows of one batch have to have in common."""
        return with_defaults_of(self, PER_PROMPT)

    def _bad_budgets(self) -> list[str]:
        bad = []
        for name in PER_PROMPT:
            value = getattr(self, name)
            allowed = "an integer of at least 0"
            is_cap = name == "max_thinking_tokens"
            if is_cap:
                allowed += ', "auto" or None'
            if is_cap and isinstance(value, str) and value == "auto":
                continue
            for one in value if is_many(value) else [value]:
                if not is_number_of_tokens(name, one):
                    rule = f"`{name}` has to be {allowed}, or a sequence with one per prompt"
                    bad.append(f"{rule}, but is {shown(value)}.{instead(value)}")
                    break
            if is_many(value) and len(value) == 0:
                bad.append(f"`{name}` has to have one value per prompt, but is empty.")
        lengths = {name: len(getattr(self, name)) for name in PER_PROMPT if is_many(getattr(self, name))}
        if len(set(lengths.values())) > 1:
            bad.append(f"Budgets given per prompt have to have the same length, but have {lengths}.")
        return bad or self._crossed_budgets()

    def _crossed_budgets(self) -> list[str]:
        """Minimums above their caps."""
        bad = []
        rows = self.num_prompts or 1
        pairs = zip(self.column("min_thinking_tokens", rows), self.column("max_thinking_tokens", rows), strict=True)
        for row, (low, high) in enumerate(pairs):
            if low > high:
                where = f" (prompt {row})" if self.num_prompts else ""
                bad.append(f"`min_thinking_tokens` has to be at most `max_thinking_tokens`, but {low} > {high}{where}.")
        return bad

    def _bad_numbers(self) -> list[str]:
        bad = []
        if self.cut_at not in ("line", "sentence"):
            bad.append(f"`cut_at` has to be 'line' or 'sentence', but is {shown(self.cut_at)}.")
        for name in ("cut_window", "answer_reserve"):
            value = getattr(self, name)
            if not is_count(value) or value < 0:
                bad.append(f"`{name}` has to be an integer of at least 0, but is {shown(value)}.")
        share = self.thinking_share
        if not is_number(share) or not 0 < share <= 1:
            bad.append(f"`thinking_share` has to be a number above 0 and at most 1, but is {shown(share)}.")
        return bad

    def _bad_texts(self) -> list[str]:
        bad = []
        if self.wait_text is not None:
            texts = [self.wait_text] if isinstance(self.wait_text, str) else self.wait_text
            if not isinstance(texts, Sequence) or not texts or not all(isinstance(t, str) and t for t in texts):
                bad.append(
                    "`wait_text` has to be a text, a sequence of texts, or None for no text at all, "
                    f"but is {shown(self.wait_text)}."
                )
        for name in ("cut_text", "answer_prefix"):
            value = getattr(self, name)
            if value is not None and not (isinstance(value, str) and value):
                bad.append(f"`{name}` has to be a text, or None for none, but is {shown(value)}.")
        for name in () if bad else ("wait_text", "cut_text", "answer_prefix"):
            value = getattr(self, name)
            for text in (value,) if isinstance(value, str) else value or ():
                if wrong := not_unicode(text):
                    bad.append(f"`{name}` has to be Unicode, but {wrong}.")
        if self.loop_guard is not None and not isinstance(self.loop_guard, LoopGuard):
            bad.append(f"`loop_guard` has to be a LoopGuard or None, but is {shown(self.loop_guard)}.")
        return bad


def is_number_of_tokens(name: str, value: object) -> bool:
    """Whether a budget of this name may be that for one prompt: a count; or none, if it is a cap."""
    return (value is None and name == "max_thinking_tokens") or (is_count(value) and value >= 0)  # type: ignore[operator]


PER_PROMPT = ("max_thinking_tokens", "min_thinking_tokens", "num_ignores")
"""The fields that may differ from row to row of a batch; the others are the same for all."""

NAMES = tuple(one.name for one in fields(Budget))
"""Every setting."""


NO_INTERVENTION = Budget()
"""The model decides how long it thinks."""
