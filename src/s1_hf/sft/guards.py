"""Checks made before weights are loaded: mistakes that users of the original noticed only after hours."""

from __future__ import annotations

import math
import os
import shutil
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from s1_hf.records import parse
from s1_hf.secrets import is_secret

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from transformers import PreTrainedTokenizerBase

    from s1_hf.data.conversation import LengthSummary


NOWHERE = {
    "gradient_accumulation_steps": "follows from `global_batch_size`, `per_device_train_batch_size` and the number of "
    "processes",
    "do_eval": "is not supported: evaluate the saved model",
    "eval_strategy": "is not supported: evaluate the saved model",
    "save_only_model": "would make resuming impossible; `--save_strategy no` saves only the final model",
    "resume_from_checkpoint": "is found in `output_dir` automatically",
    "auto_find_batch_size": "would change the number of rows per step",
    "logging_nan_inf_filter": "has nothing to filter: the run stops at a loss that is not finite",
}
"""What no recipe may set, and why."""

_NOT_HERE = {
    "packing": "would change the number of rows per step",
    "completion_only_loss": "is always on: the loss is on trace and answer",
    "assistant_only_loss": "is not needed: the loss is on trace and answer",
    "pad_token": "is deprecated in TRL: use `padding_token`",
    "dataset_text_field": "has no effect: rows have a question, traces and an answer",
    "dataset_kwargs": "has no effect: the trainer gets tokenised rows",
    **NOWHERE,
}


def field_faults(given: Mapping[str, object], not_here: Mapping[str, str] | None = None) -> list[str]:
    """Fields of TRL's config that a recipe must not set, because they would have no effect or the wrong one.

    Args:
        not_here (`Mapping[str, str]`, *optional*): which, and why; by default those of `SFTConfig`.
    """
    refused = _NOT_HERE if not_here is None else not_here
    faults = [f"Leave out `{name}`: it {why}." for name, why in refused.items() if name in given]
    return faults + [
        f"Leave out `{name}`: a secret would be kept in the run's files. Set HF_TOKEN, or log in by `hf auth login`."
        for name in _secret_fields(given)
    ]


def _secret_fields(given: Mapping[Any, object], before: str = "") -> Iterator[str]:
    for name, value in given.items():
        if isinstance(value, str) and value.startswith("{"):  # a dictionary, as the command line has it
            with suppress(ValueError):  # a text that only looks like one
                value = parse(value, str(name), strict=False)
        if isinstance(value, dict):
            yield from _secret_fields(value, f"{before}{name}.")
        elif isinstance(value, str) and is_secret(str(name)):
            yield f"{before}{name}"


def value_faults(values: Mapping[str, Any]) -> list[str]:
    """Numbers that would train nothing, or nonsense."""
    epochs, faults = values["num_train_epochs"], []
    if not (0 < epochs < math.inf) and values["max_steps"] <= 0:
        faults.append(f"`num_train_epochs` has to be more than 0, but is {epochs}.")
    for name in ("global_batch_size", "per_device_train_batch_size", "max_length"):
        if values.get(name) is not None and values[name] < 1:
            faults.append(f"`{name}` has to be at least 1, but is {values[name]}.")
    if not 0 < values["learning_rate"] < math.inf:
        faults.append(f"`learning_rate` has to be more than 0, but is {values['learning_rate']}.")
    for name, value in values.items():
        if isinstance(value, float) and not math.isfinite(value) and name not in ("num_train_epochs", "learning_rate"):
            faults.append(f"`{name}` has to be a finite number, but is {value}.")
    if values["merge_adapter"] and not values["use_peft"]:
        faults.append("`merge_adapter` needs an adapter: set `use_peft`.")
    return faults


def context_faults(values: Mapping[str, Any], ranks: int) -> list[str]:
    """What context parallelism over `ranks` processes wants of a recipe: each takes two parts of every row."""
    if ranks == 1:
        return []
    faults, parts = [], 2 * ranks
    multiple = str(values["pad_to_multiple_of"])  # which TRL reads as a text
    if not multiple.isdecimal() or int(multiple) < 1 or int(multiple) % parts:
        faults.append(
            f"`pad_to_multiple_of` has to be a multiple of {parts} with `cp_size` {ranks}, which cuts rows into "
            f"{parts} parts, but is {multiple}: `--pad_to_multiple_of {parts}`."
        )
    if values["attn_implementation"] not in (None, "sdpa"):
        faults.append(
            f"`attn_implementation` has to be sdpa with context parallelism, but is {values['attn_implementation']}."
        )
    return faults


def folder_faults(folder: Path) -> list[str]:
    """Whether results can be written to `folder`."""
    there = next(path for path in (folder.absolute(), *folder.absolute().parents) if path.exists())
    if not there.is_dir():
        return [f"`output_dir` has to be a folder, but {there} is a file."]
    return [] if os.access(there, os.W_OK) else [f"`output_dir` has to be writable, but {there} is not."]


def accumulation_steps(global_batch_size: int, per_device: int, processes: int) -> int:
    """How many batches each process accumulates so that a step sees `global_batch_size` rows (paper: 16).

    Raises:
        ValueError: no integer does it; the message names settings that would work.

    Example:

    ```python
    >>> accumulation_steps(16, per_device=1, processes=8)
    2

    ```
    """
    at_once = per_device * processes
    if global_batch_size % at_once == 0:
        return global_batch_size // at_once
    fits = [n for n in range(1, global_batch_size + 1) if global_batch_size % n == 0]
    sizes = [n for n in fits if (global_batch_size // processes) % n == 0] if global_batch_size % processes == 0 else []
    raise ValueError(
        f"`global_batch_size` {global_batch_size} has to be a multiple of `per_device_train_batch_size` {per_device} x "
        f"{processes} processes = {at_once}. With {processes} processes "
        + (f"`per_device_train_batch_size` may be {_list(sizes)}" if sizes else "no batch size works")
        + f"; with `per_device_train_batch_size` 1, {_list(fits)} processes would work. Or choose another "
        "`global_batch_size`."
    )


def total_steps(rows: int, global_batch_size: int, num_train_epochs: float, max_steps: int) -> int:
    """Optimizer steps of a run; an epoch's last step may see fewer rows (1,000 rows, batch 16, 5 epochs: 315)."""
    if max_steps > 0:
        return max_steps
    return math.ceil(math.ceil(rows / global_batch_size) * num_train_epochs)


def step_faults(steps: int, expected: int | None, rows: int) -> list[str]:
    """Whether the run has as many steps as the recipe expects."""
    if expected is None or steps == expected:
        return []
    return [
        f"The run would take {steps} optimizer steps on {rows:,} rows, but `expected_steps` says {expected}. Use the "
        "recipe's data, batch size and epochs, or set `--expected_steps none` for your own run."
    ]


def length_faults(summary: LengthSummary, context: int | None, allowed: bool) -> list[str]:
    """Whether a row would be cut at `summary.max_length`, or is longer than the model's context.

    Training on cut traces teaches a model not to stop: with 74 % of them cut, accuracy on AIME24 was 30.0 instead of
    50.0, with three times the thinking tokens (paper, ablation of the training length).
    """
    if summary.rows == 0:
        return ["The data has no rows."]
    lengths, cut, faults = summary.lengths, summary.too_long, []
    if cut and not allowed:
        worst = sorted(cut, key=lambda row: -lengths[row])[:5]
        faults.append(
            f"{len(cut):,} of {summary.rows:,} rows ({summary.share_too_long:.1%}) are longer than `max_length` "
            f"{summary.max_length:,} and would be cut: {', '.join(f'row {r}: {lengths[r]:,} tokens' for r in worst)}"
            f"{', ...' if len(cut) > 5 else ''}. Raise `max_length` to {summary.max:,}, or set "
            "`--allow_truncation true` to train on cut rows anyway."
        )
    longest = min(summary.max, summary.max_length or summary.max)
    if context is not None and longest > context:
        faults.append(f"The longest row has {longest:,} tokens, but the model's context is {context:,}.")
    return faults


def padding_faults(tokenizer: PreTrainedTokenizerBase) -> list[str]:
    """Whether the padding token differs from the end of turn."""
    pad = tokenizer.pad_token
    if pad is not None and pad != tokenizer.eos_token:
        return []
    wrong = "has no padding token" if pad is None else f"pads with the end of turn {pad!r}"
    return [
        f"The tokenizer {wrong}, so the model may learn not to stop. Choose another token of its vocabulary: "
        "`--padding_token '<|fim_pad|>'` (Qwen2.5), `'<|endoftext|>'` (Qwen3), `'<|reserved_special_token_5|>'` "
        "(Llama 3)."
    ]


def disk_faults(folder: Path, needed: int) -> list[str]:
    """Whether the disk of `folder` has `needed` bytes free."""
    there = next(path for path in (folder.absolute(), *folder.absolute().parents) if path.exists())
    free = shutil.disk_usage(there).free
    if free >= needed:
        return []
    return [
        f"The run writes up to {_size(needed)} (checkpoints and the final model), but {there} has {_size(free)} free. "
        "Choose another `--output_dir`, a smaller `--save_total_limit`, "
        "or `--save_strategy no` to save no checkpoints."
    ]


def _size(number: int) -> str:
    for unit, one in (("GB", 1e9), ("MB", 1e6), ("kB", 1e3)):
        if number >= one:
            return f"{number / one:,.1f} {unit}"
    return f"{number} bytes"


def refuse(faults: Sequence[str]) -> None:
    """Raise a `ValueError` that lists all `faults`, if there are any."""
    if faults:
        raise ValueError("The run was not started:\n" + "\n".join(f"- {fault}" for fault in faults))


def _list(numbers: Sequence[int]) -> str:
    texts = [str(n) for n in numbers]
    return texts[0] if len(texts) == 1 else f"{', '.join(texts[:-1])} or {texts[-1]}"
