"""Files of the package by their names: recipes and machines."""

import difflib
from importlib.resources import files
from pathlib import Path

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


_MODELS = {"embedded": "model", "embedded-reward": "reward"}


def model_named(name: str) -> str:
    """`embedded` and `embedded-reward` as folders of this package's toy and its reward model, if there is nothing of
    that name; else as it is."""
    ours = name in _MODELS and not Path(name).exists()
    return str(PACKAGE / "embedded" / _MODELS[name]) if ours else name
