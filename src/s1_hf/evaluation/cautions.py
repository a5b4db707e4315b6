"""What is about to go wrong in an evaluation, or did, said once with its likely cause."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from s1_hf.engines.described import arguments_in_words, modes_of_turns, state_after
from s1_hf.forcing.detection import detect
from s1_hf.generation.cautions import warn

if TYPE_CHECKING:
    from s1_hf.engines.request import Request
    from s1_hf.evaluation.settings import Settings
    from s1_hf.forcing.automaton import Automaton
    from s1_hf.generation.chats import Completion

_MANY = 0.5  # of a task's answers


def warn_about_template(settings: Settings, automaton: Automaton) -> None:
    """For a model without a chat template, whose problems become bare text."""
    if settings.chat_template and not automaton.tokenizer.chat_template:
        warn(
            f"{settings.model} has no chat template: problems are asked as bare text, which most models go on writing "
            "instead of answering it. If that is meant, say so: `chat_template=False` (`--no-chat-template`)."
        )


def warn_about_idle_thinking(
    settings: Settings, automaton: Automaton, requests: Sequence[Request], done: Sequence[Completion]
) -> None:
    """For tasks in most of whose answers thinking never started."""
    counts: dict[str, list[bool]] = {}
    for request, completion in zip(requests, done, strict=True):
        counts.setdefault(request.task, []).append(completion.report.ended == "never_started")
    for task, idle in counts.items():
        if sum(idle) > _MANY * len(idle):
            first = next(request for request in requests if request.task == task)
            warn(
                f"{task}: thinking never started in {sum(idle):,} of {len(idle):,} answers, so that no budget acts on "
                f"them. {_cause(settings, automaton, first.prompt)}"
            )


def _cause(settings: Settings, automaton: Automaton, prompt: Sequence[int]) -> str:
    tokenizer, fmt = automaton.tokenizer, automaton.format
    if state_after(automaton, prompt) == "closed":
        thinking = [
            mode["arguments"]
            for mode in modes_of_turns(tokenizer, automaton)
            if mode["first_turn"].get("state") in ("thinking", "before")
        ]
        remedy = f" With {arguments_in_words(thinking[0])} it does not: `--chat-template-kwargs`." if thinking else ""
        return f"The chat template has closed it already.{remedy}"
    own = _own_format(tokenizer) if settings.format is not None else None
    if own is not None and own != fmt.name:
        return (
            f"Its format was given as {_said(settings.format)}, opened by {fmt.start_text!r}, but the tokenizer's own "
            f"is {own!r}: leave `--thinking-format`, or the delimiters, out."
        )
    if not tokenizer.chat_template:
        return "It was asked without a chat template, by which most models are told to think."
    return (
        f"The model did not write {fmt.start_text!r}. Have thinking opened by force: `--force-start`; or see by "
        f"`s1-hf formats {settings.model}` whether these are its delimiters."
    )


def _own_format(tokenizer: Any) -> str | None:
    """The name of the format that the tokenizer says is its own, if it says."""
    try:
        found = detect(tokenizer)
    except ValueError:
        return None
    return found if isinstance(found, str) else None


def _said(format: str | Mapping[str, Any] | None) -> str:
    return repr(format) if isinstance(format, str) else "delimiters"
