"""A model's folder with a budget, made of links to the model's own files: gigabytes are not copied."""

from __future__ import annotations

import ast
import json
import os
import shutil
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from transformers import AutoTokenizer
from transformers.utils.hub import cached_file

from s1_hf.engines.checkpoint import Checkpoint
from s1_hf.engines.locking import exclusive, is_lock
from s1_hf.files import PART, inside, replacing, write_text
from s1_hf.finding import model_named
from s1_hf.forcing.budget import NAMES, Budget
from s1_hf.forcing.flat import from_flat, with_defaults
from s1_hf.forcing.formats import ThinkingFormat, format_of_settings
from s1_hf.generation.export import FILE, source_of
from s1_hf.generation.exported import CONFIG, said_by
from s1_hf.records import read_json, read_text
from s1_hf.visible import shortened

_COPIED = 1_000_000
"""Bytes up to which a file is copied, so that changing it here leaves the model's own as it was."""

_OF_A_MODEL = ["*.json", "*.jinja", "*.txt", "*.model", "*.safetensors"]
_OTHERS_WEIGHTS = ["original/*", "onnx/*", "consolidated*", "*.gguf"]


def model_folder(model: str, revision: str = "main", trust_remote_code: bool = False) -> Path:
    """The folder of a model that can be served; one of the Hub is downloaded, if it is not there.

    Raises:
        OSError: there is no such model. ValueError: it is an adapter.
    """
    checkpoint = Checkpoint.find(model, revision=revision, trust_remote_code=trust_remote_code)
    if checkpoint.adapter is not None:
        raise ValueError(
            f"{model} is an adapter, which has to be merged into its base first: "
            "`AutoPeftModelForCausalLM.from_pretrained(...).merge_and_unload().save_pretrained(FOLDER)`."
        )
    if Path(checkpoint.base).is_dir():
        return Path(checkpoint.base)
    from huggingface_hub import snapshot_download

    wanted = [*_OF_A_MODEL, "*.py"] if trust_remote_code else _OF_A_MODEL
    place = Path(snapshot_download(model, revision=revision, allow_patterns=wanted, ignore_patterns=_OTHERS_WEIGHTS))
    if not any(place.glob("*.safetensors")):
        snapshot_download(model, revision=revision, allow_patterns=["*.bin"], ignore_patterns=_OTHERS_WEIGHTS)
    return place


def format_of(model_dir: Path, said: str | dict[str, Any] | None) -> ThinkingFormat:
    """What a command's options say about the thinking format of the model in a folder, for [`export_folder`]."""
    return format_of_settings(AutoTokenizer.from_pretrained(model_dir), said)


def export_folder(
    model_dir: Path,
    target: Path,
    settings: Mapping[str, Any],
    trust_remote_code: bool = False,
    copies: bool = False,
) -> Path:
    """Make `target` a folder of the model whose `generate` has a budget.

    Args:
        model_dir (`Path`): the model's own folder, which stays as it is.
        settings (`Mapping`): for [`s1_hf.export_custom_generate`].
        trust_remote_code (`bool`): take the model's own code along. Without it the folder's only code is ours.
        copies (`bool`): copy the weights, too, in the place of links.

    Raises:
        ValueError: `target` holds something else, or a setting is wrong. OSError: it cannot be written.
        BlockingIOError: another process is writing there.
    """
    text = source_of(model_dir, **settings)
    files = {
        file.name: file.resolve() for file in sorted(model_dir.iterdir()) if file.is_file() and not is_lock(file.name)
    }
    if not trust_remote_code:
        files = {name: file for name, file in files.items() if not name.endswith(".py")}
    _check_target(target, files)
    with exclusive(target):
        write_text(inside(target, FILE), text)
        templates = model_dir / _TEMPLATES
        for file in sorted(templates.glob("*.jinja")):
            write_text(inside(target, _TEMPLATES, file.name), read_text(file))
        for name in sorted(files, key=lambda one: one == _MADE_LAST):
            _bring(files[name], inside(target, name), trust_remote_code, copies)
    for left in [path for path in target.iterdir() if is_lock(path.name)]:
        with suppress(OSError):  # of another process that writes there by now
            left.unlink()
    return target


_TEMPLATES = "additional_chat_templates"
_MADE_LAST = "config.json"
"""Without it a folder is no model: one whose making was interrupted is not taken for one without a budget."""


def _check_target(target: Path, files: Mapping[str, Path]) -> None:
    """Raises a `ValueError` if something is there which an earlier export of the same model has not made."""
    if target.exists() and not target.is_dir():
        raise ValueError(f"{target} has to be a new folder, but is a file.")
    own = {*files, FILE.parts[0], _TEMPLATES}
    others = []
    for path in sorted(target.iterdir()) if target.is_dir() else []:
        is_unfinished = path.name.startswith("_") and path.name.endswith(PART)
        if path.name not in own and not is_unfinished and not is_lock(path.name):
            others.append(path.name)
        elif path.name in files and path.resolve() == files[path.name] and not path.is_symlink():
            raise ValueError(
                f"{target} has to be another folder than the model's own. To give this one a budget in its place: "
                "`s1_hf.export_custom_generate`."
            )
    if others:
        raise ValueError(f"{target} has to be a new or empty folder, but holds {shortened(', '.join(others), 200)}.")


def _bring(file: Path, target: Path, with_code: bool, copies: bool) -> None:
    """One file of a model: small ones are copied, without the names of code that does not come along, or a budget."""
    with replacing(target) as part:
        if target.name.endswith("config.json"):
            found = read_json(file, strict=False)
            dropped = [] if with_code else ["auto_map"]
            if target.name == CONFIG and (file.parent / FILE).is_file():  # of an export, whose budget is another's now
                dropped += [*NAMES, "max_answer_tokens"]
            if isinstance(found, dict) and not found.keys().isdisjoint(dropped):
                found = {name: value for name, value in found.items() if name not in dropped}
                part.write_text(json.dumps(found, indent=2) + "\n", encoding="utf-8")
                return
        if not copies and file.stat().st_size > _COPIED:
            for link in (os.symlink, os.link):  # Windows lets not everybody make the first
                with suppress(OSError):
                    link(file, part)
                    return
        shutil.copyfile(file, part)


def links_in(folder: Path) -> list[Path]:
    """What the links of a folder lead to."""
    return [file.resolve() for file in sorted(folder.iterdir()) if file.is_symlink()]


def exported_of(model: str, revision: str = "main") -> dict[str, Any] | None:
    """What a model that was exported says, see [`exported_settings`]: one in a folder, or on the Hub.

    Raises:
        ValueError: its file is not one of ours.
    """
    if Path(model_named(model)).is_dir():
        return exported_settings(Path(model_named(model)))
    try:
        place = cached_file(model, FILE.as_posix(), revision=revision)
    except (OSError, ValueError):  # of whoever looks for the model, next
        return None
    return None if place is None else exported_settings(Path(place).parents[1])


def exported_settings(model_dir: Path) -> dict[str, Any] | None:
    """What an exported folder says, for [`export_custom_generate`]; `None` if it is none. Its code is not run.

    Raises:
        ValueError: its file is not one of ours.
    """
    file = model_dir / FILE
    if not file.is_file():
        return None
    own = said_by(model_dir)
    try:
        for statement in ast.parse(read_text(file)).body:
            if isinstance(statement, ast.Assign) and ast.unparse(statement.targets[0]) == "SETTINGS":
                found = ast.literal_eval(statement.value)
                format = found["format"]
                found["format"] = ThinkingFormat(**format) if isinstance(format, dict) else format
                return _with_own({**found, "budget": Budget.from_dict(found["budget"])}, own)
    except (SyntaxError, ValueError, KeyError, TypeError, RecursionError):
        pass
    raise ValueError(
        f"{file} is no file of an export of s1-hf, and its code is not run here. Serve a copy of the folder without "
        "it, or the folder by `transformers serve --trust-remote-code`."
    )


def _with_own(settings: dict[str, Any], own: Mapping[str, Any]) -> dict[str, Any]:
    """The settings of an export, in whose `generate` counts before them what the model's own configuration says."""
    folders: Budget = settings["budget"]
    fields = from_flat({name: value for name, value in own.items() if name in NAMES})
    budget = with_defaults(fields, {name: getattr(folders, name) for name in NAMES}) if fields else folders
    return {**settings, "budget": budget, **{name: own[name] for name in own if name == "max_answer_tokens"}}


def is_embedded(model: str) -> bool:
    """Whether a name means the toy model in this package."""
    return model_named(model) != model
