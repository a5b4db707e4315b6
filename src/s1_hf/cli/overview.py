"""What `s1-hf` alone shows: all commands in groups, each with what it does and an example."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from textwrap import wrap

import typer
from rich.text import Text

from s1_hf.cli.terminal import console

_WIDTH = 80
_NAME, _INDENT = 15, 4
_OTHERS = "More"


@dataclass(frozen=True)
class Line:
    """A command: its group, its whole name, its first sentence, an example."""

    group: str
    name: str
    about: str
    example: str


def show_overview(app: typer.Typer) -> None:
    """Print it to stdout, in 80 columns."""
    console.print(Text("s1-hf: test-time scaling for Hugging Face models.", style="bold"))
    groups: dict[str, list[Line]] = {}
    for line in lines_of(app):
        groups.setdefault(line.group, []).append(line)
    for group, lines in groups.items():
        console.print()
        console.print(Text(group, style="bold"))
        for line in lines:
            first, *more = wrap(line.about, _WIDTH - _NAME - 2)
            console.print(Text("  ").append(f"{line.name:<{_NAME}}", style="bold").append(first), soft_wrap=True)
            for text in more:
                console.print(Text(" " * (_NAME + 2) + text), soft_wrap=True)
            for text in _folded(line.example):
                console.print(Text(" " * _INDENT + text, style="dim"), soft_wrap=True)
    console.print()
    console.print(Text("More on each: s1-hf COMMAND --help. Completion: s1-hf --install-completion"))


def lines_of(app: typer.Typer, before: str = "", group: str | None = None) -> Iterator[Line]:
    """The commands of an application in the order of their groups, those of its parts among them."""
    found: dict[str, list[Line]] = {}
    for one in app.registered_commands:
        name = before + str(one.name or getattr(one.callback, "__name__", ""))
        about = " ".join(str(one.help).split("\n\n")[0].split())
        place = group or (one.rich_help_panel if isinstance(one.rich_help_panel, str) else _OTHERS)
        found.setdefault(place, []).append(Line(place, name, _sentence(about), _example(str(one.epilog))))
    for part in app.registered_groups:
        place = part.rich_help_panel if isinstance(part.rich_help_panel, str) else _OTHERS
        if part.typer_instance is not None:
            own = list(lines_of(part.typer_instance, f"{part.name} ", place))
            found[place] = own + found.get(place, [])  # data come before what is done with them
    for lines in found.values():
        yield from lines


def _sentence(text: str) -> str:
    return text.split(". ")[0].split(": ")[0].rstrip(".") + "."


def _example(epilog: str) -> str:
    """The first that fits into a line, without what is said about it."""
    examples = [line.removeprefix("Example: ").split("   ")[0].strip() for line in epilog.split("\n\n")]
    examples = [line for line in examples if line.startswith("s1-hf")]
    return next((line for line in examples if len(line) <= _WIDTH - _INDENT), examples[0])


def _folded(example: str) -> Iterator[str]:
    """Lines that a shell takes for one, broken before options."""
    line = ""
    for number, part in enumerate(example.split(" --")):
        piece = f" --{part}" if number else part
        if line and len(line + piece) > _WIDTH - _INDENT - len(" \\"):
            yield line + " \\"
            line = " " * 3
        line += piece
    yield line
