"""Data sets in a local folder, and the commit of those from the hub."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from datasets import Dataset

_FILES = (".jsonl", ".json", ".parquet", ".csv", ".arrow")


@dataclass(frozen=True)
class Source:
    """Rows of a data set.

    Args:
        repo (`str`): its id on the hub, or the path of a folder.
        subset, split (`str`): its configuration and split.
        revision (`str`, *optional*): the commit or branch on the hub.
    """

    repo: str
    subset: str = "default"
    split: str = "train"
    revision: str | None = None

    @property
    def name(self) -> str:
        """The last part of the id, which names the local folder."""
        return self.repo.rpartition("/")[2]


def in_folder(folder: str | Path, sources: Sequence[Source]) -> list[Source]:
    """The same sources in a local folder; see [`tasks_table`] for what it holds.

    A source that is not there points to where it would have to be, for the error of the task that reads it.

    Raises:
        ValueError: none of the sources is there, or one of them has neither the hub's layout nor a single file.
    """
    folder = Path(folder).expanduser().resolve()  # a relative path could be the id of a repository
    if not any((folder / source.name).is_dir() for source in sources):
        names = ", ".join(dict.fromkeys(source.name for source in sources))
        raise ValueError(
            f"The data folder has to hold a folder for each data set it is to provide ({names}), but in {folder} there "
            f"is none of them. Get one by: hf download {sources[0].repo} --repo-type dataset --local-dir "
            f"{folder / sources[0].name}"
        )
    return [_local(source, folder / source.name) for source in sources]


def _local(source: Source, path: Path) -> Source:
    if not path.is_dir():
        return replace(source, repo=str(path), revision=None)
    files = sorted(f.name for f in path.rglob("*") if f.suffix in _FILES and f.name != "dataset_infos.json")
    if not files:
        raise ValueError(f"A data set has to be a {', '.join(_FILES)} file, but {path} has none.")
    from datasets import get_dataset_config_names, get_dataset_split_names, load_dataset

    try:
        subset = _chosen(source.subset, get_dataset_config_names(str(path)), files)
        split = _chosen(source.split, get_dataset_split_names(str(path), subset), files) if subset else None
    except FileNotFoundError as error:
        missing = str(error).partition(" with any")[0]  # a list of all extensions that datasets knows follows
        raise ValueError(
            f"{path} has to hold all files that its README.md names, or no README.md. {missing}"
        ) from error
    except Exception as error:  # of PyYAML and datasets
        raise ValueError(
            f"{path} cannot be read as a data set, by its README.md, if it has one, and {', '.join(files)}: {error}"
        ) from None
    if subset is None:
        raise ValueError(
            f"{path} has to hold the README.md of {source.repo}, which says what {source.subset!r} is, or one data "
            f"file only, but it holds {', '.join(files)}."
        )
    if split is None:
        raise ValueError(f"{path} has to have the split {source.split!r}, but it holds {', '.join(files)}.")
    try:
        load_dataset(str(path), subset, split=split).data.validate(full=True)
    except Exception as error:  # of datasets, Arrow and pandas, which do not say of which file
        raise ValueError(f"{path} cannot be read ({', '.join(files)}): {error.__cause__ or error}") from None
    return Source(str(path), subset, split)


def _chosen(wanted: str, names: Sequence[str], files: Sequence[str]) -> str | None:
    """Of a single file the name does not matter: it is what is wanted, under whatever name it is read."""
    return wanted if wanted in names else names[0] if len(files) == 1 else None


def commit_of(dataset: Dataset) -> str | None:
    """The commit of a data set that was loaded from the hub; `None` for one from a local folder.

    It is read off the cached file, `.../<repo>/<subset>/<version>/<commit>/...`, and needs no network. With lighteval's
    classic path it is that of `pipeline.tasks_dict[task].dataset[split]`.
    """
    folders = [part for file in dataset.cache_files for part in Path(file["filename"]).parts]
    return next((part for part in reversed(folders) if re.fullmatch("[0-9a-f]{40}", part)), None)
