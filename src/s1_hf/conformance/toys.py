"""Small tokenizers in the shape of real families, and models whose every logit is known. Nothing is downloaded."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers
from torch import nn
from transformers import (
    GenerationConfig,
    GenerationMixin,
    PretrainedConfig,
    PreTrainedModel,
    PreTrainedTokenizerFast,
)
from transformers.modeling_outputs import CausalLMOutput

from s1_hf.forcing.families import SIGN
from s1_hf.forcing.formats import ThinkingFormat

CHATML = (
    "{% for m in messages %}<|im_start|>{{ m['role'] }}\n{{ m['content'] }}"
    "{% if not (loop.last and continue_final_message) %}<|im_end|>\n{% endif %}{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
CHATML_OPENED = CHATML.replace("assistant\n{% endif %}", "assistant\n<think>\n{% endif %}")
HARMONY = (
    "{% for m in messages %}<|start|>{{ m['role'] }}<|message|>{{ m['content'] }}<|end|>{% endfor %}"
    "{% if add_generation_prompt %}<|start|>assistant{% endif %}"
)
MAGISTRAL = (
    "{% for m in messages %}{% if m['role'] == 'user' %}[INST]{{ m['content'] }}[/INST]"
    "{% else %}{{ m['content'] }}</s>{% endif %}{% endfor %}"
)
GEMMA = (
    "{% for m in messages %}<|turn>{{ 'model' if m['role'] == 'assistant' else m['role'] }}\n{{ m['content'] }}"
    "{% if not (loop.last and continue_final_message) %}<turn|>\n{% endif %}{% endfor %}"
    "{% if add_generation_prompt %}<|turn>model\n{% if not enable_thinking | default(true) %}"
    "<|channel>thought\n<channel|>{% endif %}{% endif %}"
)
KIMI = (
    "{% for m in messages %}<|open|>{{ m['role'] }}<|sep|>{{ m['content'] }}<|end_of_msg|>{% endfor %}"
    "{% if add_generation_prompt %}<|open|>assistant<|sep|>{% endif %}"
)
# Every word is a token of its own, every byte is one too; "Wait" and the role names must be single tokens.
WORDS = [
    "Wait",
    "think",
    "answer",
    "assistant",
    "user",
    "system",
    "Final",
    "Hmm",
    "analysis",
    "final",
    "</",
    "ĊĊ",
    ">Ċ",
]

FAMILIES: dict[str, dict[str, Any]] = {
    "s1": {"special": ["<|im_start|>", "<|im_end|>"], "eos": "<|im_end|>", "template": CHATML},
    "think": {"special": ["<|im_start|>", "<|im_end|>"], "added": ["<think>", "</think>"], "eos": "<|im_end|>"}
    | {"template": CHATML},
    "opened": {"special": ["<|im_start|>", "<|im_end|>"], "added": ["<think>", "</think>"], "eos": "<|im_end|>"}
    | {"template": CHATML_OPENED},
    "plain": {"special": ["<|im_start|>", "<|im_end|>"], "eos": "<|im_end|>", "template": CHATML_OPENED},
    "harmony": {
        "special": ["<|start|>", "<|end|>", "<|channel|>", "<|message|>", "<|return|>"],
        "eos": "<|return|>",
        "template": HARMONY,
    },
    "magistral": {"special": ["[INST]", "[/INST]", "[THINK]", "[/THINK]", "</s>"], "eos": "</s>"}
    | {"template": MAGISTRAL},
    "seed": {"special": ["<seed:think>", "</seed:think>", "<eos>"], "eos": "<eos>", "template": None},
    "gemma4": {
        "special": ["<|turn>", "<turn|>", "<|channel>", "<channel|>", "<|tool_response>", "<tool_response|>"],
        "eos": "<turn|>",
        "template": GEMMA,
    },
    "kimi_k3": {"special": ["<|open|>", "<|close|>", "<|sep|>", "<|end_of_msg|>"], "eos": "<|end_of_msg|>"}
    | {"template": KIMI},
    "interleaved": {"special": ["<|im_start|>", "<|im_end|>"], "added": ["<think>", "</think>", "<|observation|>"]}
    | {"eos": "<|im_end|>", "template": CHATML},
    "tools": {"special": ["<|im_start|>", "<|im_end|>"], "added": ["<think>", "</think>", "</tool_call>"]}
    | {"eos": "<|im_end|>", "template": CHATML},
}

FORMATS = {family: family for family in FAMILIES} | dict.fromkeys(["opened", "plain", "interleaved", "tools"], "think")
"""Names of thinking formats, by family."""


def toy_format(family: str, **overrides: Any) -> ThinkingFormat:
    """The format of a family on its toy tokenizer."""
    if family == "interleaved":
        overrides = {"interleaved": True} | overrides
    return ThinkingFormat.from_tokenizer(toy_tokenizer(family), FORMATS[family], **overrides)


def ends_of_sequence(family: str) -> list[int]:
    """All ids at which `generate` stops a family's model: its own, and its handovers."""
    return [toy_tokenizer(family).eos_token_id, *toy_format(family).handovers]


def merges_of(words: Sequence[str], vocab: dict[str, int]) -> list[tuple[str, str]]:
    """The merges that make a token of each word, whose beginnings are added to `vocab`."""
    merges: list[tuple[str, str]] = []
    for word in words:
        for k in range(2, len(word) + 1):
            if word[:k] not in vocab:
                vocab[word[:k]] = len(vocab)
                merges.append((word[: k - 1], word[k - 1]))
    return merges


def byte_tokenizer(
    special: Sequence[str],
    *,
    added: Sequence[str] = (),
    words: Sequence[str] = WORDS,
    eos: str | None = "<|im_end|>",
    pad: str = "<|pad|>",
    template: str | None = CHATML,
    **options: Any,
) -> PreTrainedTokenizerFast:
    """A byte-level tokenizer with tokens of one's own; earlier words are merged first."""
    vocab: dict[str, int] = {}
    for byte in sorted(pre_tokenizers.ByteLevel.alphabet()):
        vocab[byte] = len(vocab)
    merges = merges_of(words, vocab)
    core = Tokenizer(models.BPE(vocab=vocab, merges=merges))
    core.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    core.decoder = decoders.ByteLevel()
    core.add_special_tokens([AddedToken(t, special=True) for t in dict.fromkeys([pad, *special])])
    core.add_tokens([AddedToken(t, special=False, normalized=False) for t in added])
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=core, eos_token=eos, pad_token=pad, **options)
    tokenizer.chat_template = template
    return tokenizer


def toy_tokenizer(family: str) -> PreTrainedTokenizerFast:
    """A byte-level tokenizer with the special tokens and the kind of chat template of `family`."""
    spec = FAMILIES[family]
    options = {SIGN: "s1"} if family == "s1" else {}  # which is never guessed
    return byte_tokenizer(
        spec["special"], added=spec.get("added", []), eos=spec["eos"], template=spec["template"], **options
    )


class ToyConfig(PretrainedConfig):
    """Of a [`ToyModel`]."""

    model_type = "s1_hf_toy"

    def __init__(
        self, vocab_size: int = 320, seed: int = 0, max_position_embeddings: int = 4096, **kwargs: Any
    ) -> None:
        super().__init__(**kwargs)
        self.vocab_size, self.seed, self.max_position_embeddings = vocab_size, seed, max_position_embeddings
        self.num_hidden_layers = 1


class ToyModel(PreTrainedModel, GenerationMixin):
    """Logits from tables: of the last token, the one before it, and the position. Padding on the left is not seen.

    `bias` is added everywhere; raising it at a few ids makes a model that often tries to end, or to write Wait.
    """

    config_class = ToyConfig
    main_input_name = "input_ids"
    _supports_cache_class = False

    def __init__(self, config: ToyConfig) -> None:
        super().__init__(config)
        g = torch.Generator().manual_seed(config.seed)
        size = config.vocab_size
        self.last = nn.Parameter(torch.randn(size, size, generator=g), requires_grad=False)
        self.before = nn.Parameter(torch.randn(size, size, generator=g), requires_grad=False)
        self.place = nn.Parameter(torch.randn(13, size, generator=g), requires_grad=False)
        self.bias = nn.Parameter(torch.zeros(size), requires_grad=False)
        self.generation_config = GenerationConfig(use_cache=False)

    def _init_weights(self, module: nn.Module) -> None:
        pass

    def forward(
        self, input_ids: torch.Tensor, attention_mask: Any = None, logits_to_keep: int = 0, **kwargs: Any
    ) -> CausalLMOutput:
        """Logits of the last `logits_to_keep` places, of all if 0."""
        if attention_mask is None:
            attention_mask = torch.ones_like(input_ids)
        place = attention_mask.cumsum(-1) % 13
        before = torch.nn.functional.pad(input_ids, (1, 0))[:, :-1]
        real = torch.nn.functional.pad(attention_mask, (1, 0))[:, :-1].bool()
        ids, place, before, real = (x[:, -logits_to_keep:] for x in (input_ids, place, before, real))
        logits = self.last[ids] + self.place[place] + self.bias
        logits = logits + torch.where(real[..., None], self.before[before], 0.0)
        return CausalLMOutput(logits=logits)

    def next_logits(self, ids: Sequence[int]) -> torch.Tensor:
        """Logits of the token after `ids`, of shape `(vocab_size,)`."""
        return self(torch.tensor([list(ids)], device=self.bias.device)).logits[0, -1]

    def prepare_inputs_for_generation(  # type: ignore[override]
        self, input_ids: torch.Tensor, attention_mask: Any = None, **kwargs: Any
    ) -> dict[str, Any]:
        """Whole sequences: there is no cache."""
        return {"input_ids": input_ids, "attention_mask": attention_mask}


def toy_model(
    vocab_size: int, seed: int = 0, likely: dict[int, float] | None = None, only: list[int] | None = None
) -> ToyModel:
    """A [`ToyModel`] with `likely[id]` added to the logit of an id; all ids but `only` are unlikely."""
    model = ToyModel(ToyConfig(vocab_size=vocab_size, seed=seed)).eval()
    if only is not None:
        model.bias.data[:] = -30.0
        model.bias.data[only] = 0.0
    for token, value in (likely or {}).items():
        model.bias.data[token] += value
    return model
