"""Reinforcement learning as a kind of training: by the recipes, checks and manners of `s1_hf.sft`, with TRL's
`GRPOTrainer`."""

from __future__ import annotations

import warnings
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from trl import GRPOConfig, GRPOTrainer, ModelConfig, get_peft_config, get_quantization_config

from s1_hf.engines.processes import launched
from s1_hf.rl.fields import NOT_HERE, RL, BudgetArguments, budgets_of, reward_names, value_faults
from s1_hf.rl.prepare import prepare
from s1_hf.rl.rewards import REWARDS
from s1_hf.rl.rollout import BudgetRollout
from s1_hf.sft import guards
from s1_hf.sft.checking import Checks, ranks
from s1_hf.sft.packages import package_faults
from s1_hf.sft.run import Job, set_loading
from s1_hf.sft.trainer import Checked

if TYPE_CHECKING:
    from s1_hf.sft.checking import Run
    from s1_hf.sft.recipe import Recipe


class Trainer(Checked, GRPOTrainer):
    """`GRPOTrainer`, checked."""


def build(recipe: Recipe, processes: int | None) -> tuple[BudgetArguments, GRPOConfig, ModelConfig]:
    """The parts of a recipe, see [`Checks`]. `GRPOConfig` wants to know at once how many batches a step has."""
    values = recipe.values
    rows, per_device = values["global_batch_size"], values["per_device_train_batch_size"]
    here = guards.accumulation_steps(rows, per_device, max(launched(), 1))
    data, args, model_args = replace(recipe, values=values | {"gradient_accumulation_steps": here}).build()
    guards.refuse(package_faults(args, model_args))
    planned = guards.accumulation_steps(rows, per_device, ranks(data, args, processes))
    args.gradient_accumulation_steps = args.steps_per_generation = planned
    return data, args, model_args


def make_trainer(run: Run) -> Trainer:
    """The trainer, with the model loaded."""
    set_loading(run)
    data = run.data
    rollout = BudgetRollout(
        budgets_of(data),
        format=run.prepared.thinking_format,
        batch_size=data.rollout_batch_size,
        max_answer_tokens=data.max_answer_tokens,
        tolerance=data.tolerance,
        mask_forced=data.mask_forced,
    )
    rewards: list[Any] = [REWARDS[name] for name in reward_names(data.rewards)]
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "You are using 'rollout_func'", UserWarning)  # TRL: it may change
        return Trainer(
            rows=data.global_batch_size,
            steps=run.prepared.steps,
            model=run.model_args.model_name_or_path,
            reward_funcs=rewards,
            args=run.args,
            train_dataset=run.prepared.rows,
            processing_class=run.prepared.tokenizer,
            quantization_config=get_quantization_config(run.model_args),
            peft_config=get_peft_config(run.model_args),
            rollout_func=rollout,
        )


REINFORCEMENT = Job(RL, Checks(NOT_HERE, value_faults, build, prepare), make_trainer)
"""What `s1-hf grpo` does."""
