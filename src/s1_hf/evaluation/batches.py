"""Which samples share a batch, and generating one."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache, partial, reduce
from itertools import groupby
from operator import add
from typing import TYPE_CHECKING, TypeVar

import torch

from s1_hf.evaluation.config import digest
from s1_hf.evaluation.decoding import Call, Thinning, decode
from s1_hf.evaluation.store import Sample
from s1_hf.generation.chats import completion_of, left_padded
from s1_hf.generation.criteria import StepListener
from s1_hf.generation.generate import budget_forcing
from s1_hf.generation.sampling import RowSampler
from s1_hf.generation.sweep import SweepBatch

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

    from s1_hf.evaluation.config import BudgetForcingConfig
    from s1_hf.forcing.formats import ThinkingFormat
    from s1_hf.generation.chats import Completion
    from s1_hf.generation.sweep import Cost

T = TypeVar("T")

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Request:
    """A sample that is wanted.

    Args:
        task, problem, index: as in [`Sample`].
        prompt (`tuple[int, ...]`): token ids.
        max_new_tokens (`int`): the same for all problems of a task, so that no batch decides about it.
    """

    task: str
    problem: str
    index: int
    prompt: tuple[int, ...]
    max_new_tokens: int
    max_answer_tokens: int | None = None

    @cached_property
    def key(self) -> str:
        """Tells this sample from all others under the same settings."""
        lengths = [self.max_new_tokens, self.max_answer_tokens]
        return digest([self.task, self.problem, self.index, self.prompt, *lengths])[:32]

    def seed(self, seed: int) -> int:
        """Of this sample's draws, under the `seed` of the run: 63 bits."""
        return int(digest([seed, self.task, self.problem, self.index])[:16], 16) >> 1


def plan(requests: Iterable[Request], batch_size: int) -> list[list[Request]]:
    """Batches of one task each, longest prompts first, so that little is padded and a batch too big shows at once.

    If every batch of a plan is there or missing as a whole, the plan of what is missing has the same batches.

    Example:

    ```python
    >>> from s1_hf.evaluation.batches import Request, plan
    >>> requests = [Request("s1:aime24|0", str(i), 0, (0,) * length, 10) for i, length in enumerate((5, 9, 5, 7))]
    >>> [[request.problem for request in batch] for batch in plan(requests, batch_size=3)]
    [['1', '3', '0'], ['2']]

    ```
    """
    batches: list[list[Request]] = []
    for _, group in groupby(requests, lambda request: (request.task, request.max_new_tokens)):
        rows = sorted(group, key=lambda request: -len(request.prompt))
        batches += [rows[i : i + batch_size] for i in range(0, len(rows), batch_size)]
    return batches


class Generator:
    """Runs batches on one model under one set of settings.

    Args:
        on_step (`Callable`): called with the number of rows at every token; must not wait for the device.
    """

    def __init__(
        self,
        model: PreTrainedModel,
        tokenizer: PreTrainedTokenizerBase,
        format: ThinkingFormat,
        settings: BudgetForcingConfig,
        on_step: Callable[[int], None],
    ) -> None:
        self._model, self._tokenizer, self._format, self._settings = model, tokenizer, format, settings
        self._on_step = on_step
        self._call = lru_cache(maxsize=8)(self._make_call)  # built once a task

    @property
    def ends(self) -> Sequence[int]:
        """The ids that end a sequence."""
        return self._model.generation_config.eos_token_id

    def run(self, batch: list[Request]) -> list[Sample]:
        """The batch's samples in its order; a batch that does not fit into the GPU's memory is run in halves."""
        return _in_halves(self._run, batch)

    def sweep(self, batch: list[Request], settings: Sequence[Budget]) -> tuple[list[tuple[Sample, ...]], Cost]:
        """For each request its sample under every setting, all from one trace, and what that cost."""
        costs: list[Cost] = []

        def run(part: list[Request]) -> list[tuple[Sample, ...]]:
            swept = self._sweep_batch(part, list(settings))
            of_settings = swept.run()
            costs.append(swept.cost)
            of_rows = zip(*of_settings, strict=True)
            return [tuple(map(partial(_sample, r), row)) for r, row in zip(part, of_rows, strict=True)]

        samples = _in_halves(run, batch)
        return samples, reduce(add, costs)

    def _sweep_batch(self, batch: list[Request], settings: list[Budget]) -> SweepBatch:
        wanted, first = self._settings, batch[0]
        budget = wanted.budget
        options = {name: budget[name] for name in ("wait_text", "answer_prefix", "loop_guard")}
        options |= {"format": self._format, "max_answer_tokens": first.max_answer_tokens}
        ends = self._model.generation_config.eos_token_id
        options["generation_config"] = wanted.generation_config(first.max_new_tokens, ends, self._padding)
        options["stopping_criteria"] = [StepListener(self._on_step)]
        seeds = [request.seed(wanted.seed) for request in batch] if wanted.samples else None
        rows = [list(request.prompt) for request in batch]
        return SweepBatch(self._model, self._tokenizer, rows, settings, options, seeds)

    def _run(self, batch: list[Request]) -> list[Sample]:
        inputs = left_padded([list(request.prompt) for request in batch], self._padding)
        inputs = {name: tensor.to(self._model.device) for name, tensor in inputs.items()}
        limits = batch[0].max_new_tokens, batch[0].max_answer_tokens
        first = self._call(*limits)
        if first.sampler is not None:
            first.sampler.begin([request.seed(self._settings.seed) for request in batch])
        done = decode(self._model, inputs, first, lambda: self._call(*limits, later=True))
        return [
            _sample(request, completion_of(self._tokenizer, first.processor, list(request.prompt), ids, report))
            for request, (ids, report) in zip(batch, done, strict=True)
        ]

    @property
    def _padding(self) -> int:
        """The tokenizer's own padding; without one any id does, which the attention mask hides."""
        pad = self._tokenizer.pad_token_id
        return int(self._model.generation_config.eos_token_id[0] if pad is None else pad)

    def _make_call(self, max_new_tokens: int, max_answer_tokens: int | None, later: bool = False) -> Call:
        """The first call for a batch, or the `later` ones for what is left of it; "auto" depends on the whole."""
        ends, thinning = self._model.generation_config.eos_token_id, Thinning()
        thins = self._settings.max_thinking_tokens != "auto"
        arguments = budget_forcing(
            self._model,
            self._tokenizer,
            format=self._format,
            **self._settings.budget,
            max_answer_tokens=max_answer_tokens,
            generation_config=self._settings.generation_config(max_new_tokens, ends, self._padding),
            stopping_criteria=[StepListener(self._on_step), *([thinning] if thins else [])],
        )
        processor = arguments["logits_processor"][-1]
        thinning.attach(processor, max_answer_tokens)
        sampler = RowSampler(processor) if self._settings.samples else None
        if sampler is not None:
            arguments["logits_processor"].append(sampler)
        return Call(arguments, processor, sampler, thinning)


def _in_halves(run: Callable[[list[Request]], list[T]], batch: list[Request]) -> list[T]:
    """`run` on the batch, or on its halves if it does not fit into memory."""
    try:
        return run(batch)
    except torch.OutOfMemoryError:
        if len(batch) == 1:
            raise
    logger.warning("A batch of %d does not fit into memory and is halved. Lower `batch_size`.", len(batch))
    torch.cuda.empty_cache()
    half = (len(batch) + 1) // 2
    return _in_halves(run, batch[:half]) + _in_halves(run, batch[half:])


def _sample(request: Request, done: Completion) -> Sample:
    report = done.report
    return Sample(
        key=request.key,
        task=request.task,
        problem=request.problem,
        index=request.index,
        thinking=done.thinking,
        answer="" if report.ended == "unfinished" else done.answer,
        output=done.text,
        token_ids=list(done.token_ids),
        forced=[i for i, forced in enumerate(done.forced) if forced],
        thinking_tokens=report.thinking_tokens,
        ended=report.ended,
        ends_ignored=report.ends_ignored,
        answer_tokens=report.answer_tokens,
    )
