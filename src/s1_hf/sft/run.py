"""A training run: check, train with `SFTTrainer`, save. There is no training loop of our own."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any, NamedTuple

import torch
from accelerate.utils import gather_object
from safetensors import SafetensorError
from torch.distributed import DistError
from trl import get_peft_config, get_quantization_config
from trl.trainer.utils import create_model_from_path

from s1_hf.engines.locking import exclusive
from s1_hf.engines.processes import check_devices, how_many, is_main
from s1_hf.sft.checking import SFT_CHECKS, Checks, Run, check
from s1_hf.sft.checkpoints import check_kind, find_checkpoints
from s1_hf.sft.journal import Journal
from s1_hf.sft.recipe import SFT, RecipeKind, read_recipe
from s1_hf.sft.saving import save
from s1_hf.sft.trainer import NotAsPlanned, NotFinite, RunMark, Trainer
from s1_hf.sft.vocabulary import give_rows, peft_config_for, refuse_spread

logger = logging.getLogger(__name__)


_UNREACHABLE = (
    "The processes do not reach each other: {}. They need the same main address and port, and a network interface that "
    "the others see (NCCL_SOCKET_IFNAME or GLOO_SOCKET_IFNAME name it)."
)


class Refused(ValueError):
    """The run was not started; the message says why."""


class Stopped(Exception):
    """The run has ended early; the message says why and what to do. What it had saved is kept."""


class Job(NamedTuple):
    """A kind of training: how a recipe is read and checked, and what trains.

    Args:
        kind ([`RecipeKind`]): of its recipes.
        checks ([`Checks`]): what they have to pass.
        trainer (`Callable`): from a run to its trainer, derived from [`Checked`], with the model loaded.
    """

    kind: RecipeKind
    checks: Checks
    trainer: Callable[[Run], Any]


def start(source: str, overrides: Sequence[str], processes: int | None = None, job: Job | None = None) -> None:
    """Check a recipe and train with it, with its folder locked by every process; every step is logged.

    Args:
        job ([`Job`], *optional*): by default fine-tuning.
        processes (`int`, *optional*): for a dry run, the number of data-parallel processes of the planned run.

    Raises:
        Refused: the recipe cannot be read, a check fails, another process is training into the folder, or the model
            cannot be loaded.
        Stopped: the disk is full or cannot be written, or a loss, gradient norm or weight is not finite. Other errors
            during training are raised unchanged.
    """
    logging.basicConfig(level=logging.WARNING, format="%(message)s")
    logging.getLogger("s1_hf").setLevel(logging.INFO if is_main() else logging.WARNING)
    if said := how_many():
        logger.info(said)
    job = job or FINE_TUNING
    with ExitStack() as held:
        try:
            check_devices()
            run = check(read_recipe(source, overrides, job.kind), processes, job.checks)
            if run.data.dry_run:
                logger.info("All checks passed. Dry run: no weights were loaded and nothing was trained.")
                return
            held.enter_context(exclusive(run.args.output_dir, run.args.process_index, gather_object))
            trainer = job.trainer(run)
        except DistError as error:
            raise Refused(_UNREACHABLE.format(str(error).splitlines()[0])) from error
        except (ValueError, TypeError, OSError, ImportError, RuntimeError) as error:
            raise Refused(str(error)) from error
        try:
            train(run, trainer)
        except NotFinite as error:
            raise Stopped(_not_finite(error, run)) from error
        except (OSError, RuntimeError, SafetensorError) as error:
            if not _is_of_writing(error):
                raise
            raise Stopped(
                f"Training stopped, because {run.args.output_dir} could not be written: {str(error).splitlines()[0]}. "
                "The last whole checkpoint is kept: make room, and rerun the same command to resume."
            ) from error


def _not_finite(error: NotFinite, run: Run) -> str:
    newest = find_checkpoints(Path(run.args.output_dir), None).newest
    kept = f"{newest} was written before and is kept" if newest else "there is no checkpoint from before"
    return (
        f"Training stopped, because {error}. Nothing of that is saved; {kept}. A rerun would come to the same: choose "
        f"another `--output_dir` and a lower `learning_rate` (it is {run.args.learning_rate:g}), or bf16 instead of "
        f"fp16. If it is the first step, look at the weights of {run.model_args.model_name_or_path} and at the rows."
    )


def _is_of_writing(error: Exception) -> bool:
    """torch's own writer raises a plain RuntimeError, which names its source file."""
    return not isinstance(error, RuntimeError) or "inline_container.cc" in str(error)


def train(run: Run, trainer: Any = None) -> None:
    """Train into the recipe's `output_dir`, resuming from its last whole checkpoint if there is one, and save.

    Raises:
        Refused: that checkpoint cannot be loaded, or the trainer does not count rows and steps as planned.
        NotFinite: a loss, a gradient norm or a weight is not.
    """
    args = run.args
    journal = Journal(Path(args.output_dir))
    trainer = trainer or make_trainer(run)
    if args.should_save:
        run.checkpoints.set_aside()
        mark = journal.begin(run.recipe, run.prepared.source, resumes=run.checkpoint is not None)
        trainer.add_callback(RunMark(mark))
    if run.checkpoint and args.process_index == 0:
        logger.info("Resuming from %s.", run.checkpoint)
    result = _run_trainer(trainer, run)
    save(trainer, run)
    if args.should_save:
        journal.finish(result.metrics)
        logger.info("Saved to %s.", args.output_dir)


def _run_trainer(trainer: Any, run: Run) -> Any:
    try:
        if run.checkpoints.newest:
            check_kind(run.checkpoints.newest, trainer)
        return trainer.train(resume_from_checkpoint=run.checkpoint)
    except NotAsPlanned as error:
        raise Refused(str(error)) from error
    except Exception as error:  # a damaged file lets any out
        if run.checkpoint is None or trainer.has_begun or isinstance(error, (torch.OutOfMemoryError, MemoryError)):
            raise
        raise Refused(
            f"{run.checkpoint} cannot be resumed from: {type(error).__name__}: {error}. If it is damaged, move it out "
            f"of {run.args.output_dir}: the run then resumes from the checkpoint before it, or starts again."
        ) from error


def make_trainer(run: Run) -> Trainer:
    """The trainer, with the model loaded."""
    set_loading(run)
    new, peft_config = run.prepared.new_tokens, get_peft_config(run.model_args)
    model: Any = run.model_args.model_name_or_path
    quantization = get_quantization_config(run.model_args)
    if new.pieces:
        model = _with_rows(run, quantization)
        peft_config = peft_config_for(model, run.model_args, new)
        run.args.model_init_kwargs, quantization = None, None  # the trainer would say that they come too late
    return Trainer(
        rows=run.data.global_batch_size,
        steps=run.prepared.steps,
        model=model,
        args=run.args,
        train_dataset=run.prepared.rows,
        processing_class=run.prepared.tokenizer,
        quantization_config=quantization,
        peft_config=peft_config,
    )


def _with_rows(run: Run, quantization: Any) -> Any:
    """The model with the rows of new tokens, loaded as the trainer would load it."""
    args = run.args
    options = {"trust_remote_code": args.trust_remote_code, **(args.model_init_kwargs or {})}
    if quantization is not None:
        options["quantization_config"] = quantization
    if args.distributed_state.distributed_type in ("MULTI_GPU", "DEEPSPEED"):
        options["device_map"] = None
    refuse_spread()
    model = create_model_from_path(run.model_args.model_name_or_path, **options)
    give_rows(model, run.prepared.new_tokens)
    return model


def set_loading(run: Run) -> None:
    """Tell the trainer how the recipe wants the weights."""
    run.args.model_init_kwargs = {
        "revision": run.model_args.model_revision,
        "attn_implementation": run.model_args.attn_implementation,
        "dtype": run.model_args.dtype,
        **(run.args.model_init_kwargs or {}),
    }


FINE_TUNING = Job(SFT, SFT_CHECKS, make_trainer)
"""What `s1-hf sft` does."""
