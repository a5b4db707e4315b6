"""Train and measure the embedded model whose uncertainty is honest: src/s1_hf/embedded/honest.

    OMP_WAIT_POLICY=passive PYTHONPATH=src python training/embedded/honest.py

The recipe is that of the embedded model: the same base, then fine-tuning by `s1-hf sft sft_embedded`. What differs are
the traces. There the answer of a trace that stops too early is the last number seen, so the model is sure of wrong
answers. Here it is the right answer, which cannot be known yet: the best that the model can do is to spread its
probability over what is possible. So the probability that it gives to an answer says whether the answer is known.

`--measure` only measures. The work folder keeps what is finished; rerun the same command to resume.
"""

from __future__ import annotations

import argparse
import json
import random
import shutil
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from reward_measures import auc, with_interval
from transformers import Qwen2ForCausalLM

from s1_hf import Budget, embedded
from s1_hf.embedded.problems import trainable, write_trace
from s1_hf.files import write_text
from s1_hf.forcing.confidence import Confidence
from s1_hf.methods import Bench, BudgetForcing, problems_of
from s1_hf.metrics import wilson_interval
from s1_hf.results.rows import Row

OUTPUT = Path(embedded.__file__).with_name("honest")
TRACES, TRACES_SEED = 4000, 2000
EPOCHS, STEPS = 2, 500
SETTINGS = (
    *(Budget(max_thinking_tokens=cap, num_ignores=4) for cap in (16, 32, 64, 96, 128, 160)),
    *(Budget(num_ignores=count) for count in (0, 1, 2, 4)),
)
BINS = 5


def write_traces(path: Path) -> None:
    """Traces of problems that training may use, which end in the right answer whether or not they have found it."""
    rng = random.Random(TRACES_SEED)
    traces = [write_trace(problem, rng) for problem in rng.sample(trainable(), TRACES)]
    rows = [replace(trace, answer=trace.solution).row() for trace in traces]
    path.parent.mkdir(parents=True, exist_ok=True)
    write_text(path, "".join(json.dumps(row) + "\n" for row in rows))


def train(work: Path, output: Path, seed: int) -> None:
    write_traces(work / "traces.jsonl")
    fields = {
        "--dataset_path": work / "traces.jsonl", "--output_dir": work / "model", "--seed": seed,
        "--num_train_epochs": EPOCHS, "--expected_steps": STEPS,
    }  # fmt: skip
    options = [str(part) for pair in fields.items() for part in pair]
    subprocess.run([sys.executable, "-m", "s1_hf.sft", "sft_embedded", *options], check=True)
    model = Qwen2ForCausalLM.from_pretrained(work / "model", dtype=torch.bfloat16)
    model.save_pretrained(output)
    for name in ("chat_template.jinja", "tokenizer.json", "tokenizer_config.json"):
        shutil.copyfile(embedded.MODEL_PATH / name, output / name)


def measured(folder: Path, count: int) -> list[Row]:
    """Greedy answers to held-out problems under every setting, with how sure the model was of each."""
    model, tokenizer = embedded.load(folder)
    problems = problems_of("s1:embedded", max_samples=count)
    rows = []
    for setting in SETTINGS:
        bench = Bench(
            model=model, tokenizer=tokenizer, problems=problems, max_new_tokens=600,
            max_answer_tokens=12, batch_size=100, confidence=Confidence(top=1),
        )  # fmt: skip
        rows += BudgetForcing(points=[setting]).run(bench)
    return rows


def table(rows: Sequence[Row]) -> list[str]:
    lines = [
        "| setting | accuracy % | thinking tokens | confidence when right | when wrong | AUC |",
        "|---|---|---|---|---|---|",
    ]
    for setting in dict.fromkeys(row.setting for row in rows):
        own = [row for row in rows if row.setting == setting]
        right = [row.correct for row in own]
        low, high = wilson_interval(right)
        sure: dict[bool, list[float]] = {True: [], False: []}
        pairs = []
        for number, row in enumerate(own):
            if row.confidence is not None:
                sure[row.correct].append(row.confidence)
                pairs.append((number, row.confidence, int(row.correct)))
        means = [f"{np.mean(sure[kind]):.3f}" for kind in (True, False)]
        tokens = np.mean([row.thinking_tokens for row in own])
        lines.append(
            f"| {setting} | {100 * np.mean(right):.1f} [{low:.1f}, {high:.1f}] | {tokens:.0f} | {means[0]} "
            f"| {means[1]} | {with_interval(pairs, auc)} |"
        )
    return lines


def reliability(rows: Sequence[Row]) -> list[str]:
    """What share is right of the answers with so much confidence, all settings together."""
    lines = ["| confidence | answers | mean confidence | right % |", "|---|---|---|---|"]
    for number in range(BINS):
        low, high = number / BINS, (number + 1) / BINS
        own = [row for row in rows if row.confidence is not None and low < row.confidence <= high]
        if own:
            sure = np.mean([row.confidence for row in own])
            right = 100 * np.mean([row.correct for row in own])
            lines.append(f"| {low:.1f} to {high:.1f} | {len(own):,} | {sure:.3f} | {right:.1f} |")
    return lines


def main() -> None:
    parser = argparse.ArgumentParser(description="Train and measure the embedded model whose uncertainty is honest.")
    parser.add_argument("--output", type=Path, default=OUTPUT, help="folder of the model (default: %(default)s)")
    parser.add_argument(
        "--work", type=Path, default=Path("honest"), help="folder of the training (default: %(default)s)"
    )
    parser.add_argument("--problems", type=int, default=500, help="held-out ones (default: %(default)s)")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--measure", action="store_true", help="only measure the model in --output")
    args = parser.parse_args()
    if not args.measure:
        train(args.work, args.output, args.seed)
    for folder in (embedded.MODEL_PATH, args.output):
        rows: Any = measured(folder, args.problems)
        print("\n".join(["", f"{folder.name}:", "", *table(rows), "", *reliability(rows)]), flush=True)


if __name__ == "__main__":
    main()
