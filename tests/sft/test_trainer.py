"""The trainer stops at the first number that is not finite, and where it does not train as planned."""

import math
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch

pytest.importorskip("trl")
pytest.importorskip("datasets")

from datasets import Dataset
from transformers import Qwen2Config, Qwen2ForCausalLM, TrainerCallback
from trl import SFTConfig

from s1_hf import embedded
from s1_hf.sft.trainer import NotAsPlanned, NotFinite, Trainer, _is_rescaled, not_finite


def trainer(folder: Path, rows: int = 2, steps: int = 4, **fields) -> Trainer:
    """Of a model with next to no weights, which would take four steps of two rows."""
    torch.manual_seed(0)
    config = Qwen2Config(
        vocab_size=200, hidden_size=8, intermediate_size=8, num_hidden_layers=1, num_attention_heads=1,
        num_key_value_heads=1,
    )  # fmt: skip
    data = Dataset.from_dict({"input_ids": [[1, 2, 3, 4]] * 8, "labels": [[-100, 2, 3, 4]] * 8})
    fields = {"per_device_train_batch_size": 2, "num_train_epochs": 1, "save_steps": 1, "report_to": "none"} | fields
    args = SFTConfig(str(folder), use_cpu=True, bf16=False, logging_nan_inf_filter=False, disable_tqdm=True, **fields)
    return Trainer(
        rows=rows, steps=steps, model=Qwen2ForCausalLM(config), args=args, train_dataset=data,
        processing_class=embedded.load_base()[1],
    )  # fmt: skip


class After(TrainerCallback):
    """Does something to the model after a step."""

    def __init__(self, step: int, act) -> None:
        self.step, self.act = step, act

    def on_step_end(self, args, state, control, model=None, **kwargs):
        if state.global_step == self.step:
            self.act(model)


def saved(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.glob("checkpoint-*"))


def make_infinite(gradient: torch.Tensor) -> torch.Tensor:
    return gradient / 0


def test_a_gradient_that_is_not_finite_is_not_used(tmp_path):
    """The loss itself is fine."""
    ours = trainer(tmp_path)
    ours.add_callback(After(2, lambda model: model.model.norm.weight.register_hook(make_infinite)))
    with pytest.raises(NotFinite, match="^in step 3 the gradient norm is (inf|nan)$"):
        ours.train()
    assert saved(tmp_path) == ["checkpoint-1", "checkpoint-2"]
    assert not_finite(dict(ours.model.named_parameters())) == []


def test_a_loss_that_is_not_finite_stops_whatever_the_gradient_is(tmp_path, monkeypatch):
    ours = trainer(tmp_path, steps=2, gradient_accumulation_steps=2, rows=4)
    trls = Trainer.__mro__[2]
    step = trls.training_step
    losses = iter([1.0, 1.0, math.inf, 1.0])
    monkeypatch.setattr(trls, "training_step", lambda *args: step(*args) * 0 + next(losses))
    with pytest.raises(NotFinite, match="^in step 2 the loss is inf$"):
        ours.train()
    assert saved(tmp_path) == ["checkpoint-1"]


def test_weights_that_are_not_finite_are_in_no_checkpoint(tmp_path):
    """A step may be too large by itself, with a loss and a gradient that are finite."""
    ours = trainer(tmp_path)
    ours.add_callback(After(2, lambda model: model.lm_head.weight.data.fill_(math.nan)))
    with pytest.raises(NotFinite, match="^weights are not finite after step 2$"):
        ours.train()
    assert saved(tmp_path) == ["checkpoint-1"]


def test_under_fp16_a_gradient_may_overflow_as_long_as_the_scale_can_be_lowered():
    assert not _is_rescaled(None)
    assert _is_rescaled(SimpleNamespace(get_scale=lambda: 2.0))
    assert not _is_rescaled(SimpleNamespace(get_scale=lambda: 1.0))


def test_integers_such_as_quantised_weights_are_finite():
    assert not_finite({"packed": torch.tensor([255], dtype=torch.uint8)}) == []


@pytest.mark.parametrize("planned", [{"rows": 4}, {"steps": 5}], ids=str)
def test_a_trainer_that_counts_otherwise_does_not_begin(tmp_path, planned):
    with pytest.raises(NotAsPlanned, match="would take 4 optimizer steps of 2 rows, but the recipe means"):
        trainer(tmp_path, **planned).train()
    assert not saved(tmp_path)
