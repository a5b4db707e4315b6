"""Stand-ins that need no download: a tokenizer of any size, and a small model whose attempts to end are known."""

from __future__ import annotations

from typing import Any

import torch
from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers
from transformers import GenerationConfig, PreTrainedModel, PreTrainedTokenizerFast, Qwen2Config, Qwen2ForCausalLM
from transformers.modeling_outputs import CausalLMOutputWithPast

SPECIAL = ["<|pad|>", "<|im_start|>", "<|im_end|>"]
DELIMITERS = ["<think>", "</think>"]


def make_tokenizer(size: int) -> PreTrainedTokenizerFast:
    """A byte-level tokenizer of the think format with `size` tokens, most of which no text ever becomes."""
    vocab = {byte: i for i, byte in enumerate(sorted(pre_tokenizers.ByteLevel.alphabet()))}
    vocab |= {piece: len(vocab) + i for i, piece in enumerate(["Wa", "Wai", "Wait"])}
    fillers = size - len(vocab) - len(SPECIAL) - len(DELIMITERS)
    vocab |= {f"filler{i}": len(vocab) + i for i in range(fillers)}
    core = Tokenizer(models.BPE(vocab=vocab, merges=[("W", "a"), ("Wa", "i"), ("Wai", "t")]))
    core.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    core.decoder = decoders.ByteLevel()
    core.add_special_tokens([AddedToken(token, special=True) for token in SPECIAL])
    core.add_tokens([AddedToken(token, special=False, normalized=False) for token in DELIMITERS])
    return PreTrainedTokenizerFast(tokenizer_object=core, eos_token="<|im_end|>", pad_token="<|pad|>")


def make_model(
    tokenizer: PreTrainedTokenizerFast, *, layers: int, period: int, seed: int, **shape: int
) -> PreTrainedModel:
    """A random Qwen2 in float32 that tries to end where [`end_is_due`] says, and stops right behind `</think>`.

    In the proportions of Qwen2.5-0.5B, about a quarter as wide: 64 a head, few KV heads; or of another `shape`. What is
    done to the logits depends on the position and the last token alone, so that it is the same whether a prefix is in
    the cache or is prefilled again.
    """
    widths = {"hidden_size": 256, "intermediate_size": 1408, "num_attention_heads": 4, "num_key_value_heads": 1}
    config = Qwen2Config(
        vocab_size=len(tokenizer),
        num_hidden_layers=layers,
        **widths | shape,
        initializer_range=0.05,  # with 0.02 a random model soon repeats itself, and equal tokens would say little
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = Qwen2ForCausalLM(config).eval()
    model.generation_config = GenerationConfig(
        eos_token_id=tokenizer.eos_token_id, pad_token_id=tokenizer.pad_token_id, max_length=None
    )
    close, eos, *never = tokenizer.convert_tokens_to_ids(["</think>", "<|im_end|>", "<think>", *SPECIAL[:2]])

    def put_ends(_: Any, args: Any, kwargs: dict[str, Any], outputs: CausalLMOutputWithPast) -> None:
        closed = kwargs["input_ids"][:, -1] == close
        due = end_is_due(kwargs["position_ids"][:, -1] + 1, period) & ~closed
        logits = outputs.logits[:, -1]
        logits[:, never] = -torch.inf
        logits[:, close] = torch.where(due, 1e4, -1e4)
        logits[:, eos] = torch.where(closed, 1e4, -1e4)

    model.register_forward_hook(put_ends, with_kwargs=True)
    return model


def end_is_due(positions: torch.Tensor, period: int) -> torch.Tensor:
    """Whether thinking tries to end at each of `positions`, counted from a row's first token; `bool`, same shape.

    Once in every block of `period` positions, at a place in the block's first half that a hash of its number gives.
    Two ends are thus between half and one and a half periods apart.
    """
    block = positions // period
    return positions % period == (block * 2654435761 % 2**32 >> 8) % (period // 2)
