"""Training itself, on the embedded base: it learns, resumes after a kill, and refuses with a reason."""

import json
import shutil
import time
from pathlib import Path

import pytest
import torch

pytest.importorskip("trl")
pytest.importorskip("typer")
pytest.importorskip("datasets")

from training_runs import arguments, finish, largest_difference, losses, start, weights
from transformers import AutoModelForCausalLM
from typer.testing import CliRunner

from s1_hf import embedded, generate
from s1_hf.cli import app
from s1_hf.embedded.problems import extract_answer, held_out_sample
from s1_hf.sft.checking import check
from s1_hf.sft.checkpoints import find_checkpoints
from s1_hf.sft.recipe import read_recipe
from s1_hf.sft.run import Refused, train
from s1_hf.sft.run import start as command


def test_a_killed_run_resumes_and_ends_with_the_weights_of_an_unbroken_one(unbroken, tmp_path, caplog):
    folder = tmp_path / "run"
    process = start(arguments(folder, "--save_steps", "1"))
    while find_checkpoints(folder, None).newest is None:
        assert process.poll() is None, process.communicate()[0][-3000:]
        time.sleep(0.02)
    process.kill()
    process.communicate()
    assert not (folder / "model.safetensors").exists()
    begun_at = find_checkpoints(folder, None).newest
    recipe, *overrides = arguments(folder)
    command(recipe, overrides)
    assert f"Resuming from {begun_at}" in caplog.text
    assert largest_difference(weights(folder), weights(unbroken)) == 0
    assert losses(folder) == losses(unbroken)


@pytest.fixture
def killed(unbroken, tmp_path) -> Path:
    """The folder of the unbroken run, as if it had been killed before its result was written."""
    folder = tmp_path / "run"
    shutil.copytree(unbroken, folder, ignore=shutil.ignore_patterns("_lock*"))
    (folder / "model.safetensors").unlink()
    journal = json.loads((folder / "s1_run.json").read_text())
    (folder / "s1_run.json").write_text(json.dumps(journal | {"finished": False}))
    return folder


def test_a_run_that_was_killed_after_its_last_step_takes_no_more(killed, unbroken):
    recipe, *overrides = arguments(killed)
    command(recipe, overrides)
    assert largest_difference(weights(killed), weights(unbroken)) == 0
    assert losses(killed) == losses(unbroken)


def test_a_checkpoint_that_is_cut_off_is_named_and_the_one_before_it_taken(killed, unbroken, caplog):
    file = killed / "checkpoint-6" / "optimizer.pt"
    file.write_bytes(file.read_bytes()[:1000])
    recipe, *overrides = arguments(killed)
    command(recipe, overrides)
    assert f"{killed / 'checkpoint-6'} is not whole: optimizer.pt is cut off" in caplog.text
    assert f"Resuming from {killed / 'checkpoint-4'}" in caplog.text
    assert (killed / "_incomplete-checkpoint-6" / "optimizer.pt").stat().st_size == 1000
    assert largest_difference(weights(killed), weights(unbroken)) == 0


def test_a_checkpoint_that_cannot_be_loaded_is_named(killed):
    torch.save({}, killed / "checkpoint-6" / "optimizer.pt")
    recipe, *overrides = arguments(killed)
    with pytest.raises(Refused, match=r"checkpoint-6 cannot be resumed from: KeyError.*If it is damaged, move it out"):
        command(recipe, overrides)


def test_a_run_that_diverges_stops_and_keeps_its_last_good_checkpoint(tmp_path):
    folder = tmp_path / "run"
    fields = arguments(folder, "--save_steps", "1", "--learning_rate", "1e12", "--warmup_steps", "0")
    done = CliRunner().invoke(app, ["sft", *fields])
    said = " ".join(done.stderr.split())
    assert done.exit_code == 2 and "Traceback" not in said
    assert "Training stopped, because" in said and "was written before and is kept" in said, said
    assert not (folder / "model.safetensors").exists()
    assert not json.loads((folder / "s1_run.json").read_text())["finished"]
    for checkpoint in folder.glob("checkpoint-*"):
        assert all(tensor.isfinite().all() for tensor in weights(checkpoint).values())


def test_two_processes_give_the_result_of_one(unbroken, tmp_path):
    """Data parallel over gloo: the same 16 rows per step, 8 in each process; only the order of sums differs."""
    folder = tmp_path / "run"
    launcher = ("-m", "torch.distributed.run", "--nproc_per_node", "2", "--standalone")
    finish(start(arguments(folder, "--per_device_train_batch_size", "8"), launcher))
    assert json.loads((folder / "s1_run.json").read_text())["finished"]
    assert losses(folder) == pytest.approx(losses(unbroken), rel=1e-3)
    assert largest_difference(weights(folder), weights(unbroken)) < 1e-3


def test_a_model_that_cannot_be_loaded_ends_without_a_traceback(tmp_path):
    model = shutil.copytree(embedded.BASE_PATH, tmp_path / "model")
    (model / "model.safetensors").unlink()
    recipe, *overrides = arguments(tmp_path / "run", "--model_name_or_path", str(model))
    with pytest.raises(Refused, match="model"):
        command(recipe, overrides)


def test_a_refused_run_says_why_without_a_traceback(tmp_path):
    recipe, *overrides = arguments(tmp_path / "run", "--max_length", "300", "--expected_steps", "315")
    with pytest.raises(Refused, match="(?s)^The run was not started:.*would be cut.*says 315"):
        command(recipe, overrides)
    assert not (tmp_path / "run").exists()


def test_processes_that_do_not_reach_each_other_are_told_what_they_need(tmp_path, monkeypatch):
    def fail(*args):
        raise torch.distributed.DistNetworkError("no route\nto the host\n#0: frame")

    monkeypatch.setattr("s1_hf.sft.run.check", fail)
    with pytest.raises(Refused, match="do not reach each other: no route. They need .*NCCL_SOCKET_IFNAME"):
        command("sft_embedded", [])


def test_a_second_run_into_a_folder_is_refused_before_weights_are_read(hold, tmp_path, monkeypatch):
    monkeypatch.setattr("s1_hf.sft.run.make_trainer", lambda run: pytest.fail("the weights were read"))
    holder = hold(tmp_path / "run")
    done = CliRunner().invoke(app, ["sft", "sft_embedded", "--output_dir", str(tmp_path / "run")])
    assert done.exit_code == 2
    assert f"run is in use: process {holder.pid}" in " ".join(done.stderr.split())


def accuracy(model, tokenizer) -> float:
    """Accuracy with one Wait on 48 held-out problems."""
    problems = held_out_sample(48, seed=7)
    done = generate(
        model, tokenizer, [p.question for p in problems], num_ignores=1, max_thinking_tokens=120, max_new_tokens=140
    )
    right = [extract_answer(c.answer or "") == p.answer for c, p in zip(done, problems, strict=True)]
    return sum(right) / len(right)


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
