"""Budget forcing in the `generate` of transformers."""

from s1_hf.generation.chats import prompt_ids

__all__ = ["prompt_ids"]
