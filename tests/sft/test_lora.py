"""LoRA: the adapter trains, is saved, loaded and merged."""

import pytest
import torch

pytest.importorskip("trl")
pytest.importorskip("datasets")
pytest.importorskip("peft")

import peft
from transformers import AutoModelForCausalLM

from s1_hf import embedded
from s1_hf.sft.checking import check
from s1_hf.sft.recipe import read_recipe
from s1_hf.sft.run import train


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Four steps of the embedded recipe with an adapter, and the merged model beside it."""
    folder = tmp_path_factory.mktemp("lora") / "run"
    overrides = [
        "--use_peft",
        "true",
        "--lora_r",
        "4",
        "--lora_target_modules",
        "all-linear",
        "--merge_adapter",
        "true",
    ]
    overrides += ["--max_steps", "4", "--expected_steps", "none", "--save_strategy", "no", "--save_dtype", "float32"]
    train(check(read_recipe("sft_embedded", [*overrides, "--output_dir", str(folder)])))
    return folder


@torch.no_grad()
def logits(model) -> torch.Tensor:
    ids = torch.arange(40).reshape(2, 20)
    return model.eval()(input_ids=ids).logits


def test_the_adapter_alone_is_saved_and_changes_the_base(folder):
    base, _ = embedded.load_base()
    before = logits(base)
    adapted = peft.PeftModel.from_pretrained(base, folder)
    assert not (folder / "model.safetensors").exists()
    trained = {name: p for name, p in adapted.named_parameters() if "lora_B" in name}
    assert trained and all(p.abs().sum() > 0 for p in trained.values())
    assert (logits(adapted) - before).abs().max() > 1e-2


def test_merged_logits_equal_those_of_base_and_adapter(folder):
    base, _ = embedded.load_base()
    adapted = peft.PeftModel.from_pretrained(base, folder)
    merged = AutoModelForCausalLM.from_pretrained(folder / "merged")
    torch.testing.assert_close(logits(merged), logits(adapted), rtol=1e-4, atol=1e-4)


def test_auto_class_loads_the_adapter_folder(folder):
    model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32)
    merged = AutoModelForCausalLM.from_pretrained(folder / "merged")
    torch.testing.assert_close(logits(model), logits(merged), rtol=1e-4, atol=1e-4)
