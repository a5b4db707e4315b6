"""Everything up to loading the weights: a recipe either becomes a `Run` or is refused."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from trl import ModelConfig, SFTConfig

from s1_hf.files import refuse_links
from s1_hf.sft import guards
from s1_hf.sft.journal import Journal
from s1_hf.sft.prepare import Prepared, prepare
from s1_hf.sft.recipe import DataArguments, Recipe


@dataclass(frozen=True)
class Run:
    """A run that has passed all checks.

    Args:
        checkpoint (`str`, *optional*): where to resume; `None` for a new run.
    """

    recipe: Recipe
    data: DataArguments
    args: SFTConfig
    model_args: ModelConfig
    prepared: Prepared
    checkpoint: str | None


def check(recipe: Recipe, processes: int | None = None) -> Run:
    """Make all checks; no weights are loaded.

    Args:
        processes (`int`, *optional*): the number of processes of the planned run, if this is not it.

    Raises:
        ValueError: a guard refuses the run (`s1_hf.sft.guards`), or its folder holds a link, a finished run or one
            started with other settings.
    """
    guards.refuse(
        guards.field_faults(recipe.given)
        + guards.value_faults(recipe.values)
        + guards.folder_faults(Path(recipe.values["output_dir"] or "."))
    )
    refuse_links(recipe.values["output_dir"] or ".")  # the trainer would write through them
    data, args, model_args = recipe.build()
    args.gradient_accumulation_steps = guards.accumulation_steps(
        data.global_batch_size, args.per_device_train_batch_size, processes or args.world_size
    )
    journal = Journal(Path(args.output_dir))
    found = journal.checkpoint(recipe)
    prepared = prepare(data, args, model_args)
    journal.check_data(prepared.source)
    return Run(recipe, data, args, model_args, prepared, str(found) if found else None)
