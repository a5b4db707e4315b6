"""Training itself: it resumes after a kill bit for bit, and stops at what is not finite."""

from __future__ import annotations

import json
import time
from pathlib import Path

import pytest
import torch

pytest.importorskip("trl")
pytest.importorskip("datasets")

from grpo_runs import arguments
from grpo_runs import start as in_a_process
from safetensors.torch import load_file

from s1_hf.embedded import MODEL_PATH
from s1_hf.rl.job import REINFORCEMENT
from s1_hf.sft.checkpoints import find_checkpoints
from s1_hf.sft.run import Stopped, start


def history(folder: Path) -> list[tuple]:
    state = json.loads((folder / "trainer_state.json").read_text())["log_history"]
    return [(entry["loss"], entry["reward"], entry["num_tokens"]) for entry in state if "loss" in entry]


def test_a_killed_run_resumes_and_ends_with_the_weights_of_an_unbroken_one(tmp_path, caplog):
    """With gradient accumulation, so that a step has two batches of one rollout."""
    whole, broken = tmp_path / "whole", tmp_path / "broken"
    process = in_a_process(arguments(broken))
    while find_checkpoints(broken, None).newest is None:
        assert process.poll() is None, process.communicate()[0][-3000:]
        time.sleep(0.02)
    process.kill()
    process.communicate()
    assert not (broken / "model.safetensors").exists()
    for folder in (whole, broken):
        recipe, *overrides = arguments(folder)
        start(recipe, overrides, job=REINFORCEMENT)
    assert f"Resuming from {broken / 'checkpoint'}" in caplog.text
    one, other = (load_file(folder / "model.safetensors") for folder in (whole, broken))
    assert one.keys() == other.keys() and all(torch.equal(one[name], other[name]) for name in one)
    base = load_file(MODEL_PATH / "model.safetensors")
    assert not all(torch.equal(one[name], base[name].float()) for name in base)
    assert history(whole) == history(broken) and len(history(whole)) == 3
    card = (whole / "README.md").read_text()
    assert "trained by GRPO" in card and "kept out of the loss" in card and "max_thinking_tokens: 62-70" in card


def test_a_loss_that_is_not_finite_stops_the_run(tmp_path, monkeypatch):
    loss = "s1_hf.rl.job.GRPOTrainer._compute_loss"
    monkeypatch.setattr(loss, lambda self, model, inputs: sum(p.sum() for p in model.parameters()) * torch.nan)
    recipe, *overrides = arguments(tmp_path / "run")
    with pytest.raises(Stopped, match=r"in step 1 the loss is nan"):
        start(recipe, overrides, job=REINFORCEMENT)
    assert not (tmp_path / "run" / "model.safetensors").exists()
