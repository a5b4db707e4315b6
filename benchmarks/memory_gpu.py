"""What `s1-hf plan` predicts beside what one GPU takes: context, tensors and unused blocks, each by itself.

    python benchmarks/memory_gpu.py --dry-run                 # plans only, on any machine
    python benchmarks/memory_gpu.py --json memory_gpu.json    # on a GPU of 80 GB: about 4 minutes

Needs torch and transformers, nothing else: no TRL, no data, no network; weights are random, made on the GPU. A step is
forward, backward and fused AdamW, with all logits in the loss, as transformers computes it. Every case runs one step to
warm up and one that is measured; `varied` runs rows of other lengths before, as in training, which leave holes.

- `allocated`: torch's peak of live tensors, beside the plan without what it assumes;
- `unused`: what the allocator had reserved beyond that at its peak, as a share of it;
- `context`: what the GPU had given away beyond what the allocator had reserved.

Then the longest row that fits is searched for in an allocator of limited size, beside the plan's two lengths.
"""

from __future__ import annotations

import argparse
import gc
import json
import random
import sys
import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
import transformers
from transformers import AutoModelForCausalLM, Gemma3TextConfig, PreTrainedConfig, Qwen2Config, Qwen3MoeConfig

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "src"))

from s1_hf import memory
from s1_hf.memory import Machine, MemoryPlan, Training
from s1_hf.memory.planning import CONTEXT, UNUSED

GIB = 2**30
Row = dict[str, Any]


def qwen(hidden: int, intermediate: int, layers: int, heads: int, kv_heads: int, *, tied: bool = True) -> Qwen2Config:
    """A shape of Qwen2.5."""
    return Qwen2Config(
        hidden_size=hidden,
        intermediate_size=intermediate,
        num_hidden_layers=layers,
        num_attention_heads=heads,
        num_key_value_heads=kv_heads,
        vocab_size=151_936 if tied else 152_064,
        tie_word_embeddings=tied,
        max_position_embeddings=2**17,
    )


CONFIGS: dict[str, PreTrainedConfig] = {
    "Qwen2.5-0.5B": qwen(896, 4864, 24, 14, 2),
    "Qwen2.5-1.5B": qwen(1536, 8960, 28, 12, 2),
    "Qwen2.5-3B": qwen(2048, 11008, 36, 16, 2),
    "Qwen2.5-7B": qwen(3584, 18944, 28, 28, 4, tied=False),
    "Gemma3-1B": Gemma3TextConfig(
        hidden_size=1152,
        intermediate_size=6912,
        num_hidden_layers=26,
        num_attention_heads=4,
        num_key_value_heads=1,
        head_dim=256,
        vocab_size=262_144,
        sliding_window=512,
    ),
    "Qwen3-MoE, 12 layers of 32 experts": Qwen3MoeConfig(
        hidden_size=2048,
        num_hidden_layers=12,
        num_attention_heads=32,
        num_key_value_heads=4,
        head_dim=128,
        num_experts=32,
        num_experts_per_tok=8,
        moe_intermediate_size=768,
        vocab_size=151_936,
    ),
}


@dataclass(frozen=True)
class Case:
    """A model, its settings, and whether rows of other lengths come before the measured one."""

    name: str
    training: Training
    varied: bool = False


def settings(tokens: int, *, checkpointing: bool = True, dtype: str = "float32", **more: Any) -> Training:
    """Full logits, because the loss is that of transformers."""
    return Training(tokens, gradient_checkpointing=checkpointing, dtype=dtype, logits="full", **more)  # type: ignore


def cases() -> list[Case]:
    """The important ones first, for when time runs out."""
    bfloat16 = {"dtype": "bfloat16"}
    return [
        Case("Qwen2.5-0.5B", settings(1024)),
        Case("Qwen2.5-0.5B", settings(4096, checkpointing=False)),
        Case("Qwen2.5-1.5B", settings(4096)),
        Case("Qwen2.5-1.5B", settings(8192), varied=True),
        Case("Qwen2.5-3B", settings(4096)),
        Case("Qwen2.5-3B", settings(8192, **bfloat16)),
        Case("Qwen2.5-7B", settings(4096, **bfloat16)),
        Case("Qwen2.5-1.5B", settings(16_384, **bfloat16), varied=True),
        Case("Qwen2.5-0.5B", settings(16_384, **bfloat16), varied=True),
        Case("Qwen2.5-1.5B", settings(4096, checkpointing=False)),
        Case("Qwen2.5-3B", settings(4096, checkpointing=False, **bfloat16)),
        Case("Gemma3-1B", settings(4096, **bfloat16)),
        Case("Gemma3-1B", settings(4096, checkpointing=False)),
        Case("Qwen3-MoE, 12 layers of 32 experts", settings(4096, **bfloat16)),
        Case("Qwen3-MoE, 12 layers of 32 experts", settings(4096, checkpointing=False, **bfloat16)),
        Case("Qwen2.5-0.5B", settings(4096, bf16=False)),
        Case("Qwen2.5-0.5B", settings(2048, checkpointing=False, attention="eager", **bfloat16)),
        Case("Qwen2.5-0.5B", settings(1024, per_device_batch_size=4, **bfloat16)),
        Case("Qwen2.5-3B", settings(16_384, **bfloat16)),
    ]


SEARCHES = [  # and the bytes that the allocator may take, as on a smaller GPU
    (Case("Qwen2.5-0.5B", settings(1)), 22 * GIB),
    (Case("Qwen2.5-1.5B", settings(1, dtype="bfloat16", checkpointing=False)), 38 * GIB),
]


def planned(case: Case, machine: Machine) -> MemoryPlan:
    """The plan of a case."""
    return memory.plan(memory.decoder_shape(CONFIGS[case.name]), case.training, machine)


def tensors(result: MemoryPlan) -> int:
    """A plan's total without what it assumes."""
    return sum(part.bytes for part in result.parts if part.name not in (CONTEXT, UNUSED))


class Run:
    """A model on the GPU, and its steps."""

    def __init__(self, case: Case) -> None:
        training = case.training
        with torch.device("cuda"):
            self.model = AutoModelForCausalLM.from_config(
                CONFIGS[case.name],
                dtype=getattr(torch, training.dtype),
                attn_implementation=training.attention or "sdpa",
            ).train()
        if training.gradient_checkpointing:
            new = getattr(self.model, "activation_checkpointing_enable", None)
            (new or self.model.gradient_checkpointing_enable)({"use_reentrant": False})
        self.optimizer = torch.optim.AdamW(self.model.parameters(), lr=1e-6, fused=True)
        self.training = training

    def step(self, tokens: int) -> None:
        """One step on rows of `tokens` tokens; of several rows, all but the first are half padding."""
        rows = self.training.per_device_batch_size
        ids = torch.randint(0, 50_000, (rows, tokens), device="cuda")
        mask = None
        if rows > 1:
            mask = torch.ones_like(ids)
            mask[1:, tokens // 2 :] = 0
        with torch.autocast("cuda", torch.bfloat16, enabled=self.training.bf16):
            loss = self.model(input_ids=ids, labels=ids, attention_mask=mask, use_cache=False).loss
        loss.backward()
        self.optimizer.step()
        self.optimizer.zero_grad()


def clear() -> None:
    """Give everything back to the GPU."""
    gc.collect()
    torch.cuda.synchronize()
    torch.cuda.empty_cache()
    torch.cuda.reset_peak_memory_stats()


def measure(case: Case) -> Row:
    """Bytes of a step."""
    clear()
    run, tokens, begun = Run(case), case.training.max_length, time.perf_counter()
    lengths = [random.Random(seed).randint(tokens // 8, tokens) for seed in range(6)] if case.varied else []
    for length in [tokens // 2, *lengths]:
        run.step(length)
    torch.cuda.synchronize()
    torch.cuda.reset_peak_memory_stats()
    run.step(tokens)
    torch.cuda.synchronize()
    free, total = torch.cuda.mem_get_info()
    allocated, reserved = torch.cuda.max_memory_allocated(), torch.cuda.max_memory_reserved()
    return {
        "allocated": allocated,
        "reserved": reserved,
        "unused": (reserved - allocated) / allocated,
        "used": total - free,
        "context": total - free - torch.cuda.memory_reserved(),
        "seconds": time.perf_counter() - begun,
    }


def fits(case: Case, tokens: int) -> bool:
    """Whether two steps go through, on rows half as long and then as long as said."""
    clear()
    try:
        run = Run(replace(case, training=replace(case.training, max_length=tokens)))
        run.step(tokens // 2)
        run.step(tokens)
        torch.cuda.synchronize()
    except torch.cuda.OutOfMemoryError:
        return False
    return True


def longest(case: Case, limit: int, context: int, machine: Machine, deadline: float) -> Row:
    """The longest row (in steps of 256) that fits into an allocator of `limit` bytes, beside the plan's."""
    card = replace(machine, gpu_memory=limit + context)
    shape = memory.decoder_shape(CONFIGS[case.name])
    surely, perhaps = (memory.longest_length(shape, case.training, card, tightly=tightly) for tightly in (False, True))
    row: Row = {"model": case.name, "dtype": case.training.dtype, "checkpointing": case.training.gradient_checkpointing}
    row |= {"GiB": limit / GIB, "planned to fit": surely, "planned to fit tightly": perhaps, "found": None}
    if not torch.cuda.is_available():
        return row
    _, total = torch.cuda.mem_get_info()
    torch.cuda.set_per_process_memory_fraction(limit / total)
    low, high = 0, 2 * perhaps // 256
    while low < high and time.perf_counter() < deadline:
        middle = (low + high + 1) // 2
        low, high = (middle, high) if fits(case, 256 * middle) else (low, middle - 1)
    torch.cuda.set_per_process_memory_fraction(1.0)
    return row | {"found": 256 * low if low == high else f"from {256 * low} to {256 * high}: no time"}


def line(case: Case, result: MemoryPlan) -> Row:
    """A case and what is planned for it."""
    t = case.training
    kind = "bfloat16" if t.dtype == "bfloat16" else "autocast" if t.bf16 else "float32"
    row: Row = {"model": case.name, "tokens": f"{t.per_device_batch_size} x {t.max_length}", "numbers": kind}
    row |= {"checkpointing": t.gradient_checkpointing, "attention": t.attention or "sdpa", "varied": case.varied}
    return row | {
        "planned": tensors(result),
        "planned from": result.gpu.low,
        "planned in all": result.gpu.total,
        "planned to": result.gpu.high,
        "moment": result.moment,
    }


def shown(rows: list[Row]) -> str:
    """A table in Markdown; bytes as GiB."""
    names = list(dict.fromkeys(name for row in rows for name in row))
    lines = [f"| {' | '.join(names)} |", f"|{' --- |' * len(names)}"]
    for row in rows:
        lines.append(f"| {' | '.join(_cell(name, row.get(name, '')) for name in names)} |")
    return "\n".join(lines)


def _cell(name: str, value: Any) -> str:
    if isinstance(value, bool) or value is None or isinstance(value, str):
        return str(value)
    if isinstance(value, int) and value > 2**25:
        return f"{value / GIB:,.2f}"
    return f"{value:,.3g}" if isinstance(value, float) else f"{value:,}"


def device_facts() -> Row:
    """The GPU, what it had given away before this process came, and versions."""
    facts: Row = {"torch": torch.__version__, "transformers": transformers.__version__, "gpu": "none"}
    if torch.cuda.is_available():
        free, total = torch.cuda.mem_get_info()  # makes the context
        facts |= {"gpu": torch.cuda.get_device_name(), "total": total, "used when empty": total - free}
    return facts


def main() -> None:
    """See the module."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--dry-run", action="store_true", help="plan only")
    parser.add_argument("--json", type=Path, help="also write everything here")
    parser.add_argument("--seconds", type=float, default=230, help="start nothing after so long")
    parser.add_argument("--only", type=int, nargs="*", help="numbers of cases, from 0")
    given = parser.parse_args()
    if not given.dry_run and not torch.cuda.is_available():
        parser.error("there is no GPU here: say --dry-run")
    facts = {"gpu": "none: plans only"} if given.dry_run else device_facts()
    size = facts.get("total", memory.gpu_memory("h100"))
    machine = Machine("this GPU", 1, size, sharding="none")
    begun, rows, searches = time.perf_counter(), [], []
    chosen = [case for i, case in enumerate(cases()) if given.only is None or i in given.only]
    for case in chosen:
        row = line(case, planned(case, machine))
        if not given.dry_run:
            row |= attempt(case, time.perf_counter() - begun > given.seconds - 50)
        rows.append(row)
        print(json.dumps(row), file=sys.stderr, flush=True)
    context = max((row["context"] for row in rows if "context" in row), default=800 * 2**20)
    for case, limit in SEARCHES:
        searches.append(longest(case, limit, context, machine, begun + given.seconds))
    print(json.dumps(facts), shown(rows), shown(searches), sep="\n\n")
    content = json.dumps({"facts": facts, "rows": rows, "searches": searches}, indent=1)
    if given.json is not None:
        given.json.write_text(content + "\n")
    else:
        print(content)


def attempt(case: Case, late: bool) -> Row:
    """What was measured, or why not."""
    if late:
        return {"outcome": "not run: no time"}
    try:
        row = measure(case)
    except torch.cuda.OutOfMemoryError:
        return {"outcome": "out of memory"}
    finally:
        clear()
    return row | {"outcome": "ran"}


if __name__ == "__main__":
    main()
