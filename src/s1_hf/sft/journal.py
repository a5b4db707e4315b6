"""The journal of a run, `s1_run.json` in its folder: the settings it was started with, and whether it has finished.

Rerunning the same command resumes a run that was killed. With other settings it is refused, because the result would
belong to neither.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any
from uuid import uuid4

from transformers.trainer_utils import PREFIX_CHECKPOINT_DIR

from s1_hf import __version__
from s1_hf.files import inside, write_text
from s1_hf.records import FLAG, OBJECT, TEXT, check, read_json
from s1_hf.secrets import without_secret_values
from s1_hf.sft.checkpoints import Checkpoints, find_checkpoints, has_checkpoints

if TYPE_CHECKING:
    from s1_hf.sft.recipe import Recipe

_LIBRARIES = ("torch", "transformers", "trl", "peft", "accelerate", "datasets")
# Fields that do not change the result: a run can be resumed with other values. A name ending in "_" is a prefix.
_INDIFFERENT = (
    "dataloader_num_workers", "dataloader_pin_memory", "dataloader_persistent_workers", "dataloader_prefetch_factor",
    "dataset_num_proc", "ddp_", "debug", "disable_tqdm", "dry_run", "eval_", "gradient_checkpointing",
    "activation_", "hub_", "include_", "log_", "logging_", "merge_adapter", "output_dir", "per_device_",
    "project", "push_to_hub", "report_to", "resume_from_checkpoint", "run_name", "save_", "skip_memory_metrics",
    "torch_empty_cache_steps", "trackio_",
)  # fmt: skip


@dataclass(frozen=True)
class Journal:
    """Reads and writes the journal in `folder`, the run's `output_dir`."""

    folder: Path

    @property
    def path(self) -> Path:
        """The journal's file."""
        return self.folder / "s1_run.json"

    def checkpoints(self, recipe: Recipe) -> Checkpoints:
        """What the run's folder holds to resume from.

        Raises:
            ValueError: the folder holds a finished run, one started with other settings, or checkpoints that are not
                of this run or damaged.
        """
        begun = self._read()
        if begun is None:
            self._check_foreign()
            return Checkpoints()
        if begun["finished"]:
            raise ValueError(
                f"{self.folder} holds a finished run. Choose another `--output_dir`, or delete it to train again."
            )
        found = find_checkpoints(self.folder, begun.get("run"))
        if found.newest is None:
            return found  # nothing to resume: any settings may start again
        now = _settings(recipe)
        differ = [name for name in sorted(now | begun["settings"]) if now.get(name) != begun["settings"].get(name)]
        if differ:
            changes = "; ".join(f"`{n}` was {begun['settings'].get(n)!r}, is {now.get(n)!r}" for n in differ)
            raise ValueError(
                f"{self.folder} holds a run started with other settings: {changes}. Use its settings to resume it, or "
                "choose another `--output_dir`."
            )
        return found

    def check_data(self, source: dict[str, Any]) -> None:
        """Raise a `ValueError` if the run was started on other data than `source`."""
        begun = self._read()
        differ = [] if begun is None else [key for key in source if begun["data"].get(key) != source[key]]
        if begun is not None and differ and has_checkpoints(self.folder):
            changes = "; ".join(f"{key} was {begun['data'].get(key)!r}, is {source[key]!r}" for key in differ)
            raise ValueError(
                f"{self.folder} holds a run started on other data: {changes}. Restore that data to resume it, or "
                "choose another `--output_dir`."
            )

    def begin(self, recipe: Recipe, source: dict[str, Any], resumes: bool = False) -> str:
        """Write the journal of a run that starts or resumes; returns the mark of its checkpoints."""
        before = self._read() if resumes else None
        run = str((before or {}).get("run") or uuid4().hex)
        about = {"recipe": str(recipe.path), "settings": _settings(recipe), "data": source, "versions": versions()}
        self._write(about | {"run": run, "finished": False})
        return run

    def finish(self, metrics: dict[str, float]) -> None:
        """Record that the run has finished and been saved."""
        begun = self._read() or {}
        self._write(begun | {"finished": True, "metrics": metrics})

    def _read(self) -> dict[str, Any] | None:
        if not self.path.exists():
            return None
        remedy = "Choose another `--output_dir`, or delete it."
        try:
            content = read_json(self.path, strict=False)  # a loss may have been NaN
        except ValueError as error:
            raise ValueError(f"{error} {remedy}") from None
        about = {"settings": OBJECT, "data": OBJECT, "finished": FLAG}
        check(content, about, str(self.path), optional={"run": TEXT}, remedy=remedy)
        return dict(content)

    def _check_foreign(self) -> None:
        """A folder without a journal must not hold files that would be mistaken for ours, or be overwritten."""
        names = ("*.safetensors", "*.bin", "config.json", "adapter_config.json", f"{PREFIX_CHECKPOINT_DIR}-*")
        found = sorted(path.name for name in names for path in self.folder.glob(name))
        if found:
            raise ValueError(
                f"{self.folder} holds a model that was not made by a recipe ({', '.join(found[:3])}) and would be "
                "overwritten. Choose another `--output_dir`."
            )

    def _write(self, content: dict[str, Any]) -> None:
        write_text(inside(self.folder, self.path.name), json.dumps(content, indent=2) + "\n")


def versions() -> dict[str, str]:
    """The installed versions of the libraries that a result depends on."""
    return {"s1-hf": __version__} | {name: version(name) for name in _LIBRARIES}


def _settings(recipe: Recipe) -> dict[str, Any]:
    """The fields that affect the result."""
    return {
        name: without_secret_values(value)
        for name, value in json.loads(json.dumps(recipe.values, default=str)).items()
        if not any(name == field or (field.endswith("_") and name.startswith(field)) for field in _INDIFFERENT)
    }
