"""The settings of an evaluation, as lighteval's own kind of model configuration."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

from lighteval.models.abstract_model import ModelConfig
from pydantic import (
    Field,
    PlainSerializer,
    PlainValidator,
    PositiveInt,
    field_validator,
    model_serializer,
    model_validator,
)

from s1_hf.engines.endpoint.options import check_options, is_address
from s1_hf.engines.request import Sampling
from s1_hf.forcing.budget import NAMES, Budget
from s1_hf.forcing.collect import check_spelling
from s1_hf.forcing.format_settings import check_settings
from s1_hf.secrets import shown_address

# Of lighteval's generation parameters, those that transformers' greedy decoding and sampling know.
_KNOWN = {"temperature", "top_k", "top_p", "min_p", "repetition_penalty", "max_new_tokens", "seed"}


def _as_budget(given: object) -> Budget:
    if isinstance(given, Budget):
        return given
    if isinstance(given, dict):
        return Budget.from_dict(given)
    raise ValueError(f"`budget` has to be a Budget, or a dictionary of its fields, but is {given!r}.")


class BudgetForcingConfig(ModelConfig):
    """What [`BudgetForcingModel`] runs. Being fields of the model configuration, the budgets are in lighteval's results
    file and in its cache key: two budgets never share their answers.

    Args:
        model_name (`str`): a local folder or a name on the Hub: a model, or a LoRA adapter whose base is named in it.
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
        budget ([`Budget`] or `dict`): how long the model thinks; its fields may also be given as single keywords.
        engine (`str`, defaults to `"transformers"`): or `"vllm"`, which makes batches of its own, or the address of a
            server that runs the model, such as `"http://localhost:8000/v1"`, see [`EndpointEngine`].
        engine_options (`dict`): for vLLM, such as `{"tensor_parallel_size": 8}`, or for a server, such as
            `{"concurrency": 64}`.
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
    budget: Annotated[Budget, PlainValidator(_as_budget), PlainSerializer(Budget.to_dict, return_type=dict)] = Budget()
    max_answer_tokens: PositiveInt | None = None
    chat_template_kwargs: dict[str, Any] = Field(default_factory=dict)
    engine: str = Field(default="transformers", repr=False)  # an address may hold a password
    engine_options: dict[str, Any] = Field(default_factory=dict)

    @field_validator("model_name")
    @classmethod
    def _no_parent_folder(cls, name: str) -> str:
        """A relative path through `..` is made absolute: lighteval puts its results under that name."""
        return str(Path(name).resolve()) if ".." in Path(name).parts else name

    @field_validator("format")
    @classmethod
    def _known_settings(cls, format: str | dict[str, Any] | None) -> str | dict[str, Any] | None:
        if isinstance(format, dict):
            check_settings(format)
        return format

    @model_validator(mode="before")
    @classmethod
    def _collect_budget(cls, given: Any) -> Any:
        """Single fields of the budget go into it."""
        if not isinstance(given, dict):
            return given
        check_spelling(given.keys() - cls.model_fields.keys() - set(NAMES))
        if not given.keys() & set(NAMES):
            return given
        given = dict(given)
        single = {name: given.pop(name) for name in NAMES if name in given}
        if "budget" in given:
            raise ValueError(
                f"`budget` has to stand alone, but {', '.join(f'`{name}`' for name in single)} came with it. Put all "
                "settings into the budget, or give all of them as keywords."
            )
        return given | {"budget": Budget.from_dict(single)}

    @model_serializer(mode="wrap")
    def _spell_out_budget(self, dump: Any) -> dict[str, Any]:
        """In results files the budget's fields stand beside the others."""
        found: dict[str, Any] = dump(self)
        budget = found.pop("budget", {})
        return found | budget | {"engine": shown_address(self.engine) if is_address(self.engine) else self.engine}

    def model_post_init(self, context: Any, /) -> None:
        """Checks the budget and the generation parameters."""
        if self.budget.num_prompts:
            raise ValueError("The budget of an evaluation has to be one value each, not one per prompt.")
        self._check_engine()
        given = self.generation_parameters.model_dump(exclude_none=True)
        unknown = sorted(given.keys() - _KNOWN)
        if unknown:
            raise ValueError(
                f"`generation_parameters` has to be made of {', '.join(sorted(_KNOWN))}, but has {', '.join(unknown)}."
            )

    def _check_engine(self) -> None:
        is_server = is_address(self.engine)
        if not is_server and self.engine not in ("transformers", "vllm"):
            raise ValueError(
                "`engine` has to be 'transformers', 'vllm' or an address such as 'http://localhost:8000/v1', but is "
                f"{self.engine!r}."
            )
        if is_server:
            check_options(self.engine_options)
        elif self.engine_options and self.engine == "transformers":
            raise ValueError(f"`engine_options` are for `engine='vllm'`, but are {self.engine_options!r}.")
        if self.engine != "transformers" and (self.device_map or self.attn_implementation):
            raise ValueError("`device_map` and `attn_implementation` are for transformers. Use `engine_options`.")
        if is_server and self.dtype != "auto":
            raise ValueError(f"`dtype` is the server's business, but is {self.dtype!r}. Leave it out.")

    @property
    def sampling(self) -> Sampling | None:
        """How tokens are drawn; `None`: decoding is greedy."""
        given = self.generation_parameters
        if not given.temperature > 0:
            return None
        top_p = 1.0 if given.top_p is None else given.top_p
        return Sampling(temperature=given.temperature, top_p=top_p, top_k=given.top_k or 0, min_p=given.min_p)

    @property
    def seed(self) -> int:
        """For all draws."""
        return self.generation_parameters.seed or 0
