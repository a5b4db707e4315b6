"""An engine made, the page served, until somebody ends it."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from typing import Any

from s1_hf._lazy import require
from s1_hf.embedded import Problem
from s1_hf.engines.checkpoint import Checkpoint
from s1_hf.engines.endpoint.options import is_address
from s1_hf.engines.made import AnyEngine, engine_for
from s1_hf.engines.transformers_engine import TransformersEngine
from s1_hf.engines.vllm_engine import VllmEngine
from s1_hf.forcing.formats import format_of_settings
from s1_hf.playground.asking import Most
from s1_hf.plots.style import forget_own_settings
from s1_hf.secrets import shown_address

SERVER_REQUESTS = 8
"""Visitors whose work a server gets at a time, if nothing else is said."""

_QUESTION = "How many r are in raspberry?"


def play(
    model: str = "embedded",
    *,
    engine: str = "transformers",
    options: Mapping[str, Any] | None = None,
    format: Any = None,
    most: Most | None = None,
    dtype: str = "auto",
    revision: str = "main",
    trust_remote_code: bool = False,
    host: str | None = None,
    port: int | None = None,
    share: bool = False,
    on_start: Callable[[str], Any] = lambda address: None,
) -> None:
    """Serve the playground for a model, until the process is interrupted.

    Args:
        model (`str`): a folder, a name on the Hub, or `"embedded"`.
        engine (`str`): `"transformers"`, `"vllm"`, or the address of a server that runs the model.
        options (`Mapping`, *optional*): of vLLM, or of the server; see [`engine_for`].
        format (*optional*): as [`format_of_settings`] takes it; detected by default.
        most ([`Most`], *optional*): how much a visitor may ask for.
        host, port (*optional*): where to listen; by default where Gradio's environment variables say, as on a Space,
            else on 127.0.0.1.
        share (`bool`, defaults to `False`): have Gradio make it public by a tunnel.
        on_start (`Callable`): told the address.

    Raises:
        ModuleNotFoundError: Gradio is not installed. ValueError: the model cannot be budget forced. OSError: there is
            no such model, or the port is taken.
    """
    require("gradio", "playground")
    require("matplotlib", "plot")
    from s1_hf.playground.app import build, launched
    from s1_hf.playground.handling import Handlers

    forget_own_settings()
    checkpoint = Checkpoint.find(model, revision=revision, trust_remote_code=trust_remote_code)
    chosen = format_of_settings(checkpoint.tokenizer, format)
    given = dict(options or {})
    at_once = 1
    if is_address(engine):
        at_once = given["concurrency"] = given.get("concurrency") or SERVER_REQUESTS
    made = engine_for(checkpoint, engine, format=chosen, batch_size=8, dtype=dtype, options=given)
    _load(made)
    question = Problem(2, 7, 3, 8).question if model == "embedded" else _QUESTION
    name = shown_address(engine) if is_address(engine) else engine
    page = build(Handlers(made, most or Most(), at_once), model, name, question)
    try:
        address = launched(page, host=host, port=port, share=share)
        on_start(address)
        threading.Event().wait()
    finally:
        page.close(verbose=False)
        made.forget_weights()


def _load(engine: AnyEngine) -> None:
    """Weights are read before the first visitor comes."""
    if isinstance(engine, TransformersEngine):
        engine.model  # noqa: B018
    elif isinstance(engine, VllmEngine):
        engine.llm  # noqa: B018
