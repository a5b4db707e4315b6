"""The journal of a run, `s1_run.json` in its folder: with which settings it was begun, and whether it has finished.

A run that was killed is gone on with by the same command; with other settings it is refused, because its result would
be that of neither.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from transformers.trainer import TRAINER_STATE_NAME
from transformers.trainer_utils import PREFIX_CHECKPOINT_DIR

from s1_hf import __version__

if TYPE_CHECKING:
    from s1_hf.sft.recipe import Recipe

_LIBRARIES = ("torch", "transformers", "trl", "peft", "accelerate", "datasets")
# Fields that do not change the result: a run may be gone on with when they differ. A name that ends in "_" is a prefix.
_INDIFFERENT = (
    "dataloader_", "dataset_num_proc", "ddp_", "debug", "disable_tqdm", "dry_run", "eval_", "gradient_checkpointing",
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

    def checkpoint(self, recipe: Recipe) -> Path | None:
        """The last whole checkpoint to go on from; `None` for a new run.

        Raises:
            ValueError: the folder holds a finished run, or one begun with other settings.
        """
        begun = json.loads(self.path.read_text(encoding="utf-8")) if self.path.exists() else None
        if begun is None:
            return None
        if begun["finished"]:
            raise ValueError(
                f"{self.folder} holds a finished run. Choose another `--output_dir`, or delete it to train anew."
            )
        now = _settings(recipe)
        differ = [name for name in sorted(now | begun["settings"]) if now.get(name) != begun["settings"].get(name)]
        if differ:
            changes = "; ".join(f"`{n}` was {begun['settings'].get(n)!r}, is {now.get(n)!r}" for n in differ)
            raise ValueError(
                f"{self.folder} holds a run begun with other settings: {changes}. Give the settings it was begun with "
                "to go on with it, or choose another `--output_dir`."
            )
        return last_checkpoint(self.folder)

    def begin(self, recipe: Recipe, source: dict[str, Any]) -> None:
        """Write the journal of a run that starts or goes on."""
        about = {"recipe": str(recipe.path), "settings": _settings(recipe), "data": source, "versions": versions()}
        self._write(about | {"finished": False})

    def finish(self, metrics: dict[str, float]) -> None:
        """Note that the run has been saved whole."""
        begun = json.loads(self.path.read_text(encoding="utf-8"))
        self._write(begun | {"finished": True, "metrics": metrics})

    def _write(self, content: dict[str, Any]) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        part = self.path.with_suffix(".part")
        part.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")
        part.replace(self.path)  # whole or not at all, whenever the process is killed


def versions() -> dict[str, str]:
    """The installed versions of what a result depends on."""
    return {"s1-hf": __version__} | {name: version(name) for name in _LIBRARIES}


def last_checkpoint(folder: Path) -> Path | None:
    """The whole checkpoint of most steps in `folder`; the trainer's state is what a checkpoint gets last."""
    found = {int(path.name.rsplit("-", 1)[1]): path for path in folder.glob(f"{PREFIX_CHECKPOINT_DIR}-*")}
    return next((found[step] for step in sorted(found, reverse=True) if _is_whole(found[step])), None)


def _is_whole(checkpoint: Path) -> bool:
    try:
        json.loads((checkpoint / TRAINER_STATE_NAME).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return False
    return True


def _settings(recipe: Recipe) -> dict[str, Any]:
    """The fields that decide what comes out."""
    return {
        name: value
        for name, value in json.loads(json.dumps(recipe.values, default=str)).items()
        if not any(name == field or (field.endswith("_") and name.startswith(field)) for field in _INDIFFERENT)
    }
