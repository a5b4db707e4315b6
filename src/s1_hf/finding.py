"""Files of the package by their names, recipes and machines; and the config of a model by its name."""

from __future__ import annotations

import difflib
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from transformers import PreTrainedConfig

PACKAGE = Path(str(files("s1_hf")))
RECIPES = PACKAGE / "recipes"
if not RECIPES.is_dir():  # a checkout, where they lie beside src/; the wheel has them in the package
    RECIPES = PACKAGE.parents[1] / "recipes"


def find(source: str | Path, folder: Path, what: str, pattern: str = "*") -> Path:
    """`source` as a path, else as a name or `recipes/...` path in `folder`, whose names are those like `pattern`.

    Raises:
        ValueError: it is neither; the message lists the names.
    """
    path, name = Path(source), Path(source).name.removesuffix(".yaml")
    if path.is_file():
        return path
    names = sorted(file.stem for file in folder.glob(f"{pattern}.yaml"))
    is_ours = str(path.parent) == "." or path.parent.name == folder.name
    if name in names and is_ours:
        return folder / f"{name}.yaml"
    if is_ours and (folder / f"{name}.yaml").is_file():
        raise ValueError(f"{name!r} is a {what} of another command: this one takes {', '.join(names)}, or a file.")
    close = difflib.get_close_matches(name, names, 1)
    raise ValueError(
        f"There is no {what} {str(source)!r}: neither a file nor one of the package's, which are {', '.join(names)}."
        + (f" Did you mean {close[0]!r}?" if close else "")
    )


def in_package(value: object) -> object:
    """`package://x` as the path of the package's file x; anything else as it is."""
    if isinstance(value, str) and value.startswith("package://"):
        return str(PACKAGE / value.removeprefix("package://"))
    return value


_MODELS = {"embedded": "model", "embedded-honest": "honest", "embedded-reward": "reward"}


def model_named(name: str) -> str:
    """`embedded`, `embedded-honest` and `embedded-reward` as folders of this package's toys and their reward model, if
    there is nothing of that name; else as it is."""
    ours = name in _MODELS and not Path(name).exists()
    return str(PACKAGE / "embedded" / _MODELS[name]) if ours else name


def config_of_model(name: str | Path, **options: Any) -> PreTrainedConfig:
    """The config of a folder or of the Hub, by transformers' `AutoConfig`, which is given `options`.

    Raises:
        ValueError: a value in config.json is of the wrong type, or contradicts another: transformers' own error for
            that is of no kind that anybody catches.
        OSError: there is none.
    """
    from huggingface_hub.errors import StrictDataclassError
    from transformers import AutoConfig

    try:
        return AutoConfig.from_pretrained(name, **options)
    except StrictDataclassError as error:
        raise ValueError(
            f"The config.json of {name} cannot be used: {error.__cause__ or error}. Correct it, or take another model."
        ) from error
