"""What measuring the model's confidence costs per step of `generate`, beside finding the most likely token.

    python benchmarks/run.py --only confidence_cost [--quick]

Each step hands every way fresh random logits in float32; the ways take turns within a step, so that what else happens
on the machine falls on all of them alike. The vocabularies are the embedded model's and Qwen2.5's.
"""

from __future__ import annotations

import statistics
from functools import partial
from itertools import product

import torch

from reporting import Row, table
from s1_hf.forcing.confidence import measured
from step_cost import WARM_UPS, count_operations, microseconds

VOCABULARIES = (512, 151_936)
ARGMAX = "argmax"
WAYS = {
    ARGMAX: lambda logits: logits.argmax(-1),
    "top 1": lambda logits: measured(logits, 1),
    "top 20": lambda logits: measured(logits, 20),
    "all tokens": lambda logits: measured(logits, None),
}


def measure(vocabulary: int, batch_size: int, steps: int, device: torch.device) -> Row:
    """One row: the median microseconds of every way."""
    generator = torch.Generator(device).manual_seed(0)
    taken: dict[str, list[float]] = {name: [] for name in WAYS}
    names = list(WAYS)
    for step in range(WARM_UPS + steps):
        logits = 4 * torch.randn(batch_size, vocabulary, generator=generator, device=device)
        for name in names[step % len(names) :] + names[: step % len(names)]:
            taken[name].append(microseconds(partial(WAYS[name], logits), device))
    row: Row = {"device": device.type, "vocabulary": vocabulary, "B": batch_size}
    for name, values in taken.items():
        row[name] = round(statistics.median(values[WARM_UPS:]), 1)
    return row


def run(quick: bool = False) -> tuple[list[Row], list[str]]:
    """All rows, and what has to be said about them."""
    sizes = [1, 2] if quick else [1, 8, 32]
    devices = ["cpu", *(["cuda"] if torch.cuda.is_available() else [])]
    rows = [
        measure(vocabulary, batch_size, 3 if quick else 50, torch.device(device))
        for device, vocabulary, batch_size in product(devices, VOCABULARIES, sizes)
    ]
    logits = torch.randn(2, VOCABULARIES[0])
    counts = ", ".join(f"{name} {count_operations(partial(way, logits))}" for name, way in WAYS.items())
    gpu = "measured with CUDA events" if torch.cuda.is_available() else "not run: there is none here"
    return rows, [f"Tensor operations per step: {counts}.", f"On a GPU: {gpu}. What is not asked for costs nothing."]


def tables(rows: list[Row]) -> list[str]:
    """One."""
    return ["Median microseconds per step.", table(rows)]
