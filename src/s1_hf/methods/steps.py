"""Steps of thinking with a countdown before each, held to (s1, section 3.2 and its step-conditional control)."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, NamedTuple

import torch
from transformers import LogitsProcessor

from s1_hf.forcing.automaton import Automaton
from s1_hf.forcing.decisions import Field, advance, first_state
from s1_hf.forcing.prompts import read_prompt
from s1_hf.forcing.report import Ended
from s1_hf.forcing.vocabulary import encode
from s1_hf.generation.config import eos_ids
from s1_hf.generation.record import PrefixRecord

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

    from s1_hf.forcing.formats import ThinkingFormat
    from s1_hf.generation.chats import Completion

DELIMITER = "<|im_start|>{steps} steps left\n"
"""The paper's, which counts down to 1 here. Its code that forces it could not be found; ours follows its appendix."""


def step_format(tokenizer: PreTrainedTokenizerBase, fmt: ThinkingFormat, delimiter: str = DELIMITER) -> ThinkingFormat:
    """`fmt`, in which a step's delimiter does not end thinking.

    In s1's format both `<|im_start|>answer` and `<|im_start|>64 steps left` begin with a token that otherwise counts
    as the wish to end. Where that is so, thinking ends with the whole closing delimiter, found by its text, and
    attempts to end cannot be ignored; other formats stay as they are.
    """
    first = encode(tokenizer, delimiter.format(steps=1))[:1]
    if first != fmt.close[:1] or len(fmt.close) == 1:
        return fmt
    return replace(fmt, ends=tuple(end for end in fmt.ends if end != fmt.close[0]))


def check_delimiter(tokenizer: PreTrainedTokenizerBase, fmt: ThinkingFormat, delimiter: str) -> None:
    """Raises a `ValueError` if `delimiter` could not be told from thinking's beginning or end in `fmt`."""
    text = delimiter.format(steps=1)
    ends = {*fmt.ends, *eos_ids(None, tokenizer)} & set(encode(tokenizer, text))
    if ends or fmt.start_text in text or fmt.close_text in text:
        raise ValueError(
            f"`delimiter` has to be free of delimiters and ends of sequence of the {fmt.name!r} format, but is "
            f"{delimiter!r}."
        )
    if not fmt.ends:
        raise ValueError("Steps can be forced if the tokenizer has an end of sequence, but this one has none.")


def count_steps(thinking: str, delimiter: str = DELIMITER) -> int:
    """How many steps a thinking has: its delimiters or, if it has none, its parts between blank lines.

    Example:

    ```python
    >>> from s1_hf.methods import count_steps
    >>> count_steps("2 + 2 is 4.\\n\\nDoubled, 8."), count_steps("<|im_start|>1 steps left\\nIt is\\n\\n4.")
    (2, 1)

    ```
    """
    before, _, after = delimiter.strip().partition("{steps}")
    found = re.findall(re.escape(before) + r"\d+" + re.escape(after), thinking)
    return len(found) or sum(bool(part.strip()) for part in re.split(r"\n\s*\n", thinking))


@dataclass(frozen=True)
class OwnSteps:
    """A [`Steering`] under which the model may write steps of its own: a delimiter does not end its thinking.

    Args:
        delimiter (`str`): with `{steps}`.
    """

    delimiter: str = DELIMITER

    def format(self, tokenizer: PreTrainedTokenizerBase, format: ThinkingFormat) -> ThinkingFormat:
        """See [`step_format`]."""
        return step_format(tokenizer, format, self.delimiter)

    def processor(self, tokenizer: PreTrainedTokenizerBase, format: ThinkingFormat) -> LogitsProcessor:
        """One that changes nothing."""
        return _Nothing()

    def finished(self, processor: LogitsProcessor, row: int, completion: Completion) -> Completion:
        """The completion as it is."""
        return completion


@dataclass(frozen=True)
class Countdown:
    """A [`Steering`] by a [`StepCountdown`].

    Args:
        steps (`int`): at least 1.
        delimiter (`str`): with `{steps}`.
    """

    steps: int
    delimiter: str = DELIMITER

    def format(self, tokenizer: PreTrainedTokenizerBase, format: ThinkingFormat) -> ThinkingFormat:
        """See [`step_format`]."""
        return step_format(tokenizer, format, self.delimiter)

    def processor(self, tokenizer: PreTrainedTokenizerBase, format: ThinkingFormat) -> StepCountdown:
        """A [`StepCountdown`]."""
        return StepCountdown(tokenizer, format, self.steps, self.delimiter)

    def finished(self, processor: LogitsProcessor, row: int, completion: Completion) -> Completion:
        """See [`StepCountdown.finished`]."""
        assert isinstance(processor, StepCountdown)
        return processor.finished(row, completion)


class _Nothing(LogitsProcessor):
    def __call__(self, input_ids: torch.LongTensor, scores: torch.FloatTensor) -> torch.FloatTensor:
        return scores


class StepCountdown(LogitsProcessor):
    """
    Writes a countdown before each step of thinking, and closes thinking after the last. It stands before the processor
    of budget forcing. It decides in tensors, and does not wait for the device.

    The delimiter with `steps` comes first in the thinking, on a line of its own, then with one less after every step,
    down to 1. A step ends where the text since the delimiter, blank lines before it left out, ends in a blank line
    (`"\\n\\n"`), or where the model begins a delimiter itself, if that begins with a special token. That one continues
    with the right count; but where the closing delimiter begins with the same token, and its second is the model's most
    likely one, thinking closes, sampled or not. After the last step the closing delimiter is forced, and the thinking
    counts as `cut`; no answer prefix follows, because the paper's answers of forced steps are as long as without
    forcing. Thinking may end before that as always.

    Args:
        tokenizer ([`PreTrainedTokenizerBase`]): the model's tokenizer.
        format ([`ThinkingFormat`]): a [`step_format`].
        steps (`int`): at least 1.
        delimiter (`str`): with `{steps}`.

    Raises:
        ValueError: the delimiter could not be told from thinking's beginning or end.
    """

    def __init__(
        self, tokenizer: PreTrainedTokenizerBase, format: ThinkingFormat, steps: int, delimiter: str = DELIMITER
    ) -> None:
        check_delimiter(tokenizer, format, delimiter)
        self._automaton = Automaton.of(tokenizer, format, eos=eos_ids(None, tokenizer))
        self._steps = steps
        delimiters = [encode(tokenizer, delimiter.format(steps=n)) for n in range(1, steps + 1)]
        first = delimiters[0][0]
        self._special = first if first in self._automaton.vocabulary.special else -1
        self._closing = format.close[1] if self._special == format.close[0] else -1  # after it, what closes thinking
        self._tables = self._automaton.tables
        self._texts = _texts(self._automaton, delimiters)
        self._record = PrefixRecord(self._read, self._advance, rows_move=False)
        self._length = 0  # of the sequences at the last call
        self._forced: torch.Tensor | None = None  # (steps, batch_size), on the CPU, once it has been asked for

    def __call__(self, input_ids: torch.LongTensor, scores: torch.FloatTensor) -> torch.FloatTensor:
        """
        Args:
            input_ids (`torch.LongTensor` of shape `(batch_size, sequence_length)`): prompts, padded on the left, and
                what was generated.
            scores (`torch.FloatTensor` of shape `(batch_size, vocab_size)`): of the next token; not modified.

        Returns:
            `torch.FloatTensor` of the same shape: where a token is forced, only it has a score above `-inf`.
        """
        self._forced, self._length = None, input_ids.shape[1]
        self._move_to(input_ids.device)
        step = self._record.follow(input_ids)
        generated = input_ids.shape[1] - self._record.prompt_length
        step.state, token = self._decide(step.state, input_ids[:, -1], scores, generated)
        only, place = (token >= 0)[:, None], token.clamp(min=0)[:, None]
        kept = scores.gather(1, place).masked_fill(only, 0.0)
        return scores.masked_fill(only, -torch.inf).scatter(1, place, kept)  # type: ignore[return-value]

    def finished(self, row: int, completion: Completion) -> Completion:
        """The completion of the `row`-th row of the last call of `generate`, with what was forced here said in it."""
        if self._forced is None:
            lengths = range(self._record.prompt_length, self._length + 1)
            self._forced = torch.stack([_own(self._record.step(n).state).forced for n in lengths]).bool().cpu()
        ours = self._forced[: len(completion.forced), row].tolist()
        forced = tuple(map(max, completion.forced, ours))
        over_at = int(_own(self._record.step(self._length).state).over_at[row])
        cut = 0 < over_at < len(forced)
        if cut and completion.forced[over_at - 1] and not ours[over_at - 1]:
            # The closing delimiter was begun neither here nor by the model: it is budget forcing's, at a wish to end.
            cut = False
        report = replace(completion.report, forced=forced, ended="cut" if cut else completion.report.ended)
        return replace(completion, forced=forced, report=report)

    # -- the state of every row, (7 + 8, batch_size) ------------------------------------------------------------

    def _read(self, prompts: list[list[int]]) -> torch.Tensor:
        place = first_state([read_prompt(self._automaton, ids) for ids in prompts])
        blank = torch.zeros(place.shape[1], dtype=torch.long)
        nothing_due = torch.full_like(blank, self._texts.nothing)
        own = _Own(
            left=torch.full_like(blank, self._steps), text=blank, at=nothing_due, begun=blank, newlines=blank,
            written=blank, over_at=blank, forced=blank,
        )  # fmt: skip
        return torch.cat([place, torch.stack(own)])

    def _advance(self, state: torch.Tensor, tokens: torch.Tensor) -> torch.Tensor:
        """The state after `tokens`, of shape `(batch_size,)`."""
        place, own, texts = state[: len(Field)], _own(state), self._texts
        known = tokens.clamp(max=self._tables.num_ids)
        due = texts.ids[own.text, own.at]  # (batch_size,), -1: nothing
        ours = due == tokens
        # A step's text begins after our tokens.
        newlines = torch.where(texts.only_newlines[known], own.newlines, 0) + texts.newlines[known]
        own = own._replace(
            at=torch.where(ours, own.at + 1, texts.nothing),
            begun=((tokens == self._special) & ~ours).long(),
            newlines=torch.where(ours, 0, newlines),
            written=torch.where(ours, 0, own.written | texts.written[known]),
            forced=torch.zeros_like(own.forced),
        )
        return torch.cat([advance(self._tables, place, tokens), torch.stack(own)])

    def _decide(
        self, state: torch.Tensor, last: torch.Tensor, scores: torch.Tensor, generated: int
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """The state of rows whose next token is known, and that token, of shape `(batch_size,)`; -1: it is not.

        Args:
            last (`torch.LongTensor` of shape `(batch_size,)`): the token before it.
            generated (`int`): how many tokens have been generated.
        """
        own, texts = _own(state), self._texts
        thinks = state[Field.ENDED] == Ended.UNFINISHED
        over = thinks & (own.over_at > 0)
        due = texts.ids[own.text, own.at]  # (batch_size,), -1: nothing
        continues = thinks & (over | (due >= 0))
        free = thinks & ~continues

        # 1. The model has begun a delimiter: does it close its thinking, or has a step ended?
        begun = free & own.begun.bool()
        closes = torch.zeros_like(begun)
        if self._closing >= 0:
            closes = begun & (scores.argmax(-1) == self._closing)
        ends_step = begun & ~closes

        # 2. Thinking has just begun, or a step has ended with a blank line.
        blank_line = own.written.bool() & (own.newlines >= 2)
        ends_step = ends_step | (free & ~begun & ((own.left == self._steps) | blank_line))

        # 3. After the last step thinking is closed; after any other a delimiter is due, on a line of its own.
        was_last = ends_step & (own.left == 0)
        counts = ends_step & ~was_last
        left = own.left - counts.long()
        on_new_line = begun | self._tables.ends_line(last)
        text = torch.where(counts, left + self._steps * (~on_new_line).long(), own.text)
        at = torch.where(counts, begun.long(), own.at)  # of a delimiter that was begun the rest
        own = own._replace(
            left=left,
            text=text,
            at=at,
            over_at=torch.where(was_last, generated, own.over_at),
            forced=(continues | ends_step).long(),
        )

        # 4. The token that has to come.
        token = torch.where(thinks, texts.ids[text, at], -1)
        token = torch.where(over | was_last, self._automaton.format.ends[0], token)
        token = torch.where(closes, self._closing, token)
        return torch.cat([state[: len(Field)], torch.stack(own)]), token

    def _move_to(self, device: torch.device) -> None:
        if self._texts.ids.device != device:
            self._tables, self._texts = self._tables.to(device), self._texts.to(device)


class _Own(NamedTuple):
    """Where a countdown stands: `int64` tensors of shape `(batch_size,)`."""

    left: Any  # delimiters that have not been written
    text: Any  # row of `_Texts.ids`
    at: Any  # which of its tokens is due
    begun: Any  # 1: the model has just begun a delimiter itself
    newlines: Any  # in which the text of the step ends
    written: Any  # 1: the text of the step is not blank
    over_at: Any  # tokens that had been generated when the last step was over; 0: it is not
    forced: Any  # 1: the next token is forced here


class _Texts(NamedTuple):
    """What tokens are to a step, and what may be forced; the tables over ids have one more entry, for unknown ones."""

    ids: torch.Tensor  # (2 * steps, width) int64: the delimiters of 1, 2, ...; then each after a newline; then -1
    newlines: torch.Tensor  # (last id + 2,) int64: in which the token's text ends
    only_newlines: torch.Tensor  # (last id + 2,) bool: it is nothing else
    written: torch.Tensor  # (last id + 2,) int64: 1: it is not blank

    @property
    def nothing(self) -> int:
        """A column that holds no tokens."""
        return self.ids.shape[1] - 1

    def to(self, device: torch.device) -> _Texts:
        """The same on `device`."""
        return _Texts(*(table.to(device) for table in self))


def _texts(automaton: Automaton, delimiters: list[tuple[int, ...]]) -> _Texts:
    forced = [*delimiters, *((*automaton.newline, *ids) for ids in delimiters)]
    ids = torch.full((len(forced), max(map(len, forced)) + 1), -1)
    for row, text in zip(ids, forced, strict=True):
        row[: len(text)] = torch.tensor(text)
    texts = [text or "" for text in automaton.vocabulary.texts] + [""]
    without = [text.rstrip("\n") for text in texts]
    return _Texts(
        ids=ids,
        newlines=torch.tensor([len(text) - len(rest) for text, rest in zip(texts, without, strict=True)]),
        only_newlines=torch.tensor([not rest for rest in without]),
        written=torch.tensor([int(bool(text.strip())) for text in texts]),
    )


def _own(state: torch.Tensor) -> _Own:
    return _Own(*state[len(Field) :].unbind())
