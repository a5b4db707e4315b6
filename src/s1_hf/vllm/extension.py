"""What is added to vLLM's workers, so that reports can be fetched from where requests are decided."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from s1_hf.forcing.report import forced_positions
from s1_hf.vllm.processor import processor_of

if TYPE_CHECKING:
    from vllm.config import VllmConfig


class ReportsExtension:
    """Methods of a worker, for `LLM.collective_rpc`."""

    vllm_config: VllmConfig

    def s1_hf_reports(
        self, wanted: Sequence[tuple[str, Sequence[int]]], with_states: bool = False
    ) -> list[dict[str, Any]] | None:
        """The reports of some requests, which are forgotten with that.

        Args:
            wanted (`Sequence[tuple[str, Sequence[int]]]`): names of requests, with what they have generated.
            with_states (`bool`): also the states in which their tokens were taken.

        Returns:
            `list[dict]`: the fields of a [`Report`] each, with the positions of forced tokens, and how many `tokens`
            it is of: an end of sequence that a pause or a limit made is none. Of a row that has paused, in `paused`
            the state where it stands; of one that was measured, in `measured` how sure the model was of each token, in
            ten-thousandths of a nat. Or an `error`. `None` in a worker that decides nothing.
        """
        processor = processor_of(self.vllm_config)
        if processor is None:
            return None
        found = []
        for key, ids in wanted:
            try:
                told = processor.requests.told(key, ids)
            except RuntimeError as error:
                found.append({"error": str(error)})
                continue
            fields = dict(vars(told.report))
            fields["forced"] = forced_positions(told.report.forced)
            fields["tokens"] = len(told.report.forced)
            if told.paused is not None:
                fields["paused"] = [int(value) for value in told.paused]
            if told.measured is not None:
                fields["measured"] = list(told.measured)
            if with_states:
                fields["states"] = [[int(value) for value in state] for state in told.states]
            found.append(fields)
        return found
