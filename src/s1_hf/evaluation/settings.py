"""The settings of an evaluation."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any

from s1_hf.engines.endpoint.options import check_options, is_address
from s1_hf.engines.request import Sampling
from s1_hf.forcing.budget import NO_INTERVENTION, Budget
from s1_hf.forcing.confidence import Confidence
from s1_hf.forcing.format_settings import check_settings
from s1_hf.forcing.values import bad_counts
from s1_hf.secrets import shown_address

DTYPES = ("auto", "float32", "bfloat16", "float16")


@dataclass(frozen=True, kw_only=True)
class Settings:
    """A model, and how it is asked.

    Args:
        model (`str`): a local folder or a name on the Hub: a model, or a LoRA adapter whose base is named in it.
        revision (`str`, defaults to `"main"`): of a model on the Hub.
        dtype (`str`, defaults to `"auto"`): `"float32"`, `"bfloat16"`, `"float16"`, or `"auto"`, as the weights were
            saved. In float32 greedy answers do not depend on the batch size; s1's final numbers are in float32.
        device_map (`str`, *optional*): for `from_pretrained`; by default one device a process, and all GPUs
            (`"auto"`) if there is only one process.
        attn_implementation (`str`, *optional*): for `from_pretrained`.
        trust_remote_code (`bool`, defaults to `False`): for `from_pretrained`.
        batch_size (`int`, defaults to 8): rows of a batch; each sample of a problem is a row. A batch that does not
            fit into a GPU's memory is halved.
        max_length (`int`, *optional*): tokens of prompt and output together; the model's context by default.
        format (`str` or `dict`, *optional*): the thinking format's name, or its settings, see
            [`s1_hf.forcing.formats.format_of_settings`]: `{"start": "<r>", "close": "</r>"}`, `{"force_start": True}`;
            detected from the tokenizer if absent.
        budget ([`Budget`]): how long the model thinks.
        engine (`str`, defaults to `"transformers"`): or `"vllm"`, which makes batches of its own, or the address of a
            server that runs the model, such as `"http://localhost:8000/v1"`, see [`EndpointEngine`].
        engine_options (`dict`): for vLLM, such as `{"tensor_parallel_size": 8}`, or for a server, such as
            `{"concurrency": 64}`.
        max_new_tokens (`int`, *optional*): in place of a task's own limit; without either a problem may fill the
            context.
        max_answer_tokens (`int`, *optional*): see [`AnswerLengthCriteria`].
        sampling ([`Sampling`], *optional*): by default decoding is greedy. Nothing is taken from the model's own
            `generation_config` but its ends of sequence.
        repetition_penalty (`float`, defaults to 1): as in `generate`.
        seed (`int`, defaults to 0): for all draws.
        system_prompt (`str`, *optional*): put before each problem.
        chat_template (`bool`, defaults to `True`): whether the model's chat template is used; without one, or with
            `False`, problems are asked as bare text.
        chat_template_kwargs (`dict`): for the chat template, such as `{"enable_thinking": True}`.
        confidence ([`Confidence`], *optional*): measure how sure the model is of every token; with `top=1` rows have a
            `confidence`, their answers'.
        cache_dir (`str`): the folder in which finished problems are kept.

    Raises:
        ValueError: a value is out of its range, or two do not go together; the message names everything that is wrong.
    """

    model: str
    revision: str = "main"
    dtype: str = "auto"
    device_map: str | None = None
    attn_implementation: str | None = None
    trust_remote_code: bool = False
    batch_size: int = 8
    max_length: int | None = None
    format: str | dict[str, Any] | None = None
    budget: Budget = NO_INTERVENTION
    engine: str = field(default="transformers", repr=False)  # an address may hold a password
    engine_options: Mapping[str, Any] = field(default_factory=dict)
    max_new_tokens: int | None = None
    max_answer_tokens: int | None = None
    sampling: Sampling | None = None
    repetition_penalty: float = 1.0
    seed: int = 0
    system_prompt: str | None = None
    chat_template: bool = True
    chat_template_kwargs: Mapping[str, Any] = field(default_factory=dict)
    confidence: Confidence | None = None
    cache_dir: str = "results/generations"

    def __post_init__(self) -> None:
        bad = [*self._bad_numbers(), *self._bad_engine()]
        if self.dtype not in DTYPES:
            bad.append(f"`dtype` has to be one of {', '.join(DTYPES)}, but is {self.dtype!r}.")
        if self.budget.num_prompts:
            bad.append("The budget of an evaluation has to be one value each, not one per prompt.")
        if self.chat_template_kwargs and not self.chat_template:
            bad.append("`chat_template_kwargs` have no effect without the chat template. Leave one of both out.")
        if bad:
            raise ValueError(" ".join(bad))
        if isinstance(self.format, dict):
            check_settings(self.format)

    def under(self, budget: Budget) -> Settings:
        """The same with another budget."""
        return replace(self, budget=budget)

    def to_dict(self) -> dict[str, Any]:
        """As JSON types, the budget's fields beside the others; without passwords."""
        found = {one.name: getattr(self, one.name) for one in fields(self) if one.name != "budget"}
        if found.pop("confidence") is not None:
            found["confidence"] = dict(vars(self.confidence))
        found["sampling"] = None if self.sampling is None else dict(vars(self.sampling))
        found["engine"] = shown_address(self.engine) if is_address(self.engine) else self.engine
        for name in ("engine_options", "chat_template_kwargs"):
            found[name] = dict(found[name])
        return found | self.budget.to_dict()

    @property
    def place(self) -> str:
        """The model's name, without any `..`: folders are named after it."""
        return without_parents(self.model)

    def _bad_numbers(self) -> list[str]:
        optional = ("max_length", "max_new_tokens", "max_answer_tokens")
        least = {"batch_size": 1, "max_length": 1, "max_new_tokens": 1, "max_answer_tokens": 1, "seed": 0}
        return bad_counts(self, least, optional)

    def _bad_engine(self) -> list[str]:
        bad = []
        is_server = is_address(self.engine)
        if not is_server and self.engine not in ("transformers", "vllm"):
            bad.append(
                "`engine` has to be 'transformers', 'vllm' or an address such as 'http://localhost:8000/v1', but is "
                f"{self.engine!r}."
            )
        if is_server:
            check_options(dict(self.engine_options))
        elif self.engine_options and self.engine == "transformers":
            bad.append(f"`engine_options` are for `engine='vllm'`, but are {self.engine_options!r}.")
        if self.engine != "transformers" and (self.device_map or self.attn_implementation):
            bad.append("`device_map` and `attn_implementation` are for transformers. Use `engine_options`.")
        if is_server and self.dtype != "auto":
            bad.append(f"`dtype` is the server's business, but is {self.dtype!r}. Leave it out.")
        return bad


def without_parents(name: str) -> str:
    """A model's name as it is; a path through `..` absolute."""
    return str(Path(name).resolve()) if ".." in Path(name).parts else name
