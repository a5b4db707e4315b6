"""Measure the embedded model on all held-out problems: the table of its model card.

    OMP_WAIT_POLICY=passive PYTHONPATH=src python training/embedded/measure.py [FOLDER ...]

Greedy decoding in float32, batches of 230. One row of the table per setting, one column per folder.
"""

import argparse
from dataclasses import dataclass
from pathlib import Path

import torch
from transformers import AutoTokenizer, Qwen2ForCausalLM

from s1_hf import generate
from s1_hf.embedded import MODEL_PATH
from s1_hf.embedded.problems import Problem, extract_answer, held_out, held_out_sample
from s1_hf.metrics import wilson_interval

SETTINGS = (
    *({"max_thinking_tokens": cap} for cap in (16, 32, 48)),
    *({"num_ignores": waits} for waits in (0, 1, 2, 3, 4, 6)),
)
LINES = 6  # greedy decoding gives up after this many lines
BATCH = 230


@dataclass(frozen=True)
class Score:
    """`right` of `total` answers are right; `tokens` is the mean number of thinking tokens."""

    right: int
    total: int
    tokens: float

    def __str__(self) -> str:
        low, high = wilson_interval([True] * self.right + [False] * (self.total - self.right))
        return f"{100 * self.right / self.total:.1f} [{low:.1f}, {high:.1f}] | {self.tokens:.0f}"


def faultless(problems: list[Problem], waits: int) -> float:
    """The share that the same stopping rule would solve without any mistake in reading, adding or comparing."""
    seen = [list(problem.states())[: LINES * (waits + 1)] for problem in problems]
    return sum(max(states[-1]) == problem.answer for states, problem in zip(seen, problems, strict=True)) / len(seen)


def measure(folder: Path, problems: list[Problem], setting: dict[str, int]) -> Score:
    model = Qwen2ForCausalLM.from_pretrained(folder, dtype=torch.float32).eval()
    tokenizer = AutoTokenizer.from_pretrained(folder)
    right, tokens = 0, 0
    for start in range(0, len(problems), BATCH):
        batch = problems[start : start + BATCH]
        questions = [problem.question for problem in batch]
        completions = generate(model, tokenizer, questions, max_answer_tokens=12, **setting)
        for problem, completion in zip(batch, completions, strict=True):
            right += extract_answer(completion.answer) == problem.answer
            tokens += completion.report.thinking_tokens
    return Score(right, len(problems), tokens / len(problems))


def main() -> None:
    parser = argparse.ArgumentParser(description="Measure fine-tuned models on held-out problems.")
    parser.add_argument("folders", type=Path, nargs="*", default=[MODEL_PATH], help="default: the shipped model")
    parser.add_argument("--sample", type=int, help="number of held-out problems, drawn with seed 0 (default: all)")
    parser.add_argument("--threads", type=int, default=2)
    args = parser.parse_args()
    torch.set_num_threads(args.threads)

    problems = held_out() if args.sample is None else held_out_sample(args.sample, seed=0)
    problems.sort(key=lambda problem: problem.answer)  # so that rows of similar length share a batch
    print(f"{len(problems)} problems; per folder: accuracy %, its 95 % interval, mean thinking tokens")
    print(f"| setting |{' accuracy | tokens |' * len(args.folders)} faultless |")
    print(f"|---|{'---|---|' * len(args.folders)}---|")
    for setting in SETTINGS:
        scores = [measure(folder, problems, setting) for folder in args.folders]
        best = f"{100 * faultless(problems, setting['num_ignores']):.1f}" if "num_ignores" in setting else ""
        print(f"| {setting} | {' | '.join(map(str, scores))} | {best} |", flush=True)


if __name__ == "__main__":
    main()
