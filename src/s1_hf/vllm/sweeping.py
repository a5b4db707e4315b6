"""A grid of budgets from one trace per request: what a setting keeps of the trace is the prompt of its answer.

The trace's keys and values are in vLLM's prefix cache, so that a branch costs little more than its own tokens.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Protocol

import torch

from s1_hf.forcing.decisions import Field, advance, first_state
from s1_hf.forcing.prompts import start_of
from s1_hf.forcing.report import Ended
from s1_hf.generation.branches import Decisions, find_branches
from s1_hf.generation.chats import Completion, completion_of
from s1_hf.generation.reports import report_of

if TYPE_CHECKING:
    from s1_hf.forcing.automaton import Automaton
    from s1_hf.forcing.budget import Budget
    from s1_hf.forcing.report import Report
    from s1_hf.generation.branches import Branch
    from s1_hf.vllm.asking import Asked
    from s1_hf.vllm.setup import Setup


@dataclass(frozen=True)
class Swept:
    """Some requests under every setting, `completions[s][r]`, and the tokens that this took.

    Args:
        trace_tokens, answer_tokens (`int`): through the model went these, of traces and of branches.
        cached_tokens (`int`): these were in the cache.
    """

    completions: list[list[Completion]]
    trace_tokens: int
    answer_tokens: int
    cached_tokens: int


@dataclass(frozen=True, eq=False)
class Trace:
    """One request under the largest setting; see [`Decided`] of `generation.branches`."""

    asked: Asked
    automaton: Automaton
    completion: Completion
    replay: Decisions

    @property
    def counts(self) -> torch.Tensor:
        """How many tokens it has, `(1,)`."""
        return torch.tensor([len(self.completion.token_ids)])


class Ran(Protocol):
    """One request, run."""

    @property
    def completion(self) -> Completion:
        """What was generated."""

    @property
    def states(self) -> list[list[int]]:
        """In which its tokens were taken, if they were asked for."""

    @property
    def cached(self) -> int:
        """Tokens that were not computed, because the cache held them."""

    def computed(self, asked: Asked) -> int:
        """Tokens that went through the model."""


Run = Callable[[Sequence["Asked"], bool], Iterator[tuple[int, "Ran"]]]
"""Runs requests, with the states in which tokens were taken or without; of each its place and what became of it."""


def swept(run: Run, setup: Setup, asked: Sequence[Asked], settings: Sequence[Budget]) -> Swept:
    """Some requests under every setting; `asked` are those under the largest."""
    # 1. The traces.
    computed = {"trace": 0, "answer": 0, "cached": 0}
    traces: dict[int, Trace] = {}
    for place, ran in run(asked, True):
        traces[place] = _trace(setup, asked[place], ran)
        _count(computed, "trace", asked[place], ran)
    # 2. Where each setting leaves its trace; settings that leave it alike share the branch.
    of_settings: list[list[Branch | None]] = []
    branches: dict[tuple[int, Branch], None] = {}
    for setting in settings:
        of_setting = [find_branches(traces[place], setting)[0] for place in range(len(asked))]
        of_settings.append(of_setting)
        branches.update(dict.fromkeys((place, one) for place, one in enumerate(of_setting) if one is not None))
    # 3. An answer for each branch; one that has used up its length has none.
    answers: dict[tuple[int, Branch], Completion] = {}
    waiting: list[tuple[int, Branch]] = []
    going_on: list[Asked] = []
    for place, branch in branches:
        trace = traces[place]
        if trace.asked.max_tokens == branch.step + 1:
            answers[place, branch] = _joined(setup, trace, branch, None, report_of(branch.state, ()))
            continue
        written = [*trace.completion.token_ids[: branch.step], branch.token]
        waiting.append((place, branch))
        going_on.append(trace.asked.going_on(written, branch.state, branch.budget))
    for i, ran in run(going_on, False) if going_on else ():
        place, branch = waiting[i]
        answers[place, branch] = _joined(setup, traces[place], branch, ran.completion, ran.completion.report)
        _count(computed, "answer", going_on[i], ran)
    # 4. Each setting's rows: the trace's own where nothing differs.
    done = []
    for of_setting in of_settings:
        row = []
        for place, one in enumerate(of_setting):
            row.append(traces[place].completion if one is None else answers[place, one])
        done.append(row)
    return Swept(done, computed["trace"], computed["answer"], computed["cached"])


def _count(computed: dict[str, int], kind: str, asked: Asked, ran: Ran) -> None:
    computed[kind] += ran.computed(asked)
    computed["cached"] += ran.cached


def _trace(setup: Setup, asked: Asked, ran: Ran) -> Trace:
    automaton, tokens = setup.automaton(asked.budget, ()), list(ran.completion.token_ids)
    after = torch.tensor(ran.states).reshape(len(tokens), len(Field)).T.contiguous()  # (7, steps)
    taken = torch.tensor(tokens, dtype=torch.long)
    start = first_state([start_of(automaton, asked.prompt)])  # (7, 1)
    before = torch.cat([start, advance(automaton.tables, after, taken)[:, :-1]], dim=1)
    # What was looked at was the token that was taken, except where it was an attempt to end.
    attempted = after[Field.IGNORED] != before[Field.IGNORED]
    attempted = attempted | ((after[Field.ENDED] == Ended.NATURAL) & (before[Field.ENDED] != Ended.NATURAL))
    return Trace(
        asked=asked,
        automaton=automaton,
        completion=ran.completion,
        replay=Decisions(
            before=before,
            after=after,
            picks=torch.where(attempted, automaton.format.ends[0], taken),
            last=torch.tensor([asked.prompt[-1], *tokens[:-1]]),
            looped=(after[Field.ENDED] == Ended.LOOPED) & (before[Field.ENDED] != Ended.LOOPED),
        ),
    )


def _joined(setup: Setup, trace: Trace, branch: Branch, answer: Completion | None, report: Report) -> Completion:
    """What the trace wrote up to the branch, the token there, and the answer, if there is one."""
    own = trace.completion
    ids = [*own.token_ids[: branch.step], branch.token, *(answer.token_ids if answer else ())]
    forced = (*own.forced[: branch.step], True, *report.forced)
    automaton, prompt = trace.automaton, list(trace.asked.prompt)
    whole = completion_of(setup.tokenizer, automaton, prompt, ids, replace(report, forced=forced))
    if own.confidences is None:
        return whole
    since = (answer.confidences or ()) if answer else ()
    return replace(whole, confidences=(*own.confidences[: branch.step + 1], *since))
