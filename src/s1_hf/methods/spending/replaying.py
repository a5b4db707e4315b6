"""A total spent on the rows of a sweep, as if they were generated."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Literal, get_args

from s1_hf.forcing.values import is_count
from s1_hf.methods.exits.trials import Trial, trials_of
from s1_hf.methods.method import check_counts
from s1_hf.methods.spending.policies import Policy, Terms, Walk, spend
from s1_hf.results.rows import Row, promising_nothing

if TYPE_CHECKING:
    from s1_hf.grading.extraction import AnswerKind

METHOD = "spending"
Replayable = Literal["uniform", "stability", "confidence", "oracle"]
"""[`Policy`], and who knows the right answers."""


class Replayed:
    """A [`Walk`] over trials that are there already."""

    def __init__(self, every: Sequence[Trial], kind: AnswerKind) -> None:
        self.every, self.kind = every, kind
        self.trials: list[Trial] = []
        self.level = self.spent = self.thinking_tokens = 0
        self._paused: Trial | None = None

    @property
    def awaits(self) -> bool:
        """See [`Walk`]."""
        return self._paused is not None

    @property
    def is_over(self) -> bool:
        """See [`Walk`]."""
        return bool(self.trials) and self.trials[-1].is_last

    def think_on(self) -> None:
        """To the next level."""
        trial = self.every[self.level]
        self.level += 1
        self.spent += trial.spent - trial.answering
        self._paused = None
        if trial.answering:
            self._paused, self.thinking_tokens = trial, trial.row.thinking_tokens
        else:
            self.trials.append(trial)

    def answer(self) -> None:
        """Have the answer where it has paused, if it has."""
        if self._paused is not None:
            self.spent += self._paused.answering
            self.trials.append(self._paused)
            self._paused = None


def spend_rows(
    rows: Iterable[Row],
    totals: Sequence[int],
    policies: Sequence[Replayable] = get_args(Replayable),
    *,
    reserve: int | None = None,
    opening_tokens: int = 0,
    opening_reserve: int | None = None,
    round_size: int = 8,
    kind: AnswerKind = "math",
) -> list[Row]:
    """How a total of tokens for all problems would have been spent, from the rows of one sweep over caps.

    The levels of thinking are the caps. See [`spend`] for who thinks on, in which order, and what is paid. The oracle
    knows each problem's cheapest level with a right answer, and pays for that alone, the cheapest problems first: no
    policy over these levels gets more right answers out of a total. Samples are spent on one after the other, each with
    a total of its own; so are tasks.

    Args:
        rows (`Iterable[Row]`): see [`trials_of`]; those without a cap are left out.
        totals (`Sequence[int]`): tokens, each for one answer to every problem.
        policies (`Sequence[str]`): `"uniform"`, `"stability"`, `"confidence"`, which needs rows with a confidence, and
            `"oracle"`.
        reserve (`int`, *optional*): the most tokens that closing a row's thinking and its answer can take; by default
            the most that it took in these rows.
        opening_tokens (`int`, defaults to 0): see [`trials_of`].
        opening_reserve (`int`, *optional*): the most that these can be; by default just as many.
        round_size (`int`, defaults to 8): how many problems think on together.
        kind (`str`): of the answers.

    Returns:
        `list[Row]`: one for each policy, total, problem and sample; `total_tokens` is all that was spent on it, `tries`
        how many answers were written, at least 1. A problem that was not begun has no answer: `"not_found"`.

    Raises:
        ValueError: as [`trials_of`], an argument is out of range, or no row has a confidence for `"confidence"`.

    Example:

    ```python
    >>> from s1_hf import embedded
    >>> from s1_hf.methods import Bench, BudgetForcing, problems_of, spend_rows
    >>> model, tokenizer = embedded.load()
    >>> bench = Bench(model=model, tokenizer=tokenizer, problems=problems_of("s1:embedded", max_samples=4),
    ...               max_new_tokens=150, max_answer_tokens=12)
    >>> rows = BudgetForcing(max_thinking_tokens=[16, 32, 48, 64]).run(bench)
    >>> for row in spend_rows(rows, [200], ["uniform", "stability"], opening_tokens=2):
    ...     print(row.method, row.problem, row.thinking_tokens, row.total_tokens)
    spending, uniform 0 32 45
    spending, uniform 1 32 45
    spending, uniform 2 32 44
    spending, uniform 3 32 45
    spending, stability 0 32 56
    spending, stability 1 32 56
    spending, stability 2 32 55
    spending, stability 3 16 28

    ```
    """
    _check(totals, policies, reserve, opening_tokens, opening_reserve, round_size)
    groups: dict[tuple[str, int], list[Row]] = {}
    for row in rows:
        if row.max_thinking_tokens is not None:
            groups.setdefault((row.task, row.sample), []).append(row)
    if not groups:
        raise ValueError("`rows` has to hold rows under caps, but none has a cap. Sweep over caps first.")
    found: list[Row] = []
    for policy in policies:
        for total in totals:
            for of_group in groups.values():
                trials = trials_of(of_group, opening_tokens=opening_tokens)
                if policy == "oracle":
                    found += _oracle(of_group, trials, total)
                    continue
                if policy == "confidence" and all(row.confidence is None for row in of_group):
                    raise ValueError(
                        "`policies` has to leave out 'confidence', because no row has one. Measure it: "
                        "`Bench(confidence=Confidence(top=1))`, or `s1-hf sweep --confidence`."
                    )
                most = reserve
                if most is None:
                    most = max(row.total_tokens - row.thinking_tokens for row in of_group)
                caps = tuple(sorted({row.max_thinking_tokens or 0 for row in of_group}))
                opening = opening_tokens if opening_reserve is None else opening_reserve
                found += _spent(trials, total, policy, Terms(caps, most, opening, round_size), kind)
    return found


def spent_row(walk: Walk, policy: str, total: int, unbegun: Row) -> Row:
    """What came of a problem; `unbegun` is its row if it was not begun."""
    row = replace(
        walk.trials[-1].row if walk.trials else unbegun, method=f"{METHOD}, {policy}", setting=f"total {total}"
    )
    return replace(promising_nothing(row), total_tokens=walk.spent, tries=max(len(walk.trials), 1), request=None)


def without_answer(row: Row) -> Row:
    """The same problem, not begun."""
    return replace(
        row, thinking_tokens=0, answer_tokens=0, correct=False, ended="not_found", ends_ignored=0, total_tokens=0,
        digest=None, answer="", extracted=None, transcript=(), confidence=None,
    )  # fmt: skip


def _spent(
    trials: Sequence[Sequence[Trial]], total: int, policy: Policy, terms: Terms, kind: AnswerKind
) -> Iterable[Row]:
    walks = [Replayed(one, kind) for one in trials]

    def think_on(some: list[Replayed]) -> None:
        for walk in some:
            walk.think_on()

    def try_answers(some: list[Replayed]) -> None:
        for walk in some:
            walk.answer()

    spend(walks, total, policy, terms, think_on, try_answers)
    for walk in walks:
        yield spent_row(walk, policy, total, without_answer(walk.every[0].row))


def _oracle(rows: Sequence[Row], trials: Sequence[Sequence[Trial]], total: int) -> Iterable[Row]:
    """Rows of runs under single caps: nothing is paid on the way."""
    cheapest: dict[str, Row] = {}
    for row in rows:
        known = cheapest.get(row.problem)
        if row.correct and (known is None or row.total_tokens < known.total_tokens):
            cheapest[row.problem] = row
    chosen, left = {}, total
    for row in sorted(cheapest.values(), key=lambda row: row.total_tokens):
        if row.total_tokens <= left:
            chosen[row.problem] = row
            left -= row.total_tokens
    for one in trials:
        row = chosen.get(one[0].row.problem, without_answer(one[0].row))
        row = replace(row, method=f"{METHOD}, oracle", setting=f"total {total}", request=None)
        yield promising_nothing(row)


def _check(
    totals: Sequence[int],
    policies: Sequence[str],
    reserve: int | None,
    opening_tokens: int,
    opening_reserve: int | None,
    round_size: int,
) -> None:
    check_counts("totals", totals)
    check_policies(policies, get_args(Replayable))
    least = {"reserve": (reserve, 0), "opening_tokens": (opening_tokens, 0), "round_size": (round_size, 1)}
    for name, (value, low) in (least | {"opening_reserve": (opening_reserve, 0)}).items():
        if value is not None and (not is_count(value) or value < low):
            raise ValueError(f"`{name}` has to be an integer of at least {low}, but is {value!r}.")


def check_policies(policies: Sequence[str], known: Sequence[str]) -> None:
    """Raises a `ValueError` unless these are different ones of those known."""
    listed = isinstance(policies, Sequence) and not isinstance(policies, str) and len(policies) > 0
    if not listed or not set(policies) <= set(known) or len(set(policies)) < len(policies):
        raise ValueError(f"`policies` has to be different ones of {', '.join(map(repr, known))}, but is {policies!r}.")
