"""Dataset rows as token ids and labels, with a loss only on the trace and the answer (paper, section 4.1).

TRL could tokenise conversations itself, but only after loading the model. Made here, the labels used in training can be
shown and checked before that; tests/sft/test_data.py compares them with TRL's own.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from jinja2 import TemplateError

from s1_hf.data.conversation import to_conversation
from s1_hf.forcing.formats import ThinkingFormat

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


def tokenize(row: dict[str, Any], tokenizer: PreTrainedTokenizerBase, thinking_format: ThinkingFormat) -> Tokens:
    """Tokenise a row with `question`, `thinking_trajectories` and `attempt` as the model will see it.

    Raises:
        ValueError: the chat template renders the prompt differently once an answer follows it; or the trained part does
            not begin with the opening delimiter, lacks the closing one, or does not end with the end of turn. In each
            case, training would differ from what the model sees when it generates.
    """
    own = (thinking_format.start_text, thinking_format.close_text)
    messages = to_conversation(row, format=own if thinking_format.name == "custom" else thinking_format.name)
    prompt = _render(tokenizer, messages["prompt"], add_generation_prompt=True)
    ids = _render(tokenizer, messages["prompt"] + messages["completion"])
    tokens = Tokens(ids, len(prompt))
    if ids[: len(prompt)] != prompt:
        raise ValueError(
            "the chat template renders the prompt differently once an answer follows it. Without an answer, it ends "
            f"with {tokenizer.decode(prompt[-12:])!r}. Use the template of an instruction model, or one of TRL's "
            "training templates (`chat_template_path`)."
        )
    opened = str(tokenizer.decode(prompt)).rstrip().endswith(thinking_format.start_text)
    _check_completion(ids[len(prompt) :], opened, tokenizer, thinking_format)
    return tokens


def training_rows(
    dataset: Dataset, tokenizer: PreTrainedTokenizerBase, thinking_format: ThinkingFormat, num_proc: int | None = None
) -> Dataset:
    """A dataset of `input_ids` and `labels` (lists of `int`), which `SFTTrainer` uses unchanged.

    Raises:
        ValueError: as in [`tokenize`], with the row's number.
    """

    def convert(row: dict[str, Any], index: int) -> dict[str, list[int]]:
        try:
            tokens = tokenize(row, tokenizer, thinking_format)
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


def _render(tokenizer: Any, messages: list[dict[str, str]], add_generation_prompt: bool = False) -> list[int]:
    try:
        encoded = tokenizer.apply_chat_template(
            messages, add_generation_prompt=add_generation_prompt, tokenize=True, return_dict=True
        )
    except TemplateError as error:
        raise ValueError(f"the chat template cannot render this row: {error}") from None
    return list(encoded["input_ids"])


def _check_completion(
    completion: list[int], opened: bool, tokenizer: PreTrainedTokenizerBase, thinking_format: ThinkingFormat
) -> None:
    start, close = thinking_format.start, thinking_format.close
    text = str(tokenizer.decode(completion))
    faults = []
    if not opened and tuple(completion[: len(start)]) != start:
        faults.append(f"begin with {thinking_format.start_text!r}, but begins with {text[:60]!r}")
    if not _contains(completion, close):
        faults.append(f"contain {thinking_format.close_text!r}, but does not")
    if not text.rstrip().endswith(str(tokenizer.eos_token)):
        faults.append(f"end with the end of turn {tokenizer.eos_token!r}, but ends with {text[-60:]!r}")
    if completion.count(tokenizer.eos_token_id) > 1:
        faults.append(f"contain the end of turn {tokenizer.eos_token!r} once, but also has it in the trace or answer")
    if faults:
        raise ValueError(
            f"the trained part has to {'; has to '.join(faults)}. Either the chat template drops or rewrites it, or "
            "the tokenizer's `eos_token` is not the end of turn (set `chat_template_path` or `eos_token`), or the "
            "row's text contains such tokens."
        )


def _contains(ids: list[int], part: tuple[int, ...]) -> bool:
    return any(tuple(ids[at : at + len(part)]) == part for at in range(len(ids) - len(part) + 1))


def _ends(ids: list[int], tokenizer: PreTrainedTokenizerBase, edge: int) -> str:
    if len(ids) <= 2 * edge:
        return repr(tokenizer.decode(ids))
    return f"{tokenizer.decode(ids[:edge])!r} ... {tokenizer.decode(ids[-edge:])!r}"
