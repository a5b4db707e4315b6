"""The saved folder: a complete model, or an adapter and the merged model."""

import json
import shutil
from importlib.metadata import version
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch

pytest.importorskip("trl")
pytest.importorskip("datasets")
pytest.importorskip("peft")

import peft
from training_runs import arguments, losses, weights
from transformers import AutoModelForCausalLM, AutoTokenizer

from s1_hf import ThinkingFormat, embedded, generate
from s1_hf.forcing.families import SIGN
from s1_hf.sft import saving
from s1_hf.sft.checking import check
from s1_hf.sft.recipe import read_recipe
from s1_hf.sft.run import train
from s1_hf.sft.trainer import NotFinite


def unsigned(model: Path, folder: Path) -> Path:
    """A copy of a model's folder that does not say which format it has."""
    shutil.copytree(model, folder, ignore=shutil.ignore_patterns("checkpoint-*"))
    settings = json.loads((folder / "tokenizer_config.json").read_text())
    del settings[SIGN]
    (folder / "tokenizer_config.json").write_text(json.dumps(settings))
    return folder


def test_the_folder_is_a_complete_model(unbroken):
    model = AutoModelForCausalLM.from_pretrained(unbroken, dtype="auto")
    tokenizer = AutoTokenizer.from_pretrained(unbroken)
    base, base_tokenizer = embedded.load_base()
    assert model.dtype == torch.float32 and model.config.use_cache is True
    assert model.generation_config.eos_token_id == base.generation_config.eos_token_id
    assert tokenizer.chat_template == base_tokenizer.chat_template
    assert (tokenizer.pad_token, tokenizer.eos_token) == ("<|endoftext|>", "<|im_end|>")
    assert model.get_output_embeddings().weight is model.get_input_embeddings().weight
    (completion,) = generate(model, tokenizer, ["Hello"], max_thinking_tokens=4, max_new_tokens=40)
    assert completion.report.thinking_tokens <= 4


def test_the_folder_and_its_checkpoints_say_which_format_was_trained(unbroken, tmp_path):
    """Nothing else tells: a ChatML vocabulary without the sign is refused."""
    folders = [unbroken, *unbroken.glob("checkpoint-*")]
    assert len(folders) > 1
    for folder in folders:
        assert ThinkingFormat.from_tokenizer(AutoTokenizer.from_pretrained(folder)).name == "s1"
    with pytest.raises(ValueError, match="has to be named: `format='s1'`"):
        ThinkingFormat.from_tokenizer(AutoTokenizer.from_pretrained(unsigned(unbroken, tmp_path / "unsigned")))


def test_weights_are_saved_in_the_requested_dtype_and_tied_ones_once(tmp_path):
    folder = tmp_path / "run"
    recipe, *overrides = arguments(folder, "--max_steps", "1", "--save_dtype", "bfloat16")
    train(check(read_recipe(recipe, overrides)))
    saved = weights(folder)
    assert saved.keys() == weights(embedded.BASE_PATH).keys()
    assert {tensor.dtype for tensor in saved.values()} == {torch.bfloat16}
    assert AutoModelForCausalLM.from_pretrained(folder, dtype="auto").dtype == torch.bfloat16


def test_the_card_says_how_the_model_was_made(unbroken):
    card = (unbroken / "README.md").read_text()
    for fact in ("train.jsonl", "1,000", "1 x 16 x 1", "| seed | 0 |", f"torch {version('torch')}", "max_steps: 6"):
        assert fact in card
    seen = losses(unbroken)
    assert f"mean of logged values {sum(seen) / len(seen):.4f}, last {seen[-1]:.4f}" in card


@pytest.fixture(scope="module")
def with_adapter(tmp_path_factory):
    """Four steps of the embedded recipe with an adapter, and the merged model in `merged`; the base has no sign."""
    folder = tmp_path_factory.mktemp("lora") / "run"
    base = unsigned(embedded.BASE_PATH, folder.parent / "base")
    overrides = [
        "--model_name_or_path",
        str(base),
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


def test_a_run_that_was_killed_while_its_adapter_was_merged_is_finished_by_a_rerun(tmp_path, monkeypatch):
    folder = tmp_path / "run"
    lora = ["--use_peft", "true", "--lora_r", "2", "--lora_target_modules", "all-linear", "--merge_adapter", "true"]
    recipe, *overrides = arguments(folder, "--max_steps", "1", "--save_steps", "1", *lora)

    def kill(*args):
        raise KeyboardInterrupt

    with monkeypatch.context() as patched, pytest.raises(KeyboardInterrupt):
        patched.setattr(saving, "_save_model", kill)
        train(check(read_recipe(recipe, overrides)))
    assert not (folder / "merged" / "config.json").exists()
    train(check(read_recipe(recipe, overrides)))
    assert json.loads((folder / "s1_run.json").read_text())["finished"]
    assert weights(folder / "merged").keys() == weights(embedded.BASE_PATH).keys()


@pytest.mark.parametrize(
    ("value", "dtype", "said"),
    [
        (float("nan"), "float32", "1 weights are not finite at its end, such as model.norm.weight"),
        (1e6, "float16", "1 weights are too large for `save_dtype` float16, such as model.norm.weight"),
    ],
)
def test_weights_that_are_not_finite_are_not_saved(tmp_path, value, dtype, said):
    model, _ = embedded.load_base()
    model.model.norm.weight.data[0] = value
    run = SimpleNamespace(data=SimpleNamespace(save_dtype=dtype))
    with pytest.raises(NotFinite, match=said):
        saving._save_model(model, model.state_dict(), tmp_path / "result", run)
    assert not (tmp_path / "result").exists()


@torch.no_grad()
def logits(model) -> torch.Tensor:
    ids = torch.arange(40).reshape(2, 20)
    return model.eval()(input_ids=ids).logits


def test_only_the_adapter_is_saved_and_it_changes_the_base(with_adapter):
    base, _ = embedded.load_base()
    before = logits(base)
    adapted = peft.PeftModel.from_pretrained(base, with_adapter)
    assert not (with_adapter / "model.safetensors").exists()
    trained = {name: p for name, p in adapted.named_parameters() if "lora_B" in name}
    assert trained and all(p.abs().sum() > 0 for p in trained.values())
    assert (logits(adapted) - before).abs().max() > 1e-2


def test_adapter_and_merged_model_say_which_format_was_trained(with_adapter):
    for folder in (with_adapter, with_adapter / "merged"):
        assert ThinkingFormat.from_tokenizer(AutoTokenizer.from_pretrained(folder)).name == "s1"


def test_merged_logits_equal_those_of_base_and_adapter(with_adapter):
    base, _ = embedded.load_base()
    adapted = peft.PeftModel.from_pretrained(base, with_adapter)
    merged = AutoModelForCausalLM.from_pretrained(with_adapter / "merged")
    torch.testing.assert_close(logits(merged), logits(adapted), rtol=1e-4, atol=1e-4)


def test_auto_class_loads_the_adapter_folder(with_adapter):
    model = AutoModelForCausalLM.from_pretrained(with_adapter, dtype=torch.float32)
    merged = AutoModelForCausalLM.from_pretrained(with_adapter / "merged")
    torch.testing.assert_close(logits(model), logits(merged), rtol=1e-4, atol=1e-4)
