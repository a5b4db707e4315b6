"""Train and measure the embedded process reward model: src/s1_hf/embedded/reward, from the toy's own sampled traces.

    OMP_WAIT_POLICY=passive PYTHONPATH=src python training/embedded/reward.py

1. Sample traces of problems that training may use, at temperature 1: half of them as the toy writes them, the others
   with 1 to 4 ignored ends, so that late lines are seen too.
2. Label every line: 1 if it and all lines before it are right (`s1_hf.embedded.lines`) and the toy, left to itself
   from there, gave the right answer. What stands before the last forced Wait has no label, for the toy was not left to
   itself. The answer's label is whether it is right.
3. Fine-tune the toy's own weights for token classification, in the form of TRL's PRM trainer, with transformers'
   Trainer: TRL 1.16 has no PRM trainer any more.
4. Measure on held-out problems: AUC and accuracy of lines and of answers, and best of N beside majority voting and the
   oracle. `--measure` does only this.

The traces are kept in `--work`, so that a second run trains or measures at once.
"""

from __future__ import annotations

import argparse
import json
import random
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from reward_measures import SIZES, best_of_n, scored, tables
from transformers import AutoTokenizer, Qwen2ForTokenClassification, Trainer, TrainingArguments

from s1_hf import Budget, embedded
from s1_hf.embedded.lines import right_lines
from s1_hf.embedded.problems import Problem, extract_answer, held_out_sample, trainable
from s1_hf.engines.engine import Finished
from s1_hf.engines.request import Request, Sampling, seed_of
from s1_hf.engines.transformers_engine import TransformersEngine
from s1_hf.files import write_text
from s1_hf.forcing.report import UNCLOSED
from s1_hf.generation.chats import prompt_ids
from s1_hf.scoring import RewardModel

OUTPUT = Path(embedded.__file__).with_name("reward")
SEPARATOR = "\n"
IGNORES = (0, 0, 0, 0, 1, 2, 3, 4)  # ignored ends, one problem after the other
MAX_NEW_TOKENS = 600


@dataclass(frozen=True)
class Attempt:
    """One sampled trace: its lines and its answer, and the first line after which the toy was left to itself."""

    problem: tuple[int, int, int, int]
    lines: list[str]
    answer: str
    own: int
    tokens: int  # generated

    @property
    def question(self) -> str:
        return Problem(*self.problem).question

    @property
    def is_right(self) -> bool:
        return extract_answer(self.answer) == Problem(*self.problem).answer

    @property
    def lines_right(self) -> list[bool]:
        return right_lines(Problem(*self.problem), self.lines)

    @property
    def steps(self) -> list[str]:
        return [*self.lines, self.answer]

    @property
    def labels(self) -> list[int | None]:
        """Of each step; None: it has no label."""
        found: list[int | None] = []
        for number, right in enumerate(self.lines_right):
            found.append(int(right and self.is_right) if number >= self.own else None)
        return [*found, int(self.is_right)]


# -- 1. traces --------------------------------------------------------------------------------------------------------


def sampled(asked: Sequence[tuple[Problem, int, int]], name: str) -> Iterator[Attempt]:
    """Traces by the toy at temperature 1: of each problem, with so many ignored ends, the sample of that number."""
    model, tokenizer = embedded.load()
    engine = TransformersEngine(model, tokenizer, batch_size=230)
    requests = {}
    for problem, ignores, sample in asked:
        request = Request(
            prompt=tuple(prompt_ids(tokenizer, engine.format, problem.question, {})),
            budget=Budget(num_ignores=ignores),
            max_new_tokens=MAX_NEW_TOKENS,
            max_answer_tokens=12,
            sampling=Sampling(),
            seed=seed_of(0, name, problem.question, sample),
            problem=problem.question,
            sample=sample,
        )
        requests[request] = problem
    done = 0
    for finished in engine.run(list(requests), lambda rows: None):
        done += len(finished)
        print(f"\r{done:,} of {len(requests):,} traces", end="", flush=True)
        for one in finished:
            if one.completion.report.ended not in UNCLOSED:
                yield attempt_of(requests[one.request], one, tokenizer)
    print()


def attempt_of(problem: Problem, finished: Finished, tokenizer) -> Attempt:
    done = finished.completion
    lines, own = done.thinking.split("\n"), 0
    for place in (i for i, is_forced in enumerate(done.forced) if is_forced and done.report.ends_ignored):
        line = tokenizer.decode(done.token_ids[: place + 1]).count("\n") - 1  # the first newline opens the thinking
        own = line if 0 <= line < len(lines) else own  # a Wait; others open and close the thinking
    return Attempt((problem.a, problem.p, problem.b, problem.q), lines, done.answer, own, len(done.token_ids))


def kept(path: Path, asked: Sequence[tuple[Problem, int, int]]) -> list[Attempt]:
    """Traces as they were sampled before, or sampled now."""
    if not path.is_file():
        rows = [json.dumps(asdict(one)) for one in sampled(asked, path.stem)]
        path.parent.mkdir(parents=True, exist_ok=True)
        write_text(path, "\n".join(rows) + "\n")
    rows = path.read_text(encoding="utf-8").splitlines()
    return [Attempt(**{**row, "problem": tuple(row["problem"])}) for row in map(json.loads, rows)]


# -- 2. and 3. labels and training ------------------------------------------------------------------------------------


def example(tokenizer: Any, question: str, steps: Sequence[str], labels: Sequence[int | None]) -> dict[str, list[int]]:
    """A trace as TRL's PRM trainer would have it: the question, then every step, a separator, and there its label."""
    separator = tokenizer.encode(SEPARATOR, add_special_tokens=False)
    ids = tokenizer.encode(question, add_special_tokens=False)
    at = [-100] * len(ids)
    for step, label in zip(steps, labels, strict=True):
        step_ids = tokenizer.encode(step, add_special_tokens=False) + separator
        ids += step_ids
        at += [-100] * (len(step_ids) - 1) + [-100 if label is None else label]
    return {"input_ids": ids, "labels": at}


def collated(rows: Sequence[dict[str, list[int]]]) -> dict[str, torch.Tensor]:
    width = max(len(row["input_ids"]) for row in rows)
    padded = {
        "input_ids": [row["input_ids"] + [0] * (width - len(row["input_ids"])) for row in rows],
        "labels": [row["labels"] + [-100] * (width - len(row["labels"])) for row in rows],
        "attention_mask": [[1] * len(row["labels"]) + [0] * (width - len(row["labels"])) for row in rows],
    }
    return {name: torch.tensor(values) for name, values in padded.items()}


def train(attempts: Sequence[Attempt], output: Path, work: Path, seed: int) -> None:
    torch.manual_seed(seed)
    tokenizer = AutoTokenizer.from_pretrained(embedded.MODEL_PATH)
    model = Qwen2ForTokenClassification.from_pretrained(
        embedded.MODEL_PATH, dtype=torch.float32, num_labels=2, id2label={0: "wrong", 1: "right"}
    )
    model.config.step_separator = SEPARATOR
    rows = [example(tokenizer, one.question, one.steps, one.labels) for one in attempts]
    arguments = TrainingArguments(
        output_dir=str(work / "trainer"),
        num_train_epochs=2,
        per_device_train_batch_size=32,
        learning_rate=1e-3,
        lr_scheduler_type="cosine",
        warmup_steps=30,
        weight_decay=0.0,
        train_sampling_strategy="group_by_length",
        logging_steps=50,
        save_strategy="no",
        report_to=[],
        use_cpu=True,
        seed=seed,
        disable_tqdm=True,
    )
    Trainer(model=model, args=arguments, train_dataset=rows, data_collator=collated).train()
    tokenizer.save_pretrained(output)
    model.to(torch.bfloat16).save_pretrained(output)


def training_questions(traces: int, seed: int) -> list[tuple[Problem, int, int]]:
    chosen = random.Random(seed).sample(trainable(), traces)
    return [(problem, IGNORES[i % len(IGNORES)], 0) for i, problem in enumerate(chosen)]


def held_out_questions(problems: int, samples: int, seed: int) -> list[tuple[Problem, int, int]]:
    chosen = held_out_sample(problems, seed)
    return [(problem, 0, sample) for problem in chosen for sample in range(samples)]


def main() -> None:
    parser = argparse.ArgumentParser(description="Train and measure the embedded process reward model.")
    parser.add_argument("--output", type=Path, default=OUTPUT, help="folder of the model (default: %(default)s)")
    parser.add_argument("--work", type=Path, default=Path("reward"), help="folder of traces (default: %(default)s)")
    parser.add_argument("--traces", type=int, default=2400, help="to train on (default: %(default)s)")
    parser.add_argument("--problems", type=int, default=200, help="held-out ones (default: %(default)s)")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--measure", action="store_true", help="only measure the model in --output")
    args = parser.parse_args()
    torch.set_num_threads(args.threads)

    begin = time.perf_counter()
    if not args.measure:
        attempts = kept(args.work / "train.jsonl", training_questions(args.traces, args.seed))
        print(f"sampled: {time.perf_counter() - begin:.0f} s", flush=True)
        train(attempts, args.output, args.work, args.seed)
        print(f"trained: {time.perf_counter() - begin:.0f} s", flush=True)
    held_out = kept(args.work / "held_out.jsonl", held_out_questions(args.problems, max(SIZES), args.seed))
    rows, cost = scored(held_out, RewardModel.load(str(args.output), dtype="float32", batch_size=64))
    print(f"{len(rows):,} traces, {cost}")
    print("\n".join([*tables(rows), "", *best_of_n(rows)]))
    print(f"done: {time.perf_counter() - begin:.0f} s", flush=True)


if __name__ == "__main__":
    main()
