"""TRL's trainer, which stops where a run would go wrong without a word."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import torch
import transformers
from torch.distributed.tensor import DTensor
from transformers import TrainerCallback
from transformers.trainer_callback import ExportableState
from trl import SFTTrainer


class NotFinite(ArithmeticError):
    """A loss, a gradient norm or a weight is NaN or infinite; the message says which."""


class NotAsPlanned(ValueError):
    """The trainer counts other rows or steps than planned."""


class Checked(transformers.Trainer):
    """Of a trainer of TRL's, which stands behind it: trains as planned and on finite numbers, or not at all.

    Args:
        rows (`int`): rows of an optimizer step.
        steps (`int`): optimizer steps of the run.

    Raises:
        NotAsPlanned: when the training begins, the trainer counts other rows or steps, which a launcher or a field of
            the recipe has changed.
        NotFinite: the loss or the gradient norm, before the optimizer uses it; or a weight, before it is saved.
    """

    def __init__(self, *args: Any, rows: int, steps: int, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        trained: Any = self.model
        head = trained.get_output_embeddings()
        if hasattr(head, "token_adapter") and not hasattr(head, "bias"):
            head.bias = None  # TRL's loss asks for it, and PEFT's wrapper, which trains rows of new tokens, has none
        self.planned = (rows, steps)
        self.losses: list[torch.Tensor] = []  # of the batches since the last step
        self.norm = 0.0
        self.has_begun = False  # nothing is loaded any more
        self.add_callback(_Checks(self))

    def _init_training_state(self, max_steps: int, per_epoch: int, epochs: int, *args: Any) -> tuple[int, int]:
        begun: tuple[int, int] = super()._init_training_state(max_steps, per_epoch, epochs, *args)
        all_taken = self.state.global_step >= max_steps  # transformers would take one more, in the midst of an epoch
        return (epochs, 0) if all_taken else begun

    def training_step(self, *args: Any, **kwargs: Any) -> torch.Tensor:
        """One batch, forward and backward."""
        loss = super().training_step(*args, **kwargs)
        self.losses.append(loss.detach())  # read once a step, because reading waits for the device
        return loss

    def _get_grad_norm(self, model: Any, grad_norm: Any = None) -> Any:
        norm = super()._get_grad_norm(model, grad_norm)
        self.norm = 0.0 if norm is None else float(norm)  # DeepSpeed may know none
        return norm

    def _save_checkpoint(self, model: Any, trial: Any) -> None:
        here = torch.tensor(len(not_finite(_trained(model))), device=self.args.device)
        if self.accelerator.reduce(here, reduction="sum"):
            raise NotFinite(f"weights are not finite after step {self.state.global_step:,}")
        super()._save_checkpoint(model, trial)


class RunMark(TrainerCallback, ExportableState):
    """Marks the checkpoints of a run, in their `trainer_state.json`."""

    def __init__(self, run: str) -> None:
        self.run = run

    def state(self) -> dict[str, Any]:
        """What the trainer keeps."""
        return {"args": {"run": self.run}, "attributes": {}}


class Trainer(Checked, SFTTrainer):
    """`SFTTrainer`, checked."""


class _Checks(TrainerCallback):
    def __init__(self, trainer: Any) -> None:
        self.trainer = trainer

    def on_train_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        self.trainer.has_begun = True
        found = (self.trainer.get_total_train_batch_size(args), state.max_steps)
        if found != self.trainer.planned:
            rows, steps = self.trainer.planned
            raise NotAsPlanned(
                f"The run would take {found[1]:,} optimizer steps of {found[0]:,} rows, but the recipe means {steps:,} "
                f"steps of {rows:,}. Look at `accelerator_config`, and at the machine's `parallelism_config`."
            )

    def on_pre_optimizer_step(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        trainer = self.trainer
        losses, trainer.losses = torch.stack(trainer.losses).tolist(), []
        strange = [f"the loss is {loss}" for loss in losses if not math.isfinite(loss)][:1]
        if not math.isfinite(trainer.norm) and not _is_rescaled(trainer.accelerator.scaler):
            strange.append(f"the gradient norm is {trainer.norm}")
        if strange:
            raise NotFinite(f"in step {state.global_step + 1:,} {' and '.join(strange)}")


def not_finite(weights: Mapping[str, torch.Tensor]) -> list[str]:
    """The names of those that are not finite; of a sharded weight, the part that this process holds."""
    found = []
    for name, weight in weights.items():
        local = weight.to_local() if isinstance(weight, DTensor) else weight
        if local.is_floating_point() and not torch.isfinite(local).all():
            found.append(name)
    return found


def _trained(model: torch.nn.Module) -> dict[str, torch.Tensor]:
    return {name: weight.detach() for name, weight in model.named_parameters() if weight.requires_grad}


def _is_rescaled(scaler: Any) -> bool:
    """Under fp16, gradients overflow now and then: the step is left out and the scale lowered, as long as it can be."""
    return scaler is not None and scaler.get_scale() > 1
