"""What can fit into a model's context at most, told before a server reads a request's texts as tokens: long ones would
keep it busy for a minute, in which it answers nobody."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

_OF_PROMPTS = ("messages", "input", "prompt", "system", "instructions", "suffix", "tools")
_NO_TEXTS = (
    "image_url", "input_audio", "audio_url", "video_url", "source", "file", "data", "url", "type", "id", "call_id",
    "tool_call_id", "tool_use_id", "signature", "encrypted_content", "cache_control",
)  # fmt: skip
"""Fields in a prompt that chat templates do not show, as texts."""

_PIECE = 20_000
"""Characters that are read as tokens at once; of a text that cannot fit, only as many are read as fill the context."""

_MOST_PER_TOKEN = 4
"""Characters of a token, in what is not worth counting: texts of fewer take little time."""

_OBJECTS_PER_TOKEN = 4
"""A message with a part and a call of a tool is as many objects, and more tokens."""


@dataclass(frozen=True)
class Bounds:
    """Of a request's prompt.

    Args:
        context (`int`, *optional*): how many tokens prompt and output may have together; without it, anything fits.
        longest (`int`): characters that no token has more of.
        tokenize (`Callable`, *optional*): reads a text as tokens; without it, only characters are counted.
    """

    context: int | None = None
    longest: int = 0
    tokenize: Callable[[str], list[str]] | None = None

    @classmethod
    def of(cls, tokenizer: PreTrainedTokenizerBase, context: int | None) -> Bounds:
        """Those of a model. In its vocabulary a token has as many characters as bytes, or more than its text."""
        return cls(context, max(map(len, tokenizer.get_vocab())), tokenizer.tokenize)

    def check(self, body: Mapping[str, Any]) -> None:
        """Raises a `ValueError` for a request whose prompt cannot fit, whatever its texts are."""
        if self.context is None:
            return
        is_cut = body.get("truncate_prompt_tokens") is not None or body.get("truncation") == "auto"  # by vLLM
        prompt = body.get("prompt")
        several = isinstance(prompt, list) and all(isinstance(one, (str, list)) for one in prompt)
        together = {name: body[name] for name in _OF_PROMPTS if name in body and not (several and name == "prompt")}
        for one in (together, *(prompt if isinstance(prompt, list) and several else ())):
            self._check_one(one, is_cut)

    def _check_one(self, prompt: Any, is_cut: bool) -> None:
        assert self.context is not None
        most = self.context * self.longest
        objects = characters = 0
        for part in _parts_of(prompt):
            if isinstance(part, str):
                characters += len(part)
            elif isinstance(part, dict):
                objects += 1
            is_list_of_ids = isinstance(part, list) and len(part) > self.context
            if characters > most or objects > _OBJECTS_PER_TOKEN * self.context or is_list_of_ids:
                raise ValueError(
                    f"The prompt has to fit into the context of {self.context:,} tokens, but would not, with more than "
                    f"{most:,} characters in its texts, {self.context:,} entries in a list, or "
                    f"{_OBJECTS_PER_TOKEN * self.context:,} objects."
                )
        if self.tokenize is not None and not is_cut and characters > _MOST_PER_TOKEN * self.context:
            self._check_tokens(prompt, self.tokenize)

    def _check_tokens(self, prompt: Any, tokenize: Callable[[str], list[str]]) -> None:
        """Raises a `ValueError` for texts of too many tokens, as soon as that is known.

        Turns of the model are not counted: chat templates leave its earlier thinking out.
        """
        assert self.context is not None
        tokens = 0
        for text in _parts_of(prompt, without_turns_of_the_model=True):
            if not isinstance(text, str):
                continue
            for start in range(0, len(text), _PIECE):
                cut = self.longest if len(text) > _PIECE else 0  # a token, perhaps into all of its characters
                tokens += max(len(tokenize(text[start : start + _PIECE])) - cut, 0)
                if tokens > self.context:
                    raise ValueError(
                        f"The prompt has to fit into the context of {self.context:,} tokens, but its texts have more."
                    )


ANYTHING = Bounds()
"""What a model without a context takes."""


def _parts_of(value: Any, without_turns_of_the_model: bool = False) -> Iterator[Any]:
    """A value, and all texts, lists and objects in it."""
    left = [value]
    while left:
        one = left.pop()
        is_of_model = isinstance(one, dict) and (one.get("role") == "assistant" or one.get("type") == "reasoning")
        if is_of_model and without_turns_of_the_model:
            continue
        yield one
        if isinstance(one, dict):
            left += [inner for name, inner in one.items() if name not in _NO_TEXTS]
        elif isinstance(one, list):
            left += [inner for inner in one if isinstance(inner, (str, list, dict))]
