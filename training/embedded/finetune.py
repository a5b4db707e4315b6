"""Fine-tune the embedded base on the 1,000 traces, in s1's format.

    OMP_WAIT_POLICY=passive PYTHONPATH=src python training/embedded/finetune.py

reads `src/s1_hf/embedded/base` (made by `pretrain.py`) and writes `src/s1_hf/embedded/model` and `train.jsonl`; two CPU
cores needed 258 s while they had other work.
"""

import argparse
import shutil
from pathlib import Path

import torch
from datasets import Dataset
from transformers import AutoTokenizer, PreTrainedTokenizerFast, Qwen2ForCausalLM
from trl import SFTConfig, SFTTrainer

from s1_hf.embedded.problems import Trace, training_traces, write_training_file

EMBEDDED = Path(__file__).parents[2] / "src/s1_hf/embedded"
TOKENIZER_FILES = ("tokenizer.json", "tokenizer_config.json", "chat_template.jinja")


def example(trace: Trace, tokenizer: PreTrainedTokenizerFast) -> dict[str, str]:
    """A trace as text; the loss is on the completion alone."""
    message = {"role": "user", "content": trace.question}
    return {
        "prompt": tokenizer.apply_chat_template([message], add_generation_prompt=True, tokenize=False),
        "completion": f"<|im_start|>think\n{trace.thinking}\n<|im_start|>answer\nAnswer: {trace.answer}<|im_end|>",
    }


def settings(folder: Path, seed: int) -> SFTConfig:
    return SFTConfig(
        output_dir=str(folder),
        seed=seed,
        num_train_epochs=5,
        per_device_train_batch_size=16,
        learning_rate=1e-3,
        lr_scheduler_type="cosine",
        warmup_steps=10,
        max_length=512,
        gradient_checkpointing=False,
        bf16=False,
        use_cpu=True,
        logging_steps=20,
        save_strategy="no",
        report_to="none",
    )


def main() -> None:
    parser = argparse.ArgumentParser(description="Fine-tune the embedded base on the 1,000 traces.")
    parser.add_argument("--base", type=Path, default=EMBEDDED / "base", help="default: %(default)s")
    parser.add_argument("--output", type=Path, default=EMBEDDED / "model", help="default: %(default)s")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--threads", type=int, default=2)
    args = parser.parse_args()
    torch.set_num_threads(args.threads)

    tokenizer = AutoTokenizer.from_pretrained(args.base)
    model = Qwen2ForCausalLM.from_pretrained(args.base, dtype=torch.float32)
    generation_config = model.generation_config
    rows = Dataset.from_list([example(trace, tokenizer) for trace in training_traces()])
    trainer = SFTTrainer(model, settings(args.output, args.seed), train_dataset=rows, processing_class=tokenizer)
    trainer.train()

    model.generation_config = generation_config
    model.config.use_cache = True  # the trainer turns it off
    model.to(torch.bfloat16).save_pretrained(args.output)
    for name in TOKENIZER_FILES:
        shutil.copy(args.base / name, args.output)
    write_training_file()


if __name__ == "__main__":
    main()
