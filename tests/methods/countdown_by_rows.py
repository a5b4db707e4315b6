"""[`StepCountdown`] one row after the other, on the host: how it was first written, which its tensors have to equal."""

from __future__ import annotations

from dataclasses import replace

import torch
from transformers import PreTrainedTokenizerBase

from s1_hf.forcing.automaton import Automaton
from s1_hf.forcing.formats import ThinkingFormat
from s1_hf.forcing.prompts import read_prompt
from s1_hf.forcing.report import Ended
from s1_hf.forcing.vocabulary import encode
from s1_hf.generation.chats import Completion
from s1_hf.generation.config import eos_ids


class CountdownByRows:
    """See [`StepCountdown`]."""

    def __init__(self, tokenizer: PreTrainedTokenizerBase, format: ThinkingFormat, steps: int, delimiter: str) -> None:
        self._automaton = Automaton(tokenizer, format, eos=eos_ids(None, tokenizer))
        self._delimiters = [encode(tokenizer, delimiter.format(steps=n)) for n in range(1, steps + 1)]
        self._rows: list[_Row] = []  # of all calls of `generate`, one after the other
        self._batch: list[_Row] = []
        self._seen = torch.empty(0, 0, dtype=torch.long)

    def __call__(self, input_ids: torch.LongTensor, scores: torch.FloatTensor) -> torch.FloatTensor:
        if input_ids.shape == (len(self._seen), self._seen.shape[1] + 1) and input_ids[:, :-1].equal(self._seen):
            for row, token in zip(self._batch, input_ids[:, -1].tolist(), strict=True):
                row.add(token)
        else:
            self._batch = [_Row(self._automaton, ids, self._delimiters) for ids in input_ids.tolist()]
            self._rows += self._batch
        self._seen = input_ids
        scores = scores.clone()
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
        self._place = read_prompt(automaton, prompt)
        self._last = self._texts[prompt[-1]] or ""  # the last token's text
        self._tape: list[int] = []  # what has to follow
        self._begun = False  # whether the model has begun a delimiter
        self._step = ""  # the text since the last delimiter
        self.over_at = 0  # how much had been generated when the last step was over; 0: it is not
        self.forced: list[bool] = []  # of everything generated

    def add(self, token: int) -> None:
        """The token that was generated."""
        self._place = self._automaton.run([token], self._place)
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
