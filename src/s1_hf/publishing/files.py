"""Which files of a folder go, and why others do not."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from fnmatch import fnmatch
from pathlib import Path

from s1_hf.evaluation.hub import FOLDER as EVAL_RESULTS
from s1_hf.publishing.folders import JOURNAL, LEDGERS, RESULTS, Kind
from s1_hf.secrets import is_secret, without_own_secrets
from s1_hf.tracking.kept import FILE as TRACKED

_FOLDERS = {
    "generations": "the ledger of a run",
    "wandb": "a tracker's own files",
    "runs": "a tracker's own files",
    "__pycache__": "a cache",
}
_FILES = {
    LEDGERS: "the ledger of a run",
    JOURNAL: "the journal of a run",
    TRACKED: "a tracker's own files",
    "training_args.bin": "the state of training",
    "optimizer*": "the state of training",
    "scheduler.pt": "the state of training",
    "scaler.pt": "the state of training",
    "rng_state*": "the state of training",
    "*.distcp": "the state of training",
    "*.guard": "a lock",
    "*.part": "not whole",
    "*.pem": "it may be a key",
    "*.key": "it may be a key",
}
_OF_RESULTS = (
    ".parquet", ".jsonl", ".json", ".html", ".png", ".svg", ".pdf", ".yaml", ".yml", ".md", ".csv", ".txt",
)  # fmt: skip
_CHECKPOINT = re.compile(r"checkpoint-\d+")
_TOKEN = re.compile(rb"\bhf_[A-Za-z0-9]{34}\b")
_MOST_SEARCHED = 2**28  # bytes of a file
_NO_TEXT = (".safetensors", ".gguf", ".bin", ".png")


@dataclass(frozen=True)
class Files:
    """The files of a folder by their paths in it, which are their paths in the repository as well.

    Args:
        go (`dict[str, int]`): those that are pushed, with their bytes.
        stay (`dict[str, str]`): files and whole folders that are not, and why.
    """

    go: dict[str, int]
    stay: dict[str, str]

    @property
    def bytes(self) -> int:
        """Of all that go."""
        return sum(self.go.values())


def files_of(folder: Path, kind: Kind) -> Files:
    """What goes and what stays. No link is followed."""
    go: dict[str, int] = {}
    stay: dict[str, str] = {}
    for path in _walk(folder, kind, stay):
        name = path.relative_to(folder).as_posix()
        if why := _why_file_stays(path, kind):
            stay[name] = why
        else:
            go[name] = path.stat().st_size
    return Files(dict(sorted(go.items())), dict(sorted(stay.items())))


def check_no_secrets(folder: Path, files: Files, token: str | None = None) -> None:
    """Look into all files but weights for the environment's secrets, this token, and tokens of the Hub.

    Raises:
        ValueError: a file holds one. The message names the file.
    """
    for name, size in files.go.items():
        if name.endswith(_NO_TEXT) or size > _MOST_SEARCHED:
            continue
        content = (folder / name).read_bytes()
        text = content.decode("latin-1")
        if _TOKEN.search(content) or without_own_secrets(text, [token]) != text:
            raise ValueError(
                f"{folder / name} holds a key or a token, of the environment or of the Hub, and would be pushed with "
                "it. Nothing was pushed: take it out, or move the file elsewhere."
            )


def _walk(folder: Path, kind: Kind, stay: dict[str, str]) -> Iterator[Path]:
    """All files below, but for those in folders that stay."""
    for place, folders, files in os.walk(folder):
        inner = []
        for name in sorted(folders):
            path = Path(place, name)
            if why := _why_folder_stays(path, kind):
                stay[path.relative_to(folder).as_posix() + "/"] = why
            else:
                inner.append(name)
        folders[:] = inner
        for name in sorted(files):
            yield Path(place, name)


def _why_folder_stays(path: Path, kind: Kind) -> str | None:
    if path.is_symlink():
        return "a link"
    if path.name == EVAL_RESULTS:
        return None
    if why := _by_first_letter(path.name) or _FOLDERS.get(path.name):
        return why
    if _CHECKPOINT.fullmatch(path.name):
        return "a checkpoint"
    if kind.repo_type == "model" and any(any(path.glob(f"rows.{ending}")) for ending in ("parquet", "jsonl")):
        return "results, which have a repository of their own"
    return None


def _why_file_stays(path: Path, kind: Kind) -> str | None:
    if path.is_symlink() or not path.is_file():
        return "a link" if path.is_symlink() else "no file"
    if why := _by_first_letter(path.name):
        return why
    for pattern, why in _FILES.items():
        if fnmatch(path.name, pattern):
            return why
    if kind == RESULTS and path.suffix not in _OF_RESULTS and path.name != "LICENSE":
        return "not of a run"
    stem = path.name.split(".")[0]
    return "it may be a key" if is_secret(stem) else None


def _by_first_letter(name: str) -> str | None:
    if name.startswith("_"):
        return "of a run: a lock, or not whole"
    return "hidden" if name.startswith(".") and name != ".gitattributes" else None
