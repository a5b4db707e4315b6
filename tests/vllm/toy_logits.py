"""Engines of vLLM whose every logit is known: a processor in front of ours puts a toy model's in their place."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from transformers import GenerationConfig, Qwen2Config, Qwen2ForCausalLM
from vllm.distributed import cleanup_dist_env_and_memory
from vllm.v1.sample.logits_processor.interface import LogitsProcessor, MoveDirectionality

from cases import case_of, setting
from s1_hf.forcing.vocabulary import Vocabulary
from s1_hf.vllm import engine_options
from toys import FORMATS
from vllm import LLM

MOST_EXTRA = 6  # embedding rows beyond the tokenizer
WORD = "toy_logits:ToyLogits"

events = {"added": 0, "resumed": 0, "moved": 0, "thrown_away": 0}
"""What has happened to requests in all engines of this process."""


class ToyLogits(LogitsProcessor):
    """Gives a request whose `extra_args` have a `case` the logits of that case's model, but for what is `banned`."""

    def __init__(self, vllm_config: Any, device: torch.device, is_pin_memory: bool) -> None:
        self.rows: dict[int, tuple[Any, list[int], list[int]]] = {}
        self.seen: dict[int, int] = {}

    def is_argmax_invariant(self) -> bool:
        return False

    def update_state(self, batch_update: Any) -> None:
        if batch_update is None:
            return
        for place in batch_update.removed:
            self.rows.pop(place, None)
        for place, params, prompt, generated in batch_update.added:
            events["added"] += 1
            events["resumed"] += bool(generated)
            self.rows[place] = (params, prompt, generated)
        for source, target, direction in batch_update.moved:
            events["moved"] += 1
            moved, met = self.rows.pop(source, None), self.rows.pop(target, None)
            if moved is not None:
                self.rows[target] = moved
            if met is not None and direction == MoveDirectionality.SWAP:
                self.rows[source] = met

    def apply(self, logits: torch.Tensor) -> torch.Tensor:
        seen = {}
        for place, (params, prompt, generated) in self.rows.items():
            seen[id(generated)] = len(generated)
            events["thrown_away"] += self.seen.get(id(generated)) == len(generated)
            case = (params.extra_args or {}).get("case")
            if case is None:
                continue
            own = case_model(case).next_logits([*prompt, *generated])
            # Beyond the vocabulary of a random case there is no token, and the engine likes what is there.
            logits[place] = 5.0 if isinstance(case, int) else -torch.inf
            logits[place, : len(own)] = own
            logits[place, params.extra_args.get("banned", [])] = -torch.inf
        self.seen = seen
        return logits


_models: dict[int | str, Any] = {}


def case_model(case: int | str) -> Any:
    """The model of a case of that seed, which takes a while to make, or one of that name."""
    if case not in _models:
        _models[case] = case_of(case)["model"]
    return _models[case]


def known_model(name: str, model: Any) -> None:
    """Requests may name this model as their `case`."""
    _models[name] = model


@contextmanager
def an_engine(model: str, **options: Any) -> Iterator[LLM]:
    """An engine in this process, which can hold one at a time."""
    llm = LLM(model, **{"dtype": "float32", "enforce_eager": True, "disable_log_stats": True, **options})
    try:
        yield llm
    finally:
        llm.llm_engine.engine_core.shutdown()
        del llm
        cleanup_dist_env_and_memory()


@contextmanager
def toy_engine(family: str, folder: Path, **options: Any) -> Iterator[LLM]:
    """An engine for a family of toys, whose own weights do not matter."""
    tokenizer, _, d = setting(family)
    size = len(Vocabulary.of(tokenizer).texts)
    config = Qwen2Config(
        vocab_size=size + MOST_EXTRA,
        hidden_size=64,
        intermediate_size=8,
        num_hidden_layers=1,
        num_attention_heads=2,
        num_key_value_heads=1,
        max_position_embeddings=512,
        bos_token_id=None,
        eos_token_id=d.eos,
    )
    model = Qwen2ForCausalLM(config)
    model.generation_config = GenerationConfig(eos_token_id=d.eos)
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder / "tokenizer")  # beside the model's configuration it would become another class
    format: dict[str, Any] = {"name": FORMATS[family]}
    if family == "interleaved":
        format["interleaved"] = True
    ours = engine_options(format=format)
    ours["logits_processors"].insert(0, WORD)
    with an_engine(
        str(folder), **{"tokenizer": str(folder / "tokenizer"), "max_model_len": 192, **ours, **options}
    ) as llm:
        yield llm


def tight(blocks: int = 14, chunk: int = 24, rows: int = 16) -> dict[str, Any]:
    """Options with which requests are preempted, their prompts are read in chunks, and they change places."""
    return {
        "block_size": 32,
        "num_gpu_blocks_override": blocks,
        "max_num_batched_tokens": chunk,
        "max_num_seqs": rows,
        "enable_chunked_prefill": True,
    }
