"""What is measured, and never judged: time, memory; and whether a step waits for the device."""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

import torch
from transformers import GenerationConfig, LogitsProcessorList, StoppingCriteriaList

from s1_hf.conformance.checks import settings_for
from s1_hf.conformance.findings import Finding
from s1_hf.conformance.live_bytes import LiveBytes
from s1_hf.engines.engine import Engine
from s1_hf.engines.plain_config import ends_of, padding_of
from s1_hf.engines.request import Request
from s1_hf.forcing.budget import Budget
from s1_hf.generation.chats import left_padded, prompt_ids
from s1_hf.generation.generate import budget_forcing

STEPS = 48
MEMORY_STEPS = 16  # fewer: every operation is looked at
BUDGET = Budget(max_thinking_tokens=2**20, num_ignores=2)
"""Never reached, so that both sides write the same number of tokens."""


class Guarded:
    """A processor, or a criterion, whose calls after the first raise an error if they wait for the GPU."""

    def __init__(self, inner: Any) -> None:
        self._inner = inner
        self._calls = 0

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        self._calls += 1
        before = torch.cuda.get_sync_debug_mode()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # that the mode is a prototype
            torch.cuda.set_sync_debug_mode("default" if self._calls == 1 else "error")  # the first reads the prompt
        try:
            return self._inner(*args, **kwargs)
        finally:
            torch.cuda.set_sync_debug_mode(before)


def check_synchronisation(engine: Any, question: str) -> Finding:
    """Whether a step of the processor waits for the GPU."""
    name, model = "no synchronisation", engine.model
    if model.device.type != "cuda":
        return Finding(name, "not run", f"not applicable: only CUDA tells, and this ran on {model.device.type}")
    waits = []
    for sampling in ({"do_sample": False}, {"do_sample": True, "top_k": 20, "top_p": 0.95}):
        inputs, _, ours = _calls(engine, question, rows=4, steps=STEPS, more=sampling)
        ours["logits_processor"] = LogitsProcessorList([Guarded(one) for one in ours["logits_processor"]])
        ours["stopping_criteria"] = StoppingCriteriaList([Guarded(one) for one in ours["stopping_criteria"]])
        try:
            model.generate(**inputs, **ours)
        except RuntimeError as error:
            if "synchroniz" not in str(error):
                raise
            waits.append(f"{'sampling' if sampling['do_sample'] else 'greedy'}: {error}")
    if waits:
        return Finding(name, "fault", "a step waits for the GPU. " + " ".join(waits))
    return Finding(name, "passed", f"{STEPS} steps, greedy and sampling, in CUDA's debug mode")


def measure_steps(engine: Any, question: str, rows: Sequence[int] = (1, 8), repeats: int = 5) -> Finding:
    """Microseconds that budget forcing adds to a step of `generate`, and its share of the step."""
    model, sides = engine.model, {}
    for count in rows:
        inputs, plain, ours = _calls(engine, question, rows=count, steps=STEPS, more={"do_sample": False})
        sides[count] = partial(model.generate, **inputs, **plain), partial(model.generate, **inputs, **ours)
    return _cost(sides, model.device, repeats)


def measure_vllm_steps(engine: Any, question: str, rows: Sequence[int] = (1, 8), repeats: int = 5) -> Finding:
    """The same in vLLM, whose step is that of its whole engine."""
    prompt = {"prompt_token_ids": list(prompt_ids(engine.tokenizer, engine.format, question, {}))}
    sides = {}
    for count in rows:
        both = []
        for extra in (None, {name: getattr(_budget(engine), name) for name in ("max_thinking_tokens", "num_ignores")}):
            params = engine.llm.get_default_sampling_params()
            params.temperature, params.max_tokens, params.min_tokens, params.extra_args = 0.0, STEPS, STEPS, extra
            both.append(partial(engine.llm.generate, [prompt] * count, params, use_tqdm=False))
        sides[count] = both[0], both[1]
    return _cost(sides, torch.device("cpu"), repeats)


Sides = tuple[Callable[[], Any], Callable[[], Any]]


def _cost(sides: Mapping[int, Sides], device: torch.device, repeats: int) -> Finding:
    """Of pairs of runs, without a budget and with one, by the size of the batch."""
    said, figures = [], {}
    for count, pair in sides.items():
        seconds: tuple[list[float], list[float]] = ([], [])
        for repeat in range(repeats + 1):  # the first warms up
            for side, taken in zip(pair, seconds, strict=True):
                took = _seconds(device, side)
                if repeat:
                    taken.append(took)
        one, other = map(min, seconds)  # what else runs on the machine only adds
        added, step = (other - one) / STEPS * 1e6, other / STEPS * 1e6
        said.append(f"batch {count}: {added:,.0f} of {step:,.0f} us, {100 * added / step:.0f}%")
        figures[str(count)] = {"added_us": added, "step_us": step, "share": added / step}
    return Finding("cost of a step", "measured", "; ".join(said), {"batches": figures, "steps": STEPS})


def measure_memory(engine: Engine, question: str, rows: int = 8) -> Finding:
    """The most bytes of tensors alive at once, the weights left out: plain, under a budget, and in a sweep."""
    model: Any = engine.model  # type: ignore[attr-defined]  # the transformers engine
    inputs, plain, ours = _calls(engine, question, rows=rows, steps=MEMORY_STEPS, more={"do_sample": False})
    prompt = tuple(inputs["input_ids"][0].tolist())
    requests = [Request(prompt=prompt, max_new_tokens=MEMORY_STEPS, problem=str(row)) for row in range(rows)]
    peaks = {
        "plain": _peak(model, lambda: model.generate(**inputs, **plain)),
        "budget": _peak(model, lambda: model.generate(**inputs, **ours)),
    }
    said = f"{rows} rows, {MEMORY_STEPS} tokens, besides the weights: plain `generate` {_mib(peaks['plain'])}, under a "
    said += f"budget {_mib(peaks['budget'])}"
    settings, _ = settings_for(engine)
    if settings:
        peaks["sweep"] = _peak(model, lambda: list(engine.sweep(requests, settings, lambda count: None)))
        said += f", a sweep of {len(settings)} settings {_mib(peaks['sweep'])}"
    return Finding("memory", "measured", said, peaks)


def _calls(
    engine: Any, question: str, *, rows: int, steps: int, more: dict[str, Any]
) -> tuple[dict[str, torch.Tensor], dict[str, Any], dict[str, Any]]:
    """Inputs of `generate`, and its arguments without and with a budget; no row ends before `steps` tokens."""
    model, tokenizer = engine.model, engine.tokenizer
    ids = list(prompt_ids(tokenizer, engine.format, question, {}))
    inputs = {name: tensor.to(model.device) for name, tensor in left_padded([ids] * rows, 0).items()}
    ends = ends_of(tokenizer, model.generation_config)
    config = GenerationConfig(
        max_new_tokens=steps,
        suppress_tokens=list(dict.fromkeys([*ends, *engine.format.ends])),
        eos_token_id=ends or None,
        pad_token_id=padding_of(tokenizer, ends),
        **more,
    )
    ours = budget_forcing(model, tokenizer, budget=_budget(engine), format=engine.format, generation_config=config)
    return inputs, {"generation_config": config}, ours


def _budget(engine: Any) -> Budget:
    return Budget(max_thinking_tokens=2**20) if engine.format.plain else BUDGET


def _seconds(device: torch.device, run: Callable[[], Any]) -> float:
    _wait(device)
    begun = time.perf_counter()
    run()
    _wait(device)
    return time.perf_counter() - begun


def _wait(device: torch.device) -> None:
    if device.type != "cpu":
        torch.accelerator.synchronize(device)


def _peak(model: Any, run: Callable[[], Any]) -> int:
    with torch.no_grad(), LiveBytes() as live:
        for weights in (*model.parameters(), *model.buffers()):
            live.see(weights)
        begun = live.now
        run()
        return live.peak - begun


def _mib(size: int) -> str:
    return f"{size / 2**20:,.1f} MiB"
