"""Training itself, on the embedded base: it learns, survives a kill, and leaves a complete folder behind."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch

pytest.importorskip("trl")
pytest.importorskip("datasets")

from safetensors.torch import load_file
from transformers import AutoModelForCausalLM, AutoTokenizer

from s1_hf import embedded, generate
from s1_hf.embedded.problems import extract_answer, held_out_sample
from s1_hf.sft.checking import check
from s1_hf.sft.journal import Journal, last_checkpoint
from s1_hf.sft.recipe import read_recipe
from s1_hf.sft.run import Refused, train
from s1_hf.sft.run import start as command

ENVIRONMENT = os.environ | {"OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1", "PYTHONWARNINGS": "ignore"}


def arguments(folder: Path, *more: str) -> list[str]:
    short = ["--max_steps", "6", "--save_steps", "2", "--expected_steps", "none", "--logging_steps", "1"]
    return ["sft_embedded", "--output_dir", str(folder), *short, "--save_dtype", "float32", *more]


def start(arguments: list[str], launcher: tuple[str, ...] = ()) -> subprocess.Popen:
    command = [sys.executable, *launcher, "-m", "s1_hf.sft", *arguments]
    return subprocess.Popen(command, env=ENVIRONMENT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)


def finish(process: subprocess.Popen) -> str:
    output, _ = process.communicate()
    assert process.returncode == 0, output[-3000:]
    return output


def losses(folder: Path) -> list[float]:
    history = json.loads((folder / "trainer_state.json").read_text())["log_history"]
    return [entry["loss"] for entry in history if "loss" in entry]


def weights(folder: Path) -> dict[str, torch.Tensor]:
    return load_file(folder / "model.safetensors")


def largest_difference(one: dict[str, torch.Tensor], other: dict[str, torch.Tensor]) -> float:
    assert one.keys() == other.keys()
    return max(float((one[name] - other[name]).abs().max()) for name in one)


@pytest.fixture(scope="module")
def unbroken(tmp_path_factory) -> Path:
    """A run of six steps, in this process."""
    folder = tmp_path_factory.mktemp("unbroken") / "run"
    recipe, *overrides = arguments(folder)
    train(check(read_recipe(recipe, overrides)))
    return folder


def test_a_killed_run_goes_on_and_ends_with_the_weights_of_an_unbroken_one(unbroken, tmp_path):
    folder = tmp_path / "run"
    process = start(arguments(folder, "--save_steps", "1"))
    while last_checkpoint(folder) is None:
        assert process.poll() is None, process.communicate()[0][-3000:]
        time.sleep(0.02)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    assert not (folder / "model.safetensors").exists()
    begun_at = last_checkpoint(folder)
    output = finish(start(arguments(folder)))
    assert f"Resuming from {begun_at}" in output
    assert largest_difference(weights(folder), weights(unbroken)) == 0
    assert losses(folder) == losses(unbroken)


def test_two_processes_give_the_result_of_one(unbroken, tmp_path):
    """Data parallel over gloo: the same 16 rows a step, 8 in each process; sums in another order."""
    folder = tmp_path / "run"
    launcher = ("-m", "torch.distributed.run", "--nproc_per_node", "2", "--standalone")
    finish(start(arguments(folder, "--per_device_train_batch_size", "8"), launcher))
    assert json.loads((folder / "s1_run.json").read_text())["finished"]
    assert losses(folder) == pytest.approx(losses(unbroken), rel=1e-3)
    assert largest_difference(weights(folder), weights(unbroken)) < 1e-3


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


def test_weights_are_saved_in_the_dtype_that_is_asked_for_and_tied_ones_once(tmp_path):
    folder = tmp_path / "run"
    recipe, *overrides = arguments(folder, "--max_steps", "1", "--save_dtype", "bfloat16")
    train(check(read_recipe(recipe, overrides)))
    saved = weights(folder)
    assert saved.keys() == weights(embedded.BASE_PATH).keys()
    assert {tensor.dtype for tensor in saved.values()} == {torch.bfloat16}
    assert AutoModelForCausalLM.from_pretrained(folder, dtype="auto").dtype == torch.bfloat16


def test_the_card_says_how_the_model_was_made(unbroken):
    card = (unbroken / "README.md").read_text()
    for fact in ("train.jsonl", "1,000", "1 x 16 x 1", "| seed | 0 |", f"torch {torch.__version__}", "max_steps: 6"):
        assert fact in card
    seen = losses(unbroken)
    assert f"mean of logged values {sum(seen) / len(seen):.4f}, last {seen[-1]:.4f}" in card


def test_a_finished_run_is_not_begun_again(unbroken):
    recipe, *overrides = arguments(unbroken)
    with pytest.raises(ValueError, match="holds a finished run. Choose another `--output_dir`"):
        check(read_recipe(recipe, overrides))


def begun(folder: Path, recipe: str, overrides: list[str]) -> Journal:
    """A run that was killed behind its first checkpoint."""
    journal = Journal(folder)
    journal.begin(read_recipe(recipe, overrides), check(read_recipe(recipe, overrides)).prepared.source)
    make_checkpoint(folder, 2)
    return journal


def make_checkpoint(folder: Path, step: int, state: str | None = "{}", optimizer: str = "optimizer.pt") -> None:
    checkpoint = folder / f"checkpoint-{step}"
    checkpoint.mkdir()
    for name, content in (("trainer_state.json", state), ("scheduler.pt", ""), (optimizer, "")):
        if content is not None and name:
            (checkpoint / name).write_text(content)


def test_a_run_is_not_gone_on_with_under_other_settings(tmp_path):
    recipe, *overrides = arguments(tmp_path)
    begun(tmp_path, recipe, overrides)
    same = check(read_recipe(recipe, [*overrides, "--logging_steps", "5", "--save_steps", "3"]))  # of no consequence
    assert same.checkpoint == str(tmp_path / "checkpoint-2")
    with pytest.raises(ValueError, match=r"started with other settings: `learning_rate` was 0.001, is 0.5; `seed` was 0"):
        check(read_recipe(recipe, [*overrides, "--seed", "1", "--learning_rate", "0.5"]))
    with pytest.raises(ValueError, match="`dataloader_drop_last` was False, is True"):
        check(read_recipe(recipe, [*overrides, "--dataloader_drop_last", "true"]))


def test_a_run_is_not_gone_on_with_on_other_data(tmp_path):
    data = tmp_path / "mine.jsonl"
    rows = (embedded.BASE_PATH.parent / "train.jsonl").read_text().splitlines()[:40]
    data.write_text("\n".join(rows))
    recipe, *overrides = arguments(tmp_path / "run", "--dataset_path", str(data))
    begun(tmp_path / "run", recipe, overrides)
    data.write_text("\n".join(rows[:33]))
    with pytest.raises(ValueError, match="started on other data: sha256 was .*; rows was 40, is 33"):
        check(read_recipe(recipe, overrides))


def test_a_run_that_has_no_checkpoint_yet_is_begun_anew(tmp_path):
    recipe, *overrides = arguments(tmp_path)
    Journal(tmp_path).begin(read_recipe(recipe, overrides), {})
    assert check(read_recipe(recipe, [*overrides, "--seed", "1"])).checkpoint is None


@pytest.mark.parametrize("name", ["model.safetensors", "config.json", "checkpoint-8"])
def test_a_folder_with_a_model_of_somebody_elses_is_refused(tmp_path, name):
    (tmp_path / name).mkdir() if name.startswith("checkpoint") else (tmp_path / name).write_text("")
    recipe, *overrides = arguments(tmp_path)
    with pytest.raises(ValueError, match=f"holds a model that was not made by a recipe .{name}"):
        check(read_recipe(recipe, overrides))


@pytest.mark.parametrize("content", ["[]", "{}", "{bad"])
def test_a_broken_journal_is_named(tmp_path, content):
    (tmp_path / "s1_run.json").write_text(content)
    recipe, *overrides = arguments(tmp_path)
    with pytest.raises(ValueError, match="s1_run.json is not the journal of a run"):
        check(read_recipe(recipe, overrides))


def test_a_checkpoint_that_was_not_written_whole_is_passed_over(tmp_path):
    make_checkpoint(tmp_path, 2)
    make_checkpoint(tmp_path, 10, state="{")
    make_checkpoint(tmp_path, 12, state=None)
    make_checkpoint(tmp_path, 14, optimizer="")
    (tmp_path / "checkpoint-foo").mkdir()
    assert last_checkpoint(tmp_path) == tmp_path / "checkpoint-2"


def test_a_model_that_cannot_be_loaded_ends_without_a_traceback(tmp_path):
    model = shutil.copytree(embedded.BASE_PATH, tmp_path / "model")
    (model / "model.safetensors").unlink()
    recipe, *overrides = arguments(tmp_path / "run", "--model_name_or_path", str(model))
    with pytest.raises(Refused, match="model"):
        command(recipe, overrides)


def test_the_mask_is_shown_before_training(tmp_path, caplog):
    recipe, *overrides = arguments(tmp_path / "run")
    with caplog.at_level("INFO", logger="s1_hf"):
        check(read_recipe(recipe, overrides))
    assert "1,000 rows of 103 to 413 tokens (median 142" in caplog.text
    assert "loss on 72 tokens: '<|im_start|>think" in caplog.text


def test_a_dry_run_writes_nothing(tmp_path):
    output = finish(start(arguments(tmp_path / "run", "--dry_run", "true")))
    assert "nothing was trained" in output
    assert not (tmp_path / "run").exists()


def test_a_refused_run_says_why_without_a_traceback(tmp_path):
    recipe, *overrides = arguments(tmp_path / "run", "--max_length", "300", "--expected_steps", "315")
    with pytest.raises(Refused, match="(?s)^The run was not started:.*would be cut.*says 315"):
        command(recipe, overrides)
    assert not (tmp_path / "run").exists()


def test_cut_rows_are_trained_on_when_asked_for(tmp_path):
    recipe, *overrides = arguments(tmp_path / "run", "--max_length", "300", "--allow_truncation", "true")
    run = check(read_recipe(recipe, overrides))
    assert max(len(ids) for ids in run.prepared.rows["input_ids"]) == 413  # the trainer cuts
    assert run.args.max_length == 300


def test_training_lowers_the_loss_and_raises_accuracy(tmp_path):
    """30 of the 315 steps, at the recipe's rate; the base itself answers without thinking."""
    folder = tmp_path / "run"
    recipe, *overrides = arguments(folder, "--max_steps", "30", "--save_strategy", "no")
    train(check(read_recipe(recipe, overrides)))
    seen = losses(folder)
    assert sum(seen[-5:]) / 5 < 0.5 * seen[0]
    base, tokenizer = embedded.load_base()
    trained = AutoModelForCausalLM.from_pretrained(folder)
    before, after = accuracy(base, tokenizer), accuracy(trained, tokenizer)
    assert after > before + 0.1, (before, after)


def accuracy(model, tokenizer) -> float:
    """One Wait, on 48 held-out problems."""
    problems = held_out_sample(48, seed=7)
    done = generate(
        model, tokenizer, [p.question for p in problems], num_ignores=1, max_thinking_tokens=120, max_new_tokens=140
    )
    right = [extract_answer(c.answer or "") == p.answer for c, p in zip(done, problems, strict=True)]
    return sum(right) / len(right)
