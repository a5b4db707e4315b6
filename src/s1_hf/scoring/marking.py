"""From candidates to token ids, and to the places in them at which a reward model is read."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

    from s1_hf.scoring.scorer import Candidate


class Encoded(NamedTuple):
    """What a reward model is given.

    Args:
        ids (`list[int]`): token ids.
        reads (`list[int]`): of each number that is wanted the index in `ids` at which it is read, in order.
    """

    ids: list[int]
    reads: list[int]


def single_token(tokenizer: PreTrainedTokenizerBase, text: str, convention: str) -> int:
    """The id of a text that has to be one token.

    Raises:
        ValueError: it is several, or none.
    """
    ids = tokenizer.encode(text, add_special_tokens=False)
    if len(ids) != 1 or ids[0] == tokenizer.unk_token_id:
        raise ValueError(
            f"The convention {convention!r} needs {text!r} to be one token, but this tokenizer makes "
            f"{tokenizer.convert_ids_to_tokens(ids)!r} of it. Use the reward model's own tokenizer, or another "
            "convention."
        )
    return int(ids[0])


def marked(
    tokenizer: PreTrainedTokenizerBase, text: str, places: Sequence[int], mark: int, *, add_special_tokens: bool
) -> Encoded:
    """A text's tokens, and which of them stand at its characters `places`, in ascending order.

    A mark that a model wrote itself is not taken for one of ours, for these are found by where they stand.

    Raises:
        ValueError: the tokenizer cannot say where tokens stand, or another token than `mark` stands at a place.
    """
    if not tokenizer.is_fast:
        raise ValueError("Reward models need a fast tokenizer, which knows where its tokens stand in a text.")
    found: Any = tokenizer(text, return_offsets_mapping=True, add_special_tokens=add_special_tokens)
    ids, reads = list(found["input_ids"]), []
    tokens = iter(enumerate(found["offset_mapping"]))
    for place in places:
        index = next((i for i, (begin, end) in tokens if begin <= place < end), None)
        if index is None or ids[index] != mark:
            there = None if index is None else tokenizer.convert_ids_to_tokens(ids[index])
            wanted = tokenizer.convert_ids_to_tokens(mark)
            raise ValueError(
                f"The token {wanted!r} has to stand after every step, but at character {place} the tokenizer made "
                f"{there!r} of {text[max(0, place - 20) : place + 20]!r}."
            )
        reads.append(index)
    return Encoded(ids, reads)


def chat(candidate: Candidate, system_prompt: str | None) -> list[dict[str, Any]]:
    """The question as messages, behind a system prompt unless it has one."""
    if isinstance(candidate.question, str):
        messages: list[dict[str, Any]] = [{"role": "user", "content": candidate.question}]
    else:
        messages = [dict(message) for message in candidate.question]
    if system_prompt is not None and messages[0].get("role") != "system":
        messages.insert(0, {"role": "system", "content": system_prompt})
    return messages


def rendered(tokenizer: PreTrainedTokenizerBase, messages: list[dict[str, Any]]) -> str:
    """A finished chat as a text."""
    if not tokenizer.chat_template:
        raise ValueError("This reward model is asked with chats, but its tokenizer has no chat template.")
    return str(tokenizer.apply_chat_template(messages, tokenize=False, add_generation_prompt=False))
