"""Tiny random models on families of toys: tables, whose scores no kernel changes, and transformers with a KV cache."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import torch
from transformers import GenerationConfig, LlamaConfig, LlamaForCausalLM

from s1_hf.conformance.cases import setting
from s1_hf.conformance.toys import ToyModel, toy_model
from s1_hf.engines.checkpoint import Checkpoint
from s1_hf.forcing.vocabulary import Vocabulary, encode

EXTRA = 6
"""Embedding rows beyond the tokenizer, which the models like."""

_WORDS = ("a", "b", "\n", "Wait", "W", "Hm", " ", "think", "answer", "x", "</", ">", ">\n", "ab", ".", "?) ", "\n\n")
_HIDDEN = 64
_UNLIKELY = -200.0
_SPREAD = 0.15  # of the random weights


def biases(family: str, words: Sequence[str] = _WORDS, ends: float = 1.0) -> torch.Tensor:
    """What is added to every score, so that a model writes few words, and now and then an end; `(vocab_size,)`."""
    tokenizer, fmt, delimiters = setting(family)
    size = len(Vocabulary.of(tokenizer).texts)
    found = torch.full((size + EXTRA,), _UNLIKELY)
    for word in words:
        found[list(encode(tokenizer, word))] = 0.0
    found[[*fmt.start, *fmt.close, *fmt.answer_start, *fmt.call_ends]] = 0.0
    found[[*fmt.ends, *fmt.handovers]] = ends
    found[delimiters.eos] = ends
    found[size:] = 1.0
    return found


def random_transformer(family: str, seed: int, bias: torch.Tensor) -> LlamaForCausalLM:
    """A random Llama whose scores have `bias` added, in the weights of the architecture itself.

    The first place of its hidden states is the same everywhere: the embedding sets it, and no layer writes there. So a
    column of the last matrix is a bias, which the architecture lacks.
    """
    tokenizer, _, delimiters = setting(family)
    config = LlamaConfig(
        vocab_size=len(bias),
        hidden_size=_HIDDEN,
        intermediate_size=_HIDDEN,
        num_hidden_layers=2,
        num_attention_heads=2,
        num_key_value_heads=1,
        max_position_embeddings=512,
        bos_token_id=None,
        pad_token_id=tokenizer.pad_token_id,
        eos_token_id=delimiters.eos,
        tie_word_embeddings=False,
    )
    model = LlamaForCausalLM(config).eval().requires_grad_(False)
    generator = torch.Generator().manual_seed(seed)
    for name, weights in model.named_parameters():
        if "norm" not in name:
            weights.normal_(0.0, _SPREAD, generator=generator)
    model.model.embed_tokens.weight.normal_(0.0, 1.0, generator=generator)
    model.model.embed_tokens.weight[:, 0] = 4.0
    for layer in model.model.layers:
        layer.self_attn.o_proj.weight[0] = 0.0
        layer.mlp.down_proj.weight[0] = 0.0
    model.lm_head.weight *= 2.0
    model.lm_head.weight[:, 0] = bias / 1.5  # what the norm makes of that first place
    model.generation_config = GenerationConfig(eos_token_id=delimiters.eos)
    return model


def saved(family: str, model: LlamaForCausalLM, folder: Path) -> Checkpoint:
    """A model in a folder, as engines read one."""
    tokenizer = setting(family)[0]
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)  # beside some other architectures' configurations it would become another class
    return Checkpoint(str(folder), None, "main", False, model.config, tokenizer)


def table_model(family: str, seed: int, bias: torch.Tensor) -> ToyModel:
    """A model whose scores are sums of three numbers out of tables."""
    model = toy_model(len(bias), seed)
    model.bias.data[:] = bias
    model.generation_config.eos_token_id = setting(family)[2].eos
    return model


LAW_WORDS = ("a", "\n", "Wait")
"""The words of models whose law is enumerated."""

LAWS: Mapping[str, Mapping[str, float]] = {
    "temperature 1": {},
    "temperature 0.6": {"temperature": 0.6},
    "temperature 1.8": {"temperature": 1.8},
    "top-k 3": {"top_k": 3},
    "top-p 0.8": {"top_p": 0.8},
    "min-p 0.25": {"min_p": 0.25},
    "all of them": {"temperature": 0.8, "top_k": 4, "top_p": 0.9, "min_p": 0.05},
}
"""How tokens are drawn, from plain to everything at once."""
