"""The transformers engine: requests in batches on this machine."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict
from functools import cached_property, partial
from typing import TYPE_CHECKING, Any

import torch

from s1_hf.engines.batches import fewer_at_once, in_halves, plan_batches, stays_together
from s1_hf.engines.calls import call_for, completion_for
from s1_hf.engines.engine import Finished, Step, SweptBatch, Write, finished_batch, under
from s1_hf.engines.fingerprint import weights_in_memory
from s1_hf.engines.plain_config import ends_of, own_settings_only, plain_config
from s1_hf.engines.request import Request, check_pauses, check_streamed
from s1_hf.engines.streaming import streamed
from s1_hf.forcing.budget import check_effect
from s1_hf.forcing.formats import ThinkingFormat, resolve_format
from s1_hf.forcing.pauses import check_begun
from s1_hf.generation.cache_rows import check_rows, follows_rows
from s1_hf.generation.context import check_fits, context_of
from s1_hf.generation.criteria import StepListener
from s1_hf.generation.decoding import Decoding
from s1_hf.generation.grids import chosen_settings, largest_setting, smallest_setting
from s1_hf.generation.guards import check_can_ignore, check_model
from s1_hf.generation.processor import BudgetForcingLogitsProcessor
from s1_hf.generation.running import Call, Ended, Row, Standing
from s1_hf.generation.sweep import SweepCall, sweep_batch

if TYPE_CHECKING:
    from transformers import LogitsProcessor, PretrainedConfig, PreTrainedModel, PreTrainedTokenizerBase

    from s1_hf.engines.checkpoint import Checkpoint
    from s1_hf.forcing.budget import Budget
    from s1_hf.generation.chats import Completion


class TransformersEngine:
    """An [`Engine`] that runs a transformers model in this process.

    Requests are cut into batches of one kind, longest prompts first, so that little is padded and a batch too big shows
    at once. Rows that have ended leave their batch, and waiting ones take their places where the model's cache allows
    it. A batch that does not fit into the GPU's memory begins again with half as many rows.
    Rows that pause are held, with their caches, until the next requests have been run, which then need not read them;
    and longer, as long as only answers are asked for from there, by requests that do not pause.
    Nothing is left to the model's own `generation_config` but its ends of sequence. When sampling, each row is drawn by
    its own seed, so that batches do not change what it becomes, up to the rounding of scores. It cannot do beam search.

    Args:
        model ([`PreTrainedModel`] or `Callable`): the model, or what loads it when it is first needed.
        tokenizer ([`PreTrainedTokenizerBase`]): the model's.
        format ([`ThinkingFormat`] or `str`, *optional*): detected from the tokenizer if absent.
        batch_size (`int`, defaults to 8): rows of a batch.
        config ([`PretrainedConfig`], *optional*): of a model that is not loaded yet.
        weights (`str`, *optional*): tells the weights of such a model from others; by default they are looked at.
        share (`tuple[int, int]`, defaults to `(0, 1)`): of several processes, which one this is and how many there are.

    Raises:
        ValueError: the tokenizer lacks the format, or the model cannot be budget forced.
    """

    def __init__(
        self,
        model: PreTrainedModel | Callable[[], PreTrainedModel],
        tokenizer: PreTrainedTokenizerBase,
        *,
        format: ThinkingFormat | str | None = None,
        batch_size: int = 8,
        config: PretrainedConfig | None = None,
        weights: str | None = None,
        share: tuple[int, int] = (0, 1),
    ) -> None:
        self._source, self._weights, self._share = model, weights, share
        self._loaded: PreTrainedModel | None = None
        if config is None:
            check_model(model)
            self._loaded = model  # type: ignore[assignment]
        self._config = config
        self._held: dict[Any, Standing] = {}  # rows that have paused, by prompt and what they have got
        self.tokenizer, self.batch_size = tokenizer, batch_size
        self.format = resolve_format(tokenizer, format)

    @classmethod
    def from_checkpoint(
        cls, checkpoint: Checkpoint, *, loading: Mapping[str, Any] | None = None, **options: Any
    ) -> TransformersEngine:
        """An engine that reads the weights of `checkpoint` when it first needs them.

        Args:
            loading (`dict`, *optional*): for [`Checkpoint.load`].
            **options: as for the class.
        """
        given = dict(loading or {})
        return cls(
            lambda: checkpoint.load(**given),
            checkpoint.tokenizer,
            config=checkpoint.config,
            weights=f"{checkpoint.fingerprint} {given.get('dtype', 'auto')}",
            **options,
        )

    @property
    def config(self) -> PretrainedConfig:
        """The model's."""
        return self.model.config if self._config is None else self._config

    @property
    def context(self) -> int | None:
        """See [`Engine`]."""
        return context_of(self.config)

    @property
    def model(self) -> PreTrainedModel:
        """The model, with its weights."""
        if self._loaded is None:
            self._loaded = self._source()
        return self._loaded

    def forget_weights(self) -> None:
        """Free the memory of a model that was loaded here."""
        if self._config is not None:
            self._loaded = None
            self._held.clear()
            torch.cuda.empty_cache()

    @cached_property
    def identity(self) -> dict[str, Any]:
        """See [`Engine`]."""
        weights = self._weights
        if weights is None:
            weights = weights_in_memory(self.model)
        return {"engine": "transformers", "weights": weights, "format": asdict(self.format)}

    # -- checks -------------------------------------------------------------------------------------------------

    def check(self, requests: Sequence[Request]) -> None:
        """See [`Engine`]."""
        kinds = {request.batch_key: request for request in requests}
        automata = {}
        for kind, request in kinds.items():
            fmt = self._format_for(request)
            processor = BudgetForcingLogitsProcessor(
                self.tokenizer,
                budget=request.budget,
                format=fmt,
                generation_config=plain_config(request, self.tokenizer, ends_of(self.tokenizer)),
                context=self.context,
            )
            processor.check_vocabulary(self.config.get_text_config().vocab_size)
            automata[kind] = processor.automaton
            if request.steering is not None:
                request.steering.processor(self.tokenizer, fmt)
        check_effect([request.budget for request in requests])
        for request in requests:
            check_can_ignore(self.format, request.budget)
        context = self.context
        for request in requests:
            name = f"The prompt of problem {request.problem!r}"
            check_fits(len(request.prompt), request.max_new_tokens, context, prompt=name)
            check_pauses(request)
            if request.begun is not None:
                check_begun(request.begun, automata[request.batch_key])

    def check_sweep(self, settings: Sequence[Budget]) -> None:
        """See [`Engine`]."""
        chosen_settings(settings)
        for setting in (smallest_setting(settings), largest_setting(settings)):
            BudgetForcingLogitsProcessor(self.tokenizer, budget=setting, format=self.format)
        if len(settings) > 1:
            check_rows(self.config)

    # -- running ------------------------------------------------------------------------------------------------

    def plan(self, requests: Sequence[Request]) -> list[list[Request]]:
        """See [`Engine`] and [`plan_batches`]."""
        process, processes = self._share
        return plan_batches(requests, self.batch_size)[process::processes]

    def run(self, requests: Sequence[Request], on_step: Step) -> Iterator[list[Finished]]:
        """See [`Engine`]."""
        kinds: dict[Any, list[Request]] = {}
        for batch in self.plan(requests):
            kinds.setdefault(batch[0].batch_key, []).extend(batch)
        held = {one.place: self._held[one.place] for one in requests if one.place in self._held}
        # Rows of which only an answer is asked may have to go on after it.
        pausing = {one.place for one in requests if one.pause is not None}
        self._held = {place: standing for place, standing in held.items() if place not in pausing}
        for kind in kinds.values():
            yield from fewer_at_once(partial(self._run, held=held, on_step=on_step), kind, self.batch_size)

    def stream(self, request: Request, write: Write, on_step: Step) -> Completion:
        """See [`StreamingEngine`]."""
        check_streamed(request)
        call = self._call([request], [Row(0, request.budget)], [], on_step)
        with own_settings_only(self.model, self.ends):
            return streamed(self.model, self.tokenizer, list(request.prompt), call, write)

    def sweep(self, requests: Sequence[Request], settings: Sequence[Budget], on_step: Step) -> Iterator[SweptBatch]:
        """See [`Engine`]."""
        if not requests:
            return
        base = settings[0].shared()
        for batch in self.plan([under(request, base) for request in requests]):
            halves = in_halves(partial(self._sweep, settings=settings, on_step=on_step), batch)
            whole = halves[0]
            for half in halves[1:]:
                whole = whole.joined(half)
            yield whole

    def _run(
        self, requests: list[Request], at_once: int, held: dict[Any, Standing], on_step: Step
    ) -> Iterator[list[Finished]]:
        """Requests of one `batch_key`."""
        size = at_once if stays_together(requests[0]) else len(requests)
        for first in range(0, len(requests), size):
            try:
                yield from self._decoded(requests[first : first + size], at_once, held, on_step)
            except torch.OutOfMemoryError:
                held.clear()  # what is asked for again is read again
                self._held.clear()
                raise

    def _decoded(
        self, requests: list[Request], at_once: int, held: Mapping[Any, Standing], on_step: Step
    ) -> Iterator[list[Finished]]:
        first, steering = requests[0], requests[0].steering
        processors = [] if steering is None else [steering.processor(self.tokenizer, self._format_for(first))]

        def make_call(rows: Sequence[Row]) -> Call:
            return self._call([requests[row.prompt] for row in rows], rows, processors, on_step)

        begun = {i: request.begun for i, request in enumerate(requests) if request.begun is not None}
        decoding = Decoding(
            self.model,
            [[*request.prompt, *request.got] for request in requests],
            [Row(i, one.budget, forced=begun[i].forced if i in begun else ()) for i, one in enumerate(requests)],
            make_call,
            at_once=at_once,
            thins=follows_rows(self.config) and not stays_together(first),
            refills=first.repetition_penalty == 1,  # which would count the padding of rows that have joined
            states={i: one.state for i, one in begun.items()},
            held={i: held[requests[i].place] for i in begun if requests[i].place in held},
        )
        while ended := self._next(decoding):
            finished: list[Finished] = []
            for done in ended:
                request = requests[done.row.prompt]
                completion = completion_for(self.tokenizer, decoding.automaton, request, done)
                if done.standing is not None:
                    self._held[request.prompt, completion.begun] = done.standing
                if steering is not None:
                    completion = steering.finished(processors[0], done.row.prompt, completion)
                finished.append(Finished(request, completion))
            yield finished

    def _next(self, rows: Decoding) -> list[Ended]:
        with own_settings_only(self.model, self.ends):
            return rows.next()

    def _call(
        self, requests: list[Request], rows: Sequence[Row], processors: list[LogitsProcessor], on_step: Step
    ) -> Call:
        """The call of `generate` for rows of one kind."""
        fmt = self._format_for(requests[0])
        return call_for(self.model, self.tokenizer, fmt, self.ends, requests, rows, processors, on_step)

    def _sweep(self, batch: list[Request], settings: Sequence[Budget], on_step: Step) -> list[SweptBatch]:
        """One batch under every setting, in a list, of which halves of a batch give two."""
        first = batch[0]
        options = {
            "format": self._format_for(first),
            "max_answer_tokens": first.max_answer_tokens,
            "generation_config": plain_config(first, self.tokenizer, self.ends),
            "stopping_criteria": [StepListener(on_step)],
        }
        seeds = None
        if first.sampling is not None:
            seeds = [request.seed for request in batch]
        confidences = [request.confidence for request in batch if request.confidence is not None] or None
        rows = [list(request.prompt) for request in batch]
        with own_settings_only(self.model, self.ends):
            done, cost = sweep_batch(SweepCall(self.model, self.tokenizer, rows, options, seeds, confidences), settings)
        of_settings = []
        for setting, completions in zip(settings, done, strict=True):
            requests = [under(request, setting) for request in batch]
            of_settings.append(finished_batch(requests, completions))
        return [SweptBatch(of_settings, cost)]

    # -- generate's settings ------------------------------------------------------------------------------------

    def _format_for(self, request: Request) -> ThinkingFormat:
        if request.steering is None:
            return self.format
        return request.steering.format(self.tokenizer, self.format)

    @cached_property
    def ends(self) -> list[int]:
        """The ids that end a sequence: the model's own, and the tokenizer's. Reads the weights."""
        return ends_of(self.tokenizer, self.model.generation_config)
