"""The fields that a recipe of reinforcement learning adds to those of TRL's `GRPOConfig` and `ModelConfig`."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from trl import GRPOConfig

from s1_hf.rl.budgets import Drawn
from s1_hf.rl.rewards import REWARDS
from s1_hf.sft.guards import NOWHERE
from s1_hf.sft.recipe import RecipeKind, RunArguments

_RANGE = "a number, or from-to (16-96): drawn anew for each prompt of a step"


@dataclass
class BudgetArguments(RunArguments):
    """What to train on, under which budgets, and what is rewarded."""

    dataset_path: str | None = field(
        default=None, metadata={"help": "Questions and right answers: a parquet, json, jsonl or csv file."}
    )
    question_column: str | None = field(default=None, metadata={"help": "Column of the questions (default: guessed)."})
    answer_column: str | None = field(default=None, metadata={"help": "Column of the answers (default: guessed)."})
    thinking_format: str | None = field(
        default=None, metadata={"help": "How the model writes its thinking (default: detected)."}
    )
    rewards: str = field(
        default="correct", metadata={"help": f"Rewards, with commas between them, of {', '.join(REWARDS)}."}
    )
    max_thinking_tokens: str | None = field(default=None, metadata={"help": f"Where thinking is cut: {_RANGE}."})
    min_thinking_tokens: str | None = field(default=None, metadata={"help": f"Where it may end: {_RANGE}."})
    num_ignores: str | None = field(default=None, metadata={"help": f"How many ends are ignored: {_RANGE}."})
    wait_text: str = field(default="Wait", metadata={"help": "What replaces an ignored end."})
    answer_prefix: str = field(default="Final Answer:", metadata={"help": "What follows a cut."})
    max_answer_tokens: int | None = field(default=None, metadata={"help": "Answers end after so many tokens."})
    tolerance: float = field(
        default=0.01,
        metadata={"help": "The loss leaves out tokens at whose place the rules moved more than this share of the law."},
    )
    mask_forced: bool = field(
        default=True, metadata={"help": "false: also train on what the model did not choose, to see what that does."}
    )
    rollout_batch_size: int | None = field(
        default=None, metadata={"help": "Rows that are generated at once (default: all of a step)."}
    )


RL = RecipeKind(
    BudgetArguments,
    GRPOConfig,
    "s1_hf.rl",
    "grpo*",
    ("dataset_path",),
    ("question_column", "answer_column"),
)
"""Reinforcement learning."""

_VLLM = "is not supported: TRL starts vLLM without the processor that forces budgets"
NOT_HERE = {
    **NOWHERE,
    "use_vllm": _VLLM,
    "vllm_mode": _VLLM,
    "generation_batch_size": "follows from `global_batch_size`: each step generates its own rollouts",
    "steps_per_generation": "follows from `global_batch_size`: each step generates its own rollouts",
    "num_train_epochs": "is not supported: set `max_steps`",
    "generation_kwargs": "would not be used",
    "repetition_penalty": "is not supported: the loss knows none",
    "use_transformers_continuous_batching": "would not be used",
    "chat_template_path": "is not supported: save the model with the template",
}
"""Fields of `GRPOConfig` that a recipe must not set, and why."""


def budgets_of(data: Any) -> Drawn:
    """The budgets of a recipe.

    Raises:
        ValueError: a range cannot be read, or a budget in it is refused.
    """
    settings: dict[str, Any] = {"wait_text": data.wait_text, "answer_prefix": data.answer_prefix or None}
    for name in ("max_thinking_tokens", "min_thinking_tokens", "num_ignores"):
        text = getattr(data, name)
        if text is not None:
            settings[name] = _range(name, str(text))
    return Drawn(**settings)


def _range(name: str, text: str) -> int | tuple[int, int]:
    match = re.fullmatch(r"\s*(\d{1,9})\s*(?:-\s*(\d{1,9})\s*)?", text)
    if match is None:
        raise ValueError(f"`{name}` has to be {_RANGE}, but is {text!r}.")
    return int(match[1]) if match[2] is None else (int(match[1]), int(match[2]))


def value_faults(values: Mapping[str, Any]) -> list[str]:
    """Numbers that would train nothing, or nonsense."""
    faults = []
    if values["max_steps"] < 1:
        faults.append(f"`max_steps` has to be at least 1, but is {values['max_steps']}.")
    for name in ("max_completion_length", "max_answer_tokens", "rollout_batch_size", "num_iterations"):
        if values[name] is not None and values[name] < 1:
            faults.append(f"`{name}` has to be at least 1, but is {values[name]}.")
    if not 0 <= values["tolerance"] < 1:
        faults.append(f"`tolerance` has to be at least 0 and below 1, but is {values['tolerance']}.")
    if not values["temperature"] > 0:
        faults.append(f"`temperature` has to be above 0, but is {values['temperature']}.")
    rewards = reward_names(values["rewards"])
    unknown = [name for name in rewards if name not in REWARDS]
    if unknown or not rewards:
        faults.append(f"`rewards` has to be some of {', '.join(REWARDS)}, but is {values['rewards']!r}.")
    weights = values["reward_weights"]
    if weights is not None and len(weights) != len(rewards):
        faults.append(f"`reward_weights` has to have {len(rewards)} numbers, as `rewards` has, but is {weights}.")
    if values["global_batch_size"] >= 1 and values["global_batch_size"] % values["num_generations"]:
        faults.append(
            f"`global_batch_size` has to be a multiple of `num_generations` {values['num_generations']}, but is "
            f"{values['global_batch_size']}: it counts completions."
        )
    iterations, every = values["num_iterations"], values["save_steps"]
    if iterations > 1 and values["save_strategy"] == "steps" and every % iterations:
        faults.append(
            f"`save_steps` has to be a multiple of `num_iterations` {iterations}, but is {every}: a checkpoint in "
            "between would resume with other rollouts."
        )
    return faults


def reward_names(text: str) -> list[str]:
    """Of the field `rewards`."""
    return [name.strip() for name in text.split(",") if name.strip()]
