"""Architectures of reward models that transformers does not have, so that no code of theirs has to be run."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn
from transformers import Qwen2Config, Qwen2Model, Qwen2PreTrainedModel
from transformers.modeling_outputs import TokenClassifierOutput


class _OnQwen2(Qwen2PreTrainedModel):
    """A Qwen2 whose hidden states go through a head: logits of shape `(batch, length, labels)`."""

    _keys_to_ignore_on_load_unexpected = [r"lm_head\."]  # noqa: RUF012 (as transformers has it)

    def _head(self, hidden: torch.Tensor) -> torch.Tensor:
        raise NotImplementedError

    def forward(
        self, input_ids: torch.Tensor, attention_mask: torch.Tensor | None = None, use_cache: bool | None = None
    ) -> TokenClassifierOutput:
        body: Any = self.model
        found = body(input_ids=input_ids, attention_mask=attention_mask, use_cache=use_cache)
        return TokenClassifierOutput(logits=self._head(found.last_hidden_state))


class Qwen2ForProcessRewardModel(_OnQwen2):
    """Qwen2.5-Math-PRM: two linear layers with a ReLU between them, two labels (its `modeling_qwen2_rm.py`)."""

    def __init__(self, config: Qwen2Config) -> None:
        super().__init__(config)
        self.model = Qwen2Model(config)
        size = config.hidden_size
        self.score = nn.Sequential(nn.Linear(size, size), nn.ReLU(), nn.Linear(size, 2))
        self.post_init()

    def _head(self, hidden: torch.Tensor) -> torch.Tensor:
        return self.score(hidden)


class Qwen2ForPrmModel(_OnQwen2):
    """Skywork-o1-Open-PRM: one linear layer, one value (`PRM_MODEL` and `ValueHead` of its inference code)."""

    def __init__(self, config: Qwen2Config) -> None:
        super().__init__(config)
        self.model = Qwen2Model(config)
        self.v_head = nn.ModuleDict({"summary": nn.Linear(config.hidden_size, 1)})
        self.post_init()

    def _head(self, hidden: torch.Tensor) -> torch.Tensor:
        return self.v_head["summary"](hidden)


OURS = {cls.__name__: cls for cls in (Qwen2ForProcessRewardModel, Qwen2ForPrmModel)}
"""By the name that stands in a configuration's `architectures`."""
