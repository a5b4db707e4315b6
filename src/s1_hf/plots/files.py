"""Figures as files: the same numbers give the same bytes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING

from s1_hf._lazy import require
from s1_hf.files import inside, replacing
from s1_hf.plots.style import no_glyph_warnings

if TYPE_CHECKING:
    from matplotlib.figure import Figure

FORMATS = ("png", "svg")


def save(contents: Mapping[str, bytes], folder: Path, name: str) -> list[Path]:
    """Write `folder/name.png` and so on, with the contents by [`as_files`]; return the paths."""
    paths = []
    for form, content in contents.items():
        paths.append(inside(folder, f"{name}.{form}"))
        with replacing(paths[-1]) as part:
            part.write_bytes(content)
    return paths


def as_files(figure: Figure, formats: Sequence[str] = FORMATS) -> dict[str, bytes]:
    """A figure in each format: PNG at 300 dpi, SVG with text as outlines, so that it looks the same everywhere."""
    contents = {}
    for form in dict.fromkeys(formats):
        file = BytesIO()
        with _reproducible():
            figure.savefig(file, format=form, dpi=300, metadata={"Date": None} if form == "svg" else None)
        contents[form] = file.getvalue()
    return contents


@contextmanager
def _reproducible() -> Iterator[None]:
    rules = {"svg.hashsalt": "s1-hf", "svg.fonttype": "path"}
    with require("matplotlib", "plot").rc_context(rules), no_glyph_warnings():
        yield
