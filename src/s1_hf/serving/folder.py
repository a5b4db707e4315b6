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

from s1_hf.embedded import MODEL_PATH
from s1_hf.engines.checkpoint import Checkpoint
from s1_hf.files import write_text
from s1_hf.forcing.budget import Budget
from s1_hf.forcing.formats import ThinkingFormat, format_of_settings
from s1_hf.generation.export import FILE, export_custom_generate
from s1_hf.records import read_json, read_text

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
        settings (`Mapping`): for [`export_custom_generate`].
        trust_remote_code (`bool`): take the model's own code along. Without it the folder's only code is ours.
        copies (`bool`): copy the weights, too, in the place of links.

    Raises:
        ValueError: `target` is there and not empty, or a setting is wrong. OSError: it cannot be written.
    """
    if target.exists() and (not target.is_dir() or any(target.iterdir())):
        raise ValueError(f"{target} has to be a new folder, or an empty one, but it is there, and not empty.")
    is_new = not target.exists()
    target.mkdir(parents=True, exist_ok=True)
    try:
        for file in sorted(model_dir.iterdir()):
            if file.is_file() and (trust_remote_code or file.suffix != ".py"):
                _bring(file.resolve(), target / file.name, trust_remote_code, copies)
        templates = model_dir / "additional_chat_templates"
        if templates.is_dir():
            shutil.copytree(templates, target / templates.name)
        export_custom_generate(target, **settings)
    except BaseException:
        shutil.rmtree(target)
        if not is_new:
            target.mkdir()
        raise
    return target


def _bring(file: Path, target: Path, with_code: bool, copies: bool) -> None:
    """One file of a model: small ones are copied, without the names of code that does not come along."""
    if target.suffix == ".json" and not with_code and target.name.endswith("config.json"):
        found = read_json(file, strict=False)
        if isinstance(found, dict) and found.pop("auto_map", None) is not None:
            return write_text(target, json.dumps(found, indent=2) + "\n")
    if not copies and file.stat().st_size > _COPIED:
        for link in (os.symlink, os.link):  # Windows lets not everybody make the first
            with suppress(OSError):
                return link(file, target)
    shutil.copyfile(file, target)


def exported_settings(model_dir: Path) -> dict[str, Any] | None:
    """What an exported folder says, for [`export_custom_generate`]; `None` if it is none. Its code is not run.

    Raises:
        ValueError: its file is not one of ours.
    """
    file = model_dir / FILE
    if not file.is_file():
        return None
    wrong = f"{file} is no file of an export of s1-hf, and its code is not run here. Remove it, or serve the folder by"
    try:
        for statement in ast.parse(read_text(file)).body:
            if isinstance(statement, ast.Assign) and ast.unparse(statement.targets[0]) == "SETTINGS":
                found = ast.literal_eval(statement.value)
                format = found["format"]
                found["format"] = ThinkingFormat(**format) if isinstance(format, dict) else format
                return {**found, "budget": Budget.from_dict(found["budget"])}
    except (SyntaxError, KeyError, TypeError) as error:
        raise ValueError(f"{wrong} `transformers serve --trust-remote-code`.") from error
    raise ValueError(f"{wrong} `transformers serve --trust-remote-code`.")


def is_embedded(model: str) -> bool:
    """Whether a name means the toy model in this package."""
    return model == "embedded" and not Path(model).exists()


def path_of(model: str) -> str:
    """What a server that does not know the toy model by its name is told."""
    return str(MODEL_PATH) if is_embedded(model) else model
