"""`generate` for a batch whose rows come and go.

Rows of thinking end at very different times, and in a sweep one row becomes several. So the rows that have ended leave
the batch, waiting ones take their places, and where a setting of a sweep decides otherwise than the row it rides on,
the row is doubled: nothing is computed twice, nothing is taken back, and the tokens are those of one call for each row,
up to the rounding of another batch. Everything else is `generate`'s own: it prepares each prompt's call, and each step
is made as it makes it.
"""

from __future__ import annotations

import copy
import inspect
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import torch
from transformers import GenerationMixin

from s1_hf.forcing.decisions import highest
from s1_hf.forcing.prompts import start_of
from s1_hf.generation.cache_rows import can_join, take_rows
from s1_hf.generation.preparing import Prepared
from s1_hf.generation.reports import report_of
from s1_hf.generation.running import Batch, Call, Ended, Row, Standing

if TYPE_CHECKING:
    from transformers import PreTrainedModel

    from s1_hf.forcing.automaton import Automaton
    from s1_hf.generation.riders import Riders

SMALLEST = 8  # rows; a smaller batch is not thinned out
EVERY = 16  # steps between two looks for rows that may leave

_SAYS_LENGTH = "next_sequence_length" in inspect.signature(GenerationMixin.prepare_inputs_for_generation).parameters


class Decoding:
    """Rows while they are decoded.

    Args:
        prompts (`Sequence[list[int]]`): ids.
        rows (`Sequence[Row]`): one per prompt, in the order in which they are begun.
        make_call (`Callable`): from rows to the call for them. They go on behind what is reported of them.
        at_once (`int`, *optional*): how many rows run together; all by default. If more would, because rows are
            doubled, up to twice as many do; beyond that those that have branched off run first, by themselves.
        riders ([`Riders`], *optional*): settings that may leave the rows; their rows then end here too.
        thins (`bool`): whether rows that have ended may leave the batch before the others.
        refills (`bool`): whether waiting rows may then take their places, if the model's cache allows it; otherwise
            they begin when all others have ended.
        states (`Mapping[int, Sequence[int]]`, *optional*): of prompts at whose ends rows have paused, where they stand.
        held (`Mapping[int, Standing]`, *optional*): of some of these, the row, which then is not read again.

    Attributes:
        joins (`bool`): whether others may join the rows that were begun last.
        read_again (`int`): tokens that went through the model twice, because its cache could not follow the rows.
    """

    def __init__(
        self,
        model: PreTrainedModel,
        prompts: Sequence[list[int]],
        rows: Sequence[Row],
        make_call: Callable[[Sequence[Row]], Call],
        *,
        at_once: int | None = None,
        riders: Riders | None = None,
        thins: bool = True,
        refills: bool = True,
        states: Mapping[int, Sequence[int]] | None = None,
        held: Mapping[int, Standing] | None = None,
    ) -> None:
        self._model: Any = model
        self._prompts, self._make_call = prompts, make_call
        self._waiting = deque(rows)
        self._at_once = at_once or len(rows)
        self._riders, self._thins, self._refills = riders, thins, refills
        self._states, self._held = states or {}, held or {}
        self._standing: Standing | None = None
        self._ended: list[Ended] = []
        self._prepared: Prepared  # the call for prompts that were begun last
        self.joins = False
        self.read_again = 0

    @torch.no_grad()
    def next(self) -> list[Ended]:
        """The rows that end next, some at a time, in the order in which they end; none when all have."""
        self._ended = []
        while not self._ended and (self._standing is not None or self._waiting):
            self._standing = self._stretch(self._filled())
        return self._ended

    def all(self) -> Iterator[Ended]:
        """The rows, in the order in which they end."""
        while ended := self.next():
            yield from ended

    @property
    def automaton(self) -> Automaton:
        """What the rows that have ended were read with."""
        return self._prepared.call.processor.automaton

    # -- rows that come -----------------------------------------------------------------------------------------

    def _filled(self) -> Batch:
        """The rows that go on, and as many of the waiting ones as may run beside them."""
        standing = self._standing
        if standing is None:
            return self._begun(self._at_once)
        room = self._at_once - len(standing.rows)
        if self._waiting and room > 0 and self._refills and self.joins and standing.has_cache:
            batch = self._begun(room)
            batch.call.processor.resume(batch.call.processor.state_after(batch.ids))  # a first token is no whole call
            fresh = self._stretch(batch, once=True)
            standing = standing if fresh is None else standing.beside(fresh)
        return self._resumed(standing)

    def _begun(self, most: int) -> Batch:
        """Waiting rows, as `generate` prepares their call."""
        rows = self._first_waiting(most)
        call = self._make_call(rows)
        self._prepare(rows, call)
        held = [self._held[row.prompt] for row in rows if row.prompt in self._held]
        if held and self.joins:
            return self._resumed(Standing.together(self._model, rows, held))
        if self._states:
            starts = [self._states.get(row.prompt) or self._start_of(call, row) for row in rows]
            call.processor.resume(torch.tensor(starts, device=self._model.device).T.contiguous())
        batch = self._prepared.batch(rows, call, self._prepared.ids, self._prepared.carried)
        batch.twins = self._prepared.twins
        if self._riders is not None:
            self._riders.begin(call.processor, batch.ids)
        return batch

    def _prepare(self, rows: Sequence[Row], call: Call) -> None:
        """The call for these rows; a prompt that several of them have is read once, if its cache can be repeated."""
        prompts = [self._prompts[row.prompt] for row in rows]
        different = [list(ids) for ids in dict.fromkeys(map(tuple, prompts))]
        self._prepared = Prepared.of(self._model, call, different)
        self.joins = can_join(self._model, self._prepared.carried)
        if len(different) < len(rows):
            places = [different.index(prompt) for prompt in prompts]
            if self.joins:
                self._prepared = self._prepared.repeated(places)
            else:
                self._prepared = Prepared.of(self._model, call, prompts)

    def _first_waiting(self, most: int) -> list[Row]:
        """Rows that are begun together: all are read, or none is."""
        rows = [self._waiting.popleft()]
        is_held = rows[0].prompt in self._held
        while self._waiting and len(rows) < most and (self._waiting[0].prompt in self._held) == is_held:
            rows.append(self._waiting.popleft())
        return rows

    def _start_of(self, call: Call, row: Row) -> tuple[int, ...]:
        """Where a prompt that has nothing behind it leaves its row."""
        return tuple(map(int, start_of(call.processor.automaton, self._prompts[row.prompt])))

    def _resumed(self, standing: Standing) -> Batch:
        """Rows that go on where they stand."""
        carried = standing.carried
        if not standing.has_cache:
            carried = carried | copy.deepcopy(self._prepared.empty)
            mask = carried.get("attention_mask")
            self.read_again += standing.ids.numel() if mask is None else int(mask.sum())
        call = self._make_call(standing.rows)
        call.processor.resume(standing.state)
        batch = self._prepared.batch(standing.rows, call, standing.ids, carried)
        batch.is_read, batch.has_cache = True, standing.has_cache
        return batch

    # -- steps --------------------------------------------------------------------------------------------------

    def _stretch(self, batch: Batch, once: bool = False) -> Standing | None:
        """Steps until the batch changes, or only one; who goes on then."""
        while True:
            leaving = self._step(batch)
            length = batch.ids.shape[1]
            is_due = length % EVERY == 0 or length in batch.limits
            looks = once or is_due or batch.ids.device.type == "cpu" or batch.call.pausing is not None
            if leaving is None and not looks:
                continue  # without a wait for the device
            left = int(batch.unfinished.sum())
            leaves = is_due and self._is_worth(len(batch.rows), left)
            pauses = batch.call.pausing is not None and left < len(batch.rows)
            if once or leaves or pauses or left == 0 or (leaving is not None and bool(leaving.any())):
                return self._changed(batch, leaving is not None)

    def _is_worth(self, rows: int, left: int) -> bool:
        """Whether those of so many rows that have ended leave, which costs as much as some steps."""
        if self._waiting and self._refills and self.joins:
            return rows - left >= max(rows // 4, 1)
        return self._thins and rows >= SMALLEST and left <= rows // 2

    def _step(self, batch: Batch) -> torch.Tensor | None:
        """One more token in every row, as `generate` makes it; returns which riders leave, see [`Riders.look`]."""
        # 1. The model.
        model, config = self._model, self._prepared.config
        if batch.has_cache or (batch.is_read and batch.carried.get("use_cache") is False):
            length = {"next_sequence_length": 1 if batch.carried["use_cache"] else None} if _SAYS_LENGTH else {}
            inputs = model.prepare_inputs_for_generation(batch.ids, **length, **batch.carried)
            with model._optimize_model_for_decode():
                outputs = model(**inputs, return_dict=True)
        else:
            outputs = model._prefill(batch.ids if batch.twins is None else batch.twins.read, config, batch.carried)
        batch.carried = model._update_model_kwargs_for_generation(outputs, batch.carried)
        batch.is_read, batch.has_cache = True, bool(batch.carried["use_cache"])
        # 2. A token; rows that have ended are padded.
        logits = outputs.logits[:, -1].to(copy=True, dtype=torch.float32, device=batch.ids.device)
        del outputs
        if batch.twins is not None:
            logits = logits[batch.twins.places]
            batch.carried, _ = take_rows(model, batch.carried, batch.twins.places, len(batch.twins.read))
            batch.twins = None
        batch.call.note_law(logits)
        scores = batch.processors(batch.ids, logits)  # type: ignore[arg-type]
        tokens = highest(scores)  # when sampling the processor has drawn, and left nothing else possible
        if config._pad_token_tensor is not None:
            tokens = torch.where(batch.unfinished, tokens, config._pad_token_tensor.to(tokens.device))
        batch.ids = torch.cat([batch.ids, tokens[:, None]], dim=1)
        # 3. Who ends, and who leaves.
        running = batch.unfinished
        batch.unfinished = running & ~batch.criteria(batch.ids, None)
        if batch.ids.shape[1] in batch.limits:
            full = torch.tensor([limit == batch.ids.shape[1] for limit in batch.limits], device=running.device)
            batch.unfinished = batch.unfinished & ~full
            if len(set(batch.limits)) > 1:  # else nothing comes behind them that is not theirs
                batch.call.processor.note_sequences(batch.ids, full)
        if self._riders is None or not self._riders.riding or batch.rows[0].branch is not None:
            return None
        return self._riders.look(batch.call.processor, batch.ids, running)

    # -- rows that leave, and rows that are doubled -------------------------------------------------------------

    def _changed(self, batch: Batch, looked: bool) -> Standing | None:
        """The rows without those that have ended, and with those that branch off; `None` if there is none left.

        Args:
            looked (`bool`): whether the riders have looked at the last step.
        """
        processor, pausing = batch.call.processor, batch.call.pausing
        steps = batch.ids.shape[1] - batch.start + len(batch.rows[0].forced)  # of all rows, where there are riders
        # 1. The rows as they are.
        staying = batch.unfinished.nonzero()[:, 0].tolist()
        processor.note_sequences(batch.ids, batch.unfinished)  # as far as here, whatever their last tokens are
        batch.call.hand_over(batch.rows)
        for i, (row, report) in enumerate(zip(batch.rows, processor.reports(batch.ids), strict=True)):
            first = batch.start - len(row.forced)
            row.forced += report.forced
            if i not in staying:
                ids = batch.ids[i, first:].tolist()[: len(row.forced)]
                ended = Ended(row, ids, replace(report, forced=row.forced))
                has_room = batch.ids.shape[1] < batch.limits[i]
                if pausing is not None and has_room and bool(pausing.paused[i]):
                    ended = self._paused(batch, i, ended)
                self._ended.append(ended)
        # 2. Those that branch off: each is a row's double but for the last token.
        doubles: list[tuple[int, Row]] = []
        if looked and self._riders is not None:
            kept = [i for i in staying if batch.rows[i].branch is None]
            for i, branch in self._riders.leave(batch.rows, steps - 1, kept):
                forced = (*batch.rows[i].forced[: steps - 1], True)
                double = Row(branch.row, branch.budget, branch, forced, batch.rows[i].measured.until(steps))
                if steps < self._prepared.most:
                    doubles.append((i, double))
                else:
                    ids = [*batch.ids[i, -steps:-1].tolist(), branch.token]
                    self._ended.append(Ended(double, ids, report_of(branch.state, forced)))
        if not staying and not doubles:
            return None
        return self._in_turn(batch, staying, doubles)

    def _paused(self, batch: Batch, place: int, ended: Ended) -> Ended:
        """A row of the batch, with where it stands and what it can go on from."""
        state = batch.call.processor.state_after(batch.ids)
        held = self._chosen(batch, [(place, ended.row)], state) if self.joins and batch.has_cache else None
        return replace(ended, state=tuple(state[:, place].tolist()), standing=held)

    def _in_turn(self, batch: Batch, staying: list[int], doubles: list[tuple[int, Row]]) -> Standing | None:
        """These rows, if they are not too many; else the branches run to their ends, and the others are left."""
        state = batch.call.processor.state_after(batch.ids)
        chosen = [(i, batch.rows[i]) for i in staying] + doubles
        room = self._at_once
        if len(chosen) <= 2 * room:
            return self._chosen(batch, chosen, state)
        branches = [(i, row) for i, row in chosen if row.branch is not None]
        for first in range(0, len(branches), room):
            some: Standing | None = self._chosen(batch, branches[first : first + room], state)
            while some is not None:
                some = self._stretch(self._resumed(some))
        others = [(i, row) for i, row in chosen if row.branch is None]
        return self._chosen(batch, others, state) if others else None

    def _chosen(self, batch: Batch, chosen: list[tuple[int, Row]], state: torch.Tensor) -> Standing:
        standing = Standing.of(self._model, batch, chosen, state)
        return standing.cut() if self.joins and standing.has_cache else standing
