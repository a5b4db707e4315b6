"""A machine: its GPUs, their memory, and how a model and its rows are spread over them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

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


@dataclass(frozen=True)
class Zero:
    """DeepSpeed's ZeRO; elements, with DeepSpeed's own defaults.

    Args:
        stage (`int`): 1 splits the optimizer's state, 2 gradients as well, 3 weights as well.
        offload_optimizer, offload_weights (`bool`): in host memory (`device: cpu`).
        reduce_bucket (`int`): gradients that are reduced together (`reduce_bucket_size`).
        gather_bucket (`int`): weights that stage 1 and 2 gather together after a step (`allgather_bucket_size`).
        prefetched (`int`): weights that are gathered ahead (`stage3_prefetch_bucket_size`).
        live (`int`): weights that may stay gathered (`stage3_max_live_parameters`).
        step (`int`): elements that stage 3 updates together (`sub_group_size`).
    """

    stage: Literal[1, 2, 3] = 3
    offload_optimizer: bool = False
    offload_weights: bool = False
    reduce_bucket: int = 500_000_000
    gather_bucket: int = 500_000_000
    prefetched: int = 50_000_000
    live: int = 1_000_000_000
    step: int = 1_000_000_000

    def __post_init__(self) -> None:
        faults = []
        if self.stage not in (1, 2, 3):
            faults.append(f"ZeRO's `stage` has to be 1, 2 or 3, but is {self.stage}")
        if self.offload_weights and self.stage != 3:
            faults.append(f"`offload_param` needs stage 3, but the stage is {self.stage}")
        if faults:
            raise ValueError(f"{'; '.join(faults)}.")


@dataclass(frozen=True)
class Machine:
    """The hardware of a run, and how the run is spread over it.

    Args:
        name (`str`): for example `2x8-h100`: machines x GPUs per machine, kind of GPU.
        gpus (`int`): number of GPUs in all machines together; each runs one process.
        gpu_memory (`int`): bytes of one GPU, as reported by torch.
        nodes (`int`, defaults to 1): number of machines.
        sharding (`str`, defaults to `"full"`): `"full"` is FSDP2 with `reshard_after_forward`; `"gradients"` is FSDP2
            without it, so all layers stay gathered from forward to backward; `"zero"` is DeepSpeed's ZeRO; `"none"`
            keeps a full copy on each GPU.
        offload (`bool`): FSDP keeps weights, gradients and optimizer state in host memory.
        activation_checkpointing (`bool`): FSDP's own checkpointing, equivalent to the recipe's
            `gradient_checkpointing`.
        one_loads (`bool`, defaults to `True`): only one process per node reads the weights
            (`cpu_ram_efficient_loading`; under ZeRO-3, each reads and keeps its part).
        zero (`Zero`, *optional*): ZeRO's settings, if `sharding` is `"zero"`.
        context (`int`, defaults to 1): GPUs that share the tokens of a row (`cp_size` or `sp_size`).
        ulysses (`bool`): whether they exchange heads instead of keys and values (`sp_size`).
        tensor (`int`, defaults to 1): GPUs that share every matrix of a layer (`tp_size`).
        replicas (`int`, defaults to 1): copies of the sharded model (`dp_replicate_size`).
        host_memory (`int`, *optional*): bytes of one node's host memory; without it, the host's need is not judged.
    """

    name: str
    gpus: int
    gpu_memory: int
    nodes: int = 1
    sharding: Literal["full", "gradients", "zero", "none"] = "full"
    offload: bool = False
    activation_checkpointing: bool = False
    one_loads: bool = True
    zero: Zero | None = None
    context: int = 1
    ulysses: bool = False
    tensor: int = 1
    replicas: int = 1
    host_memory: int | None = None

    def __post_init__(self) -> None:
        counts = ("gpus", "gpu_memory", "nodes", "context", "tensor", "replicas")
        faults = [f"`{name}` has to be at least 1" for name in counts if getattr(self, name) < 1]
        if self.nodes >= 1 and self.gpus % self.nodes:
            faults.append(f"`gpus` has to be a multiple of `nodes`, but {self.gpus} is not a multiple of {self.nodes}")
        together = self.context * self.tensor * self.replicas
        if not faults and self.gpus % together:
            parts = f"context {self.context} x tensor {self.tensor} x replicas {self.replicas}"
            faults.append(f"`gpus` has to be a multiple of {together} ({parts}), but is {self.gpus}")
        if self.offload and self.sharding not in ("full", "gradients"):
            faults.append("`offload` needs FSDP: set `sharding` to 'full'")
        if (self.zero is None) == (self.sharding == "zero"):
            faults.append("`zero` has to be given if `sharding` is 'zero', and only then")
        if self.host_memory is not None and self.host_memory < 1:
            faults.append("`host_memory` has to be at least 1")
        if faults:
            raise ValueError(f"{'; '.join(faults)}.")

    @property
    def shards(self) -> int:
        """Number of parts that weights, gradients and optimizer state are split into, beside tensor parallelism."""
        return 1 if self.sharding == "none" else self.gpus // (self.replicas * self.tensor)

    @property
    def data_ranks(self) -> int:
        """Number of processes, or groups of them, that have rows of their own."""
        return self.gpus // (self.context * self.tensor)

    @property
    def gpus_per_node(self) -> int:
        """Number of processes that share one host's memory."""
        return self.gpus // self.nodes

    @property
    def fsdp(self) -> bool:
        """Whether FSDP gathers weights layer by layer."""
        return self.sharding in ("full", "gradients")


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


def kind_in(name: str) -> str | None:
    """The kind of GPU that a machine's name ends in, if it is known: `"h100"` for `"2x8-h100"`."""
    kinds = sorted((kind for kind in _GPUS_GIB if name == kind or name.endswith(f"-{kind}")), key=len)
    return kinds[-1] if kinds else None


def machine_of(
    gpus: int, memory: int, *, sharding: str | None = None, host_memory: int | None = None, per_node: int = 8
) -> Machine:
    """A machine without a file: `gpus` GPUs of `memory` bytes, `per_node` of them in a node.

    Args:
        sharding (`str`, *optional*): `"fsdp"`, `"zero3"`, `"zero2"` or `"none"`. By default FSDP if there are several
            GPUs, as in the recipes' machines.

    Raises:
        ValueError: a number is below 1, or `sharding` is none of these.
    """
    kinds = ("fsdp", "zero3", "zero2", "none")
    if sharding is None:
        sharding = "fsdp" if gpus > 1 else "none"
    if sharding not in kinds:
        raise ValueError(f"`sharding` has to be one of {', '.join(kinds)}, but is {sharding!r}.")
    zero = {"zero3": Zero(3), "zero2": Zero(2)}.get(sharding)
    return Machine(
        f"{gpus} x {memory / 2**30:.4g} GiB",
        gpus,
        memory,
        nodes=max(1, -(-gpus // per_node)) if gpus % per_node == 0 else 1,
        sharding="zero" if zero else "full" if sharding == "fsdp" else "none",
        zero=zero,
        one_loads=sharding in ("fsdp", "zero3"),
        host_memory=host_memory,
    )
