"""A machine, from the file that `accelerate launch` reads: FSDP's, DeepSpeed's and parallelism's fields."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path
from typing import Any

from s1_hf._lazy import require
from s1_hf.memory.machine import Machine, Zero, gpu_memory, kind_in
from s1_hf.records import COUNT, OBJECT, TEXT, Schema, check, or_null, read_json, read_yaml

PROCESSES: Schema = {
    "num_processes": COUNT,
    "num_machines": COUNT,
    "fsdp_config": or_null(OBJECT),
    "deepspeed_config": or_null(OBJECT),
    "parallelism_config": or_null(OBJECT),
}
"""What is read of an accelerate config."""

_KINDS = ("NO", "MULTI_GPU", "FSDP", "DEEPSPEED")
_SIZES: Schema = {f"{name}_size": COUNT for name in ("dp_replicate", "dp_shard", "tp", "cp", "sp")}
_OFFLOADED = ("optimizer", "param")
_BUCKETS = {  # of DeepSpeed's `zero_optimization`, to the field of `Zero`
    "reduce_bucket_size": "reduce_bucket",
    "allgather_bucket_size": "gather_bucket",
    "stage3_prefetch_bucket_size": "prefetched",
    "stage3_max_live_parameters": "live",
    "sub_group_size": "step",
}


def machine_from_accelerate(path: str | Path, memory: int | None = None, host_memory: int | None = None) -> Machine:
    """The machine described by an accelerate config.

    Args:
        path (`str | Path`): a YAML file written by `accelerate config`, for FSDP2, DeepSpeed's ZeRO, or one process per
            GPU without sharding; its `parallelism_config` may split rows and matrices.
        memory (`int`, *optional*): bytes of one GPU. By default, the host's memory for `use_cpu`, else that of the kind
            of GPU that the file's name ends in (`2x8-h100.yaml`), else what torch reports for the GPU here.
        host_memory (`int`, *optional*): bytes of one node's host memory.

    Raises:
        ValueError: the config uses another kind of distribution, or a GPU of unknown memory.
    """
    path = Path(path)
    config = read_yaml(path)
    check(config, {"num_processes": COUNT}, str(path), optional=PROCESSES, remedy="`accelerate config` writes it.")
    kind = str(config.get("distributed_type", "NO"))
    fsdp = _plain(config.get("fsdp_config"), "fsdp_")
    check(fsdp, {}, f"{path}, `fsdp_config`", optional={"version": COUNT})
    faults = []
    if kind not in _KINDS:
        faults.append(f"`distributed_type` has to be {', '.join(_KINDS[2:])}, MULTI_GPU or NO, but is {kind}")
    if kind == "FSDP" and fsdp.get("version", 1) != 2:
        faults.append("`fsdp_version` has to be 2; `accelerate to-fsdp2` converts a file")
    if faults:
        raise ValueError(f"No plan for {path}: {'; '.join(faults)}.")
    try:
        machine = Machine(
            path.stem,
            gpus=config["num_processes"],
            gpu_memory=memory or _memory_of(path.stem, bool(config.get("use_cpu"))),
            nodes=config.get("num_machines", 1),
            sharding="none",
            one_loads=False,
            host_memory=host_memory or (_host_bytes() if config.get("use_cpu") else None),
            **_parallel(config.get("parallelism_config"), path),
        )
        if kind == "FSDP":
            return replace(machine, **_fsdp(fsdp))
        zero = _zero(_plain(config.get("deepspeed_config"), "deepspeed_"), path) if kind == "DEEPSPEED" else None
        return with_zero(machine, zero) if zero is not None else machine
    except ValueError as error:
        raise ValueError(f"No plan for {path}: {error}") from None


def with_zero(machine: Machine, zero: Zero) -> Machine:
    """The machine under DeepSpeed. At stage 3, every process keeps only its part of what it reads."""
    return replace(machine, sharding="zero", zero=zero, one_loads=zero.stage == 3)


def zero_from_deepspeed(content: Any, where: str) -> Zero | None:
    """The settings in DeepSpeed's own JSON; `None` at stage 0. `"auto"` is what transformers fills in for large models.

    Raises:
        ValueError: it is not such a file.
    """
    check(content, {"zero_optimization": OBJECT}, where, remedy="DeepSpeed's JSON has `zero_optimization`.")
    settings = content["zero_optimization"]
    offloads: Schema = {f"offload_{name}": or_null(OBJECT) for name in _OFFLOADED}
    check(settings, {}, f"{where}, `zero_optimization`", optional={"stage": COUNT, **offloads})
    if not settings.get("stage"):
        return None
    devices = {name: (settings.get(f"offload_{name}") or {}).get("device", "none") for name in _OFFLOADED}
    return _checked_zero(settings["stage"], devices, settings, where)


def _zero(fields: dict[str, Any], path: Path) -> Zero | None:
    """From accelerate's `deepspeed_config`, or the file that it names."""
    check(fields, {}, f"{path}, `deepspeed_config`", optional={"config_file": or_null(TEXT), "zero_stage": COUNT})
    if fields.get("config_file"):
        file = Path(fields["config_file"])
        near = path.parent / file
        file = file if file.is_file() or not near.is_file() else near
        return zero_from_deepspeed(read_json(file), str(file))
    devices = {name: fields.get(f"offload_{name}_device") or "none" for name in _OFFLOADED}
    stage = fields.get("zero_stage", 2)  # accelerate's default
    return _checked_zero(stage, devices, {}, str(path)) if stage else None


def _checked_zero(stage: Any, devices: dict[str, Any], settings: dict[str, Any], where: str) -> Zero:
    for name, device in devices.items():
        if device not in ("none", "cpu"):
            raise ValueError(f"`offload_{name}` in {where} has to be cpu or none to be planned, but is {device!r}.")
    found = {ours: settings[name] for name, ours in _BUCKETS.items() if settings.get(name, "auto") != "auto"}
    for name, size in found.items():
        if isinstance(size, bool) or not isinstance(size, (int, float)) or size < 1:
            raise ValueError(f"The sizes of buckets in {where} have to be numbers of elements, but one is {size!r}.")
        found[name] = int(size)
    return Zero(stage, devices["optimizer"] == "cpu", devices["param"] == "cpu", **found)


def _fsdp(fields: dict[str, Any]) -> dict[str, Any]:
    return {
        "sharding": "full" if fields.get("reshard_after_forward", True) else "gradients",
        "offload": bool(fields.get("offload_params")),
        "activation_checkpointing": bool(fields.get("activation_checkpointing")),
        "one_loads": bool(fields.get("cpu_ram_efficient_loading")),
    }


def _parallel(content: dict[str, Any] | None, path: Path) -> dict[str, Any]:
    """Accelerate's `parallelism_config`: what is left over by the others is sharded over."""
    sizes = _plain(content, "parallelism_config_")
    check(sizes, {}, f"{path}, `parallelism_config`", optional=_SIZES)
    cp, sp = sizes.get("cp_size", 1), sizes.get("sp_size", 1)
    if cp > 1 and sp > 1:
        raise ValueError("`cp_size` and `sp_size` both split rows: set one of them to 1.")
    tensor, replicas = sizes.get("tp_size", 1), sizes.get("dp_replicate_size", 1)
    return {"context": cp * sp, "ulysses": sp > 1, "tensor": tensor, "replicas": replicas}


def _plain(fields: dict[str, Any] | None, prefix: str) -> dict[str, Any]:
    return {str(name).removeprefix(prefix): value for name, value in (fields or {}).items()}


def _memory_of(name: str, use_cpu: bool) -> int:
    if use_cpu:
        return _host_bytes()
    kind = kind_in(name)
    if kind is not None:
        return gpu_memory(kind)
    import torch

    if torch.cuda.is_available():
        return int(torch.cuda.get_device_properties(0).total_memory)
    return gpu_memory(name.rpartition("-")[2])


def _host_bytes() -> int:
    if hasattr(os, "sysconf"):
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return int(require("psutil", "train").virtual_memory().total)  # Windows
