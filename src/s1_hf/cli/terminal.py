"""What every command shares: the terminal, and errors without a traceback."""

from collections.abc import Iterator
from contextlib import contextmanager

import typer
from rich.console import Console
from rich.text import Text

console = Console()


@contextmanager
def plain_errors() -> Iterator[None]:
    """Bad input ends the command with its message and exit code 2; any other error keeps its traceback."""
    try:
        yield
    except (ValueError, TypeError, OSError, ModuleNotFoundError) as error:
        console.print(Text("Error: ", style="red").append(str(error), style="default"), soft_wrap=True)
        raise typer.Exit(2) from None
