"""Budget forcing as a `transformers` logits processor."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Any

import torch
from transformers import GenerationConfig, LogitsProcessor, PreTrainedTokenizerBase

from s1_hf.forcing.automaton import Automaton
from s1_hf.forcing.budget import Budget, check_effect
from s1_hf.forcing.collect import collect_budget
from s1_hf.forcing.decisions import Limits, first_state
from s1_hf.forcing.draws import Draws, SharedDraws
from s1_hf.forcing.formats import ThinkingFormat, check_format, resolve_format
from s1_hf.forcing.keywords import BudgetKeywords
from s1_hf.forcing.prompts import start_of
from s1_hf.forcing.report import Report
from s1_hf.generation.cautions import warn_about_graph, warn_about_reports
from s1_hf.generation.config import check_generation_config, eos_ids, pad_id, rows_per_prompt, unannounced_ends
from s1_hf.generation.context import Context
from s1_hf.generation.deciding import Deciding
from s1_hf.generation.guards import check_call, check_can_ignore, check_message_fits, decoding_rule
from s1_hf.generation.limits import RowBudgets
from s1_hf.generation.record import Step
from s1_hf.generation.replay import can_record
from s1_hf.generation.reports import (
    FinishedRows,
    RowEnds,
    checked_sequences,
    finished_rows,
    read_reports,
    with_last_token,
)
from s1_hf.generation.sampling import Sampling
from s1_hf.generation.states import RowStates

if TYPE_CHECKING:
    from typing_extensions import Unpack

MOST_CALLS = 1000
"""How many calls' reports a processor keeps."""


class BudgetForcingLogitsProcessor(LogitsProcessor):
    r"""
    Controls how long a reasoning model thinks, inside any `model.generate`: caps thinking by forcing the closing
    delimiter and "Final Answer:", or lengthens it by replacing attempts to end with "Wait" (budget forcing, s1,
    https://arxiv.org/abs/2501.19393, section 3.1).

    Greedy decoding gives token for token, and sampling gives in law, what stopping, editing the text and prompting
    again would give, but nothing is prefilled twice. Works with left-padded batches, `num_return_sequences`, beam
    search, assisted decoding and streaming. It can be reused for another call, but by one call at a time. Where we
    differ from the paper's harness: one cap holds for all rounds together, and a cut always gets its answer prefix.

    Args:
        tokenizer ([`PreTrainedTokenizerBase`]): the model's tokenizer.
        budget ([`Budget`], *optional*): how long the model thinks; or its fields as single keywords. A field that holds
            a sequence has one value per prompt; the rows that `num_return_sequences` or `num_beams` make of a prompt
            share its value.
        format ([`ThinkingFormat`] or `str`, *optional*): the delimiters; detected from the tokenizer if absent.
        generation_config ([`GenerationConfig`], *optional*): the settings that `generate` will use. Needed for
            exact sampling, beam search, `num_return_sequences` and `"auto"`; fields left `None` stand for `generate`'s
            own defaults (`top_k=50`). Without it the processor decides as for greedy decoding; should `generate`
            sample, caps, minimums and ignores still hold, and one warning says so. [`budget_forcing`] fills it in.
        context (`int`, *optional*): how many positions the model has; see [`Context`] for what is refused.
        draws ([`SeededDraws`], *optional*): for sampling, random numbers that belong to rows; torch's global generator
            by default.
        cuda_graph (`bool`, *optional*, defaults to `False`): on CUDA, replay each step's decision as one graph.

    Raises:
        ValueError: a setting is out of range, the tokenizer lacks the delimiters, or a decoding mode is not supported.
        TypeError: an argument is not of its type.

    Example:

    ```python
    >>> from s1_hf import BudgetForcingLogitsProcessor, embedded
    >>> model, tokenizer = embedded.load()
    >>> chat = [{"role": "user", "content": embedded.Problem(2, 7, 3, 8).question}]
    >>> inputs = tokenizer.apply_chat_template(chat, add_generation_prompt=True, return_tensors="pt", return_dict=True)
    >>> out = model.generate(**inputs, max_new_tokens=200)  # no effect yet: the model decides how long it thinks
    >>> short = BudgetForcingLogitsProcessor(tokenizer, max_thinking_tokens=16)
    >>> out = model.generate(**inputs, max_new_tokens=200, logits_processor=[short])
    >>> report = short.reports()[0]
    >>> report.thinking_tokens, report.ended
    (16, 'cut')
    >>> long = BudgetForcingLogitsProcessor(tokenizer, num_ignores=2)
    >>> out = model.generate(**inputs, max_new_tokens=400, logits_processor=[long])
    >>> long.reports()[0].ends_ignored
    2

    ```
    """

    def __init__(
        self,
        tokenizer: PreTrainedTokenizerBase,
        *,
        budget: Budget | None = None,
        format: ThinkingFormat | str | None = None,
        generation_config: GenerationConfig | None = None,
        context: int | None = None,
        draws: Draws | None = None,
        cuda_graph: bool = False,
        **keywords: Unpack[BudgetKeywords],
    ) -> None:
        check_generation_config(generation_config)
        format = resolve_format(tokenizer, format)
        self.budget = collect_budget(budget, dict(keywords), nothing_else=type(self).__name__)
        if keywords:  # a whole budget may be one of a sweep's, of which others use what this one does not
            check_effect([self.budget])
        check_can_ignore(format, self.budget)
        # What `generate` will do.
        self.generation_config = generation_config
        self.context = Context(context, generation_config, pad_id(generation_config, tokenizer))
        self.rule = decoding_rule(generation_config)
        self.sampling = Sampling(generation_config if self.rule == "sample" else None)
        self.draws = SharedDraws() if draws is None else draws
        if not isinstance(cuda_graph, bool):
            raise TypeError(f"`cuda_graph` has to be True or False, but is {cuda_graph!r}.")
        self.cuda_graph = cuda_graph
        self.eos_token_ids = eos_ids(generation_config, tokenizer)
        if generation_config is None:  # chat models list their handovers and their padding among their ends
            self.eos_token_ids = unannounced_ends(tokenizer, format)
        self._row_ends = RowEnds(self.eos_token_ids, pad_id(generation_config, tokenizer))
        # The format with every end of sequence, and its tables on each device that is met.
        self.format = format.with_ends(self.eos_token_ids)
        check_format(self.format, tokenizer, self.eos_token_ids)
        self.automaton = Automaton.of(tokenizer, self.format, self.budget, self.eos_token_ids)
        check_message_fits(self.budget, len(self.automaton.message_ids))
        self.tables = self.automaton.tables
        self._budgets = RowBudgets(self.automaton, self.budget, generation_config)
        # What calls of `generate` before the running one have given; see `reports_of_calls`.
        self._past: deque[list[Report] | None] = deque(maxlen=MOST_CALLS)
        # What the running call of `generate` has seen.
        self._rows = RowStates(self.automaton, self.rule, before_new=self._keep_reports)
        self._limits: Limits  # on the CPU
        self._decide: Deciding
        self._start: torch.Tensor  # (7, batch_size), on the CPU: where the prompts have led
        self._is_checked, self._has_warned = False, False
        self._last: tuple[torch.Tensor, torch.Tensor] | None = None
        self.observed: torch.Tensor | None = None  # the sequences so far, if an observer is among the criteria
        self.max_answer_tokens: int | None = None  # at which a criterion beside it ends beams
        self.stopped_at: torch.Tensor | None = None  # the length at which its criteria stopped each row; 0: not yet

    def __call__(self, input_ids: torch.LongTensor, scores: torch.FloatTensor) -> torch.FloatTensor:
        """
        Args:
            input_ids (`torch.LongTensor` of shape `(batch_size, sequence_length)`): prompts, padded on the left, and
                what was generated.
            scores (`torch.FloatTensor` of shape `(batch_size, vocab_size)`): of the next token; not modified.

        Returns:
            `torch.FloatTensor` of shape `(batch_size, vocab_size)`: new scores. In a row in which a token is forced
            it has score 0 and every other one `-inf`; and so has, under sampling, the token drawn in every row.

        Raises:
            ValueError: the shapes do not fit the budgets or the vocabulary.
        """
        check_call(input_ids, scores)
        self.check_vocabulary(scores.shape[1])
        step, is_new = self._rows.follow(input_ids)
        if is_new:
            self._begin(step, input_ids)

        new = self._decide(step, input_ids, scores)
        self._last = (input_ids, new)
        return new  # type: ignore[return-value]

    def reports(self, sequences: Any = None) -> list[Report]:
        """One report per row of the last call of `generate`.

        Args:
            sequences (`torch.LongTensor` of shape `(rows, length)`, or what `generate` returned, *optional*): needed
                where the processor cannot know the last token: sampling without a `generation_config`, beam search
                and assisted decoding. With the arguments of [`budget_forcing`] it is needed only for beam search.

        Raises:
            RuntimeError: nothing has been generated, the sequences are not what was generated, or a token that was
                forced, or drawn, was changed.
        """
        finished = self.finished(sequences)
        reports = read_reports(finished, self._rows.record.prompt_length, self.tables, self.rule, self._row_ends.pad)
        if not self._has_warned and self._rows.resumed is None:
            self._has_warned = True
            warn_about_reports(reports, self.automaton, self._limits, self._start)
        return reports

    def reports_of_calls(self) -> list[list[Report]]:
        """The reports of every call of `generate` that this processor has been used for, such as those that an
        unbatched `pipeline` makes, one for each prompt; of the last 1,000 calls.

        Raises:
            RuntimeError: nothing has been generated, or the reports of a call are not known, see [`reports`].
        """
        if None in self._past:
            raise RuntimeError(
                "The reports of an earlier call are not known: its sequences were not seen here to their ends. Take "
                "all arguments from `budget_forcing(model, tokenizer, ...)`, or use a new processor for each call."
            )
        return [*(reports for reports in self._past if reports is not None), self.reports()]

    def finished(self, sequences: Any = None) -> FinishedRows:
        """The last call's rows and the steps that led to them; arguments and errors as for [`reports`]."""
        ids = self._sequences(sequences)
        stops = [0] * len(ids)
        if self.rule != "beam" and self.stopped_at is not None and len(self.stopped_at) == len(ids):
            stops = self.stopped_at.tolist()
        return finished_rows(
            self._rows.record, self.tables, self.rule, self._row_ends, ids, stops, self.max_answer_tokens
        )

    def note_sequences(self, input_ids: torch.Tensor, done: torch.Tensor | None) -> None:
        """What was generated so far, the last token included, and which rows criteria stop here, if there are any."""
        self.observed = input_ids
        if done is None:
            return
        before = torch.zeros_like(done, dtype=torch.long) if self.stopped_at is None else self.stopped_at
        if before.shape == done.shape:  # else rows come and go, as in some kinds of assisted decoding
            self.stopped_at = torch.where((before == 0) & done, input_ids.shape[1], before)

    def state_after(self, input_ids: torch.Tensor) -> torch.Tensor:
        """Where the rows of `input_ids` stand, of which all but the last token have been seen; `(7, batch_size)`."""
        return self._rows.after(input_ids)

    def step_at(self, length: int) -> Step:
        """The rows when they were `length` tokens long, while they are generated, with what was decided there."""
        return self._rows.record.step(length)

    def forced_at(self, position: int) -> torch.Tensor:
        """Whether the token at index `position` of each row is forced, while it is generated; `(batch_size,)`."""
        return self._rows.forced_at(position)

    def resume(self, state: torch.Tensor) -> None:
        """The next call of `generate` stands in `state`, of shape `(7, batch_size)`, and its prompts are not read."""
        self._rows.resumed = state

    def check_prompts(self, prompts: list[list[int]]) -> None:
        """Raises the `ValueError` that a call of `generate` with these prompts, as ids, would raise, and warns as it
        would; the next call does not warn again."""
        copies = rows_per_prompt(self.generation_config)
        rows, states = [], []
        for ids in prompts:
            rows += [ids] * copies
            states += [start_of(self.automaton, ids)] * copies
        self.context.check(prompts)
        self._budgets.limits(first_state(states), max(map(len, prompts)), rows)
        self._is_checked = True

    def check_vocabulary(self, size: int) -> None:
        """Raises a `ValueError` if a model with `size` scores lacks a token that is forced or looked for."""
        needed = self.automaton.largest_id
        if size <= needed:
            raise ValueError(
                f"The model's vocabulary has to hold the format's token {needed}, but has {size} rows. Tokenizer and "
                "model do not belong together."
            )

    # -- one call of generate -----------------------------------------------------------------------------------

    def _begin(self, step: Step, input_ids: torch.Tensor) -> None:
        """A new call of `generate` has come with its prompts."""
        self._start = step.state.cpu()
        rows = input_ids.tolist() if self.budget.num_prompts else []
        is_quiet = self._is_checked or self._rows.resumed is not None
        if not is_quiet:
            self.context.check_rows(input_ids)
        if self.cuda_graph and self._rows.resumed is None:
            warn_about_graph(input_ids.device)
        self._limits = self._budgets.limits(self._start, input_ids.shape[1], rows, is_quiet)
        self.draws.begin()
        self._decide = Deciding(
            self.automaton.tables_on(input_ids.device),
            self._limits.acting().to(input_ids.device),
            self.rule,
            self.sampling,
            self.draws,
            self.budget.loop_guard,
            self.cuda_graph and can_record(input_ids.device),
        )
        self.observed, self.stopped_at = None, None
        self._is_checked, self._has_warned = False, False

    def _keep_reports(self) -> None:
        """Read the last call's reports before another call takes its place."""
        if self._last is None:
            return
        try:
            self._past.append(self.reports())
        except RuntimeError:
            self._past.append(None)

    def _sequences(self, given: Any) -> torch.Tensor:
        """The rows of the last call, on the CPU: those that were `given`, or as far as they are known here."""
        if self._last is None:
            raise RuntimeError(
                "There is no report yet: call `model.generate(..., logits_processor=[processor])` first."
            )
        if given is not None:
            return checked_sequences(given, self._rows.record.prompt_length)
        if self.observed is not None and self.rule != "beam":
            return self.observed.cpu()
        ids, scores = self._last
        is_known = self._rows.is_followed and self._rows.record.is_linear
        return with_last_token(ids, scores, self.rule, is_known)
