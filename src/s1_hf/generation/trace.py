"""The trace of a sweep: some prompts under the largest setting, with the KV cache and every decision."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch

from s1_hf.forcing.decisions import Field, advance, first_state
from s1_hf.forcing.draws import SeededDraws
from s1_hf.forcing.prompts import start_of
from s1_hf.forcing.report import Ended
from s1_hf.generation.chats import Completion, completion_of, left_padded
from s1_hf.generation.generate import forcing_arguments, processor_in

if TYPE_CHECKING:
    from transformers import Cache, PreTrainedModel, PreTrainedTokenizerBase

    from s1_hf.forcing.automaton import Automaton
    from s1_hf.forcing.budget import Budget
    from s1_hf.generation.processor import BudgetForcingLogitsProcessor


@dataclass(frozen=True, eq=False)
class SweepCall:
    """What every call of `generate` in a sweep has in common.

    Args:
        rows (`Sequence[Sequence[int]]`): prompts as token ids.
        options (`dict`): for [`budget_forcing`], without budgets.
        seeds (`Sequence[int]`, *optional*): one per row, for sampling.
    """

    model: PreTrainedModel
    tokenizer: PreTrainedTokenizerBase
    rows: Sequence[list[int]]
    options: dict[str, Any]
    seeds: Sequence[int] | None = None

    @property
    def width(self) -> int:
        """Tokens of the longest prompt."""
        return max(map(len, self.rows))

    def arguments(
        self, budget: Budget, steps: Sequence[int] | None = None, **more: Any
    ) -> tuple[dict[str, Any], BudgetForcingLogitsProcessor]:
        """For `generate` under `budget`, with the processor among them.

        Args:
            steps (`Sequence[int]`, *optional*): how many tokens each row has already drawn; none by default.
            **more: in place of `options`.
        """
        options = {**self.options, **more}
        if "max_new_tokens" in more:
            options.pop("max_length", None)
        draws = None if self.seeds is None else SeededDraws(self.seeds, steps)
        kwargs = forcing_arguments(self.model, self.tokenizer, budget, draws=draws, **options)
        return kwargs, processor_in(kwargs)


@dataclass(frozen=True, eq=False)
class Replay:
    """Every decision of a trace, with `steps * rows` entries, the rows of one step side by side."""

    before: torch.Tensor  # (7, steps * rows): the state that a decision started from
    after: torch.Tensor  # (7, steps * rows): the state that it led to
    picks: torch.Tensor  # (steps * rows,): the token that it looked at
    last: torch.Tensor  # (steps * rows,): the token before it
    looped: torch.Tensor  # (steps * rows,) bool: the loop guard closed thinking there


@dataclass(frozen=True, eq=False)
class SweepTrace:
    """Some prompts under the largest setting.

    Args:
        call ([`SweepCall`]): how it was made.
        processor ([`BudgetForcingLogitsProcessor`]): under which.
        pad, limit (`int`): the id that fills rows, and how many tokens may be generated.
        prompt_mask (`torch.LongTensor` of shape `(rows, width)`): 1 where a prompt stands.
        ids (`torch.LongTensor` of shape `(rows, length)`): prompts and what was generated, on the CPU.
        counts (`torch.LongTensor` of shape `(rows,)`): tokens generated in each row.
        cache ([`~transformers.Cache`]): holds all but the last token.
        completions (`list[Completion]`): the rows.
        replay ([`Replay`]): their decisions.
    """

    call: SweepCall
    processor: BudgetForcingLogitsProcessor
    pad: int
    limit: int
    prompt_mask: torch.Tensor
    ids: torch.Tensor
    counts: torch.Tensor
    cache: Cache
    completions: list[Completion]
    replay: Replay

    @property
    def automaton(self) -> Automaton:
        """What it was decided with."""
        return self.processor.automaton

    @property
    def steps(self) -> int:
        """How many tokens the longest row has generated."""
        return len(self.replay.picks) // len(self.ids)

    @property
    def cached(self) -> int:
        """Slots of the cache that are filled; the last token has none."""
        return self.ids.shape[1] - 1


def make_trace(call: SweepCall, largest: Budget) -> SweepTrace:
    """Generate the rows of `call` under the largest setting."""
    kwargs, processor = call.arguments(largest, return_dict_in_generate=True)
    config = processor.generation_config
    assert config is not None
    pad, limit = config.pad_token_id or 0, config.max_new_tokens
    inputs = left_padded(list(call.rows), pad)
    on_device = {name: tensor.to(call.model.device) for name, tensor in inputs.items()}
    outputs = call.model.generate(**on_device, **kwargs)  # type: ignore[operator]
    reports = processor.reports(outputs)
    finished = processor.finished(outputs)
    completions = []
    for prompt, ids, length, report in zip(call.rows, finished.ids, finished.lengths, reports, strict=True):
        generated = ids[call.width : length].tolist()
        completions.append(completion_of(call.tokenizer, processor.automaton, prompt, generated, report))
    return SweepTrace(
        call=call,
        processor=processor,
        pad=pad,
        limit=config.max_length - call.width if limit is None else limit,
        prompt_mask=inputs["attention_mask"],
        ids=finished.ids,
        counts=torch.tensor(finished.lengths) - call.width,
        cache=outputs.past_key_values,
        completions=completions,
        replay=_replay(call, processor, finished.ids, finished.trace.states, finished.trace.picks),
    )


def _replay(
    call: SweepCall,
    processor: BudgetForcingLogitsProcessor,
    ids: torch.Tensor,
    states: torch.Tensor,
    picks: torch.Tensor,
) -> Replay:
    """From the states after each decision, `(steps, 7, rows)`, and what it looked at, `(steps, rows)`."""
    steps, rows = picks.shape
    tokens = ids[:, call.width : call.width + steps].T  # (steps, rows): what each decision led to
    after = states.permute(1, 0, 2)  # (7, steps, rows)
    start = first_state([start_of(processor.automaton, row) for row in call.rows])[:, None]  # (7, 1, rows)
    moved = advance(processor.tables, after.flatten(1), tokens.flatten()).reshape(-1, steps, rows)
    before = torch.cat([start, moved[:, :-1]], dim=1)
    looped = (after[Field.ENDED] == Ended.LOOPED) & (before[Field.ENDED] != Ended.LOOPED)
    return Replay(
        before=before.flatten(1),
        after=after.flatten(1),
        picks=picks.flatten(),
        last=ids[:, call.width - 1 : call.width - 1 + steps].T.flatten(),
        looped=looped.flatten(),
    )
