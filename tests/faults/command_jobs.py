"""Every command as a small job, run in a process that can be killed, stopped, or denied the disk.

Processes are forked off a server that has imported everything, so that one costs what the command itself does.
"""

from __future__ import annotations

import json
import multiprocessing
import os
import re
import shutil
import signal
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

QUESTION = "Lamp A flashes at second 2 and then every 7 seconds. Lamp B flashes at second 3 and then every 8 seconds."
OUT = "out"
"""The folder that a job writes into, inside the folder it runs in."""

SECRETS = {
    "HF_TOKEN": "hf_PlantedPlantedPlanted",
    "OPENAI_API_KEY": "sk-PlantedPlanted",
    "WANDB_API_KEY": "a1b2planted",
}
"""In the environment of every job."""


@dataclass(frozen=True)
class Job:
    """A command of `s1-hf`, short.

    Args:
        arguments: after `s1-hf`. They name `out`, if it writes, and what `needs` makes.
        needs: the jobs whose `out` it reads, by the name that it has for this one.
        results: patterns of the files that have to be the same after every fault; none: the command writes nothing.
        module: run as `python -m MODULE` instead, where the command only launches that.
    """

    arguments: tuple[str, ...]
    needs: dict[str, str] = field(default_factory=dict)
    results: tuple[str, ...] = ()
    module: str = "s1_hf"


_SHORT = ("--max-new-tokens", "60", "--max-answer-tokens", "12", "--batch-size", "2")
_TRACED = ("--max-new-tokens", "150", "--batch-size", "4")
_TASK = ("embedded", "--tasks", "s1:embedded", "--max-samples", "6", *_SHORT, "--output-dir", OUT)
_TRAINING = ("--max_steps", "4", "--save_steps", "1", "--expected_steps", "none", "--save_dtype", "float32")
_REINFORCEMENT = (
    *("--max_steps", "3", "--save_steps", "1", "--logging_steps", "1", "--max_completion_length", "30"),
    *("--max_thinking_tokens", "4-8", "--global_batch_size", "4", "--per_device_train_batch_size", "4"),
    *("--num_generations", "2", "--max_answer_tokens", "4"),
)
_PATTERNS = ("--max_length", "none", "--logging_steps", "1")

JOBS = {
    "generate": Job(("generate", "embedded", QUESTION, "--max-new-tokens", "30")),
    "eval": Job(("eval", *_TASK), results=("results.json", "rows.parquet")),
    "sweep": Job(("sweep", *_TASK, "--max-thinking-tokens", "8,16"), results=("rows.parquet",)),
    "search": Job(
        ("search", *_TASK, "--scorer", "embedded-reward", "--widths", "1,2", "--steps", "4"), results=("rows.jsonl",)
    ),
    "serve": Job(("serve", "embedded", "--num-ignores", "1", "--show-command")),
    "playground": Job(("playground", "embedded", "--space", OUT)),
    "export": Job(
        ("export", "embedded", OUT, "--num-ignores", "1", "--copy"),
        results=("*.json", "*.safetensors", "custom_generate/*.py"),
    ),
    "effort": Job(
        ("effort", *_TASK, "--max-samples", "12", "--max-new-tokens", "150", "--max-thinking-tokens", "32,64"),
        results=("rows.parquet", "effort.yaml", "effort.svg"),
    ),
    "demo": Job(("demo", "--problems", "2", "--output-dir", OUT), results=("rows.jsonl", "report.html", "*.svg")),
    "plot": Job(
        ("plot", "rows", "--output-dir", OUT, "--formats", "svg"), {"rows": "sweep"}, ("report.html", "*.svg")
    ),
    "compare": Job(("compare", "rows", "cap 8", "cap 16"), {"rows": "sweep"}),
    "power": Job(("power", "rows", "--gain", "20"), {"rows": "sweep"}),
    "early": Job(("early", "rows", "--stable", "2"), {"rows": "sweep"}),
    "spend": Job(
        ("spend", "rows", "--output-dir", OUT, "--formats", "svg"), {"rows": "sweep"}, ("rows.jsonl", "*.svg")
    ),
    "pack": Job(
        ("pack", "rows", "--output-dir", OUT), {"rows": "sweep"},
        ("data/*.parquet", "chain.jsonl", "pack.json", "README.md", "report.html", "*.svg"),
    ),
    "push": Job(("push", "rows", "me/rows", "--dry-run"), {"rows": "sweep"}),
    "replay": Job(
        ("replay", "pack", "--output-dir", OUT, "--rows", "2"), {"pack": "pack"}, ("report.html", "*.svg")
    ),
    "plan": Job(("plan", "sft_embedded", "--machine", "cpu")),
    "sft": Job(
        ("sft_embedded", "--output_dir", OUT, *_TRAINING, *_PATTERNS), results=("*.safetensors",), module="s1_hf.sft"
    ),
    "grpo": Job(
        ("grpo_embedded", "--output_dir", OUT, *_REINFORCEMENT), results=("*.safetensors",), module="s1_hf.rl"
    ),
    "data traces": Job(
        ("data", "traces", "embedded", "--input", "pool", *_TRACED, "--output-dir", OUT), {"pool": "data embedded"},
        ("data/*.parquet",),
    ),
    "data show": Job(("data", "show", "pool"), {"pool": "data traces"}),
    "data embedded": Job(
        ("data", "embedded", "--problems", "60", "--output-dir", OUT), results=("data/*.parquet",)
    ),
    "curate": Job(
        ("curate", "curate_embedded", "--input", "traces", "--n", "2", "--output-dir", OUT), {"traces": "data traces"},
        ("data/*.parquet", "*.parquet", "README.md"),
    ),
    "formats": Job(("formats", "embedded")),
    "check": Job(("check", "--quick")),
}  # fmt: skip

_PRELOADED = [
    "s1_hf.cli",
    "s1_hf.evaluation.bench",
    "s1_hf.methods",
    "s1_hf.reporting",
    "s1_hf.traces",
    "s1_hf.sft.run",
    "s1_hf.rl.job",
]
_PRELOADED += ["s1_hf.curate", "matplotlib.pyplot", "pyarrow.parquet", "math_verify", "command_jobs"]


class Run:
    """A job's process, started in `folder`.

    Args:
        file_limit (*optional*): bytes that no file may exceed: to the process a disk that is full.
        locked_out: the process may write nowhere that is not open to all.
    """

    def __init__(self, job: Job, folder: Path, *, file_limit: int | None = None, locked_out: bool = False) -> None:
        self.log = folder / f"log-{time.monotonic_ns()}"
        server = multiprocessing.get_context("forkserver")
        server.set_forkserver_preload(_PRELOADED)
        self._process = server.Process(target=_run, args=(job, folder, self.log, file_limit, locked_out))
        self._process.start()

    @property
    def pid(self) -> int:
        return int(self._process.pid or 0)

    def is_alive(self) -> bool:
        return self._process.is_alive()

    def signal(self, number: int) -> None:
        with suppress(ProcessLookupError):
            os.kill(self.pid, number)

    def finish(self, timeout_s: float = 240) -> tuple[int, str]:
        """Exit code, and what was said."""
        self._process.join(timeout_s)
        assert not self.is_alive(), f"It hangs: {self.said()[-2000:]}"
        return int(self._process.exitcode or 0), self.said()

    def said(self) -> str:
        return self.log.read_text(encoding="utf-8", errors="replace") if self.log.exists() else ""


def done(job: Job, folder: Path, **faults: Any) -> tuple[int, str]:
    """Run a job to its end."""
    return Run(job, folder, **faults).finish()


def results_of(job: Job, folder: Path) -> dict[str, Any]:
    """What the job is for, without times and names of moments: by file."""
    found = {}
    for pattern in job.results:
        for file in sorted((folder / OUT).glob(pattern)):
            name = re.sub(r"[\dT.:-]{15,}", "TIME", file.relative_to(folder / OUT).as_posix())
            found[name] = _READERS.get(file.suffix, Path.read_bytes)(file)
    assert found or not job.results, f"There are no results: {sorted(path.name for path in (folder / OUT).glob('*'))}"
    return found


def _parquet(file: Path) -> Any:
    import pyarrow.parquet

    return pyarrow.parquet.read_table(file).to_pylist()


def _results(file: Path) -> Any:
    found = json.loads(file.read_text())
    return found.get("results", found)  # without times


def _page(file: Path) -> Any:
    return re.sub(r"(?s)<h2[^>]*>About.*", "", file.read_text(encoding="utf-8"))  # the command line of this process


_READERS: dict[str, Callable[[Path], Any]] = {".parquet": _parquet, ".json": _results, ".html": _page}


class Folders:
    """Folders to run jobs in, with what they need; and what they give when nothing goes wrong."""

    def __init__(self, place: Path) -> None:
        self._place = place
        self._whole: dict[str, tuple[Path, float]] = {}

    def whole(self, name: str) -> tuple[Path, float]:
        """The folder of an unbroken run, which nobody may change, and how many seconds it took."""
        if name not in self._whole:
            folder = self.new(name)
            begin = time.monotonic()
            code, said = done(JOBS[name], folder)
            assert code == 0, said[-3000:]
            self._whole[name] = folder, time.monotonic() - begin
        return self._whole[name]

    def new(self, name: str) -> Path:
        """A folder with what the job needs."""
        folder = self._place / f"{name.replace(' ', '-')}-{time.monotonic_ns()}"
        folder.mkdir(parents=True)
        for here, needed in JOBS[name].needs.items():
            shutil.copytree(self.whole(needed)[0] / OUT, folder / here)
        return folder

    def copy(self, name: str) -> Path:
        """A folder in which the job has run already."""
        folder = self._place / f"{name.replace(' ', '-')}-{time.monotonic_ns()}"
        shutil.copytree(self.whole(name)[0], folder)
        return folder


def _run(job: Job, folder: Path, log: Path, file_limit: int | None, locked_out: bool) -> None:
    """In the process: the command, with everything that it says in `log`."""
    os.chdir(folder)
    said = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    os.dup2(said, 1)
    os.dup2(said, 2)
    os.environ |= SECRETS | {"XDG_CACHE_HOME": str(folder / "cache"), "COLUMNS": "200"}
    if file_limit is not None:
        import resource

        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (file_limit, file_limit))
    if locked_out and os.geteuid() == 0:
        _give_up_roots_right_to_write()
    from importlib import import_module

    sys.argv[:] = [job.module, *job.arguments]
    import_module(f"{job.module}.__main__").main()


def _give_up_roots_right_to_write() -> None:
    """So that a folder's mode counts for root, too (Linux: drop CAP_DAC_OVERRIDE)."""
    import ctypes

    libc = ctypes.CDLL(None, use_errno=True)
    header = (ctypes.c_uint32 * 2)(0x20080522, 0)
    sets = (ctypes.c_uint32 * 6)()
    assert libc.capget(header, sets) == 0
    sets[0] &= ~0b110  # effective: CAP_DAC_OVERRIDE and CAP_DAC_READ_SEARCH
    assert libc.capset(header, sets) == 0
