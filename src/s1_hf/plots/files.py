"""Figures as files: the same numbers give the same bytes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
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


def save(figure: Figure, folder: Path, name: str, formats: Sequence[str] = FORMATS) -> list[Path]:
    """Write `folder/name.png` and so on; return the paths."""
    paths = [inside(folder, f"{name}.{form}") for form in formats]
    for path, form in zip(paths, formats, strict=True):
        with replacing(path) as part:
            part.write_bytes(as_bytes(figure, form))
    return paths


def as_bytes(figure: Figure, form: str) -> bytes:
    """A figure as PNG at 300 dpi, or as SVG with text as outlines, so that it looks the same everywhere."""
    file = BytesIO()
    with _reproducible():
        figure.savefig(file, format=form, dpi=300, metadata={"Date": None} if form == "svg" else None)
    return file.getvalue()


@contextmanager
def _reproducible() -> Iterator[None]:
    rules = {"svg.hashsalt": "s1-hf", "svg.fonttype": "path"}
    with require("matplotlib", "plot").rc_context(rules), no_glyph_warnings():
        yield
