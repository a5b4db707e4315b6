"""The playground as a Space on the Hub: a folder that can be pushed as it is."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from s1_hf import __version__
from s1_hf.files import inside, write_text
from s1_hf.visible import in_markdown, shortened

GRADIO = "6.31.0"
"""The version that the page was tried with."""

_APP = '''"""The playground of s1-hf, https://arxiv.org/abs/2501.19393. Gradio's variables say where it listens."""

from s1_hf.playground.asking import Most
from s1_hf.playground.start import play

if __name__ == "__main__":
    play(
{arguments}
    )
'''

_README = """---
title: {title}
emoji: ⏳
colorFrom: blue
colorTo: gray
sdk: gradio
sdk_version: {gradio}
app_file: app.py
pinned: false
license: apache-2.0
---

# Thinking budgets, to play with

{model} under budget forcing, as in [s1: Simple test-time scaling](https://arxiv.org/abs/2501.19393): set how long it
thinks, see what was forced, compare budgets side by side, and watch a scaling curve grow.

Made by `s1-hf playground --space`. Limits for visitors stand in `app.py`.
"""


def write_space(folder: Path, model: str, *, most: Mapping[str, int], **settings: Any) -> None:
    """Write `app.py`, `requirements.txt` and `README.md`.

    Args:
        most (`Mapping`): fields of [`Most`].
        **settings: for [`play`]; what is left at its default is left out.

    Raises:
        ValueError: there is an `app.py` of somebody else's. OSError: it cannot be written.
    """
    app = inside(folder, "app.py")
    if app.exists() and not app.read_text(encoding="utf-8", errors="replace").startswith(_APP.splitlines()[0]):
        raise ValueError(f"{folder} has an app.py of somebody else's. Choose another folder for `--space`.")
    defaults = {"format": None, "revision": "main", "trust_remote_code": False, "dtype": "auto"}
    told = {name: value for name, value in settings.items() if value != defaults[name]}
    lines = [f"{model!r},", f"most=Most({', '.join(f'{name}={value!r}' for name, value in most.items())}),"]
    lines += [f"{name}={value!r}," for name, value in told.items()]
    write_text(inside(folder, "requirements.txt"), f"s1-hf[playground]=={__version__}\n")
    name = Path(model).name if Path(model).exists() else model
    title = shortened(f"Thinking budgets: {name}", 60)
    readme = _README.format(title=_quoted(title), gradio=GRADIO, model=in_markdown(name))
    write_text(inside(folder, "README.md"), readme)
    write_text(app, _APP.format(arguments="\n".join(f"        {line}" for line in lines)))


def _quoted(text: str) -> str:
    """As a text of YAML."""
    return "'" + text.replace("'", "''") + "'"
