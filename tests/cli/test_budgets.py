"""One list of settings: every field of Budget is an option of every command that generates."""

from __future__ import annotations

import inspect
import re
from dataclasses import fields

import pytest

pytest.importorskip("typer")

from typer import Exit
from typer.main import get_command

from s1_hf.cli import app
from s1_hf.cli.budgets import takes_budget
from s1_hf.forcing.budget import Budget

COMMANDS = [("generate",), ("eval",), ("sweep",), ("data", "traces")]
GIVEN = {
    "max_thinking_tokens": ("60", 60),
    "min_thinking_tokens": (3, 3),
    "num_ignores": (2, 2),
    "wait_text": ("", None),
    "cut_text": ("Stop.", "Stop."),
    "cut_window": (9, 9),
    "cut_at": ("sentence", "sentence"),
    "answer_prefix": ("", None),
    "answer_reserve": (5, 5),
    "thinking_share": (0.5, 0.5),
}


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_every_field_of_a_budget_is_an_option(command):
    found = get_command(app)
    for name in command:
        found = found.commands[name]
    options = {option for parameter in found.params for option in parameter.opts}
    missing = [one.name for one in fields(Budget) if "--" + one.name.replace("_", "-") not in options]
    assert missing == (["min_thinking_tokens"] if command == ("sweep",) else [])  # which sweeps cannot have


def defaults_of(command) -> dict:
    return {name: one.default for name, one in inspect.signature(command).parameters.items()}


def test_options_make_the_budget():
    taken = []

    @takes_budget()
    def command(budget: Budget) -> None:
        taken.append(budget)

    given = {name: given for name, (given, _) in GIVEN.items()}
    command(**defaults_of(command) | given | {"loop_guard": True})
    (budget,) = taken
    assert {name: getattr(budget, name) for name in GIVEN} == {name: meant for name, (_, meant) in GIVEN.items()}
    assert budget.loop_guard is not None


def test_without_options_it_is_the_default_budget():
    taken = []

    @takes_budget()
    def command(budget: Budget) -> None:
        taken.append(budget)

    command(**defaults_of(command))
    assert taken == [Budget()]


def budget_from(**given) -> Budget:
    taken = []

    @takes_budget()
    def command(budget: Budget) -> None:
        taken.append(budget)

    command(**defaults_of(command) | given)
    return taken[0]


def test_an_effort_is_a_way_to_say_the_budget(tmp_path):
    assert budget_from(effort="low", num_ignores=2) == Budget(
        max_thinking_tokens="auto", thinking_share=0.2, num_ignores=2
    )
    table = tmp_path / "own.yaml"
    table.write_text("quick: {max_thinking_tokens: 40}\n")
    assert budget_from(effort="quick", effort_table=table) == Budget(max_thinking_tokens=40)


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"effort": "lo"}, "There is no effort 'lo'. Give one of none, minimal, .* Did you mean 'low'"),
        ({"effort": "low", "max_thinking_tokens": "9"}, "'low' .* has to stand alone, but `max_thinking_tokens` came"),
        ({"effort": "low", "thinking_share": 0.5}, "has to stand alone, but `thinking_share` came with it"),
        ({"effort_table": "x"}, "`--effort-table` has no effect without `--effort`"),
    ],
)
def test_an_effort_that_cannot_be_meant_is_refused(given, said, capsys):
    with pytest.raises(Exit):
        budget_from(**given)
    assert re.search(said, " ".join(capsys.readouterr().err.split()))


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_every_command_with_a_cap_takes_an_effort(command):
    found = get_command(app)
    for name in command:
        found = found.commands[name]
    options = {option for parameter in found.params for option in parameter.opts}
    assert ({"--effort", "--effort-table"} <= options) is (command != ("sweep",))
