"""What is found out about how a model thinks, as JSON types, for `s1-hf formats` and `s1-hf check`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

    from s1_hf.engines.checkpoint import Checkpoint
    from s1_hf.forcing.automaton import Automaton
    from s1_hf.forcing.budget import Budget
    from s1_hf.forcing.formats import ThinkingFormat

_ASKED, _ASKED_AGAIN = "1+1?", "2+2?"
_CHATS = {
    "first_turn": [{"role": "user", "content": _ASKED}],
    "second_turn": [
        {"role": "user", "content": _ASKED},
        {"role": "assistant", "content": "2."},
        {"role": "user", "content": _ASKED_AGAIN},
    ],
}


def known_families() -> dict[str, dict[str, Any]]:
    """The families of the package, by the name of their format."""
    from s1_hf.forcing.families import FAMILIES

    return {name: asdict(family) for name, family in FAMILIES.items()}


def describe(checkpoint: Checkpoint, said: str | dict[str, Any] | None, budget: Budget) -> dict[str, Any]:
    """What a model's tokenizer and chat template say about its thinking.

    Args:
        said: what the caller says about the format, see `format_of_settings`.
        budget ([`Budget`]): whose Wait is shown in tokens.

    Raises:
        ValueError: the format is not found, or not fit for this tokenizer.
    """
    from s1_hf.forcing.automaton import Automaton
    from s1_hf.forcing.formats import format_of_settings
    from s1_hf.forcing.templates import switches_of
    from s1_hf.generation.chats import prompt_ids

    tokenizer = checkpoint.tokenizer
    fmt = format_of_settings(tokenizer, said)
    eos = _ends_of_sequence(checkpoint)
    whole = fmt.with_ends(eos)
    automaton = Automaton(tokenizer, whole, budget, eos)
    prompt = prompt_ids(tokenizer, fmt, _ASKED, {})
    modes = modes_of_turns(tokenizer, automaton)
    return {
        "name": fmt.name,
        "found_by": _reason(tokenizer, said),
        "start": _tokens(tokenizer, fmt.start),
        "close": _tokens(tokenizer, fmt.close),
        "answer_start": _tokens(tokenizer, fmt.answer_start) if fmt.answer_start else None,
        "ends": [_tokens(tokenizer, [i]) for i in whole.ends],
        "handovers": [_tokens(tokenizer, [i]) for i in fmt.handovers],
        "call_ends": [_tokens(tokenizer, [i]) for i in fmt.call_ends],
        "ends_of_sequence": [_tokens(tokenizer, [i]) for i in eos],
        "opened_by": _opened_by(fmt, state_after(automaton, prompt), modes),
        "can_ignore_ends": not fmt.plain,
        "interleaved": fmt.interleaved,
        "assistant_turn": _tokens(tokenizer, fmt.turn) if fmt.turn else None,
        "user_turn": fmt.user_turn_text or None,
        "wait": _tokens(tokenizer, automaton.wait_ids[0]) if automaton.wait_ids else None,
        "prompt": tokenizer.decode(prompt),
        "switches": {name: list(values) for name, values in switches_of(tokenizer).items()},
        "modes": modes,
    }


def _reason(tokenizer: PreTrainedTokenizerBase, said: str | dict[str, Any] | None) -> str:
    from s1_hf.forcing.detection import detect_with_reason

    if isinstance(said, dict) and "start" in said:
        return "delimiters that the caller has named"
    if isinstance(said, str) or (isinstance(said, dict) and "name" in said):
        return "named by the caller"
    return detect_with_reason(tokenizer)[1]


def _opened_by(fmt: ThinkingFormat, state: str, modes: Sequence[dict[str, Any]]) -> str:
    """Who opens thinking in a first turn, and which arguments of the chat template change that."""
    if state == "thinking":
        return "the chat template"
    opening = [arguments_in_words(mode["arguments"]) for mode in modes if mode["first_turn"].get("state") == "thinking"]
    otherwise = f"; with {' or '.join(opening)} the chat template" if opening else ""
    if state == "closed":
        return f"nobody: the chat template has closed thinking{otherwise}"
    return ("forced tokens" if fmt.force_start else "the model") + otherwise


def arguments_in_words(arguments: dict[str, Any]) -> str:
    """Such as `"enable_thinking=True"`."""
    return ", ".join(f"{name}={value!r}" for name, value in arguments.items()) or "nothing"


def modes_of_turns(tokenizer: PreTrainedTokenizerBase, automaton: Automaton) -> list[dict[str, Any]]:
    """Where a prompt leaves its turn, by the arguments of the chat template; none without a template."""
    from s1_hf.forcing.templates import modes_of, template_of

    if not template_of(tokenizer):
        return []
    modes = []
    for arguments in modes_of(tokenizer):
        mode: dict[str, Any] = {"arguments": arguments}
        for name, chat in _CHATS.items():
            mode[name] = _rendered(tokenizer, automaton, chat, arguments)
        modes.append(mode)
    return modes


def _rendered(
    tokenizer: PreTrainedTokenizerBase, automaton: Automaton, chat: Sequence[dict[str, str]], arguments: dict[str, Any]
) -> dict[str, str]:
    """The state of a prompt, and what the template writes behind the question; or why it refuses to."""
    from s1_hf.forcing.templates import render

    try:
        text = render(tokenizer, chat, **arguments)
    except Exception as error:  # templates raise whatever they like
        return {"refused": f"{type(error).__name__}: {error}"}
    ids = tokenizer.encode(text, add_special_tokens=False)
    return {"state": state_after(automaton, ids), "behind_question": text.rsplit(chat[-1]["content"], 1)[-1]}


def state_after(automaton: Automaton, prompt: Sequence[int]) -> str:
    """Where a prompt leaves its assistant's turn: before thinking, in it, or with thinking closed."""
    from s1_hf.forcing.prompts import read_prompt
    from s1_hf.forcing.report import Ended

    state = read_prompt(automaton, prompt)
    if state.ended == Ended.UNFINISHED:
        return "thinking"
    return "before" if state.cell < automaton.think else "closed"


def _tokens(tokenizer: PreTrainedTokenizerBase, ids: Sequence[int]) -> dict[str, Any]:
    return {"text": str(tokenizer.decode(list(ids))), "ids": list(ids)}


def _ends_of_sequence(checkpoint: Checkpoint) -> list[int]:
    """The model's own ends, of which there may be several, and the tokenizer's."""
    from transformers import GenerationConfig

    from s1_hf.generation.config import eos_ids

    revision = "main" if checkpoint.adapter else checkpoint.revision
    try:
        config = GenerationConfig.from_pretrained(checkpoint.base, revision=revision)
    except OSError:  # it has none
        config = None
    return list(dict.fromkeys([*eos_ids(config, checkpoint.tokenizer), *eos_ids(None, checkpoint.tokenizer)]))
