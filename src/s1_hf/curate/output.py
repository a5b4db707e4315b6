"""Write a curated data set to a folder, completely or not at all."""

from __future__ import annotations

import json
import os
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from s1_hf._lazy import require
from s1_hf.curate.card import make_card
from s1_hf.curate.page import make_page
from s1_hf.engines.locking import exclusive, is_lock
from s1_hf.files import inside, remove, replacing, write_text

if TYPE_CHECKING:
    from s1_hf.curate.pipeline import Curation

REPORT = "report.json"
DATA = Path("data") / "train-00000-of-00001.parquet"

# What is written lies beside its place until it is whole, in a folder of this name:
#     .NAME.s1-hf-curate/new    the curation that is being written
#     .NAME.s1-hf-curate/old    the one that it replaces
# The folder's lock tells a run that is alive from one that was killed.
_WORK, _NEW, _OLD = ".{}.s1-hf-curate", "new", "old"


def save(curation: Curation, folder: str | Path, *, overwrite: bool = False) -> Path:
    """Write the data set and everything that belongs to it.

    `data/` can be read by `load_s1k(path=folder)`, `datasets` and pandas. Next to it are `README.md` (the dataset
    card), `report.json`, `report.html` (the same for a browser), `recipe.yaml` (all options, for running it again) and
    `dropped.parquet` (every row of the pool that is not in the data set: `row`, `stage`, `rule`, `detail`, `of`).

    Args:
        overwrite (`bool`, defaults to `False`): replace a folder that holds an earlier curation.

    Raises:
        ValueError, BlockingIOError: see [`check_folder`].
    """
    folder = check_folder(folder, overwrite=overwrite)
    work = _working_folder(folder)
    try:
        with exclusive(work):
            _write(curation, work / _NEW)
            _refuse_taken(folder, overwrite)  # another run may have ended since
            # A kill between these two lines leaves no curation at `folder`: `_recover` brings the earlier one back.
            if folder.exists():
                folder.rename(work / _OLD)
            (work / _NEW).rename(folder)
    finally:
        _recover(folder)
    return folder


def check_folder(folder: str | Path, *, overwrite: bool = False) -> Path:
    """The absolute path of `folder`, if a curation may be written there.

    What a killed run left beside it is removed; if it was killed while it replaced an earlier curation, that one is
    brought back.

    Raises:
        ValueError: the folder is not empty, and either `overwrite` is not set or it does not hold a curation.
        BlockingIOError: another process is writing a curation there.
    """
    folder = Path(folder).expanduser().resolve()  # a link is kept, and points to the new data set
    _recover(folder)
    _refuse_taken(folder, overwrite)
    return folder


def _refuse_taken(folder: Path, overwrite: bool) -> None:
    if not os.path.lexists(folder) or (folder.is_dir() and not any(folder.iterdir())):
        return
    if not (folder.is_dir() and (folder / REPORT).is_file() and (folder / "data").is_dir()):
        raise ValueError(
            f"The output has to be a new folder, but {folder} exists and does not hold an earlier curation. Choose "
            "another folder."
        )
    if not overwrite:
        raise ValueError(f"{folder} already holds a curation. Choose another folder, or overwrite it (`--overwrite`).")


def _write(curation: Curation, folder: Path) -> None:
    yaml, datasets = require("yaml", "data"), require("datasets", "data")
    with replacing(inside(folder, DATA)) as part:
        curation.dataset.to_parquet(str(part))
    drops = [{"stage": stage, **vars(drop)} for stage, drop in curation.drops]
    kinds = {"row": "int64", "stage": "string", "rule": "string", "detail": "string", "of": "int64"}
    features = datasets.Features({name: datasets.Value(kind) for name, kind in kinds.items()})
    columns = {name: [drop[name] for drop in drops] for name in kinds}
    with replacing(folder / "dropped.parquet") as part:
        datasets.Dataset.from_dict(columns, features=features).to_parquet(str(part))
    texts = {
        REPORT: json.dumps(curation.report, indent=1, ensure_ascii=False) + "\n",
        "report.html": make_page(curation.report),
        "README.md": make_card(curation.report),
        "recipe.yaml": yaml.safe_dump(curation.report["recipe"], sort_keys=False, allow_unicode=True),
    }
    for name, text in texts.items():
        write_text(folder / name, text, errors="replace")


def _working_folder(folder: Path) -> Path:
    return folder.parent / _WORK.format(folder.name)


def _is_ours(work: Path) -> bool:
    """Whether this is the folder of a run, and no file, link or folder of somebody else."""
    if work.is_symlink() or not work.is_dir():
        return False
    return all(
        (entry.name in (_NEW, _OLD) or is_lock(entry.name)) and not entry.is_symlink() for entry in work.iterdir()
    )


def _recover(folder: Path) -> None:
    """Remove the working folder of a run that has ended in any way; an earlier curation goes back to its place."""
    work = _working_folder(folder)
    if not os.path.lexists(work):
        return
    if not _is_ours(work):
        raise ValueError(f"{work} is not of `s1-hf curate`, which keeps what it writes there. Rename it.")
    with exclusive(work):  # nobody is writing there
        if (work / _OLD).exists() and not folder.exists():
            (work / _OLD).rename(folder)
        elif (work / _OLD).exists() and (work / _NEW).exists():
            raise ValueError(
                f"A killed run left the earlier curation in {work / _OLD}, and {folder} was made since. Move one of "
                f"them elsewhere, and delete {work}."
            )
        remove(work / _NEW)
        remove(work / _OLD)
    with suppress(OSError):  # another run may just have begun there
        for entry in work.iterdir():
            if is_lock(entry.name):
                entry.unlink()
        work.rmdir()
