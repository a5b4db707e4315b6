"""How an engine of vLLM is built so that requests can have budgets."""

from __future__ import annotations

from typing import Any

from s1_hf.vllm.setup import SECTION, check_defaults

PROCESSOR = "s1_hf.vllm.processor:BudgetForcing"
EXTENSION = "s1_hf.vllm.extension.ReportsExtension"


def engine_options(*, format: str | dict[str, Any] | None = None, **texts: Any) -> dict[str, Any]:
    """The options for `vllm.LLM(...)`, or `AsyncEngineArgs`, with which requests can have budgets.

    On the command line of `vllm serve` they are `--logits-processors`, `--worker-extension-cls` and
    `--additional-config`.

    Args:
        format (`str` or `dict`, *optional*): the thinking format's name, or settings as in
            [`ThinkingFormat.from_tokenizer`] or [`ThinkingFormat.from_delimiters`]; detected if absent.
        **texts: fields of [`Budget`] that all rows of a batch share, such as `wait_text` and `answer_prefix`, for
            requests that do not give them.

    Raises:
        ValueError: a text is wrong, or something else was given.

    Example:

    ```python
    >>> from s1_hf.vllm.options import engine_options
    >>> engine_options(format="think", wait_text="Hmm")["additional_config"]
    {'s1_hf': {'format': 'think', 'wait_text': 'Hmm'}}

    ```
    """
    check_defaults(texts)
    section = {"format": format, **texts} if format is not None else dict(texts)
    options: dict[str, Any] = {"logits_processors": [PROCESSOR], "worker_extension_cls": EXTENSION}
    if section:
        options["additional_config"] = {SECTION: section}
    return options
