"""What `generate` of an exported folder does, wherever stock code calls it: by hand, in pipelines, in a server."""

from __future__ import annotations

import copy
import inspect
import json
import sys
from collections.abc import Iterator, Mapping
from concurrent.futures import Future
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Any, NamedTuple
from weakref import WeakKeyDictionary

import torch
from transformers import AutoTokenizer, GenerationConfig

from s1_hf.forcing.budget import NAMES, Budget, check_effect
from s1_hf.forcing.collect import check_spelling
from s1_hf.forcing.draws import SeededDraws
from s1_hf.forcing.flat import from_flat, with_defaults
from s1_hf.forcing.formats import ThinkingFormat
from s1_hf.generation.context import context_of
from s1_hf.generation.criteria import check_answer_length
from s1_hf.generation.generate import budget_forcing, processor_in
from s1_hf.generation.processor import BudgetForcingLogitsProcessor
from s1_hf.records import read_json

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

    from s1_hf.forcing.report import Report

IN_CONFIG = (*NAMES, "max_answer_tokens", "answer_stop_strings")
"""What a [`GenerationConfig`] may say about budgets, as attributes of its own, and so the JSON that a server reads."""

KEY = "s1_hf_key"
"""A further attribute: the name by which a server in this process knows a call, see [`expecting`]."""

CONFIG = "generation_config.json"

_WORDS = ("think", "budget", "effort", "ignore", "wait", "reason", "s1_hf")
"""What the name of an attribute that is about budgets, of ours or of others, would contain."""


def generate_with(settings: Mapping[str, Any], model: PreTrainedModel, *args: Any, **kwargs: Any) -> Any:
    """What an exported file calls: `model.generate(...)` under `settings`, unless the call says otherwise.

    A budget is said by keywords, such as `max_thinking_tokens=500`, or by attributes of the `generation_config`, given
    or the model's own: a keyword counts before an attribute, and this before the folder's setting. Every field replaces
    the folder's; a whole `budget` replaces all of them.
    A [`BudgetForcingLogitsProcessor`] among the processors (so in `s1_hf.generate`, `sweep`, and with the arguments of
    `budget_forcing`) has its own budget, and the folder's does not apply.
    The tokenizer is that of the call, or the one in the model's own folder, read once per model.

    Raises:
        ValueError, TypeError: as [`budget_forcing`], or an attribute looks like a budget and is none.
    """
    stock: Any = type(model).generate  # type: ignore[attr-defined]  # the model's own attribute is the exported one
    call = _by_name(stock, model, args, kwargs)
    processors = call.get("logits_processor") or []
    if any(isinstance(one, BudgetForcingLogitsProcessor) for one in processors):
        return stock(model, **call)  # this call brings its own budget
    key = getattr(call.get("generation_config"), KEY, None) or ""
    expected = _expected.get(key, Expected())
    with _refusals_for_clients():
        tokenizer = _tokenizer_of(model, call.pop("tokenizer", None))
        _fit_servers_own_limit(model, call)
        given = _arguments(settings, model, call, is_checked=key in _expected)
        if expected.seed is not None:
            given["draws"] = SeededDraws([expected.seed], [expected.steps])
        if expected.criterion is not None:
            given["stopping_criteria"] = [*given.get("stopping_criteria", ()), expected.criterion]
        arguments = budget_forcing(model, tokenizer, **given)
        arguments["tokenizer"] = tokenizer  # stop strings need it, wherever they were given
        processor, prompts = processor_in(arguments), _prompts_in(arguments)
        if expected.criterion is not None:
            expected.criterion.attach(processor)
        if expected.start is not None:
            processor.resume(torch.tensor(expected.start)[:, None])
        elif prompts:
            processor.check_prompts(prompts)  # before the model is run
    outputs = stock(model, **arguments)
    if expected.told is not None:
        expected.told.set_result(_told(processor, outputs, len(prompts[0])))
    return outputs


def _prompts_in(arguments: Mapping[str, Any]) -> list[list[int]]:
    """The prompts of a call, without the padding on their left; empty if they are no ids."""
    ids = arguments.get("inputs") if arguments.get("input_ids") is None else arguments["input_ids"]
    if not isinstance(ids, torch.Tensor) or ids.dim() != 2 or ids.shape[1] == 0:
        return []
    mask = arguments.get("attention_mask")
    if not isinstance(mask, torch.Tensor) or mask.shape != ids.shape:
        return [*ids.tolist()]
    return [row[seen.bool()].tolist() for row, seen in zip(ids.cpu(), mask.cpu(), strict=True)]


def _by_name(stock: Any, model: PreTrainedModel, args: tuple[Any, ...], kwargs: dict[str, Any]) -> dict[str, Any]:
    """The arguments of a call of stock `generate`, all by their names; those that are `None` say nothing.

    A field of a budget may be `None`, which says something.
    """
    bound = inspect.signature(stock).bind_partial(model, *args)
    named = {**bound.arguments, **kwargs}
    named.pop("self", None)
    return {name: value for name, value in named.items() if name in NAMES or value is not None}


def _arguments(
    settings: Mapping[str, Any], model: PreTrainedModel, call: dict[str, Any], is_checked: bool
) -> dict[str, Any]:
    """The arguments for [`budget_forcing`]; of a call that `is_checked`, a server has seen to what cannot act."""
    asked = {name: settings[name] for name in ("format", "max_answer_tokens")}
    if isinstance(asked["format"], Mapping):
        asked["format"] = ThinkingFormat(**asked["format"])
    own: dict[str, Any] = {}
    for config in (model.generation_config, call.get("generation_config")):
        if isinstance(config, GenerationConfig):
            own |= {name: getattr(config, name) for name in IN_CONFIG if hasattr(config, name)}
            _check_names(vars(config))
            _check_private(config, vars(model.generation_config))
    asked |= {name: own.pop(name) for name in IN_CONFIG if name in own and name not in NAMES}
    if "budget" not in call:
        own = from_flat(own) | {name: call.pop(name) for name in NAMES if name in call}
        folder = Budget.from_dict(settings["budget"])
        asked["budget"] = with_defaults(own, {name: getattr(folder, name) for name in NAMES})
        if not is_checked:
            check_effect([asked["budget"]])
    return {**asked, **call}


def said_by(model_dir: Path) -> dict[str, Any]:
    """What a model's own `generation_config.json` says about budgets, flat.

    Raises:
        ValueError: something there looks like a budget and is none, or is out of its range.
    """
    file = model_dir / CONFIG
    found = read_json(file, strict=False) if file.is_file() else {}
    said = found if isinstance(found, Mapping) else {}
    try:
        _check_names(said)
        own = {name: said[name] for name in IN_CONFIG if name in said}
        Budget(**from_flat({name: value for name, value in own.items() if name in NAMES and value != "auto"}))
        if "max_answer_tokens" in own:
            check_answer_length(own["max_answer_tokens"])
    except (ValueError, TypeError) as error:
        raise ValueError(f"{file}: {error}") from None
    return own


def _check_names(said: Mapping[str, Any]) -> None:
    """Raises a `ValueError` for attributes that somebody has taken for a budget; `generate` would ignore them."""
    others = said.keys() - vars(GenerationConfig()).keys() - {*IN_CONFIG, KEY}
    check_spelling(sorted(others), IN_CONFIG)
    for name in sorted(others):
        if any(word in name for word in _WORDS):
            raise ValueError(
                f"`{name}` is no setting of `generation_config`. About budgets there are {_list()}. Take it out, there "
                "or in the model's own generation_config.json."
            )


_COPIED = ("_from_model_config", "bos_token_id", "eos_token_id", "pad_token_id", "transformers_version")
"""What a copy of the model's own settings has of it; a request's settings are no copy."""


def _check_private(config: GenerationConfig, known: Mapping[str, Any]) -> None:
    """Raises a `ValueError` for what a request to a server has no business to set, and which can lose its budget."""
    if not _is_served():
        return
    ours = vars(GenerationConfig())
    private = [name for name in vars(config) if name.startswith("_") and name not in ours and name not in known]
    if config._from_model_config and any(getattr(config, name) != known.get(name) for name in _COPIED):
        private.append("_from_model_config")  # with it, transformers drops every setting that is not its own
    if private:
        raise ValueError(f"`{private[0]}` is no setting of `generation_config`. Leave it out.")


def _list() -> str:
    return ", ".join(f"`{name}`" for name in IN_CONFIG)


# -- tokenizers ---------------------------------------------------------------------------------------------------

_tokenizers: WeakKeyDictionary[PreTrainedModel, PreTrainedTokenizerBase] = WeakKeyDictionary()


def _tokenizer_of(model: PreTrainedModel, given: Any) -> PreTrainedTokenizerBase:
    if given is not None:
        return getattr(given, "tokenizer", given)  # servers and pipelines hand over a whole processor, if there is one
    if model not in _tokenizers:
        commit = getattr(model.config, "_commit_hash", None)  # of a model on the Hub
        _tokenizers[model] = AutoTokenizer.from_pretrained(model.name_or_path, revision=commit or "main")
    return _tokenizers[model]


# -- in a server --------------------------------------------------------------------------------------------------


@dataclass
class Expected:
    """A call of `generate` that a server in this process has asked for.

    Args:
        seed (`int`, *optional*): of its draws; torch's global generator by default.
        start (`tuple[int, ...]`, *optional*): the state, as its numbers, in which it starts, whatever its prompt says.
        steps (`int`): how many tokens it has drawn before.
        criterion (*optional*): one of the stopping criteria, whose `attach` is told of the processor.
        told (`Future`, *optional*): gets what became of it.
    """

    seed: int | None = None
    start: tuple[int, ...] | None = None
    steps: int = 0
    criterion: Any = None
    told: Future[Told] | None = None


class Told(NamedTuple):
    """What became of it: of the first row, if there are several."""

    report: Report
    token_ids: list[int]
    states: torch.Tensor  # (tokens, fields): in which each of them was taken


_expected: dict[str, Expected] = {}


@contextmanager
def expecting(key: str, call: Expected) -> Iterator[None]:
    """While this lasts, the call whose `generation_config` has this key is the expected one, in whatever thread."""
    _expected[key] = call
    try:
        yield
    finally:
        del _expected[key]


def _told(processor: BudgetForcingLogitsProcessor, outputs: Any, prompt_length: int) -> Told:
    report = processor.reports(outputs)[0]
    finished = processor.finished(outputs)
    count = len(report.forced)
    ids = finished.ids[0, prompt_length:][:count].tolist()
    return Told(report, ids, finished.trace.states[:count, :, 0].clone())


_SERVERS_OWN = 1024
"""The `max_new_tokens` that `transformers serve` gives requests without a `generation_config`."""


def _fit_servers_own_limit(model: PreTrainedModel, call: dict[str, Any]) -> None:
    """Where that does not fit, as many tokens may be generated as do: nobody has asked for so many."""
    config, prompts, context = call.get("generation_config"), _prompts_in(call), context_of(model.config)
    if not _is_served() or not isinstance(config, GenerationConfig) or not prompts or context is None:
        return
    if config.max_new_tokens == _SERVERS_OWN and len(prompts[0]) + _SERVERS_OWN > context:
        call["generation_config"] = copy.deepcopy(config)
        call["generation_config"].max_new_tokens = None


def _is_served() -> bool:
    """Whether it is `transformers serve` that calls."""
    frame: FrameType | None = sys._getframe()
    while frame is not None:
        if frame.f_globals.get("__name__", "").startswith("transformers.cli.serv"):
            return True
        frame = frame.f_back
    return False


@contextmanager
def _refusals_for_clients() -> Iterator[None]:
    """In `transformers serve`, which answers any other error with status 500, a refusal is one with status 400."""
    try:
        yield
    except (ValueError, TypeError) as error:
        if not _is_served():
            raise
        raise _refusal(str(error)) from error


def _refusal(message: str) -> Exception:
    from starlette.exceptions import HTTPException

    class Refusal(HTTPException, ValueError):
        """An error whose text stands in quotation marks in a stream, as the server writes it."""

        def __str__(self) -> str:
            return json.dumps(message)[1:-1]

    return Refusal(400, message)
