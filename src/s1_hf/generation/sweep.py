"""A whole grid of thinking budgets from one trace a prompt.

Under one grid of caps and ignores every setting's thinking is a prefix of the largest setting's, up to its own end or
cap. So the largest setting is generated once, and each other setting's answer is branched off the same KV cache at the
point where its decisions first differ: cache slots behind that point are masked, not copied, and the answer's own are
dropped again. Greedy, each row is token for token what a separate run of its setting gives (up to rounding); sampled,
each setting has its own law, and settings share the draws of their common thinking, so that differences are paired.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import zip_longest
from typing import TYPE_CHECKING, Any

import torch
from transformers import DynamicCache, StoppingCriteria

from s1_hf.forcing.automaton import Ended
from s1_hf.forcing.budget import NO_LIMIT, Budget, LoopGuard, is_count
from s1_hf.forcing.decisions import Field, Limits, advance, first_state, judge
from s1_hf.forcing.formats import ThinkingFormat
from s1_hf.forcing.report import Report
from s1_hf.generation.generate import (
    Completion,
    Prompt,
    as_list,
    budget_forcing,
    check_model,
    completion_of,
    left_padded,
    prompt_ids,
)
from s1_hf.generation.processor import BudgetForcingLogitsProcessor, resolve_format
from s1_hf.generation.sampling import RowSampler

if TYPE_CHECKING:
    from transformers import Cache, PretrainedConfig, PreTrainedModel, PreTrainedTokenizerBase

# Of `generate`'s arguments, those whose outputs or caches are not a row's own tokens in one growing cache.
_REFUSED = (
    "num_beams",
    "num_return_sequences",
    "assistant_model",
    "prompt_lookup_num_tokens",
    "streamer",
    "past_key_values",
    "cache_implementation",
    "use_cache",
    "min_thinking_tokens",
    "min_length",
    "min_new_tokens",
    "stop_strings",
)


@dataclass(frozen=True)
class Setting:
    """One point of the grid: `max_thinking_tokens` (none: no cap) and `num_ignores`."""

    max_thinking_tokens: int | None
    num_ignores: int

    @property
    def name(self) -> str:
        """Such as `"cap 500, 2 ignores"` or `"no intervention"`."""
        cap = [] if self.max_thinking_tokens is None else [f"cap {self.max_thinking_tokens}"]
        waits = [f"{self.num_ignores} ignore{'s' * (self.num_ignores > 1)}"] if self.num_ignores else []
        return ", ".join(cap + waits) or "no intervention"


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

    settings: tuple[Setting, ...]
    completions: tuple[tuple[Completion, ...], ...]
    cost: Cost


@dataclass(frozen=True)
class _Branch:
    """Where a setting leaves the trace: behind `step` generated tokens row `row` takes `token`, then is in `state`."""

    row: int
    step: int
    token: int
    state: tuple[int, ...]
    most: int  # the budgets from there on
    ignores: int


def grid(max_thinking_tokens: Sequence[int | None], num_ignores: Sequence[int]) -> list[Setting]:
    """Every combination of caps and ignores, in the order given, ignores within caps.

    Raises:
        ValueError: one of them is empty, no sequence, or has a value twice or out of range.
    """
    for name, values, what in (
        ("max_thinking_tokens", max_thinking_tokens, "numbers of tokens, or None for no cap"),
        ("num_ignores", num_ignores, "numbers of ends"),
    ):
        if isinstance(values, (str, int)) or values is None or not len(values) or len(set(values)) < len(values):
            raise ValueError(f"`{name}` has to be a sequence of different {what}, but is {values!r}.")
    caps: Sequence[Any] = max_thinking_tokens
    for cap in caps:  # their values, one by one: a sequence means one budget a prompt elsewhere
        for count in num_ignores:
            if cap == "auto":
                raise ValueError("`max_thinking_tokens` of a sweep has to be made of numbers and None, but has 'auto'.")
            Budget(max_thinking_tokens=cap, num_ignores=count)
    return [Setting(cap, count) for cap in max_thinking_tokens for count in num_ignores]


def chosen(
    settings: Sequence[Setting] | None, max_thinking_tokens: Sequence[int | None], num_ignores: Sequence[int]
) -> list[Setting]:
    """The `settings` that were given, or else the [`grid`].

    Raises:
        ValueError: both are given, or as [`grid`].
    """
    if settings is None:
        return grid(max_thinking_tokens, num_ignores)
    if tuple(max_thinking_tokens) != (None,) or tuple(num_ignores) != (0,):
        raise ValueError("`settings` has to stand alone. Leave `max_thinking_tokens` and `num_ignores` out.")
    listed = isinstance(settings, Sequence) and all(isinstance(setting, Setting) for setting in settings)
    if not listed or not settings or len(set(settings)) < len(settings):
        raise ValueError(
            "`settings` has to hold different settings, one at least, such as `[Setting(500, 0)]` or those of `curve`, "
            f"but is {settings!r}."
        )
    for setting in settings:
        Budget(max_thinking_tokens=setting.max_thinking_tokens, num_ignores=setting.num_ignores)
    return list(settings)


def curve(max_thinking_tokens: Sequence[int], num_ignores: Sequence[int]) -> list[Setting]:
    """The points of the paper's figure 1: caps without ignores, no intervention, and ignores without a cap.

    Raises:
        ValueError: as [`grid`], or a count of ignores is 0, which is no intervention.

    Example:

    ```python
    >>> from s1_hf.generation.sweep import curve
    >>> [setting.name for setting in curve([500, 1000], [2])]
    ['cap 500', 'cap 1000', 'no intervention', '2 ignores']

    ```
    """
    if 0 in num_ignores:
        raise ValueError(f"`num_ignores` has to be without 0, which is no intervention, but is {num_ignores!r}.")
    capped = grid(max_thinking_tokens, [0]) if max_thinking_tokens else []
    return [*capped, *grid([None], [0, *num_ignores])]


def check_cache(config: PretrainedConfig) -> None:
    """Raises a `ValueError` if answers cannot be branched off the cache of a model with this configuration."""
    layers = DynamicCache(config=config.get_text_config(decoder=True)).layers
    if any(type(layer).__name__ != "DynamicLayer" for layer in layers):
        kinds = ", ".join(sorted({type(layer).__name__ for layer in layers}))
        raise ValueError(
            f"A sweep has to go back in the model's KV cache, but that of {config.model_type} has layers that forget "
            f"({kinds}). Use `generate` (or `s1-hf eval`) for each setting."
        )


def sweep(
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    prompts: Prompt | Sequence[Prompt],
    *,
    max_thinking_tokens: Sequence[int | None] = (None,),
    num_ignores: Sequence[int] = (0,),
    settings: Sequence[Setting] | None = None,
    format: ThinkingFormat | str | None = None,
    wait_text: str | Sequence[str] | None = "Wait",
    answer_prefix: str | None = "Final Answer:",
    loop_guard: LoopGuard | None = None,
    max_answer_tokens: int | None = None,
    batch_size: int | None = None,
    chat_template_kwargs: Mapping[str, Any] | None = None,
    seeds: Sequence[int] | None = None,
    progress: Callable[[int], Any] = lambda done: None,
    **generate_kwargs: Any,
) -> SweepResult:
    """Generate from prompts under every combination of caps and ignores, at the cost of the largest and the answers.

    Args:
        prompts: as in [`generate`]. For several samples of one, repeat it and sample.
        max_thinking_tokens (`Sequence[int | None]`): caps; `None` is no cap.
        num_ignores (`Sequence[int]`): how many ends are ignored.
        settings (`Sequence[Setting]`, *optional*): these points instead of a whole grid, such as those of [`curve`].
        format, wait_text, answer_prefix, loop_guard, max_answer_tokens: as in [`budget_forcing`].
        batch_size (`int`, *optional*): prompts that are run together; all by default.
        seeds (`Sequence[int]`, *optional*): one a prompt, for sampling: draws then follow from a row's seed alone, not
            from its batch and torch's global generator; see [`RowSampler`]. Each setting's row is what it would be in a
            run of its own with that seed.
        progress (`Callable`): told the number of prompts done after each batch.
        **generate_kwargs: what `generate` takes, but for beam search, assisted decoding, `num_return_sequences` and
            caches other than the dynamic one.

    Returns:
        [`SweepResult`]: settings are ordered as given, ignores within caps.

    Raises:
        ValueError, TypeError: as [`budget_forcing`]; the grid is empty or has a value twice; the model's cache cannot
            be gone back in (sliding windows, recurrent layers).

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
    check_model(model)
    refused = [name for name in _REFUSED if generate_kwargs.get(name) is not None]
    if refused:
        raise ValueError(
            f"A sweep cannot have {', '.join(f'`{n}`' for n in refused)}. Leave it out, or use `generate`."
        )
    if batch_size is not None and not (is_count(batch_size) and batch_size >= 1):
        raise ValueError(f"`batch_size` has to be an integer of at least 1, or None, but is {batch_size!r}.")
    settings = chosen(settings, max_thinking_tokens, num_ignores)
    fmt = resolve_format(tokenizer, format)
    rows = [prompt_ids(tokenizer, fmt, prompt, chat_template_kwargs or {}) for prompt in as_list(prompts)]
    options = {"format": fmt, "wait_text": wait_text, "answer_prefix": answer_prefix, "loop_guard": loop_guard}
    options |= generate_kwargs | {"max_answer_tokens": max_answer_tokens}
    check_cache(model.config)
    if seeds is not None and len(seeds) != len(rows):
        raise ValueError(f"`seeds` has to hold one seed a prompt, {len(rows)}, but holds {len(seeds)}.")
    done: list[list[Completion]] = [[] for _ in settings]
    cost = Cost(0, 0, 0, 0.0)
    size = batch_size or len(rows)
    for first in range(0, len(rows), size):
        own = None if seeds is None else seeds[first : first + size]
        batch = SweepBatch(model, tokenizer, rows[first : first + size], settings, options, own)
        for all_of_setting, new in zip(done, batch.run(), strict=True):
            all_of_setting += new
        cost += batch.cost
        progress(len(rows[first : first + size]))
    return SweepResult(tuple(settings), tuple(map(tuple, done)), cost)


class SweepBatch:
    """One trace of some prompts, and the answers branched off it.

    Args:
        rows (`list[list[int]]`): prompts as token ids.
        settings (`list[Setting]`): the grid, or some points of one.
        options (`dict`): of [`budget_forcing`], without budgets.
        seeds: as in [`sweep`].
    """

    def __init__(
        self,
        model: PreTrainedModel,
        tokenizer: PreTrainedTokenizerBase,
        rows: list[list[int]],
        settings: list[Setting],
        options: dict[str, Any],
        seeds: Sequence[int] | None = None,
    ) -> None:
        self._model, self._tokenizer, self._rows, self._settings = model, tokenizer, rows, settings
        self._options, self._seeds = options, seeds
        self._width = max(map(len, rows))
        self.cost = Cost(0, 0, 0, 0.0)

    def run(self) -> list[list[Completion]]:
        """The completions of every setting."""
        begun = time.perf_counter()
        self._make_trace()
        branches = [self._branches(setting) for setting in self._settings]
        different = list(dict.fromkeys(b for of_setting in branches for b in of_setting if b is not None))
        finished = {b: c for some in _rounds(different) for b, c in zip(some, self._answers(some), strict=True)}
        done = [[self._own[r] if b is None else finished[b] for r, b in enumerate(row)] for row in branches]
        prompts = sum(map(len, self._rows))
        self.cost = Cost(
            trace_tokens=prompts + sum(len(c.token_ids) - 1 for c in self._own),
            answer_tokens=sum(len(c.token_ids) - 1 - b.step for b, c in finished.items()),
            separate_tokens=sum(prompts + sum(len(c.token_ids) - 1 for c in row) for row in done),
            seconds=time.perf_counter() - begun,
        )
        return done

    # -- the trace ----------------------------------------------------------------------------------------------

    def _make_trace(self) -> None:
        """The largest setting, with its KV cache and its decisions."""
        most = max(_cap(setting) for setting in self._settings)
        ignores = max(s.num_ignores for s in self._settings)
        kwargs, processor = self._arguments([most], [ignores], return_dict_in_generate=True)
        self._sample_by_row(kwargs, [0] * len(self._rows))
        config = processor.generation_config
        assert config is not None
        self._processor, self._pad = processor, config.pad_token_id or 0
        limit = config.max_new_tokens
        self._limit = config.max_length - self._width if limit is None else limit
        inputs = left_padded(self._rows, self._pad)
        self._prompt_mask = inputs["attention_mask"]
        inputs = {name: tensor.to(self._model.device) for name, tensor in inputs.items()}
        outputs = self._model.generate(**inputs, **kwargs)  # type: ignore[operator]
        self._cache: Cache = outputs.past_key_values
        reports = processor.reports(outputs)
        self._ids, lengths, self._trace = processor.traced(outputs)
        self._counts = torch.tensor(lengths) - self._width
        self._own = [
            self._complete(r, self._ids[r, self._width : n].tolist(), report)
            for r, (n, report) in enumerate(zip(lengths, reports, strict=True))
        ]
        self._replay()

    def _arguments(
        self, most: list[int], ignores: list[int], **more: Any
    ) -> tuple[dict[str, Any], BudgetForcingLogitsProcessor]:
        """For `generate`, with these budgets, one for all rows or one a row."""
        options = {**self._options, **more}
        if "max_new_tokens" in more:
            options.pop("max_length", None)
        caps = [None if cap == NO_LIMIT else cap for cap in most]
        kwargs = budget_forcing(
            self._model,
            self._tokenizer,
            max_thinking_tokens=caps[0] if len(caps) == 1 else caps,
            num_ignores=ignores[0] if len(ignores) == 1 else ignores,
            **options,
        )
        return kwargs, kwargs["logits_processor"][-1]

    def _sample_by_row(self, kwargs: dict[str, Any], steps: list[int]) -> None:
        """Draw by the rows' seeds, if there are any, from where so many `steps` are behind them."""
        if self._seeds is None:
            return
        processor = kwargs["logits_processor"][-1]
        if processor.rule != "sample":
            raise ValueError("`seeds` are for sampling. Set `do_sample=True`, or leave them out.")
        sampler = RowSampler(processor)
        sampler.begin(self._seeds, steps)
        kwargs["logits_processor"].append(sampler)

    def _replay(self) -> None:
        """What every decision of the trace looked at, and led to; the steps of all rows side by side."""
        steps, rows = self._trace.picks.shape
        tokens = self._ids[:, self._width : self._width + steps].T
        after = self._trace.states.permute(1, 0, 2)
        start = first_state([self._processor.automaton.enter(row) for row in self._rows])[:, None]
        moved = advance(self._processor.tables, after.flatten(1), tokens.flatten()).reshape(-1, steps, rows)
        before = torch.cat([start, moved[:, :-1]], dim=1).flatten(1)
        self._before, self._after, self._picks = before, after.flatten(1), self._trace.picks.flatten()
        self._last = self._ids[:, self._width - 1 : self._width - 1 + steps].T.flatten()
        self._looped = (self._after[Field.ENDED] == Ended.LOOPED) & (before[Field.ENDED] != Ended.LOOPED)

    # -- where settings leave it --------------------------------------------------------------------------------

    def _branches(self, setting: Setting) -> list[_Branch | None]:
        """For every row, where `setting` first decides otherwise than the trace; none if it never does."""
        budget = (_cap(setting), setting.num_ignores)
        limits = Limits(*(torch.full_like(self._picks, value) for value in (budget[0], 0, budget[1])))
        tables = self._processor.tables
        state = judge(tables, limits, self._before, self._picks, self._last, self._looped).state
        steps, rows = self._trace.picks.shape
        differs = (state != self._after).any(0).reshape(steps, rows) & (torch.arange(steps)[:, None] < self._counts)
        token = tables.cells[state[Field.CELL], 0]
        behind = advance(tables, state, token.clamp(min=0))
        if not self._processor.format.interleaved:
            budget = (NO_LIMIT, 0)  # thinking does not open again: what is left of the budget makes no difference
        found: list[_Branch | None] = []
        for row in range(rows):
            step = int(differs[:, row].int().argmax())
            at = step * rows + row
            branch = _Branch(row, step, int(token[at]), tuple(behind[:, at].tolist()), *budget)
            found.append(branch if bool(differs[step, row]) else None)
        return found

    def _answers(self, branches: list[_Branch]) -> list[Completion]:
        """One answer a branch; the branches are of different rows, and the other rows idle."""
        at = {branch.row: branch for branch in branches}
        room = [self._limit - at[r].step - 1 if r in at else 0 for r in range(len(self._rows))]
        states = torch.tensor([at.get(r, branches[0]).state for r in range(len(self._rows))]).T.contiguous()
        if max(room) == 0:
            return [self._join(branch, [], _stopped(branch.state)) for branch in branches]
        most = [at.get(r, branches[0]).most for r in range(len(self._rows))]
        ignores = [at.get(r, branches[0]).ignores for r in range(len(self._rows))]
        ids, mask = self._slots(at)
        criteria = [*(self._options.get("stopping_criteria") or []), _Room(room, ids.shape[1])]
        kwargs, processor = self._arguments(most, ignores, max_new_tokens=max(room), stopping_criteria=criteria)
        processor.resume(states.to(self._model.device))
        self._sample_by_row(kwargs, [at[r].step + 1 if r in at else 0 for r in range(len(self._rows))])
        inputs = {"input_ids": ids.to(self._model.device), "attention_mask": mask.to(self._model.device)}
        out = self._model.generate(**inputs, **kwargs, past_key_values=self._cache)  # type: ignore[operator]
        self._cache.crop(self._cached - self._cache.get_seq_length())  # a negative number of tokens to drop
        reports = processor.reports(out)
        width = ids.shape[1]
        return [
            self._join(branch, out[branch.row, width : width + len(report.forced)].tolist(), report)
            if room[branch.row]
            else self._join(branch, [], _stopped(branch.state))
            for branch in branches
            for report in [reports[branch.row]]
        ]

    @property
    def _cached(self) -> int:
        """Slots of the cache that the trace has filled; its last token has none."""
        return self._ids.shape[1] - 1

    def _slots(self, at: Mapping[int, _Branch]) -> tuple[torch.Tensor, torch.Tensor]:
        """The rows up to their branches, with one token that is not cached yet, and which cache slots they see.

        Of the cached part only its width counts for the model: rows stand there as processors have to see them, padded
        on the left. The mask belongs to the slots: what the trace wrote behind a branch is hidden by it, and positions
        follow from it.
        """
        ids = torch.full((len(self._rows), self._cached + 1), self._pad)
        mask = torch.zeros_like(ids)
        for row in range(len(self._rows)):
            kept = self._width + (at[row].step if row in at else 0)
            ids[row, self._cached - kept : self._cached] = self._ids[row, :kept]
            ids[row, -1] = at[row].token if row in at else self._pad
            mask[row, : self._width] = self._prompt_mask[row]
            mask[row, self._width : kept] = 1
        mask[:, -1] = 1
        return ids, mask

    # -- completions --------------------------------------------------------------------------------------------

    def _join(self, branch: _Branch, answer: list[int], report: Report) -> Completion:
        """What the trace wrote up to the branch, the token there, and the answer."""
        until = self._width + branch.step
        ids = [*self._ids[branch.row, self._width : until].tolist(), branch.token, *answer]
        forced = (*self._own[branch.row].forced[: branch.step], True, *report.forced)
        return self._complete(branch.row, ids, replace(report, forced=forced))

    def _complete(self, row: int, ids: list[int], report: Report) -> Completion:
        return completion_of(self._tokenizer, self._processor, self._rows[row], ids, report)


class _Room(StoppingCriteria):
    """Stops each row where its own length limit is, `room` tokens behind a prompt of `width`."""

    def __init__(self, room: list[int], width: int) -> None:
        self._ends = torch.tensor(room) + width

    def __call__(self, input_ids: torch.LongTensor, scores: Any, **kwargs: Any) -> torch.BoolTensor:
        self._ends = self._ends.to(input_ids.device)
        return input_ids.shape[1] >= self._ends  # type: ignore[return-value]


def _rounds(branches: list[_Branch]) -> Iterator[list[_Branch]]:
    """Branches in groups that have each row once at most."""
    of_row: dict[int, list[_Branch]] = {}
    for branch in branches:
        of_row.setdefault(branch.row, []).append(branch)
    for group in zip_longest(*of_row.values()):
        yield [branch for branch in group if branch is not None]


def _stopped(state: tuple[int, ...]) -> Report:
    """Of a row that has no room for more."""
    ended = Ended(state[Field.ENDED]).name.lower()
    return Report(state[Field.THINKING], ended, state[Field.IGNORED], (), state[Field.ANSWER])  # type: ignore[arg-type]


def _cap(setting: Setting) -> int:
    return NO_LIMIT if setting.max_thinking_tokens is None else setting.max_thinking_tokens
