"""`s1-hf serve`."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple

import typer

from s1_hf.cli import options as o
from s1_hf.cli.budgets import takes_budget
from s1_hf.cli.engines import Engine, given_in
from s1_hf.cli.terminal import console, messages, plain_errors, quiet_loading
from s1_hf.forcing.budget import NAMES, Budget
from s1_hf.forcing.effort import Effort

if TYPE_CHECKING:
    from s1_hf.serving.terms import Terms

_SERVER: dict[str, Any] = {"rich_help_panel": "Server"}


@takes_budget(without=("effort",), says_folders=False)
def serve(
    context: typer.Context,
    model: o.Model,
    engine: Engine = "transformers",
    *,
    host: Annotated[str, typer.Option(help="Where to listen; by default only this machine reaches it.", **_SERVER)] = (
        "127.0.0.1"
    ),
    port: Annotated[int, typer.Option(min=1, max=65535, **_SERVER)] = 8000,
    api_key: Annotated[
        str | None,
        typer.Option(
            envvar="S1_HF_API_KEY",
            show_default=False,
            help="What clients have to bear. Others on this machine see what is typed here: better in the environment.",
            **_SERVER,
        ),
    ] = None,
    budget: Budget,
    max_answer_tokens: o.MaxAnswerTokens = None,
    effort_table: Annotated[
        Path | None,
        typer.Option(
            help="A YAML or JSON file that says what `reasoning_effort` of requests means; by default shares of the "
            "room.",
            dir_okay=False,
            rich_help_panel="Budget",
        ),
    ] = None,
    stock_effort: Annotated[
        bool,
        typer.Option("--stock-effort", help="Leave `reasoning_effort` to the server itself.", rich_help_panel="Budget"),
    ] = False,
    thinking_format: o.ThinkingFormat = None,
    thinking_start: o.ThinkingStart = None,
    thinking_close: o.ThinkingClose = None,
    force_start: o.ForceStart = False,
    revision: o.Revision = "main",
    trust_remote_code: o.TrustRemoteCode = False,
    show_command: Annotated[
        bool, typer.Option("--show-command", help="Show the stock server's command line, and exit.", **_SERVER)
    ] = False,
) -> None:
    """Serve a model by an OpenAI-compatible endpoint at which every request can have its own thinking budget.

    Starts a stock server, `transformers serve` or `vllm serve`, rightly configured; any of its own options may follow.
    The budget given here is that of requests that do not say. The model is not changed.

    Examples:

    s1-hf serve Qwen/Qwen3-8B --max-thinking-tokens 4000

    s1-hf serve Qwen/Qwen3-32B --engine vllm --tensor-parallel-size 4

    s1-hf serve embedded --port 8001
    """
    with plain_errors():
        if context.args and not context.args[0].startswith("-"):
            raise ValueError(f"Got an unexpected argument: {context.args[0]}")
        if stock_effort and effort_table is not None:
            raise ValueError("`--stock-effort` and `--effort-table` exclude each other. Leave one of them out.")
        from s1_hf.serving.folder import exported_of
        from s1_hf.serving.terms import Terms

        effort = None if stock_effort else Effort() if effort_table is None else Effort.read(effort_table)
        said = o.chosen_format(thinking_format, thinking_start, thinking_close, force_start)
        quiet_loading(model)
        try:
            own = exported_of(model, revision)
        except ValueError:  # code of somebody else's, which vLLM does not look at
            if engine != "vllm":
                raise
            own = None
        if own is not None:
            given = {name: getattr(budget, name) for name in given_in(context) if name in NAMES}
            budget = replace(own["budget"], **given)
            max_answer_tokens = own["max_answer_tokens"] if max_answer_tokens is None else max_answer_tokens
            said = said or own["format"]
        terms = Terms.of(budget, max_answer_tokens, effort)
        wanted = _Wanted(
            model, terms, said, host, port, api_key, revision, trust_remote_code, tuple(context.args), show_command
        )
        (_with_vllm if engine == "vllm" else _with_transformers)(wanted)


class _Wanted(NamedTuple):
    """What a server is to be."""

    model: str
    terms: Terms
    format: Any
    host: str
    port: int
    api_key: str | None
    revision: str
    trust: bool
    others: tuple[str, ...]
    shows: bool


def _with_vllm(wanted: _Wanted) -> None:
    from s1_hf.forcing.formats import ThinkingFormat
    from s1_hf.serving import start
    from s1_hf.vllm.installed import check_installed
    from s1_hf.vllm.setup import whole

    others = list(wanted.others)
    if wanted.trust:
        others.insert(0, "--trust-remote-code")
    if wanted.revision != "main":
        others = ["--revision", wanted.revision, *others]
    format = whole(wanted.format) if isinstance(wanted.format, ThinkingFormat) else wanted.format
    arguments = start.vllm_arguments(wanted.model, wanted.terms, format, wanted.host, wanted.port, others)
    if wanted.shows:
        console.print(start.shown("vllm", arguments), highlight=False, soft_wrap=True)
        return
    check_installed()
    start.check_port(wanted.host, wanted.port)
    keys = wanted.api_key or os.environ.get("VLLM_API_KEY") or any(one.startswith("--api-key") for one in others)
    _warn_about_strangers(wanted.host, bool(keys))
    start.become(start.vllm_command(arguments), {"VLLM_API_KEY": wanted.api_key} if wanted.api_key else {})


def _with_transformers(wanted: _Wanted) -> None:
    from s1_hf.serving import start
    from s1_hf.serving.folder import format_of, model_folder
    from s1_hf.serving.terms import ANSWER

    folder = model_folder(wanted.model, wanted.revision, wanted.trust)
    name = start.served_name(wanted.model, folder)
    arguments = start.transformers_arguments(name, wanted.host, wanted.port, wanted.others)
    budget = wanted.terms.budget
    if wanted.shows:
        console.print(start.shown("transformers", arguments), highlight=False, soft_wrap=True)
        messages.print(
            f"There {name} is a folder that exists only while s1-hf serve runs: an export of the model with this "
            f"budget: {budget.name}. `s1-hf export` makes one that stays.",
            highlight=False,
            soft_wrap=True,
        )
        return
    start.check_transformers()
    start.check_port(wanted.host, wanted.port)
    from s1_hf.serving.transformers_app import Served

    settings = {
        "budget": budget,
        "format": format_of(folder, wanted.format),
        "max_answer_tokens": wanted.terms.defaults.get(ANSWER),
    }
    with start.exported(folder, name, settings, wanted.trust) as place:
        served = Served.of(place, name, settings, wanted.terms.effort, (wanted.api_key,) if wanted.api_key else ())
        _warn_about_strangers(wanted.host, bool(served.keys))
        messages.print(f"{name}: http://{wanted.host}:{wanted.port}/v1", highlight=False, soft_wrap=True)
        start.run_transformers(arguments, served)


def _warn_about_strangers(host: str, has_key: bool) -> None:
    from s1_hf.serving.start import is_loopback

    if not is_loopback(host) and not has_key:
        messages.print(
            f"Warning: whoever reaches {host} can use this server, because it asks for no key. Give it one, in the "
            "environment: S1_HF_API_KEY. Or let it listen on 127.0.0.1.",
            soft_wrap=True,
        )
