"""What an engine's requests have in common: the tokenizer, the format, the ends of sequence, the context."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from transformers import AutoTokenizer, GenerationConfig

from s1_hf.forcing.automaton import Automaton
from s1_hf.forcing.budget import NAMES, Budget
from s1_hf.forcing.collect import check_spelling
from s1_hf.forcing.flat import from_flat
from s1_hf.forcing.formats import ThinkingFormat, check_format, format_of_settings, resolve_format
from s1_hf.forcing.keywords import SharedKeywords
from s1_hf.generation.guards import check_can_ignore, check_message_fits
from s1_hf.generation.limits import RowBudgets
from s1_hf.vllm.settings import RequestSettings

if TYPE_CHECKING:
    from collections.abc import Sequence

    from transformers import PreTrainedTokenizerBase

SECTION = "s1_hf"
"""The key of `additional_config`, an option of vLLM's engines, under which ours stand."""

TEXTS = tuple(SharedKeywords.__annotations__)


@dataclass(frozen=True, eq=False)
class Setup:
    """How an engine is set up.

    Args:
        tokenizer ([`PreTrainedTokenizerBase`]): the model's.
        format ([`ThinkingFormat`]): how its thinking opens and closes.
        eos (`tuple[int, ...]`): ids at which vLLM ends a sequence.
        context (`int`): how many tokens prompt and output may have together.
        defaults (`Mapping`): fields of a budget for requests that do not give them.
    """

    tokenizer: PreTrainedTokenizerBase
    format: ThinkingFormat
    eos: tuple[int, ...]
    context: int
    defaults: Mapping[str, Any] = field(default_factory=dict)

    @classmethod
    def of(cls, config: Any) -> Setup:
        """That of a `VllmConfig`.

        Raises:
            ValueError: our section of `additional_config` is wrong, or the tokenizer lacks the format.
        """
        model = config.model_config
        tokenizer = tokenizer_of(model.tokenizer, model.tokenizer_revision, model.trust_remote_code)
        section = (config.additional_config or {}).get(SECTION, {})
        defaults = defaults_of(section)
        format = _format_of(tokenizer, section.get("format"))
        eos = _ends_of(model, tokenizer)
        setup = cls(tokenizer, format, eos, model.max_model_len, defaults)
        largest = setup.automaton(Budget(**defaults), ()).largest_id  # with texts that no request may ever need
        if largest >= model.get_vocab_size():
            raise ValueError(
                f"The model's vocabulary has to hold the format's token {largest}, but has {model.get_vocab_size()} "
                "rows. Tokenizer and model do not belong together."
            )
        return setup

    def automaton(self, budget: Budget, stops: Sequence[int]) -> Automaton:
        """The automaton of a request; `stops` are ids that end it, besides the engine's.

        Raises:
            ValueError: a forced text contains a delimiter or an end of sequence.
        """
        eos = tuple(dict.fromkeys((*self.eos, *stops)))
        format = self.format.with_ends(eos)
        check_format(format, self.tokenizer, list(eos))
        return Automaton.of(self.tokenizer, format, budget, eos)

    def row_budgets(self, settings: RequestSettings, prompt_length: int) -> RowBudgets:
        """What makes limits of a request's budget, after a prompt of so many tokens.

        Raises:
            ValueError: the budget does not go with the format, or is too small for its stop message.
        """
        automaton = self.automaton(settings.budget, settings.stops)
        check_can_ignore(self.format, settings.budget)
        check_message_fits(settings.budget, len(automaton.message_ids))
        config = GenerationConfig(max_new_tokens=self.room(settings, prompt_length))
        return RowBudgets(automaton, settings.budget, config)

    def room(self, settings: RequestSettings, prompt_length: int) -> int:
        """How many tokens a request may write after its prompt."""
        room = max(self.context - prompt_length, 1)  # vLLM itself refuses a prompt that leaves none
        return min(settings.max_tokens or room, room)


def defaults_of(section: Any) -> dict[str, Any]:
    """The fields of a budget that an engine was built with, for requests that do not give them.

    Args:
        section (`Mapping`): these fields, as in `extra_args`, and the `format`.

    Raises:
        ValueError: it is none, or holds something else, or a field has the wrong type or range.
    """
    if not isinstance(section, Mapping):
        raise ValueError(
            f"`additional_config[{SECTION!r}]` has to be a mapping, such as {{'wait_text': 'Hmm'}}, but is {section!r}."
        )
    known = ("format", *TEXTS)
    unknown = [name for name in section if name not in known]
    check_spelling([name for name in unknown if name not in NAMES], known)
    if unknown:
        raise ValueError(
            f"An engine is built with `format` and any of {', '.join(TEXTS)}, but got {', '.join(unknown)}. The three "
            "budgets belong to requests."
        )
    defaults = from_flat({name: value for name, value in section.items() if name != "format"})
    Budget(**defaults)
    return defaults


@lru_cache(maxsize=8)
def tokenizer_of(name: str, revision: str | None, trust_remote_code: bool) -> PreTrainedTokenizerBase:
    """The tokenizer of a model; kept, so that what is built on it is found again."""
    return AutoTokenizer.from_pretrained(name, revision=revision, trust_remote_code=trust_remote_code)


def whole(format: ThinkingFormat) -> dict[str, Any]:
    """A format as JSON types, every field of it, from which another process makes the same."""
    return {"resolved": json.loads(json.dumps(asdict(format)))}


def _format_of(tokenizer: PreTrainedTokenizerBase, given: Any) -> ThinkingFormat:
    """The format that an engine's options say; see [`whole`]."""
    if not isinstance(given, dict) or "resolved" not in given:
        return format_of_settings(tokenizer, given)
    fields: dict[str, Any] = {}
    for name, value in given["resolved"].items():
        if name == "tool_results":
            value = tuple(tuple(pair) for pair in value)
        fields[name] = tuple(value) if isinstance(value, list) else value
    return resolve_format(tokenizer, ThinkingFormat(**fields))


def _ends_of(model: Any, tokenizer: PreTrainedTokenizerBase) -> tuple[int, ...]:
    """The ids at which vLLM ends every sequence: the model's own, and the tokenizer's."""
    own = model.try_get_generation_config().get("eos_token_id")
    ids = [*(own if isinstance(own, list) else [own]), tokenizer.eos_token_id]
    return tuple(dict.fromkeys(int(i) for i in ids if i is not None))
