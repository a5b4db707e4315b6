"""A machine: its GPUs, their memory, and how FSDP shards the model over them."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from s1_hf._lazy import require
from s1_hf.records import COUNT, OBJECT, Schema, check, or_null, read_yaml

# The total that torch reports, as the lowest value seen in out-of-memory messages ("has a total capacity of 79.11 GiB",
# vllm-project/vllm#27508, and similar for the others). It is less than the nominal size, which includes ECC's share.
_GPUS_GIB = {
    "a100": 79.1,
    "a100-40gb": 39.4,
    "b200": 178.3,
    "h100": 79.1,
    "h200": 139.7,
    "l40s": 44.3,
    "rtx4090": 23.6,
}


PROCESSES: Schema = {"num_processes": COUNT, "num_machines": COUNT, "fsdp_config": or_null(OBJECT)}
"""What is read of an accelerate config."""


@dataclass(frozen=True)
class Machine:
    """The hardware of a run, and how the run is spread over it.

    Args:
        name (`str`): for example `2x8-h100`: machines x GPUs per machine, kind of GPU.
        gpus (`int`): number of GPUs in all machines together; each runs one process.
        gpu_memory (`int`): bytes of one GPU, as reported by torch.
        nodes (`int`, defaults to 1): number of machines.
        sharding (`str`, defaults to `"full"`): `"full"` is FSDP2 with `reshard_after_forward`; `"gradients"` is FSDP2
            without it, so all layers stay gathered from forward to backward; `"none"` keeps a full copy on each GPU.
        offload (`bool`): FSDP keeps weights, gradients and optimizer state in host memory.
        activation_checkpointing (`bool`): FSDP's own checkpointing, equivalent to the recipe's
            `gradient_checkpointing`.
        one_loads (`bool`, defaults to `True`): only one process per node reads the weights
            (`cpu_ram_efficient_loading`).
    """

    name: str
    gpus: int
    gpu_memory: int
    nodes: int = 1
    sharding: Literal["full", "gradients", "none"] = "full"
    offload: bool = False
    activation_checkpointing: bool = False
    one_loads: bool = True

    def __post_init__(self) -> None:
        faults = [
            f"`{name}` has to be at least 1" for name in ("gpus", "gpu_memory", "nodes") if getattr(self, name) < 1
        ]
        if self.nodes >= 1 and self.gpus % self.nodes:
            faults.append(f"`gpus` has to be a multiple of `nodes`, but {self.gpus} is not a multiple of {self.nodes}")
        if self.offload and self.sharding == "none":
            faults.append("`offload` needs FSDP: set `sharding` to 'full'")
        if faults:
            raise ValueError(f"{'; '.join(faults)}.")

    @property
    def shards(self) -> int:
        """Number of parts that weights, gradients and optimizer state are split into."""
        return 1 if self.sharding == "none" else self.gpus

    @property
    def gpus_per_node(self) -> int:
        """Number of processes that share one host's memory."""
        return self.gpus // self.nodes


def gpu_memory(kind: str) -> int:
    """Bytes that torch reports for a kind of GPU, for example `"h100"`.

    Raises:
        ValueError: the kind is not in the table; the message lists those that are.
    """
    if kind not in _GPUS_GIB:
        raise ValueError(
            f"The memory of a GPU {kind!r} is not known, only that of {', '.join(_GPUS_GIB)}. Give its GiB: "
            "--gpu-memory 79.1"
        )
    return int(_GPUS_GIB[kind] * 2**30)


def machine_from_accelerate(path: str | Path, memory: int | None = None) -> Machine:
    """The machine described by an accelerate config.

    Args:
        path (`str | Path`): a YAML file written by `accelerate config`, for FSDP2 or for one process per GPU without
            sharding.
        memory (`int`, *optional*): bytes of one GPU. By default, the host's memory for `use_cpu`, else that of the kind
            of GPU that the file's name ends in (`2x8-h100.yaml`), else what torch reports for the GPU here.

    Raises:
        ValueError: the config uses another kind of distribution, or a GPU of unknown memory.
    """
    path = Path(path)
    config = read_yaml(path)
    check(config, {"num_processes": COUNT}, str(path), optional=PROCESSES, remedy="`accelerate config` writes it.")
    kind, fsdp = str(config.get("distributed_type", "NO")), _plain(config.get("fsdp_config"))
    check(fsdp, {}, f"{path}, `fsdp_config`", optional={"version": COUNT})
    faults = []
    if kind not in ("NO", "MULTI_GPU", "FSDP"):
        faults.append(f"`distributed_type` has to be FSDP, MULTI_GPU or NO, but is {kind}")
    if kind == "FSDP" and fsdp.get("version", 1) != 2:
        faults.append("`fsdp_version` has to be 2; `accelerate to-fsdp2` converts a file")
    if config.get("parallelism_config"):
        faults.append("`parallelism_config` (tensor, context or sequence parallelism) is not covered by the formulas")
    if faults:
        raise ValueError(f"No plan for {path}: {'; '.join(faults)}.")
    resharded = fsdp.get("reshard_after_forward", True)
    try:
        return Machine(
            path.stem,
            gpus=config["num_processes"],
            gpu_memory=memory or _memory_of(path.stem, bool(config.get("use_cpu"))),
            nodes=config.get("num_machines", 1),
            sharding="none" if kind != "FSDP" else "full" if resharded else "gradients",
            offload=bool(fsdp.get("offload_params")),
            activation_checkpointing=bool(fsdp.get("activation_checkpointing")),
            one_loads=bool(fsdp.get("cpu_ram_efficient_loading")) if kind == "FSDP" else False,
        )
    except ValueError as error:
        raise ValueError(f"No plan for {path}: {error}") from None


def _plain(fsdp: dict[str, Any] | None) -> dict[str, Any]:
    return {name.removeprefix("fsdp_"): value for name, value in (fsdp or {}).items()}


def _memory_of(name: str, use_cpu: bool) -> int:
    if use_cpu:
        if hasattr(os, "sysconf"):
            return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
        return int(require("psutil", "train").virtual_memory().total)  # Windows
    kinds = sorted((kind for kind in _GPUS_GIB if name == kind or name.endswith(f"-{kind}")), key=len)
    if kinds:
        return gpu_memory(kinds[-1])
    import torch

    if torch.cuda.is_available():
        return int(torch.cuda.get_device_properties(0).total_memory)
    return gpu_memory(name.rpartition("-")[2])
