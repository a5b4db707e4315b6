"""Everything up to loading the weights: a recipe either becomes a `Run` or is refused."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from accelerate.parallelism_config import ParallelismConfig
from trl import ModelConfig, SFTConfig

from s1_hf.engines.processes import check_together, launched
from s1_hf.files import refuse_links
from s1_hf.sft import guards
from s1_hf.sft.checkpoints import Checkpoints
from s1_hf.sft.journal import Journal
from s1_hf.sft.packages import package_faults
from s1_hf.sft.prepare import Prepared, prepare
from s1_hf.sft.recipe import DataArguments, Recipe, RunArguments


@dataclass(frozen=True)
class Run:
    """A run that has passed all checks.

    Args:
        checkpoints ([`Checkpoints`]): where to resume, if not at the first step.
    """

    recipe: Recipe
    data: Any
    args: Any
    model_args: ModelConfig
    prepared: Prepared
    checkpoints: Checkpoints

    @property
    def checkpoint(self) -> str | None:
        """Where to resume; `None` for a new run."""
        newest = self.checkpoints.newest
        return None if newest is None else str(newest)


class Checks(NamedTuple):
    """What is checked of a kind of training beside what is checked of all.

    Args:
        not_here (`Mapping[str, str]`): fields of TRL's config that are refused, and why.
        faults (`Callable`): what is wrong with the values of all fields.
        build (`Callable`): from a recipe, and a number of processes, if the planned run has others than this one, to
            its three parts, with the steps that they accumulate.
        prepare (`Callable`): everything that a run needs besides the weights.
    """

    not_here: Mapping[str, str] | None
    faults: Callable[[Mapping[str, Any]], list[str]]
    build: Callable[[Recipe, int | None], tuple[Any, Any, ModelConfig]]
    prepare: Callable[[Any, Any, ModelConfig], Prepared]


def check(recipe: Recipe, processes: int | None = None, checks: Checks | None = None) -> Run:
    """Make all checks; no weights are loaded.

    Args:
        checks ([`Checks`], *optional*): those of the recipe's kind; by default of fine-tuning.
        processes (`int`, *optional*): the number of data-parallel processes of the planned run, if this is not it.

    Raises:
        ValueError: a guard refuses the run (`s1_hf.sft.guards`), or its folder holds a link, a finished run or one
            started with other settings.
    """
    checks = checks or SFT_CHECKS
    guards.refuse(
        guards.field_faults(recipe.given, checks.not_here)
        + guards.value_faults(recipe.values)
        + checks.faults(recipe.values)
        + guards.folder_faults(Path(recipe.values["output_dir"] or "."))
        + guards.context_faults(recipe.values, _launched_with().cp_size)
    )
    refuse_links(recipe.values["output_dir"] or ".")  # the trainer would write through them
    data, args, model_args = checks.build(recipe, processes)
    args.logging_nan_inf_filter = False  # it would hide what stops the run
    journal = Journal(Path(args.output_dir))
    found = journal.checkpoints(recipe)
    prepared = checks.prepare(data, args, model_args)
    journal.check_data(prepared.source)
    return Run(recipe, data, args, model_args, prepared, found)


def build(recipe: Recipe, processes: int | None) -> tuple[DataArguments, SFTConfig, ModelConfig]:
    """The parts of a recipe of fine-tuning, see [`Checks`]."""
    data, args, model_args = recipe.build()
    guards.refuse(package_faults(args, model_args))
    args.gradient_accumulation_steps = guards.accumulation_steps(
        data.global_batch_size, args.per_device_train_batch_size, ranks(data, args, processes)
    )
    return data, args, model_args


def ranks(data: RunArguments, args: Any, processes: int | None) -> int:
    """How many processes see rows of their own, by the launcher if it is not given."""
    if processes is not None:
        return processes
    if not data.dry_run:
        check_together(args.world_size)
    return data_parallel_ranks(max(args.world_size, launched()))


SFT_CHECKS = Checks(None, lambda values: [], build, prepare)
"""Of fine-tuning."""


def data_parallel_ranks(processes: int, parallelism: ParallelismConfig | None = None) -> int:
    """How many of `processes` see rows of their own: those of tensor, context and sequence parallelism share them.

    Args:
        parallelism (`ParallelismConfig`, *optional*): by default the one that `accelerate launch` has set, if any.

    Raises:
        ValueError: the processes cannot be divided like that.
    """
    parallelism = parallelism or _launched_with()
    shared = parallelism.non_data_parallel_size
    if processes % shared:
        raise ValueError(
            f"The number of processes has to be a multiple of {shared}, the ranks of tensor, context and sequence "
            f"parallelism together, but is {processes}. Change `num_processes` or `parallelism_config`."
        )
    return processes // shared


def _launched_with() -> ParallelismConfig:
    """The parallelism that `accelerate launch` has set; by default none."""
    is_set = os.environ.get("ACCELERATE_USE_PARALLELISM_CONFIG", "false").lower() == "true"
    return ParallelismConfig() if is_set else ParallelismConfig(tp_size=1, cp_size=1, sp_size=1)
