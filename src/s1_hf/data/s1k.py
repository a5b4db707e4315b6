"""The data of s1 (https://arxiv.org/abs/2501.19393, section 2) and s1.1 (appendix A), loaded in one line.

The pinned commits, and how they are known (nothing was downloaded for this module, so check before relying on them):

- `s1K` 278d72ba..., `s1K-1.1` 96c411f1...: the heads of `main`, shown in short form by stored copies of the hub's pages
  and pinned in full by other public repositories.
- `full59K` f932f6ca...: a commit with the 19 data files, from a stored copy of a hub page. Whether `main` has moved
  since is unknown, as are its column types; its columns are those of s1K, according to public code that reads it.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sized
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from s1_hf.data.replies import FILLED, TRAINING, check_columns, seen_in, sources, with_messages
from s1_hf.data.s1k_builder import (
    KINDS,
    PACKED,
    S1K_1_1_COLUMNS,
    S1K_COLUMNS,
    TRACES,
    build,
    column_names,
    kind_of,
    read_rows,
)
from s1_hf.records import LIST, TEXT, check, parse, read_json

if TYPE_CHECKING:
    from datasets import Dataset, IterableDataset


@dataclass(frozen=True)
class _Hub:
    repo: str
    revision: str
    licence: str  # as stated on the hub's page


HUB = {
    "s1K": _Hub("simplescaling/s1K", "278d72baaa2b887a7e76a70a0ae254a5a45536e4", "apache-2.0"),
    "s1K-1.1": _Hub("simplescaling/s1K-1.1", "96c411f1fe4c49d20f0e2a1565f61e1a28b0b84d", "mit"),
    "full59K": _Hub("simplescaling/data_ablation_full59K", "f932f6cae65cbed770e457851a2353e22cb2b87b", "apache-2.0"),
}


@dataclass(frozen=True)
class DataSource:
    """Where rows came from.

    Args:
        location (`str`): the dataset's name on the hub, or the path of local files.
        config (`str`, *optional*): `"s1K"`, `"s1K-1.1"` or `"full59K"`; `None` for local files.
        traces (`str`, *optional*): `"deepseek"` or `"gemini"` if the data has traces of both.
        revision (`str`, *optional*): the commit on the hub; `None` for local files.
        sha256 (`str`, *optional*): of the local file; for several files, of what `sha256sum` prints for them.
        licence (`str`, *optional*): as stated on the hub's page, or in the `README.md` next to local files.
        rows (`int`, *optional*): how many the dataset has now; `None` when streamed.
        columns (`dict[str, str]`, *optional*): which columns of local files were read for what, where they have names
            of their own.
    """

    location: str
    config: str | None = None
    traces: str | None = None
    revision: str | None = None
    sha256: str | None = None
    licence: str | None = None
    rows: int | None = None
    columns: dict[str, str] | None = None


def load_s1k(
    config: str | None = None,
    *,
    path: str | Path | None = None,
    columns: Mapping[str, str] | None = None,
    traces: str | None = None,
    revision: str | None = None,
    streaming: bool = False,
    cache_dir: str | Path | None = None,
    token: str | None = None,
) -> Dataset | IterableDataset:
    """Load s1K, s1K-1.1, the 59K samples they were selected from, or your own file.

    Whatever columns the data has, the rows have `question` (`str`), `thinking_trajectories` (`list[str]`), `attempt`
    (`str`) and `solution` (`str`, null where a file has none), as [`s1_hf.to_conversation`] expects. The hub's own
    columns are kept as strings; other columns of your own file are dropped.

    Args:
        config (`str`, *optional*): `"s1K"` (1,000 rows, Gemini traces), `"s1K-1.1"` (the same questions with Gemini
            and DeepSeek-R1 traces; the default) or `"full59K"` (58,986 rows, 19 files, some 5 GB: stream it), read
            from the hub.
        path (`str` or `Path`, *optional*): local data instead: a parquet, json, jsonl or csv file, the last three also
            packed (`.jsonl.gz`), or a folder: a local copy of the hub's (files in `data/`, else next to its README;
            only those called `train*`, if any), or one of `Dataset.save_to_disk`. Columns are named as in s1K or
            s1K-1.1; question, trace and attempt are required. A trace may be a string instead of a list; in a csv file
            it is plain text or a JSON list. Files without questions, but with `messages` or `conversations`, are read
            as [`s1_hf.data.replies.read_messages`] says.
        columns (`Mapping[str, str]`, *optional*): the names that columns of local data have there, for `question`,
            `thinking_trajectories`, `attempt` and `solution`; one column may be named for two of them. `reply` names
            one that holds trace and answer in one text (`<think>...</think>...`), `messages` one of conversations.
        traces (`str`, *optional*): for data with the columns of s1K-1.1, whose traces and attempts to train on:
            `"deepseek"` (the default: s1.1 was trained on R1 traces) or `"gemini"`.
        revision (`str`, *optional*): branch, tag or commit on the hub; by default the pinned commit. It is resolved to
            a commit, and exactly that commit's files are read; [`describe_source`] reports it.
        streaming (`bool`, defaults to `False`): read rows on demand, as an `IterableDataset`.
        cache_dir (`str` or `Path`, *optional*): where to keep prepared rows; by default datasets' cache.
        token (`str`, *optional*): access token for the hub.

    Raises:
        ValueError: an argument is wrong or does not apply; there are no such files; a file cannot be read, lacks
            columns, or has values of the wrong type (when streaming, once they are reached).
        ConnectionError: the hub cannot be reached, or has no such data.
    """
    _check_arguments(config, path, traces, revision, columns or {})
    own = dict(columns or {})
    if path is None:
        name = config or "s1K-1.1"
        traces = (traces or TRACES[0]) if name == "s1K-1.1" else None
        files, commit = _hub_files(name, revision, streaming, token)
        source = DataSource(HUB[name].repo, name, traces, commit, licence=HUB[name].licence)
        kept: tuple[str, ...] = S1K_1_1_COLUMNS if name == "s1K-1.1" else S1K_COLUMNS
    else:
        name = "files"
        files = local_files(Path(path))
        kept, traces, own = _layout(files, traces, own)
        licence = _stated_licence(Path(path))
        source = DataSource(str(path), None, traces, None, _sha256(files), licence, columns=own or None)
    return build(
        name,
        streaming=streaming,
        cache_dir=None if cache_dir is None else str(cache_dir),
        token=token,
        files=tuple(files),
        columns=kept,
        own=_of_traces(traces) | own,
        licence=source.licence or "",
        source=json.dumps(asdict(source)),
    )


def describe_source(dataset: Dataset | IterableDataset) -> DataSource:
    """Where the rows of `dataset` came from; the record survives mapping and filtering.

    Raises:
        ValueError: it was not loaded by [`load_s1k`].
    """
    try:
        record = parse(dataset.info.description, "the description")
        return DataSource(**{**record, "rows": len(dataset) if isinstance(dataset, Sized) else None})
    except (TypeError, ValueError):
        raise ValueError(
            "`dataset` has to come from `load_s1k`, which records the source in `dataset.info.description`, but that "
            f"is {dataset.info.description!r:.80}."
        ) from None


def _check_arguments(
    config: str | None, path: object, traces: str | None, revision: str | None, columns: Mapping[str, str]
) -> None:
    check_columns(columns)
    faults = []
    if config is not None and config not in HUB:
        faults.append(
            f"`config` has to be one of {', '.join(map(repr, HUB))}, but is {config!r}. For local data "
            f"use `path={config!r}`."
        )
    if traces is not None and traces not in TRACES:
        faults.append(f"`traces` has to be one of {', '.join(map(repr, TRACES))}, but is {traces!r}.")
    elif traces is not None and config in HUB and config != "s1K-1.1":
        faults.append(
            f"`traces` has to be left out for {config!r}, which has one trace per question, but is {traces!r}. "
            "'s1K-1.1' has two."
        )
    if columns and path is None:
        faults.append("`columns` has to be left out without `path`: the columns of the hub's data are known.")
    if traces is not None and _has_traces(columns):
        faults.append("`traces` has to be left out where `columns` says what the traces are.")
    if path is not None:
        for name, value in (("config", config), ("revision", revision)):
            if value is not None:
                faults.append(
                    f"`{name}` has to be left out with `path`, whose columns say what it is, but is {value!r}."
                )
    if faults:
        raise ValueError("\n".join(faults))


def _hub_files(name: str, revision: str | None, streaming: bool, token: str | None) -> tuple[list[str], str]:
    """The data files (addresses when streaming, else paths in the hub's cache) and the commit they belong to."""
    import httpx
    from huggingface_hub import HfApi, snapshot_download

    repo, asked = HUB[name].repo, revision or HUB[name].revision
    try:
        if streaming:
            info = HfApi(token=token).dataset_info(repo, revision=asked)
            names = [file.rfilename for file in info.siblings or [] if file.rfilename.endswith(".parquet")]
            files = [
                f"hf://datasets/{repo}@{info.sha}/{file}" for file in sorted(names) if file.startswith("data/train")
            ]
            commit = str(info.sha)
        else:
            folder = snapshot_download(
                repo, repo_type="dataset", revision=asked, allow_patterns=["data/train*.parquet"], token=token
            )
            files, commit = [str(file) for file in sorted(Path(folder).glob("data/train*.parquet"))], Path(folder).name
    except (OSError, httpx.HTTPError) as error:
        raise ConnectionError(
            f"The dataset {repo} at revision {asked!r} could not be loaded from the hub and is not in the local cache "
            f"({type(error).__name__}: {error}). If you have a local copy (a folder with `data/*.parquet`, or a "
            "parquet, json, jsonl or csv file), use `load_s1k(path=...)`; a gated mirror needs `token`."
        ) from error
    if not files:
        raise ConnectionError(f"The dataset {repo} at revision {asked!r} has no files `data/train*.parquet`.")
    return files, commit


def local_files(path: Path) -> list[str]:
    """The data files at `path`, all of one kind.

    Raises:
        ValueError: there are none, or of several kinds.
    """
    if not path.exists():
        raise ValueError(f"`path` has to be a data file or a folder of data files, but {str(path)!r} does not exist.")
    if path.is_file():
        files = [path] if kind_of(path.name) else []
    else:
        files = _saved_to_disk(path) or _in_folder(path / "data") or _in_folder(path)
    if not files:
        raise ValueError(
            f"`path` has to be a file whose name ends in {', '.join(KINDS)} (text also in {PACKED}), or a folder with "
            f"such files in it or in its `data`, but is {str(path)!r}."
        )
    kinds = {kind_of(file.name) for file in files}
    if len(kinds) > 1:
        raise ValueError(
            f"`path` has to be a folder with data files of one kind, but {str(path)!r} has {', '.join(sorted(kinds))}, "
            "which may be the same rows twice. Give one file, or a folder with only the files you want."
        )
    return [str(file) for file in files]


def _in_folder(folder: Path) -> list[Path]:
    """The data files, sorted by name; only the training split if there are splits."""
    files = sorted(file for file in folder.glob("*") if kind_of(file.name))
    return [file for file in files if file.name.startswith("train")] or files


def _saved_to_disk(folder: Path) -> list[Path]:
    """Files of `save_to_disk`: of a data set, or of splits, of which `train` or the only one is read."""
    splits = folder / "dataset_dict.json"
    if splits.is_file():
        record = read_json(splits)
        check(record, {"splits": LIST}, str(splits))
        names = [str(name) for name in record["splits"]]
        if "train" not in names and len(names) != 1:
            raise ValueError(f"{folder} has the splits {', '.join(names)}, and none called train. Give one's folder.")
        folder /= "train" if "train" in names else names[0]
    state = folder / "state.json"
    if not (state.is_file() and (folder / "dataset_info.json").is_file()):
        return []
    record = read_json(state)
    check(record, {"_data_files": LIST}, str(state))
    for number, entry in enumerate(record["_data_files"]):
        check(entry, {"filename": TEXT}, f"{state}, file {number}")
    return [folder / Path(entry["filename"]).name for entry in record["_data_files"]]


def _has_traces(own: Mapping[str, str]) -> bool:
    return not own.keys().isdisjoint(("thinking_trajectories", "attempt", *FILLED))


def _of_traces(traces: str | None) -> dict[str, str]:
    if traces is None:
        return {}
    return {"thinking_trajectories": f"{traces}_thinking_trajectory", "attempt": f"{traces}_attempt"}


def _layout(
    files: list[str], traces: str | None, own: dict[str, str]
) -> tuple[tuple[str, ...], str | None, dict[str, str]]:
    """The known columns of local files, whose traces to use, and what their own names are for."""
    found = {file: column_names(file) for file in files}
    first = next(iter(found.values()))
    own = with_messages(own, first)
    named = _has_traces(own) or "thinking_trajectories" in first
    if traces is None and not named and any(f"{t}_attempt" in first for t in TRACES):
        traces = TRACES[0]
    needed = _needed(traces, own)
    faults = [
        f"{file} lacks {', '.join(repr(c) for c in needed if c not in columns)}; it has {', '.join(columns) or 'none'}."
        for file, columns in found.items()
        if not set(needed) <= set(columns)
    ]
    if faults:
        others = [t for t in (None, *TRACES) if set(_needed(t, {})) <= set(first)]
        hint = (
            f"This data can be loaded with `traces={others[0]!r}`."
            if others
            else seen_in(next(read_rows(files[0], first), {}))
        )
        raise ValueError(
            "\n".join(faults)
            + "\nColumns have to be named as in s1K (question, thinking_trajectories, attempt) or "
            "s1K-1.1 (question, deepseek_thinking_trajectory, deepseek_attempt, or the same with gemini), or named in "
            f"`columns`. {hint}".rstrip()
        )
    return tuple(name for name in first if name in {*S1K_COLUMNS, *S1K_1_1_COLUMNS, *TRAINING}), traces, own


def _needed(traces: str | None, own: Mapping[str, str]) -> list[str]:
    """The columns that files need to have, in order."""
    found = sources(_of_traces(traces) | dict(own))
    return list(dict.fromkeys([*(found[name] for name in TRAINING[:3]), *own.values()]))


def _sha256(files: list[str]) -> str:
    digests = []
    for file in files:
        digest = hashlib.sha256()
        with open(file, "rb") as stream:
            while block := stream.read(1 << 20):
                digest.update(block)
        digests.append(digest.hexdigest())
    if len(files) == 1:
        return digests[0]
    lines = [f"{digest}  {Path(file).name}\n" for digest, file in zip(digests, files, strict=True)]
    return hashlib.sha256("".join(lines).encode()).hexdigest()


def _stated_licence(path: Path) -> str | None:
    from huggingface_hub.repocard import metadata_load

    readme = (path if path.is_dir() else path.parent) / "README.md"
    if not readme.is_file():
        return None
    try:
        stated: Any = (metadata_load(readme) or {}).get("license")
    except Exception as error:  # of PyYAML, which lets any of Python's through
        raise ValueError(f"The first lines of {readme} cannot be read: {error}. Mend them, or delete them.") from None
    return None if stated is None else str(stated)
