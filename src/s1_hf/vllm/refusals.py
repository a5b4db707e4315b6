"""What budget forcing in vLLM cannot do exactly: refused when the engine is built, or when the request is made."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

from s1_hf.forcing.collect import check_spelling, looks_like_budget
from s1_hf.forcing.decisions import Field
from s1_hf.forcing.flat import whole_number
from s1_hf.forcing.values import is_count, is_number, not_unicode
from s1_hf.records import as_json
from s1_hf.vllm.settings import (
    ANSWER,
    CONFIDENCE,
    GIVE_UP,
    KEY,
    OURS,
    SEED,
    SEPARATOR,
    START,
    STEP_TOKENS,
    STEPS,
    asks_for_budget,
    settings_of,
)

STRUCTURE = "Ask for the structure in the prompt, or in a second request without a budget."
"""What to do instead of asking for structured output."""

# Parameters of a request that act on the scores after this processor, or on what follows from the chosen tokens: the
# name, whether it is set, and what to do.
_NOT_WITH_A_BUDGET: tuple[tuple[str, Callable[[Any], bool], str], ...] = (
    ("presence_penalty", lambda params: params.presence_penalty != 0, "Leave it out."),
    ("frequency_penalty", lambda params: params.frequency_penalty != 0, "Leave it out."),
    ("repetition_penalty", lambda params: params.repetition_penalty != 1, "Leave it out; see `loop_guard`."),
    ("structured_outputs", lambda params: params.structured_outputs is not None, STRUCTURE),
    (
        "thinking_token_budget",
        lambda params: getattr(params, "thinking_token_budget", None) is not None,
        "Give `max_thinking_tokens` in its place, which does the same and more.",
    ),
    ("ignore_eos", lambda params: params.ignore_eos, "Leave it out; `min_thinking_tokens` lengthens thinking."),
)

# Of `extra_args`, besides the fields of a budget: the name, what is right, and that in words.
_MOST_IN_KEY = 200  # characters: keys are kept until their reports are fetched
MOST_IN_SEPARATOR = 32
"""Characters of a separator, each of which takes a number for every token of the vocabulary."""
MOST_IN_WINDOW = 2**16
"""Tokens of a window, all of which are kept for each row."""
_OWN: tuple[tuple[str, Callable[[Any], bool], str], ...] = (
    (
        KEY,
        lambda value: isinstance(value, str) and not not_unicode(value) and len(value) <= _MOST_IN_KEY,
        f"a Unicode text of at most {_MOST_IN_KEY} characters",
    ),
    (SEED, lambda value: is_count(value) and -(2**63) <= value < 2**63, "an integer of 64 bits"),
    (ANSWER, lambda value: is_count(value) and value >= 1, "an integer of at least 1"),
    (GIVE_UP, lambda value: _is_below(2**63, value), "an integer from 0, of 64 bits"),
    (
        SEPARATOR,
        lambda value: isinstance(value, str) and not not_unicode(value) and 0 < len(value) <= MOST_IN_SEPARATOR,
        f"a Unicode text of 1 to {MOST_IN_SEPARATOR} characters",
    ),
    (STEP_TOKENS, lambda value: _is_below(2**63, value) and value >= 1, "an integer from 1, of 64 bits"),
    (
        CONFIDENCE,
        lambda value: isinstance(value, (list, tuple)) and len(value) in (1, 3) and _is_confidence(*value),
        f"a list of `top`, or of `top`, `window` (from 1 to {MOST_IN_WINDOW:,}) and `below`",
    ),
    (STEPS, lambda value: _is_below(2**63, value), "an integer from 0, of 64 bits"),
    (
        START,
        lambda value: (
            isinstance(value, (list, tuple)) and len(value) == len(Field) and all(_is_below(2**31, n) for n in value)
        ),
        f"a list of {len(Field)} integers from 0, of 32 bits each",
    ),
)


def _is_confidence(top: Any, window: Any = 1, below: Any = 0.0) -> bool:
    window = whole_number(window)
    is_window = is_count(window) and 1 <= window <= MOST_IN_WINDOW
    return _is_below(2**31, whole_number(top)) and is_window and is_number(below) and math.isfinite(below)


def _is_below(end: int, value: Any) -> bool:
    return is_count(value) and 0 <= value < end


def check_request(params: Any) -> None:
    """Checks everything about a request that can be checked without the model's tokenizer.

    Args:
        params (`SamplingParams`): of any request; one that asks for no budget passes, if nothing looks like one.

    Raises:
        ValueError: a field of its budget is wrong or looks misspelt, or something is set that budget forcing cannot be
            exact with.
    """
    check_names(getattr(params, "extra_args", None) or {})
    if not asks_for_budget(params):
        return
    for name, is_set, remedy in _NOT_WITH_A_BUDGET:
        if is_set(params):
            raise ValueError(f"`{name}` cannot be combined with a thinking budget. {remedy}")
    check_own(params.extra_args)
    if params.n > 1 and params.extra_args.get(SEED) is not None:
        raise ValueError(
            f"`{SEED}` would draw the same for each of {params.n} outputs. Give `seed`, from which vLLM counts them."
        )
    settings = settings_of(params, {})
    least = settings.budget.column("min_thinking_tokens", 1)[0]
    if settings.start is not None:  # it may have thought before
        return
    if settings.max_tokens is not None and least > settings.max_tokens:
        raise ValueError(
            f"`min_thinking_tokens` has to fit into what may be generated, but is {least}, and `max_tokens` is "
            f"{settings.max_tokens}. Raise `max_tokens`, or lower the minimum."
        )


def check_own(given: Mapping[str, Any]) -> None:
    """Raises a `ValueError` for one of our arguments, besides the fields of a budget, that is not what it has to be."""
    for name, is_right, rule in _OWN:
        value = whole_number(given.get(name))
        if value is not None and not is_right(value):
            raise ValueError(f"`{name}` has to be {rule}, but is {as_json(value)}.")


def check_names(given: Mapping[str, Any]) -> None:
    """Raises a `ValueError` for a name that looks like one of ours; other plug-ins have arguments of their own."""
    others = [name for name in given if name not in OURS]
    check_spelling(others, OURS)
    for name in others:
        if looks_like_budget(name):
            raise ValueError(
                f"`{name}` is not an argument. A cap of thinking is `max_thinking_tokens`; an effort is "
                "`reasoning_effort`, at the top of a request to `s1-hf serve`."
            )
        if name.startswith("s1_hf_"):
            ours = ", ".join(f"`{one}`" for one in (KEY, SEED))
            raise ValueError(f"`{name}` is not an argument. Besides the fields of a budget there are {ours}.")


def check_engine(config: Any, name: str) -> None:
    """Checks how an engine is set up.

    Args:
        config (`VllmConfig`): of the engine.
        name (`str`): of the processor's class, as `logits_processors` has it.

    Raises:
        ValueError: it speculates, pools, or found the processor by an entry point.
    """
    if config.speculative_config is not None:
        raise ValueError(
            "Budget forcing cannot be combined with speculative decoding in vLLM, which tries tokens that it takes "
            "back. Leave `speculative_config` out."
        )
    if config.model_config.runner_type != "generate":
        raise ValueError(
            f"Budget forcing is for models that generate, but `runner` is {config.model_config.runner_type!r}."
        )
    given = config.model_config.logits_processors or []
    if name not in [one if isinstance(one, str) else f"{one.__module__}:{one.__qualname__}" for one in given]:
        raise ValueError(
            f"Budget forcing has to be named when the engine is built: `logits_processors=[{name!r}]`. Found by an "
            "entry point, vLLM would not show it the tokens under asynchronous scheduling, and would leave it out "
            "under speculation without saying so."
        )
