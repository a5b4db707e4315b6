"""Write a curated data set to a folder, completely or not at all."""

from __future__ import annotations

import json
import os
import shutil
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from s1_hf._lazy import require
from s1_hf.curate.card import make_card
from s1_hf.curate.page import make_page

if TYPE_CHECKING:
    from s1_hf.curate.pipeline import Curation

REPORT = "report.json"
DATA = Path("data") / "train-00000-of-00001.parquet"


def save(curation: Curation, folder: str | Path, *, overwrite: bool = False) -> Path:
    """Write the data set and everything that belongs to it.

    `data/` can be read by `load_s1k(path=folder)`, `datasets` and pandas. Next to it are `README.md` (the dataset
    card), `report.json`, `report.html` (the same for a browser), `recipe.yaml` (all options, for running it again) and
    `dropped.parquet` (every row of the pool that is not in the data set: `row`, `stage`, `rule`, `detail`, `of`).

    Args:
        overwrite (`bool`, defaults to `False`): replace a folder that holds an earlier curation.

    Raises:
        ValueError: see [`check_folder`].
    """
    folder = check_folder(folder, overwrite=overwrite)
    folder.parent.mkdir(parents=True, exist_ok=True)
    part = Path(tempfile.mkdtemp(prefix=f".{folder.name}-", dir=folder.parent))
    try:
        part.chmod(0o755)  # mkdtemp lets only the owner in
        _write(curation, part)
        _replace(part, folder)
    finally:
        shutil.rmtree(part, ignore_errors=True)
    return folder


def check_folder(folder: str | Path, *, overwrite: bool = False) -> Path:
    """The absolute path of `folder`, if a curation may be written there.

    Raises:
        ValueError: the folder is not empty, and either `overwrite` is not set or it does not hold a curation.
    """
    folder = Path(folder).expanduser().resolve()  # a link is kept, and points to the new data set
    if folder.is_dir() and not any(folder.iterdir()):
        return folder
    if not os.path.lexists(folder):
        return folder
    if not (folder.is_dir() and (folder / REPORT).is_file() and (folder / "data").is_dir()):
        raise ValueError(
            f"The output has to be a new folder, but {folder} exists and does not hold an earlier curation. Choose "
            "another folder."
        )
    if not overwrite:
        raise ValueError(f"{folder} already holds a curation. Choose another folder, or overwrite it (`--overwrite`).")
    return folder


def _write(curation: Curation, folder: Path) -> None:
    yaml, datasets = require("yaml", "data"), require("datasets", "data")
    (folder / "data").mkdir()
    curation.dataset.to_parquet(str(folder / DATA))
    drops = [{"stage": stage, **vars(drop)} for stage, drop in curation.drops]
    kinds = {"row": "int64", "stage": "string", "rule": "string", "detail": "string", "of": "int64"}
    features = datasets.Features({name: datasets.Value(kind) for name, kind in kinds.items()})
    columns = {name: [drop[name] for drop in drops] for name in kinds}
    datasets.Dataset.from_dict(columns, features=features).to_parquet(str(folder / "dropped.parquet"))
    texts = {
        REPORT: json.dumps(curation.report, indent=1, ensure_ascii=False) + "\n",
        "report.html": make_page(curation.report),
        "README.md": make_card(curation.report),
        "recipe.yaml": yaml.safe_dump(curation.report["recipe"], sort_keys=False, allow_unicode=True),
    }
    for name, text in texts.items():
        (folder / name).write_text(text, encoding="utf-8", errors="replace")


def _replace(part: Path, folder: Path) -> None:
    """Two renames; a kill between them leaves the earlier curation as `.NAME-old`, and nothing half-written."""
    old = folder.with_name(f".{folder.name}-old")
    shutil.rmtree(old, ignore_errors=True)
    if folder.exists():
        folder.rename(old)
    part.rename(folder)
    shutil.rmtree(old, ignore_errors=True)
