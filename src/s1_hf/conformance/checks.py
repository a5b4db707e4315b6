"""The checks: what a host gives beside what the contract says it has to give."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from s1_hf.conformance.cases import Case, budget_of, case_of
from s1_hf.conformance.comparing import compare
from s1_hf.conformance.findings import Finding, Tally
from s1_hf.conformance.laws import TRANSFORMERS, VLLM, chi_square, exact_law
from s1_hf.conformance.models import LAWS
from s1_hf.conformance.reference import Row
from s1_hf.conformance.subjects import Subject
from s1_hf.embedded.problems import held_out_sample
from s1_hf.engines.engine import Engine
from s1_hf.engines.request import Request, Sampling, seed_of
from s1_hf.engines.vllm_engine import VllmEngine
from s1_hf.forcing.budget import Budget
from s1_hf.generation.chats import Completion, prompt_ids

FALSE_ALARM = 1e-6
"""The probability with which one chi-square test calls a right sampler bent."""

LAW_LENGTH = 4
"""Tokens of rows whose law is enumerated."""

SWEPT = [Budget(max_thinking_tokens=cap, num_ignores=ignores) for cap in (8, 24, None) for ignores in (0, 1, 2)]


@dataclass(frozen=True)
class Placed:
    """A greedy request with the batch that it ran in."""

    request: Request
    batch: Sequence[Request]

    @property
    def is_padded(self) -> bool:
        """Whether another prompt of the batch is longer."""
        return len(self.request.prompt) < max(len(one.prompt) for one in self.batch)

    @property
    def is_mixed(self) -> bool:
        """Whether another row of the batch has another budget."""
        return any(one.budget != self.request.budget for one in self.batch)


def _is_cut(placed: Placed, row: Row) -> bool:
    return row.ended == "cut"


def _ignored(placed: Placed, row: Row) -> bool:
    return row.used > 0


def _was_below_minimum(placed: Placed, row: Row) -> bool:
    return row.ends_ignored > row.used


def _is_cut_softly(placed: Placed, row: Row) -> bool:
    budget = placed.request.budget
    return row.ended == "cut" and bool(budget.cut_text or budget.cut_window)


def _is_padded(placed: Placed, row: Row) -> bool:
    return placed.is_padded


def _is_mixed(placed: Placed, row: Row) -> bool:
    return placed.is_mixed


KINDS: dict[str, Callable[[Placed, Row], bool]] = {
    "caps": _is_cut,
    "ignores": _ignored,
    "minimums": _was_below_minimum,
    "soft cuts and stop messages": _is_cut_softly,
    "left padding": _is_padded,
    "budgets per row in one batch": _is_mixed,
}
"""What a row among all those compared shows besides, by what the reference did with it."""


class Greedy:
    """Greedy rows beside the reference, counted by subject and by what they show."""

    def __init__(self, is_vllm: bool) -> None:
        self.of_subjects: dict[str, Tally] = {}
        self.of_kinds = {name: Tally(name) for name in KINDS}
        if is_vllm:  # which pads nothing
            del self.of_kinds["left padding"]

    def add(self, group: str, subject: Subject, requests: Sequence[Request], done: Sequence[Completion]) -> Tally:
        """Compare completions with the reference; returns what was counted under `group`."""
        tally = self.of_subjects.setdefault(group, Tally(group))
        placed = {}
        for batch in subject.engine.plan(requests):
            placed.update({one.key: Placed(one, batch) for one in batch})
        for request, completion in zip(requests, done, strict=True):
            compared = compare(subject.reference, request, completion)
            whose = f"{subject.name}, {request.problem} under {request.budget.name}"
            tally.add(compared, whose)
            for name, kind in self.of_kinds.items():
                if KINDS[name](placed[request.key], compared.row):
                    kind.add(compared, whose)
        return tally


def random_cases(seed: int, count: int) -> dict[str, list[Request]]:
    """Greedy requests of random cases, by family of toys: prompts, batches and budgets of every kind."""
    found: dict[str, list[Request]] = {}
    for number in range(count):
        case: Case = case_of(seed + number)
        for row, prompt in enumerate(case["prompts"]):
            request = Request(
                prompt=tuple(prompt),
                budget=budget_of(case, row),
                max_new_tokens=case["max_new_tokens"],
                problem=f"case {seed + number} row {row}",
            )
            found.setdefault(case["family"], []).append(request)
    return found


def chat_requests(subject: Subject, questions: Sequence[str], max_new_tokens: int, seed: int) -> list[Request]:
    """Greedy requests for questions, each under a random budget."""
    rng = random.Random(seed)
    engine, requests = subject.engine, []
    for number, question in enumerate(questions):
        cap = rng.choice([0, 5, 40, 120, None, None])
        ignores, least = rng.choice([0, 1, 2]), rng.choice([0, 0, 12])
        if engine.format.plain:
            ignores, least = 0, 0
        budget = Budget(
            max_thinking_tokens=cap,
            num_ignores=ignores,
            min_thinking_tokens=least if cap is None else min(least, cap),
        )
        prompt = tuple(prompt_ids(engine.tokenizer, engine.format, question, {}))
        request = Request(prompt=prompt, budget=budget, max_new_tokens=max_new_tokens, problem=f"question {number}")
        requests.append(request)
    return requests


def lamp_questions(count: int, seed: int) -> list[str]:
    """Questions that the embedded model was made for."""
    return [problem.question for problem in held_out_sample(count, seed)]


# -- sweeps ---------------------------------------------------------------------------------------------------------


def settings_for(engine: Engine) -> tuple[list[Budget], str]:
    """The settings that a model can be swept over; or none, and why a sweep of it is refused."""
    settings = [one for one in SWEPT if not (engine.format.plain and one.num_ignores)]
    try:
        engine.check_sweep(settings)
    except ValueError as error:
        return [], f"refused: {error}"
    return settings, ""


Swept = list[tuple[Request, Completion]]


def sweep_of(subject: Subject, requests: Sequence[Request]) -> tuple[Swept, str]:
    """A sweep's requests with their completions; or none, and why it is refused."""
    settings, refused = settings_for(subject.engine)
    if refused:
        return [], refused
    requests = [replace(request, budget=Budget()) for request in requests]
    found = []
    for setting, completions in zip(settings, subject.sweep(requests, settings), strict=True):
        for request, completion in zip(requests, completions, strict=True):
            found.append((replace(request, budget=setting), completion))
    return found, ""


def compared_sweep(name: str, subject: Subject, swept: Swept) -> Tally:
    """A sweep's rows beside what the reference makes of each by itself."""
    tally = Tally(name)
    for request, completion in swept:
        whose = f"{subject.name}, {request.problem} under {request.budget.name}"
        tally.add(compare(subject.reference, request, completion), whose)
    return tally


# -- sampling -------------------------------------------------------------------------------------------------------


def _sampled(subject: Subject, law: str, budget: Budget, count: int, seed: int, length: int) -> list[Request]:
    """Requests for one question, with a seed for each."""
    engine = subject.engine
    prompt = tuple(prompt_ids(engine.tokenizer, engine.format, "b", {}))
    sampling = Sampling(**LAWS[law])  # type: ignore[arg-type]
    requests = []
    for number in range(count):
        own = seed_of(seed, law, "b", number)
        requests.append(
            Request(prompt=prompt, budget=budget, max_new_tokens=length, sampling=sampling, seed=own, sample=number)
        )
    return requests


LAW_BUDGETS = [
    Budget(num_ignores=2, max_thinking_tokens=4, answer_prefix="x"),
    Budget(min_thinking_tokens=2, max_thinking_tokens=3, wait_text=None, answer_prefix="x"),
]


def check_laws(subject: Subject, seed: int, laws: Sequence[str], draws: int) -> Finding:
    """Chi-square of drawn rows against the law of the reference, for every setting of sampling."""
    order = VLLM if isinstance(subject.engine, VllmEngine) else TRANSFORMERS
    values: dict[str, float] = {}
    for number, law in enumerate(laws):
        budget = LAW_BUDGETS[number % len(LAW_BUDGETS)]
        requests = _sampled(subject, law, budget, draws, seed + number, LAW_LENGTH)
        counts: Counter[Any] = Counter()
        for one in subject.run(requests):
            counts[tuple(one.token_ids), one.forced, one.report.ended, one.report.ends_ignored] += 1

        def run(choose: Any, request: Request = requests[0]) -> Any:
            row = subject.reference.row(request, choose)
            return tuple(row.new), tuple(row.forced), row.ended, row.ends_ignored

        values[law] = chi_square(counts, exact_law(run, LAWS[law], order), draws)
    bent = {law: value for law, value in values.items() if value < FALSE_ALARM}
    alarm = f"false alarm: {FALSE_ALARM:.0e} each, {FALSE_ALARM * len(laws):.0e} for all of them"
    what = f"{len(laws)} settings, {draws:,} draws each, smallest p = {min(values.values()):.2g}; {alarm}"
    if bent:
        what = f"bent: {', '.join(f'{law} (p = {value:.1g})' for law, value in bent.items())}; {what}"
    return Finding("laws of sampling", "fault" if bent else "passed", what, {"p": values, "false_alarm": FALSE_ALARM})


def check_seeds(subject: Subject, seed: int) -> Finding:
    """A row's draws follow from its seed alone: the same in any batch, others for another seed."""
    budget = Budget(num_ignores=1, max_thinking_tokens=20, answer_prefix="x")
    requests = _sampled(subject, "temperature 1.8", budget, 24, seed, 40)
    together = subject.run(requests)
    faults = []
    reversed_order = subject.run(requests[::-1])[::-1]
    if reversed_order != together:
        faults.append("rows change with the order of their batch")
    few = subject.run(requests[1:8:3])
    if few != together[1:8:3]:
        faults.append("rows change with the rows beside them")
    alone = [subject.run([request])[0] for request in requests[:4]]
    if alone != together[:4]:
        faults.append("rows by themselves are others than in a batch")
    others = subject.run(_sampled(subject, "temperature 1.8", budget, 24, seed + 1, 40))
    if len({one.token_ids for one in [*together, *others]}) < 40:
        faults.append("rows of different seeds are alike")
    what = "24 rows: in one batch, in other orders and batches, by themselves; other seeds give other rows"
    if faults:
        return Finding("seeds per row", "fault", f"{'; '.join(faults)} ({what})")
    return Finding("seeds per row", "passed", what)


def check_sampled_sweep(subject: Subject, seed: int) -> Finding:
    """With seeds, each setting of a sampled sweep has the rows of a run of its own."""
    requests = _sampled(subject, "temperature 1.8", Budget(), 12, seed, 40)
    requests = [replace(request, problem=str(request.sample)) for request in requests]
    different = 0
    for setting, swept in zip(SWEPT, subject.sweep(requests, SWEPT), strict=True):
        apart = subject.run([replace(request, budget=setting) for request in requests])
        different += sum(one != other for one, other in zip(swept, apart, strict=True))
    count = len(requests) * len(SWEPT)
    name = "sampled sweep equals separate runs"
    if different:
        return Finding(name, "fault", f"{different} of {count} rows differ from those of runs of their own")
    return Finding(name, "passed", f"{count} rows, by their seeds")
