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
        console.print(Text("Error: ", style="red").append(_message(error), style="default"), soft_wrap=True)
        raise typer.Exit(2) from None


def _message(error: Exception) -> str:
    """Of settings that pydantic has refused, a line a field, in the words of the command line."""
    if not type(error).__module__.startswith("pydantic"):
        return str(error)
    said: dict[str, list[str]] = {}
    for fault in error.errors() if hasattr(error, "errors") else []:
        name = f"`--{str(fault['loc'][0]).replace('_', '-')}` (which is {fault['input']!r})" if fault["loc"] else ""
        said.setdefault(name, []).append(fault["msg"].removeprefix("Value error, "))
    return "\n".join(f"{name}: {', or: '.join(faults)}" if name else faults[0] for name, faults in said.items())
