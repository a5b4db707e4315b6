"""Rows put where a test wants them, and what the decisions make of them: no model, no `generate`, no prompt."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from transformers import PreTrainedTokenizerFast

from s1_hf import Budget, ThinkingFormat
from s1_hf.forcing import decisions
from s1_hf.forcing.automaton import Automaton
from s1_hf.forcing.report import Ended
from s1_hf.forcing.tables import State, Tables
from s1_hf.forcing.vocabulary import encode
from toys import FORMATS, toy_tokenizer

BEYOND = 3
"""Rows of the embedding beyond the tokenizer: scores have this many more columns than there are tokens."""


@functools.cache
def tokenizer_of(family: str) -> PreTrainedTokenizerFast:
    return toy_tokenizer(family)


@functools.cache
def automaton_of(family: str, budget: Budget, interleaved: bool = False) -> Automaton:
    tokenizer = tokenizer_of(family)
    fmt = ThinkingFormat.from_tokenizer(tokenizer, FORMATS[family])
    if interleaved:
        fmt = ThinkingFormat.from_delimiters(
            tokenizer, start=fmt.start_text, close=fmt.close_text, interleaved=True, turn=fmt.turn_text
        )
    return Automaton(tokenizer, fmt, budget, eos=(tokenizer.eos_token_id,))


@functools.cache
def tables_of(family: str, budget: Budget, interleaved: bool = False) -> Tables:
    return automaton_of(family, budget, interleaved).tables


@dataclass(frozen=True)
class Stand:
    """Where one row stands."""

    forced: str  # the text that comes next whatever the model wants; empty where the model chooses
    ended: str
    thinking_tokens: int
    pending: int
    ignores_used: int
    ends_ignored: int
    answer_tokens: int


@dataclass(frozen=True)
class Decided:
    """What `decide` made of one row."""

    stand: Stand
    possible: list[str]  # texts of the ids that can still come, sorted; those beyond the tokenizer as "#0", "#1", ...
    pick: str
    scores: torch.Tensor  # (vocab_size,)

    @property
    def only(self) -> str | None:
        """The one token that is possible; `None` if there are several."""
        return self.possible[0] if len(self.possible) == 1 else None


class PlacedRows:
    """Rows of one family of toys under one budget; where a row stands is said with every question.

    Args:
        family (`str`): of `toys.FAMILIES`.
        budget: keywords of [`Budget`]; budgets of several rows are sequences.
    """

    def __init__(self, family: str = "think", *, interleaved: bool = False, **budget: Any) -> None:
        self.budget = Budget(**budget)
        self.tokenizer = tokenizer_of(family)
        self.automaton = automaton_of(family, self.budget.shared(), interleaved)
        self.tables = tables_of(family, self.budget.shared(), interleaved)
        self.limits = decisions.limits_for(self.budget, self.budget.num_prompts or 1)
        self.texts = [*self.automaton.vocabulary.texts, *(f"#{i}" for i in range(BEYOND))]

    def id(self, text: str) -> int:
        """The one token with this text."""
        if text.startswith("#"):
            return len(self.texts) - BEYOND + int(text[1:])
        (token,) = encode(self.tokenizer, text)
        return token

    def ids(self, texts: Sequence[str]) -> torch.Tensor:
        return torch.tensor([self.id(text) for text in texts])

    def placed(self, cell: str | int = "think", thinking_tokens: int = 0, **fields: int) -> State:
        """A row in a free cell of that name, as the fields of `State` say; it is thinking unless they say otherwise."""
        number = getattr(self.automaton, cell) if isinstance(cell, str) else cell
        return State(number, thinking_tokens, **({"ended": Ended.UNFINISHED} | fields))

    def after(self, text: str, state: State | None = None) -> State:
        """Where the tokens of `text` lead a row, one after the other."""
        return self.automaton.run(encode(self.tokenizer, text), state or self.placed())

    def stands(self, states: torch.Tensor) -> list[Stand]:
        """The columns of a state of shape `(7, batch_size)`."""
        found = []
        for column in states.T.tolist():
            row = State(*column)
            found.append(
                Stand(
                    forced=self.forced_from(row.cell),
                    ended=Ended(row.ended).label,
                    thinking_tokens=row.thinking_tokens,
                    pending=row.pending,
                    ignores_used=row.ignores_used,
                    ends_ignored=row.ends_ignored,
                    answer_tokens=row.answer_tokens,
                )
            )
        return found

    def forced_from(self, cell: int) -> str:
        """The text that is forced from a cell on."""
        forced = []
        while (token := self.automaton.cells[cell].forced) >= 0:
            forced.append(token)
            cell = self.automaton.effect_of(token, cell).next
        return self.tokenizer.decode(forced, skip_special_tokens=False)

    def verdict(
        self, states: Sequence[State], picks: Sequence[str], lasts: Sequence[str], looped: Sequence[bool] | None = None
    ) -> decisions.Verdict:
        """What `judge` returns for several rows."""
        return decisions.judge(
            self.tables,
            self.limits,
            decisions.first_state(states),
            self.ids(picks),
            self.ids(lasts),
            None if looped is None else torch.tensor(looped),
        )

    def judge(
        self, pick: str = "x", state: State | None = None, last: str = "a", looped: bool | None = None, **place: Any
    ) -> Stand:
        """Where one row stands when `judge` has seen the token that it wants, and the one before."""
        state = self.placed(**place) if state is None else state
        verdict = self.verdict([state], [pick], [last], None if looped is None else [looped])
        return self.stands(verdict.state)[0]

    def scores(self, *wanted: str, forbidden: Sequence[str] = ()) -> torch.Tensor:
        """Scores of one row, of shape `(1, vocab_size)`: the wanted tokens first, in their order."""
        scores = -torch.arange(len(self.texts)) / 100.0 - 1
        for rank, text in enumerate(wanted):
            scores[self.id(text)] = 50.0 - rank
        for text in forbidden:
            scores[self.id(text)] = -torch.inf
        return scores[None]

    def decide(
        self,
        scores: torch.Tensor,
        states: Sequence[State] | None = None,
        lasts: Sequence[str] = ("a",),
        rule: decisions.Rule = "greedy",
        drawn: Sequence[str] | None = None,
        **options: Any,
    ) -> list[Decided]:
        """What `decide` makes of rows with these scores; under sampling `drawn` are the tokens that were drawn."""
        states = [self.placed()] * len(scores) if states is None else states

        def draw(scores: torch.Tensor, again: bool) -> torch.Tensor:
            assert drawn is not None
            return scores.argmax(-1) if again else self.ids(drawn)

        options = {"input_ids": self.ids(lasts)[:, None]} | options
        decision = decisions.decide(
            self.tables,
            self.limits,
            decisions.first_state(states),
            scores=scores,
            rule=rule,
            draw=None if drawn is None else draw,
            **options,
        )
        found = []
        for row, stand in enumerate(self.stands(decision.state)):
            possible = (decision.scores[row] > -torch.inf).nonzero()[:, 0].tolist()
            texts = sorted(str(self.texts[token]) for token in possible)
            found.append(Decided(stand, texts, str(self.texts[int(decision.pick[row])]), decision.scores[row]))
        return found
