"""A run's rows packed as a data set, and what a pack says replayed: `s1-hf pack`, `s1-hf replay` (docs/results.md)."""

from s1_hf.packs.packing import Packed, pack
from s1_hf.packs.replaying import Replay, replay

__all__ = ["Packed", "Replay", "pack", "replay"]
