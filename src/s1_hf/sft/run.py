"""A training run: check, train with `SFTTrainer`, save. There is no training loop of our own."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path

from accelerate.utils import gather_object
from safetensors import SafetensorError
from trl import SFTTrainer, get_peft_config, get_quantization_config

from s1_hf.engines.locking import exclusive
from s1_hf.engines.processes import how_many
from s1_hf.sft.checking import Run, check
from s1_hf.sft.journal import Journal
from s1_hf.sft.recipe import read_recipe
from s1_hf.sft.saving import save

logger = logging.getLogger(__name__)


class Refused(ValueError):
    """The run was not started; the message says why."""


class Stopped(OSError):
    """The run could not write; the message says what to do. What it had saved is kept."""


def start(source: str, overrides: Sequence[str], processes: int | None = None) -> None:
    """Check a recipe and train with it, with its folder locked by every process; every step is logged.

    Args:
        processes (`int`, *optional*): for a dry run, the number of processes of the planned run.

    Raises:
        Refused: the recipe cannot be read, a check fails, another process is training into the folder, or the model
            cannot be loaded.
        Stopped: the disk is full or cannot be written. Other errors during training are raised unchanged.
    """
    logging.basicConfig(level=logging.WARNING, format="%(message)s")
    logging.getLogger("s1_hf").setLevel(logging.INFO)
    if said := how_many():
        logger.info(said)
    with ExitStack() as held:
        try:
            run = check(read_recipe(source, overrides), processes)
            if run.data.dry_run:
                logger.info("All checks passed. Dry run: no weights were loaded and nothing was trained.")
                return
            held.enter_context(exclusive(run.args.output_dir, run.args.process_index, gather_object))
            trainer = make_trainer(run)
        except (ValueError, TypeError, OSError, ImportError, RuntimeError) as error:
            raise Refused(str(error)) from error
        try:
            train(run, trainer)
        except (OSError, RuntimeError, SafetensorError) as error:
            if not _is_of_writing(error):
                raise
            raise Stopped(
                f"Training stopped, because {run.args.output_dir} could not be written: {str(error).splitlines()[0]}. "
                "The last whole checkpoint is kept: make room, and rerun the same command to resume."
            ) from error


def _is_of_writing(error: Exception) -> bool:
    """torch's own writer raises a plain RuntimeError, which names its source file."""
    return not isinstance(error, RuntimeError) or "inline_container.cc" in str(error)


def train(run: Run, trainer: SFTTrainer | None = None) -> None:
    """Train into the recipe's `output_dir`, resuming from its last complete checkpoint if there is one, and save."""
    args = run.args
    journal = Journal(Path(args.output_dir))
    trainer = trainer or make_trainer(run)
    if args.should_save:
        journal.begin(run.recipe, run.prepared.source)
    if run.checkpoint and args.process_index == 0:
        logger.info("Resuming from %s.", run.checkpoint)
    result = trainer.train(resume_from_checkpoint=run.checkpoint)
    save(trainer, run)
    if args.should_save:
        journal.finish(result.metrics)
        logger.info("Saved to %s.", args.output_dir)


def make_trainer(run: Run) -> SFTTrainer:
    """The trainer, with the model loaded."""
    run.args.model_init_kwargs = {
        "revision": run.model_args.model_revision,
        "attn_implementation": run.model_args.attn_implementation,
        "dtype": run.model_args.dtype,
        **(run.args.model_init_kwargs or {}),
    }
    return SFTTrainer(
        model=run.model_args.model_name_or_path,
        args=run.args,
        train_dataset=run.prepared.rows,
        processing_class=run.prepared.tokenizer,
        quantization_config=get_quantization_config(run.model_args),
        peft_config=get_peft_config(run.model_args),
    )
