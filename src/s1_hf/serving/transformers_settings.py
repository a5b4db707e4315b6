"""What the `generation_config` of a request to `transformers serve` may hold, besides its budget."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from s1_hf.forcing.collect import check_spelling
from s1_hf.forcing.values import is_count
from s1_hf.generation.exported import IN_CONFIG
from s1_hf.records import FLAG, Kind, check, or_null

MOST_BEAMS = 8
"""Of one request: each costs as much as a request."""

MOST_STOPS, MOST_IN_STOPS = 16, 1000
"""Stop strings of one request, and characters in all of them: each is held against the whole vocabulary."""


def is_finite(value: Any) -> bool:
    """Whether this is a finite number."""
    return isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)


def _are_stops(value: Any) -> bool:
    texts = value if isinstance(value, list) else [value]
    if not all(isinstance(text, str) and text for text in texts):
        return False
    return 0 < len(texts) <= MOST_STOPS and sum(map(len, texts)) <= MOST_IN_STOPS


def _are_ids(value: Any) -> bool:
    ids = value if isinstance(value, list) else [value]
    return bool(ids) and all(map(is_count, ids))


STOPS = Kind(f"a text, or up to {MOST_STOPS}, none empty, of {MOST_IN_STOPS:,} characters in all", _are_stops)

_POSITIVE = Kind("an integer of at least 1", lambda value: is_count(value) and value >= 1)
_COUNT = Kind("an integer of at least 0", lambda value: is_count(value) and value >= 0)
_ABOVE_0 = Kind("a number above 0", lambda value: is_finite(value) and value > 0)
_BEAMS = Kind(f"an integer from 1 to {MOST_BEAMS}", lambda value: is_count(value) and 1 <= value <= MOST_BEAMS)
_IDS = Kind("the id of a token, or a list of some", _are_ids)

SETTINGS: dict[str, Kind] = {
    "do_sample": FLAG,
    "temperature": _ABOVE_0,
    "top_p": Kind("a number above 0 and at most 1", lambda value: is_finite(value) and 0 < value <= 1),
    "top_k": Kind("an integer of at least -1", lambda value: is_count(value) or value == -1),
    "min_p": Kind("a number from 0 to 1", lambda value: is_finite(value) and 0 <= value <= 1),
    "repetition_penalty": _ABOVE_0,
    "no_repeat_ngram_size": _COUNT,
    "num_beams": _BEAMS,
    "length_penalty": Kind("a number", is_finite),
    "early_stopping": FLAG,
    "max_new_tokens": _POSITIVE,
    "max_length": _POSITIVE,
    "min_new_tokens": _COUNT,
    "min_length": _COUNT,
    "max_time": _ABOVE_0,
    "stop_strings": STOPS,
    "eos_token_id": _IDS,
    "suppress_tokens": Kind("a list of ids of tokens", lambda value: isinstance(value, list) and _are_ids(value)),
}
"""Ordinary settings of decoding. Whatever else a `GenerationConfig` can hold is a matter of who runs the server."""


def check_settings(config: Mapping[str, Any]) -> None:
    """Raises a `ValueError` for a name that a request may not set, or a value that is none of its kind."""
    unknown = [name for name in config if name not in (*IN_CONFIG, *SETTINGS)]
    check_spelling(unknown, IN_CONFIG)
    if unknown:
        raise ValueError(
            f"`{unknown[0]}` is no setting of `generation_config` that a request may have here. About budgets there "
            f"are {_list(IN_CONFIG)}; about decoding, {_list(SETTINGS)}."
        )
    kinds = {name: kind if name == "eos_token_id" else or_null(kind) for name, kind in SETTINGS.items()}
    check(config, {}, "`generation_config`", optional=kinds)


def _list(names: Any) -> str:
    return ", ".join(f"`{name}`" for name in names)
