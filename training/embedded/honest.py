"""Train and measure the embedded model whose uncertainty is honest: src/s1_hf/embedded/honest.

    OMP_WAIT_POLICY=passive PYTHONPATH=src python training/embedded/honest.py

As for the embedded model: the same base, fine-tuned on traces of problems that training may use, at the same learning
rate. What differs is what the traces answer. There the answer of a trace that stops too early is the last number seen,
so the model is sure of wrong answers. Here it is the right answer, which cannot be known yet: the best that the model
can do is to spread its probability over what is possible. So the probability that it gives to an answer says whether
the answer is known. That has to hold wherever thinking is cut, too: further rows are traces up to any token of their
thinking, closed as budget forcing closes them, with a loss on the answer alone.

`--measure` only measures the model in `--output`.
"""

from __future__ import annotations

import argparse
import random
import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from reward import collated
from reward_measures import auc, with_interval
from transformers import Qwen2ForCausalLM, Trainer, TrainingArguments

from s1_hf import Budget, embedded
from s1_hf.embedded.problems import trainable, write_trace
from s1_hf.forcing.confidence import Confidence
from s1_hf.methods import Bench, BudgetForcing, problems_of
from s1_hf.metrics import wilson_interval
from s1_hf.results.rows import Row

OUTPUT = Path(embedded.__file__).with_name("honest")
TRACES, TRACES_SEED = 4000, 2000
CUTS = 2
"""Of each trace; it is also there as often as a whole."""
SETTINGS = (
    *(Budget(max_thinking_tokens=cap, num_ignores=4) for cap in (16, 32, 64, 96, 128, 160)),
    *(Budget(num_ignores=count) for count in (0, 1, 2, 4)),
)
BINS = 5


def examples(tokenizer: Any, seed: int) -> Iterator[dict[str, list[int]]]:
    """Whole traces, and traces up to some token of their thinking, all with the right answer."""
    rng = random.Random(seed)
    for problem in rng.sample(trainable(), TRACES):
        trace, answer = write_trace(problem, rng), f"Answer: {problem.answer}<|im_end|>"
        chat = [{"role": "user", "content": problem.question}]
        prompt = tokenizer.apply_chat_template(chat, add_generation_prompt=True, return_dict=True)["input_ids"]
        opening, thinking, closing = (
            tokenizer.encode(text) for text in ("<|im_start|>think\n", trace.thinking, "\n<|im_start|>answer\n")
        )
        whole = [*opening, *thinking, *closing, *tokenizer.encode(answer)]
        for _ in range(CUTS):
            yield {"input_ids": [*prompt, *whole], "labels": [-100] * len(prompt) + whole}
            cut = [*prompt, *opening, *thinking[: rng.randrange(len(thinking))], *closing]
            cut += tokenizer.encode("Final Answer:")
            right = tokenizer.encode(answer.removeprefix("Answer:"))
            yield {"input_ids": [*cut, *right], "labels": [-100] * len(cut) + right}


def train(work: Path, output: Path, seed: int) -> None:
    torch.manual_seed(seed)
    _, tokenizer = embedded.load_base()
    arguments = TrainingArguments(
        output_dir=str(work),
        num_train_epochs=1,
        per_device_train_batch_size=32,
        learning_rate=1e-3,
        lr_scheduler_type="cosine",
        warmup_steps=10,
        logging_steps=50,
        save_strategy="no",
        report_to=[],
        use_cpu=True,
        seed=seed,
        disable_tqdm=True,
    )
    model = Qwen2ForCausalLM.from_pretrained(embedded.BASE_PATH, dtype=torch.float32)
    rows = list(examples(tokenizer, TRACES_SEED))
    Trainer(model=model, args=arguments, train_dataset=rows, data_collator=collated).train()
    model.to(torch.bfloat16).save_pretrained(output)
    for name in ("chat_template.jinja", "tokenizer.json", "tokenizer_config.json", "generation_config.json"):
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
