"""Steps of thinking with a countdown before each, held to (s1, section 3.2 and its step-conditional control)."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import TYPE_CHECKING

import torch
from transformers import LogitsProcessor

from s1_hf.forcing.automaton import Automaton
from s1_hf.forcing.report import Ended
from s1_hf.forcing.vocabulary import encode
from s1_hf.generation.config import eos_ids

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

    from s1_hf.forcing.formats import ThinkingFormat
    from s1_hf.generation.chats import Completion

DELIMITER = "<|im_start|>{steps} steps left\n"
"""The paper's, which counts down to 1 here. Its code that forces it could not be found; ours follows its appendix."""


def step_format(tokenizer: PreTrainedTokenizerBase, fmt: ThinkingFormat, delimiter: str = DELIMITER) -> ThinkingFormat:
    """`fmt`, in which a step's delimiter does not end thinking.

    In s1's format both `<|im_start|>answer` and `<|im_start|>64 steps left` begin with a token that is else taken for
    the wish to end. Where that is so, thinking ends with the whole closing delimiter, found by its text, and attempts
    to end cannot be ignored; other formats stay as they are.
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
    before, _, behind = delimiter.strip().partition("{steps}")
    found = re.findall(re.escape(before) + r"\d+" + re.escape(behind), thinking)
    return len(found) or sum(bool(part.strip()) for part in re.split(r"\n\s*\n", thinking))


class StepCountdown(LogitsProcessor):
    """
    Writes a countdown before each step of thinking, and closes thinking behind the last. It stands before the
    processor of budget forcing, and waits for the device at every token.

    The delimiter with `steps` comes first in the thinking, on a line of its own, then with one less behind every step,
    down to 1. A step ends where the text since the delimiter, blank lines before it left out, ends in a blank line
    (`"\\n\\n"`), or where the model begins a delimiter itself, if that begins with a special token. That one goes on
    with the right count; but where the closing delimiter begins with the same token, and its second is the model's most
    likely one, thinking closes, sampled or not. Behind the last step the closing delimiter is forced, and the thinking
    counts as `cut`; no answer prefix follows, because the paper's answers of forced steps are as long as without
    forcing. Thinking may end before that as always.

    Args:
        tokenizer ([`PreTrainedTokenizerBase`]): the model's tokenizer.
        format ([`ThinkingFormat`]): a [`step_format`].
        steps (`int`): at least 1.
        delimiter (`str`): with `{steps}`.
    """

    def __init__(
        self, tokenizer: PreTrainedTokenizerBase, format: ThinkingFormat, steps: int, delimiter: str = DELIMITER
    ) -> None:
        check_delimiter(tokenizer, format, delimiter)
        self._automaton = Automaton(tokenizer, format, eos=eos_ids(None, tokenizer))
        self._delimiters = [encode(tokenizer, delimiter.format(steps=n)) for n in range(1, steps + 1)]
        self._rows: list[_Row] = []  # of all calls of `generate`, one after the other
        self._batch: list[_Row] = []
        self._seen = torch.empty(0, 0, dtype=torch.long)

    def __call__(self, input_ids: torch.LongTensor, scores: torch.FloatTensor) -> torch.FloatTensor:
        """
        Args:
            input_ids (`torch.LongTensor` of shape `(batch_size, sequence_length)`): prompts, padded on the left, and
                what was generated.
            scores (`torch.FloatTensor` of shape `(batch_size, vocab_size)`): of the next token; not modified.

        Returns:
            `torch.FloatTensor` of the same shape: where a token is forced, it alone has a score above `-inf`.
        """
        if input_ids.shape == (len(self._seen), self._seen.shape[1] + 1) and input_ids[:, :-1].equal(self._seen):
            for row, token in zip(self._batch, input_ids[:, -1].tolist(), strict=True):
                row.add(token)
        else:
            self._batch = [_Row(self._automaton, ids, self._delimiters) for ids in input_ids.tolist()]
            self._rows += self._batch
        self._seen = input_ids
        scores = scores.clone()  # type: ignore[assignment]
        for row, of_row in zip(self._batch, scores, strict=True):
            row.decide(of_row)
        return scores

    def finished(self, row: int, completion: Completion) -> Completion:
        """The completion of the `row`-th prompt that went through, with what was forced here said in it."""
        own = self._rows[row]
        forced = tuple(map(max, completion.forced, own.forced))
        at = own.over_at
        # A closing delimiter that was begun neither here nor by the model is budget forcing's, at a wish to end.
        cut = 0 < at < len(forced) and not (completion.forced[at - 1] and not own.forced[at - 1])
        report = replace(completion.report, forced=forced, ended="cut" if cut else completion.report.ended)
        return replace(completion, forced=forced, report=report)


class _Row:
    """Where one row stands."""

    def __init__(self, automaton: Automaton, prompt: list[int], delimiters: list[tuple[int, ...]]) -> None:
        self._automaton, self._delimiters, self._left = automaton, delimiters, len(delimiters)
        self._texts, self._close, self._end = (
            automaton.vocabulary.texts,
            automaton.format.close,
            automaton.format.ends[0],
        )
        first = delimiters[0][0]
        self._special = first if first in automaton.vocabulary.special else None
        self._place = automaton.read_prompt(prompt)
        self._last = self._texts[prompt[-1]] or ""  # the last token's text
        self._tape: list[int] = []  # what has to follow
        self._begun = False  # whether the model has begun a delimiter
        self._step = ""  # the text since the last delimiter
        self.over_at = 0  # how much had been generated when the last step was over; 0: it is not
        self.forced: list[bool] = []  # of everything generated

    def add(self, token: int) -> None:
        """The token that was generated."""
        self._place = self._automaton.observe([token], self._place)
        self._last = (self._texts[token] if token < len(self._texts) else None) or ""
        ours = bool(self._tape) and token == self._tape[0]
        self._tape = self._tape[1:] if ours else []
        self._begun = token == self._special and not ours
        self._step = "" if ours else self._step + self._last

    def decide(self, scores: torch.Tensor) -> None:
        """Change the scores of the next token, in place."""
        token, forced = self._next(scores) if self._place.ended == Ended.UNFINISHED else (None, False)
        self.forced.append(forced)
        if token is not None:
            scores.fill_(-torch.inf)[token] = 0.0

    def _next(self, scores: torch.Tensor) -> tuple[int | None, bool]:
        """The token that has to come, if any, and whether that is our doing."""
        if self.over_at or self._tape:
            return (self._end if self.over_at else self._tape[0]), True
        if self._begun:
            closes = self._special == self._close[0] and int(scores.argmax()) == self._close[1]
            return (self._close[1], False) if closes else (self._count(1), True)
        counted = self._left < len(self._delimiters)
        if not counted or (self._step.strip() and self._step.endswith("\n\n")):
            return self._count(0), True
        return None, False

    def _count(self, begun: int) -> int:
        """The next token of the next delimiter, of which so many have been written; or of the end."""
        if self._left == 0:
            self.over_at = len(self.forced)
            return self._end
        self._left -= 1
        newline = () if begun or self._last.endswith("\n") else self._automaton.newline
        self._tape = [*newline, *self._delimiters[self._left][begun:]]
        return self._tape[0]
