"""The logits processor for vLLM's two model runners: it translates; what happens is decided in `forcing.decisions`."""

from __future__ import annotations

import weakref
from typing import TYPE_CHECKING, Any

import torch
from vllm.v1.sample.logits_processor.interface import LogitsProcessor as LogitsProcessorV1
from vllm.v1.sample.logits_processor.interface import MoveDirectionality
from vllm.v1.worker.gpu.sample.logits_processor.interface import LogitsProcessor as LogitsProcessorV2

from s1_hf.vllm.options import PROCESSOR
from s1_hf.vllm.refusals import check_engine, check_request
from s1_hf.vllm.requests import Refused, Requests
from s1_hf.vllm.settings import asks_for_budget, settings_of
from s1_hf.vllm.setup import Setup

if TYPE_CHECKING:
    from vllm.config import VllmConfig
    from vllm.v1.sample.logits_processor.interface import BatchUpdate
    from vllm.v1.worker.gpu.sample.logits_processor.interface import LogitsContext

    from s1_hf.vllm.row import Row
    from vllm import SamplingParams

_of_engines: weakref.WeakValueDictionary[int, BudgetForcing] = weakref.WeakValueDictionary()
"""The processors of this process, by the `id` of their engine's `VllmConfig`."""


class BudgetForcing(LogitsProcessorV1, LogitsProcessorV2):
    """Controls how long a reasoning model thinks, request by request, in vLLM.

    Give it to an engine by [`s1_hf.vllm.engine_options`]. A request has a budget if its `SamplingParams.extra_args`
    (over HTTP: `vllm_xargs`) hold a field of [`Budget`]; requests without one are left alone.

    It serves both of vLLM's model runners: V1, which tells it of changes in the batch and shows it the tokens, and V2,
    which keeps requests in slots and shows it where their tokens lie on the device.

    Raises:
        ValueError: the engine is set up for something that budget forcing cannot be exact with.
    """

    def __init__(self, vllm_config: VllmConfig, *rest: Any) -> None:
        check_engine(vllm_config, PROCESSOR)
        self._setup = Setup.of(vllm_config)
        self._v2_states: Any = rest[0] if len(rest) == 1 else None  # else (device, is_pin_memory)
        device = rest[0] if self._v2_states is None else self._v2_states.device
        self.requests = Requests(
            self._setup,
            device,
            vllm_config.scheduler_config.max_num_seqs,
            vllm_config.model_config.seed or 0,
            shows_tokens=self._v2_states is None,
        )
        self._device = device
        self._rows: list[Row | Refused | None] = []  # V1: by place in the batch; V2: by slot
        self._v2_order: list[int] = []  # V2: the slots of the last step's rows
        self._v2_asked: dict[int, Any] = {}  # V2: requests that have come since the last step, by slot
        _of_engines[id(vllm_config)] = self

    @classmethod
    def validate_params(cls, sampling_params: SamplingParams) -> None:
        """Raises a `ValueError` for a request that cannot be met exactly; over HTTP it is answered with status 400."""
        check_request(sampling_params)

    def is_argmax_invariant(self) -> bool:
        """V1: whether the most likely token stays the same. It does not."""
        return False

    # -- V1 -----------------------------------------------------------------------------------------------------

    def update_state(self, batch_update: BatchUpdate | None) -> None:
        """V1: requests leave the batch, join it, and change places."""
        if batch_update is None:
            return
        self.requests.changed()
        for place in batch_update.removed:
            self._put(place, None)
        for place, params, prompt, generated in batch_update.added:
            self._put(place, None)
            if asks_for_budget(params):
                settings = settings_of(params, self._setup.defaults)
                self._put(place, self.requests.enter(settings, prompt, generated))
        for source, target, direction in batch_update.moved:
            moved, met = self._at(source), self._at(target)
            if direction == MoveDirectionality.SWAP:
                self._set(source, met)
            else:
                self._put(target, None)
                self._set(source, None)
            self._set(target, moved)
        del self._rows[batch_update.batch_size :]

    def apply(self, logits: torch.Tensor, ctx: LogitsContext | None = None) -> torch.Tensor:
        """Change the scores of the next tokens, in place.

        Args:
            logits (`torch.FloatTensor` of shape `(batch_size, vocab_size)`): raw scores.
            ctx (`LogitsContext`, *optional*): V2: which row is which request.
        """
        if ctx is not None:
            return self._apply_v2(logits, ctx)
        if not any(row is not None for row in self._rows):
            return logits
        rows = self._rows + [None] * (len(logits) - len(self._rows))
        taken, last = [], []
        for row in rows:
            generated = [] if row is None else row.generated
            taken.append(len(generated))
            last.append(generated[-1] if generated else 0)
        tokens = torch.tensor(last).to(logits.device, non_blocking=True)
        self.requests.decide(rows, taken, tokens, logits)
        return logits

    def _at(self, place: int) -> Row | Refused | None:
        return self._rows[place] if place < len(self._rows) else None

    def _set(self, place: int, row: Row | Refused | None) -> None:
        while len(self._rows) <= place:
            self._rows.append(None)
        self._rows[place] = row

    def _put(self, place: int, row: Row | Refused | None) -> None:
        """Set the row of a place or slot, whose former one leaves."""
        former = self._at(place)
        if former is not None:
            self.requests.leave(former, self._is_over(former))
        self._set(place, row)

    def _is_over(self, row: Row | Refused) -> bool:
        """Whether a row has ended, as far as its tokens tell."""
        if isinstance(row, Refused):
            return True
        generated = row.generated
        if not generated:
            return False
        settings = row.settings
        is_full = settings.max_tokens is not None and len(generated) >= settings.max_tokens
        reaches_context = len(row.prompt) + len(generated) >= self._setup.context
        return is_full or reaches_context or generated[-1] in self._setup.eos or generated[-1] in settings.stops

    # -- V2 -----------------------------------------------------------------------------------------------------

    def add_request(self, req_idx: int, sampling_params: SamplingParams) -> bool:
        """V2: a request takes a slot; whether it has a budget."""
        self._put(req_idx, None)
        self._v2_asked.pop(req_idx, None)
        if not asks_for_budget(sampling_params):
            return False
        self._v2_asked[req_idx] = settings_of(sampling_params, self._setup.defaults)
        return True

    def apply_staged_writes(self) -> None:
        """V2: the tokens of new requests are on the device now."""
        states = self._v2_states
        for slot, settings in self._v2_asked.items():
            length, begun = int(states.prefill_len.np[slot]), int(states.prompt_len.np[slot])
            ids = states.all_token_ids.gpu[slot, :length].tolist()
            row = self.requests.enter(settings, ids[:begun], ids[begun:], self._v2_perhaps_preempted())
            if row in self._rows:
                self._rows[self._rows.index(row)] = None
            if not isinstance(row, Refused):
                row.settle()
            self._set(slot, row)
        self._v2_asked.clear()

    def _v2_perhaps_preempted(self) -> list[Row | Refused]:
        """Rows that may have been preempted, of which nobody tells: those that were not in the last batch go first."""
        places = sorted(range(len(self._rows)), key=lambda slot: slot in self._v2_order)
        return [row for row in (self._rows[slot] for slot in places) if row is not None]

    def _apply_v2(self, logits: torch.Tensor, ctx: LogitsContext) -> torch.Tensor:
        slots = ctx.idx_mapping_np.tolist()
        rows = [self._at(slot) for slot in slots]
        if not any(row is not None for row in rows):
            return logits
        taken = []
        for slot, length in zip(slots, ctx.seq_lens_upper_bound_np.tolist(), strict=True):
            # While a prompt, or what was generated before a preemption, is still being read, tokens are thrown away.
            states = self._v2_states
            length = max(int(length), int(states.prefill_len.np[slot]))
            taken.append(length - int(states.prompt_len.np[slot]))
        if slots != self._v2_order:
            self.requests.changed()
            self._v2_order = slots
        self.requests.decide(rows, taken, ctx.input_ids.long(), logits)
        return logits


def processor_of(vllm_config: VllmConfig) -> BudgetForcing | None:
    """The processor of an engine, in the process that runs its model."""
    return _of_engines.get(id(vllm_config))
