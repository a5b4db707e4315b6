"""Builds the tables of one thinking format on one tokenizer: everything about delimiters, Waits and closing sequences.

The words (cells, forced runs, effects) are those of `tables`. Budgets are the business of `decisions`.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property, lru_cache
from typing import TYPE_CHECKING, Any

import torch

from s1_hf.forcing.families import TOOL_RESULTS
from s1_hf.forcing.search import DelimiterSearch
from s1_hf.forcing.spelling import Spelling
from s1_hf.forcing.tables import OTHERS, Cell, Effect, State, Tables, after_effect
from s1_hf.forcing.tabulate import tables_of
from s1_hf.forcing.vocabulary import Vocabulary, encode, ends_line

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

    from s1_hf.forcing.budget import Budget
    from s1_hf.forcing.formats import ThinkingFormat


class Automaton:
    """The cells for one format on one tokenizer, with the forced texts of one budget.

    Args:
        budget ([`Budget`], *optional*): whose texts may be forced; without one none is.
        eos (`Sequence[int]`): ids that end the sequence outside thinking.

    Raises:
        ValueError: a forced text contains a delimiter or an end of sequence.
    """

    def __init__(
        self,
        tokenizer: PreTrainedTokenizerBase,
        format: ThinkingFormat,
        budget: Budget | None = None,
        eos: Sequence[int] = (),
    ) -> None:
        self.tokenizer, self.format, self.eos = tokenizer, format, eos
        self.vocabulary = Vocabulary.of(tokenizer)
        self.spelling = Spelling.of(tokenizer, [format.start, format.close])
        self.start, self.close = self.spelling.text_of(format.start), self.spelling.text_of(format.close)
        self.turn = self.spelling.text_of(format.turn)
        self.user_turn = self.spelling.text_of(encode(tokenizer, format.user_turn_text))
        self.newline = encode(tokenizer, "\n")
        self.cut_at = "line"
        self.wait_ids: list[tuple[int, ...]] = []
        self.prefix_ids: tuple[int, ...] = ()
        self.message_ids: tuple[int, ...] = ()
        if budget is not None:
            self._take_texts(budget)
        self.cells: list[Cell] = []
        self.effects: list[dict[int, Effect]] = []  # of each cell, by token; see `OTHERS`
        self._tables_on: dict[torch.device, Tables] = {}
        self.ban_rows: list[set[int]] = [set(), set(format.ends)]  # 0: nothing, 1: no empty rounds (rule 4)
        self._build()

    @classmethod
    def of(
        cls,
        tokenizer: PreTrainedTokenizerBase,
        format: ThinkingFormat,
        budget: Budget | None = None,
        eos: Sequence[int] = (),
    ) -> Automaton:
        """The automaton for these texts; the last few are kept, as every batch asks for the same one."""
        return _kept(len(tokenizer), tokenizer, format, None if budget is None else budget.shared(), tuple(eos))

    @cached_property
    def tool_results(self) -> list[tuple[str, str]]:
        """What stands around a tool's result, as texts of `spelling`."""
        pairs = []
        for opening, closing in (*TOOL_RESULTS, *self.format.tool_results):
            opens, closes = encode(self.tokenizer, opening), encode(self.tokenizer, closing)
            pairs.append((self.spelling.text_of(opens), self.spelling.text_of(closes)))
        return pairs

    @cached_property
    def largest_id(self) -> int:
        """The largest id that is forced or looked for."""
        forced = [cell.forced for cell in self.cells]
        return max(*self.format.start, *self.format.close, *self.format.ends, *forced)

    @property
    def max_closing(self) -> int:
        """Most tokens that closing thinking can take: newline, delimiter, answer block and answer prefix."""
        return len(self.newline) + len(self.format.close) + len(self.answer_ids)

    @property
    def answer_ids(self) -> tuple[int, ...]:
        """What a cut forces behind the closing delimiter."""
        return (*self.format.answer_start, *self.prefix_ids)

    def effect_of(self, token: int, cell: int) -> Effect:
        """What a token does to a row in `cell`."""
        of_cell = self.effects[cell]
        return of_cell.get(token, of_cell[OTHERS])

    def run(self, ids: Sequence[int], state: State) -> State:
        """Where `ids` lead a row, if nothing is forced but what they hold already."""
        for token in ids:
            state = after_effect(state, self.effect_of(token, state.cell))
        return state

    # -- building -----------------------------------------------------------------------------------------------

    def _take_texts(self, budget: Budget) -> None:
        self.cut_at = budget.cut_at
        for text in budget.waits:
            self.wait_ids.append(self._checked("wait_text", text))
        if budget.answer_prefix is not None:
            self.prefix_ids = self._checked("answer_prefix", "\n" + budget.answer_prefix)
        if budget.cut_text is not None:
            self.message_ids = self._checked("cut_text", budget.cut_text)

    def _checked(self, name: str, text: str) -> tuple[int, ...]:
        """The ids of a text that is to be forced."""
        ids = encode(self.tokenizer, text)
        taken = {*self.format.ends, *self.eos, *self.vocabulary.special.intersection(self.format.start[:1])}
        if taken & set(ids) or self.format.start_text in text or self.format.close_text in text:
            raise ValueError(
                f"`{name}` has to be free of delimiters and ends of sequence of the {self.format.name!r} format, "
                f"but is {text!r} (ids {list(ids)})."
            )
        if not ids:
            raise ValueError(f"`{name}` has to be at least one token, but {text!r} is none for this tokenizer.")
        return ids

    def _build(self) -> None:
        fmt = self.format
        # 1. What is looked for. An interleaved format may open thinking again after it was closed; otherwise both
        #    delimiters are watched there so that they are never completed (rule 7).
        self.find_start = DelimiterSearch([self.start], self.spelling)
        self.find_close = DelimiterSearch([self.close], self.spelling)
        self.find_again = self.find_start
        if not fmt.interleaved:
            self.find_again = DelimiterSearch([self.start, self.close], self.spelling)

        # 2. The free cells, one for each matched part of a delimiter.
        self.pre = self._reserve(self.find_start.size)
        self.think = self._reserve(self.find_close.size)
        self.call_ends = set(fmt.call_ends).difference(self.eos)
        self.called = self._reserve(1) if self.call_ends else -1
        self.hold = self._reserve(1)
        self.answer = self._reserve(self.find_again.size)
        self.done = self._reserve(1)
        self.openings: dict[int, int] = {}  # from a cell of `pre` to the run that forces the rest of `start`

        # 3. What each of them does with a token, and the forced runs that leave it.
        stop = dict.fromkeys(self.eos, Effect(self.done))
        hands_over = dict.fromkeys(set(fmt.handovers).intersection(self.eos), Effect(self.done, hands_over=1))
        for part in range(self.find_start.size):
            self._add_before_thinking(part, stop)
        for part in range(self.find_close.size):
            self._add_thinking(part, stop | hands_over)
        if self.call_ends:
            self._add_called()
        self._set(self.hold, self.cells[self.think]._replace(bans=1), dict(self.effects[self.think]))
        for part in range(self.find_again.size):
            self._add_answer(part, stop)
        self._set(self.done, Cell(), {OTHERS: Effect(self.done)})
        self.wait_cells = [self._forced_run(ids, self.hold, thinks=1) for ids in self.wait_ids]

    def _add_before_thinking(self, part: int, stop: dict[int, Effect]) -> None:
        effects = {OTHERS: Effect(self.pre, answers=1)}
        for token, move in self.find_start.moves_from(part).items():
            effects[token] = Effect(self.pre + move.state, answers=1)
            if move.found:
                effects[token] = self._opening(move.tail)._replace(forgets=1)
        self._set(self.pre + part, Cell(), effects | stop)
        if self.format.force_start:
            rest = self._rest(self.format.start, self.find_start, part)  # what stands there already is continued
            self.openings[self.pre + part] = self._forced_run(rest, self.think, opens=1)

    def _add_thinking(self, part: int, ends: dict[int, Effect]) -> None:
        effects = {OTHERS: Effect(self.think, thinks=1)} | ends
        for token, move in self.find_close.moves_from(part).items():
            then, closes = self.think + move.state, 0
            if move.found:
                then, closes = self.answer + self.find_again.after(move.tail), 1
            effects[token] = Effect(then, thinks=1, keeps=move.keeps, begins=move.begins, closes=closes)
        for token in self.call_ends:
            effect = effects.get(token, effects[OTHERS])
            if effect.next == self.think:  # else its text is part of a closing delimiter
                effects[token] = effect._replace(next=self.called)
        # A closing delimiter that the model has begun is continued, not restarted.
        rest = self._rest(self.format.close, self.find_close, part)
        natural = self._forced_run(rest, self.answer)
        cut = self._forced_run(rest, self._forced_run(self.answer_ids, self.answer, answers=1))
        cut_after_text = stop = cut
        if not part:  # what has been begun is continued, without a newline or a message in between
            cut_after_text = self._forced_run(self.newline, cut)
            stop = self._forced_run(self.message_ids, self._cut_after_message(cut, cut_after_text), thinks=1)
        cell = Cell(thinking=1, natural=natural, cut_after_line=cut, cut_after_text=cut_after_text, stop_message=stop)
        self._set(self.think + part, cell, effects)

    def _add_called(self) -> None:
        """Right behind a finished tool call: as elsewhere in thinking, but an end of sequence hands over."""
        effects = dict(self.effects[self.think])
        for token, text in enumerate(self.vocabulary.texts):
            if text and text.isspace():
                effects.setdefault(token, Effect(self.called, thinks=1))
        effects |= dict.fromkeys(self.stops, Effect(self.done, hands_over=1))
        self._set(self.called, self.cells[self.think], effects)

    @property
    def stops(self) -> list[int]:
        """Ends of sequence that are no handovers."""
        return [i for i in dict.fromkeys(self.eos) if i not in self.format.handovers]

    def _rest(self, delimiter: tuple[int, ...], search: DelimiterSearch, part: int) -> tuple[int, ...]:
        """The ids that complete a delimiter of which a part stands there."""
        begun = search.prefixes[part]
        for k in range(len(delimiter)):
            if self.spelling.text_of(delimiter[:k]) == begun:
                return delimiter[k:]
        return self.spelling.ids_of(search.rest(part), self.tokenizer)

    def _cut_after_message(self, cut_after_line: int, cut_after_text: int) -> int:
        if self.message_ids and ends_line(self.vocabulary.texts[self.message_ids[-1]] or ""):
            return cut_after_line
        return cut_after_text

    def _add_answer(self, part: int, stop: dict[int, Effect]) -> None:
        effects, banned = {OTHERS: Effect(self.answer, answers=1)}, set()
        for token, move in self.find_again.moves_from(part).items():
            effects[token] = Effect(self.answer + move.state, answers=1)
            if move.found and self.format.interleaved:
                effects[token] = self._opening(move.tail)
            elif move.found:
                banned.add(token)  # it would complete a delimiter (rule 7)
        self._set(self.answer + part, Cell(bans=self._ban_row(banned - set(self.eos))), effects | stop)

    def _opening(self, tail: str) -> Effect:
        """Of a token that completes the opening delimiter; its tail may begin the closing one (`></`)."""
        return Effect(self.think + self.find_close.after(tail), opens=1)

    def _reserve(self, count: int) -> int:
        """New cells, to be set later; returns the first."""
        first = len(self.cells)
        self.cells += [Cell()] * count
        for _ in range(count):
            self.effects.append({})
        return first

    def _set(self, cell: int, fixed: Cell, effects: dict[int, Effect]) -> None:
        self.cells[cell], self.effects[cell] = fixed, effects

    def _forced_run(self, ids: Sequence[int], then: int, thinks: int = 0, answers: int = 0, opens: int = 0) -> int:
        """Cells that force `ids` in turn and lead to `then`; returns the first (`then` itself for no ids).

        Each token counts as `thinks` and `answers` say; the last one opens thinking if `opens` is 1.
        """
        for i in range(len(ids) - 1, -1, -1):
            is_last = i == len(ids) - 1
            cell = self._reserve(1)
            effect = Effect(then, thinks=thinks, answers=answers, opens=opens * is_last)
            self._set(cell, Cell(forced=ids[i]), {OTHERS: effect})
            then = cell
        return then

    def _ban_row(self, ids: set[int]) -> int:
        if ids not in self.ban_rows:
            self.ban_rows.append(ids)
        return self.ban_rows.index(ids)

    # -- tables -------------------------------------------------------------------------------------------------

    @cached_property
    def tables(self) -> Tables:
        """The automaton as tensors, on the CPU and for gradients too, wherever it is asked for first."""
        with torch.inference_mode(False), torch.device("cpu"):
            return tables_of(self)

    def tables_on(self, device: torch.device) -> Tables:
        """The same on a device; kept, as the automaton is, so that every batch finds them there."""
        if device not in self._tables_on:
            with torch.inference_mode(False):
                self._tables_on[device] = self.tables.to(device)
        return self._tables_on[device]


@lru_cache(maxsize=8)
def _kept(num_tokens: int, *arguments: Any) -> Automaton:
    """For one size of the tokenizer, which may grow."""
    return Automaton(*arguments)
