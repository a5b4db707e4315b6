"""`s1-hf playground`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from s1_hf._lazy import require
from s1_hf.cli import options as o
from s1_hf.cli.engines import (
    AnyEngine,
    ApiKeyEnv,
    Concurrency,
    MaxRetries,
    Rounds,
    ServedName,
    TimeoutS,
    engine_options,
    given_in,
    named,
)
from s1_hf.cli.terminal import messages, plain_errors, quiet_libraries, quiet_loading

_SERVER: dict[str, Any] = {"rich_help_panel": "Server"}
_MOST: dict[str, Any] = {"rich_help_panel": "What a visitor may ask for"}


def playground(
    context: typer.Context,
    model: Annotated[
        str,
        typer.Argument(help="A folder or a name on the Hub: a model or an adapter; the built-in toy by default."),
    ] = "embedded",
    engine: AnyEngine = "transformers",
    *,
    host: Annotated[str, typer.Option(help="Where to listen; by default only this machine reaches it.", **_SERVER)] = (
        "127.0.0.1"
    ),
    port: Annotated[int, typer.Option(min=1, max=65535, **_SERVER)] = 7860,
    share: Annotated[
        bool,
        typer.Option("--share", help="Let Gradio make it public for some days, by a tunnel.", **_SERVER),
    ] = False,
    max_new_tokens: Annotated[int, typer.Option(help="Tokens of an answer.", min=2, **_MOST)] = 2048,
    max_characters: Annotated[int, typer.Option(help="Characters of a question.", min=2, **_MOST)] = 20_000,
    max_budgets: Annotated[int, typer.Option(help="Budgets of a comparison.", min=2, **_MOST)] = 8,
    max_problems: Annotated[int, typer.Option(help="Problems of a curve.", min=2, **_MOST)] = 100,
    thinking_format: o.ThinkingFormat = None,
    thinking_start: o.ThinkingStart = None,
    thinking_close: o.ThinkingClose = None,
    force_start: o.ForceStart = False,
    dtype: o.Dtype = "auto",
    revision: o.Revision = "main",
    trust_remote_code: o.TrustRemoteCode = False,
    rounds: Rounds = False,
    served_name: ServedName = None,
    concurrency: Concurrency = None,
    timeout_s: TimeoutS = None,
    max_retries: MaxRetries = None,
    api_key_env: ApiKeyEnv = None,
    space: Annotated[
        Path | None,
        typer.Option(help="Start nothing: write a folder that can be pushed as a Space.", file_okay=False),
    ] = None,
) -> None:
    """Play with a model's thinking budget in a browser: one answer as it is written, several budgets side by side,
    and a scaling curve of the embedded task while it grows.

    Examples:

    s1-hf playground

    s1-hf playground Qwen/Qwen3-8B --max-new-tokens 8000

    s1-hf playground Qwen/Qwen3-32B --engine http://gpu-box:8000/v1 --concurrency 16

    s1-hf playground Qwen/Qwen3-1.7B --space my-space
    """
    with plain_errors():
        options = engine_options(context, engine)
        said = o.chosen_format(thinking_format, thinking_start, thinking_close, force_start)
        most = {"new_tokens": max_new_tokens, "characters": max_characters}
        most |= {"budgets": max_budgets, "problems": max_problems}
        if space is not None:
            from s1_hf.playground.space import write_space

            allowed = ("model", "space", "revision", "trust_remote_code", "dtype", *o.FORMAT)
            useless = [name for name in given_in(context) if name not in (*allowed, *_LIMITS)]
            if useless:
                raise ValueError(f"{named(useless)} has no meaning in a Space, which runs the model by transformers.")
            where = {"revision": revision, "trust_remote_code": trust_remote_code, "dtype": dtype}
            write_space(space, model, format=said, most=most, **where)
            messages.print(f"Written: {space}. Push it to a Space as it is.", highlight=False, soft_wrap=True)
            return
        require("gradio", "playground")
        from s1_hf.serving.start import check_port, is_loopback

        check_port(host, port)
        quiet_libraries()
        quiet_loading(model)
        from s1_hf.playground.asking import Most
        from s1_hf.playground.start import play

        if not is_loopback(host) or share:
            messages.print(
                "Warning: whoever reaches it can use it. Its users need no password, and may ask for as much as "
                "--max-new-tokens allows.",
                soft_wrap=True,
            )
        play(
            model,
            engine=engine,
            options=options,
            format=said,
            most=Most(**most),
            dtype=dtype,
            revision=revision,
            trust_remote_code=trust_remote_code,
            host=host,
            port=port,
            share=share,
            on_start=_say,
        )


_LIMITS = ("max_new_tokens", "max_characters", "max_budgets", "max_problems")


def _say(address: str) -> None:
    messages.print(f"The playground is at {address}. Ctrl-C ends it.", highlight=False, soft_wrap=True)
