"""What a folder is: a model, a data set, a pack, results; by what is in it, and not by its name."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from s1_hf.packs.packing import CHAIN, FACTS
from s1_hf.records import FLAG, OBJECT, check, parse, read_json
from s1_hf.visible import shortened

JOURNAL = "s1_run.json"  # of `s1_hf.sft.journal`, which imports what training needs
STATE = "trainer_state.json"
WEIGHTS = ("*.safetensors", "pytorch_model*.bin", "adapter_model.bin", "*.gguf")
LEDGERS = "finished*.jsonl"
_INDEX = "*.safetensors.index.json"


@dataclass(frozen=True)
class Kind:
    """What a folder can be: its `name`, and the type of repository (`"model"`, `"dataset"`) that it goes to."""

    name: str
    repo_type: str


MODEL, ADAPTER = Kind("a model", "model"), Kind("a LoRA adapter", "model")
CHECKPOINT = Kind("a checkpoint of a training run", "model")
CURATION, TRACES = Kind("a curated data set", "dataset"), Kind("a data set of traces", "dataset")
DATA = Kind("a data set", "dataset")
PACK, RESULTS = Kind("a pack of results", "dataset"), Kind("results", "dataset")


def kind_of(folder: Path, *, checkpoint: bool = False) -> Kind:
    """What a folder is.

    Args:
        checkpoint (`bool`, defaults to `False`): the checkpoint of a training run is let through.

    Raises:
        ValueError: it is nothing that can be pushed, or not whole yet. The message says what to do.
    """
    if not folder.is_dir():
        raise ValueError(f"{folder} has to be a folder, but {'is a file' if folder.exists() else 'does not exist'}.")
    found = _of_training(folder, checkpoint) or _of_data(folder) or _model(folder) or _results(folder)
    if found is None and any(_data_files(folder)):
        found = DATA
    if found is None:
        raise ValueError(
            f"{folder} is nothing that can be pushed. That is: a model (config.json or adapter_config.json, and its "
            "weights), what `s1-hf curate`, `s1-hf data traces` or `s1-hf pack` have written, a data set "
            "(data/*.parquet) or results (rows.parquet or rows.jsonl, of `s1-hf eval`, `sweep`, `effort` and `demo`)."
        )
    return found


def rows_in(folder: Path) -> list[Path]:
    """The files of rows in a results folder and the folders in it."""
    found = [*folder.rglob("rows.parquet"), *folder.rglob("rows.jsonl")]
    return sorted(file for file in found if not any(part.startswith("_") for part in file.relative_to(folder).parts))


def _of_training(folder: Path, checkpoint: bool) -> Kind | None:
    if (folder / STATE).is_file() and any(folder.glob("optimizer*")):
        if not checkpoint:
            raise ValueError(
                f"{folder} is a checkpoint of a training run, not its result. To push its weights all the same, "
                "without the state of the optimizer: --checkpoint"
            )
        _check_weights(folder)
        return CHECKPOINT
    if (folder / JOURNAL).is_file():
        journal = read_json(folder / JOURNAL, strict=False)
        check(journal, {"finished": FLAG}, str(folder / JOURNAL), remedy="`s1-hf sft` writes it.")
        if not journal["finished"]:
            newest = max(folder.glob("checkpoint-*"), key=_step, default=None)
            instead = f", or push its last checkpoint: s1-hf push {newest} REPO --checkpoint" if newest else ""
            raise ValueError(
                f"{folder} holds a training run that has not finished. Rerun its command to finish it{instead}."
            )
    return None


def _step(checkpoint: Path) -> int:
    number = checkpoint.name.rpartition("-")[2]
    return int(number) if number.isdecimal() else -1


def _of_data(folder: Path) -> Kind | None:
    if (folder / FACTS).is_file():
        return PACK
    if (folder / CHAIN).is_file():
        raise ValueError(f"{folder} holds a pack that is not whole: {FACTS} is missing. Rerun its `s1-hf pack`.")
    if (folder / "report.json").is_file() and (folder / "dropped.parquet").is_file() and any(_data_files(folder)):
        return CURATION
    if (folder / "settings.json").is_file() and any(folder.glob(LEDGERS)):
        if not any(_data_files(folder)):
            raise ValueError(f"{folder} holds traces that are not finished. Rerun their command to finish them.")
        return TRACES
    return None


def _data_files(folder: Path) -> Iterator[Path]:
    return (file for file in (folder / "data").glob("*.parquet") if not file.name.startswith("_"))


def _model(folder: Path) -> Kind | None:
    is_adapter = (folder / "adapter_config.json").is_file()
    if not is_adapter and not (folder / "config.json").is_file():
        return None
    _check_weights(folder)
    return ADAPTER if is_adapter else MODEL


def _check_weights(folder: Path) -> None:
    """All of them are there, whole, and in this folder."""
    files = [file for pattern in WEIGHTS for file in sorted(folder.glob(pattern))]
    links = [file.name for file in files if file.is_symlink()]
    if links:
        raise ValueError(
            f"The weights in {folder} are links to another folder ({links[0]}), and links are not followed. If `s1-hf "
            "export` made it: --copy makes a folder with weights of its own."
        )
    if not files:
        raise ValueError(f"{folder} has the configuration of a model, but no weights ({', '.join(WEIGHTS)}).")
    for index in folder.glob(_INDEX):
        content = read_json(index)
        check(content, {"weight_map": OBJECT}, str(index))
        missing = sorted({str(name) for name in content["weight_map"].values()} - {file.name for file in files})
        if missing:
            named = ", ".join(shortened(name, 80) for name in missing[:3])
            raise ValueError(f"The weights in {folder} are not whole: {index.name} names {named}.")
    for file in files:
        if file.suffix == ".safetensors" and file.stat().st_size != _whole_size(file):
            raise ValueError(f"{file} is not as long as its header says. Was the run killed while it saved?")


def _whole_size(file: Path) -> int | None:
    """By its own header: 8 bytes of length, the header in JSON, the tensors."""
    with file.open("rb") as stream:
        length = int.from_bytes(stream.read(8), "little")
        if length > file.stat().st_size:
            return None
        header = parse(stream.read(length), f"The header of {file}", strict=False)
    try:
        ends = [int(entry["data_offsets"][1]) for name, entry in header.items() if name != "__metadata__"]
    except (KeyError, TypeError, IndexError, AttributeError, ValueError):
        return None
    return 8 + length + max(ends, default=0)


def _results(folder: Path) -> Kind | None:
    """Of one run; or of several, in folders of one that `s1-hf plot` has drawn: any other may hold anything."""
    own = any((folder / f"rows.{ending}").is_file() for ending in ("parquet", "jsonl"))
    if own or ((folder / "report.html").is_file() and rows_in(folder)):
        return RESULTS
    if (folder / "generations").is_dir() or any(folder.glob(LEDGERS)):
        raise ValueError(f"{folder} holds a run that has not finished: it has no rows yet. Rerun its command.")
    return None
