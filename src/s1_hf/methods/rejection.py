"""Rejection sampling: sample until the thinking fits the budget (s1, section 3.2 and figure 6)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple

import torch

from s1_hf.forcing.budget import is_count
from s1_hf.forcing.decisions import Field
from s1_hf.generation.criteria import _FormatCriteria
from s1_hf.methods.method import Method, check_counts
from s1_hf.results.rows import Row, row_of

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

    from s1_hf.forcing.formats import ThinkingFormat
    from s1_hf.generation.chats import Completion
    from s1_hf.methods.bench import Bench
    from s1_hf.results.rows import Problem

CHUNK_BATCHES = 4
"""Batches' worth of problems that are worked on together: others take the places of those that are done."""


@dataclass(frozen=True)
class RejectionSampling(Method):
    """Samples each problem until a try's natural thinking has at most `limit` tokens; nothing is forced.

    A try is accepted if it ends its thinking by itself within the limit, or never thinks, and an answer of at least one
    token follows. Under a limit the answer is that of the first try accepted; all limits look at the same tries, whose
    draws follow from the bench's seed, the problem and the try's number. Problems that are done leave the batch; the
    free rows are given to other problems, and to further tries of the same ones ahead of need.

    A row's `tries` and `total_tokens` are those of sampling one try after the other under its limit alone: a try is
    given up with its first thinking token beyond the limit, and tries behind the accepted one do not count. If no try
    is accepted the row says so, `not_found`, with no answer and no thinking tokens. Each limit is promised.

    Args:
        limits (`Sequence[int]`): thinking tokens; the paper's are 3500, 4000, 5000, 6000, 8000 and 16000.
        max_tries (`int`, defaults to 1000): of each sample of a problem. The paper's mean numbers of tries are 655, 97,
            8, 3, 2 and 1.

    Raises:
        ValueError: a number is out of range, or a limit there twice.
    """

    limits: Sequence[int]
    max_tries: int = 1000

    def __post_init__(self) -> None:
        check_counts("limits", self.limits, least=0)
        if not is_count(self.max_tries) or self.max_tries < 1:
            raise ValueError(f"`max_tries` has to be an integer of at least 1, but is {self.max_tries!r}.")

    @property
    def names(self) -> list[str]:
        return ["rejection sampling"]

    def chunk(self, bench: Bench) -> int:
        return CHUNK_BATCHES * bench.batch_size

    def rows(self, bench: Bench, problems: Sequence[Problem]) -> list[Row]:
        searches = [
            _Search(problem, sample, sorted(self.limits))
            for problem in problems
            for sample in range(bench.samples or 1)
        ]
        while tries := list(_next_tries(searches, bench.batch_size, self.max_tries)):
            for attempt, seen in zip(tries, _generate(bench, tries), strict=True):
                attempt.search.look_at(attempt.number, *seen)
        return [search.row(limit, bench, self.names[0]) for limit in self.limits for search in searches]


@dataclass(eq=False)
class _Search:
    """One sample of one problem, and what its tries have given under each limit, in ascending order."""

    problem: Problem
    sample: int
    limits: list[int]
    begun: int = 0  # tries
    found: dict[int, tuple[int, Completion]] = field(default_factory=dict)  # limit: the try's number, and the try
    tokens: dict[int, int] = field(default_factory=dict)  # limit: generated under it
    tries: dict[int, int] = field(default_factory=dict)

    @property
    def largest(self) -> int:
        """The largest limit under which nothing is accepted yet; -1 if there is none."""
        return max((limit for limit in self.limits if limit not in self.found), default=-1)

    def look_at(self, number: int, done: Completion, over: dict[int, int]) -> None:
        """Accept or reject, under every limit that is open.

        Args:
            over (`dict[int, int]`): for the limits that the thinking exceeded, how many tokens had been generated then.
        """
        ended = done.report.ended in ("natural", "never_started") and done.report.answer_tokens > 0
        for limit in self.limits:
            if limit in self.found:
                continue
            self.tries[limit] = number + 1
            self.tokens[limit] = self.tokens.get(limit, 0) + over.get(limit, len(done.token_ids))
            if ended and limit not in over:
                self.found[limit] = (number, done)

    def row(self, limit: int, bench: Bench, method: str) -> Row:
        more: dict[str, Any] = {"method": method, "setting": f"limit {limit}", "sample": self.sample}
        more |= {"max_thinking_tokens": limit, "tries": self.tries[limit], "total_tokens": self.tokens[limit]}
        problem = self.problem
        if limit in self.found:
            return row_of(self.found[limit][1], problem, bench.tokenizer, **more)
        return Row(
            **more, task=problem.task, problem=problem.id, question=problem.question, gold=problem.gold,
            thinking_tokens=0, answer_tokens=0, correct=False, ended="not_found", transcript=[],
        )  # fmt: skip


class _Try(NamedTuple):
    search: _Search
    number: int
    limit: int  # the largest that matters


def _next_tries(searches: list[_Search], count: int, most: int) -> Iterator[_Try]:
    """Up to `count` tries, one after the other for every search that is open, and again."""
    left = count
    while left:
        able = [search for search in searches if search.largest >= 0 and search.begun < most][:left]
        if not able:
            return
        for search in able:
            yield _Try(search, search.begun, search.largest)
            search.begun += 1
        left -= len(able)


def _generate(bench: Bench, tries: list[_Try]) -> list[tuple[Completion, dict[int, int]]]:
    """Each try with how far it was when it exceeded which limits."""
    limits, of_rows = tries[0].search.limits, [attempt.limit for attempt in tries]
    watch = ThinkingLimits(bench.tokenizer, bench.thinking_format, limits, of_rows)
    prompts = [attempt.search.problem.prompt for attempt in tries]
    seeds = [bench.seed_of(a.search.problem, a.search.sample, a.number) for a in tries]
    (completions,) = bench.complete(prompts, seeds=seeds, stopping_criteria=[watch])
    return list(zip(completions, watch.passed(), strict=True))


class ThinkingLimits(_FormatCriteria):
    """Stops a row when its thinking has more tokens than the row's own limit, and notes when it passed which limits.

    Tokens that may turn out to be the closing delimiter are not counted before that is known. For one call of
    `generate`.

    Args:
        limits (`Sequence[int]`): that are watched.
        of_rows (`Sequence[int]`): the limit that stops each row.
    """

    def __init__(
        self,
        tokenizer: PreTrainedTokenizerBase,
        format: ThinkingFormat,
        limits: Sequence[int],
        of_rows: Sequence[int],
    ) -> None:
        super().__init__(tokenizer, format)
        self._limits, self._of_rows = torch.tensor(limits), torch.tensor(of_rows)
        self._passed = torch.zeros(len(limits), len(of_rows), dtype=torch.long)  # tokens generated then; 0: not passed
        self._width = -1

    def __call__(self, input_ids: torch.LongTensor, scores: Any, **kwargs: Any) -> torch.BoolTensor:
        """Which rows of `input_ids`, of shape `(batch_size, sequence_length)`, are done: bool, `(batch_size,)`."""
        device, length = input_ids.device, input_ids.shape[1]
        if self._width < 0:
            self._width = length - 1
            self._limits, self._of_rows = self._limits.to(device), self._of_rows.to(device)
            self._passed = self._passed.to(device)
        state = self._state(input_ids)
        thinking = state[Field.THINKING] - state[Field.PENDING]
        passes = (thinking > self._limits[:, None]) & (self._passed == 0)
        self._passed = torch.where(passes, length - self._width, self._passed)
        return thinking > self._of_rows  # type: ignore[return-value]

    def passed(self) -> list[dict[int, int]]:
        """For each row the limits that its thinking passed, and how many tokens had been generated then."""
        limits = self._limits.tolist()
        rows = self._passed.T.tolist()
        return [{limit: n for limit, n in zip(limits, row, strict=True) if n} for row in rows]
