"""trackio and Weights & Biases: the same few things, asked of each in its own words."""

from __future__ import annotations

import os
from abc import ABC, abstractmethod
from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path
from tempfile import TemporaryFile
from typing import Any

from s1_hf._lazy import require
from s1_hf.files import refuse_link

PROJECT = "s1-hf"
_ELSEWHERE = ("TRACKIO_SPACE_ID", "TRACKIO_SERVER_URL")
X = "thinking_tokens"
"""Over what a setting's accuracy is drawn."""


class Backend(ABC):
    """A run of a tracker."""

    REMEDY = ""
    where: str

    @abstractmethod
    def __init__(self, folder: Path, number: str, name: str, config: Mapping[str, Any]) -> None: ...

    @abstractmethod
    def log(self, values: dict[str, Any]) -> None:
        """One point."""

    @abstractmethod
    def table(self, name: str, columns: list[str], rows: list[list[Any]]) -> None:
        """Numbers and texts."""

    @abstractmethod
    def images(self, files: Mapping[str, Path]) -> None:
        """Figures, by name."""

    @abstractmethod
    def close(self, failed: bool) -> None:
        """Everything is sent."""


class Trackio(Backend):
    """On this machine, or where TRACKIO_SPACE_ID or TRACKIO_SERVER_URL say; it knows a run again by its name."""

    REMEDY = "Without TRACKIO_SPACE_ID and TRACKIO_SERVER_URL it writes to this machine only."

    def __init__(self, folder: Path, number: str, name: str, config: Mapping[str, Any]) -> None:
        self._trackio = require("trackio", "track")
        from trackio.utils import get_storage_mode

        self._run = self._trackio.init(
            project=_project("TRACKIO_PROJECT"),
            name=name,
            config=dict(config),
            resume="allow",
            embed=False,
            auto_log_cpu=False,
            auto_log_gpu=False,
        )
        self._name, self._points, self._before = name, 0, 0
        # What it cannot write it drops with a warning, from a thread of its own: so it is looked up what is there.
        self._is_read_back = not any(map(os.environ.get, _ELSEWHERE)) and get_storage_mode() == "sqlite"
        if self._is_read_back:
            self._trackio.TRACKIO_DIR.mkdir(parents=True, exist_ok=True)
            with TemporaryFile(dir=self._trackio.TRACKIO_DIR):
                self._before = self._count()
        self.where = f"trackio show --project {_project('TRACKIO_PROJECT')}   (run {name})"

    def log(self, values: dict[str, Any]) -> None:
        self._points += 1
        self._run.log(values)

    def table(self, name: str, columns: list[str], rows: list[list[Any]]) -> None:
        self.log({name: self._trackio.Table(columns=columns, data=rows)})

    def images(self, files: Mapping[str, Path]) -> None:
        self.log({f"figures/{name}": self._trackio.Image(str(file)) for name, file in files.items()})

    def close(self, failed: bool) -> None:
        self._trackio.finish()
        if self._is_read_back and (found := self._count() - self._before) < self._points:
            folder = self._trackio.TRACKIO_DIR
            raise OSError(
                f"of {self._points} points {found} have been written to {folder}. Can it be written, is it full?"
            )

    def _count(self) -> int:
        """How many points of this run are in trackio's files."""
        from trackio.sqlite_storage import SQLiteStorage

        return int(SQLiteStorage.get_log_count(_project("TRACKIO_PROJECT"), self._name))


class Wandb(Backend):
    """As WANDB_MODE says; its files are in the results' folder, or where WANDB_DIR says."""

    REMEDY = "Log in (`wandb login`, or WANDB_API_KEY), or set WANDB_MODE=offline: `wandb sync` then sends it later."

    def __init__(self, folder: Path, number: str, name: str, config: Mapping[str, Any]) -> None:
        import wandb

        own = os.environ.get("WANDB_DIR")
        refuse_link(folder / "wandb")
        # Without what it would read of the machine by itself: the command line, which may hold a password, code, git.
        settings = wandb.Settings(
            console="off", silent=True, disable_code=True, disable_git=True, save_code=False, x_disable_meta=True,
            x_save_requirements=False,
        )  # fmt: skip
        self._wandb = wandb
        self._run = wandb.init(
            project=_project("WANDB_PROJECT"), id=number, name=name, config=dict(config), resume="allow",
            dir=own or str(folder), settings=settings, reinit="create_new",
        )  # fmt: skip
        self.where = self._place()
        self._has_axis: set[str] = set()

    def log(self, values: dict[str, Any]) -> None:
        for place in {name.rpartition("/")[0] for name in values if name.endswith(f"/{X}")} - self._has_axis:
            self._has_axis.add(place)
            self._run.define_metric(f"{place}/accuracy", step_metric=f"{place}/{X}")
        self._run.log(values)

    def table(self, name: str, columns: list[str], rows: list[list[Any]]) -> None:
        # Its columns have one type each.
        texts = [i for i in range(len(columns)) if any(isinstance(row[i], str) for row in rows)]
        data = [[str(value or "") if i in texts else value for i, value in enumerate(row)] for row in rows]
        self._run.log({name: self._wandb.Table(columns=list(columns), data=data)})

    def images(self, files: Mapping[str, Path]) -> None:
        self._run.log({f"figures/{name}": self._wandb.Image(str(file)) for name, file in files.items()})

    def close(self, failed: bool) -> None:
        self._run.finish(exit_code=int(failed))

    def _place(self) -> str:
        if self._run.offline:
            return f"wandb sync {Path(self._run.dir).parent}"
        return str(self._run.url)


def _project(variable: str) -> str:
    return os.environ.get(variable) or PROJECT


TRACKERS: dict[str, type[Backend]] = {"trackio": Trackio, "wandb": Wandb}


def check_tracker(tracker: str | None) -> None:
    """Refuse a tracker that is unknown or not installed.

    Raises:
        ValueError, ModuleNotFoundError: the message says which there are, or what to install.
    """
    if tracker is None:
        return
    if tracker not in TRACKERS:
        raise ValueError(f"`track` has to be one of {', '.join(TRACKERS)}, but is {tracker!r}.")
    if tracker == "trackio":
        require("trackio", "track")
    elif find_spec("wandb") is None:
        raise ModuleNotFoundError("Weights & Biases is not installed: pip install wandb", name="wandb")
