"""Stopping criteria that know where thinking ends; each works by itself in any `generate`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import torch
from transformers import StoppingCriteria, StopStringCriteria

from s1_hf.forcing.automaton import Automaton
from s1_hf.forcing.budget import NO_LIMIT
from s1_hf.forcing.decisions import Field, advance, first_state
from s1_hf.forcing.formats import resolve_format
from s1_hf.forcing.prompts import read_prompt
from s1_hf.forcing.report import Ended
from s1_hf.forcing.values import is_count
from s1_hf.generation.config import eos_ids
from s1_hf.generation.processor import BudgetForcingLogitsProcessor
from s1_hf.generation.record import PrefixRecord

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

    from s1_hf.forcing.formats import ThinkingFormat


NO_ID = 2**31
"""Beyond every vocabulary: transformers takes such ids for tokens without text."""


class _FormatCriteria(StoppingCriteria):
    """Follows every row through the thinking format; what was generated is read like the prompt."""

    def __init__(self, tokenizer: PreTrainedTokenizerBase, format: ThinkingFormat | str | None) -> None:
        self.format = resolve_format(tokenizer, format)
        self._automaton = Automaton.of(tokenizer, self.format, eos=[*eos_ids(None, tokenizer), *self.format.handovers])
        self._record = PrefixRecord(self._read, self._advance)

    def _read(self, rows: list[list[int]]) -> torch.Tensor:
        # The first call comes with the first generated token after the prompt.
        state = first_state([read_prompt(self._automaton, ids[:-1]) for ids in rows])
        return self._advance(state, torch.tensor([ids[-1] for ids in rows]))

    def _advance(self, state: torch.Tensor, tokens: torch.Tensor) -> torch.Tensor:
        return advance(self._automaton.tables_on(state.device), state, tokens)

    def _state(self, input_ids: torch.Tensor) -> torch.Tensor:
        return self._record.follow(input_ids).state


class ThinkingEndCriteria(_FormatCriteria):
    """
    Stops a row when its thinking ends: right after the complete closing delimiter. For two-phase generation and for
    rejection sampling (s1, https://arxiv.org/abs/2501.19393, section 3.2). A row whose prompt has closed thinking
    stops at once; one that never thinks runs on.

    Args:
        tokenizer ([`PreTrainedTokenizerBase`]): the model's tokenizer.
        format ([`ThinkingFormat`] or `str`, *optional*): the delimiters; detected from the tokenizer if absent.

    Raises:
        ValueError: the tokenizer lacks the delimiters.

    Example:

    ```python
    >>> from s1_hf import ThinkingEndCriteria, embedded
    >>> model, tokenizer = embedded.load()
    >>> chat = [{"role": "user", "content": embedded.Problem(2, 7, 3, 8).question}]
    >>> inputs = tokenizer.apply_chat_template(chat, add_generation_prompt=True, return_tensors="pt", return_dict=True)
    >>> out = model.generate(**inputs, max_new_tokens=200, stopping_criteria=[ThinkingEndCriteria(tokenizer)])
    >>> tokenizer.decode(out[0, -2:])
    '<|im_start|>answer'

    ```
    """

    def __init__(self, tokenizer: PreTrainedTokenizerBase, *, format: ThinkingFormat | str | None = None) -> None:
        super().__init__(tokenizer, format)

    def __call__(self, input_ids: torch.LongTensor, scores: Any, **kwargs: Any) -> torch.BoolTensor:
        """Which rows of `input_ids`, of shape `(batch_size, sequence_length)`, are done: bool, `(batch_size,)`."""
        cell, *_ = self._state(input_ids)
        return (cell >= self._automaton.answer) & (cell < self._automaton.done)


class AnswerLengthCriteria(_FormatCriteria):
    """
    Stops a row when its answer has `max_answer_tokens` tokens, so that it cannot run on after an early exit. Counted
    are the tokens after the closing delimiter, a forced answer prefix included; a row that never thinks is all
    answer. Assisted decoding asks only after each accepted draft, and may overshoot by its length.

    Args:
        max_answer_tokens (`int`): at least 1.
        tokenizer ([`PreTrainedTokenizerBase`]): the model's tokenizer.
        format ([`ThinkingFormat`] or `str`, *optional*): the delimiters; detected from the tokenizer if absent.

    Raises:
        ValueError: the length is not an integer of at least 1, or the tokenizer lacks the delimiters.

    Example:

    ```python
    >>> from s1_hf import AnswerLengthCriteria, embedded
    >>> model, tokenizer = embedded.load()
    >>> chat = [{"role": "user", "content": embedded.Problem(2, 7, 3, 8).question}]
    >>> inputs = tokenizer.apply_chat_template(chat, add_generation_prompt=True, return_tensors="pt", return_dict=True)
    >>> stop = AnswerLengthCriteria(2, tokenizer)
    >>> out = model.generate(**inputs, max_new_tokens=200, stopping_criteria=[stop])
    >>> out[0, -4:-2].tolist() == tokenizer.encode("<|im_start|>answer")
    True

    ```
    """

    def __init__(
        self,
        max_answer_tokens: int,
        tokenizer: PreTrainedTokenizerBase,
        *,
        format: ThinkingFormat | str | None = None,
    ) -> None:
        check_answer_length(max_answer_tokens)
        super().__init__(tokenizer, format)
        self.max_answer_tokens = max_answer_tokens

    def __call__(self, input_ids: torch.LongTensor, scores: Any, **kwargs: Any) -> torch.BoolTensor:
        """Which rows of `input_ids`, of shape `(batch_size, sequence_length)`, are done: bool, `(batch_size,)`."""
        return is_long(self._state(input_ids), self._automaton, self.max_answer_tokens)


class BudgetedAnswerLength(StoppingCriteria):
    """[`AnswerLengthCriteria`] beside a processor, which knows where its rows stand."""

    def __init__(self, max_answer_tokens: int, processor: BudgetForcingLogitsProcessor) -> None:
        check_answer_length(max_answer_tokens)
        self._most, self._processor = max_answer_tokens, processor

    def __call__(self, input_ids: torch.LongTensor, scores: Any, **kwargs: Any) -> torch.BoolTensor:
        """As [`AnswerLengthCriteria`]."""
        return is_long(self._processor.state_after(input_ids), self._processor.automaton, self._most)


class AnswerStopStrings(StoppingCriteria):
    """Stops a row where its own answer holds one of some texts; thinking and forced tokens are not looked at.

    Args:
        stop_strings (`str` or `Sequence[str]`): as in `generate`.
        tokenizer ([`PreTrainedTokenizerBase`]): the model's.
        processor ([`BudgetForcingLogitsProcessor`]): beside which it stands.

    Raises:
        ValueError: `stop_strings` is no text and no sequence of texts.
    """

    def __init__(
        self,
        stop_strings: str | Sequence[str],
        tokenizer: PreTrainedTokenizerBase,
        processor: BudgetForcingLogitsProcessor,
    ) -> None:
        texts = [stop_strings] if isinstance(stop_strings, str) else stop_strings
        if not isinstance(texts, Sequence) or not texts or not all(isinstance(text, str) and text for text in texts):
            raise ValueError(
                f"`answer_stop_strings` has to be a text, or a sequence of texts, but is {stop_strings!r}."
            )
        self._found, self._processor = StopStringCriteria(tokenizer, list(texts)), processor
        self._forced = len(processor.automaton.answer_ids)  # which open an answer behind a cut

    def __call__(self, input_ids: torch.LongTensor, scores: Any, **kwargs: Any) -> torch.BoolTensor:
        """Which rows of `input_ids`, of shape `(batch_size, sequence_length)`, are done: bool, `(batch_size,)`."""
        state, automaton = self._processor.state_after(input_ids), self._processor.automaton
        # 1. How many tokens at each row's end are its own answer's: none while it thinks or is forced.
        is_cut = (state[Field.ENDED] == Ended.CUT) | (state[Field.ENDED] == Ended.LOOPED)
        own = state[Field.ANSWER] - is_cut * self._forced  # (batch_size,)
        own = torch.where(state[Field.CELL] < automaton.answer, 0, own)
        # 2. The others are made ids that no text holds.
        tail = input_ids[:, -self._found.maximum_token_len :]  # (batch_size, T)
        from_end = torch.arange(tail.shape[1], 0, -1, device=tail.device)  # 1 is the last token
        seen = torch.where(from_end <= own[:, None], tail, NO_ID)
        return self._found(seen, None)


def check_answer_length(max_answer_tokens: object) -> None:
    """Raises a `ValueError` for what is no `max_answer_tokens`."""
    if not is_count(max_answer_tokens) or max_answer_tokens < 1:  # type: ignore[operator]
        raise ValueError(f"`max_answer_tokens` has to be an integer of at least 1, but is {max_answer_tokens!r}.")


def is_long(state: torch.Tensor, automaton: Automaton, most: int | torch.Tensor) -> torch.BoolTensor:
    """Which rows have `most` answer tokens, and do not think again; `bool` of shape `(batch_size,)`."""
    cell = state[Field.CELL]
    opening = (cell > automaton.pre) & (cell < automaton.think)  # a part of the opening delimiter
    thinking = (state[Field.ENDED] == Ended.UNFINISHED) | opening
    most = min(most, NO_LIMIT) if isinstance(most, int) else most
    return (state[Field.ANSWER] >= most) & ~thinking  # type: ignore[return-value]


class SequenceObserver(StoppingCriteria):
    """Stops rows where one of its criteria does, and tells a processor so, with everything generated, the last token
    included: its reports then need nothing else."""

    def __init__(self, processor: BudgetForcingLogitsProcessor, criteria: Sequence[StoppingCriteria] = ()) -> None:
        self._processor, self._criteria = processor, criteria
        self._none = torch.zeros(0, dtype=torch.bool)  # (batch_size,)

    def __call__(self, input_ids: torch.LongTensor, scores: Any, **kwargs: Any) -> torch.BoolTensor:
        """Which rows of `input_ids`, of shape `(batch_size, sequence_length)`, are done: bool, `(batch_size,)`."""
        if len(self._none) != len(input_ids) or self._none.device != input_ids.device:
            self._none = torch.zeros(len(input_ids), dtype=torch.bool, device=input_ids.device)
        done = self._none
        for criterion in self._criteria:
            done = done | criterion(input_ids, scores, **kwargs)
        self._processor.note_sequences(input_ids, done if self._criteria else None)
        return done  # type: ignore[return-value]


class StepListener(StoppingCriteria):
    """Never stops; tells `on_step`, at every token, how many rows there are."""

    def __init__(self, on_step: Callable[[int], None]) -> None:
        self._on_step = on_step

    def __call__(self, input_ids: torch.LongTensor, scores: Any, **kwargs: Any) -> torch.BoolTensor:
        """False for every row."""
        self._on_step(len(input_ids))
        return torch.zeros(len(input_ids), dtype=torch.bool, device=input_ids.device)  # type: ignore[return-value]
