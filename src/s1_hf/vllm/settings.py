"""What a request asks for: its budget and how it is sampled, from the parameters that vLLM hands over.

A budget travels in `SamplingParams.extra_args` (over HTTP in `vllm_xargs`), flat: see `forcing.flat`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from s1_hf.forcing.budget import NAMES, Budget, check_effect
from s1_hf.forcing.confidence import Confidence
from s1_hf.forcing.flat import from_flat, whole_number, with_defaults
from s1_hf.forcing.pauses import Pause

KEY = "s1_hf_key"
"""Of `extra_args`: the name under which a request's report can be fetched."""
SEED = "s1_hf_seed"
"""Of `extra_args`: the seed of a request's draws. Unlike `SamplingParams.seed` it costs vLLM no generator."""

ANSWER = "max_answer_tokens"
"""Of `extra_args`: how many answer tokens a request may write."""
GIVE_UP = "s1_hf_give_up_after"
"""Of `extra_args`: the request ends with its first thinking token beyond this many."""
SEPARATOR = "s1_hf_pause_separator"
"""Of `extra_args`: the request pauses at the end of a step, see [`Pause`]; the engine ends it there."""
STEP_TOKENS = "s1_hf_pause_tokens"
"""Of `extra_args`: it pauses after so many more thinking tokens."""
CONFIDENCE = "s1_hf_confidence"
"""Of `extra_args`: how sure the model is of its tokens is measured, see [`Confidence`]: `[top]`, 0 for all tokens, or
`[top, window, below]`."""
START = "s1_hf_start"
"""Of `extra_args`: the state, as its numbers, that a request starts in, whose prompt is then not read."""
STEPS = "s1_hf_steps"
"""Of `extra_args`: how many tokens such a request has drawn before."""
CHECKED = "s1_hf_checked"
"""Of `extra_args`: who asks has seen to settings that cannot act, which other requests of the same run may use."""

OURS = (*NAMES, ANSWER, KEY, SEED, GIVE_UP, SEPARATOR, STEP_TOKENS, CONFIDENCE, START, STEPS, CHECKED)
"""All of `extra_args` that is ours."""

_GREEDY = 1e-5  # below this temperature vLLM decodes greedily


@dataclass(frozen=True, kw_only=True)
class RequestSettings:
    """How one request is to be decoded.

    Args:
        budget ([`Budget`]): one value for each of its fields.
        max_tokens (`int`, *optional*): of thinking and answer together.
        temperature (`float`): 0 is greedy.
        top_k (`int`): 0 is all tokens.
        seed (`int`, *optional*): of the request's draws.
        stops (`tuple[int, ...]`): ids that end the sequence, besides the engine's.
        has_stop_texts (`bool`): whether texts end it, which are found after more tokens were computed.
        key (`str`, *optional*): the name of its report; without one none is kept.
        max_answer_tokens, give_up_after (`int`, *optional*): of answer, and of thinking, at which it ends.
        pause ([`Pause`], *optional*): where it pauses.
        confidence ([`Confidence`], *optional*): how it is measured how sure the model is.
        start (`tuple[int, ...]`, *optional*): the state it starts in; by default its prompt is read.
        steps (`int`): how many tokens it has drawn before.
    """

    budget: Budget
    max_tokens: int | None = None
    temperature: float = 0.0
    top_k: int = 0
    top_p: float = 1.0
    min_p: float = 0.0
    seed: int | None = None
    stops: tuple[int, ...] = ()
    has_stop_texts: bool = False
    key: str | None = None
    max_answer_tokens: int | None = None
    give_up_after: int | None = None
    pause: Pause | None = None
    confidence: Confidence | None = None
    start: tuple[int, ...] | None = None
    steps: int = 0

    @property
    def is_greedy(self) -> bool:
        """Whether the most likely token is taken."""
        return self.temperature < _GREEDY


def asks_for_budget(params: Any) -> bool:
    """Whether `SamplingParams` are those of a request that is to be followed; all others are left alone."""
    given = getattr(params, "extra_args", None) or {}
    return any(name in given for name in OURS)


def settings_of(params: Any, defaults: Mapping[str, Any]) -> RequestSettings:
    """What `SamplingParams` ask for.

    Args:
        defaults (`Mapping`): fields of a budget that the engine was built with.

    Raises:
        ValueError: a field has the wrong type or range.
    """
    extra = {name: whole_number(value) for name, value in params.extra_args.items()}
    seed, start = extra.get(SEED), extra.get(START)
    return RequestSettings(
        budget=budget_from(extra, defaults),
        max_tokens=params.max_tokens,
        temperature=params.temperature,
        top_k=max(params.top_k, 0),
        top_p=params.top_p,
        min_p=params.min_p,
        seed=params.seed if seed is None else seed,
        stops=tuple(sorted(params.stop_token_ids or ())),
        has_stop_texts=bool(params.stop),
        key=extra.get(KEY),
        max_answer_tokens=extra.get(ANSWER),
        give_up_after=extra.get(GIVE_UP),
        pause=_pause_from(extra.get(SEPARATOR), extra.get(STEP_TOKENS)),
        confidence=_confidence_from(extra.get(CONFIDENCE)),
        start=None if start is None else tuple(start),
        steps=extra.get(STEPS, 0),
    )


def _pause_from(separator: str | None, tokens: int | None) -> Pause | None:
    return None if separator is None and tokens is None else Pause(separator, tokens)


def _confidence_from(given: Sequence[Any] | None) -> Confidence | None:
    if given is None:
        return None
    top, *more = map(whole_number, given)
    return Confidence(top or None, *more)


def budget_from(given: Mapping[str, Any], defaults: Mapping[str, Any] | None = None) -> Budget:
    """The budget among a request's `extra_args`.

    Raises:
        ValueError: a field has the wrong type or range, or cannot act.

    Example:

    ```python
    >>> from s1_hf.vllm.settings import budget_from
    >>> budget_from({"max_thinking_tokens": 500, "num_ignores": 1, "others": "are left alone"}).name
    'cap 500, 1 ignore'

    ```
    """
    own = from_flat({name: given[name] for name in NAMES if name in given})
    budget = with_defaults(own, defaults or {})
    if not given.get(CHECKED):
        check_effect([budget], of_request=True)
    return budget
