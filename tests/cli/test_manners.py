"""What holds for every command: help, exit codes, Ctrl-C, pipes, and what goes to stdout and what to stderr."""

import os
import signal
import subprocess
import sys

import pytest

pytest.importorskip("typer")

import typer
from rich.table import Table
from terminals import commands
from typer.testing import CliRunner

from s1_hf import __version__, embedded
from s1_hf.cli import app, terminal

ENVIRONMENT = {"OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1", "TERM": "xterm-256color", "COLUMNS": "80"}
ENVIRONMENT |= {"PYTHONPATH": os.pathsep.join(sys.path)}
ENVIRONMENT |= {name: os.environ[name] for name in ("PATH", "SYSTEMROOT") if name in os.environ}


def invoke(*arguments: str, **options):
    return CliRunner().invoke(app, list(arguments), **options)


@pytest.mark.parametrize("command", commands(), ids=" ".join)
def test_the_help_of_every_command_ends_in_an_example(command):
    done = invoke(*command, "--help", env={"COLUMNS": "200"})
    about, _, examples = done.output.rpartition("Example")
    assert done.exit_code == 0 and "--help" in about  # the options come before
    assert f"s1-hf {' '.join(command)}" in examples


def test_every_example_stands_on_a_line_of_its_own():
    def try_it() -> None:
        """What it does.

        Examples:

        s1-hf try this

        s1-hf try that in
        two lines
        """

    tried = typer.Typer()
    terminal.add(tried, try_it)
    lines = [line.strip() for line in CliRunner().invoke(tried, ["--help"]).output.splitlines() if line.strip()]
    assert lines[-3:] == ["Examples:", "s1-hf try this", "s1-hf try that in two lines"]


def test_the_exit_codes_are_in_the_help():
    said = " ".join(invoke("--help").output.split())
    assert "Exit codes: 0, done; 1, a negative verdict" in said
    assert "2, bad input; 3, neither (plan: tight); 130, Ctrl-C" in said


def test_the_version_is_told():
    assert invoke("--version").stdout == f"s1-hf {__version__}\n"


@pytest.mark.parametrize("arguments", [["formats", "./none"], ["formats", "--no-such-option"], ["no-such-command"]])
def test_errors_go_to_stderr_with_exit_code_2(arguments):
    done = invoke(*arguments)
    assert done.exit_code == 2 and done.stderr and not done.stdout


@pytest.mark.parametrize(("resumes", "goes_on"), [(True, True), (False, False)])
def test_ctrl_c_says_whether_the_same_command_goes_on(resumes, goes_on, capsys):
    with pytest.raises(typer.Exit) as ended, terminal.plain_errors(resumes=resumes):
        raise KeyboardInterrupt
    assert ended.value.exit_code == 130
    said = capsys.readouterr()
    assert "Interrupted. " in said.err and not said.out
    assert ("rerun the same command to resume" in said.err) is goes_on
    assert ("Rerun the same command to start again" in said.err) is not goes_on


def test_an_error_that_is_no_bad_input_keeps_its_traceback():
    with pytest.raises(ZeroDivisionError), terminal.plain_errors():
        raise ZeroDivisionError
    with pytest.raises(OSError), terminal.plain_errors(bad_input=(ValueError,)):
        raise OSError


@pytest.fixture(scope="module")
def interrupted() -> tuple[str, str, int]:
    """`generate` on a terminal, under Ctrl-C in the middle of its thinking: the screen, stderr, the exit code."""
    pty = pytest.importorskip("pty", reason="Windows has no such terminal")
    question = embedded.Problem(2, 7, 3, 8).question
    command = [sys.executable, "-m", "s1_hf", "generate", "embedded", question, "--num-ignores", "500"]
    main, side = pty.openpty()
    process = subprocess.Popen(
        command,
        stdout=side,
        stderr=subprocess.PIPE,
        env=ENVIRONMENT,
        start_new_session=True,
        preexec_fn=lambda: signal.signal(
            signal.SIGINT, signal.default_int_handler
        ),  # a job in the background ignores it
    )
    os.close(side)
    screen = b""
    while b"Wait" not in screen:
        screen += os.read(main, 100)
    os.killpg(process.pid, signal.SIGINT)
    _, said = process.communicate()
    os.close(main)
    return screen.decode(), said.decode(), process.returncode


def test_ctrl_c_leaves_no_traceback(interrupted):
    _, said, code = interrupted
    assert code == 130
    assert said.strip() == "Interrupted. Rerun the same command to start again."


def test_a_terminal_has_colours(interrupted):
    screen, _, _ = interrupted
    assert screen.startswith("\x1b[1;31m<|im_start|>\x1b[0m")
    assert "\x1b[2mA\x1b[0m" in screen


def test_ctrl_c_while_the_command_line_is_imported_leaves_no_traceback():
    code = "import sys\nclass Interrupt:\n    def find_spec(self, name, *_):\n"
    code += "        if name == 's1_hf.cli': raise KeyboardInterrupt\n"
    code += "sys.meta_path.insert(0, Interrupt())\nfrom s1_hf.__main__ import main\nmain()"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, env=ENVIRONMENT)
    assert (done.returncode, done.stderr) == (130, b"")


def test_a_pipe_that_is_closed_leaves_no_traceback():
    read, write = os.pipe()
    os.close(read)
    command = [sys.executable, "-m", "s1_hf", "formats"]
    done = subprocess.run(command, stdout=write, stderr=subprocess.PIPE, env=ENVIRONMENT)
    os.close(write)
    assert (done.returncode, done.stderr) == (1, b"")


def test_without_typer_the_extra_is_named():
    code = "import sys; sys.modules['typer'] = None; from s1_hf.__main__ import main; main()"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=ENVIRONMENT)
    assert done.returncode == 2 and "pip install 's1-hf[cli]'" in done.stderr


@pytest.mark.parametrize("is_terminal", [True, False])
def test_no_number_of_a_table_is_cut_off(is_terminal, monkeypatch, capsys):
    monkeypatch.setattr(terminal, "console", terminal.Console(width=20, force_terminal=is_terminal))
    table = Table("name", box=None)
    for number in range(5):
        table.add_column(f"column {number}", no_wrap=True)
    table.add_row("a name of several words", *(["1234567.89"] * 5))
    terminal.print_table(table)
    printed = capsys.readouterr().out
    assert printed.count("1234567.89") == 5 and "…" not in printed
    assert ("a name of several words" in printed) is not is_terminal  # a terminal wraps what has spaces
