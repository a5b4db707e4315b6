"""Telling weights from others, on the disk and in memory, without reading all of them."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from transformers.utils.hub import cached_file, extract_commit_hash

if TYPE_CHECKING:
    from transformers import PreTrainedModel

BLOCK, BLOCKS = 1 << 16, 256  # bytes of a block, and how many blocks of a file are read
_ENTRIES = 64  # of each tensor


def weights_on_disk(name: str, revision: str) -> str:
    """Of a model on the Hub its commit; of a folder a hash of its files, of big ones of blocks throughout them."""
    folder = Path(name)
    if not folder.is_dir():
        for file in ("config.json", "adapter_config.json"):
            path = cached_file(name, file, revision=revision, _raise_exceptions_for_missing_entries=False)
            if path and (commit := extract_commit_hash(str(path), None)):
                return commit
        raise OSError(f"{name} has neither a config.json nor an adapter_config.json in its revision {revision}.")
    found = hashlib.sha256()
    for weights in sorted(p for p in folder.iterdir() if p.suffix in (".safetensors", ".bin", ".json")):
        size = weights.stat().st_size
        found.update(f"{weights.name} {size} ".encode())
        with weights.open("rb") as blocks:
            for i in range(min(BLOCKS, -(-size // BLOCK))):
                blocks.seek(i * BLOCK if size <= BLOCK * BLOCKS else i * (size - BLOCK) // (BLOCKS - 1))
                found.update(blocks.read(BLOCK))
    return found.hexdigest()


def weights_in_memory(model: PreTrainedModel) -> str:
    """Tells the weights that a model has in memory from others: a hash of entries throughout every tensor."""
    found = hashlib.sha256()
    for name, tensor in model.state_dict().items():
        places = torch.linspace(0, tensor.numel() - 1, min(_ENTRIES, tensor.numel()), device=tensor.device).long()
        entries = tensor.detach().flatten()[places].to("cpu", torch.float64)
        found.update(f"{name} {tuple(tensor.shape)} {tensor.dtype} ".encode() + entries.numpy().tobytes())
    return found.hexdigest()
