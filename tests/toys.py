"""The toys of the conformance suite, under the name that tests know them by, and more of them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers
from transformers import PreTrainedTokenizerFast, Qwen2Config, Qwen2ForCausalLM

from s1_hf.conformance.toys import (
    CHATML,
    CHATML_OPENED,
    FAMILIES,
    FORMATS,
    GEMMA,
    HARMONY,
    KIMI,
    MAGISTRAL,
    WORDS,
    ToyConfig,
    ToyModel,
    byte_tokenizer,
    ends_of_sequence,
    merges_of,
    toy_format,
    toy_model,
    toy_tokenizer,
)

__all__ = [
    "CHATML",
    "CHATML_OPENED",
    "FAMILIES",
    "FORMATS",
    "GEMMA",
    "HARMONY",
    "KIMI",
    "MAGISTRAL",
    "WORDS",
    "ToyConfig",
    "ToyModel",
    "Untouched",
    "byte_tokenizer",
    "ends_of_sequence",
    "metaspace_tokenizer",
    "tiny_qwen2",
    "toy_format",
    "toy_model",
    "toy_tokenizer",
]


class Untouched(ToyModel):
    """A model that must not be run: its errors come too late."""

    def forward(self, *args, **kwargs):
        raise AssertionError("a forward pass was run")


def tiny_qwen2(tokenizer: Any, **options: Any) -> Qwen2ForCausalLM:
    shape = {"hidden_size": 8, "intermediate_size": 8, "num_hidden_layers": 1, "num_attention_heads": 1}
    config = Qwen2Config(**({"vocab_size": len(tokenizer), "num_key_value_heads": 1} | shape | options))
    return Qwen2ForCausalLM(config).eval()


def metaspace_tokenizer(special: Sequence[str], words: Sequence[str], template: str | None) -> PreTrainedTokenizerFast:
    """In the shape of Llama 2's and Mistral's: a space before a word is part of its token, and one is put in front."""
    vocab = {"<unk>": 0}
    for piece in [*(f"<0x{i:02X}>" for i in range(256)), "▁", "\n", *map(chr, range(33, 127))]:
        vocab[piece] = len(vocab)
    merges = merges_of(words, vocab)
    core = Tokenizer(models.BPE(vocab=vocab, merges=merges, unk_token="<unk>", byte_fallback=True, fuse_unk=True))
    core.pre_tokenizer = pre_tokenizers.Metaspace(replacement="▁", prepend_scheme="first", split=False)
    core.decoder = decoders.Sequence(
        [decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse(), decoders.Strip(" ", 1, 0)]
    )
    core.add_special_tokens([AddedToken(t, special=True) for t in ["<pad>", "</s>", *special]])
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=core, eos_token="</s>", pad_token="<pad>")
    tokenizer.chat_template = template
    return tokenizer
