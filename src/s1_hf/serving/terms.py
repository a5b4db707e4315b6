"""What a request to a server asks for, and what the server does with requests that do not say."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple

from s1_hf.forcing.budget import NAMES, NO_LIMIT, PER_PROMPT, Budget, check_effect, check_room
from s1_hf.forcing.effort import Effort
from s1_hf.forcing.flat import flat, from_flat, whole_number, with_defaults
from s1_hf.forcing.values import is_count
from s1_hf.records import as_json
from s1_hf.vllm.settings import CHECKED

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

SECTION = "s1_hf_serve"
"""The key of vLLM's `additional_config` under which its middleware finds the [`Terms`] of the server."""

ANSWER = "max_answer_tokens"
"""What may stand beside the fields of a budget."""

PLACE = "vllm_xargs"
"""The field of a request that holds its budget, on both servers."""

MOST_IN_TEXTS, MOST_TEXTS = 4000, 16
"""Characters and texts of a request's `wait_text` and the like: 4,000 characters take about 2 seconds to work out."""

_STOCK_EFFORTS = ("none", "minimal", "low", "medium", "high", "xhigh", "max")
"""Efforts that servers and chat templates know; other names are ours alone."""


@dataclass(frozen=True)
class Terms:
    """Of a server.

    Args:
        defaults (`Mapping`): fields of a budget, flat, and `max_answer_tokens`, for requests that do not give them.
        effort ([`Effort`], *optional*): what the names that come as `reasoning_effort` stand for. Without it they mean
            what they mean to the server itself.
        texts (`Mapping`): fields of a budget, flat, that the engine adds by itself, so that others act beside them.
    """

    defaults: Mapping[str, Any] = field(default_factory=dict)
    effort: Effort | None = None
    texts: Mapping[str, Any] = field(default_factory=dict)

    @classmethod
    def of(cls, budget: Budget, max_answer_tokens: int | None = None, effort: Effort | None = None) -> Terms:
        """Those of a server with this budget, of which only what is not at its default is meant.

        Raises:
            ValueError: a setting could not act in any request that does not say otherwise.
        """
        check_room(budget)
        defaults = flat(budget, budget.changed())
        if max_answer_tokens is not None:
            defaults[ANSWER] = max_answer_tokens
        return cls(defaults, effort)

    @classmethod
    def from_dict(cls, given: Mapping[str, Any]) -> Terms:
        """What [`Terms.to_dict`] has written."""
        effort = given.get("effort")
        return cls(given.get("defaults", {}), None if effort is None else Effort(effort))

    @property
    def budget(self) -> Budget:
        """That of requests that do not say."""
        return Budget(**from_flat({name: value for name, value in self.defaults.items() if name in NAMES}))

    def to_dict(self) -> dict[str, Any]:
        """As JSON types."""
        efforts = None
        if self.effort is not None:
            efforts = {name: budget.changed() for name, budget in self.effort.table.items()}
        return {"defaults": dict(self.defaults), "effort": efforts}

    def asked(self, given: Mapping[str, Any], body: dict[str, Any]) -> dict[str, Any]:
        """What a request asks for, flat; empty if neither it nor the server says anything.

        Args:
            given (`Mapping`): the fields that it gives itself, and perhaps others, which are not looked at.
            body (`dict`): the whole request. Its effort is taken out of it, if the server itself would not know it.

        Raises:
            ValueError: a field is wrong, has no effect, or comes beside an effort that says the same; or there is no
                such effort.
        """
        own = from_flat({name: given[name] for name in NAMES if name in given})
        effort = self.effort_in(body)
        if effort is not None and self.effort is not None:
            named = self.effort.budget(effort, own)
            budget = with_defaults(own, {name: getattr(named, name) for name in named.changed() if name not in own})
            if effort not in _STOCK_EFFORTS:
                for one in _efforts_in(body).values():
                    del one.holder[one.field]
            said = {*own, *PER_PROMPT, *budget.changed()}
        else:
            defaults = {name: value for name, value in self.defaults.items() if name in NAMES}
            budget = with_defaults(own, from_flat({**self.texts, **defaults}))
            said = {*own, *defaults}
        if not given.get(CHECKED):
            check_effect([budget], of_request=True)
        found = flat(budget, sorted(said))
        for name, value in found.items():
            if is_count(value):
                found[name] = min(value, NO_LIMIT)  # servers take 64 bits
        if ANSWER in given or ANSWER in self.defaults:
            found[ANSWER] = _answer_limit(given.get(ANSWER, self.defaults.get(ANSWER)))
        return found

    def effort_in(self, body: Mapping[str, Any]) -> str | None:
        """The effort that a request names, if it names one that means something here."""
        if self.effort is None:
            return None
        given = _efforts_in(body)
        if len(given) > 1:
            said = ", ".join(f"`{where}`" for where in given)
            raise ValueError(f"{said} say the same. Leave all but one of them out.")
        return next((one.name for one in given.values()), None)

    @contextmanager
    def naming(self, effort: str | None) -> Iterator[None]:
        """While this lasts, an error about a budget that an effort stands for says so."""
        try:
            yield
        except ValueError as error:
            if self.effort is None or effort is None:
                raise
            budget = self.effort.table[effort]
            raise ValueError(f"{error} The effort {effort!r} is a budget here, {budget.name}.") from None


class _Effort(NamedTuple):
    """An effort that a request names, and the object and field that say so."""

    name: Any
    holder: dict[str, Any]
    field: str


def _efforts_in(body: Mapping[str, Any]) -> dict[str, _Effort]:
    """The efforts that a request names, in OpenAI's two ways and in Anthropic's, by where they stand."""
    found = {}
    for where in ("reasoning_effort", "reasoning.effort", "output_config.effort"):
        outer, _, name = where.rpartition(".")
        holder = body.get(outer) if outer else body
        if isinstance(holder, dict) and holder.get(name) is not None:
            found[where] = _Effort(holder[name], holder, name)
    thinking = body.get("thinking")
    if isinstance(thinking, dict) and thinking.get("type") == "disabled":
        found["thinking.type"] = _Effort("none", thinking, "type")
    return found


def _answer_limit(value: Any) -> int:
    """`max_answer_tokens` as servers take it: a number of 64 bits, which replaces their own even where it is none."""
    if value is None or (isinstance(value, str) and value == ""):
        return NO_LIMIT
    most = whole_number(value)
    if not is_count(most) or most < 1:
        raise ValueError(f"`{ANSWER}` has to be an integer of at least 1, but is {as_json(most)}.")
    return min(most, NO_LIMIT)


def check_texts(given: Mapping[str, Any], tokenizer: PreTrainedTokenizerBase, context: int | None) -> None:
    """Raises a `ValueError` for texts of a request's budget that would keep the server busy before they are refused.

    Args:
        given (`Mapping`): what the request says of its budget, and perhaps more, which is not looked at.
        context (`int`, *optional*): how many tokens prompt and output may have together.
    """
    for name in (*NAMES, "answer_stop_strings"):
        value = given.get(name)
        texts = [text for text in (value if isinstance(value, list) else [value]) if isinstance(text, str)]
        length = sum(map(len, texts))
        if length > MOST_IN_TEXTS:
            raise ValueError(f"`{name}` has to have at most {MOST_IN_TEXTS:,} characters in all, but has {length:,}.")
        if len(texts) > MOST_TEXTS:
            raise ValueError(f"`{name}` has to be at most {MOST_TEXTS} texts, but is {len(texts):,}.")
        tokens = max((len(tokenizer.tokenize(text)) for text in texts), default=0)
        if context is not None and tokens > context:
            raise ValueError(f"`{name}` has to fit into the context of {context:,} tokens, but has {tokens:,} itself.")
