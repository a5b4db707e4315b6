"""From prompts to completions on an engine of vLLM."""

from __future__ import annotations

import copy
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, NamedTuple

from s1_hf.forcing.budget import NAMES, Budget, check_effect
from s1_hf.forcing.collect import collect_budget, one_for_each
from s1_hf.forcing.confidence import as_confidences
from s1_hf.forcing.decisions import first_state
from s1_hf.forcing.flat import flat, whole_number
from s1_hf.forcing.prompts import start_of
from s1_hf.forcing.report import Report, forced_at
from s1_hf.forcing.values import is_count
from s1_hf.generation.cautions import warn, warn_about_reports
from s1_hf.generation.chats import Completion, Prompt, as_list, completion_of, prompt_ids
from s1_hf.vllm.options import EXTENSION, PROCESSOR
from s1_hf.vllm.refusals import check_request
from s1_hf.vllm.settings import CHECKED, KEY, SEED, settings_of
from s1_hf.vllm.setup import Setup
from vllm import SamplingParams

if TYPE_CHECKING:
    import torch
    from typing_extensions import Unpack

    from s1_hf.forcing.automaton import Automaton
    from s1_hf.forcing.decisions import Limits
    from s1_hf.forcing.keywords import BudgetKeywords
    from s1_hf.vllm.asking import Asked
    from vllm import LLM, RequestOutput

AT_ONCE = 1000
"""Requests whose reports are fetched at once."""

_ELSEWHERE = {
    "max_new_tokens": "`sampling_params=SamplingParams(max_tokens=...)`",
    "max_answer_tokens": "`sampling_params=SamplingParams(extra_args={'max_answer_tokens': ...})`",
}
"""Arguments of [`s1_hf.generate`] that have other places in vLLM."""


def generate(
    llm: LLM,
    prompts: Prompt | Sequence[Prompt],
    *,
    budget: Budget | None = None,
    sampling_params: SamplingParams | None = None,
    chat_template_kwargs: Mapping[str, Any] | None = None,
    **keywords: Unpack[BudgetKeywords],
) -> list[Completion]:
    """Generate from prompts under a budget: [`s1_hf.generate`] in vLLM.

    Args:
        llm (`vllm.LLM`): built with [`engine_options`], which also say the thinking format.
        prompts: a text, a chat (a list of messages with `role` and `content`), or a list of these, as for
            [`s1_hf.generate`].
        budget ([`Budget`], *optional*): how long the model thinks; or its fields as single keywords, such as
            `max_thinking_tokens=500`. A field that holds a sequence has one value per prompt.
        sampling_params (`vllm.SamplingParams`, *optional*): how tokens are chosen, how many, and how many outputs per
            prompt. By default those that the model suggests, up to the end of its context.
        chat_template_kwargs (`dict`, *optional*): for the chat template, such as `{"enable_thinking": False}`.

    Returns:
        `list[Completion]`: one per prompt, or `n` per prompt, one prompt after the other.

    Raises:
        ValueError: a setting is out of range or cannot be combined with a budget, or `llm` was built without
            [`engine_options`]. TypeError: an argument is not of its type.

    Example:

    ```python
    from vllm import LLM
    from s1_hf.vllm import engine_options, generate

    llm = LLM("Qwen/Qwen3-8B", **engine_options())
    completion, = generate(llm, "How many r are in raspberry?", max_thinking_tokens=500, num_ignores=2)
    print(completion.report, completion.answer)
    ```
    """
    for name, place in _ELSEWHERE.items():
        if name in keywords:
            raise TypeError(f"generate() has no `{name}`: give {place}.")
    said = NAMES if budget is not None else tuple(keywords)  # the engine's defaults stand for what is not said
    budget = collect_budget(budget, dict(keywords), nothing_else="generate")
    check_effect([budget])
    setup = setup_of(llm)
    rows = [prompt_ids(setup.tokenizer, setup.format, one, chat_template_kwargs or {}) for one in as_list(prompts)]
    if sampling_params is None:
        sampling_params = llm.get_default_sampling_params()
        sampling_params.max_tokens = None
    elif not isinstance(sampling_params, SamplingParams):
        raise TypeError(f"`sampling_params` has to be one `SamplingParams`, but is {sampling_params!r}.")
    if sampling_params.stop and (budget.has_cap or budget.ignores_ends):
        warn("`stop` can fire inside thinking, which then ends without an answer. If that is not meant, leave it out.")
    # Several outputs of a prompt are requests of their own, so that each has its own seed and report.
    prompts_of, params = [], []
    for row, one in zip(rows, one_for_each(budget, len(rows)), strict=True):
        for i in range(sampling_params.n):
            prompts_of.append(row)
            params.append(with_budget(sampling_params, one, said, output=i))
    outputs = run(llm, setup, prompts_of, params)
    completions = [completion for of_request in outputs for completion in of_request]
    _warn_about_default_length(sampling_params, completions)
    return completions


def _warn_about_default_length(params: SamplingParams, completions: Sequence[Completion]) -> None:
    """vLLM's own `max_tokens` is a few words."""
    default = SamplingParams().max_tokens
    if params.max_tokens == default and any(one.report.ended == "unfinished" for one in completions):
        warn(
            f"Thinking was not finished within {default} tokens, which is what `SamplingParams` allow if they are not "
            "told otherwise. Give them a `max_tokens`; `None` is the rest of the context."
        )


def setup_of(llm: LLM) -> Setup:
    """How an engine was set up; raises a `ValueError` if it was without [`engine_options`]."""
    config = llm.llm_engine.vllm_config
    if PROCESSOR not in (config.model_config.logits_processors or []) or (
        config.parallel_config.worker_extension_cls != EXTENSION
    ):
        raise ValueError("`llm` has to be built for budgets: `LLM(model, **s1_hf.vllm.engine_options())`.")
    return Setup.of(config)


def with_budget(
    params: SamplingParams, budget: Budget, said: Sequence[str] = NAMES, output: int | None = None
) -> SamplingParams:
    """A copy of `params` that asks for a budget.

    Args:
        said (`Sequence[str]`): the fields of the budget that are meant.
        output (`int`, *optional*): which of its `n` outputs alone is wanted.
    """
    own = copy.copy(params)
    extra = {**(params.extra_args or {}), **flat(budget, said), KEY: uuid.uuid4().hex, CHECKED: True}
    if output is not None:
        own.n = 1
        seed = whole_number(params.seed if extra.get(SEED) is None else extra[SEED])
        if is_count(seed):  # as vLLM counts; and it need not make a generator, which on CPUs it cannot wind
            extra[SEED], own.seed = seed + output, None
    own.extra_args = extra
    return own


class Ran(NamedTuple):
    """One output of a request."""

    completion: Completion
    states: list[list[int]]  # in which its tokens were taken, if they were asked for
    cached: int  # tokens of its prompt that were not computed, because the cache held them
    written: int  # tokens that the engine wrote, with an end of sequence that a pause or a limit made
    paused: tuple[int, ...] | None  # the state where it has paused

    def computed(self, asked: Asked) -> int:
        """Tokens that went through the model, where it was `asked` for."""
        return asked.computed(self.written) - self.cached


class _Reported(NamedTuple):
    """What workers tell of an output, see [`Told`]."""

    report: Report
    states: list[list[int]]
    paused: tuple[int, ...] | None
    measured: list[int] | None


def run(
    llm: LLM, setup: Setup, rows: Sequence[list[int]], params: Sequence[SamplingParams], **options: Any
) -> list[list[Completion]]:
    """Run requests that ask for budgets; for each of them, one or several completions.

    Args:
        rows (`Sequence[list[int]]`): prompts, as ids.
        params (`Sequence[SamplingParams]`): of each, from [`with_budget`].
        **options: for `LLM.generate`.

    Raises:
        ValueError: a request cannot be met.
    """
    starts = [check(setup, prompt, own) for prompt, own in zip(rows, params, strict=True)]
    prompts = [{"prompt_token_ids": prompt} for prompt in rows]
    outputs = llm.generate(prompts, list(params), **{"use_tqdm": False, **options})
    ran = completed(llm, setup, rows, params, outputs)
    for (automaton, limits, start), of_request in zip(starts, ran, strict=True):
        for one in of_request:
            warn_about_reports([one.completion.report], automaton, limits, start)
    return [[one.completion for one in of_request] for of_request in ran]


def check(setup: Setup, prompt: Sequence[int], params: SamplingParams) -> tuple[Automaton, Limits, torch.Tensor]:
    """What a request is decided with: its automaton, its limits, and its first state, `(7, 1)`.

    Raises:
        ValueError: it cannot be met. What cannot act is warned about.
    """
    check_request(params)
    settings = settings_of(params, setup.defaults)
    budgets = setup.row_budgets(settings, len(prompt))
    automaton = setup.automaton(settings.budget, settings.stops)
    start = first_state([start_of(automaton, prompt)])
    return automaton, budgets.limits(start, len(prompt), [prompt]), start


def completed(
    llm: LLM,
    setup: Setup,
    rows: Sequence[Sequence[int]],
    params: Sequence[SamplingParams],
    outputs: Sequence[RequestOutput],
    with_states: bool = False,
) -> list[list[Ran]]:
    """What an engine has put out, with the reports of it."""
    told = iter(_reports(llm, outputs, params, with_states))
    found = []
    for prompt, own, output in zip(rows, params, outputs, strict=True):
        settings = settings_of(own, setup.defaults)
        automaton = setup.automaton(settings.budget, settings.stops)
        of_request = []
        for one in output.outputs:
            report, states, paused, measured = next(told)
            ids = list(one.token_ids)
            completion = completion_of(setup.tokenizer, automaton, list(prompt), ids[: len(report.forced)], report)
            if measured is not None:
                completion = replace(completion, confidences=as_confidences(measured))
            of_request.append(Ran(completion, states, output.num_cached_tokens or 0, len(ids), paused))
        found.append(of_request)
    return found


def _reports(
    llm: LLM, outputs: Sequence[RequestOutput], params: Sequence[SamplingParams], with_states: bool
) -> list[_Reported]:
    """Of every output of every request, from the engine."""
    wanted: list[tuple[str, list[int]]] = []
    for output, own in zip(outputs, params, strict=True):
        key = (own.extra_args or {})[KEY]
        wanted += [(key, list(one.token_ids)) for one in output.outputs]
    reports = []
    for begin in range(0, len(wanted), AT_ONCE):
        part = wanted[begin : begin + AT_ONCE]
        of_workers = llm.collective_rpc("s1_hf_reports", args=(part, with_states))
        answers = next(one for one in of_workers if one is not None)
        for fields in answers:
            if "error" in fields:
                raise RuntimeError(fields["error"])
            states, paused, measured = (
                fields.pop("states", []),
                fields.pop("paused", None),
                fields.pop("measured", None),
            )
            forced = forced_at(fields["forced"], fields.pop("tokens"))
            report = Report(**{**fields, "forced": forced})
            reports.append(_Reported(report, states, None if paused is None else tuple(paused), measured))
    return reports
