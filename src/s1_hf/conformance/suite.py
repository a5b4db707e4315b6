"""The whole suite, check after check."""

from __future__ import annotations

import tempfile
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from s1_hf.conformance.checks import (
    Greedy,
    chat_requests,
    check_laws,
    check_sampled_sweep,
    check_seeds,
    compared_sweep,
    lamp_questions,
    random_cases,
    sweep_of,
)
from s1_hf.conformance.figures import check_synchronisation, measure_memory, measure_steps, measure_vllm_steps
from s1_hf.conformance.findings import Finding
from s1_hf.conformance.machine import about
from s1_hf.conformance.models import LAWS
from s1_hf.conformance.one_model import described, transcript
from s1_hf.conformance.subjects import (
    EngineName,
    Machine,
    Subject,
    embedded_subject,
    law_subject,
    model_subject,
    preemptions,
    random_subject,
    table_subject,
)
from s1_hf.engines.checkpoint import Checkpoint, accelerator
from s1_hf.forcing.budget import BudgetWarning
from s1_hf.forcing.formats import format_of_settings
from s1_hf.vllm.installed import check_installed


@dataclass(frozen=True)
class Size:
    """How much is looked at.

    Args:
        cases (`int`): random cases, each of one to four rows.
        questions (`int`): rows of the embedded model, which run as one batch.
        swept (`int`): of these, how many are swept.
        laws (`tuple[str, ...]`): the settings of sampling whose law is tested.
        draws (`int`): of each of them.
        repeats (`int`): of runs whose time is taken.
    """

    cases: int = 100
    questions: int = 24
    swept: int = 3
    laws: tuple[str, ...] = tuple(LAWS)
    draws: int = 2000
    repeats: int = 5


FULL = Size()
QUICK = Size(cases=16, questions=12, swept=1, laws=("top-k 3", "all of them"), draws=1000, repeats=1)

VLLM_FAMILIES = ("s1", "think")
"""Families of toys that get an engine of vLLM each, which takes a while to build."""

QUESTIONS = ("What is 1 + 1?", "Name three prime numbers, and say why.", "Is 91 a prime number?", "Say hello.")
"""For a model of one's own."""

Said = str | dict[str, Any] | None
"""What a caller says of a thinking format."""

Progress = Callable[[str, int, int], Any]
"""Told the name of the check that begins, how many are done, and how many there are."""


@dataclass(frozen=True)
class Outcome:
    """What the suite has found.

    Args:
        about (`dict`): the machine and the versions, as JSON types; no names of folders.
        findings (`tuple[Finding, ...]`): one or several for each check.
    """

    about: dict[str, Any]
    findings: tuple[Finding, ...]

    @property
    def has_fault(self) -> bool:
        """Whether any check has found one."""
        return any(finding.verdict == "fault" for finding in self.findings)


def check(
    model: str | None = None,
    *,
    engine: EngineName = "transformers",
    device: str | torch.device | None = None,
    dtype: str | None = None,
    attn_implementation: str | None = None,
    format: Said = None,
    seed: int = 0,
    quick: bool = False,
    revision: str = "main",
    trust_remote_code: bool = False,
    engine_options: Mapping[str, Any] | None = None,
    on_progress: Progress = lambda name, done, total: None,
) -> Outcome:
    """Run the conformance suite on this machine: on tiny random models and the embedded one, and on a model of yours.

    Args:
        model (`str`, *optional*): a folder, a name on the Hub, or `"embedded"`.
        engine (`str`, defaults to `"transformers"`): or `"vllm"`.
        device (*optional*): of transformers; the accelerator by default, or the CPU if there is none.
        dtype (`str`, *optional*): of the weights; bfloat16 on CUDA and float32 elsewhere by default.
        attn_implementation (`str`, *optional*): of transformers, such as `"flash_attention_2"`.
        format (`str` or `dict`, *optional*): of `model`, see [`format_of_settings`]; detected from its tokenizer if
            absent.
        seed (`int`, defaults to 0): of random cases and draws.
        quick (`bool`, defaults to `False`): whether fewer cases and draws are enough: seconds instead of minutes.
        revision, trust_remote_code: of `model`, see [`Checkpoint.find`].
        engine_options (`Mapping`, *optional*): options of `vllm.LLM` for `model`.
        on_progress (`Callable`): told what begins.

    Raises:
        ValueError, OSError: `model` cannot be read, or cannot be budget forced. ModuleNotFoundError: vLLM is missing.

    Example:

    ```python
    >>> from s1_hf.conformance import check
    >>> outcome = check(dtype="float32", device="cpu", quick=True)  # doctest: +SKIP
    >>> outcome.has_fault  # doctest: +SKIP
    False

    ```
    """
    if engine == "vllm":
        check_installed()
    place = torch.device(device) if device is not None else accelerator()
    if dtype is None:
        dtype = "bfloat16" if place.type == "cuda" else "float32"
    checkpoint = None
    if model is not None:
        checkpoint = Checkpoint.find(model, revision=revision, trust_remote_code=trust_remote_code)
        format_of_settings(checkpoint.tokenizer, format)  # refuses what does not fit before anything is run
    with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings():
        warnings.simplefilter("ignore", BudgetWarning)  # random budgets are often odd
        machine = Machine(engine, place, dtype, attn_implementation, Path(folder))
        suite = _Suite(machine, seed, QUICK if quick else FULL)
        steps = suite.steps()
        if checkpoint is not None:
            steps |= suite.steps_of_model(checkpoint, format, dict(engine_options or {}))
        told = about(machine, seed, quick)
        try:
            if place.type == "cpu":  # toys gain nothing by more, which on a busy machine wait for each other
                torch.set_num_threads(1)
            findings = list(_run(steps, on_progress))
        finally:
            torch.set_num_threads(told["threads"])
    return Outcome(told, tuple(findings))


Step = Callable[[], list[Finding]]


def _run(steps: Mapping[str, Step], on_progress: Progress) -> Iterator[Finding]:
    for done, (name, step) in enumerate(steps.items()):
        on_progress(name, done, len(steps))
        try:
            yield from step()
        except Exception as error:  # whatever breaks on somebody's machine is a finding, and the others go on
            yield Finding(name, "fault", f"crashed with {type(error).__name__}: {error}")
    on_progress("done", len(steps), len(steps))


class _Suite:
    """All checks on one machine, by name."""

    def __init__(self, machine: Machine, seed: int, size: Size) -> None:
        self._machine, self._seed, self._size = machine, seed, size
        self._is_vllm = machine.engine == "vllm"
        self._greedy = Greedy(self._is_vllm)

    def steps(self) -> dict[str, Step]:
        """Those on the models that every machine has."""
        steps: dict[str, Step] = {}
        if not self._is_vllm:
            steps["greedy, tables"] = self._tables
        steps["greedy, random transformers"] = self._transformers
        steps["embedded model"] = self._embedded
        steps["rules"] = lambda: [tally.finding() for tally in self._greedy.of_kinds.values()]
        steps["sampling"] = self._sampling
        return steps

    def steps_of_model(self, checkpoint: Checkpoint, said: Said, options: dict[str, Any]) -> dict[str, Step]:
        """Those on a model of the user's."""
        threads = torch.get_num_threads()

        def step() -> list[Finding]:
            torch.set_num_threads(threads)
            return self._model(checkpoint, said, options)

        return {"your model": step}

    def _tables(self) -> list[Finding]:
        for family, requests in random_cases(self._seed, self._size.cases).items():
            subject = table_subject(self._machine, family, self._seed)
            self._greedy.add("greedy, tables", subject, requests, subject.run(requests))
        return [self._greedy.of_subjects["greedy, tables"].finding("exact on any machine")]

    def _transformers(self) -> list[Finding]:
        name, preempted = "greedy, random transformers", 0
        count = self._size.cases * (3 if self._is_vllm else 1)  # of which few families are run
        for family, requests in random_cases(self._seed, count).items():
            if self._is_vllm and family not in VLLM_FAMILIES:
                continue
            with closing(random_subject(self._machine, family, self._seed, tight=True)) as subject:
                done = subject.run(requests)
                if self._is_vllm:
                    preempted += preemptions(subject)
            self._greedy.add(name, subject, requests, done)
        findings = [self._greedy.of_subjects[name].finding()]
        if self._is_vllm:
            findings.append(_preemption(preempted))
        return findings

    def _embedded(self) -> list[Finding]:
        questions = lamp_questions(self._size.questions, self._seed)
        with closing(embedded_subject(self._machine)) as subject:
            requests = chat_requests(subject, questions, 200, self._seed)
            done = subject.run(requests)
            sizes = sorted(set(subject.batches))
            swept, refused = sweep_of(subject, requests[: self._size.swept])
            figures = self._figures(subject, questions[0])
        tally = self._greedy.add("greedy, embedded model", subject, requests, done)
        sweep = compared_sweep("sweep equals separate runs", subject, swept)
        findings = [tally.finding(), sweep.finding(refused)]
        if not self._is_vllm:
            findings.append(_thinned(tally.faults, sizes))
        return findings + figures

    def _sampling(self) -> list[Finding]:
        with closing(law_subject(self._machine, self._seed)) as subject:
            return [
                check_seeds(subject, self._seed),
                check_sampled_sweep(subject, self._seed),
                check_laws(subject, self._seed, self._size.laws, self._size.draws),
            ]

    def _figures(self, subject: Subject, question: str) -> list[Finding]:
        engine = subject.engine
        if self._is_vllm:
            return [measure_vllm_steps(engine, question, repeats=self._size.repeats)]
        return [
            check_synchronisation(engine, question),
            measure_steps(engine, question, repeats=self._size.repeats),
            measure_memory(engine, question),
        ]

    def _model(self, checkpoint: Checkpoint, said: Said, options: dict[str, Any]) -> list[Finding]:
        fmt = format_of_settings(checkpoint.tokenizer, said)
        findings = described(checkpoint, said)
        with closing(model_subject(self._machine, checkpoint, fmt, options)) as subject:
            requests = chat_requests(subject, QUESTIONS, 64, self._seed)
            done = subject.run(requests)
            swept, refused = sweep_of(subject, requests[:2])
            findings.append(transcript(subject, QUESTIONS[0]))
            findings += self._figures(subject, QUESTIONS[0])
        greedy = self._greedy.add("greedy, your model", subject, requests, done).finding()
        sweep = compared_sweep("sweep, your model", subject, swept).finding(refused)
        return [greedy, sweep, *findings]


def _preemption(count: int) -> Finding:
    if not count:
        return Finding("preemption", "not run", "no request was preempted, though the cache is small")
    return Finding("preemption", "passed", f"{count} times; all rows are compared with the reference above")


def _thinned(faults: int, sizes: Sequence[int]) -> Finding:
    """Whether rows that went on in a smaller batch are those that were compared."""
    name, largest = "thinning batches", max(sizes)
    smaller = [size for size in sizes if 2 < size < largest]  # the reference has batches of one and two
    if faults:
        return Finding(name, "fault", "rows of a batch that was thinned out are not the reference's, see above")
    if not smaller:
        return Finding(name, "not run", f"no batch of {largest} rows was thinned out")
    return Finding(
        name, "passed", f"from {largest} rows to {' and '.join(map(str, smaller[::-1]))}, all compared above"
    )
