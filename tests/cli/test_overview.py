"""`s1-hf` alone, and what a shell is told to complete."""

from __future__ import annotations

import os
import shlex
import subprocess
import sys

import pytest

pytest.importorskip("typer")

from terminals import commands

from s1_hf.cli import app
from s1_hf.cli.overview import lines_of
from s1_hf.cli.terminal import add

HEAVY = {"torch", "transformers", "datasets", "numpy", "matplotlib", "pyarrow", "huggingface_hub"}
ENVIRONMENT = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), "COLUMNS": "80", "TERM": "dumb"}


def test_every_command_stands_in_a_group_with_an_example_of_its_own():
    lines = list(lines_of(app))
    assert sorted(line.name for line in lines) == sorted(map(" ".join, commands()))
    for line in lines:
        assert line.example.startswith(f"s1-hf {line.name}") and line.about[0].isupper() and line.group != "More"


def test_it_fits_into_80_columns_and_its_examples_can_be_copied():
    done = subprocess.run([sys.executable, "-m", "s1_hf"], capture_output=True, text=True, env=ENVIRONMENT)
    assert (done.returncode, done.stderr) == (0, "") and "\x1b" not in done.stdout
    assert max(map(len, done.stdout.splitlines())) <= 80
    shown = [shlex.split(line) for line in done.stdout.replace("\\\n", "").splitlines() if "    s1-hf" in line]
    assert shown == [shlex.split(line.example) for line in lines_of(app)]


def test_a_command_without_a_group_is_listed_all_the_same():
    import typer

    def lost() -> None:
        """Find the way. And more.

        Example: s1-hf lost
        """

    alone = typer.Typer()
    add(alone, lost)
    (line,) = lines_of(alone)
    assert (line.group, line.name, line.about, line.example) == ("More", "lost", "Find the way.", "s1-hf lost")


def test_it_and_all_help_start_without_heavy_libraries():
    code = "import sys; from s1_hf.cli import app; from typer.testing import CliRunner\n"
    code += "for line in [[], ['--help'], *[[*c, '--help'] for c in eval(sys.argv[1])]]:\n"
    code += "    assert CliRunner().invoke(app, line).exit_code == 0\n"
    code += f"print(*({HEAVY!r} & set(sys.modules)))"
    done = subprocess.run(
        [sys.executable, "-c", code, repr(list(commands()))], capture_output=True, text=True, env=ENVIRONMENT
    )
    assert (done.stdout.strip(), done.stderr) == ("", "")


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_the_script_for_a_shell_is_printed(shell):
    """Which shell it is, is found out from the process that asks; a test says it."""
    more = {"_TYPER_COMPLETE_TEST_DISABLE_SHELL_DETECTION": "1"}
    command = [sys.executable, "-m", "s1_hf", "--show-completion", shell]
    done = subprocess.run(command, capture_output=True, text=True, env=ENVIRONMENT | more)
    assert done.returncode == 0 and "_S1_HF_COMPLETE" in done.stdout and "s1-hf" in done.stdout


def test_commands_and_options_are_completed():
    def completed(words: str) -> set[str]:
        more = {"_S1_HF_COMPLETE": "complete_bash", "COMP_WORDS": words, "COMP_CWORD": str(len(words.split()) - 1)}
        command = [sys.executable, "-m", "s1_hf"]
        return set(subprocess.run(command, capture_output=True, text=True, env=ENVIRONMENT | more).stdout.split())

    assert completed("s1-hf ef") == {"effort"}
    assert {"--num-ignores"} == completed("s1-hf eval --num-ig")
