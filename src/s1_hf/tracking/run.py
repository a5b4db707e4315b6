"""A run in a tracker."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import redirect_stdout
from importlib.util import find_spec
from io import StringIO
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any
from uuid import uuid4

from s1_hf.engines.request import digest
from s1_hf.secrets import without_secret_values, without_secrets
from s1_hf.tracking.kept import keep, read_kept
from s1_hf.tracking.trackers import TRACKERS, Backend, check_tracker
from s1_hf.visible import visible

if TYPE_CHECKING:
    from s1_hf.engines.progress import Progress
    from s1_hf.results.rows import Row

_EVERY_S = 10.0  # between two points of a run that is under way
_NAMES = ("task", "method", "setting")

logger = logging.getLogger(__name__)


class Tracked:
    """A run of a tracker while the block lasts: of the process that writes the folder, and only of that one.

    A tracker that fails in the middle is said once, and the run goes on without it.

    Args:
        tracker (`str`, *optional*): `"trackio"` or `"wandb"`; none: nothing is tracked.
        folder (`str` or `Path`): that of the results; whoever enters the block holds its lock.
        config (`Mapping`): JSON types that say what is run. The same config in the same folder is the same run of the
            tracker; another one begins a new run. Secrets are left out of it.
        say (`Callable`, *optional*): told in a sentence where the run is and what went wrong; by default it is logged.

    Raises:
        ValueError, ModuleNotFoundError: the tracker is unknown or not installed; on entering: it cannot be started.

    Example:

    ```python
    >>> from tempfile import TemporaryDirectory
    >>> from s1_hf.tracking import Tracked
    >>> with TemporaryDirectory() as folder, Tracked(None, folder, {"model": "embedded"}) as run:
    ...     run.results([])  # nothing is tracked

    ```
    """

    def __init__(
        self,
        tracker: str | None,
        folder: str | Path,
        config: Mapping[str, Any],
        say: Callable[[str], Any] = logger.warning,
    ) -> None:
        check_tracker(tracker)
        self._kind, self._folder, self._say = tracker, Path(folder), say
        self._config = dict(without_secret_values(dict(config)))
        self._backend: Backend | None = None
        self._has_failed = False
        self._logged: str | None = None
        self._told = 0.0

    def __enter__(self) -> Tracked:
        """Start the tracker, unless the folder's results stand there already."""
        if self._kind is not None and not self._entry()["logged"]:
            self._start()
        return self

    def __exit__(self, kind: type[BaseException] | None, *error: object) -> None:
        """End the run of the tracker."""
        backend, self._backend = self._backend, None
        if backend is None:
            return
        self._safely(lambda: backend.close(failed=kind is not None))
        if not self._has_failed:
            if self._logged is not None:  # now that all of it is written: a tracker writes later than it is told
                keep(self._folder, self._key, self._entry() | {"logged": self._logged})
            self._say(f"Tracked: {backend.where}")

    def progress(self, progress: Progress) -> None:
        """How far a run is, every few seconds."""
        if self._backend is None or time.monotonic() - self._told < _EVERY_S or progress.done == progress.found:
            return
        self._told = time.monotonic()
        values = {"answers": progress.done, "tokens": progress.tokens, "tokens_per_second": progress.tokens_per_second}
        self._log({f"progress/{name}": value for name, value in values.items()})

    def results(self, rows: Sequence[Row]) -> None:
        """Of each setting a point, accuracy over thinking tokens; all of them as a table; the figures.

        Rows that were logged before, under the same config, are not logged again.
        """
        if self._kind is None or not rows:
            return
        from s1_hf.results.summaries import setting_records

        records = setting_records(rows)
        entry, logged = self._entry(), digest(records)
        if logged in (entry["logged"], self._logged):
            self._say(f"These results stand in {self._kind} already: run {entry['name']}.")
            return
        if self._backend is None and not self._has_failed:
            self._safely(self._start)
        for record in records:
            self._log(_point(record))
        columns = list(records[0])
        self._safely(lambda: self._running.table("settings", columns, [list(one.values()) for one in records]))
        self._draw(rows)
        self._logged = None if self._has_failed else logged

    # -- the folder's memory --------------------------------------------------------------------------------------

    @property
    def _key(self) -> str:
        return digest([self._kind, self._config])[:16]

    def _entry(self) -> dict[str, Any]:
        """What the folder knows of this run; a new one gets an id."""
        found = read_kept(self._folder).get(self._key)
        if found is None:
            number = uuid4().hex
            found = {"tracker": self._kind, "id": number, "name": f"{self._folder.resolve().name}-{number[:8]}"}
            found |= {"logged": None}
            keep(self._folder, self._key, found)
        return found

    # -- the tracker ----------------------------------------------------------------------------------------------

    @property
    def _running(self) -> Backend:
        if self._backend is None:
            raise RuntimeError("it was not started")
        return self._backend

    def _start(self) -> None:
        entry = self._entry()
        kind = TRACKERS[str(self._kind)]
        try:
            with redirect_stdout(StringIO()):  # stdout is for results
                self._backend = kind(self._folder, entry["id"], entry["name"], self._config)
        except Exception as error:  # of the tracker, or of the network beneath it
            raise ValueError(f"{self._kind} could not be started: {_said(error)} {kind.REMEDY}") from None

    def _log(self, values: Mapping[str, Any]) -> None:
        self._safely(lambda: self._running.log(dict(values)))

    def _draw(self, rows: Sequence[Row]) -> None:
        if self._has_failed:
            return
        if find_spec("matplotlib") is None:
            self._say("No figures are tracked: that needs pip install 's1-hf[plot]'")
            return
        from s1_hf.plots.files import as_files
        from s1_hf.reporting.figures import draw
        from s1_hf.results.summaries import summarize_methods, summarize_settings

        settings = summarize_settings(rows)
        drawn, _ = draw(rows, settings, summarize_methods(settings))
        with TemporaryDirectory() as folder:
            files = {}
            for one in drawn:
                files[one.name] = Path(folder, f"{one.name}.png")
                files[one.name].write_bytes(as_files(one.figure, ["png"])["png"])
            if files:
                self._safely(lambda: self._running.images(files))

    def _safely(self, act: Callable[[], Any]) -> None:
        """What the tracker cannot do costs nobody a run."""
        if self._has_failed:
            return
        try:
            with redirect_stdout(StringIO()):
                act()
        except Exception as error:
            self._has_failed = True
            self._say(
                f"Warning: {self._kind} failed, and nothing more is tracked: {_said(error)} The run goes on. Rerun the "
                "same command to log its results."
            )


def _point(record: Mapping[str, Any]) -> dict[str, Any]:
    """A setting as numbers, by task and, but for budget forcing, by method; its name beside them."""
    place = ", ".join(filter(None, (record["task"], record["method"].replace("budget forcing", ""))))
    values: dict[str, Any] = {f"{place}/setting": record["setting"]}
    for name, value in record.items():
        if name not in _NAMES and isinstance(value, (int, float)):
            values[f"{place}/{name}"] = value
    return values


def _said(error: Exception) -> str:
    text = " ".join(visible(without_secrets(str(error))).split()) or type(error).__name__
    return text if text.endswith(".") else f"{text}."
