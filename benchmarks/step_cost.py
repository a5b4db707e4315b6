"""What the processor costs per step of `generate`, beside doing without one and beside two peers' ways.

    python benchmarks/run.py --only step_cost [--quick]

Each step hands every method the sequences so far, one token longer than at the last step, and fresh random scores. The
methods take turns within a step, so that what else happens on the machine falls on all of them alike. Measured is the
common case: every row is thinking, nothing is forced. The vocabulary has 151,936 rows and the tokenizer 151,665 tokens,
as Qwen2.5's. The first call of a run, which reads the prompt, is given apart.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from functools import partial
from itertools import product
from typing import Any, NamedTuple

import torch
from torch.utils._python_dispatch import TorchDispatchMode
from transformers import (
    GenerationConfig,
    LogitsProcessorList,
    PreTrainedTokenizerFast,
    TemperatureLogitsWarper,
    TopKLogitsWarper,
    TopPLogitsWarper,
)

from reporting import Row, table
from s1_hf import BudgetForcingLogitsProcessor
from stand_ins import make_tokenizer

VOCABULARY_ROWS, TOKENS = 151_936, 151_665
BUDGET = 2**20  # tokens: never reached
TEMPERATURE, TOP_K, TOP_P = 0.6, 20, 0.95
WARM_UPS = 3
TARGET = "at most 100 us per step at B = 64, context 32,768, greedy"

ARGMAX, DRAW, COPY = "argmax", "warpers and draw", "copy of the scores"
GREEDY, SAMPLE = "s1-hf, greedy", "s1-hf, sampling"
COUNTER, RESCAN, HOST = "call counter", "rescan", "rescan, ids on the host"


class Inputs(NamedTuple):
    """What a step of `generate` hands to a processor."""

    ids: torch.Tensor  # (batch_size, length)
    scores: torch.Tensor  # (batch_size, VOCABULARY_ROWS), the method's own to change
    host: list[list[int]]  # `ids` as lists, which an engine has at hand and `generate` has not


class CallCounter:
    """Counts its own calls, raises the scores of the newline and of `</think>` near the budget, forces them at it.

    The way of muellerzr's note (https://muellerzr.github.io/til/end_thinking.html), written here from its description
    and for all rows. Cheap, and wrong: all rows share one count, so that rows that began to think at different places
    are cut at the same step; a row that has ended its thinking is cut again; and assisted decoding, which calls a
    processor several times a token on drafts that it may reject, uses the budget up too early. Cannot ignore ends.
    """

    def __init__(self, budget: int, newline: int, close: int) -> None:
        self.budget, self.newline, self.close = budget, newline, close
        self.calls = 0

    def __call__(self, scores: torch.Tensor) -> torch.Tensor:
        self.calls += 1
        if self.budget * 0.8 < self.calls < self.budget - 1:
            scores[:, [self.newline, self.close]] *= 1 + self.calls / self.budget
        elif self.calls in (self.budget - 1, self.budget):
            scores[:] = -torch.inf
            scores[:, self.newline if self.calls == self.budget - 1 else self.close] = 0.0
        return scores


class Rescan:
    """Looks for the open thinking block in the whole of every row at every step, in Python, and counts what follows.

    The way of SGLang's `ThinkingBudgetLogitProcessor` (0.5.23), written here from its description. Cannot ignore ends.
    """

    def __init__(self, budget: int, newline: int, start: int, close: int) -> None:
        self.budget, self.newline, self.start, self.close = budget, newline, start, close

    def __call__(self, rows: list[list[int]], scores: torch.Tensor) -> torch.Tensor:
        for r, row in enumerate(rows):
            ids = list(row)  # prompt and output are kept apart there and put together at every step
            opened = self._opened(ids)
            if opened < 0 or len(ids) - opened - 1 < self.budget:
                continue
            scores[r] = -torch.inf
            scores[r, self.close if ids[-1] == self.newline else self.newline] = 0.0
        return scores

    def _opened(self, ids: list[int]) -> int:
        for i in range(len(ids) - 1, -1, -1):
            if ids[i] == self.start:
                return i
            if ids[i] == self.close:
                return -1
        return -1


def methods(tokenizer: PreTrainedTokenizerFast) -> dict[str, Callable[[Inputs], object]]:
    """Name and step of everything that is compared; each step is for one run of growing sequences."""
    start, close, newline = tokenizer.convert_tokens_to_ids(["<think>", "</think>", "Ċ"])
    config = GenerationConfig(do_sample=True, temperature=TEMPERATURE, top_k=TOP_K, top_p=TOP_P)
    greedy = BudgetForcingLogitsProcessor(tokenizer, max_thinking_tokens=BUDGET, num_ignores=2)
    sample = BudgetForcingLogitsProcessor(
        tokenizer, max_thinking_tokens=BUDGET, num_ignores=2, generation_config=config
    )
    warpers = LogitsProcessorList(
        [TemperatureLogitsWarper(TEMPERATURE), TopKLogitsWarper(TOP_K), TopPLogitsWarper(TOP_P)]
    )
    counter, rescan = CallCounter(BUDGET, newline, close), Rescan(BUDGET, newline, start, close)
    return {
        ARGMAX: lambda x: x.scores.argmax(-1),
        DRAW: lambda x: torch.multinomial(warpers(x.ids, x.scores).softmax(-1), num_samples=1),
        COPY: lambda x: x.scores.clone(),
        GREEDY: lambda x: greedy(x.ids, x.scores),
        SAMPLE: lambda x: sample(x.ids, x.scores),
        COUNTER: lambda x: counter(x.scores),
        RESCAN: lambda x: rescan(x.ids.tolist(), x.scores),
        HOST: lambda x: rescan(x.host, x.scores),
    }


def measure(
    tokenizer: PreTrainedTokenizerFast, batch_size: int, context: int, steps: int, device: torch.device
) -> list[Row]:
    """One row per method, over `steps` steps that begin at a length of `context`."""
    generator = torch.Generator(device).manual_seed(0)
    start, *_ = delimiters = tokenizer.convert_tokens_to_ids(["<think>", "</think>", "<|im_end|>"])
    compared = methods(tokenizer)
    ids = torch.randint(256, (batch_size, context - WARM_UPS), generator=generator, device=device)
    ids[:, 0] = start
    host = ids.tolist()
    operations: dict[str, int] = {}
    taken: dict[str, list[float]] = {name: [] for name in compared}
    for step in range(WARM_UPS + steps):
        scores = torch.randn(batch_size, VOCABULARY_ROWS, generator=generator, device=device)
        scores[:, delimiters] = scores[:, TOKENS:] = -20.0
        for name in _turned(list(compared), step):
            call = partial(compared[name], Inputs(ids, scores.clone(), host))
            if step == WARM_UPS - 1:
                operations[name] = count_operations(call)
            else:
                taken[name].append(microseconds(call, device))
        tokens = scores.argmax(-1)
        ids = torch.cat([ids, tokens[:, None]], dim=1)
        for row, token in zip(host, tokens.tolist(), strict=True):
            row.append(token)
    where = {"device": device.type, "batch_size": batch_size, "context": context}
    return [where | row for row in _rows(taken, operations)]


def _rows(taken: dict[str, list[float]], operations: dict[str, int]) -> list[Row]:
    steps = {name: values[WARM_UPS - 1 :] for name, values in taken.items()}
    medians = {name: statistics.median(values) for name, values in steps.items()}
    rows = []
    for name, values in steps.items():
        low, _, high = statistics.quantiles(values, n=4)
        row = {"method": name, "median_us": medians[name], "quartile_1_us": low, "quartile_3_us": high}
        row |= {"min_us": min(values), "first_call_us": taken[name][0]}
        row = {key: round(value, 1) if isinstance(value, float) else value for key, value in row.items()}
        ratios = {f"times {other}": round(medians[name] / medians[other], 4) for other in (ARGMAX, COUNTER, RESCAN)}
        rows.append(row | ratios | {"operations": operations[name]})
    return rows


def microseconds(call: Callable[[], object], device: torch.device) -> float:
    """How long one step takes: on a GPU between two events on an idle stream, so that nothing hides the launches."""
    if device.type == "cuda":
        begin, end = torch.cuda.Event(enable_timing=True), torch.cuda.Event(enable_timing=True)
        torch.cuda.synchronize()
        begin.record()
        call()
        end.record()
        end.synchronize()
        return begin.elapsed_time(end) * 1e3
    begun = time.perf_counter_ns()
    call()
    return (time.perf_counter_ns() - begun) / 1e3


def count_operations(call: Callable[[], object]) -> int:
    """Tensor operations that are no mere views; on a GPU nearly each is a kernel launch of its own."""
    with _Operations() as counted:
        call()
    return counted.count


class _Operations(TorchDispatchMode):
    def __init__(self) -> None:
        super().__init__()
        self.count = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        self.count += not any(a.alias_info and not a.alias_info.is_write for a in func._schema.arguments)
        return func(*args, **(kwargs or {}))


def _turned(names: list[str], by: int) -> list[str]:
    return names[by % len(names) :] + names[: by % len(names)]


def cases(quick: bool) -> list[tuple[torch.device, int, int]]:
    """Device, batch size and context of each measurement."""
    sizes, contexts = ([1, 2], [256]) if quick else ([1, 8, 32], [256, 2048, 8192, 32768])
    grid = list(product(sizes, contexts))
    on = {"cpu": grid, "cuda": [*grid, (64, contexts[-1])] if torch.cuda.is_available() else []}
    return [(torch.device(device), b, t) for device, pairs in on.items() for b, t in pairs]


def run(quick: bool = False) -> tuple[list[Row], list[str]]:
    """All rows, and what has to be said about them."""
    tokenizer = make_tokenizer(TOKENS)
    rows = []
    for device, batch_size, context in cases(quick):
        rows += measure(tokenizer, batch_size, context, 3 if quick else 25, device)
    counts = ", ".join(f"{r['method']} {r['operations']}" for r in rows[-8:])
    gpu = "measured with CUDA events" if torch.cuda.is_available() else "not run: there is none here"
    return rows, [f"Tensor operations per step: {counts}.", f"On a GPU: {gpu}. The target there: {TARGET}."]


def tables(rows: list[Row]) -> list[str]:
    """Greedy decoding, then sampling."""
    places: dict[tuple[str, int, int], dict[str, Row]] = {}
    for row in rows:
        places.setdefault((row["device"], row["batch_size"], row["context"]), {})[row["method"]] = row
    greedy = [_line(place, at, [ARGMAX, COPY, GREEDY, COUNTER, HOST, RESCAN]) for place, at in places.items()]
    for line, at in zip(greedy, places.values(), strict=True):
        line["s1-hf / argmax"] = at[GREEDY][f"times {ARGMAX}"]
        line["s1-hf / rescan"] = at[GREEDY][f"times {RESCAN}"]
        line["first call of s1-hf, ms"] = at[GREEDY]["first_call_us"] / 1e3
    sampling = [_line(place, at, [DRAW, SAMPLE]) for place, at in places.items()]
    for line, at in zip(sampling, places.values(), strict=True):
        line["s1-hf / warpers and draw"] = at[SAMPLE]["median_us"] / at[DRAW]["median_us"]
    return ["Microseconds per step: median (first quartile, third quartile).", table(greedy), table(sampling)]


def _line(place: tuple[str, int, int], at: dict[str, Row], names: list[str]) -> Row:
    spread = {
        name: "{median_us:,.0f} ({quartile_1_us:,.0f}, {quartile_3_us:,.0f})".format(**at[name]) for name in names
    }
    return dict(zip(("device", "B", "context"), place, strict=True)) | spread
