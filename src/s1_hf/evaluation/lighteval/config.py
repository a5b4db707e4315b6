"""The settings of an evaluation, as lighteval's own kind of model configuration."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from lighteval.models.abstract_model import ModelConfig
from lighteval.models.model_input import GenerationParameters
from pydantic import (
    Field,
    PlainSerializer,
    PlainValidator,
    PositiveInt,
    field_validator,
    model_serializer,
    model_validator,
)

from s1_hf.engines.endpoint.options import is_address
from s1_hf.engines.request import Sampling
from s1_hf.evaluation.settings import Settings, without_parents
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
        model_name (`str`): as `model` of [`Settings`].
        budget ([`Budget`] or `dict`): how long the model thinks; its fields may also be given as single keywords.
        generation_parameters (`GenerationParameters`): lighteval's. Greedy at temperature 0, the default. Unlike
            `generate`'s own defaults, what is not given is off (`top_k` too). `seed`, 0 by default, is for sampling.
            `max_new_tokens` takes the place of a task's `generation_size`.
        system_prompt (`str`, *optional*), cache_dir (`str`), and all others: as in [`Settings`].

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
    chat_template: bool = True
    chat_template_kwargs: dict[str, Any] = Field(default_factory=dict)
    engine: str = Field(default="transformers", repr=False)  # an address may hold a password
    engine_options: dict[str, Any] = Field(default_factory=dict)

    @field_validator("model_name")
    @classmethod
    def _no_parent_folder(cls, name: str) -> str:
        """A relative path through `..` is made absolute: lighteval puts its results under that name."""
        return without_parents(name)

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
        given = self.generation_parameters.model_dump(exclude_none=True)
        unknown = sorted(given.keys() - _KNOWN)
        if unknown:
            raise ValueError(
                f"`generation_parameters` has to be made of {', '.join(sorted(_KNOWN))}, but has {', '.join(unknown)}."
            )
        self.settings  # noqa: B018  # which are checked when built

    @classmethod
    def of(cls, settings: Settings) -> BudgetForcingConfig:
        """The same settings for lighteval."""
        given = {name: getattr(settings, name) for name in _THE_SAME}
        drawing: dict[str, Any] = {"temperature": 0.0} if settings.sampling is None else dict(vars(settings.sampling))
        drawing |= {"seed": settings.seed, "max_new_tokens": settings.max_new_tokens}
        if settings.repetition_penalty != 1:
            drawing["repetition_penalty"] = settings.repetition_penalty
        return cls(model_name=settings.model, **given, generation_parameters=GenerationParameters(**drawing))

    @property
    def settings(self) -> Settings:
        """What the model behind it runs."""
        given = self.generation_parameters
        return Settings(
            model=self.model_name,
            **{name: getattr(self, name) for name in _THE_SAME},
            max_new_tokens=given.max_new_tokens,
            sampling=self._sampling,
            repetition_penalty=given.repetition_penalty or 1.0,
            seed=given.seed or 0,
        )

    @property
    def _sampling(self) -> Sampling | None:
        given = self.generation_parameters
        if not given.temperature > 0:
            return None
        top_p = 1.0 if given.top_p is None else given.top_p
        return Sampling(temperature=given.temperature, top_p=top_p, top_k=given.top_k or 0, min_p=given.min_p)


_THE_SAME = (
    "revision", "dtype", "device_map", "attn_implementation", "trust_remote_code", "batch_size", "max_length",
    "format", "budget", "max_answer_tokens", "chat_template", "chat_template_kwargs", "engine", "engine_options",
    "system_prompt", "cache_dir",
)  # fmt: skip
"""The fields that are those of [`Settings`]."""
