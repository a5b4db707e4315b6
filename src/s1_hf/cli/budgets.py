"""Options for a budget: one for each field of [`s1_hf.Budget`], so that a new field has its option by itself; and an
effort by its name instead of a cap."""

from __future__ import annotations

import functools
import inspect
import types
from collections.abc import Callable, Collection
from dataclasses import Field, fields
from pathlib import Path
from typing import Annotated, Any, Literal, Union, get_args, get_origin, get_type_hints

import typer

from s1_hf.cli.terminal import messages, plain_errors
from s1_hf.forcing.budget import Budget
from s1_hf.forcing.effort import DEFAULT, Effort
from s1_hf.forcing.loops import LoopGuard

PANEL = "Budget"

_EFFORT: dict[str, tuple[Any, Any]] = {
    "effort": (
        str | None,
        typer.Option(
            help=f"Instead of a cap: {', '.join(DEFAULT)}, or a name of --effort-table.", rich_help_panel=PANEL
        ),
    ),
    "effort_table": (
        Path | None,
        typer.Option(
            help="A YAML or JSON file of efforts, such as that of `s1-hf effort`.",
            exists=True,
            dir_okay=False,
            rich_help_panel=PANEL,
        ),
    ),
}


def takes_budget(
    without: Collection[str] = (), says_folders: bool = True
) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """A command with a parameter `budget`, for typer: in its place stand the options of its fields.

    Args:
        without (`Collection[str]`): fields that have no option, because the command has its own; or `"effort"`.
        says_folders (`bool`, defaults to `True`): say that the budget of an exported folder does not act in it.
    """

    def decorate(command: Callable[..., Any]) -> Callable[..., Any]:
        chosen = [one for one in fields(Budget) if one.name not in without]
        efforts = {} if {"max_thinking_tokens", "effort"} & set(without) else _EFFORT
        hints = get_type_hints(Budget)

        @functools.wraps(command)
        def run(*args: Any, **given: Any) -> Any:
            with plain_errors():
                values = {one.name: _value(hints[one.name], given.pop(one.name)) for one in chosen}
                budget = _with_effort(values, *(given.pop(name) for name in efforts))
            if says_folders:
                _say_folders(given.get("model", ""))
            return command(*args, budget=budget, **given)

        parameters: list[inspect.Parameter] = []
        for parameter in inspect.signature(command, eval_str=True).parameters.values():
            if parameter.name == "budget":
                parameters += [_option(one, hints[one.name]) for one in chosen]
                parameters += [_parameter(name, None, kind, option) for name, (kind, option) in efforts.items()]
            else:
                parameters.append(parameter)
        run.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
        run.__annotations__ = {parameter.name: parameter.annotation for parameter in parameters}
        return run

    return decorate


def _say_folders(model: str) -> None:
    """One line, if it is an exported folder: what it was exported with is for who loads it, and not for a command."""
    if not model or not (Path(model) / "custom_generate").is_dir():
        return
    from s1_hf.serving.folder import exported_settings

    try:
        own = exported_settings(Path(model))
    except (ValueError, OSError):  # somebody else's, which says nothing about budgets
        return
    if own is not None:
        messages.print(
            f"{model} was exported with a budget ({own['budget'].name}), which acts where it is loaded with "
            "trust_remote_code=True, and in `s1-hf serve`. This command goes by its own options.",
            highlight=False,
            soft_wrap=True,
        )


def _option(one: Field[Any], hint: Any) -> inspect.Parameter:
    """The option of a field; see [`_value`] for what it may be given."""
    kinds = _members(hint)
    help = one.metadata["help"]
    if LoopGuard in kinds:
        kind: Any = bool
        name = one.name.replace("_", "-")
        option = typer.Option(f"--{name}/--no-{name}", help=help, rich_help_panel=PANEL)
        default: Any = False
    else:
        option = typer.Option(help=help, rich_help_panel=PANEL)
        default = one.default
        words = [kind for kind in kinds if get_origin(kind) is Literal]
        if words and int not in kinds:
            kind = words[0]
        elif float in kinds:
            kind = float
        else:
            kind = int if int in kinds and not words else str
        if default is None:
            kind = kind | None
    return _parameter(one.name, default, kind, option)


def _parameter(name: str, default: Any, kind: Any, option: Any) -> inspect.Parameter:
    return inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=default, annotation=Annotated[kind, option])


def _with_effort(values: dict[str, Any], effort: str | None = None, table: Path | None = None) -> Budget:
    """The budget of all options; of an effort's, those that were given must not be what it says."""
    if effort is None:
        if table is not None:
            raise ValueError("`--effort-table` has no effect without `--effort`. Give that as well, or leave it out.")
        return Budget(**values)
    given = {one.name: values[one.name] for one in fields(Budget) if values.get(one.name, one.default) != one.default}
    return (Effort() if table is None else Effort.read(table)).budget(effort, given)


def _value(hint: Any, given: Any) -> Any:
    """What an option says: a number, a word, an empty text for none, or a switch for a loop guard."""
    kinds = _members(hint)
    if LoopGuard in kinds:
        return LoopGuard() if given else None
    if isinstance(given, str) and int in kinds and given.removeprefix("-").isdecimal():
        return int(given)
    return None if given == "" else given


def _members(hint: Any) -> tuple[Any, ...]:
    return get_args(hint) if get_origin(hint) in (Union, types.UnionType) else (hint,)
