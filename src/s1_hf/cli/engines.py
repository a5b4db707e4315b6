"""The engine that runs a model, and options of its own."""

from __future__ import annotations

import difflib
import os
from collections.abc import Sequence
from typing import Annotated, Any, Literal

import typer

from s1_hf.engines.endpoint.options import OPTIONS, is_address

MORE = {"allow_extra_args": True, "ignore_unknown_options": True}
"""For commands with an engine: what is no option of theirs may be one of vLLM's."""

HERE = ("transformers", "vllm")


def _checked(name: str) -> str:
    if name not in HERE and not is_address(name):
        known = ", ".join(map(repr, HERE))
        raise typer.BadParameter(f"{name!r} is not one of {known}, nor an address such as http://localhost:8000/v1.")
    return name


Engine = Annotated[
    Literal["transformers", "vllm"],
    typer.Option(help="What runs the model. vllm: any option of vLLM may follow, such as --tensor-parallel-size 8."),
]

AnyEngine = Annotated[
    str,
    typer.Option(
        callback=_checked,
        metavar=f"[{'|'.join(HERE)}|http://...]",
        help="What runs the model: this process; vLLM, any option of which may follow, such as --tensor-parallel-size "
        "8; or a server at an address, which s1-hf serve has started.",
    ),
]

_ENDPOINT = {"rich_help_panel": "Endpoint"}

Rounds = Annotated[
    bool,
    typer.Option(
        "--rounds",
        help="Force budgets by asking again after every stop, at a server that has no plug-in of ours.",
        **_ENDPOINT,
    ),
]
ServedName = Annotated[
    str | None, typer.Option(help="The model's name at the server; by default the only one there.", **_ENDPOINT)
]
Concurrency = Annotated[int | None, typer.Option(help="Requests in flight at a time; 32.", min=1, **_ENDPOINT)]
TimeoutS = Annotated[
    float | None, typer.Option("--timeout", help="Seconds to wait for a reply; 1800.", min=0, **_ENDPOINT)
]
MaxRetries = Annotated[int | None, typer.Option(help="Retries per request; 8.", min=0, **_ENDPOINT)]
ApiKeyEnv = Annotated[
    str | None,
    typer.Option(help="The variable of the environment that holds the key; OPENAI_API_KEY by default.", **_ENDPOINT),
]

_OPTION = {"timeout_s": "--timeout"}
_THEIR_OWN = ("dtype", "batch_size")
"""Parameters of commands that are a server's own business."""


def engine_options(context: typer.Context, engine: str) -> dict[str, Any]:
    """What the arguments that are left say to vLLM, or the options of an endpoint to that; else there must be none.

    Raises:
        ValueError: an option is known to nobody, or has no meaning with this engine.
    """
    left = list(context.args)
    given = given_in(context)
    said = [name for name in given if name in OPTIONS]
    if is_address(engine):
        refuse_left(context)
        if useless := [name for name in given if name in _THEIR_OWN]:
            raise ValueError(f"{named(useless)} has no meaning with a server's address as `--engine`.")
        return {name: context.params[name] for name in said}
    if said:
        raise ValueError(f"{named(said)} needs a server's address as `--engine`, such as http://localhost:8000/v1.")
    if engine == "vllm":
        from s1_hf.vllm.installed import check_installed

        check_installed()
        # Also of the processes that it starts: stdout is for results.
        os.environ.setdefault("VLLM_LOGGING_LEVEL", "WARNING")
        os.environ.setdefault("VLLM_LOGGING_STREAM", "ext://sys.stderr")
        from s1_hf.vllm.loading import options_from

        try:
            return options_from(left)
        except ValueError as error:
            unknown = [one for one in left if one.startswith("-") and one in str(error)]
            raise ValueError(f"{error}.{_near(context, *unknown)}") from error
    refuse_left(context)
    return {}


def refuse_left(context: typer.Context) -> None:
    """Raises a `ValueError` for arguments that are left."""
    left = list(context.args)
    if not left:
        return
    if not left[0].startswith("-"):
        raise ValueError(f"Got an unexpected argument: {left[0]}")
    name = left[0].split("=")[0]
    raise ValueError(f"No such option: {name}.{_near(context, name)} Options of vLLM need `--engine vllm`.")


def given_in(context: typer.Context) -> list[str]:
    """The parameters that are not left at their defaults."""
    found = []
    for name in context.params:
        source = context.get_parameter_source(name)
        if source is not None and source.name != "DEFAULT":
            found.append(name)
    return found


def named(names: Sequence[str]) -> str:
    """Parameters as options, for an error."""
    return ", ".join(f"`{_OPTION.get(name, '--' + name.replace('_', '-'))}`" for name in names)


def _near(context: typer.Context, *names: str) -> str:
    """The end of an error: an option of the command that the first of these names looks like, if any does."""
    known = [other for one in context.command.params for other in one.opts]
    for name in names:
        if near := difflib.get_close_matches(name.split("=")[0], known, 1):
            return f" Did you mean {near[0]}?"
    return ""
