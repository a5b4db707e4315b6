"""What the engines have in common that have vLLM run a model, in this process or in a server."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from s1_hf.engines.engine import SweptBatch, finished_batch, under
from s1_hf.engines.request import check_pauses
from s1_hf.forcing.pauses import Begun, check_begun
from s1_hf.generation.chats import completion_of
from s1_hf.generation.sweep import Cost
from s1_hf.vllm.asking import asked_for
from s1_hf.vllm.refusals import MOST_IN_SEPARATOR, MOST_IN_WINDOW
from s1_hf.vllm.sweeping import Swept, swept

if TYPE_CHECKING:
    from s1_hf.engines.request import Request
    from s1_hf.forcing.budget import Budget
    from s1_hf.generation.chats import Completion
    from s1_hf.vllm.asking import Asked
    from s1_hf.vllm.setup import Setup


def check_supported(request: Request, runner: str) -> None:
    """Raises a `ValueError` for what only another engine can do; `runner` is who runs the model."""
    if request.repetition_penalty != 1.0:
        raise ValueError(
            "`repetition_penalty` cannot be combined with budgets in vLLM, which applies it after them. Leave it out, "
            "or use the transformers engine."
        )
    if request.steering is not None:
        raise ValueError(
            f"{type(request.steering).__name__} steers rows by a processor of transformers, which {runner} cannot run. "
            "Use the transformers engine."
        )
    check_pauses(request)
    separator = None if request.pause is None else request.pause.separator
    if separator is not None and len(separator) > MOST_IN_SEPARATOR:
        raise ValueError(
            f"`separator` has to be at most {MOST_IN_SEPARATOR} characters for {runner}, but has {len(separator)}."
        )
    window = None if request.confidence is None else request.confidence.window
    if window is not None and window > MOST_IN_WINDOW:
        raise ValueError(f"`window` has to be at most {MOST_IN_WINDOW:,} tokens for {runner}, but is {window:,}.")


def check_budget(request: Request, setup: Setup) -> None:
    """Raises a `ValueError` for a budget, or a row to go on, that cannot be; what cannot act is warned about."""
    asked_for(replace(request, begun=None)).check(setup)
    if request.begun is not None:
        check_begun(request.begun, setup.automaton(request.budget, ()))


def check_fits(request: Request, context: int, whose: str) -> None:
    """Raises a `ValueError` for a request that is longer than the context of `whose` it is, in tokens."""
    if len(request.prompt) + request.max_new_tokens > context:
        raise ValueError(
            f"`max_new_tokens` ({request.max_new_tokens}) and the prompt ({len(request.prompt)} tokens) have to fit "
            f"into the {whose}'s context of {context}, but do not for problem {request.problem!r}. Lower "
            "`max_new_tokens`."
        )


def whole_completion(request: Request, setup: Setup, own: Completion, paused: Sequence[int] | None) -> Completion:
    """The completion to a request, of what was generated behind what it goes on from.

    Args:
        own ([`Completion`]): of that.
        paused (`Sequence[int]`, *optional*): the state where the row has paused.
    """
    if request.begun is not None:
        ids = [*request.begun.ids, *own.token_ids]
        report = replace(own.report, forced=(*request.begun.forced, *own.report.forced))
        automaton = setup.automaton(request.budget, ())
        measured = own.confidences
        own = completion_of(setup.tokenizer, automaton, list(request.prompt), ids, report)
        own = replace(own, confidences=measured)
    if paused is None:
        return own
    return replace(own, begun=Begun(own.token_ids, own.forced, tuple(paused)))


def swept_batch(
    run: Callable[[Sequence[Asked], bool], Iterator[tuple[int, Any]]],
    setup: Setup,
    asked: Sequence[Asked],
    batch: Sequence[Request],
    settings: Sequence[Budget],
) -> tuple[SweptBatch, Swept]:
    """A batch under every setting, and what that took.

    Args:
        run (`Callable`): see [`swept`].
        asked (`Sequence[Asked]`): the batch under the largest setting.
    """
    begun = time.perf_counter()
    found = swept(run, setup, asked, settings)
    of_settings, separate = [], 0
    for setting, completions in zip(settings, found.completions, strict=True):
        of_settings.append(finished_batch([under(request, setting) for request in batch], completions))
        for one, completion in zip(asked, completions, strict=True):
            separate += one.computed(len(completion.token_ids))
    seconds = time.perf_counter() - begun
    return SweptBatch(of_settings, Cost(found.trace_tokens, found.answer_tokens, separate, seconds)), found
