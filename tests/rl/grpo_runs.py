"""Trainers of the embedded model, and what they make of a rollout."""

from __future__ import annotations

import os
import subprocess
import sys
import warnings
from pathlib import Path
from typing import Any

from datasets import Dataset
from trl import GRPOConfig, GRPOTrainer

from s1_hf import embedded
from s1_hf.embedded.problems import trainable
from s1_hf.rl.rewards import correct

ENVIRONMENT = os.environ | {"OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1", "PYTHONWARNINGS": "ignore"}


def trainer_of(rollout: Any, folder: Path, columns: dict[str, list] | None = None, **fields: Any) -> GRPOTrainer:
    """Of two problems with two completions each, by default."""
    model, tokenizer = embedded.load()
    problems = trainable()[100:104]
    data = {
        "prompt": [[{"role": "user", "content": problem.question}] for problem in problems],
        "solution": [str(problem.answer) for problem in problems],
    }
    given = {
        "output_dir": str(folder),
        "per_device_train_batch_size": 4,
        "num_generations": 2,
        "max_completion_length": 60,
        "max_steps": 2,
        "use_cpu": True,
        "bf16": False,
        "gradient_checkpointing": False,
        "report_to": "none",
        "save_strategy": "no",
        "beta": 0.0,
        "disable_tqdm": True,
        "seed": 3,
    }
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "You are using 'rollout_func'", UserWarning)
        return GRPOTrainer(
            model,
            [correct],
            GRPOConfig(**{**given, **fields}),
            Dataset.from_dict(data | (columns or {})),
            eval_dataset=Dataset.from_dict(data),
            processing_class=tokenizer,
            rollout_func=rollout,
        )


def inputs_of(trainer: GRPOTrainer) -> dict[str, Any]:
    """The first batch of a trainer, generated and scored."""
    return trainer._generate_and_score_completions(next(iter(trainer.get_train_dataloader())))


def arguments(folder: Path, *more: str) -> list[str]:
    """Under a cap near which the model may end by itself, so that rewards differ and it learns."""
    short = ["--max_steps", "3", "--save_steps", "1", "--logging_steps", "1", "--max_completion_length", "90"]
    sizes = ["--global_batch_size", "8", "--per_device_train_batch_size", "4", "--num_generations", "4"]
    budget = ["--max_thinking_tokens", "62-70", "--rewards", "correct,within_budget"]
    return ["grpo_embedded", "--output_dir", str(folder), *short, *sizes, *budget, *more]


def start(given: list[str]) -> subprocess.Popen:
    command = [sys.executable, "-m", "s1_hf.rl", *given]
    return subprocess.Popen(command, env=ENVIRONMENT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
