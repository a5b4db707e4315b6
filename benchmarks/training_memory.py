"""What `s1-hf plan` predicts beside what a training step takes, and how fast it is.

    python benchmarks/run.py --only training_memory [--quick]

`simulated`: the whole model, on fake tensors among fake ranks (see live_bytes.py), on any machine. It is torch's,
accelerate's, TRL's and transformers' code that runs, so that it shows whether the formulas are those of that code.

`measured`, where there is a CUDA device: four decoder layers of the 32B shape with random weights in one process, in
two ways. "ours": TRL's fused loss and gradient checkpointing; "original": all logits and no checkpointing, as in the s1
repository's train/sft.sh. Both with float32 weights under bfloat16 autocast. Peak of torch's allocator, tokens/s.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import nullcontext
from typing import Any

import torch
from torch._subclasses.fake_tensor import FakeTensorMode
from transformers import AutoModelForCausalLM, PreTrainedConfig, PreTrainedModel
from trl.trainer.utils import add_fused_lm_head

from live_bytes import LiveBytes, fake_ranks, loss_as_on_gpu, put_fake_tensors, shard
from reporting import Row, table
from s1_hf.memory import Lora, Machine, MemoryPlan, Training, decoder_shape, plan, read_config
from s1_hf.memory.planning import CONTEXT, UNUSED
from s1_hf.memory.training import ALL_LINEAR

NAME_32B = "Qwen/Qwen2.5-32B-Instruct"
GPU = 80 * 2**30  # no prediction depends on it
FSDP = {f"{n} GPUs": Machine(f"{n} GPUs", n, GPU, nodes=-(-n // 8)) for n in (2, 8, 16)}
ALONE = Machine("1 GPU", 1, GPU, sharding="none")
ORIGINAL: dict[str, Any] = {"gradient_checkpointing": False, "logits": "full"}


def make_model(config: PreTrainedConfig, training: Training) -> torch.nn.Module:
    """A model as `SFTTrainer` prepares it, on the default device."""
    dtype = getattr(torch, training.dtype)
    model = AutoModelForCausalLM.from_config(config, attn_implementation="sdpa", dtype=dtype).train()
    add_fused_lm_head(model, outputs=("log_probs", "entropy", "is_top1"))
    if training.lora is not None:
        from peft import LoraConfig, get_peft_model

        targets = list(training.lora.targets)
        model = get_peft_model(model, LoraConfig(r=training.lora.rank, target_modules=targets, task_type="CAUSAL_LM"))
        if training.gradient_checkpointing:
            model.enable_input_require_grads()
    if training.gradient_checkpointing:
        enable_checkpointing(model)
    return model


def enable_checkpointing(model: Any) -> None:
    """By the name that it has in the installed transformers: the new one's old name warns."""
    new = getattr(model, "activation_checkpointing_enable", None)
    (new or model.gradient_checkpointing_enable)({"use_reentrant": False})


def make_step(model: torch.nn.Module, training: Training, device: torch.device) -> Callable[[], None]:
    """One batch, forward and backward. Rows are full, so that attention needs no mask."""
    ids = torch.zeros(training.per_device_batch_size, training.max_length, dtype=torch.long, device=device)
    inputs = {"input_ids": ids, "labels": ids, "attention_mask": {"full_attention": None}, "use_cache": False}
    fused = {"fused_lm_head": True} if training.logits == "fused" else {}

    def step() -> None:
        with torch.autocast(device.type, torch.bfloat16, enabled=training.bf16):
            loss = model(**inputs, **fused).loss
        loss.backward()

    return step


def simulate(config: PreTrainedConfig, training: Training, machine: Machine) -> int:
    """Bytes alive on one GPU at the worst moment of a step, its batches accumulated; it is the second step."""
    ranks = nullcontext() if machine.sharding == "none" else fake_ranks(machine.gpus)
    with ranks as mesh, loss_as_on_gpu():
        with torch.device("meta"):
            model = make_model(config, training)
        with FakeTensorMode(allow_non_fake_inputs=True), LiveBytes() as live:
            put_fake_tensors(model)
            if mesh is not None:
                shard(model, mesh, reshard=machine.sharding == "full", bf16=training.bf16)
            for parameter in model.parameters():
                live.see(parameter)
            optimizer = torch.optim.AdamW([p for p in model.parameters() if p.requires_grad], foreach=False)
            step = make_step(model, training, torch.device("cpu"))
            step()
            optimizer.step()
            optimizer.zero_grad()
            live.peak = live.now
            for batch in range(1, training.accumulation_steps + 1):
                if mesh is not None:  # as `Trainer` does
                    model.set_requires_gradient_sync(training.sync_each_batch or batch == training.accumulation_steps)
                step()
            return live.peak


def measure(config: PreTrainedConfig, training: Training, device: torch.device, steps: int = 3) -> tuple[int, float]:
    """Peak bytes and tokens per second of steps of one process; on a CPU by counting what is alive.

    Raises:
        torch.cuda.OutOfMemoryError: it does not fit.
    """
    with device:
        model: PreTrainedModel | torch.nn.Module = make_model(config, training)
    optimizer = torch.optim.AdamW([p for p in model.parameters() if p.requires_grad], fused=True)
    step = make_step(model, training, device)
    cuda = device.type == "cuda"
    with nullcontext() if cuda else LiveBytes() as live:
        step()
        optimizer.step()
        optimizer.zero_grad()
        _start_of_peak(live)
        begun = time.perf_counter()
        for _ in range(steps):
            step()
            optimizer.step()
            optimizer.zero_grad()
        if cuda:
            torch.cuda.synchronize()
    seconds = time.perf_counter() - begun
    return torch.cuda.max_memory_allocated() if live is None else live.peak, steps * training.tokens / seconds


def _start_of_peak(live: LiveBytes | None) -> None:
    if live is not None:
        live.peak = live.now
    else:
        torch.cuda.synchronize()
        torch.cuda.reset_peak_memory_stats()


def predicted(result: MemoryPlan) -> int:
    """A plan's total without what it assumes, which is for what is not counted here either."""
    return sum(part.bytes for part in result.parts if part.name not in (CONTEXT, UNUSED))


def simulated_cases(quick: bool) -> list[tuple[str, PreTrainedConfig, Training, Machine]]:
    """Name, model, settings and machine."""
    config = small() if quick else read_config(NAME_32B)[0]
    lengths = (96,) if quick else (10_000, 20_000, 32_768)
    machines = [FSDP["2 GPUs"]] if quick else [FSDP["8 GPUs"], FSDP["16 GPUs"]]
    cases = [
        ("ours", config, Training(n, accumulation_steps=16 // machine.gpus, sync_each_batch=True), machine)
        for n in lengths
        for machine in machines
    ]
    original = [("original", config, Training(n, sync_each_batch=True, **ORIGINAL), machines[-1]) for n in lengths]
    lora = Lora(16, ALL_LINEAR)
    adapters = [("LoRA", config, Training(n, dtype="bfloat16", lora=lora), ALONE) for n in lengths]
    return cases + original + adapters


def measured_rows(quick: bool) -> list[Row]:
    """On the CUDA device that is there; `quick` without one: a toy on the CPU, to see that it works."""
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    if device.type == "cpu" and not quick:
        return []
    config = small() if quick else read_config(NAME_32B)[0]
    config.num_hidden_layers = min(4, config.num_hidden_layers)
    rows = []
    for length in (96,) if quick else (8_000, 20_000, 32_768):
        for name, settings in (("ours", {}), ("original", ORIGINAL)):
            training = Training(length, **settings)
            forecast = predicted(plan(decoder_shape(config), training, ALONE))
            try:
                peak, speed = measure(config, training, device)
            except torch.cuda.OutOfMemoryError:
                peak, speed = None, None
            if device.type == "cuda":
                torch.cuda.empty_cache()
            rows.append(_row("measured", name, config, training, ALONE, forecast, peak) | {"tokens_per_s": speed})
    return rows


def small() -> PreTrainedConfig:
    """A toy of the 32B model's kind."""
    config, _ = read_config(NAME_32B)
    sizes = {"hidden_size": 64, "intermediate_size": 176, "num_hidden_layers": 2, "vocab_size": 512}
    config.update(sizes | {"num_attention_heads": 4, "num_key_value_heads": 2, "layer_types": ["full_attention"] * 2})
    return config


def _row(
    how: str, name: str, config: PreTrainedConfig, t: Training, machine: Machine, forecast: int, peak: int | None
) -> Row:
    where = {"how": how, "settings": name, "layers": config.num_hidden_layers, "machine": machine.name}
    return where | {"tokens": t.max_length, "predicted": forecast, "peak": peak}


def run(quick: bool = False) -> tuple[list[Row], list[str]]:
    """All rows, and what has to be said about them."""
    rows = []
    for name, config, training, machine in simulated_cases(quick):
        forecast = predicted(plan(decoder_shape(config), training, machine))
        peak = simulate(config, training, machine)
        rows.append(_row("simulated", name, config, training, machine, forecast, peak))
    measured = measured_rows(quick)
    gpu = "" if measured else "Measured on a GPU: written, not run: there is none here. "
    return rows + measured, [f"{gpu}Predictions are without the allowance for CUDA, NCCL and fragmentation."]


def tables(rows: list[Row]) -> list[str]:
    """Simulated, then measured."""
    parts = []
    for how in ("simulated", "measured"):
        lines = [_line(row) for row in rows if row["how"] == how]
        if lines:
            parts += [f"{how.capitalize()}, GiB on one GPU:", table(lines)]
    return parts


def _line(row: Row) -> Row:
    line = {name: row[name] for name in ("settings", "layers", "machine", "tokens")}
    line["predicted"] = f"{row['predicted'] / 2**30:,.2f}"
    line["peak"] = f"{row['peak'] / 2**30:,.2f}" if row["peak"] else "out of memory"
    line["predicted / peak"] = f"{row['predicted'] / row['peak']:.3f}" if row["peak"] else ""
    if "tokens_per_s" in row:
        line["tokens/s"] = row["tokens_per_s"] or ""
    return line
