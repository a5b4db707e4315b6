"""What can fit into a model's context at most, told from a request without reading its texts as tokens: long ones keep
a server busy for a minute, in which it answers nobody."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

_OF_PROMPTS = ("messages", "input", "prompt", "system", "instructions", "suffix", "tools")
_MEDIA = ("image_url", "input_audio", "audio_url", "video_url", "source", "file", "data", "url")
"""Fields of parts that are no texts."""

_OBJECTS_PER_TOKEN = 4
"""A message with a part and a call of a tool is as many objects, and more tokens."""


@dataclass(frozen=True)
class Bounds:
    """Of a request's prompt.

    Args:
        context (`int`, *optional*): how many tokens prompt and output may have together; without it, anything fits.
        longest (`int`): characters that no token has more of.
    """

    context: int | None = None
    longest: int = 0

    @classmethod
    def of(cls, tokenizer: PreTrainedTokenizerBase, context: int | None) -> Bounds:
        """Those of a model. In its vocabulary a token has as many characters as bytes, or more than its text."""
        return cls(context, max(map(len, tokenizer.get_vocab())))

    def check(self, body: Mapping[str, Any]) -> None:
        """Raises a `ValueError` for a request whose prompt cannot fit, whatever its texts are."""
        if self.context is None:
            return
        prompt = body.get("prompt")
        several = isinstance(prompt, list) and all(isinstance(one, (str, list)) for one in prompt)
        together = {name: body[name] for name in _OF_PROMPTS if name in body and not (several and name == "prompt")}
        for one in (together, *(prompt if isinstance(prompt, list) and several else ())):
            self._check_one(one)

    def _check_one(self, prompt: Any) -> None:
        assert self.context is not None
        most = self.context * self.longest
        objects = characters = 0
        for part in _parts_of(prompt):
            if isinstance(part, str):
                characters += len(part)
            else:
                objects += 1 if isinstance(part, dict) else 0
            is_list_of_ids = isinstance(part, list) and len(part) > self.context
            if characters > most or objects > _OBJECTS_PER_TOKEN * self.context or is_list_of_ids:
                raise ValueError(
                    f"The prompt has to fit into the context of {self.context:,} tokens, but would not, with more than "
                    f"{most:,} characters in its texts, {self.context:,} entries in a list, or "
                    f"{_OBJECTS_PER_TOKEN * self.context:,} objects."
                )


ANYTHING = Bounds()
"""What a model without a context takes."""


def _parts_of(value: Any) -> Iterator[Any]:
    """A value, and all texts, lists and objects in it."""
    left = [value]
    while left:
        one = left.pop()
        yield one
        if isinstance(one, dict):
            left += [inner for name, inner in one.items() if name not in _MEDIA]
        elif isinstance(one, list):
            left += [inner for inner in one if isinstance(inner, (str, list, dict))]
