"""What is found out about a model of the user's besides its rows: its format, where its prompts stand, a transcript."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from s1_hf.conformance.findings import Finding
from s1_hf.conformance.subjects import Subject
from s1_hf.engines.described import arguments_in_words, describe
from s1_hf.engines.request import Request
from s1_hf.forcing.budget import Budget
from s1_hf.generation.chats import prompt_ids

if TYPE_CHECKING:
    from s1_hf.engines.checkpoint import Checkpoint

TRANSCRIPT = Budget(max_thinking_tokens=60, num_ignores=1)


def described(checkpoint: Checkpoint, said: str | dict[str, Any] | None) -> list[Finding]:
    """The format, and where prompts leave the assistant's turn for every way to call the chat template."""
    found = describe(checkpoint, said, Budget())
    texts = [found[name]["text"] for name in ("start", "close", "answer_start") if found[name]]
    told = f"{found['name']} ({found['found_by']}): {', '.join(map(repr, texts))}; opened by {found['opened_by']}"
    findings = [Finding("format", "measured", told, {name: found[name] for name in ("name", "start", "close", "ends")})]
    states: dict[str, str] = {}
    for mode in found["modes"]:
        turns = [mode[turn].get("state", "refused") for turn in ("first_turn", "second_turn")]
        states[arguments_in_words(mode["arguments"])] = " and ".join(dict.fromkeys(turns))
    told = "; ".join(f"with {given}: {state}" for given, state in states.items()) or "no chat template"
    findings.append(Finding("prompts stand", "measured", told, states))
    return findings


def transcript(subject: Subject, question: str) -> Finding:
    """What the model writes under a small budget; forced text stands in brackets."""
    engine = subject.engine
    budget = Budget(max_thinking_tokens=60) if engine.format.plain else TRANSCRIPT
    prompt = tuple(prompt_ids(engine.tokenizer, engine.format, question, {}))
    (one,) = subject.run([Request(prompt=prompt, budget=budget, max_new_tokens=120, problem="transcript")])
    pieces: list[tuple[bool, list[int]]] = []
    for token, forced in zip(one.token_ids, one.forced, strict=True):
        if not pieces or pieces[-1][0] != forced:
            pieces.append((forced, []))
        pieces[-1][1].append(token)
    texts = []
    for forced, ids in pieces:
        text = str(engine.tokenizer.decode(ids, skip_special_tokens=False))
        texts.append(f"[[{text}]]" if forced else text)
    said = f"{question} under {budget.name}: {''.join(texts)}"
    return Finding("transcript", "measured", said, {"question": question, "text": "".join(texts)})
