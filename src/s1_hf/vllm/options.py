"""How an engine of vLLM is built so that requests can have budgets."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from s1_hf.forcing.budget import Budget
from s1_hf.forcing.flat import flat
from s1_hf.vllm.setup import SECTION, defaults_of

PROCESSOR = "s1_hf.vllm.processor:BudgetForcing"
EXTENSION = "s1_hf.vllm.extension.ReportsExtension"

_ONLY_HOW = """
    tensor_parallel_size pipeline_parallel_size data_parallel_ prefill_context_parallel_size
    decode_context_parallel_size enable_expert_parallel distributed_ cpu_distributed_ master_ nnodes node_rank
    device_ids numa_bind ray_workers_ max_parallel_loading_workers disable_custom_all_reduce
    gpu_memory_utilization kv_cache_memory_bytes num_gpu_blocks_override cpu_offload_ kv_offloading_ block_size
    enable_prefix_caching enable_chunked_prefill long_prefill_token_threshold max_num_ max_model_len
    async_scheduling scheduling_policy enforce_eager
    download_dir hf_token use_tqdm_on_load safetensors_ disable_log_stats log_ logging_config enable_log_requests
    otlp_ collect_detailed_traces profiler_config shutdown_timeout
"""
"""How the names of options begin that say how an engine runs, and nothing about what it answers, up to rounding."""


def deciding_options(options: Mapping[str, Any]) -> dict[str, Any]:
    """Those of an engine's options that may change an answer, as JSON types: all but a few that are known not to.

    Example:

    ```python
    >>> from s1_hf.vllm.options import deciding_options
    >>> deciding_options({"load_format": "dummy", "tensor_parallel_size": 8})
    {'load_format': 'dummy'}

    ```
    """
    only_how = tuple(_ONLY_HOW.split())
    deciding = {name: value for name, value in options.items() if not name.startswith(only_how)}
    found: dict[str, Any] = json.loads(json.dumps(deciding, sort_keys=True, default=_name_of))
    return found


def _name_of(value: Any) -> str:
    """What stands for a value that is no JSON: a class or a function by its name, which is the same in every run."""
    return f"{value.__module__}.{value.__qualname__}" if hasattr(value, "__qualname__") else repr(value)


def engine_options(*, format: str | dict[str, Any] | None = None, **texts: Any) -> dict[str, Any]:
    """The options for `vllm.LLM(...)`, or `AsyncEngineArgs`, with which requests can have budgets.

    On the command line of `vllm serve` they are `--logits-processors`, `--worker-extension-cls` and
    `--additional-config`.

    Args:
        format (`str` or `dict`, *optional*): the thinking format's name, or settings as in
            [`ThinkingFormat.from_tokenizer`] or [`ThinkingFormat.from_delimiters`]; detected if absent.
        **texts: fields of [`Budget`] that all rows of a batch share, such as `wait_text` and `answer_prefix`, for
            requests that do not give them; also as in `extra_args`, where an empty text stands for `None`.

    Raises:
        ValueError: a text is wrong, or something else was given.

    Example:

    ```python
    >>> from s1_hf.vllm.options import engine_options
    >>> engine_options(format="think", wait_text="Hmm")["additional_config"]
    {'s1_hf': {'format': 'think', 'wait_text': 'Hmm'}}

    ```
    """
    section = {"format": format, **texts} if format is not None else dict(texts)
    defaults = defaults_of(section)
    section |= flat(Budget(**defaults), defaults)
    options: dict[str, Any] = {"logits_processors": [PROCESSOR], "worker_extension_cls": EXTENSION}
    if section:
        options["additional_config"] = {SECTION: section}
    return options
