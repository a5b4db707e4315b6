"""What every command shares: the terminal, examples, and errors and Ctrl-C without a traceback.

Results are written to stdout, everything else to stderr. Exit codes: 0; 1, a verdict that is negative; 2, bad input;
3, a plan that is tight; 130, Ctrl-C.

What others have written controls no terminal: our own consoles show its control characters, and so do the streams that
everything else writes to (`s1_hf.visible.guard_terminal`). Texts are never read as markup.
"""

import inspect
import json
import sys
import warnings
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import IO, Any

import typer
import typer.rich_utils
from rich.console import Console, ConsoleOptions, RenderableType, RenderHook
from rich.measure import Measurement
from rich.segment import Segment
from rich.table import Table
from rich.text import Text

from s1_hf.forcing.budget import BudgetWarning
from s1_hf.secrets import without_secrets
from s1_hf.visible import VisibleStream, guard_terminal, visible, visible_in


class VisibleConsole(Console):
    """rich's console, of which only rich itself controls the terminal, by styles and movements."""

    @property
    def file(self) -> IO[str]:
        """Where it writes: to the terminal itself, if a stream guards it."""
        file = Console.file.fget(self)  # type: ignore[attr-defined]  # a property
        return file.beneath if isinstance(file, VisibleStream) else file

    @file.setter
    def file(self, file: IO[str]) -> None:
        Console.file.fset(self, file)  # type: ignore[attr-defined]

    def render(self, renderable: RenderableType, options: ConsoleOptions | None = None) -> Iterable[Segment]:
        """The pieces of what is shown; on a terminal, their texts are made visible."""
        for segment in super().render(renderable, options):
            if segment.control or not self.is_terminal:
                yield segment
            else:
                yield Segment(visible_in(segment.text, self.encoding), segment.style)

    def push_render_hook(self, hook: RenderHook) -> None:
        """A live display has by now put streams of its own before the terminal, which take colours from anybody."""
        super().push_render_hook(hook)
        guard_terminal()


console = VisibleConsole(markup=False, emoji=False)
"""For results: stdout."""

messages = VisibleConsole(stderr=True, markup=False, emoji=False)
"""For progress, notes and errors: stderr."""

typer.rich_utils.Console = VisibleConsole  # type: ignore[attr-defined]  # of help, and of errors that quote what was typed

STYLES = {"thinking": "dim", "forced": "bold red", "answer": ""}
"""Of generated text, by what a piece of it is."""


@contextmanager
def plain_errors(
    resumes: bool = False,
    bad_input: tuple[type[Exception], ...] = (ValueError, TypeError, OSError, ModuleNotFoundError),
) -> Iterator[None]:
    """Bad input ends the command with its message and exit code 2; any other error keeps its traceback.

    Ctrl-C ends it with exit code 130, and says whether rerunning the command resumes (`resumes`).
    """
    try:
        with _plain_warnings():
            yield
    except BrokenPipeError:  # `| head` has read enough; typer ends the command without a word
        raise
    except bad_input as error:
        said = visible(without_secrets(_message(error)))  # messages quote what others have written
        messages.print(Text("Error: ", style="red").append(said, style="default"), soft_wrap=True)
        raise typer.Exit(2) from None
    except KeyboardInterrupt:
        kept = " What is finished is kept: rerun the same command to resume." if resumes else ""
        messages.print(f"\nInterrupted.{kept}", soft_wrap=True)
        raise typer.Exit(130) from None


@contextmanager
def _plain_warnings() -> Iterator[None]:
    """What is said about budgets is said in words, without the line of code that says it."""
    stock = warnings.showwarning

    def show(message: Warning | str, category: type[Warning], *where: Any, **more: Any) -> None:
        if issubclass(category, BudgetWarning):
            messages.print(
                Text("Warning: ", style="yellow").append(visible(str(message)), style="default"), soft_wrap=True
            )
        else:
            stock(message, category, *where, **more)

    warnings.showwarning = show
    try:
        yield
    finally:
        warnings.showwarning = stock


def print_table(table: Table) -> None:
    """To stdout. In a terminal as wide as it is, but with every number whole; in a file, nothing is wrapped."""
    measured = Measurement.get(console, console.options.update(width=1000), table)
    width = max(console.width, measured.minimum) if console.is_terminal else measured.maximum
    VisibleConsole(width=width, markup=False, emoji=False).print(table)  # `console` keeps to its own width


def print_json(found: Any, **how: Any) -> None:
    """To stdout; `how` goes to [`json.dumps`]."""
    sys.stdout.write(json.dumps(found, **how) + "\n")


def add(app: typer.Typer, command: Callable[..., Any], name: str | None = None, **settings: Any) -> None:
    """Make `command` one of `app`: its docstring is its help, of which the examples come last, a paragraph a line."""
    paragraphs = inspect.cleandoc(command.__doc__ or "").split("\n\n")
    lines = [" ".join(paragraph.split("\n")) for paragraph in paragraphs]
    begin = next((i for i, line in enumerate(lines) if line.startswith("Example")), len(lines))
    about, examples = ("\n\n".join(part) for part in (lines[:begin], lines[begin:]))
    app.command(name, help=about, epilog=examples, **settings)(command)


def quiet_loading(model: str) -> None:
    """No progress bar of the embedded model, which is there at once; a big one's shows that something happens."""
    from transformers.utils import logging

    if model == "embedded":
        logging.disable_progress_bar()


def quiet_libraries() -> None:
    """No deprecation warnings of other libraries about each other: a user of ours cannot do anything about them."""
    warnings.filterwarnings("ignore", category=FutureWarning, module=r"huggingface_hub|lighteval|transformers|datasets")
    warnings.filterwarnings("ignore", category=DeprecationWarning)


def _message(error: Exception) -> str:
    """Of settings that pydantic has refused, a line a field, in the words of the command line."""
    if not type(error).__module__.startswith("pydantic"):
        return str(error)
    said: dict[str, list[str]] = {}
    for fault in error.errors() if hasattr(error, "errors") else []:
        name = f"`--{str(fault['loc'][0]).replace('_', '-')}` (which is {fault['input']!r})" if fault["loc"] else ""
        said.setdefault(name, []).append(fault["msg"].removeprefix("Value error, "))
    return "\n".join(f"{name}: {', or: '.join(faults)}" if name else faults[0] for name, faults in said.items())
