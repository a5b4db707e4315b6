"""Random transformers with a real KV cache, on families of toys, that end, are ignored, and end again."""

import functools
from collections.abc import Sequence

import torch
from transformers import LogitsProcessor, Qwen2Config, Qwen2ForCausalLM

from s1_hf import ThinkingFormat
from s1_hf.generation.sweep import SweepCall
from toys import toy_tokenizer


class Pushed(LogitsProcessor):
    """Makes ends likely after some contexts, so that a random model ends, is ignored, and ends again."""

    def __init__(self, ends: tuple[int, ...], strength: float) -> None:
        self.ends, self.strength = list(ends), strength

    def __call__(self, input_ids, scores):
        push = input_ids[:, -1] % 4 == 0  # of the last token alone: further back may be padding
        push = push.to(scores.dtype) * self.strength
        scores = scores.clone()
        scores[:, self.ends] += push[:, None]
        return scores


@functools.cache
def random_model(family: str, seed: int) -> tuple[Qwen2ForCausalLM, object, ThinkingFormat]:
    """A tiny random transformer with a real KV cache, in float64, so that no two tokens are equally likely."""
    tokenizer = toy_tokenizer(family)
    torch.manual_seed(seed)
    config = Qwen2Config(
        vocab_size=len(tokenizer) + 3, hidden_size=16, intermediate_size=16, num_hidden_layers=2, num_attention_heads=2,
        num_key_value_heads=1, initializer_range=1.0, eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id, bos_token_id=None, max_position_embeddings=512,
    )  # fmt: skip
    return Qwen2ForCausalLM(config).double().eval(), tokenizer, ThinkingFormat.from_tokenizer(tokenizer)


def prompts_of(tokenizer, questions: list[str]) -> list[list[int]]:
    found = []
    for question in questions:
        chat = [{"role": "user", "content": question}]
        found.append(tokenizer.apply_chat_template(chat, add_generation_prompt=True, return_dict=True)["input_ids"])
    return found


def pushed_call(prompts: Sequence[str]) -> SweepCall:
    """A sweep of these prompts by a model that soon wants to end."""
    model, tokenizer, fmt = random_model("opened", 1)
    options = {"format": fmt, "max_new_tokens": 60, "logits_processor": [Pushed(fmt.ends, 200.0)]}
    return SweepCall(model, tokenizer, prompts_of(tokenizer, prompts), options)
