"""Requests on an engine of vLLM, each given back as soon as it has ended."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

from vllm.sampling_params import RequestOutputKind

from s1_hf.vllm.completing import Ran, completed
from s1_hf.vllm.settings import KEY
from vllm import SamplingParams

if TYPE_CHECKING:
    from s1_hf.vllm.asking import Asked
    from s1_hf.vllm.setup import Setup
    from vllm import LLM


def as_they_end(
    llm: LLM,
    setup: Setup,
    asked: Sequence[Asked],
    on_step: Callable[[int], Any],
    with_states: bool = False,
    on_ids: Callable[[int, list[int]], Any] | None = None,
) -> Iterator[tuple[int, Ran]]:
    """Run requests; for each of them its place in `asked`, and what became of it.

    Args:
        on_step (`Callable`): told, at every step of the engine, how many requests got a token.
        with_states (`bool`): also the states in which tokens were taken.
        on_ids (`Callable`, *optional*): told, at every step, of a request that got tokens its place and all that it
            has got.
    """
    engine, most = llm.llm_engine, llm.llm_engine.vllm_config.scheduler_config.max_num_seqs
    if engine.has_unfinished_requests():
        raise RuntimeError("The engine has requests of others, whose outputs would be lost. Let them end first.")
    params = [_params_of(one, on_ids is not None) for one in asked]
    prompts = [{"prompt_token_ids": list(one.prompt)} for one in asked]
    names = llm.enqueue(prompts, params, use_tqdm=False)
    # vLLM counts requests, and adds a dash and random letters to the number; outputs have the number alone.
    place_of = {name.split("-")[0]: place for place, name in enumerate(names)}
    left = set(names)
    try:
        while engine.has_unfinished_requests():
            on_step(min(len(left), most))
            outputs = []
            for output in engine.step():
                if on_ids is not None:
                    on_ids(place_of[output.request_id.split("-")[0]], list(output.outputs[0].token_ids))
                if output.finished:
                    outputs.append(output)
            places = [place_of[output.request_id.split("-")[0]] for output in outputs]
            left.difference_update(names[place] for place in places)
            told = completed(
                llm, setup, [asked[p].prompt for p in places], [params[p] for p in places], outputs, with_states
            )
            for place, (ran,) in zip(places, told, strict=True):
                yield place, ran
    finally:
        if left:
            engine.abort_request(list(left), internal=True)


def _params_of(asked: Asked, tells: bool) -> SamplingParams:
    how = {"temperature": 0.0, **asked.sampling}
    return SamplingParams(
        **how,
        max_tokens=asked.max_tokens,
        extra_args={**asked.extra_args, KEY: uuid.uuid4().hex},
        detokenize=False,
        output_kind=RequestOutputKind.CUMULATIVE if tells else RequestOutputKind.FINAL_ONLY,
    )
