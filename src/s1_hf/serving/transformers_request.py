"""A request to `transformers serve`, read: its budget, and how it is decoded, as one `generation_config`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from transformers import GenerationConfig

from s1_hf.engines.giving_up import GiveUp
from s1_hf.forcing.budget import NAMES, Budget
from s1_hf.forcing.collect import check_spelling
from s1_hf.forcing.flat import from_flat, whole_number
from s1_hf.forcing.formats import ThinkingFormat
from s1_hf.forcing.tables import State
from s1_hf.forcing.values import is_count, shown
from s1_hf.generation.processor import BudgetForcingLogitsProcessor
from s1_hf.records import as_json, parse
from s1_hf.serving.places import check_places, template_of
from s1_hf.serving.terms import ANSWER, check_texts
from s1_hf.serving.transformers_settings import check_settings, is_finite
from s1_hf.serving.transformers_shape import biases
from s1_hf.vllm.refusals import check_own
from s1_hf.vllm.row import check_start
from s1_hf.vllm.settings import CHECKED, GIVE_UP, KEY, SEED, START, STEPS

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

    from s1_hf.serving.terms import Terms

_XARGS = (*NAMES, ANSWER, KEY, SEED, GIVE_UP, START, STEPS, CHECKED)
"""What the `vllm_xargs` of a request may hold here."""

_POSITIVE = (lambda value: is_count(value) and value >= 1, "an integer of at least 1")

_NUMBERS: dict[str, tuple[Callable[[Any], bool], str]] = {
    "temperature": (lambda value: is_finite(value) and value >= 0, "a number of at least 0"),
    "top_p": (lambda value: is_finite(value) and 0 < value <= 1, "a number above 0 and at most 1"),
    "min_p": (lambda value: is_finite(value) and 0 <= value <= 1, "a number from 0 to 1"),
    "top_k": (lambda value: is_count(value) and value >= -1, "an integer"),
    "repetition_penalty": (lambda value: is_finite(value) and value > 0, "a number above 0"),
    "seed": (lambda value: is_count(value) and -(2**63) <= value < 2**63, "an integer of 64 bits"),
    "max_completion_tokens": _POSITIVE,
    "max_output_tokens": _POSITIVE,
    "max_tokens": _POSITIVE,
    "n": (lambda value: value == 1, "1: this server gives one answer to a request"),
    "best_of": (lambda value: value == 1, "1: this server gives one answer to a request"),
}
"""Fields of a request, on which the server itself would fail with status 500, or which it would ignore."""

_LIMITS = ("max_completion_tokens", "max_tokens", "max_output_tokens")  # the first that is given counts
_SAMPLING = ("top_p", "top_k", "min_p")
_INTO_CONFIG = (*_SAMPLING, "repetition_penalty")


@dataclass(frozen=True)
class Asked:
    """A request, read.

    Args:
        body (`dict`): what is left of it for the server.
        config (`dict`): its `generation_config`.
        key (`str`, *optional*): by which the client will ask for the report, instead of finding it in the answer.
        seed, start, steps, criterion: see [`Expected`].
        returns_ids (`bool`): whether the answer is to have the ids of its tokens.
        skips_special (`bool`): whether special tokens are left out of the answer's text.
    """

    body: dict[str, Any]
    config: dict[str, Any]
    key: str | None
    seed: int | None
    start: tuple[int, ...] | None
    steps: int
    criterion: GiveUp | None
    returns_ids: bool
    skips_special: bool


class Reader:
    """Reads requests, and refuses what is wrong with them before anything is generated.

    Args:
        tokenizer ([`PreTrainedTokenizerBase`]), format ([`ThinkingFormat`]): the model's.
        model_config ([`GenerationConfig`]): what the model's folder says.
        context (`int`, *optional*): how many tokens prompt and output may have together.
        terms ([`Terms`]): of the server.
    """

    def __init__(
        self,
        tokenizer: PreTrainedTokenizerBase,
        format: ThinkingFormat | str | None,
        model_config: GenerationConfig,
        context: int | None,
        terms: Terms,
    ) -> None:
        self._tokenizer, self._format, self._model_config = tokenizer, format, model_config
        self._context, self._terms = context, terms
        self._template = template_of(tokenizer)

    def read(self, body: dict[str, Any], path: str) -> Asked:
        """A request to this path.

        Raises:
            ValueError, TypeError: something about it is wrong.
        """
        check_places(body, self._template)
        body = dict(body)
        config = _config_in(body.pop("generation_config", None))
        xargs = _xargs_in(body.pop("vllm_xargs", None))
        twice = [name for name in config if name in xargs]
        if twice:
            raise ValueError(f"`{twice[0]}` stands in `vllm_xargs` and in `generation_config`. Leave one of them out.")
        check_texts({**config, **xargs}, self._tokenizer, self._context)
        effort = self._terms.effort_in(body)
        asked = self._terms.asked({**config, **xargs}, body)
        if path != "/v1/chat/completions" and (self._terms.effort is not None or body.get("reasoning_effort") is None):
            body.pop("reasoning_effort", None)  # this server knows it in chats only
        config = {name: value for name, value in config.items() if name not in (*NAMES, ANSWER)}
        _check_limits(body, config)
        is_sampled = _take_decoding(body, config, self._model_config)
        bias = biases(body.pop("logit_bias", {}), len(self._tokenizer))
        if bias:
            config["sequence_bias"] = bias
        with self._terms.naming(effort):
            self._check(asked, config, body, xargs)
        if path == "/v1/responses":
            body.setdefault("stream", False)  # as OpenAI's API has it, and this server has not
        if isinstance(body.get("prompt"), list):
            body["prompt"] = self._text_of(body["prompt"])
        returns_ids, skips_special = body.pop("return_token_ids", False), body.pop("skip_special_tokens", True)
        body.pop("spaces_between_special_tokens", None)  # of vLLM's; tokens are decoded in one piece here
        return Asked(
            body=body,
            config={**config, **asked},
            key=xargs.get(KEY),
            seed=xargs.get(SEED) if is_sampled else None,
            start=None if xargs.get(START) is None else tuple(xargs[START]),
            steps=xargs.get(STEPS) or 0,
            criterion=None if xargs.get(GIVE_UP) is None else GiveUp([xargs[GIVE_UP]]),
            returns_ids=bool(returns_ids),
            skips_special=bool(skips_special),
        )

    def _check(
        self, asked: Mapping[str, Any], config: Mapping[str, Any], body: Mapping[str, Any], xargs: Mapping[str, Any]
    ) -> None:
        """Raises a `ValueError` for a budget that this model, or this way of decoding, cannot have."""
        limit = next((body[name] for name in _LIMITS if body.get(name) is not None), None)
        whole = GenerationConfig(**config)
        if limit is not None:
            whole.max_new_tokens = limit
        whole.update(**self._model_config.to_dict(), defaults_only=True)
        if whole.max_new_tokens is None and whole.max_length is None:
            whole.max_length = self._context
        budget = Budget(**from_flat({name: value for name, value in asked.items() if name in NAMES}))
        processor = BudgetForcingLogitsProcessor(
            self._tokenizer, budget=budget, format=self._format, generation_config=whole, context=self._context
        )
        if xargs.get(START) is not None:
            check_start(State(*xargs[START]), processor.automaton)
        if self._context is not None and (xargs.get(STEPS) or 0) > self._context:
            raise ValueError(f"`{STEPS}` has to fit into the context of {self._context:,} tokens.")

    def _text_of(self, ids: list[Any]) -> str:
        """The text that is read as these ids; this server takes no ids."""
        if not all(is_count(one) and 0 <= one < len(self._tokenizer) for one in ids):
            raise ValueError("`prompt` has to be a text, or the ids of one, but holds something else.")
        for special in (False, True):
            text = str(self._tokenizer.decode(ids[1:] if special else ids))
            if self._tokenizer(text)["input_ids"] == ids:
                return text
        raise ValueError(
            "`prompt` has to be a text here, or ids that its text is read as, but this text is read as others: "
            f"{shown(text)}. vLLM takes ids as they are."
        )


def _config_in(given: Any) -> dict[str, Any]:
    """The `generation_config` of a request: JSON in a text, as the server takes it, or as it is."""
    if given is None:
        return {}
    found = parse(given, "`generation_config`", any_size=True) if isinstance(given, str) else given
    if not isinstance(found, dict):
        raise ValueError(f"`generation_config` has to be a JSON object, but is {as_json(given)}.")
    check_settings(found)
    return dict(found)


def _xargs_in(given: Any) -> dict[str, Any]:
    """The `vllm_xargs` of a request, for clients that speak to both servers."""
    if given is None:
        return {}
    if not isinstance(given, dict):
        raise ValueError(f"`vllm_xargs` has to be a JSON object, but is {as_json(given)}.")
    unknown = [name for name in given if name not in _XARGS]
    check_spelling(unknown, _XARGS)
    if unknown:
        raise ValueError(f"`{unknown[0]}` is no argument of this server. There are {', '.join(_XARGS)}.")
    found = {name: whole_number(value) for name, value in given.items()}
    check_own({name: value for name, value in found.items() if name != ANSWER})  # "" stands for none, see [`Terms`]
    return found


def _check_limits(body: Mapping[str, Any], config: Mapping[str, Any]) -> None:
    """Raises a `ValueError` for two limits, of which the server would take the one in the body without a word."""
    outer = [name for name in _LIMITS if body.get(name) is not None]
    inner = [name for name in ("max_new_tokens", "max_length") if config.get(name) is not None]
    if outer and inner:
        raise ValueError(f"`{outer[0]}` and `{inner[0]}` in `generation_config` say the same. Leave one of them out.")


def _take_decoding(body: dict[str, Any], config: dict[str, Any], model_config: GenerationConfig) -> bool:
    """Move what a request says about decoding from its body into its configuration; whether tokens are drawn."""
    _check_numbers(body)
    _check_twice(body, config)
    for name in _INTO_CONFIG:
        if name in body:
            config[name] = body.pop(name)
    if config.get("top_k") == -1:
        config["top_k"] = 0
    if "temperature" in body:
        temperature = float(body.pop("temperature"))
        config.setdefault("do_sample", temperature > 0)  # else a greedy model would not look at it
        if temperature > 0:
            config["temperature"] = temperature
    elif any(name in config for name in _SAMPLING):
        config.setdefault("do_sample", True)
    is_sampled = config.get("do_sample", model_config.do_sample)
    if not is_sampled:  # what only sampling would look at, and be warned about
        for name in _SAMPLING:
            config.pop(name, None)
    return bool(is_sampled)


def _check_twice(body: Mapping[str, Any], config: Mapping[str, Any]) -> None:
    """Raises a `ValueError` for what the body and the configuration say of the same."""
    for name in (*_INTO_CONFIG, "temperature"):
        if name in body and config.get(name) is not None:
            raise ValueError(f"`{name}` stands in the request and in its `generation_config`. Leave one of them out.")
    if body.get("temperature") == 0 and config.get("do_sample"):
        raise ValueError("`temperature` 0 is greedy, but `do_sample` in `generation_config` is true. Leave one out.")


def _check_numbers(body: dict[str, Any]) -> None:
    """Raises a `ValueError` for a number that is none, or out of range; those that are absent are left out."""
    for name, (is_right, rule) in _NUMBERS.items():
        value = whole_number(body.pop(name, None))
        if value is None:
            continue
        if not is_right(value):
            raise ValueError(f"`{name}` has to be {rule}, but is {as_json(value)}.")
        if name not in ("n", "best_of"):  # which this server does not know everywhere
            body[name] = value
