"""What every command is, for tests that walk all of them."""

import typer

from s1_hf.cli import app


def commands() -> list[list[str]]:
    """All commands, those of groups as two words."""
    main = typer.main.get_command(app).commands
    return [
        [name, *inner]
        for name, command in main.items()
        for inner in ([[sub] for sub in command.commands] if hasattr(command, "commands") else [[]])
    ]
