"""A whole grid of thinking budgets from one row per prompt.

Under one grid of caps and ignores every setting's thinking is a prefix of the largest setting's, up to its own end or
cap. So the other settings ride on the largest one's rows (`riders`), and where one first decides otherwise (`branches`)
the row is doubled: its cache is copied there and then, whatever kind it is, and its answer is written in the same
batch, beside the rows that think on (`decoding`). Greedy, each row is token for token what a separate run of its
setting gives (up to rounding); sampled, each setting has its own law, and settings share the draws of their common
thinking, so that differences are paired.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from transformers import GenerationConfig

from s1_hf.forcing.budget import Budget
from s1_hf.forcing.collect import collect_budget, stacked
from s1_hf.forcing.draws import SeededDraws
from s1_hf.forcing.formats import ThinkingFormat, resolve_format
from s1_hf.forcing.values import is_count, plain
from s1_hf.generation.cache_rows import check_rows
from s1_hf.generation.chats import Completion, Prompt, as_list, completion_of, prompt_ids
from s1_hf.generation.confidences import Measuring
from s1_hf.generation.decoding import Decoding
from s1_hf.generation.generate import forcing_arguments, processor_in
from s1_hf.generation.grids import chosen_settings, largest_setting, smallest_setting
from s1_hf.generation.guards import check_model
from s1_hf.generation.riders import Riders
from s1_hf.generation.running import Call, Row

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase
    from typing_extensions import Unpack

    from s1_hf.forcing.confidence import Confidence
    from s1_hf.generation.branches import Branch
    from s1_hf.generation.keywords import SweepKeywords

# Of `generate`'s arguments, those whose outputs or caches are not a row's own tokens in one growing cache.
_REFUSED = (
    "num_beams",
    "num_return_sequences",
    "assistant_model",
    "prompt_lookup_num_tokens",
    "streamer",
    "past_key_values",
    "use_cache",
    "min_thinking_tokens",
    "min_length",
    "min_new_tokens",
    "stop_strings",
)

_GROWING = ("dynamic", "offloaded", "quantized")


@dataclass(frozen=True)
class Cost:
    """What a sweep cost, in tokens that went through the model, padding and idle rows left out.

    Args:
        trace_tokens (`int`): prompts and the largest setting, its answers included.
        answer_tokens (`int`): what was branched off: closings and answers of the other settings.
        separate_tokens (`int`): what one run for each setting would have cost.
        seconds (`float`): of wall time.
    """

    trace_tokens: int
    answer_tokens: int
    separate_tokens: int
    seconds: float

    @property
    def saved(self) -> float:
        """How many times as many tokens separate runs take."""
        return self.separate_tokens / (self.trace_tokens + self.answer_tokens)

    def __add__(self, other: Cost) -> Cost:
        return Cost(
            self.trace_tokens + other.trace_tokens,
            self.answer_tokens + other.answer_tokens,
            self.separate_tokens + other.separate_tokens,
            self.seconds + other.seconds,
        )


@dataclass(frozen=True)
class SweepResult:
    """`completions[s][p]` is prompt `p` under `settings[s]`."""

    settings: tuple[Budget, ...]
    completions: tuple[tuple[Completion, ...], ...]
    cost: Cost


def sweep(
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    prompts: Prompt | Sequence[Prompt],
    *,
    max_thinking_tokens: Sequence[int | None] = (None,),
    num_ignores: Sequence[int] = (0,),
    settings: Sequence[Budget] | None = None,
    budget: Budget | None = None,
    format: ThinkingFormat | str | None = None,
    max_answer_tokens: int | None = None,
    generation_config: GenerationConfig | None = None,
    batch_size: int | None = None,
    chat_template_kwargs: Mapping[str, Any] | None = None,
    seeds: Sequence[int] | None = None,
    progress: Callable[[int], Any] = lambda done: None,
    **keywords: Unpack[SweepKeywords],
) -> SweepResult:
    """Generate from prompts under every combination of caps and ignores, at the cost of the largest and the answers.

    Args:
        prompts: as in [`generate`]. For several samples of a prompt, repeat it and sample.
        max_thinking_tokens (`Sequence[int | None]`): caps; `None` is no cap.
        num_ignores (`Sequence[int]`): how many ends are ignored.
        settings (`Sequence[Budget]`, *optional*): these points instead of a whole grid, such as those of [`curve`];
            they may differ only in cap and ignores.
        budget ([`Budget`], *optional*): what all points of the grid share, such as `wait_text`; or its fields as single
            keywords.
        format, max_answer_tokens: as in [`budget_forcing`].
        batch_size (`int`, *optional*): how many prompts run together; all by default.
        seeds (`Sequence[int]`, *optional*): one per prompt, for sampling: draws then follow from a row's seed, not from
            its batch and torch's global generator; see [`SeededDraws`]. Each setting's row is what it would be in a run
            of its own with that seed.
        progress (`Callable`): told the number of prompts done after each batch.
        **keywords: what `generate` takes, except for beam search, assisted decoding, `num_return_sequences` and
            static caches.

    Returns:
        [`SweepResult`]: settings are ordered as given, ignores within caps.

    Raises:
        ValueError, TypeError: as [`budget_forcing`]; the grid is empty or has a value twice; the cache cannot grow,
            or the model mixes up the rows of a batch.

    Example:

    ```python
    >>> from s1_hf import embedded, sweep
    >>> model, tokenizer = embedded.load()
    >>> question = embedded.Problem(2, 7, 3, 8).question
    >>> grid = {"max_thinking_tokens": [16, None], "num_ignores": [0, 1]}
    >>> result = sweep(model, tokenizer, question, **grid, max_new_tokens=200)
    >>> [(s.name, c[0].report.ended) for s, c in zip(result.settings, result.completions)][:2]
    [('cap 16', 'cut'), ('cap 16, 1 ignore', 'cut')]
    >>> result.cost.saved > 2
    True

    ```
    """
    # 1. What was given.
    check_model(model)
    options: dict[str, Any] = dict(keywords)
    refused = [name for name in _REFUSED if options.get(name) is not None]
    if refused:
        raise ValueError(
            f"A sweep cannot have {', '.join(f'`{n}`' for n in refused)}. Leave it out, or use `generate`."
        )
    if batch_size is not None and not (is_count(batch_size) and batch_size >= 1):
        raise ValueError(f"`batch_size` has to be an integer of at least 1, or None, but is {batch_size!r}.")
    shared = collect_budget(budget, options)
    chosen = chosen_settings(settings, max_thinking_tokens, num_ignores, shared)
    fmt = resolve_format(tokenizer, format)
    rows = [prompt_ids(tokenizer, fmt, prompt, chat_template_kwargs or {}) for prompt in as_list(prompts)]
    seeds = plain(seeds)
    if seeds is not None and len(seeds) != len(rows):
        raise ValueError(f"`seeds` has to hold one seed per prompt, {len(rows)}, but holds {len(seeds)}.")
    check_rows(model.config)
    options["cache_implementation"] = _growing_cache(model, options, generation_config)
    options |= {"format": fmt, "max_answer_tokens": max_answer_tokens, "generation_config": generation_config}

    arguments = forcing_arguments(model, tokenizer, smallest_setting(chosen), **options)  # refuses what does not fit
    processor_in(arguments).context.check(rows)

    # 2. Batch after batch.
    done: list[list[Completion]] = [[] for _ in chosen]
    cost = Cost(0, 0, 0, 0.0)
    size = batch_size or len(rows)
    for first in range(0, len(rows), size):
        part = slice(first, first + size)
        call = SweepCall(model, tokenizer, rows[part], options, None if seeds is None else seeds[part])
        completions, more = sweep_batch(call, chosen)
        for of_setting, new in zip(done, completions, strict=True):
            of_setting += new
        cost += more
        progress(len(rows[part]))
    return SweepResult(tuple(chosen), tuple(map(tuple, done)), cost)


def _growing_cache(model: PreTrainedModel, options: Mapping[str, Any], given: GenerationConfig | None) -> str | None:
    """The kind of cache that was asked for. A static one that only the model's own configuration names is not meant.

    Raises:
        ValueError: it cannot take in more rows.
    """
    asked = options.get("cache_implementation") or (given and given.cache_implementation)
    if not asked:
        return None if model.generation_config.cache_implementation in (None, *_GROWING) else "dynamic"
    if asked not in _GROWING:
        raise ValueError(
            f"`cache_implementation` has to be {', '.join(map(repr, _GROWING))} or left out in a sweep, whose rows "
            f"come and go, but is {asked!r}. Leave it out, or use `generate`."
        )
    return str(asked)


@dataclass(frozen=True, eq=False)
class SweepCall:
    """What every call of `generate` in a sweep has in common.

    Args:
        rows (`Sequence[Sequence[int]]`): prompts as token ids.
        options (`dict`): for [`budget_forcing`], without budgets.
        seeds (`Sequence[int]`, *optional*): one per row, for sampling.
        confidences (`Sequence[Confidence]`, *optional*): one per row, which differ in nothing but `below`.
    """

    model: PreTrainedModel
    tokenizer: PreTrainedTokenizerBase
    rows: Sequence[list[int]]
    options: dict[str, Any]
    seeds: Sequence[int] | None = None
    confidences: Sequence[Confidence] | None = None

    def make(self, rows: Sequence[Row]) -> Call:
        """The call for rows that go on behind what is reported of them."""
        draws = None
        if self.seeds is not None:
            draws = SeededDraws([self.seeds[row.prompt] for row in rows], [len(row.forced) for row in rows])
        options, measuring = self.options, None
        if self.confidences is not None:
            measuring = Measuring([self.confidences[row.prompt] for row in rows], rows)
            options = {**options, "stopping_criteria": [*(options.get("stopping_criteria") or []), measuring]}
        budget = stacked([row.budget for row in rows])
        call = Call(forcing_arguments(self.model, self.tokenizer, budget, draws=draws, **options), measuring=measuring)
        if measuring is not None:
            measuring.attach(call.processor)
        return call


def sweep_batch(call: SweepCall, settings: Sequence[Budget]) -> tuple[list[list[Completion]], Cost]:
    """The rows of one batch under every setting, `completions[s][r]`, and what that cost."""
    begun = time.perf_counter()
    largest = largest_setting(settings)
    # 1. The largest setting's rows, on which the others ride until they branch off.
    riders = Riders([setting for setting in settings if setting != largest], len(call.rows))
    rows = [Row(prompt, largest) for prompt in range(len(call.rows))]
    decoding = Decoding(call.model, call.rows, rows, call.make, riders=riders if riders.riding else None)
    # 2. What each of them wrote.
    trace: dict[int, Completion] = {}
    answers: dict[Branch, Completion] = {}
    for done in decoding.all():
        prompt = call.rows[done.row.prompt]
        written = completion_of(call.tokenizer, decoding.automaton, prompt, done.ids, done.report)
        if call.confidences is not None:
            written = replace(written, confidences=done.row.measured.confidences(len(done.ids)))
        if done.row.branch is None:
            trace[done.row.prompt] = written
        else:
            answers[done.row.branch] = written
    # 3. Each setting's rows: those of the largest where nothing differs.
    of_settings = iter(riders.branches)
    done_rows = []
    for setting in settings:
        branches = [None] * len(rows) if setting == largest else next(of_settings)
        done_rows.append([trace[r] if branch is None else answers[branch] for r, branch in enumerate(branches)])
    own = [trace[r] for r in range(len(rows))]
    return done_rows, _cost(call, own, answers, done_rows, decoding.read_again, time.perf_counter() - begun)


def _cost(
    call: SweepCall,
    trace: Sequence[Completion],
    answers: Mapping[Branch, Completion],
    done: Sequence[Sequence[Completion]],
    read_again: int,
    seconds: float,
) -> Cost:
    """Through the model went all but the last token of each row, and what was read again."""
    prompts = sum(map(len, call.rows))
    separate = 0
    for of_setting in done:
        separate += prompts + sum(len(completion.token_ids) - 1 for completion in of_setting)
    branched = sum(len(answer.token_ids) - 1 - branch.step for branch, answer in answers.items())
    return Cost(
        trace_tokens=prompts + sum(len(completion.token_ids) - 1 for completion in trace),
        answer_tokens=branched + read_again,
        separate_tokens=separate,
        seconds=seconds,
    )
