"""The engine that runs a model, and options of its own."""

from __future__ import annotations

import difflib
import os
from typing import Annotated, Any, Literal

import typer

MORE = {"allow_extra_args": True, "ignore_unknown_options": True}
"""For commands with an engine: what is no option of theirs may be one of vLLM's."""

Engine = Annotated[
    Literal["transformers", "vllm"],
    typer.Option(help="What runs the model. vllm: any option of vLLM may follow, such as --tensor-parallel-size 8."),
]


def engine_options(context: typer.Context, engine: str) -> dict[str, Any]:
    """What the arguments that are left say to vLLM; without it there must be none.

    Raises:
        ValueError: an option is known to nobody.
    """
    left = list(context.args)
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
    if not left:
        return {}
    if not left[0].startswith("-"):
        raise ValueError(f"Got an unexpected argument: {left[0]}")
    name = left[0].split("=")[0]
    raise ValueError(f"No such option: {name}.{_near(context, name)} Options of vLLM need `--engine vllm`.")


def _near(context: typer.Context, *names: str) -> str:
    """The end of an error: an option of the command that the first of these names looks like, if any does."""
    known = [other for one in context.command.params for other in one.opts]
    for name in names:
        if near := difflib.get_close_matches(name.split("=")[0], known, 1):
            return f" Did you mean {near[0]}?"
    return ""
