"""A total of tokens spent on the problems of a bench."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from itertools import product
from typing import TYPE_CHECKING, Any, get_args

from s1_hf.forcing.automaton import Automaton
from s1_hf.forcing.budget import Budget
from s1_hf.forcing.columns import columns_of
from s1_hf.forcing.confidence import Confidence
from s1_hf.forcing.prompts import read_prompt
from s1_hf.forcing.values import is_count
from s1_hf.generation.config import eos_ids
from s1_hf.methods.exits.early import check_trials, whole_request
from s1_hf.methods.exits.thinker import Points, Thinker, think_on, try_answers
from s1_hf.methods.method import Method, check_counts
from s1_hf.methods.spending.policies import Policy, Terms, spend
from s1_hf.methods.spending.replaying import METHOD, check_policies, spent_row
from s1_hf.results.rows import Row

if TYPE_CHECKING:
    from s1_hf.engines.request import Request
    from s1_hf.generation.chats import Completion
    from s1_hf.methods.bench import Bench
    from s1_hf.results.rows import Problem


@dataclass(frozen=True, kw_only=True)
class Spending(Method):
    """One total of tokens for all problems together: who thinks longer?

    Thinking has levels, which are caps. Problems think on from level to level as a policy says, and pause between them;
    no more than the total is ever generated, because the most that a level can take is set aside before. See [`spend`].
    A row that waits for others is read again when it thinks on: nothing is generated twice.

    It gives what [`spend_rows`] replays from a sweep, token for token, if that knows the same reserve, see
    [`Spending.terms`]. The rows of a setting depend on each other: they are those of all problems of the bench. Each
    task has a total of its own, and with `samples` each of the samples.

    Args:
        caps (`Sequence[int]`): the levels.
        totals (`Sequence[int]`): tokens for one answer to every problem of a task; each is a setting.
        policies (`Sequence[str]`): `"uniform"`, `"stability"` or `"confidence"`, each of which is a method.
        round_size (`int`, defaults to 8): how many problems think on together.
        num_ignores (`int`, defaults to 0): how many ends are ignored.

    Raises:
        ValueError: a value is out of range.
    """

    caps: Sequence[int]
    totals: Sequence[int]
    policies: Sequence[Policy] = ("uniform", "stability")
    round_size: int = 8
    num_ignores: int = 0

    def __post_init__(self) -> None:
        check_counts("caps", self.caps)
        check_counts("totals", self.totals)
        check_policies(self.policies, get_args(Policy))
        if not is_count(self.round_size) or self.round_size < 1:
            raise ValueError(f"`round_size` has to be an integer of at least 1, but is {self.round_size!r}.")
        self.grid()

    @property
    def names(self) -> list[str]:
        return [f"{METHOD}, {policy}" for policy in self.policies]

    @property
    def settings(self) -> dict[str, Any]:
        return {"method": type(self).__name__, **asdict(self)}

    def grid(self) -> list[Budget]:
        """The largest level first."""
        caps = sorted(self.caps, reverse=True)
        return [Budget(max_thinking_tokens=cap, num_ignores=self.num_ignores) for cap in caps]

    def check(self, bench: Bench) -> None:
        check_trials(bench.budget, self.grid()[0])
        if bench.max_answer_tokens is None:
            raise ValueError(
                "`max_answer_tokens` of the bench has to be given, because what answers can take is set aside, such as "
                "`Bench(..., max_answer_tokens=100)`."
            )
        if max(self.caps) >= bench.max_new_tokens:
            raise ValueError(
                f"`caps` have to be less than the bench's `max_new_tokens`, {bench.max_new_tokens}, but the largest is "
                f"{max(self.caps)}."
            )
        bench.runner.check([self._thinker(bench, problem, 0).onward() for problem in bench.problems])
        bench.check(bench.problems, self.grid())

    def chunk(self, bench: Bench) -> int:
        return len(bench.problems)

    def terms(self, bench: Bench) -> Terms:
        """What is set aside on this bench."""
        tokenizer, fmt = bench.runner.tokenizer, bench.thinking_format
        automaton = Automaton.of(tokenizer, fmt, bench.budget, eos_ids(None, tokenizer))
        answer = bench.max_answer_tokens or 0
        openings = []
        for problem in bench.problems:
            state = read_prompt(automaton, bench.encode(problem.prompt))
            is_open = automaton.cells[state.cell].thinking
            # A model that opens its thinking itself may write so much before.
            openings.append(0 if is_open else len(fmt.start) + (0 if fmt.force_start else answer))
        reserve = automaton.max_closing + answer + 1  # and the end of sequence
        return Terms(tuple(sorted(self.caps)), reserve, max(openings), self.round_size)

    def rows(self, bench: Bench, problems: Sequence[Problem]) -> list[Row]:
        terms, kept = self.terms(bench), _Remembering(bench)
        of_tasks: dict[str, list[Problem]] = {}
        for problem in problems:
            of_tasks.setdefault(problem.task, []).append(problem)
        rows = []
        for policy, total, of_task in product(self.policies, self.totals, of_tasks.values()):
            for sample in range(bench.samples or 1):
                thinkers = [self._thinker(bench, problem, sample) for problem in of_task]
                spend(
                    thinkers, total, policy, terms,
                    lambda some: think_on(kept, some), lambda some: try_answers(kept, some),
                )  # fmt: skip
                for thinker in thinkers:
                    rows.append(spent_row(thinker, policy, total, self._unbegun(thinker)))
        return rows

    def _thinker(self, bench: Bench, problem: Problem, sample: int) -> Thinker:
        confidence = Confidence(top=1) if "confidence" in self.policies else None
        request = whole_request(bench, problem, sample, self.grid(), confidence)
        caps = sorted(self.caps)[:-1]
        return Thinker(problem, request, Points(lambda level: caps[level] if level < len(caps) else None))

    def _unbegun(self, thinker: Thinker) -> Row:
        problem, request = thinker.problem, thinker.request
        budget = replace(request.budget, max_thinking_tokens=min(self.caps))
        return Row(
            "", "", problem.task, problem.id, request.sample, 0, 0, False, "not_found", question=problem.question,
            gold=problem.gold, **columns_of(budget),
        )  # fmt: skip


class _Remembering:
    """A bench that is asked for the same thing by several totals and policies."""

    def __init__(self, bench: Bench) -> None:
        self.runner, self._bench = bench.runner, bench
        self._done: dict[str, Completion] = {}

    def complete(self, requests: Sequence[Request]) -> dict[str, Completion]:
        """See [`Bench`]."""
        missing = [request for request in requests if request.key not in self._done]
        if missing:
            self._done |= self._bench.complete(missing)
        return {request.key: self._done[request.key] for request in requests}
