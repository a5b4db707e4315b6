"""Dataset rows as token ids and labels, with a loss only on the trace and the answer (paper, section 4.1).

TRL could tokenise conversations itself, but only after loading the model. Made here, the labels used in training can be
shown and checked before that; tests/sft/test_data.py compares them with TRL's own.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from s1_hf.data.conversation import to_conversation
from s1_hf.forcing.formats import ThinkingFormat
from s1_hf.forcing.vocabulary import encode
from s1_hf.sft.templates import Turn, read_turn

if TYPE_CHECKING:
    from datasets import Dataset
    from transformers import PreTrainedTokenizerBase

IGNORED = -100  # the label of a token without loss, torch's `ignore_index`


@dataclass(frozen=True)
class Tokens:
    """A tokenised row.

    Args:
        input_ids (`list[int]`): question, trace and answer, rendered by the chat template.
        prompt_length (`int`): how many of the ids belong to the prompt: system text, question and the opening of the
            assistant's turn.
    """

    input_ids: list[int]
    prompt_length: int

    @property
    def labels(self) -> list[int]:
        """`input_ids`, with `IGNORED` in place of the prompt."""
        return [IGNORED] * self.prompt_length + self.input_ids[self.prompt_length :]


def tokenize(
    row: dict[str, Any], tokenizer: PreTrainedTokenizerBase, thinking_format: ThinkingFormat, turn: Turn | None = None
) -> Tokens:
    """Tokenise a row with `question`, `thinking_trajectories` and `attempt` as the model will see it.

    The prompt is that of the chat template. If it has opened thinking, the loss begins with the trace; otherwise with
    the opening delimiter.

    Args:
        turn ([`Turn`], *optional*): what the template puts around a reply, if it has been read before.

    Raises:
        ValueError: [`read_turn`] refuses the template; or the row's text holds an end of turn or changes the
            delimiters. In each case, training would differ from what the model sees when it generates.
    """
    turn = turn or read_turn(tokenizer, thinking_format)
    own = (thinking_format.start_text, thinking_format.close_text)
    messages = to_conversation(row, format=own if thinking_format.name == "custom" else thinking_format.name)
    asked = turn.prompt(tokenizer, messages["prompt"])
    reply = messages["completion"][0]["content"]
    if asked.rstrip().endswith(thinking_format.start_text.strip()):
        reply = reply.removeprefix(thinking_format.start_text)
        reply = reply.lstrip() if asked[-1].isspace() or thinking_format.start_text[-1].isspace() else reply
    prompt = tokenizer.encode(asked, add_special_tokens=False)
    ids = tokenizer.encode(asked + reply + turn.end, add_special_tokens=False)
    if ids[: len(prompt)] != prompt:  # a token would reach from the prompt into the reply, which no model can write
        ids = [*prompt, *encode(tokenizer, reply + turn.end)]
    _check_completion(ids[len(prompt) :], tokenizer, thinking_format, turn)
    return Tokens(ids, len(prompt))


def training_rows(
    dataset: Dataset,
    tokenizer: PreTrainedTokenizerBase,
    thinking_format: ThinkingFormat,
    num_proc: int | None = None,
    turn: Turn | None = None,
) -> Dataset:
    """A dataset of `input_ids` and `labels` (lists of `int`), which `SFTTrainer` uses unchanged.

    Raises:
        ValueError: as in [`tokenize`], with the row's number.
    """
    turn = turn or read_turn(tokenizer, thinking_format)

    def convert(row: dict[str, Any], index: int) -> dict[str, list[int]]:
        try:
            tokens = tokenize(row, tokenizer, thinking_format, turn)
        except ValueError as error:
            raise ValueError(f"Row {index}: {error}") from None
        return {"input_ids": tokens.input_ids, "labels": tokens.labels}

    columns = dataset.column_names
    return dataset.map(convert, with_indices=True, remove_columns=columns, num_proc=num_proc, desc="Tokenizing")


def show_mask(row: dict[str, list[int]], tokenizer: PreTrainedTokenizerBase, edge: int = 24) -> str:
    """A training row in readable form: the part without loss and the part with loss, each shortened in the middle.

    Args:
        edge (`int`): number of tokens shown at each end of a part.
    """
    ids, labels = row["input_ids"], row["labels"]
    trained = [i for i, label in zip(ids, labels, strict=True) if label != IGNORED]
    masked = [i for i, label in zip(ids, labels, strict=True) if label == IGNORED]
    parts = (("no loss on", masked), ("loss on", trained))
    return "\n".join(f"{name} {len(part)} tokens: {_ends(part, tokenizer, edge)}" for name, part in parts)


def _check_completion(
    completion: list[int], tokenizer: PreTrainedTokenizerBase, thinking_format: ThinkingFormat, turn: Turn
) -> None:
    close, faults = thinking_format.close, []
    if thinking_format.plain:
        is_there = thinking_format.close_text.strip() in str(tokenizer.decode(completion))
    else:
        is_there = _contains(completion, close)
    if not is_there:
        faults.append(f"contain {thinking_format.close_text!r}, but does not")
    ends = [i for i in completion if i in turn.ends]
    if len(ends) > len([i for i in encode(tokenizer, turn.end) if i in turn.ends]):
        end = tokenizer.convert_ids_to_tokens(ends[0])
        faults.append(f"contain the end of turn {end!r} once, but also has it in the trace or answer")
    if faults:
        raise ValueError(f"the trained part has to {'; has to '.join(faults)}.")


def _contains(ids: list[int], part: tuple[int, ...]) -> bool:
    return any(tuple(ids[at : at + len(part)]) == part for at in range(len(ids) - len(part) + 1))


def _ends(ids: list[int], tokenizer: PreTrainedTokenizerBase, edge: int) -> str:
    if len(ids) <= 2 * edge:
        return repr(tokenizer.decode(ids))
    return f"{tokenizer.decode(ids[:edge])!r} ... {tokenizer.decode(ids[-edge:])!r}"
