"""Everything up to loading the weights: a recipe either becomes a `Run` or is refused."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from accelerate.parallelism_config import ParallelismConfig
from trl import ModelConfig, SFTConfig

from s1_hf.engines.processes import check_together, launched
from s1_hf.files import refuse_links
from s1_hf.sft import guards
from s1_hf.sft.checkpoints import Checkpoints
from s1_hf.sft.journal import Journal
from s1_hf.sft.packages import package_faults
from s1_hf.sft.prepare import Prepared, prepare
from s1_hf.sft.recipe import DataArguments, Recipe


@dataclass(frozen=True)
class Run:
    """A run that has passed all checks.

    Args:
        checkpoints ([`Checkpoints`]): where to resume, if not at the first step.
    """

    recipe: Recipe
    data: DataArguments
    args: SFTConfig
    model_args: ModelConfig
    prepared: Prepared
    checkpoints: Checkpoints

    @property
    def checkpoint(self) -> str | None:
        """Where to resume; `None` for a new run."""
        newest = self.checkpoints.newest
        return None if newest is None else str(newest)


def check(recipe: Recipe, processes: int | None = None) -> Run:
    """Make all checks; no weights are loaded.

    Args:
        processes (`int`, *optional*): the number of data-parallel processes of the planned run, if this is not it.

    Raises:
        ValueError: a guard refuses the run (`s1_hf.sft.guards`), or its folder holds a link, a finished run or one
            started with other settings.
    """
    guards.refuse(
        guards.field_faults(recipe.given)
        + guards.value_faults(recipe.values)
        + guards.folder_faults(Path(recipe.values["output_dir"] or "."))
        + guards.context_faults(recipe.values, _launched_with().cp_size)
    )
    refuse_links(recipe.values["output_dir"] or ".")  # the trainer would write through them
    data, args, model_args = recipe.build()
    guards.refuse(package_faults(args, model_args))
    if processes is None:
        if not data.dry_run:
            check_together(args.world_size)
        processes = data_parallel_ranks(max(args.world_size, launched()))
    args.gradient_accumulation_steps = guards.accumulation_steps(
        data.global_batch_size, args.per_device_train_batch_size, processes
    )
    args.logging_nan_inf_filter = False  # it would hide what stops the run
    journal = Journal(Path(args.output_dir))
    found = journal.checkpoints(recipe)
    prepared = prepare(data, args, model_args)
    journal.check_data(prepared.source)
    return Run(recipe, data, args, model_args, prepared, found)


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
