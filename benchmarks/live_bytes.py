"""How many bytes are alive at once: of fake tensors, which have shapes but no memory, or of real ones.

With fake tensors the whole step of a 32B model runs on any machine: transformers' model, TRL's loss, accelerate's
FSDP2 among ranks that are not there. Counted is what torch would ask the allocator for, in the order in which it would.
Not seen: the allocator's rounding and unused blocks, the CUDA context, NCCL, workspaces of cuBLAS, and memory that
comes back later on a GPU because a stream still reads it.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from types import SimpleNamespace
from typing import Any

import torch
import torch.distributed as dist
from torch.distributed.tensor import DTensor
from torch.testing._internal.distributed.fake_pg import FakeStore

from s1_hf.conformance import live_bytes as conformance


class LiveBytes(conformance.LiveBytes):
    """Also of sharded tensors, whose own part is counted, and of what FSDP frees by hand."""

    def see(self, tensor: torch.Tensor) -> None:
        """Count a tensor, if it is not yet."""
        super().see(tensor._local_tensor if isinstance(tensor, DTensor) else tensor)

    def __enter__(self) -> LiveBytes:
        self._resize = resize = torch.UntypedStorage.resize_

        def seen(storage: torch.UntypedStorage, size: int) -> Any:  # FSDP frees what it gathered so
            result = resize(storage, size)
            if storage._cdata in self._sizes:
                self._set(storage._cdata, storage.nbytes())
            return result

        torch.UntypedStorage.resize_ = seen
        return super().__enter__()

    def __exit__(self, *error: Any) -> None:
        torch.UntypedStorage.resize_ = self._resize
        super().__exit__(*error)


def put_fake_tensors(model: torch.nn.Module) -> None:
    """Replace the parameters and buffers of a model on the meta device by fake ones, inside a `FakeTensorMode`."""
    for module in model.modules():
        for name, p in module._parameters.items():
            if p is not None:
                fake = torch.empty(p.shape, dtype=p.dtype)
                module._parameters[name] = torch.nn.Parameter(fake, requires_grad=p.requires_grad)
        for name, b in module._buffers.items():
            if b is not None:
                module._buffers[name] = torch.empty(b.shape, dtype=b.dtype)
    model.tie_weights()


@contextmanager
def fake_ranks(count: int) -> Iterator[Any]:
    """A device mesh of `count` processes, of which only the first is there; collectives move nothing."""
    logging.getLogger("torch.distributed").setLevel(logging.ERROR)
    dist.init_process_group("fake", store=FakeStore(), rank=0, world_size=count)
    try:
        yield dist.device_mesh.init_device_mesh("cpu", (count,), mesh_dim_names=("shards",))
    finally:
        dist.destroy_process_group()


def shard(model: torch.nn.Module, mesh: Any, *, reshard: bool, bf16: bool) -> None:
    """What `Accelerator.prepare` does to a model under FSDP2."""
    from accelerate.utils import FullyShardedDataParallelPlugin
    from accelerate.utils.fsdp_utils import fsdp2_prepare_model

    plugin = FullyShardedDataParallelPlugin(
        fsdp_version=2,
        auto_wrap_policy="transformer_based_wrap",
        reshard_after_forward=reshard,
        cpu_ram_efficient_loading=False,
    )
    if bf16:
        plugin.set_mixed_precision("bf16")
    accelerator = SimpleNamespace(
        state=SimpleNamespace(fsdp_plugin=plugin),
        mixed_precision="bf16" if bf16 else "no",
        is_main_process=False,
        torch_device_mesh=mesh,
        parallelism_config=SimpleNamespace(fsdp_dim_names=("shards",)),
        device=torch.device("cpu"),
    )
    fsdp2_prepare_model(accelerator, model)


@contextmanager
def loss_as_on_gpu() -> Iterator[None]:
    """TRL's loss with Triton works in place in its tiles; the CPU's copies them, which would count."""
    from trl.kernels import chunked_logprob as kernels

    names = ("_forward_tile", "_backward_tile", "_addmm_fp32")
    kept = {name: getattr(kernels, name) for name in names}
    for name in names:
        setattr(kernels, name, lambda *args, **kwargs: None)
    try:
        yield
    finally:
        for name, function in kept.items():
            setattr(kernels, name, function)
