"""A run's rows packed as a data set, and what a pack says replayed: `s1-hf pack`, `s1-hf replay` (docs/packs.md)."""

from s1_hf.packs.pack import Packed, pack
from s1_hf.packs.replay import Replay, replay

__all__ = ["Packed", "Replay", "pack", "replay"]
