"""Rejection sampling: sample until the thinking fits the budget (s1, section 3.2 and figure 6)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple

from s1_hf.forcing.columns import columns_of
from s1_hf.forcing.prompts import read_prompt
from s1_hf.forcing.values import is_count
from s1_hf.methods.method import Method, check_counts
from s1_hf.results.rows import Row, row_of

if TYPE_CHECKING:
    from s1_hf.engines.request import Request
    from s1_hf.forcing.automaton import Automaton
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

    A row's `tries` and `total_tokens` are those of sampling one try after the other under no other limit: a try is
    given up with its first thinking token beyond the limit, and tries after the accepted one do not count. If no try
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
        searches = []
        for problem in problems:
            for sample in range(bench.samples or 1):
                searches.append(_Search(problem, sample, sorted(self.limits)))
        while tries := list(_next_tries(searches, bench.batch_size, self.max_tries)):
            requests = [_request(bench, one) for one in tries]
            done = bench.complete(requests)
            for one, request in zip(tries, requests, strict=True):
                completion = done[request.key]
                one.search.look_at(request, completion, passed(bench.automaton, request, completion, self.limits))
        rows = []
        for limit in self.limits:
            rows += [search.row(limit, bench, self.names[0]) for search in searches]
        return rows


@dataclass(eq=False)
class _Search:
    """One sample of one problem, and what its tries have given under each limit, in ascending order."""

    problem: Problem
    sample: int
    limits: list[int]
    begun: int = 0  # tries
    found: dict[int, tuple[Request, Completion]] = field(default_factory=dict)  # limit: the try
    tokens: dict[int, int] = field(default_factory=dict)  # limit: generated under it
    tries: dict[int, int] = field(default_factory=dict)

    @property
    def largest(self) -> int:
        """The largest limit under which nothing is accepted yet; -1 if there is none."""
        return max((limit for limit in self.limits if limit not in self.found), default=-1)

    def look_at(self, request: Request, done: Completion, over: dict[int, int]) -> None:
        """Accept or reject, under every limit that is open.

        Args:
            over (`dict[int, int]`): for the limits that the thinking exceeded, how many tokens had been generated then.
        """
        ended = done.report.ended in ("natural", "never_started") and done.report.answer_tokens > 0
        for limit in self.limits:
            if limit in self.found:
                continue
            self.tries[limit] = request.attempt + 1
            self.tokens[limit] = self.tokens.get(limit, 0) + over.get(limit, len(done.token_ids))
            if ended and limit not in over:
                self.found[limit] = (request, done)

    def row(self, limit: int, bench: Bench, method: str) -> Row:
        more: dict[str, Any] = {"method": method, "setting": f"limit {limit}"}
        more |= {"promised_max_tokens": limit, "tries": self.tries[limit], "total_tokens": self.tokens[limit]}
        problem = self.problem
        if limit in self.found:
            request, done = self.found[limit]
            return row_of(done, problem, bench.runner.tokenizer, request=request, **more)
        return Row(
            **more, **columns_of(bench.budget), sample=self.sample,
            task=problem.task, problem=problem.id, question=problem.question, gold=problem.gold,
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


def _request(bench: Bench, one: _Try) -> Request:
    search = one.search
    return bench.request(
        search.problem, sample=search.sample, attempt=one.number, sampled=True, give_up_after=one.limit
    )


def passed(automaton: Automaton, request: Request, completion: Completion, limits: Sequence[int]) -> dict[int, int]:
    """The limits that a completion's thinking exceeds, and how many tokens had been generated when it did.

    Tokens that may turn out to be the closing delimiter are not counted before that is known.
    """
    found: dict[int, int] = {}
    state = read_prompt(automaton, request.prompt)
    for i, token in enumerate(completion.token_ids, 1):
        state = automaton.run([token], state)
        thinking = state.thinking_tokens - state.pending
        for limit in limits:
            if thinking > limit and limit not in found:
                found[limit] = i
    return found
