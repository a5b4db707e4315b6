"""Rows as conversations for a chat template, and the checks to run before fine-tuning.

Source of the s1 format: data/tokenization.py of https://github.com/simplescaling/s1, which made
simplescaling/s1K_tokenized. The rows are those of [`s1_hf.load_s1k`].
"""

from __future__ import annotations

import statistics
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from itertools import islice
from typing import TYPE_CHECKING, Any

from s1_hf.data.replies import check_columns, holds_both, sources, training_row, with_messages
from s1_hf.forcing.families import FAMILIES, Family
from s1_hf.forcing.vocabulary import check_tokenizer

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

Row = Mapping[str, Any]
Messages = list[dict[str, str]]

FORMATS = tuple(FAMILIES)
"""The formats that can be written, by their names in `s1_hf.forcing.families`."""

Delimiters = tuple[str, str]
"""What opens and closes thinking, in place of a format's name."""

_COLUMNS = ("question", "thinking_trajectories", "attempt")
_LISTED = 5  # faults or rows spelled out in one message
_BATCH = 64  # rows tokenized at a time
_SAMPLE = {"question": "What is 1+1?", "thinking_trajectories": ["One.\n\nOne more."], "attempt": "Answer: 2"}


def to_conversation(
    row: Row,
    format: str | Delimiters = "s1",
    *,
    system: str | None = None,
    columns: Mapping[str, str] | None = None,
) -> dict[str, Messages]:
    """One row as TRL's prompt-completion messages; TRL computes the loss only on the completion.

    With trace as the traces joined by newlines and stripped, and answer as the attempt, the assistant's message is:

    - `"s1"`: `<|im_start|>think\\n{trace}\\n<|im_start|>answer\\n{answer}`, byte for byte as in the original; answer is
      prefixed with `Answer: ` unless it already contains `Answer:`, and then stripped;
    - `"think"`: `<think>\\n{trace}\\n</think>\\n\\n{answer}`; answer is stripped, without a prefix;
    - any other family of `s1_hf.forcing.families`: as its models write it (`layout`), with the answer stripped;
    - delimiters of your own, `("<r>", "</r>")`: as `"think"`, with these.

    Args:
        row (`Mapping`): with `question` (`str`), `thinking_trajectories` (`list[str]`) and `attempt` (`str`); or, in
            place of these, `messages` or `conversations` of one question and one reply.
        format (`str` or `tuple[str, str]`, defaults to `"s1"`): a family's name, or what opens and closes thinking.
        system (`str`, *optional*): a system message. Without one the chat template's default applies (s1 was trained
            with Qwen2.5's).
        columns (`Mapping[str, str]`, *optional*): the row's own names, as in [`s1_hf.load_s1k`].

    Returns:
        `dict[str, Messages]`: `prompt` and `completion`, lists of messages with `role` and `content`.

    Raises:
        ValueError: the format is unknown, or [`check_rows`] refuses the row.

    Example:

    ```python
    >>> from s1_hf import to_conversation
    >>> row = {"question": "1+1?", "thinking_trajectories": ["One and one."], "attempt": "2"}
    >>> to_conversation(row)["completion"]
    [{'role': 'assistant', 'content': '<|im_start|>think\\nOne and one.\\n<|im_start|>answer\\nAnswer: 2'}]

    ```
    """
    _check_format(format)
    check_columns(columns or {})
    faults = _faults(row, format, columns)
    if faults:
        raise ValueError(f"The row cannot be used for training: {'; '.join(faults)}.")
    row = _read(row, columns)
    prompt = [] if system is None else [{"role": "system", "content": system}]
    prompt.append({"role": "user", "content": row["question"]})
    trace = "\n".join(row["thinking_trajectories"]).strip()
    content = _write(format, trace, row["attempt"])
    return {"prompt": prompt, "completion": [{"role": "assistant", "content": content}]}


def check_rows(rows: Iterable[Row], format: str | Delimiters = "s1") -> None:
    """Refuse rows that would teach something other than intended.

    Raises:
        ValueError: a row lacks a column; a question, trace or attempt is not a string or is blank; or one contains a
            delimiter token such as `<|im_start|>`, which would look to the model like the start or end of thinking.
            The first few are listed by row and column, and all are counted.
    """
    _check_format(format)
    bad = [f"row {number}: {'; '.join(faults)}" for number, row in enumerate(rows) if (faults := _faults(row, format))]
    if bad:
        more = f"\nand {len(bad) - _LISTED} more" if len(bad) > _LISTED else ""
        raise ValueError(
            f"{len(bad)} rows cannot be used for training; fix them or leave them out (`dataset.filter`):\n"
            + "\n".join(bad[:_LISTED])
            + more
        )


def check_delimiters(tokenizer: PreTrainedTokenizerBase, format: str | Delimiters = "s1") -> None:
    """Refuse a tokenizer that splits the delimiters: `<|im_start|>` for s1, `<think>` and `</think>` for think.

    Raises:
        ValueError: one of them is not a single token; the message shows how it splits.
    """
    check_tokenizer(tokenizer)
    _check_format(format)
    split = _split_tokens(tokenizer, format)
    if split:
        shown = " and ".join(f"{token!r}, which splits into {parts}" for token, parts in split.items())
        others = [name for name in FORMATS if name != format and FAMILIES[name].tokens]
        has = [repr(name) for name in others if not _split_tokens(tokenizer, name)]
        other = f"Use format {' or '.join(has)}" if has else "It has those of no other format either. Use"
        raise ValueError(
            f"`format={format!r}` needs delimiters that are one token each, but this tokenizer does not have {shown}. "
            f"{other}{', or' if has else ''} two tokens of its vocabulary that nothing else uses as delimiters of your "
            "own (`thinking_start` and `thinking_close` in a recipe), or a model whose tokenizer has them. A recipe "
            "can also add them (`missing_tokens: add`), or train them as several tokens (`missing_tokens: split`)."
        )


def _split_tokens(tokenizer: PreTrainedTokenizerBase, format: str | Delimiters) -> dict[str, list[str] | str]:
    """The format's tokens that this tokenizer splits, and into what."""
    split: dict[str, list[str] | str] = {}
    for token in family_of(format).tokens:
        ids = tokenizer.encode(token, add_special_tokens=False)
        if len(ids) != 1 or ids[0] == tokenizer.unk_token_id:
            split[token] = tokenizer.convert_ids_to_tokens(ids)
    return split


def check_template(tokenizer: PreTrainedTokenizerBase, format: str | Delimiters = "s1") -> None:
    """Refuse a chat template that drops or rewrites the thinking, or writes something before it.

    Many templates of reasoning models remove the thinking from assistant messages (DeepSeek-R1's), or open their own
    empty block before a message without `<think>` (Qwen3's with the s1 format).

    Raises:
        ValueError: there is no template, or a sample conversation is not rendered as prompt, whole message, end.
    """
    check_tokenizer(tokenizer)
    _render(tokenizer, to_conversation(_SAMPLE, format), format)


@dataclass(frozen=True)
class LengthSummary:
    """Lengths of rendered rows in tokens.

    Args:
        lengths (`tuple[int, ...]`): of every row, prompt and completion.
        completion_tokens (`int`): how many of all tokens are in completions, where the loss is computed.
        max_length (`int`, *optional*): the training length to compare with.
    """

    lengths: tuple[int, ...] = field(repr=False)
    completion_tokens: int
    max_length: int | None = None

    @property
    def rows(self) -> int:
        return len(self.lengths)

    @property
    def min(self) -> int:
        return min(self.lengths)

    @property
    def max(self) -> int:
        return max(self.lengths)

    @property
    def mean(self) -> float:
        return statistics.fmean(self.lengths)

    @property
    def median(self) -> float:
        return statistics.median(self.lengths)

    @property
    def longest_row(self) -> int:
        """Index of the (first) longest row."""
        return self.lengths.index(self.max)

    @cached_property
    def too_long(self) -> tuple[int, ...]:
        """Indices of the rows with more than `max_length` tokens."""
        limit = self.max if self.max_length is None else self.max_length
        return tuple(number for number, length in enumerate(self.lengths) if length > limit)

    @property
    def share_too_long(self) -> float:
        return len(self.too_long) / self.rows

    def __str__(self) -> str:
        lines = [
            f"{self.rows:,} rows of {self.min:,} to {self.max:,} tokens (median {self.median:,.0f}, mean "
            f"{self.mean:,.0f}); the longest is row {self.longest_row}",
            f"{self.completion_tokens:,} of {sum(self.lengths):,} tokens in completions",
        ]
        if self.max_length is not None:
            lines.append(f"{len(self.too_long):,} rows ({self.share_too_long:.1%}) longer than {self.max_length:,}")
        return "\n".join(lines)


def summarize(
    rows: Iterable[Row],
    tokenizer: PreTrainedTokenizerBase,
    format: str | Delimiters = "s1",
    *,
    max_length: int | None = None,
    system: str | None = None,
) -> LengthSummary:
    """Render and tokenize all rows as training does, and count their tokens.

    Raises:
        ValueError: there are no rows; `max_length` is not positive; a row is refused by [`check_rows`], or its
            rendering for the reasons in [`check_template`].
    """
    check_tokenizer(tokenizer)
    if max_length is not None and max_length < 1:
        raise ValueError(f"`max_length` has to be a positive number of tokens, but is {max_length}.")
    lengths: list[int] = []
    completion_tokens = 0
    rendered = _numbered(rows, lambda row: _render(tokenizer, to_conversation(row, format, system=system), format))
    while batch := list(islice(rendered, _BATCH)):
        prompts, whole = (_lengths(tokenizer, texts) for texts in zip(*batch, strict=True))
        lengths += whole
        completion_tokens += sum(whole) - sum(prompts)
    if not lengths:
        raise ValueError("`rows` has to have at least one row, but is empty.")
    return LengthSummary(tuple(lengths), completion_tokens, max_length)


def _check_format(format: str | Delimiters) -> None:
    is_pair = isinstance(format, tuple) and len(format) == 2 and all(isinstance(t, str) and t.strip() for t in format)
    if not is_pair and format not in FORMATS:
        raise ValueError(
            f"`format` has to be one of {', '.join(map(repr, FORMATS))}, or a pair of delimiters such as "
            f"('<r>', '</r>'), but is {format!r}."
        )


def family_of(format: str | Delimiters) -> Family:
    """The family of a format's name; of delimiters, one made of them."""
    if isinstance(format, str):
        return FAMILIES[format]
    start, close = format
    return Family(start=start, close=close, tokens=(start, close), models="yours", source="you")


def _write(format: str | Delimiters, trace: str, attempt: str) -> str:
    family = family_of(format)
    if format == "s1" and "Answer:" not in attempt:
        attempt = "Answer: " + attempt
    return family.written(trace, attempt.strip())


def _read(row: Row, columns: Mapping[str, str] | None) -> Row:
    found = training_row(row, columns or {})
    if columns and isinstance(found.get("thinking_trajectories"), str):
        found = {**found, "thinking_trajectories": [found["thinking_trajectories"]]}
    return found


def _faults(given: Row, format: str | Delimiters, columns: Mapping[str, str] | None = None) -> list[str]:
    named = sources(with_messages(columns or {}, given))
    try:
        row = _read(given, columns)
    except ValueError as error:
        return [str(error)]
    missing = dict.fromkeys(named[name] for name in _COLUMNS if name not in row)
    if missing:
        return [f"lacks {', '.join(f'`{n}`' for n in missing)} (it has {', '.join(given)}): load it with `load_s1k`"]
    faults = []
    traces = row["thinking_trajectories"]
    if not isinstance(traces, list) or not traces:
        name = named["thinking_trajectories"]
        faults.append(f"`{name}` has to be a list of one or more strings, but is {traces!r:.60}")
        traces = []
    texts = {"question": row["question"], "attempt": row["attempt"]}
    texts |= {f"thinking_trajectories[{i}]": trace for i, trace in enumerate(traces)}
    for place, text in texts.items():
        column, bracket, rest = place.partition("[")
        name = named[column] + bracket + rest
        if not isinstance(text, str) or not text.strip():
            faults.append(f"`{name}` has to be a string that is not blank, but is {text!r:.60}")
            continue
        family = family_of(format)
        inside = [token for token in family.tokens or family.texts if token in text]
        if inside:
            offer = f"; `columns={{'reply': {named[column]!r}}}` takes it apart" if holds_both(text) else ""
            said = f"`{name}` contains {' and '.join(map(repr, inside))}, a delimiter of format {format!r}"
            faults.append(said + offer)
    return faults


def _render(
    tokenizer: PreTrainedTokenizerBase, conversation: dict[str, Messages], format: str | Delimiters
) -> tuple[str, str]:
    """The prompt and the whole conversation as text; the second continues where the first ends."""
    if not tokenizer.chat_template:
        raise ValueError("The tokenizer has to have a chat template, but has none. Set `tokenizer.chat_template`.")
    prompt, completion = conversation["prompt"], conversation["completion"]
    try:
        opened = str(tokenizer.apply_chat_template(prompt, tokenize=False, add_generation_prompt=True))
        whole = str(tokenizer.apply_chat_template([*prompt, *completion], tokenize=False))
    except Exception as error:  # templates raise whatever they like: gpt-oss', where a message holds its tokens
        raise ValueError(f"The chat template cannot render this row: {type(error).__name__}: {error}") from None
    content = completion[0]["content"]
    head, found, _ = whole.rpartition(content)
    if found and opened in (head, f"{head}{family_of(format).start}\n"):  # the prompt may already open thinking
        return opened, whole
    if found:
        fault = f"it is preceded by {head[-60:]!r}, while a prompt ends in {opened[-60:]!r}"
    else:
        trace = content.split(family_of(format).close)[0]
        fault = "the answer is changed" if trace in whole else "the thinking is dropped or changed"
    raise ValueError(
        f"The chat template has to render an assistant's message in full and right after the prompt, but {fault}. "
        "Set `tokenizer.chat_template` to one that does; TRL has training templates, such as "
        "`trl/chat_templates/deepseek_r1_distill_training.jinja`."
    )


def _lengths(tokenizer: PreTrainedTokenizerBase, texts: Iterable[str]) -> list[int]:
    return [len(ids) for ids in tokenizer(list(texts), add_special_tokens=False)["input_ids"]]


def _numbered(rows: Iterable[Row], render: Callable[[Row], tuple[str, str]]) -> Iterator[tuple[str, str]]:
    for number, row in enumerate(rows):
        try:
            yield render(row)
        except ValueError as error:
            raise ValueError(f"Row {number}: {error}") from None
