"""Train the embedded model's tokenizer and its base, from scratch.

    OMP_WAIT_POLICY=passive PYTHONPATH=src python training/embedded/pretrain.py

writes `src/s1_hf/embedded/base`. It took 23 minutes on two CPU cores that also had other work. Next
step: `s1-hf sft sft_embedded`.
Without `OMP_WAIT_POLICY=passive`, torch's threads spin while they wait, which is many times slower on busy cores.
"""

import argparse
import time
from collections.abc import Iterator
from pathlib import Path

import torch
from corpus import END, documents
from tokenizers import Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers
from transformers import GenerationConfig, Qwen2Config, Qwen2ForCausalLM, Qwen2Tokenizer

from s1_hf.embedded.problems import compare, trainable

HERE = Path(__file__).parent
BASE = HERE.parents[1] / "src/s1_hf/embedded/base"
SPECIAL = [END, "<|im_start|>", "<|im_end|>"]
VOCAB_SIZE = 432
CONTEXT = 512  # length of the training rows
MAX_POSITIONS = 1024
BATCH = 10
SPLIT = (  # Qwen2's rule; every digit is its own token
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)


def train_tokenizer(seed: int) -> Qwen2Tokenizer:
    """A byte-level BPE tokenizer of 432 tokens; the special tokens are the last three, as in Qwen2's."""
    bpe = Tokenizer(models.BPE())
    bpe.normalizer = normalizers.NFC()
    bpe.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(SPLIT), "isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    bpe.decoder = decoders.ByteLevel()
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    trainer = trainers.BpeTrainer(
        vocab_size=VOCAB_SIZE - len(SPECIAL), initial_alphabet=alphabet, show_progress=False, special_tokens=[]
    )
    bpe.train_from_iterator(tokenizer_text(seed), trainer)
    bpe.add_special_tokens(SPECIAL)
    return Qwen2Tokenizer(
        tokenizer_object=bpe,
        eos_token="<|im_end|>",
        pad_token=END,
        unk_token=None,
        bos_token=None,
        chat_template=(HERE / "chat_template.jinja").read_text(encoding="utf-8"),
        model_max_length=MAX_POSITIONS,
    )


def tokenizer_text(seed: int) -> Iterator[str]:
    """The text to learn merges from: part of the base's text, and words of the thinking format and its traces."""
    for text in documents(3000, seed):
        for mark in SPECIAL:
            text = text.replace(mark, "\n")
        yield text
    for problem in trainable()[::20]:
        yield f"user\n{problem.question}\nassistant\nthink\n{problem.summary}\n{compare(problem.a, problem.b)}\n"
        yield f"Not yet.\nWait, keep going.\nWait, check: {problem.answer}.\nanswer\nAnswer: {problem.answer}"


def new_model(tokenizer: Qwen2Tokenizer) -> Qwen2ForCausalLM:
    """A Qwen2 model of 843,904 parameters with random weights."""
    model = Qwen2ForCausalLM(
        Qwen2Config(
            vocab_size=len(tokenizer),
            hidden_size=128,
            intermediate_size=384,
            num_hidden_layers=4,
            num_attention_heads=4,
            num_key_value_heads=2,
            max_position_embeddings=MAX_POSITIONS,
            initializer_range=0.04,
            tie_word_embeddings=True,
            bos_token_id=None,
            eos_token_id=tokenizer.eos_token_id,
            pad_token_id=tokenizer.pad_token_id,
        )
    )
    model.generation_config = GenerationConfig(
        do_sample=False,
        eos_token_id=[tokenizer.eos_token_id, tokenizer.pad_token_id],
        pad_token_id=tokenizer.pad_token_id,
    )
    return model


def pack(tokenizer: Qwen2Tokenizer, num_tokens: int, seed: int) -> torch.Tensor:
    """Documents concatenated and cut into rows of `CONTEXT` tokens, of shape `(num_tokens // CONTEXT, CONTEXT)`."""
    ids: list[int] = []
    for chunk in range(10**6):
        texts = list(documents(5000, seed + chunk))
        for row in tokenizer(texts, return_attention_mask=False)["input_ids"]:
            ids += row
        if len(ids) >= num_tokens:
            break
    num_rows = num_tokens // CONTEXT
    return torch.tensor(ids[: num_rows * CONTEXT]).view(num_rows, CONTEXT)


def pretrain(model: Qwen2ForCausalLM, rows: torch.Tensor) -> None:
    """One pass over the rows: Muon for matrices, AdamW for the rest, linear decay to zero."""
    matrices = [p for name, p in model.named_parameters() if p.ndim == 2 and "embed" not in name]
    rest = [p for name, p in model.named_parameters() if p.ndim != 2 or "embed" in name]
    optimizers = [
        torch.optim.Muon(matrices, lr=0.02, weight_decay=0.0),
        torch.optim.AdamW(rest, lr=3e-3, betas=(0.9, 0.95), weight_decay=0.0),
    ]
    num_steps, warmup = len(rows) // BATCH, 50
    schedules = [
        torch.optim.lr_scheduler.LambdaLR(
            optimizer, lambda step: min(1.0, (step + 1) / warmup) * (1 - step / num_steps)
        )
        for optimizer in optimizers
    ]
    model.train()
    start = time.perf_counter()
    for step in range(num_steps):
        batch = rows[step * BATCH : (step + 1) * BATCH]
        loss = model(input_ids=batch, labels=batch, use_cache=False).loss
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        for optimizer, schedule in zip(optimizers, schedules, strict=True):
            optimizer.step()
            schedule.step()
            optimizer.zero_grad()
        if step % 50 == 0 or step == num_steps - 1:
            seconds = time.perf_counter() - start
            print(f"step {step:5d}/{num_steps}  loss {loss.item():.4f}  {seconds:4.0f} s", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description="Train the embedded model's tokenizer and base from scratch.")
    parser.add_argument("--output", type=Path, default=BASE, help="folder to write (default: %(default)s)")
    parser.add_argument("--tokens", type=int, default=8_000_000, help="tokens to train on (default: %(default)s)")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--threads", type=int, default=2)
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    torch.manual_seed(args.seed)

    tokenizer = train_tokenizer(args.seed)
    model = new_model(tokenizer)
    print(f"{model.num_parameters():,} parameters, vocabulary of {len(tokenizer)}", flush=True)
    # The tokenizer's documents use small seeds; those for training have their own range.
    pretrain(model, pack(tokenizer, args.tokens, seed=1_000_000 * (args.seed + 1)))

    tokenizer.save_pretrained(args.output)
    model.to(torch.bfloat16).save_pretrained(args.output)


if __name__ == "__main__":
    main()
