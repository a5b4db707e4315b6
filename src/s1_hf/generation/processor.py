"""Budget forcing as a `transformers` logits processor."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import replace
from typing import Any, Literal

import torch
from transformers import (
    GenerationConfig,
    LogitsProcessor,
    MinPLogitsWarper,
    PreTrainedTokenizerBase,
    TemperatureLogitsWarper,
    TopKLogitsWarper,
    TopPLogitsWarper,
)

from s1_hf.forcing.automaton import Automaton, Ended, Tables
from s1_hf.forcing.budget import Budget, LoopGuard
from s1_hf.forcing.decisions import Field, Limits, Rule, advance, decide, first_state
from s1_hf.forcing.formats import FAMILIES, ThinkingFormat, check_tokenizer
from s1_hf.forcing.report import Report
from s1_hf.forcing.vocabulary import Vocabulary
from s1_hf.generation.record import PrefixRecord, Step, Trace

ANSWER_RESERVE = 100
"""Tokens that `max_thinking_tokens="auto"` leaves for the answer, as the paper's evaluation harness does."""


class BudgetForcingLogitsProcessor(LogitsProcessor):
    r"""
    Controls how long a reasoning model thinks, inside any `model.generate`: caps thinking by forcing the closing
    delimiter and "Final Answer:", or lengthens it by replacing an attempt to end with "Wait" (budget forcing, s1,
    https://arxiv.org/abs/2501.19393, section 3.1).

    Greedy decoding gives token for token, and sampling gives in law, what stopping, editing the text and prompting
    again would give, but nothing is prefilled twice. Works with left-padded batches, `num_return_sequences`, beam
    search, assisted decoding and streaming. It can be used again for another call, but by one call at a time. Where we
    differ from the paper's harness: one cap holds for all rounds together, and a cut always gets its answer prefix.

    Args:
        tokenizer ([`PreTrainedTokenizerBase`]): the model's tokenizer.
        format ([`ThinkingFormat`] or `str`, *optional*): the delimiters; detected from the tokenizer if absent.
        max_thinking_tokens, min_thinking_tokens, num_ignores, wait_text, answer_prefix, loop_guard:
            see [`Budget`]. A sequence holds one value per prompt; the rows that `num_return_sequences` or `num_beams`
            make of a prompt share its value.
        generation_config ([`GenerationConfig`], *optional*): the settings that `generate` will use. Needed for
            sampling, beam search, `num_return_sequences` and `"auto"`; fields left `None` stand for `generate`'s own
            defaults (`top_k=50`). Without it greedy decoding is taken for granted. [`budget_forcing`] fills it in.

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
        format: ThinkingFormat | str | None = None,
        max_thinking_tokens: int | Literal["auto"] | None | Sequence[int | None] = None,
        min_thinking_tokens: int | Sequence[int] = 0,
        num_ignores: int | Sequence[int] = 0,
        wait_text: str | Sequence[str] | None = "Wait",
        answer_prefix: str | None = "Final Answer:",
        loop_guard: LoopGuard | None = None,
        generation_config: GenerationConfig | None = None,
    ) -> None:
        if generation_config is not None and not isinstance(generation_config, GenerationConfig):
            raise TypeError(
                "`generation_config` has to be a GenerationConfig, such as `model.generation_config`, but is "
                f"{generation_config!r}."
            )
        self.format = resolve_format(tokenizer, format)
        self.budget = Budget(
            max_thinking_tokens=max_thinking_tokens,
            min_thinking_tokens=min_thinking_tokens,
            num_ignores=num_ignores,
            wait_text=wait_text,
            answer_prefix=answer_prefix,
            loop_guard=loop_guard,
        )
        if self.format.plain and self.budget.ignores_ends:
            raise ValueError(
                f"`num_ignores` and `min_thinking_tokens` have to be 0 with the closing delimiter "
                f"{self.format.close_text!r}, which is {len(self.format.close)} plain tokens of this tokenizer: that "
                "the model ends its thinking is known only after it has written them. `max_thinking_tokens` works. To "
                "ignore ends, use a tokenizer that has the delimiter as one token."
            )
        self.generation_config = generation_config
        self.context: int | None = None  # positions that the model has, if that is known
        self.rule = _decoding_rule(generation_config)
        self._warpers = _warpers(generation_config) if self.rule == "sample" else []
        eos = eos_ids(generation_config, tokenizer)
        self.format = _with_ends(self.format, eos)
        _check_format(self.format, tokenizer, eos)
        self.automaton = Automaton(tokenizer, self.format, self.budget.waits, answer_prefix, eos)
        self.eos_token_ids, self._pad = eos, _pad_id(generation_config, tokenizer)
        if max_thinking_tokens == "auto":
            self._check_auto()
        self._cpu_tables = self.automaton.tables()
        self._tables: dict[torch.device, Tables] = {torch.device("cpu"): self._cpu_tables}
        self._record = PrefixRecord(self._read, self._advance, self.rule == "beam", self._agrees)
        self._run = 0
        self._thread, self._seen = -1, dict[int, torch.Tensor]()  # who called last, and what each has seen
        self._limits: Limits
        self._uniforms: dict[int, torch.Tensor] = {}
        self._resumed: torch.Tensor | None = None
        self._last: tuple[torch.Tensor, torch.Tensor] | None = None
        self.observed: torch.Tensor | None = None  # the sequences so far, if an observer is among the criteria
        self.stopped_at: torch.Tensor | None = None  # the length at which its criteria stopped each row; 0: not yet

    def __call__(self, input_ids: torch.LongTensor, scores: torch.FloatTensor) -> torch.FloatTensor:
        """
        Args:
            input_ids (`torch.LongTensor` of shape `(batch_size, sequence_length)`): prompts, padded on the left, and
                what was generated.
            scores (`torch.FloatTensor` of shape `(batch_size, vocab_size)`): of the next token; not modified.

        Returns:
            `torch.FloatTensor` of shape `(batch_size, vocab_size)`: new scores. In a row in which a token is forced
            it has score 0 and every other one `-inf`; likewise where, under sampling, the draw that decides about an
            end attempt has been made.

        Raises:
            ValueError: the shapes do not fit the budgets or the vocabulary.
        """
        self._check_call(input_ids, scores)
        self._check_thread(input_ids)
        step = self._record.follow(input_ids)
        self._seen[self._thread] = step.hashes
        if self._run != self._record.runs:
            self._begin(step, input_ids)
        tables = self._on(input_ids.device)
        decision = decide(
            tables,
            self._limits,
            step.state,
            input_ids,
            scores,
            self.rule,
            lambda masked: self._draw(masked, input_ids),
            self.budget.loop_guard,
        )
        step.state, step.pick = decision.state, decision.pick
        self._last = (input_ids, decision.scores) if self.rule == "greedy" else (input_ids, input_ids)
        return decision.scores  # type: ignore[return-value]

    def reports(self, sequences: Any = None) -> list[Report]:
        """One report per row of the last call of `generate`.

        Args:
            sequences (`torch.LongTensor` of shape `(rows, length)`, or what `generate` returned, *optional*): needed
                where the processor cannot know the last token: sampling, beam search and assisted decoding. With
                the arguments of [`budget_forcing`] it is needed for beam search alone.

        Raises:
            RuntimeError: nothing has been generated, the sequences are not what was generated, a forced token was
                changed, or decoding was not greedy although no `generation_config` said so.
        """
        ids, lengths, trace = self.traced(sequences)
        start, rows = self._record.prompt_length, ids.tolist()
        tokens = self._cpu_tables.cells[:, 0][trace.states[:, Field.CELL]]
        reports = []
        for r, row in enumerate(rows):
            if self.rule == "beam" and set(row[start:]) == {self._pad}:
                # Where only one continuation is allowed, beam search fills the beams it lacks with padding.
                reports.append(Report(0, "never_started", 0, (), 0))
                continue
            n = lengths[r] - start
            self._check_followed(r, torch.tensor(row[start : lengths[r]]), tokens[:n, r], trace)
            final = trace.final[:, r].tolist()
            reports.append(
                Report(
                    thinking_tokens=final[Field.THINKING],
                    ended=Ended(final[Field.ENDED]).name.lower(),  # type: ignore[arg-type]
                    ends_ignored=final[Field.IGNORED],
                    forced=tuple((tokens[:n, r] >= 0).tolist()),
                    answer_tokens=final[Field.ANSWER],
                )
            )
        return reports

    def traced(self, sequences: Any = None) -> tuple[torch.Tensor, list[int], Trace]:
        """The last call's sequences, the length of each without padding, and the steps that led to them.

        Args:
            sequences: as for [`reports`].

        Raises:
            RuntimeError: as [`reports`].
        """
        ids = self._sequences(sequences)
        start = self._record.prompt_length
        rows = ids.tolist()
        stops = self.stopped_at.tolist() if self.stopped_at is not None and self.rule != "beam" else []
        stops = stops if len(stops) == len(rows) else [0] * len(rows)
        lengths = [self._length(row, start, stop) for row, stop in zip(rows, stops, strict=True)]
        trace = self._record.trace(ids, lengths)
        tokens = self._cpu_tables.cells[:, 0][trace.states[:, Field.CELL]]
        padded = [
            r
            for r, n in enumerate(lengths)
            if not stops[r] and self._is_padding(rows[r][n - 1], tokens, trace, r, n - start - 1)
        ]
        if padded:  # a row that a stopping criterion ended is padded, perhaps with the end of sequence
            lengths = [max(n - (r in padded), start + 1) for r, n in enumerate(lengths)]
            trace = self._record.trace(ids, lengths)
        return ids, lengths, trace

    @property
    def tables(self) -> Tables:
        """The automaton's, on the CPU."""
        return self._cpu_tables

    def observe(self, input_ids: torch.Tensor, done: torch.Tensor) -> None:
        """What was generated so far, the last token included, and which rows its criteria stop here."""
        self.observed = input_ids
        before = torch.zeros_like(done, dtype=torch.long) if self.stopped_at is None else self.stopped_at
        if before.shape == done.shape:  # else rows come and go, as in some kinds of assisted decoding
            self.stopped_at = torch.where((before == 0) & done, input_ids.shape[1], before)

    def state_after(self, input_ids: torch.Tensor) -> torch.Tensor:
        """Where the rows of `input_ids` stand, of which all but the last token have been seen; `(7, batch_size)`."""
        step = self._record.peek(input_ids)
        return self._read(input_ids.tolist()).to(input_ids.device) if step is None else step.state

    def forced_at(self, position: int) -> torch.Tensor:
        """Whether the token at index `position` of each row is forced, while it is generated; `(batch_size,)`."""
        state = self._record.step(position).state
        return self._on(state.device).cells[state[Field.CELL], 0] >= 0

    def resume(self, state: torch.Tensor) -> None:
        """The next call of `generate` stands in `state`, of shape `(7, batch_size)`, and its prompts are not read."""
        self._resumed = state

    # -- one call of generate -----------------------------------------------------------------------------------

    def _begin(self, step: Step, input_ids: torch.Tensor) -> None:
        """A new call of `generate`: lay the budgets out over its rows."""
        limits = self.lay_out(step.state.cpu(), input_ids.shape[1])
        self._limits = Limits(*(column.to(input_ids.device) for column in limits))
        self._uniforms, self.observed, self.stopped_at = {}, None, None
        self._run = self._record.runs

    def lay_out(self, state: torch.Tensor, prompt_length: int) -> Limits:
        """The budgets of every row of a batch whose prompts, padded to `prompt_length`, have led to `state`.

        Raises:
            ValueError: the budgets do not fit the batch, or `"auto"` finds too little room.
        """
        per_prompt, prompts = _rows_per_prompt(self.generation_config), self.budget.num_prompts or 1
        rows = state.shape[1]
        if self.budget.num_prompts and prompts * per_prompt != rows:
            each = "" if per_prompt == 1 else f" of {per_prompt} rows each"
            hint = (
                "" if self.generation_config else " (num_return_sequences and num_beams come from `generation_config`)"
            )
            raise ValueError(
                f"Budgets given per prompt have to fit the batch: there are {prompts} of them for prompts{each}, but "
                f"the batch has {rows} rows{hint}."
            )
        most, least, ignores = (
            torch.tensor(self.budget.column(name, prompts)).repeat_interleave(rows // prompts)
            for name in ("max_thinking_tokens", "min_thinking_tokens", "num_ignores")
        )
        if self.budget.max_thinking_tokens == "auto":
            opened = self._cpu_tables.cells[state[Field.CELL], 1]
            most = state[Field.THINKING] + self._room(prompt_length) + opened * len(self.format.start)
            if bool((least > most).any()):
                raise ValueError(
                    f"`min_thinking_tokens` has to be at most what is left for thinking, but is {int(least.max())} and "
                    f"'auto' leaves {int(most.min())}. Raise `max_new_tokens`."
                )
        return Limits(most, least, ignores)

    def check_vocabulary(self, size: int) -> None:
        """Raises a `ValueError` if a model with `size` scores lacks a token that is forced or looked for."""
        needed = self.automaton.largest_id
        if size <= needed:
            raise ValueError(
                f"The model's vocabulary has to hold the format's token {needed}, but has {size} rows. Tokenizer and "
                "model do not belong together."
            )

    def _draw(self, scores: torch.Tensor, input_ids: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Final probabilities, and a token drawn from them; the same draw whenever a length comes again."""
        for warper in self._warpers:
            scores = warper(input_ids, scores)
        probabilities = scores.softmax(-1)
        exact = torch.float32 if scores.device.type == "mps" else torch.float64
        uniform = self._uniforms.get(input_ids.shape[1])
        if uniform is None or uniform.device != scores.device:
            uniform = torch.rand(len(scores), 1, dtype=exact, device=scores.device)
            self._uniforms[input_ids.shape[1]] = uniform
        sums = probabilities.cumsum(-1, dtype=exact)
        tokens = torch.searchsorted(sums, uniform * sums[:, -1:], right=True)[:, 0]
        return probabilities, tokens.clamp(max=scores.shape[1] - 1)

    def _read(self, prompts: list[list[int]]) -> torch.Tensor:
        if self._resumed is not None:
            return self._resumed
        return first_state([self.automaton.enter(ids) for ids in prompts])

    def _advance(self, state: torch.Tensor, tokens: torch.Tensor) -> torch.Tensor:
        return advance(self._on(state.device), state, tokens)

    def _agrees(self, state: torch.Tensor, pick: torch.Tensor | None, tokens: torch.Tensor) -> bool:
        tables = self._on(state.device)
        forced, free, *_ = tables.cells[state[Field.CELL]].unbind(1)
        differs = (forced >= 0) & (forced != tokens)
        if self.rule == "greedy" and pick is not None:
            differs = differs | (free.bool() & ~tables.is_end[tables.clamp(pick)] & (pick != tokens))
        return not bool(differs.any())

    def _on(self, device: torch.device) -> Tables:
        if device not in self._tables:
            self._tables[device] = self._cpu_tables.to(device)
        return self._tables[device]

    # -- checks -------------------------------------------------------------------------------------------------

    def _check_call(self, input_ids: torch.Tensor, scores: torch.Tensor) -> None:
        if input_ids.dim() != 2 or scores.dim() != 2 or input_ids.shape[0] != scores.shape[0]:
            raise ValueError(
                "Budget forcing has to see whole sequences: `input_ids` of shape (batch_size, sequence_length) and "
                f"`scores` of shape (batch_size, vocab_size), but got {tuple(input_ids.shape)} and "
                f"{tuple(scores.shape)}. Continuous batching (`generate_batch`) hands over each request's last token "
                "alone and is not supported; use `generate`."
            )
        if input_ids.shape[1] == 0:
            raise ValueError(
                "Budget forcing has to see the prompt's token ids, but `input_ids` is empty. Pass `input_ids` to "
                "`generate`, also beside `inputs_embeds`."
            )
        self.check_vocabulary(scores.shape[1])

    def _check_thread(self, input_ids: torch.Tensor) -> None:
        """Refuses a call that goes on where another thread has begun one of its own."""
        thread = threading.get_ident()
        if thread != self._thread and thread in self._seen and self._record.goes_on(self._seen[thread], input_ids):
            raise RuntimeError(
                "The processor has to be used by one call of `generate` at a time, but two threads use it at once. "
                "Make one for each call."
            )
        self._thread = thread

    def _check_auto(self) -> None:
        config = self.generation_config
        if config is None or (config.max_new_tokens is None and config.max_length is None):
            raise ValueError(
                '`max_thinking_tokens="auto"` has to know how much may be generated: give a `generation_config` with '
                "`max_new_tokens` or `max_length`, or use `budget_forcing(model, tokenizer, ...)`."
            )
        if config.max_new_tokens is not None:
            self._room(0)

    def _room(self, prompt_length: int) -> int:
        """Thinking tokens that `"auto"` allows behind a prompt of `prompt_length` that has not opened thinking."""
        assert self.generation_config is not None
        room = self.generation_config.max_new_tokens
        if room is None:
            room = self.generation_config.max_length - prompt_length
        if self.context is not None:
            room = min(room, self.context - prompt_length)
        needed = len(self.format.start) + self.automaton.max_closing + ANSWER_RESERVE
        if room < needed:
            raise ValueError(
                f'`max_thinking_tokens="auto"` has to leave room for delimiters, answer prefix and {ANSWER_RESERVE} '
                f"tokens of answer, {needed} in all, but only {room} tokens may be generated. Raise `max_new_tokens`, "
                "or set `max_thinking_tokens` to a number."
            )
        return room - needed

    def _check_followed(self, r: int, taken: torch.Tensor, forced: torch.Tensor, trace: Trace) -> None:
        """Whether `generate` took the tokens that were forced in row `r`, and decoded as it was said to."""
        if bool(((forced >= 0) & (forced != taken)).any()):
            raise RuntimeError(
                f"Row {r} does not have the tokens that were forced: something behind this processor changed them. "
                "Put it last in `logits_processor`."
            )
        pick = trace.picks[: len(taken), r]
        thinking = self._cpu_tables.cells[:, 1][trace.states[: len(taken), Field.CELL, r]].bool()
        skipped = self._cpu_tables.is_end[self._cpu_tables.clamp(pick)]
        if self.rule == "greedy" and bool((thinking & ~skipped & (taken != pick)).any()):
            raise RuntimeError(
                f"Row {r} was not decoded greedily, so that end attempts were not seen where they happened. Give the "
                "processor the `generation_config` that `generate` uses, or take all arguments from "
                "`budget_forcing(model, tokenizer, ...)`; and put it last in `logits_processor`."
            )

    def _sequences(self, sequences: Any) -> torch.Tensor:
        if self._last is None:
            raise RuntimeError(
                "There is no report yet: call `model.generate(..., logits_processor=[processor])` first."
            )
        sequences = getattr(sequences, "sequences", sequences)
        if sequences is not None:
            start = self._record.prompt_length
            if not (isinstance(sequences, torch.Tensor) and sequences.dim() == 2 and not sequences.is_floating_point()):
                raise RuntimeError(
                    "`sequences` has to be what `generate` returned, ids of shape (rows, length), but is "
                    f"{getattr(sequences, 'shape', type(sequences).__name__)}."
                )
            if len(sequences) == 0 or sequences.shape[1] <= start:
                raise RuntimeError(
                    f"`sequences` has to be the prompts, {start} tokens long, with what was generated, but has the "
                    f"shape {tuple(sequences.shape)}. Pass what `generate` returned, prompts included."
                )
            return sequences.cpu()
        if self.rule == "beam":
            raise RuntimeError("After beam search say which beams were returned: `reports(model.generate(...))`.")
        if self.observed is not None:
            return self.observed.cpu()
        if self.rule == "sample" or not self._record.is_linear:
            raise RuntimeError(
                "With sampling or assisted decoding the last token is not known here: pass what `generate` returned, "
                "`reports(outputs)`, or take all arguments from `budget_forcing(model, tokenizer, ...)`."
            )
        ids, scores = self._last
        return torch.cat([ids, scores.argmax(-1)[:, None]], dim=1).cpu()

    def _is_padding(self, token: int, forced: torch.Tensor, trace: Trace, r: int, i: int) -> bool:
        """Whether the end of sequence that ends row `r` is padding: not what was forced or, when greedy, picked."""
        if token not in self.eos_token_ids or token != self._pad or i == 0:
            return False
        return bool(forced[i, r] >= 0) or (self.rule == "greedy" and int(trace.picks[i, r]) != token)

    def _length(self, row: list[int], prompt_length: int, stop: int) -> int:
        """How long a row is without the padding behind it; a criterion stopped it at `stop`, if that is not 0."""
        for i in range(prompt_length, min(stop or len(row), len(row))):
            if row[i] in self.eos_token_ids:
                return i + 1
        if stop:
            return min(stop, len(row))
        end = len(row)
        while end > prompt_length + 1 and row[end - 1] == self._pad:
            end -= 1
        return end


def resolve_format(tokenizer: PreTrainedTokenizerBase, format: ThinkingFormat | str | None) -> ThinkingFormat:
    """`format` itself, or the one of that name, or the one detected from `tokenizer`."""
    check_tokenizer(tokenizer)
    if isinstance(format, ThinkingFormat):
        _check_format(format, tokenizer, [])
        return format
    if isinstance(format, str) and format not in FAMILIES:
        raise ValueError(
            f"`format` has to be one of {', '.join(map(repr, FAMILIES))}, or a ThinkingFormat, but is {format!r}. For "
            "delimiters of your own use `ThinkingFormat.from_delimiters(tokenizer, start=..., close=...)`."
        )
    if format is None or isinstance(format, str):
        return ThinkingFormat.from_tokenizer(tokenizer, format)
    raise TypeError(f"`format` has to be a ThinkingFormat, its name or None, but is {format!r}.")


def _check_format(format: ThinkingFormat, tokenizer: PreTrainedTokenizerBase, eos: list[int]) -> None:
    texts = Vocabulary.of(tokenizer).texts
    for name, ids, text in (("start", format.start, format.start_text), ("close", format.close, format.close_text)):
        if "".join((texts[i] if i < len(texts) else None) or "?" for i in ids).strip() != text.strip():
            raise ValueError(
                f"`format` has to be resolved on this tokenizer, but its `{name}` {text!r} has the ids {list(ids)}, "
                "which stand for something else here. Make it with `ThinkingFormat.from_tokenizer(tokenizer, ...)`."
            )
        if set(ids) & set(eos) and (name == "close" or format.force_start):
            raise ValueError(
                f"`{name}` of the thinking format has to be free of ends of sequence, at which `generate` stops, but "
                f"{text!r} contains one of {eos}. Leave it out of `eos_token_id`."
            )


def _decoding_rule(config: GenerationConfig | None) -> Rule:
    if config is None:
        return "greedy"
    off: dict[str, Any] = {
        "num_beam_groups": 1,
        "penalty_alpha": None,
        "dola_layers": None,
        "watermarking_config": None,
    }
    if config.do_sample:
        off |= {"typical_p": 1.0, "epsilon_cutoff": 0.0, "eta_cutoff": 0.0, "top_h": None}
    bad = [f"{n}={getattr(config, n)!r}" for n in off if getattr(config, n, None) not in (None, off[n])]
    if bad:
        raise ValueError(
            "Budget forcing is exact for greedy decoding, beam search, and sampling with temperature, top_k, top_p and "
            f"min_p; not supported is {', '.join(bad)}. Unset it."
        )
    if (config.num_beams or 1) > 1:
        return "beam"
    return "sample" if config.do_sample else "greedy"


def _warpers(config: GenerationConfig | None) -> list[LogitsProcessor]:
    """What `generate` will do to the scores behind this processor, in its order."""
    assert config is not None
    top_k = 50 if config.top_k is None else config.top_k  # `generate`'s own default
    warpers: list[LogitsProcessor] = []
    if config.temperature not in (None, 1.0):
        warpers.append(TemperatureLogitsWarper(config.temperature))
    if top_k != 0:
        warpers.append(TopKLogitsWarper(top_k))
    if config.top_p is not None and config.top_p < 1.0:
        warpers.append(TopPLogitsWarper(config.top_p))
    if config.min_p is not None:
        warpers.append(MinPLogitsWarper(config.min_p))
    return warpers


def _rows_per_prompt(config: GenerationConfig | None) -> int:
    return max(config.num_beams or 1, config.num_return_sequences or 1) if config else 1


def eos_ids(config: GenerationConfig | None, tokenizer: PreTrainedTokenizerBase) -> list[int]:
    """Ids at which `generate` stops a row."""
    eos = config.eos_token_id if config and config.eos_token_id is not None else tokenizer.eos_token_id
    known = range(len(Vocabulary.of(tokenizer).texts))
    return [int(i) for i in (eos if isinstance(eos, (list, tuple)) else [eos]) if i is not None and i in known]


def _pad_id(config: GenerationConfig | None, tokenizer: PreTrainedTokenizerBase) -> int | None:
    return config.pad_token_id if config and config.pad_token_id is not None else tokenizer.pad_token_id


def _with_ends(format: ThinkingFormat, eos: list[int]) -> ThinkingFormat:
    return replace(format, ends=tuple(dict.fromkeys((*format.ends, *eos))))
