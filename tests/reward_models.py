"""Tiny reward models with random weights, and tokenizers in the shape of the real ones, for tests."""

from __future__ import annotations

import json
import tempfile
from functools import cache
from pathlib import Path
from typing import Any

import torch
from tokenizers import AddedToken, Tokenizer, decoders, models, normalizers, processors
from transformers import AutoTokenizer, LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast, Qwen2Config

from s1_hf.scoring import Candidate
from shared_data import SHARED
from toys import byte_tokenizer

CARD = [
    "To find out how many more pink flamingos there were, let's start with 18.",
    "On Saturday, they take back one third: 18 - 6 = 12.",
    "So the answer is \\boxed{30}.",
]
QUESTION = "Sue lives in a fun neighborhood. How many more?"
QWEN_SYSTEM = "Please reason step by step, and put your final answer within \\boxed{}."

LLAMA3 = (
    "{{ '<|begin_of_text|>' }}{% for message in messages %}"
    "{{ '<|start_header_id|>' + message['role'] + '<|end_header_id|>\n\n' + message['content'] | trim + '<|eot_id|>' }}"
    "{% endfor %}{% if add_generation_prompt %}{{ '<|start_header_id|>assistant<|end_header_id|>\n\n' }}{% endif %}"
)


def card(answer: str | None = None, steps: list[str] | None = None, question: Any = QUESTION) -> Candidate:
    return Candidate(question, CARD if steps is None else steps, answer)


@cache
def qwen_prm_tokenizer() -> Any:
    """The real Qwen2.5 tokenizer with the one token by whose name that of Qwen2.5-Math-PRM differs."""
    folder = SHARED / "tokenizers" / "qwen2.5-instruct"
    with tempfile.TemporaryDirectory() as made:
        for name in ("tokenizer.json", "tokenizer_config.json"):
            text = (folder / name).read_text(encoding="utf-8").replace("<|quad_end|>", "<extra_0>")
            (Path(made) / name).write_text(text, encoding="utf-8")
        tokenizer = AutoTokenizer.from_pretrained(made)
    tokenizer.chat_template = json.loads((folder / "tokenizer_config.json").read_text())["chat_template"]
    assert tokenizer.convert_tokens_to_ids("<extra_0>") == 151651
    return tokenizer


@cache
def toy_prm_tokenizer() -> Any:
    """A small byte-level tokenizer with `<extra_0>`."""
    return byte_tokenizer(["<|im_start|>", "<|im_end|>", "<extra_0>"])


def mistral_tokenizer() -> Any:
    """A tokenizer in the way of Mistral 7B's: spaces are part of words, bytes for the rest, BOS in front."""
    words = ["▁+", "▁-", "▁ки", "ки", "▁S", "▁St", "▁Ste", "▁Step", "St", "Ste", "Step", "▁\n"]
    chars = sorted(set("".join(words) + "".join(CARD) + QUESTION + "0123456789+-=.:▁\n"))
    pieces = ["<unk>", "<s>", "</s>", *(f"<0x{i:02X}>" for i in range(256)), *chars]
    merges = [("к", "и"), ("▁", "ки"), ("▁", "+"), ("▁", "-"), ("▁", "S"), ("▁S", "t"), ("▁St", "e"), ("▁Ste", "p")]
    pieces += [left + right for left, right in merges]
    vocab = {piece: i for i, piece in enumerate(dict.fromkeys(pieces))}
    core = Tokenizer(models.BPE(vocab=vocab, merges=merges, unk_token="<unk>", byte_fallback=True, fuse_unk=True))
    core.normalizer = normalizers.Sequence([normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")])
    core.decoder = decoders.Sequence(
        [decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse(), decoders.Strip(" ", 1, 0)]
    )
    core.add_special_tokens([AddedToken(one, special=True) for one in ("<unk>", "<s>", "</s>")])
    core.post_processor = processors.TemplateProcessing(single="<s> $A", special_tokens=[("<s>", vocab["<s>"])])
    return PreTrainedTokenizerFast(tokenizer_object=core, bos_token="<s>", eos_token="</s>", unk_token="<unk>")


def llama_tokenizer() -> Any:
    """A byte-level tokenizer with the chat template of Llama 3.1 Instruct, but for its dates and tools."""
    special = ["<|begin_of_text|>", "<|start_header_id|>", "<|end_header_id|>", "<|eot_id|>"]
    return byte_tokenizer(special, words=["ĊĊ"], eos="<|eot_id|>", template=LLAMA3, bos_token="<|begin_of_text|>")


def _sizes(vocab: int, **fields: Any) -> dict[str, Any]:
    return {
        "vocab_size": vocab, "hidden_size": 16, "intermediate_size": 32, "num_hidden_layers": 2,
        "num_attention_heads": 2, "num_key_value_heads": 1, "max_position_embeddings": 512, "pad_token_id": 0,
        "bos_token_id": None, "eos_token_id": None, "initializer_range": 0.5, **fields,
    }  # fmt: skip


def tiny(cls: Any, vocab: int, **fields: Any) -> Any:
    """A Qwen2 of class `cls` with random weights."""
    torch.manual_seed(0)
    return cls(Qwen2Config(**_sizes(vocab, **fields))).eval()


def tiny_llama(vocab: int) -> Any:
    torch.manual_seed(0)
    return LlamaForCausalLM(LlamaConfig(**_sizes(vocab))).eval()


class Counted:
    """Counts the tokens that go through a model's `forward`, by its attention mask, and all places of its batches."""

    def __init__(self, model: Any) -> None:
        self.tokens = self.places = self.calls = 0
        self._forward, self._model = model.forward, model

    def __enter__(self) -> Counted:
        from functools import wraps

        @wraps(self._forward)
        def forward(*args: Any, **kwargs: Any) -> Any:
            self.tokens += int(kwargs["attention_mask"].sum())
            self.places += kwargs["input_ids"].numel()
            self.calls += 1
            return self._forward(*args, **kwargs)

        self._model.forward = forward
        return self

    def __exit__(self, *error: object) -> None:
        self._model.forward = self._forward
