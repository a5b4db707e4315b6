"""From prompts to token ids, and from generated ids to completions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch

from s1_hf.forcing.prompts import split_output
from s1_hf.forcing.report import Report

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

    from s1_hf.forcing.formats import ThinkingFormat
    from s1_hf.generation.processor import BudgetForcingLogitsProcessor

Message = Mapping[str, Any]
Prompt = str | Sequence[Message]


@dataclass(frozen=True)
class Completion:
    """One generated row.

    Args:
        thinking (`str`): the generated text between the delimiters, without the space around it; empty if none;
            several blocks of an interleaved format stand on lines of their own.
        answer (`str`): the text after the closing delimiter, also stripped; everything if the model never thought.
        text (`str`): everything that was generated, delimiters included, without the end of sequence.
        token_ids (`tuple[int, ...]`): all generated ids, the end of sequence included, padding not.
        forced (`tuple[bool, ...]`): for each of these, whether it was forced.
        report ([`Report`]): what budget forcing did.
    """

    thinking: str
    answer: str
    text: str
    token_ids: tuple[int, ...]
    forced: tuple[bool, ...]
    report: Report


def completion_of(
    tokenizer: PreTrainedTokenizerBase,
    processor: BudgetForcingLogitsProcessor,
    prompt: list[int],
    ids: list[int],
    report: Report,
) -> Completion:
    """The completion of one row, from the `ids` generated after its `prompt`."""
    body = ids[:-1] if ids and ids[-1] in processor.eos_token_ids else ids
    spans, answer = split_output(processor.automaton, prompt, body)
    thinking = []
    for begin, end in spans:
        thinking.append(str(tokenizer.decode(body[begin:end], skip_special_tokens=False)).strip())
    return Completion(
        thinking="\n".join(thinking),
        answer=str(tokenizer.decode(body[answer:], skip_special_tokens=True)).strip(),
        text=str(tokenizer.decode(body, skip_special_tokens=False)),
        token_ids=tuple(ids),
        forced=report.forced,
        report=report,
    )


def as_list(prompts: Prompt | Sequence[Prompt]) -> list[Prompt]:
    """One prompt or several, as a list; raises a `ValueError` if there is none."""
    if isinstance(prompts, str) or (isinstance(prompts, Sequence) and prompts and isinstance(prompts[0], Mapping)):
        return [prompts]  # type: ignore[list-item]
    if not isinstance(prompts, Sequence) or not prompts:
        raise ValueError(
            f"`prompts` has to be a text, a chat, or a list of these with at least one, but is {prompts!r}."
        )
    return list(prompts)  # type: ignore[arg-type]


def prompt_ids(
    tokenizer: PreTrainedTokenizerBase, fmt: ThinkingFormat, prompt: Prompt, options: Mapping[str, Any]
) -> list[int]:
    """A prompt as ids, by the chat template if there is one; raises a `ValueError` if it is none."""
    if isinstance(prompt, str) and not tokenizer.chat_template:
        ids = list(tokenizer(prompt)["input_ids"])  # with its BOS, which a chat template would have written
    else:
        chat = [{"role": "user", "content": prompt}] if isinstance(prompt, str) else prompt
        _check_chat(chat)
        if not tokenizer.chat_template:
            raise ValueError("A chat needs a chat template, which this tokenizer does not have. Pass texts instead.")
        ids = list(tokenizer.encode(_render(tokenizer, fmt, chat, options), add_special_tokens=False))
    if not ids:
        raise ValueError(f"A prompt has to be at least one token, but {prompt!r} is none.")
    return ids


def _check_chat(chat: Any) -> None:
    if not isinstance(chat, Sequence) or not chat or not all(isinstance(m, Mapping) and "role" in m for m in chat):
        raise ValueError(
            "A prompt has to be a text or a chat, a list of messages such as {'role': 'user', 'content': '...'}, "
            f"but is {chat!r}."
        )
    last = chat[-1]
    if last["role"] == "assistant" and last.get("tool_calls"):
        raise ValueError(
            "A chat that ends with `tool_calls` waits for their results: append a message such as {'role': 'tool', "
            f"'content': '...'}} for each, but the last message is {last!r}."
        )
    asked = [m for m in chat if m["role"] in ("user", "system") or (m is last and m["role"] != "tool")]
    if not all(isinstance(m.get("content"), (str, list)) for m in asked):
        raise ValueError(f"Every user and system message has to have a `content`, but the chat is {chat!r}.")


def _render(
    tokenizer: PreTrainedTokenizerBase, fmt: ThinkingFormat, chat: Sequence[Message], options: Mapping[str, Any]
) -> str:
    """The chat as text, up to where the model continues; what the assistant has begun stays as it is written.

    Templates rewrite assistant messages (Qwen3's closes thinking before them), so that a begun one is put after the
    generation prompt instead.
    """
    own = chat[-1]["content"] if chat[-1]["role"] == "assistant" and len(chat) > 1 else ""
    messages = [dict(m) for m in (chat[:-1] if own else chat)]
    text = str(tokenizer.apply_chat_template(messages, tokenize=False, add_generation_prompt=True, **options))
    if own and str(own).lstrip().startswith(fmt.start_text) and text.rstrip().endswith(fmt.start_text):
        text = text.rstrip()[: -len(fmt.start_text)]
    return text + str(own)


def left_padded(rows: list[list[int]], pad: int) -> dict[str, torch.Tensor]:
    """`input_ids` and `attention_mask` of shape `(batch_size, width)`."""
    width = max(map(len, rows))
    input_ids = torch.full((len(rows), width), pad)
    attention_mask = torch.zeros_like(input_ids)
    for i, row in enumerate(rows):
        input_ids[i, width - len(row) :] = torch.tensor(row)
        attention_mask[i, width - len(row) :] = 1
    return {"input_ids": input_ids, "attention_mask": attention_mask}
