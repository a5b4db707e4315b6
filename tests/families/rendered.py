"""Chats that a family's template renders, and where their prompts stand."""

from __future__ import annotations

from typing import Any

from family_rows import Row

from s1_hf import ThinkingFormat
from stances import stances

Prompts = dict[tuple[str, str], tuple[str, str]]
"""By mode and chat: a prompt's text, and where it has to stand."""

ASK = {"role": "user", "content": "ab"}
CALL = {"id": "abcdefghi", "type": "function", "function": {"name": "look", "arguments": {"at": "x"}}}


def answered(content: str, **more: Any) -> dict[str, Any]:
    return {"role": "assistant", "content": content, **more}


def thought(text: str) -> dict[str, str]:
    """Thoughts of an earlier message, by the names that templates have for them."""
    return {"reasoning_content": text, "thinking": text}


def asked(fmt: ThinkingFormat) -> dict[str, list[dict[str, Any]]]:
    """Chats that end in a question, with tags wherever they mean nothing."""
    start, close = fmt.start_text, fmt.close_text
    return {
        "a first turn": [ASK],
        "tags in the question": [{"role": "user", "content": f"{start}a{close} {start}"}],
        "a closing tag in the question": [{"role": "user", "content": close}],
        "tags in the system prompt": [{"role": "system", "content": f"Use {start} and {close}, {start}."}, ASK],
        "a second turn": [ASK, answered("c"), ASK],
        "thoughts inside an earlier turn": [ASK, answered(f"{start}b{close}c"), ASK],
        "thoughts begun in an earlier turn": [ASK, answered(f"{start}b"), ASK],
        "thoughts beside an earlier turn": [ASK, answered("c", **thought("b")), ASK],
        "a third turn": [ASK, answered("c", **thought("b")), ASK, answered(f"c{close}"), ASK],
        "a tool in an earlier turn": [*told("d"), answered("c"), ASK],
    }


def told(result: str, thoughts: str = "b") -> list[dict[str, Any]]:
    """A chat that ends in a tool's result."""
    call = answered("", tool_calls=[CALL], **thought(thoughts))
    return [ASK, call, {"role": "tool", "content": result, "name": "look", "tool_call_id": CALL["id"]}]


def tool_results(fmt: ThinkingFormat) -> dict[str, list[dict[str, Any]]]:
    """Chats that end in a tool's result, with tags in it."""
    start, close = fmt.start_text, fmt.close_text
    results = {"a result": "d", "an opening tag": f"d{start}", "a closing tag": f"d{close}", "both": f"{start}d{close}"}
    chats = {name: told(result) for name, result in results.items()}
    chats["a second result"] = [*told("d"), *told(f"{close}{start}")[1:]]
    return chats


def rendered(tokenizer: Any, chat: list[dict[str, Any]], options: dict[str, object]) -> str:
    return str(tokenizer.apply_chat_template(chat, tokenize=False, add_generation_prompt=True, **options))


def own_texts(fmt: ThinkingFormat, stands: str) -> list[tuple[str, str]]:
    """What a caller may put behind a prompt that stands there, and where that leads."""
    start, close = fmt.start_text, fmt.close_text
    if stands == "before":
        return [
            ("cd", "before"),
            (start, "thinking"),
            (f"{start}ab", "thinking"),
            (close, "closed"),
            (f"{start}{close}", "closed"),
            (f"{start}\n\n{close}\n\n", "closed"),
            (f"{start}ab{close}cd", "closed"),
        ]
    if stands == "thinking":
        return [("ab", "thinking"), (close, "closed"), (f"ab{close}cd", "closed")]
    return [("cd", "closed")]


def row_ids(rows: list[Row]) -> list[str]:
    return [row.name for row in rows]


def asked_prompts(row: Row, left_out: tuple[str, ...] = ()) -> Prompts:
    """Prompts that end in a question."""
    tokenizer, fmt, _ = row.setting()
    prompts = {}
    for mode, options, stands, _ in row.modes:
        for name, chat in asked(fmt).items():
            if name not in left_out:
                prompts[mode, name] = rendered(tokenizer, chat, options), stands
    return prompts


def told_prompts(row: Row) -> Prompts:
    """Prompts that end in a tool's result."""
    tokenizer, fmt, _ = row.setting()
    prompts = {}
    for mode, options, _, stands in row.modes:
        for name, chat in tool_results(fmt).items():
            prompts[mode, name] = rendered(tokenizer, chat, options), stands
    return prompts


def begun_prompts(row: Row) -> Prompts:
    """Prompts of a second turn that the caller has gone on with."""
    tokenizer, fmt, _ = row.setting()
    prompts = {}
    for mode, options, stands, _ in row.modes:
        prompt = rendered(tokenizer, asked(fmt)["thoughts beside an earlier turn"], options)
        for own, leads in own_texts(fmt, stands):
            prompts[mode, own] = prompt + own, leads
    return prompts


def assert_stands(row: Row, prompts: Prompts) -> None:
    tokenizer, fmt, _ = row.setting()
    found = stances(tokenizer, fmt, [text for text, _ in prompts.values()])
    assert dict(zip(prompts, found, strict=True)) == {name: stands for name, (_, stands) in prompts.items()}
