"""The call of `generate` for a batch of requests."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from s1_hf.engines.giving_up import GiveUp
from s1_hf.engines.plain_config import plain_config
from s1_hf.forcing.collect import stacked
from s1_hf.forcing.draws import SeededDraws
from s1_hf.forcing.pauses import Begun
from s1_hf.forcing.prompts import read_prompt
from s1_hf.generation.chats import completion_of
from s1_hf.generation.confidences import Measuring
from s1_hf.generation.criteria import StepListener
from s1_hf.generation.generate import forcing_arguments
from s1_hf.generation.pausing import Pausing
from s1_hf.generation.running import Call, Row

if TYPE_CHECKING:
    from transformers import LogitsProcessor, PreTrainedModel, PreTrainedTokenizerBase

    from s1_hf.engines.engine import Step
    from s1_hf.engines.request import Request
    from s1_hf.forcing.automaton import Automaton
    from s1_hf.forcing.formats import ThinkingFormat
    from s1_hf.generation.chats import Completion
    from s1_hf.generation.running import Ended


def call_for(
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    fmt: ThinkingFormat,
    ends: list[int],
    requests: Sequence[Request],
    rows: Sequence[Row],
    processors: list[LogitsProcessor],
    on_step: Step,
) -> Call:
    """The call for rows of one kind, each of which goes on behind what it has got.

    Args:
        ends (`list[int]`): ids that end a sequence.
        requests (`Sequence[Request]`): of one `batch_key`; the rows are theirs.
        processors (`list`): to stand before budget forcing.
        on_step ([`Step`]): told at every token.
    """
    first = requests[0]
    # 1. What stops rows.
    criteria: list[Any] = [StepListener(on_step)]
    give_up = pausing = measuring = None
    if any(request.give_up_after is not None for request in requests):
        criteria.append(give_up := GiveUp([request.give_up_after for request in requests]))
    if first.pause is not None:
        new = [len(row.forced) - len(one.got) for one, row in zip(requests, rows, strict=True)]
        criteria.append(pausing := Pausing(first.pause, new))
    if first.confidence is not None:
        measuring = Measuring([one.confidence for one in requests if one.confidence is not None], rows)
        criteria.append(measuring)
    # 2. The call.
    draws = None
    if first.sampling is not None:
        draws = SeededDraws([request.seed for request in requests], [len(row.forced) for row in rows])
    arguments = forcing_arguments(
        model,
        tokenizer,
        stacked([request.budget for request in requests]),
        format=fmt,
        max_answer_tokens=first.max_answer_tokens,
        generation_config=plain_config(first, tokenizer, ends),
        draws=draws,
        logits_processor=processors,
        stopping_criteria=criteria,
    )
    call = Call(arguments, pausing, measuring)
    # 3. Where its rows stand, for what stops them.
    if give_up is not None:
        give_up.attach(call.processor)
    if measuring is not None:
        measuring.attach(call.processor)
    if first.pause is not None and pausing is not None:
        thought = [0] * len(requests)
        if first.pause.tokens is not None:
            thought = [_thought_before(request, call.processor.automaton) for request in requests]
        pausing.attach(call.processor, thought)
    return call


def completion_for(
    tokenizer: PreTrainedTokenizerBase, automaton: Automaton, request: Request, done: Ended
) -> Completion:
    """What a request has come to, with what it can go on from if it has paused."""
    completion = completion_of(tokenizer, automaton, list(request.prompt), done.ids, done.report)
    if done.state is not None:
        completion = replace(completion, begun=Begun(completion.token_ids, completion.forced, done.state))
    if request.confidence is not None:
        new = len(done.ids) - len(request.got)
        completion = replace(completion, confidences=done.row.measured.confidences(new))
    return completion


def _thought_before(request: Request, automaton: Automaton) -> int:
    """How many thinking tokens a request begins with."""
    if request.begun is not None:
        return request.begun.thinking_tokens
    return read_prompt(automaton, request.prompt).thinking_tokens
