"""The vLLM engine: requests on an engine of vLLM, in this process or in those that it starts."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from functools import cached_property
from typing import TYPE_CHECKING, Any

from s1_hf.engines.engine import Finished, Step, SweptBatch, Write, under
from s1_hf.engines.in_vllm import check_budget, check_fits, check_supported, swept_batch, whole_completion
from s1_hf.engines.plain_config import ends_of
from s1_hf.engines.request import Request, check_streamed
from s1_hf.engines.streaming import LiveRow
from s1_hf.forcing.budget import check_effect
from s1_hf.forcing.formats import ThinkingFormat, resolve_format
from s1_hf.generation.grids import chosen_settings, largest_setting
from s1_hf.vllm.asking import Asked, asked_for
from s1_hf.vllm.installed import check_installed
from s1_hf.vllm.options import deciding_options
from s1_hf.vllm.setup import SECTION, Setup

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

    from s1_hf.engines.checkpoint import Checkpoint
    from s1_hf.forcing.budget import Budget
    from s1_hf.generation.chats import Completion
    from s1_hf.vllm.completing import Ran

SWEPT_AT_ONCE = 256
"""Requests of a sweep whose traces are made before their branches: so many are kept, or lost by a kill, at once."""


class VllmEngine:
    """An [`Engine`] that runs a model in vLLM.

    All requests are handed over at once, and vLLM makes its own batches of them. Those that have ended are given back
    in lists of `batch_size`. A row that goes on from a pause is a request whose prompt is in vLLM's prefix cache, but
    for the last, unfinished block. When sampling, each request is drawn by its own seed, in vLLM's order of warpings:
    temperature, min-p, top-k, top-p. It has no repetition penalty, and cannot be steered by processors of transformers.

    Args:
        checkpoint ([`Checkpoint`]): the model; no adapter.
        format ([`ThinkingFormat`] or `str`, *optional*): detected from the tokenizer if absent.
        batch_size (`int`, defaults to 8): how many finished requests are given back together.
        dtype (`str`, defaults to `"auto"`): of the weights.
        max_length (`int`, *optional*): tokens of prompt and output together; the model's context by default.
        options (`Mapping`, *optional*): for `vllm.LLM`, such as `{"tensor_parallel_size": 8}`.

    Raises:
        ModuleNotFoundError: vLLM is not installed. ValueError: the tokenizer lacks the format, the model is an
            adapter, or an option is not for the caller.
    """

    def __init__(
        self,
        checkpoint: Checkpoint,
        *,
        format: ThinkingFormat | str | None = None,
        batch_size: int = 8,
        dtype: str = "auto",
        max_length: int | None = None,
        options: Mapping[str, Any] | None = None,
    ) -> None:
        check_installed()
        if checkpoint.adapter:
            raise ValueError(
                f"{checkpoint.adapter} is an adapter, which this engine does not load. Merge it into its base first "
                "(`merge_and_unload()` of peft), or use the transformers engine."
            )
        self._checkpoint, self._dtype, self._max_length = checkpoint, dtype, max_length
        self._options = dict(options or {})
        _check_options(self._options)
        self.batch_size = batch_size
        self.format = resolve_format(checkpoint.tokenizer, format)
        self._llm: Any = None
        self.computed = self.cached = 0  # tokens of prompts and outputs that went through the model, and that did not

    @property
    def tokenizer(self) -> PreTrainedTokenizerBase:
        """See [`Engine`]."""
        return self._checkpoint.tokenizer

    @property
    def context(self) -> int | None:
        """See [`Engine`]."""
        return self._max_length or self._options.get("max_model_len") or self._checkpoint.context

    @property
    def ends(self) -> list[int]:
        """The ids that end a sequence: the model's own, and the tokenizer's."""
        return list(self._setup.eos)

    @property
    def llm(self) -> Any:
        """The `vllm.LLM`, with the weights."""
        if self._llm is None:
            from s1_hf.vllm.loading import load

            one = self._checkpoint
            own = {"revision": one.revision, "trust_remote_code": one.trust_remote_code, "dtype": self._dtype}
            own |= {"max_model_len": self._max_length, "tokenizer_revision": one.revision}
            self._llm = load(one.base, self.format, self._options, **own)
        return self._llm

    def forget_weights(self) -> None:
        """Shut vLLM down."""
        if self._llm is not None:
            from s1_hf.vllm.loading import shut_down

            shut_down(self._llm)
            self._llm = None

    @cached_property
    def identity(self) -> dict[str, Any]:
        """See [`Engine`]."""
        weights = f"{self._checkpoint.fingerprint} {self._dtype}"
        options = deciding_options(self._options)
        return {"engine": "vllm", "weights": weights, "format": asdict(self.format), "options": options}

    # -- checks -------------------------------------------------------------------------------------------------

    def check(self, requests: Sequence[Request]) -> None:
        """See [`Engine`]."""
        check_effect([request.budget for request in requests])
        context = self.context
        for request in requests:
            check_supported(request, "vLLM")
            check_budget(request, self._setup)
            if context is not None:
                check_fits(request, context, "model")

    def check_sweep(self, settings: Sequence[Budget]) -> None:
        """See [`Engine`]."""
        chosen_settings(settings)
        for setting in settings:
            self._setup.automaton(setting, ())

    @cached_property
    def _setup(self) -> Setup:
        """As vLLM will have it; reads no weights."""
        ends = tuple(ends_of(self.tokenizer, self._checkpoint.generation_config))
        return Setup(self.tokenizer, self.format, ends, self.context or 2**30)

    # -- running ------------------------------------------------------------------------------------------------

    def plan(self, requests: Sequence[Request]) -> list[list[Request]]:
        """See [`Engine`]: vLLM plans by itself."""
        return [list(requests)] if requests else []

    def run(self, requests: Sequence[Request], on_step: Step) -> Iterator[list[Finished]]:
        """See [`Engine`]."""
        if not requests:
            return
        asked = []
        for request in requests:
            check_supported(request, "vLLM")
            asked.append(asked_for(request))
        done: list[Finished] = []
        for place, ran in self._completed(asked, on_step):
            completion = whole_completion(requests[place], self._setup, ran.completion, ran.paused)
            done.append(Finished(requests[place], completion))
            if len(done) >= self.batch_size:
                yield done
                done = []
        if done:
            yield done

    def stream(self, request: Request, write: Write, on_step: Step) -> Completion:
        """See [`StreamingEngine`]."""
        from s1_hf.vllm.completing import setup_of
        from s1_hf.vllm.streaming import as_they_end

        check_supported(request, "vLLM")
        check_streamed(request)
        asked, setup = asked_for(request), setup_of(self.llm)
        row, told = LiveRow(setup, asked, write), 0

        def on_ids(place: int, ids: list[int]) -> None:
            nonlocal told
            row.take(ids[told:])
            told = len(ids)

        ((_, ran),) = as_they_end(self.llm, setup, [asked], on_step, on_ids=on_ids)
        row.end()
        return ran.completion

    def _completed(self, asked: Sequence[Asked], on_step: Step) -> Iterator[tuple[int, Ran]]:
        from s1_hf.vllm.completing import setup_of
        from s1_hf.vllm.streaming import as_they_end

        for place, ran in as_they_end(self.llm, setup_of(self.llm), asked, on_step):
            self.computed += ran.computed(asked[place])
            self.cached += ran.cached
            yield place, ran

    def sweep(self, requests: Sequence[Request], settings: Sequence[Budget], on_step: Step) -> Iterator[SweptBatch]:
        """See [`Engine`]: each setting's answer is a request whose prompt is what it keeps of the trace."""
        for begin in range(0, len(requests), SWEPT_AT_ONCE):
            batch = list(requests[begin : begin + SWEPT_AT_ONCE])
            yield self._sweep(batch, settings, on_step)

    def _sweep(self, batch: list[Request], settings: Sequence[Budget], on_step: Step) -> SweptBatch:
        from s1_hf.vllm.completing import setup_of
        from s1_hf.vllm.streaming import as_they_end

        largest = largest_setting(settings)
        asked = [asked_for(under(request, largest)) for request in batch]
        setup = setup_of(self.llm)

        def run(asked: Sequence[Asked], with_states: bool) -> Iterator[tuple[int, Any]]:
            return as_they_end(self.llm, setup, asked, on_step, with_states)

        whole, found = swept_batch(run, setup, asked, batch, settings)
        self.computed += found.trace_tokens + found.answer_tokens
        self.cached += found.cached_tokens
        return whole


def _check_options(options: Mapping[str, Any]) -> None:
    """Raises a `ValueError` for options of vLLM that this engine sets itself."""
    if "worker_extension_cls" in options:
        raise ValueError(
            "`worker_extension_cls` has to be left out: this engine's reports come from a worker extension of its own, "
            "and vLLM takes one."
        )
    if SECTION in (options.get("additional_config") or {}):
        raise ValueError(
            f"`additional_config` has to be without {SECTION!r}: here requests bring whole budgets. Give `format` and "
            "the budget as for every engine."
        )
