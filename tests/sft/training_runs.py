"""Short runs of the embedded recipe, in this process or another, and what they leave behind."""

import json
import os
import subprocess
import sys
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file

from s1_hf.sft.checking import check
from s1_hf.sft.journal import Journal
from s1_hf.sft.recipe import read_recipe
from s1_hf.sft.trainer import RunMark

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


def begin(folder: Path, recipe: str, overrides: list[str]) -> Journal:
    """Start a run, and leave it as if killed after its first checkpoint."""
    journal = Journal(folder)
    run = journal.begin(read_recipe(recipe, overrides), check(read_recipe(recipe, overrides)).prepared.source)
    make_checkpoint(folder, 2, run)
    return journal


def make_checkpoint(folder: Path, step: int, run: str) -> Path:
    """The files of a checkpoint, with next to nothing in them."""
    checkpoint = folder / f"checkpoint-{step}"
    checkpoint.mkdir(parents=True)
    save_file({"weight": torch.zeros(3)}, checkpoint / "model.safetensors")
    for name in ("optimizer.pt", "scheduler.pt", "rng_state.pth"):
        torch.save({"state": torch.zeros(3)}, checkpoint / name)
    marks = {"RunMark": RunMark(run).state()}
    (checkpoint / "trainer_state.json").write_text(json.dumps({"global_step": step, "stateful_callbacks": marks}))
    return checkpoint
