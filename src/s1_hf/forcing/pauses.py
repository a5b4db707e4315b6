"""Where a row pauses while it thinks, for a search to choose whether and how it goes on: at the end of a step."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np
import torch

from s1_hf.forcing.budget import NO_LIMIT
from s1_hf.forcing.decisions import Field
from s1_hf.forcing.report import Ended
from s1_hf.forcing.spelling import Spelling, is_whole
from s1_hf.forcing.tables import State
from s1_hf.forcing.values import is_count
from s1_hf.forcing.vocabulary import encode

if TYPE_CHECKING:
    from s1_hf.forcing.automaton import Automaton
    from s1_hf.forcing.tables import Tables


@dataclass(frozen=True)
class Pause:
    """When a row that thinks pauses. It does so between two tokens that the model chooses, whichever comes first.

    Args:
        separator (`str`, *optional*): at the end of a step: with the token that completes this text. White space before
            a step's first other character is no part of it, so that no step is blank.
        tokens (`int`, *optional*): after so many more thinking tokens.

    Raises:
        ValueError: neither is given, or one is empty or not positive.
    """

    separator: str | None = None
    tokens: int | None = None

    def __post_init__(self) -> None:
        if self.separator is None and self.tokens is None:
            raise ValueError("A pause has to have a `separator`, such as '\\n\\n', or a number of `tokens`.")
        if self.separator is not None and (not isinstance(self.separator, str) or not self.separator):
            raise ValueError(f"`separator` has to be a text, such as '\\n\\n', but is {self.separator!r}.")
        if self.tokens is not None and (not is_count(self.tokens) or self.tokens < 1):
            raise ValueError(f"`tokens` has to be an integer of at least 1, but is {self.tokens!r}.")


@dataclass(frozen=True)
class Begun:
    """What a row has got already, that goes on from a pause.

    Args:
        ids (`tuple[int, ...]`): generated tokens.
        forced (`tuple[bool, ...]`): which of them were forced.
        state (`tuple[int, ...]`): where they have led, see [`State`].
    """

    ids: tuple[int, ...]
    forced: tuple[bool, ...]
    state: tuple[int, ...]

    @property
    def thinking_tokens(self) -> int:
        """How many of them, and of the prompt, are thinking."""
        return State(*self.state).thinking_tokens


def check_begun(begun: Begun, automaton: Automaton) -> None:
    """Raises a `ValueError` if no row of this automaton can have paused so."""
    state = State(*begun.state) if len(begun.state) == len(State._fields) else State(-1)
    if not (0 <= state.cell < len(automaton.cells) and automaton.cells[state.cell].thinking and min(state) >= 0):
        raise ValueError(
            f"A row can go on from where it has paused in its thinking, but its state is {begun.state}. Was it paused "
            "under another format, or other texts of a budget?"
        )
    if len(begun.ids) != len(begun.forced) or state.ended != Ended.UNFINISHED:
        raise ValueError("A row can go on from a pause only, whose tokens are all said to be forced or not.")


@dataclass(frozen=True, eq=False)
class StepTable:
    """How far a step's text has come towards its separator. 0: it is blank so far; `1 + n`: its last `n` characters are
    the first of the separator; the last state: it has ended.

    Args:
        after (`torch.ShortTensor` of shape `(states, ids + 1)`): the state after each token, from each state but the
            last; the last column is for ids beyond the tokenizer.
    """

    after: torch.Tensor

    @property
    def ended(self) -> int:
        """The state of a step that has ended."""
        return len(self.after)

    def step(self, state: torch.Tensor, tokens: torch.Tensor) -> torch.Tensor:
        """The states after one more token in each row, all of shape `(batch_size,)`; behind an end a step begins."""
        return self.after[state % self.ended, tokens.clamp(max=self.after.shape[1] - 1)].long()


@dataclass(frozen=True, eq=False)
class Pauses:
    """When the rows of a batch pause, whose steps end alike.

    Args:
        table ([`StepTable`], *optional*): of the separator that ends steps.
        limits (`torch.LongTensor` of shape `(batch_size,)`): the number of thinking tokens with which a row pauses if
            no step has ended before.
    """

    table: StepTable | None
    limits: torch.Tensor

    @classmethod
    def of(
        cls, automaton: Automaton, separator: str | None, limits: Sequence[int | None], device: torch.device
    ) -> Pauses:
        """Those of rows, of which each has a limit or `None`."""
        table = None if separator is None else step_table(automaton, separator, device)
        most = [NO_LIMIT if limit is None else min(limit, NO_LIMIT) for limit in limits]
        return cls(table, torch.tensor(most, device=device))

    def follow(self, at: torch.Tensor, state: torch.Tensor, tokens: torch.Tensor) -> torch.Tensor:
        """How far each row's step has come with one more token, `(batch_size,)`; see [`StepTable`].

        What opens thinking is no part of a step.

        Args:
            at (`torch.LongTensor` of shape `(batch_size,)`): how far it had come before; 0 where a row begins.
            state (`torch.LongTensor` of shape `(7, batch_size)`): after the token.
        """
        if self.table is None:
            return at
        return torch.where(state[Field.THINKING] > 0, self.table.step(at, tokens), 0)

    def read(self, states: torch.Tensor, tokens: torch.Tensor) -> torch.Tensor:
        """How far the step of the only row has come, `(1,)`, after `tokens` since it began.

        Args:
            states (`torch.LongTensor` of shape `(7, tokens)`): after each of them; on the CPU, as the table is.
        """
        if self.table is None:
            return torch.zeros(1, dtype=torch.long)
        after, at = self.table.after.numpy(), 0
        last = after.shape[1] - 1
        for token, thought in zip(tokens.tolist(), states[Field.THINKING].tolist(), strict=True):
            at = int(after[at % len(after), min(token, last)]) if thought > 0 else 0
        return torch.tensor([at])

    def due(self, at: torch.Tensor, state: torch.Tensor, tables: Tables) -> torch.Tensor:
        """Which rows pause behind their last token: bool, of shape `(batch_size,)`. See [`follow`] and [`Pause`]."""
        due = state[Field.THINKING] - state[Field.PENDING] >= self.limits
        if self.table is not None:
            due = due | (at == self.table.ended)
        is_free = (state[Field.ENDED] == Ended.UNFINISHED) & (state[Field.PENDING] == 0)
        return due & is_free & tables.thinks[state[Field.CELL]]


def step_table(automaton: Automaton, separator: str, device: torch.device) -> StepTable:
    """The table of a separator, whatever tokens it is written in; kept, as every batch asks for the same one."""
    return _kept(automaton.spelling, automaton.spelling.text_of(encode(automaton.tokenizer, separator)), device)


@lru_cache(maxsize=8)
def _kept(spelling: Spelling, separator: str, device: torch.device) -> StepTable:
    silent = np.arange(len(separator) + 1)
    after = np.tile(silent, (len(spelling.symbols) + 1, 1))  # (ids + 1, states); of no token, or a part of a character
    # 1. Texts without a letter of the separator: most of them.
    letters, others = set(separator), []
    for i, symbol in enumerate(spelling.symbols):
        if not symbol:
            continue
        if letters.isdisjoint(symbol):
            is_blank = is_whole(symbol[0]) or not symbol.strip()  # what opens thinking is no text of a step
            after[i, 0], after[i, 1:] = 0 if is_blank else 1, 1
        else:
            others.append(i)
    # 2. The others, letter by letter, all of them at a time; the longest come first.
    others.sort(key=lambda i: -len(spelling.symbols[i] or ""))
    texts = [spelling.symbols[i] or "" for i in others]
    alphabet = {letter: k for k, letter in enumerate(sorted(set("".join(texts))))}
    moves = np.array([_moves(letter, separator) for letter in alphabet]).reshape(-1, len(separator) + 2)
    states = np.tile(silent, (len(others), 1))
    longer = len(texts)
    for place in range(len(texts[0]) if texts else 0):
        while len(texts[longer - 1]) <= place:
            longer -= 1
        letter = np.array([alphabet[text[place]] for text in texts[:longer]])
        states[:longer] = moves[letter[:, None], states[:longer]]
    after[others] = states
    return StepTable(torch.from_numpy(after.astype(np.int16)).T.contiguous().to(device))


def _moves(letter: str, separator: str) -> list[int]:
    """The state after a letter, from each state; from the last one, which does not end before the token does, too."""
    ended = len(separator) + 1
    matched = []
    for begun in range(len(separator)):
        seen = separator[:begun] + letter
        matched.append(ended if seen == separator else 1 + _longest(seen, separator))
    return [0 if letter.isspace() else matched[0], *matched, ended]


def _longest(text: str, separator: str) -> int:
    """With how many of its letters, but not all, the separator begins where the text ends."""
    return next(n for n in range(len(separator) - 1, -1, -1) if text.endswith(separator[:n]))
