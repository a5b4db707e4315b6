"""An engine by what it is called: `"transformers"`, `"vllm"`, or the address of a server."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from s1_hf.engines.endpoint.options import is_address
from s1_hf.engines.endpoint_engine import EndpointEngine
from s1_hf.engines.transformers_engine import TransformersEngine
from s1_hf.engines.vllm_engine import VllmEngine

if TYPE_CHECKING:
    from s1_hf.engines.checkpoint import Checkpoint
    from s1_hf.forcing.formats import ThinkingFormat

AnyEngine = TransformersEngine | VllmEngine | EndpointEngine


def engine_for(
    checkpoint: Checkpoint,
    name: str,
    *,
    format: ThinkingFormat,
    batch_size: int,
    dtype: str = "auto",
    max_length: int | None = None,
    options: Mapping[str, Any] | None = None,
    share: tuple[int, int] = (0, 1),
    loading: Mapping[str, Any] | None = None,
) -> AnyEngine:
    """The engine for a model.

    Args:
        name (`str`): `"transformers"`, `"vllm"`, or the address of a server that runs the model.
        options (`Mapping`, *optional*): for vLLM, or for the server.
        share, loading (*optional*): for transformers, see [`TransformersEngine`] and [`Checkpoint.load`].

    Raises:
        ValueError: one of several processes is to ask a server, or to start vLLM; or as the engine says.
    """
    processes = share[1]
    if is_address(name):
        if processes > 1:
            raise ValueError(
                f"One process asks a server for everything, but this is one of {processes}. Run it without a launcher, "
                "with `--concurrency`."
            )
        given: dict[str, Any] = dict(options or {})
        return EndpointEngine(checkpoint, name, format=format, max_length=max_length, **given)
    if name == "vllm":
        if processes > 1:
            raise ValueError(
                f"vLLM starts its own processes, but this is one of {processes}. Run it without a launcher, with "
                "`--tensor-parallel-size` or `--data-parallel-size`."
            )
        return VllmEngine(
            checkpoint,
            format=format,
            batch_size=batch_size,
            dtype=dtype,
            max_length=max_length,
            options=dict(options or {}),
        )
    return TransformersEngine.from_checkpoint(
        checkpoint, format=format, batch_size=batch_size, share=share, loading={**(loading or {}), "dtype": dtype}
    )
