"""A small model that ships with the package: a toy that really reasons, in s1's format, on a laptop.

It was taught to solve the two-lamps problems of `s1_hf.embedded.problems` by search, to stop early, and to continue
after "Wait". What budget forcing does to it was built in by training and says nothing about other models;
`model/README.md` says how it was made and how it scores.
"""

from pathlib import Path
from typing import TYPE_CHECKING, Any

from s1_hf.embedded.problems import Problem

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerFast, Qwen2ForCausalLM, Qwen2ForTokenClassification

__all__ = ["BASE_PATH", "HONEST_PATH", "MODEL_PATH", "REWARD_PATH", "Problem", "load", "load_base", "load_reward"]

MODEL_PATH = Path(__file__).with_name("model")
"""The folder of the fine-tuned model, for `from_pretrained` and commands that take a model's name."""

BASE_PATH = Path(__file__).with_name("base")
"""The folder of the base model that it was fine-tuned from."""

HONEST_PATH = Path(__file__).with_name("honest")
"""The folder of a second fine-tuned model, which is sure of an answer only if it has found it: `load(HONEST_PATH)`, or
`embedded-honest` where commands take a model's name. See `honest/README.md`."""

REWARD_PATH = Path(__file__).with_name("reward")
"""The folder of the process reward model for its lines, see `reward/README.md` and `s1_hf.scoring`."""


def load(folder: str | Path = MODEL_PATH) -> "tuple[Qwen2ForCausalLM, PreTrainedTokenizerFast]":
    """The fine-tuned model, float32 and in evaluation mode, and its tokenizer; or your own from `folder`."""
    return _load(Path(folder))


def load_base() -> "tuple[Qwen2ForCausalLM, PreTrainedTokenizerFast]":
    """The pre-trained base, which answers without thinking, float32 and in evaluation mode, and the same tokenizer."""
    return _load(BASE_PATH)


def load_reward() -> "tuple[Qwen2ForTokenClassification, PreTrainedTokenizerFast]":
    """The process reward model, float32 and in evaluation mode, and its tokenizer, which is the same.

    [`s1_hf.scoring.RewardModel`] knows how it is asked: `RewardModel.load("embedded-reward")`.
    """
    from transformers import Qwen2ForTokenClassification

    return _load(REWARD_PATH, Qwen2ForTokenClassification)


def _load(folder: Path, cls: Any = None) -> Any:
    import torch
    from transformers import AutoTokenizer, Qwen2ForCausalLM

    model = (cls or Qwen2ForCausalLM).from_pretrained(folder, dtype=torch.float32, local_files_only=True)
    tokenizer: Any = AutoTokenizer.from_pretrained(folder, local_files_only=True)
    return model.eval(), tokenizer
