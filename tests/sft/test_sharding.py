"""Sharded training, with torch's own `fully_shard` on two gloo processes.

accelerate silently drops FSDP on a CPU, so a launch there would test nothing; instead its wrap policy is asked what it
would shard.
"""

from pathlib import Path

import pytest
import torch

pytest.importorskip("trl")
pytest.importorskip("peft")

import peft
import torch.multiprocessing as mp
from sharded_training import RANKS, batches, sharded, tiny_model, train_steps, wrapped_by_accelerate
from transformers import AutoModelForCausalLM, AutoTokenizer

from s1_hf import embedded


def test_each_decoder_layer_is_a_unit():
    assert wrapped_by_accelerate(tiny_model()) == [f"model.layers.{i}" for i in range(3)]


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    """What two processes have left."""
    folder = tmp_path_factory.mktemp("sharded")
    mp.start_processes(sharded, args=(str(folder),), nprocs=RANKS, start_method="spawn")
    return folder


@pytest.fixture(scope="module")
def two_processes(folder) -> dict:
    return torch.load(folder / "result.pt")


def test_layers_and_root_are_sharded_and_each_process_holds_its_half(two_processes):
    total = tiny_model().num_parameters()
    assert two_processes["units"] == ["", *(f"model.layers.{i}" for i in range(3))]
    assert two_processes["whole"]
    assert two_processes["held"] == pytest.approx(total / RANKS, rel=0.02)


def test_sharded_training_gives_the_losses_and_weights_of_unsharded_training(two_processes):
    model = tiny_model()
    losses = train_steps(model, batches())
    assert two_processes["losses"].tolist() == pytest.approx(losses, rel=1e-4)
    for name, weight in model.named_parameters():
        torch.testing.assert_close(two_processes["weights"][name], weight.detach(), rtol=1e-3, atol=1e-4)


@torch.no_grad()
def test_an_adapter_of_a_sharded_model_is_merged_also_after_kills(folder):
    """Merging in the sharded model itself would wait for ever for the process that does not merge."""
    base, _ = embedded.load_base()
    ids = torch.arange(40).reshape(2, 20)
    before = base.eval()(input_ids=ids).logits
    adapted = peft.PeftModel.from_pretrained(base, folder / "lora").eval()(input_ids=ids).logits
    merged = AutoModelForCausalLM.from_pretrained(folder / "lora" / "merged").eval()(input_ids=ids).logits
    assert (adapted - before).abs().max() > 1e-2
    torch.testing.assert_close(merged, adapted, rtol=1e-4, atol=1e-4)
    assert AutoTokenizer.from_pretrained(folder / "lora" / "merged").chat_template
