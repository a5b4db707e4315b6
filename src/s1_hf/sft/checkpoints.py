"""The checkpoints in a run's folder: from which one it resumes, and what is wrong with the others.

The trainer itself would start its optimizer anew where a file is missing, and with old checkpoints it deletes every
folder called `checkpoint-*`. So they are looked at first: what is not whole is named and set aside, and what is not of
this run is refused.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from dataclasses import dataclass, field
from fnmatch import fnmatch
from pathlib import Path
from typing import TYPE_CHECKING, Any
from zipfile import is_zipfile

from transformers.trainer import SCHEDULER_NAME, TRAINER_STATE_NAME
from transformers.trainer_utils import PREFIX_CHECKPOINT_DIR

from s1_hf.records import parse, read_json
from s1_hf.visible import shortened

if TYPE_CHECKING:
    from s1_hf.sft.trainer import Trainer

logger = logging.getLogger(__name__)

_ASIDE = "_incomplete-"  # uploads leave out what begins with an underscore
_MARK = "RunMark"  # of `s1_hf.sft.trainer`, as the trainer's state has it
_WEIGHTS: tuple[str, ...] = ("*.safetensors", "pytorch_model*")
_DEEPSPEED = "latest"  # the file in which it names the folder of its state


@dataclass(frozen=True)
class Checkpoints:
    """What a run's folder holds.

    Args:
        newest (`Path`, *optional*): the whole checkpoint with the most steps.
        broken (`dict[Path, str]`): those that are not whole, and what is wrong with each.
    """

    newest: Path | None = None
    broken: dict[Path, str] = field(default_factory=dict)

    def set_aside(self) -> None:
        """Rename those that are not whole, so that the trainer neither counts nor deletes them, and say so."""
        for path, fault in self.broken.items():
            aside = path.with_name(_ASIDE + path.name)
            number = 1
            while aside.exists():
                number += 1
                aside = path.with_name(f"{_ASIDE}{path.name}-{number}")
            path.rename(aside)
            logger.warning("%s is not whole: %s. It is kept as %s, which you may delete.", path, fault, aside.name)


def find_checkpoints(folder: Path, run: str | None) -> Checkpoints:
    """Look at all checkpoints in `folder`; nothing is changed.

    Args:
        run (`str`, *optional*): the run that they have to be of, by its mark.

    Raises:
        ValueError: one is not of this run; or none is whole, though one has been finished and is damaged. The message
            names them.
    """
    whole: dict[int, Path] = {}
    broken: dict[Path, str] = {}
    foreign: list[str] = []
    is_damaged = False
    for path in sorted(folder.glob(f"{PREFIX_CHECKPOINT_DIR}-*")):
        state = _state(path)
        if strange := _not_ours(path, state, run):
            foreign.append(f"{path.name} {strange}")
        elif state is None:
            broken[path] = "it was being written when the run was stopped"
        elif fault := next(_damages(path), None):
            broken[path], is_damaged = fault, True
        else:
            whole[_step(path)] = path
    if foreign:
        raise ValueError(
            f"{folder} holds checkpoints that are not of this run, and the trainer would delete them: "
            f"{'; '.join(foreign)}. Move them out of it, or choose another `--output_dir`."
        )
    if is_damaged and not whole:
        said = "; ".join(f"{path.name}: {fault}" for path, fault in broken.items())
        raise ValueError(
            f"{folder} holds no checkpoint from which the run could resume: {said}. Restore what is missing; or, to "
            "start again from the first step, move these checkpoints elsewhere or choose another `--output_dir`."
        )
    return Checkpoints(whole[max(whole)] if whole else None, broken)


def has_checkpoints(folder: Path) -> bool:
    """Whether `folder` holds any, whole or not."""
    return next(folder.glob(f"{PREFIX_CHECKPOINT_DIR}-*"), None) is not None


def check_kind(checkpoint: Path, trainer: Trainer) -> None:
    """Refuse a checkpoint that another way of sharding has written: the trainer would leave out its optimizer.

    Raises:
        ValueError: the message says which it is and which this run is.
    """
    written, reads = _kind(checkpoint), "plain"
    if trainer.is_deepspeed_enabled:
        reads = "DeepSpeed"
    elif trainer.is_fsdp_enabled:
        reads = "FSDP"
    if written != reads:
        raise ValueError(
            f"{checkpoint} was written with {_WITH[written]}, but this run is one with {_WITH[reads]}. Launch it as "
            "it was launched before, or choose another `--output_dir`."
        )


_WITH = {"plain": "the whole model in each process", "FSDP": "FSDP", "DeepSpeed": "DeepSpeed"}


def _kind(checkpoint: Path) -> str:
    if (checkpoint / _DEEPSPEED).exists():
        return "DeepSpeed"
    return "FSDP" if list(checkpoint.glob("pytorch_model_fsdp*")) else "plain"


def _state(checkpoint: Path) -> dict[str, Any] | None:
    """The trainer's state, which it writes last."""
    try:
        state = read_json(checkpoint / TRAINER_STATE_NAME, strict=False)
    except (OSError, ValueError):
        return None
    return state if isinstance(state, dict) else None


def _step(checkpoint: Path) -> int:
    return int(checkpoint.name.removeprefix(f"{PREFIX_CHECKPOINT_DIR}-"))


def _not_ours(path: Path, state: dict[str, Any] | None, run: str | None) -> str | None:
    number = path.name.removeprefix(f"{PREFIX_CHECKPOINT_DIR}-")
    if not path.is_dir():
        return "is no folder"
    if not number.isdecimal():
        return "has no number of steps in its name"
    if state is None:
        return None
    if state.get("global_step") != int(number):
        return f"is of step {shortened(str(state.get('global_step')), 40)}"
    marks = state.get("stateful_callbacks")
    mark = marks.get(_MARK) if isinstance(marks, dict) else None
    if run is not None and mark != {"args": {"run": run}, "attributes": {}}:
        return "is of another run"
    return None


def _damages(checkpoint: Path) -> Iterator[str]:
    """What is wrong with the files of a checkpoint that was finished."""
    yield from _missing_files(checkpoint)
    for index in checkpoint.glob("*.safetensors.index.json"):
        yield from _missing_shards(index)
    for file in sorted(checkpoint.rglob("*")):
        if _is_cut_off(file):
            yield f"{file.relative_to(checkpoint)} is cut off"
    for folder in sorted(checkpoint.glob("*_[0-9]")):
        yield from _missing_parts(folder)


def _missing_files(checkpoint: Path) -> Iterator[str]:
    names = {path.name for path in checkpoint.iterdir()}
    wanted: dict[str, tuple[str, ...]] = {"rng_state.pth": ("rng_state*.pth",)}
    if _kind(checkpoint) == "DeepSpeed":  # which keeps weights, optimizer and schedule together
        state = (checkpoint / _DEEPSPEED).read_text(encoding="utf-8", errors="replace").strip()
        if state not in names or not any((checkpoint / state).glob("*.pt")):
            yield f"DeepSpeed's {shortened(state, 40)} is missing"
    else:
        wanted |= {"model.safetensors": _WEIGHTS, "optimizer.pt": ("optimizer*",), SCHEDULER_NAME: (SCHEDULER_NAME,)}
    for name, patterns in wanted.items():
        if not any(fnmatch(found, pattern) for found in names for pattern in patterns):
            yield f"{name} is missing"


def _is_cut_off(file: Path) -> bool:
    if file.suffix == ".safetensors":
        return file.stat().st_size != _safetensors_size(file)
    return file.suffix in (".pt", ".pth", ".bin") and not is_zipfile(file)  # which torch.save's files are


def _missing_shards(index: Path) -> Iterator[str]:
    try:
        names = {str(name) for name in read_json(index)["weight_map"].values()}
    except (ValueError, KeyError, TypeError, AttributeError):
        yield f"{index.name} cannot be read"
        return
    for name in sorted(names):
        if not (index.parent / name).exists():
            yield f"{name} is missing"


def _safetensors_size(file: Path) -> int | None:
    """How long the file has to be, by its own header: 8 bytes of length, the header in JSON, the tensors."""
    with open(file, "rb") as stream:
        length = int.from_bytes(stream.read(8), "little")
        if length > file.stat().st_size:
            return None
        try:
            header = parse(stream.read(length), "the header", strict=False)
            ends = [entry["data_offsets"][1] for name, entry in header.items() if name != "__metadata__"]
            return 8 + length + int(max(ends, default=0))
        except (ValueError, KeyError, TypeError, IndexError, AttributeError):
            return None


def _missing_parts(folder: Path) -> Iterator[str]:
    """Of a state that FSDP has written in parts: `.metadata`, the last file, says where each part stands."""
    if not list(folder.glob("*.distcp")):
        return
    from torch.distributed.checkpoint.filesystem import FileSystemReader

    name = folder.name
    if not (folder / ".metadata").exists():
        yield f"{name}/.metadata is missing"
        return
    try:
        parts = FileSystemReader(folder).read_metadata().storage_data.values()
    except Exception:  # of pickle, which lets any of Python's through
        yield f"{name}/.metadata cannot be read"
        return
    ends: dict[str, int] = {}
    for part in parts:
        ends[part.relative_path] = max(ends.get(part.relative_path, 0), part.offset + part.length)
    for file, end in ends.items():
        path = folder / file
        if not path.exists() or path.stat().st_size < end:
            yield f"{name}/{file} is {'cut off' if path.exists() else 'missing'}"
