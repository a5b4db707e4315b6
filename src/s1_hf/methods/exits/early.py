"""Early exit: thinking stops when the answers tried on the way are stable, or the model is sure of one."""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import TYPE_CHECKING, Any

from s1_hf.forcing.budget import NO_INTERVENTION, Budget, BudgetWarning
from s1_hf.forcing.confidence import Confidence
from s1_hf.forcing.values import is_count
from s1_hf.methods.exits.rules import Rule, Stable, stop_at
from s1_hf.methods.exits.thinker import Points, Thinker, go_on
from s1_hf.methods.exits.trials import Trial, trials_of
from s1_hf.methods.method import Method, check_point
from s1_hf.methods.parallel import named
from s1_hf.methods.rejection import CHUNK_BATCHES
from s1_hf.results.rows import promising_nothing

if TYPE_CHECKING:
    from s1_hf.engines.request import Request
    from s1_hf.grading.extraction import AnswerKind
    from s1_hf.methods.bench import Bench
    from s1_hf.results.rows import Problem, Row

METHOD = "early exit"


@dataclass(frozen=True, kw_only=True)
class EarlyExit(Method):
    """Thinking stops early: at given points an answer is tried, and when a rule says so, it is the answer.

    At each point the thinking is closed by force, as at a cap, and an answer of at most `max_answer_tokens` is written;
    the row itself thinks on from where it was, with its cache, so that nothing is computed twice. An answer with which
    thinking stops is, token for token, that of a run under a cap at that point. The budget holds over everything: with
    ignored ends, thinking goes on past its ends until the rule stops it.

    All rules look at the same trials, which are generated once; each row counts what its rule alone would have
    generated: the thinking up to where it stops, and every trial on the way. Nothing is promised.

    Args:
        rules (`Sequence[Rule]`): [`Stable`] or [`Confident`], each of which is a setting. Rules of one kind are a
            method.
        every (`int`, *optional*): an answer is tried whenever so many more tokens have been thought.
        separator (`str`, *optional*): instead of that, behind this text, such as "\\n\\n" or a cue such as "Wait".
            Behind a Wait that was forced nothing is tried.
        point ([`Budget`]): caps and ignores.

    Raises:
        ValueError: a value is out of range, or both or none of `every` and `separator` are given.
    """

    rules: Sequence[Rule] = field(default=(Stable(),))
    every: int | None = None
    separator: str | None = None
    point: Budget = NO_INTERVENTION

    def __post_init__(self) -> None:
        check_rules(self.rules)
        check_point(self.point)
        if (self.every is None) == (self.separator is None):
            raise ValueError("Either `every`, such as 256, or `separator`, such as '\\n\\n', has to be given.")
        if self.every is not None and (not is_count(self.every) or self.every < 1):
            raise ValueError(f"`every` has to be an integer of at least 1, but is {self.every!r}.")
        if self.separator is not None and (not isinstance(self.separator, str) or not self.separator):
            raise ValueError(f"`separator` has to be a text, such as '\\n\\n', but is {self.separator!r}.")

    @property
    def names(self) -> list[str]:
        return list(dict.fromkeys(named(f"{METHOD}, {rule.kind}", self.point) for rule in self.rules))

    @property
    def settings(self) -> dict[str, Any]:
        rules = [{"rule": type(rule).__name__, **asdict(rule)} for rule in self.rules]  # type: ignore[call-overload]
        own = {"rules": rules, "every": self.every, "separator": self.separator, "point": self.point.to_dict()}
        return {"method": type(self).__name__, **own}

    def grid(self) -> list[Budget]:
        cap = self.every or 1
        return [self.point, Budget(max_thinking_tokens=cap, num_ignores=self.point.num_ignores)]

    def check(self, bench: Bench) -> None:
        check_trials(bench.budget, self.point)
        thinkers = [self._thinker(bench, problem, 0) for problem in bench.problems]
        bench.runner.check([thinker.onward() for thinker in thinkers])
        bench.check(bench.problems, self.grid()[:1])

    def chunk(self, bench: Bench) -> int:
        return CHUNK_BATCHES * bench.batch_size  # others take the places of those that have stopped

    def rows(self, bench: Bench, problems: Sequence[Problem]) -> list[Row]:
        # 1. On from point to point, until all rules have stopped.
        thinkers = [self._thinker(bench, one, sample) for one in problems for sample in range(bench.samples or 1)]
        waiting = [(thinker, list(self.rules)) for thinker in thinkers]  # with the rules that let it go on
        while waiting:
            go_on(bench, [thinker for thinker, _ in waiting])
            waiting = [(thinker, left) for thinker, rules in waiting if (left := _letting_on(thinker, rules))]
        # 2. What each of them has.
        rows = []
        for rule in self.rules:
            setting = f"{rule.name}, {self._where}"
            for thinker in thinkers:
                row = exited(thinker.trials, rule, thinker.problem.kind)
                rows.append(replace(row, method=named(row.method, self.point), setting=setting))
        return rows

    def finish(self, rows: list[Row]) -> list[Row]:
        """Warns if nothing was tried on the way."""
        if not any(map(self._tried, rows)):
            where = f"`every` {self.every:,}" if self.separator is None else f"`separator` {self.separator!r}"
            warnings.warn(
                f"{where} was never reached before the end of any thinking, so that no answer was tried, and nothing "
                "stopped early. Choose a smaller step, or what stands in the thinking of this model.",
                BudgetWarning,
                stacklevel=2,
            )
        return rows

    def _tried(self, row: Row) -> bool:
        """Whether an answer was tried before the end of its thinking."""
        if row.tries > 1:
            return True
        if self.separator is not None:
            return self.separator in "".join(piece["text"] for piece in row.transcript)
        cap = self.point.max_thinking_tokens
        return row.thinking_tokens >= (self.every or 0) and not (isinstance(cap, int) and row.thinking_tokens >= cap)

    @property
    def _where(self) -> str:
        return f"every {self.every}" if self.separator is None else f"at {self.separator!r}"

    def _thinker(self, bench: Bench, problem: Problem, sample: int) -> Thinker:
        every = self.every
        caps = None if every is None else (lambda number: every * (number + 1))
        confidence = Confidence(top=1) if any(rule.needs_confidence for rule in self.rules) else None
        request = whole_request(bench, problem, sample, self.grid(), confidence)
        return Thinker(problem, request, Points(caps, self.separator))


def early_exit(
    rows: Iterable[Row],
    rules: Sequence[Rule],
    kind: AnswerKind = "math",
    *,
    opening_tokens: int = 0,
) -> list[Row]:
    """What [`EarlyExit`] gives at the caps of a sweep, replayed from its rows; nothing is generated.

    Args:
        rows (`Iterable[Row]`), opening_tokens (`int`): see [`trials_of`]. The points are the caps; where the largest
            one is none, thinking ends by itself.
        rules (`Sequence[Rule]`): as in [`EarlyExit`].
        kind (`str`): of the answers.

    Returns:
        `list[Row]`: one for each rule, problem and sample.

    Raises:
        ValueError: as [`trials_of`]; or a rule needs the confidence of answers, which was not measured.

    Example:

    ```python
    >>> from s1_hf import embedded
    >>> from s1_hf.methods import Bench, BudgetForcing, Stable, early_exit, problems_of
    >>> model, tokenizer = embedded.load()
    >>> bench = Bench(model=model, tokenizer=tokenizer, problems=problems_of("s1:embedded", max_samples=2),
    ...               max_new_tokens=150, max_answer_tokens=12)
    >>> rows = BudgetForcing(max_thinking_tokens=[16, 32, 48, 64, 80, None]).run(bench)
    >>> [(row.setting, row.problem, row.tries) for row in early_exit(rows, [Stable(2)], opening_tokens=2)]
    [('stable 2', '0', 3), ('stable 2', '1', 5)]

    ```
    """
    check_rules(rules)
    found = trials_of(rows, opening_tokens=opening_tokens)
    check_measured(found, rules)
    return [exited(trials, rule, kind) for rule in rules for trials in found]


def _letting_on(thinker: Thinker, rules: Sequence[Rule]) -> list[Rule]:
    """Those of the rules that do not stop it after its last trial, having let the others pass."""
    if thinker.is_over:
        return []
    trials, kind = thinker.trials, thinker.problem.kind
    return [rule for rule in rules if not (trials and rule.stops(trials, kind))]


def exited(trials: Sequence[Trial], rule: Rule, kind: AnswerKind = "math") -> Row:
    """The row of the trial with which a rule stops, with all tokens up to it."""
    index = stop_at(trials, rule, kind)
    return replace(
        promising_nothing(trials[index].row),
        method=f"{METHOD}, {rule.kind}",
        setting=rule.name,
        total_tokens=sum(trial.spent for trial in trials[: index + 1]),
        tries=index + 1,
        request=None,  # one does not say what else was tried
    )


# -- what methods with trials have in common --------------------------------------------------------------------------


def whole_request(
    bench: Bench, problem: Problem, sample: int, points: Sequence[Budget], confidence: Confidence | None
) -> Request:
    """Of an answer under the first of `points`, which will be asked under the others too."""
    budget = bench.budgets(points)[0]
    sampled = bool(bench.samples)
    return bench.request(problem, budget=budget, sample=sample, sampled=sampled, confidence=confidence)


def check_rules(rules: Any) -> None:
    """Raises a `ValueError` unless these are different rules, and not none."""
    listed = isinstance(rules, Sequence) and len(rules) > 0 and all(hasattr(rule, "stops") for rule in rules)
    if not listed or len({rule.name for rule in rules}) < len(rules):
        raise ValueError(
            f"`rules` has to be a sequence of different rules, such as [Stable(2), Stable(3)], but is {rules!r}."
        )


def check_trials(budget: Budget, point: Budget) -> None:
    """Raises a `ValueError` for budgets under which a trial is not what a run under a cap gives."""
    if budget.cut_text is not None or budget.cut_window:
        raise ValueError(
            "`cut_text` and `cut_window` have to be left out where answers are tried on the way: a cap would close the "
            "thinking before it, and not at it."
        )
    if point.column("min_thinking_tokens", 1)[0]:
        raise ValueError(
            "`point` has to leave out `min_thinking_tokens`. Try answers from there on, by a larger `every`."
        )


def check_measured(found: Iterable[Sequence[Trial]], rules: Sequence[Rule]) -> None:
    """Raises a `ValueError` if a rule needs a confidence that no row has."""
    if not any(rule.needs_confidence for rule in rules):
        return
    if all(trial.row.confidence is None for trials in found for trial in trials):
        raise ValueError(
            "`rows` has to have the confidence of answers, but no row has one. Measure it: "
            "`Bench(confidence=Confidence(top=1))`, or `s1-hf sweep --confidence`."
        )
