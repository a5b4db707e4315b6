"""The settings of an evaluation, as lighteval's own kind of model configuration."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any, Literal

from lighteval.models.abstract_model import ModelConfig
from pydantic import Field, NonNegativeInt, PositiveInt, field_validator
from transformers import GenerationConfig

from s1_hf.forcing.budget import Budget, LoopGuard

# Of lighteval's generation parameters, those that transformers' greedy decoding and sampling know.
_KNOWN = {"temperature", "top_k", "top_p", "min_p", "repetition_penalty", "max_new_tokens", "seed"}
# What changes no answer, or is told by the key of every single row (see `store`): the prompt, the lengths, the weights.
_NOT_IN_KEY = {"model_name", "revision", "batch_size", "max_length", "device_map", "attn_implementation", "cache_dir"}
_NOT_IN_KEY |= {"system_prompt", "chat_template_kwargs", "max_answer_tokens", "trust_remote_code"}


class BudgetForcingConfig(ModelConfig):
    """What [`BudgetForcingModel`] runs. Being fields of the model configuration, the budgets are in lighteval's results
    file and in its cache key: two budgets never share their answers.

    Args:
        model_name (`str`): a local folder or a name on the Hub: a model, or a LoRA adapter whose base is named in it.
        revision (`str`, defaults to `"main"`): of a model on the Hub.
        dtype (`str`, defaults to `"auto"`): `"float32"`, `"bfloat16"`, `"float16"`, or `"auto"`, as the weights were
            saved. In float32 greedy answers do not depend on the batch size; s1's final numbers are in float32.
        device_map (`str`, *optional*): for `from_pretrained`; by default one device a process, and all GPUs
            (`"auto"`) if there is one process alone.
        attn_implementation (`str`, *optional*): for `from_pretrained`.
        trust_remote_code (`bool`, defaults to `False`): for `from_pretrained`.
        batch_size (`int`, defaults to 8): rows of a batch; each sample of a problem is a row. A batch that does not
            fit into a GPU's memory is halved.
        max_length (`int`, *optional*): tokens of prompt and output together; the model's context by default.
        format (`str` or `dict`, *optional*): the thinking format's name, or the arguments of
            [`ThinkingFormat.from_delimiters`]; detected from the tokenizer if absent.
        max_thinking_tokens, min_thinking_tokens, num_ignores, wait_text, answer_prefix, loop_guard: see [`Budget`].
        max_answer_tokens (`int`, *optional*): see [`AnswerLengthCriteria`].
        chat_template_kwargs (`dict`): for the chat template, such as `{"enable_thinking": True}`.
        generation_parameters (`GenerationParameters`): lighteval's. Greedy at temperature 0, the default. Unlike
            `generate`'s own defaults, what is not given is off (`top_k` too), and nothing is taken from the model's
            `generation_config` but its ends of sequence. `seed`, 0 by default, is for sampling. `max_new_tokens`
            takes the place of a task's `generation_size`; without either a problem may fill the context.
        system_prompt (`str`, *optional*): put before each problem.
        cache_dir (`str`): the folder in which finished problems are kept.

    Raises:
        ValueError: a budget is out of range, or a generation parameter is not supported.
    """

    model_name: str
    revision: str = "main"
    dtype: Literal["auto", "float32", "bfloat16", "float16"] = "auto"
    device_map: str | None = None
    attn_implementation: str | None = None
    trust_remote_code: bool = False
    batch_size: PositiveInt = 8
    max_length: PositiveInt | None = None
    format: str | dict[str, Any] | None = None
    max_thinking_tokens: NonNegativeInt | Literal["auto"] | None = None
    min_thinking_tokens: NonNegativeInt = 0
    num_ignores: NonNegativeInt = 0
    wait_text: str | list[str] | None = "Wait"
    answer_prefix: str | None = "Final Answer:"
    loop_guard: LoopGuard | None = None
    max_answer_tokens: PositiveInt | None = None
    chat_template_kwargs: dict[str, Any] = Field(default_factory=dict)

    @field_validator("model_name")
    @classmethod
    def _no_parent_folder(cls, name: str) -> str:
        """A relative path through `..` is made absolute: lighteval puts its results under that name."""
        return str(Path(name).resolve()) if ".." in Path(name).parts else name

    def model_post_init(self, context: Any, /) -> None:
        """Checks the budgets together, and the generation parameters."""
        Budget(**self.budget)
        given = self.generation_parameters.model_dump(exclude_none=True)
        unknown = sorted(given.keys() - _KNOWN)
        if unknown:
            raise ValueError(
                f"`generation_parameters` has to be made of {', '.join(sorted(_KNOWN))}, but has {', '.join(unknown)}."
            )

    @property
    def budget(self) -> dict[str, Any]:
        """The fields of [`Budget`]."""
        names = ("max_thinking_tokens", "min_thinking_tokens", "num_ignores", "wait_text", "answer_prefix")
        return {name: getattr(self, name) for name in names} | {"loop_guard": self.loop_guard}

    @property
    def samples(self) -> bool:
        """Whether tokens are drawn, not picked greedily."""
        return bool(self.generation_parameters.temperature > 0)

    @property
    def seed(self) -> int:
        """Of the draws."""
        return self.generation_parameters.seed or 0

    def generation_config(self, max_new_tokens: int, eos_token_id: list[int], pad_token_id: int) -> GenerationConfig:
        """Everything that `generate` has to know, so that nothing is left to a model's own defaults."""
        given = self.generation_parameters
        sampling: dict[str, Any] = {"do_sample": False}
        if self.samples:
            sampling = {"do_sample": True, "temperature": given.temperature, "top_k": given.top_k or 0}
            sampling |= {"top_p": 1.0 if given.top_p is None else given.top_p, "min_p": given.min_p}
        return GenerationConfig(
            **sampling,
            repetition_penalty=given.repetition_penalty or 1.0,
            max_new_tokens=max_new_tokens,
            eos_token_id=eos_token_id,
            pad_token_id=pad_token_id,
        )

    def key(self, **more: Any) -> str:
        """A hash of all settings that decide what is written for a prompt, and of `more`; 16 hexadecimal digits."""
        return digest(self.deciding | more)[:16]

    @property
    def deciding(self) -> dict[str, Any]:
        """The settings that decide what is written for a prompt, as JSON types."""
        settings: dict[str, Any] = self.model_dump(mode="json", exclude=_NOT_IN_KEY)
        settings["generation_parameters"].pop("max_new_tokens")
        if not self.samples:
            settings["generation_parameters"].pop("seed")
        return settings


def digest(value: Any) -> str:
    """SHA-256 of a value of JSON types, whatever the order of its keys."""
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()
