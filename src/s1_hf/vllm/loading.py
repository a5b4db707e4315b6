"""Engines of vLLM, built for budgets."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, NoReturn

from vllm.distributed import cleanup_dist_env_and_memory
from vllm.engine.arg_utils import EngineArgs
from vllm.utils.argparse_utils import FlexibleArgumentParser

from s1_hf.vllm.options import engine_options
from s1_hf.vllm.setup import whole
from vllm import LLM

if TYPE_CHECKING:
    from s1_hf.forcing.formats import ThinkingFormat


def load(model: str, format: ThinkingFormat, options: Mapping[str, Any], **own: Any) -> LLM:
    """Build an engine.

    Args:
        model (`str`): a folder or a name on the Hub.
        format ([`ThinkingFormat`]): how its thinking opens and closes.
        options (`Mapping`): for `vllm.LLM`; our processor stands last among `logits_processors`.
        **own: more of them, from this package.

    Raises:
        ValueError: vLLM does not take an option.
    """
    given = dict(options)
    ours = engine_options(format=whole(format))
    ours["logits_processors"] = [*given.pop("logits_processors", ()), *ours["logits_processors"]]
    ours["additional_config"] = {**given.pop("additional_config", {}), **ours["additional_config"]}
    try:
        return LLM(model, **{"disable_log_stats": True, **own, **ours, **given})
    except TypeError as error:
        raise ValueError(f"vLLM does not take an option: {error}") from error


def options_from(arguments: list[str]) -> dict[str, Any]:
    """What arguments of a command line, such as `["--tensor-parallel-size", "8"]`, say to an engine.

    Raises:
        ValueError: vLLM does not know one of them.
    """
    parser = EngineArgs.add_cli_args(_Parser(add_help=False))
    parsed = vars(parser.parse_args(arguments))
    return {name: value for name, value in parsed.items() if value != parser.get_default(name)}


class _Parser(FlexibleArgumentParser):
    """vLLM's, whose errors are ours."""

    def error(self, message: str) -> NoReturn:
        raise ValueError(f"vLLM says: {message}")


def shut_down(llm: LLM) -> None:
    """End an engine, and free its memory."""
    llm.llm_engine.engine_core.shutdown()
    cleanup_dist_env_and_memory()
