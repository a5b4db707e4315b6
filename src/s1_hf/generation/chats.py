"""From prompts to token ids, and from generated ids to completions."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch

from s1_hf.forcing.prompts import split_output
from s1_hf.forcing.report import Report
from s1_hf.forcing.values import instead, is_count, is_many, not_unicode, plain, shown
from s1_hf.generation.cautions import warn

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

    from s1_hf.forcing.automaton import Automaton
    from s1_hf.forcing.formats import ThinkingFormat
    from s1_hf.forcing.pauses import Begun

_OURS = frozenset(("tokenize", "add_generation_prompt", "continue_final_message", "return_dict", "return_tensors"))
"""Arguments of `apply_chat_template` that are not the caller's."""

_WRITTEN = ("content", "reasoning_content", "reasoning", "thinking")
"""Fields of an assistant's message that hold what the model has written."""

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
        begun ([`Begun`], *optional*): of a row that has paused: what it can go on from.
        confidences (`tuple[float, ...]`, *optional*): how sure the model was of each token that was generated for this
            request, see [`Confidence`], in nats, to four decimals; those that it went on from are left out.
    """

    thinking: str
    answer: str
    text: str
    token_ids: tuple[int, ...]
    forced: tuple[bool, ...]
    report: Report
    begun: Begun | None = None
    confidences: tuple[float, ...] | None = None


def completion_of(
    tokenizer: PreTrainedTokenizerBase,
    automaton: Automaton,
    prompt: list[int],
    ids: list[int],
    report: Report,
) -> Completion:
    """The completion of one row, from the `ids` generated after its `prompt`."""
    body = ids[:-1] if ids and ids[-1] in automaton.eos else ids
    spans, answer = split_output(automaton, prompt, body)
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
    given = plain(prompts)
    if isinstance(given, str) or (is_many(given) and len(given) and isinstance(given[0], Mapping)):
        return [given]
    if not is_many(given) or not len(given):
        raise ValueError(
            "`prompts` has to be a text, a chat, or a list of these with at least one, but is "
            f"{shown(given)}.{instead(given)}{_of_ids(given)}"
        )
    return list(given)


def behind_system(tokenizer: PreTrainedTokenizerBase, prompt: Prompt, system_prompt: str | None) -> Prompt:
    """A prompt behind a system prompt, if there is one: as a message, or without a chat template as text."""
    if system_prompt is None:
        return prompt
    if not tokenizer.chat_template:
        return f"{system_prompt}\n\n{prompt}"
    chat = [{"role": "user", "content": prompt}] if isinstance(prompt, str) else list(prompt)
    return [{"role": "system", "content": system_prompt}, *chat]


def prompt_ids(
    tokenizer: PreTrainedTokenizerBase, fmt: ThinkingFormat, prompt: Prompt, options: Mapping[str, Any]
) -> list[int]:
    """A prompt as ids, by the chat template if there is one; raises a `ValueError` if it is none."""
    if taken := _OURS.intersection(options):
        raise ValueError(f"`chat_template_kwargs` has to be without {', '.join(sorted(taken))}, which is set here.")
    if isinstance(prompt, str) and not tokenizer.chat_template:
        _check_unicode(prompt)
        ids = list(tokenizer(prompt)["input_ids"])  # with its BOS, which a chat template would have written
    else:
        chat = [{"role": "user", "content": prompt}] if isinstance(prompt, str) else prompt
        _check_chat(chat)
        if not tokenizer.chat_template:
            raise ValueError("A chat needs a chat template, which this tokenizer does not have. Pass texts instead.")
        text = _render(tokenizer, fmt, chat, options)
        _check_unicode(text)
        ids = list(tokenizer.encode(text, add_special_tokens=False))
    if not ids:
        raise ValueError(f"A prompt has to be at least one token, but {shown(prompt)} is none.")
    return ids


def _check_unicode(text: str) -> None:
    if wrong := not_unicode(text):
        raise ValueError(
            f"A prompt has to be Unicode, but {wrong}. Was it decoded with another encoding than it was written in?"
        )


def _check_chat(chat: Any) -> None:
    if not isinstance(chat, Sequence) or not chat or not all(isinstance(m, Mapping) and "role" in m for m in chat):
        raise ValueError(
            "A prompt has to be a text or a chat, a list of messages such as {'role': 'user', 'content': '...'}, "
            f"but is {shown(chat)}.{_of_ids(chat)}"
        )
    for message in chat:
        if message["role"] == "tool":  # what tools return may be anything
            continue
        for field in _WRITTEN if message["role"] == "assistant" else ("content",):
            if not isinstance(message.get(field), (str, list, tuple, type(None))):
                raise ValueError(
                    f"A message's `{field}` has to be a text or a list of parts, but the message is {shown(message)}."
                )
    last = chat[-1]
    if last["role"] == "assistant" and last.get("tool_calls"):
        raise ValueError(
            "A chat that ends with `tool_calls` waits for their results: append a message such as {'role': 'tool', "
            f"'content': '...'}} for each, but the last message is {shown(last)}."
        )
    asked = [m for m in chat if m["role"] in ("user", "system")]
    if last not in asked and last["role"] != "tool" and _begun_field(last) in (None, "content"):
        asked.append(last)
    if not all(isinstance(m.get("content"), (str, list)) for m in asked):
        raise ValueError(f"Every user and system message has to have a `content`, but the chat is {shown(chat)}.")


def _of_ids(given: Any) -> str:
    """The end of an error about token ids that were given as prompts; empty if they are none."""
    first = given
    while is_many(first) and len(first):
        first = first[0]
    if not is_count(first) and not (isinstance(given, Mapping) and "input_ids" in given):
        return ""
    return (
        " For prompts that are token ids already: `model.generate(**inputs, **budget_forcing(model, tokenizer, ...))`; "
        "in vLLM `llm.generate`, with the budget in `extra_args`."
    )


def _render(
    tokenizer: PreTrainedTokenizerBase, fmt: ThinkingFormat, chat: Sequence[Message], options: Mapping[str, Any]
) -> str:
    """The chat as text, up to where the model continues.

    What the assistant has begun is continued as `apply_chat_template(..., continue_final_message=True)` does it:
    thinking if it opens thinking, else an answer. Where a template rewrites such a message, so that transformers
    refuses it, it is put behind the generation prompt as it is written.
    """
    messages = [dict(message) for message in chat]
    field = _begun_field(messages[-1]) if len(messages) > 1 else None
    if field is None:
        return _render_as_wanted(tokenizer, messages, {**options, "add_generation_prompt": True})
    try:
        return _render_as_wanted(tokenizer, messages, {**options, "continue_final_message": field})
    except ValueError:
        own = "".join(_parts_of(messages.pop(), field))
    text = _render_as_wanted(tokenizer, messages, {**options, "add_generation_prompt": True})
    if text.rstrip().endswith(fmt.start_text.rstrip()):
        text = text.rstrip().removesuffix(fmt.start_text.rstrip())
    return text + (own if field == "content" else fmt.start_text + own)


def _begun_field(message: Message) -> str | None:
    """The field of an assistant's message that the model is to continue; `None` if there is none."""
    if message["role"] == "assistant":
        for field in _WRITTEN:
            if message.get(field):
                return field
    return None


def _render_as_wanted(tokenizer: PreTrainedTokenizerBase, chat: list[dict[str, Any]], options: dict[str, Any]) -> str:
    """The chat as text, with contents as the template wants them: texts, or lists of parts.

    Templates of models that see images go through a list of parts, and lose a text without a word; others write a list
    as Python does.

    Raises:
        ValueError: the template takes the chat in neither form.
    """
    # 1. What may get lost: the last question, and all that came as lists.
    asked = next((message for message in reversed(chat) if message["role"] == "user"), None)
    wanted = []
    for message in chat:
        if message is asked or not isinstance(message.get("content"), (str, type(None))):
            wanted += [part.strip() for part in _parts_of(message)]
    # 2. The first form in which all of it is there.
    renderings, lost, errors = [], "", []
    for form in (dict, _as_text, _as_parts):
        try:
            text = str(tokenizer.apply_chat_template([form(message) for message in chat], tokenize=False, **options))
        except Exception as error:  # templates raise whatever they like
            errors.append(error)
            continue
        missing = _first_missing(wanted, text)
        if missing is None and not _PARTS_AS_CODE.search(text):
            return text
        renderings.append(text)
        lost = lost or missing or "".join(wanted[:1])
    # 3. None, so that something is lost.
    if not renderings:
        raise ValueError(f"The chat template does not take this chat: {type(errors[0]).__name__}: {errors[0]}")
    warn(
        f"The chat template leaves out, or changes, a part of the chat, such as {lost!r:.80}: the prompt ends in "
        f"{renderings[0][-200:]!r}."
    )
    return renderings[0]


def _first_missing(parts: Sequence[str], text: str) -> str | None:
    """The first of `parts` that is not in `text`, in which they mostly follow each other: thousands take one pass."""
    passed = 0
    for part in parts:
        at = text.find(part, passed)
        if at < 0:
            at = text.find(part)
        if at < 0:
            return part
        passed = at + len(part)
    return None


_PARTS_AS_CODE = re.compile(r"\{['\"]type['\"]: ['\"]text['\"]")


def _parts_of(message: Message, field: str = "content") -> list[str]:
    """The texts that a message holds."""
    content: Any = message.get(field)
    if isinstance(content, str):
        return [content]
    found = []
    for part in content if is_many(content) else ():
        if isinstance(part, Mapping) and isinstance(part.get("text"), str):
            found.append(part["text"])
    return found


def _as_parts(message: dict[str, Any]) -> dict[str, Any]:
    """The same message with its text as a list of parts."""
    content = message.get("content")
    return {**message, "content": [{"type": "text", "text": content}]} if isinstance(content, str) else message


def _as_text(message: dict[str, Any]) -> dict[str, Any]:
    """The same message with its parts, if all are texts, as one text."""
    content = message.get("content")
    if isinstance(content, str) or not content or len(_parts_of(message)) < len(content):
        return message
    return {**message, "content": "".join(_parts_of(message))}


def left_padded(rows: list[list[int]], pad: int) -> dict[str, torch.Tensor]:
    """`input_ids` and `attention_mask` of shape `(batch_size, width)`."""
    width = max(map(len, rows))
    input_ids = torch.full((len(rows), width), pad)
    attention_mask = torch.zeros_like(input_ids)
    for i, row in enumerate(rows):
        input_ids[i, width - len(row) :] = torch.tensor(row)
        attention_mask[i, width - len(row) :] = 1
    return {"input_ids": input_ids, "attention_mask": attention_mask}
