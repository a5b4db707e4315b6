"""`s1-hf data show`."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import typer
from rich import box
from rich.table import Table
from rich.text import Text

from s1_hf._lazy import require
from s1_hf.cli import options as o
from s1_hf.cli.columns import Columns, named_columns
from s1_hf.cli.terminal import console, messages, plain_errors, print_json, print_table
from s1_hf.finding import model_named


def show(
    name: Annotated[str, typer.Argument(help="s1K, s1K-1.1, full59K, or a file or folder.")] = "s1K-1.1",
    traces: Annotated[str | None, typer.Option(help="Of s1K-1.1: deepseek or gemini.")] = None,
    column: Columns = None,
    tokenizer: Annotated[str | None, typer.Option(help="A folder or a name on the Hub: lengths in tokens.")] = None,
    max_length: Annotated[int | None, typer.Option(help="Tokens: how many rows are longer.")] = None,
    thinking_format: Annotated[str | None, typer.Option(help="s1 or think; s1 by default.")] = None,
    thinking_start: o.ThinkingStart = None,
    thinking_close: o.ThinkingClose = None,
    as_json: o.AsJson = False,
) -> None:
    """Say what a data set is: where it comes from, its size, and its first row as training sees it.

    Example: s1-hf data show s1K-1.1 --tokenizer Qwen/Qwen2.5-32B-Instruct --max-length 20000
    """
    with plain_errors():
        if max_length is not None and tokenizer is None:
            raise ValueError("`--max-length` needs `--tokenizer`, which counts tokens.")
        require("datasets", "data").disable_progress_bars()
        said = o.chosen_format(thinking_format, thinking_start, thinking_close, False)
        written = (said["start"], said["close"]) if isinstance(said, dict) else said or "s1"
        facts = _facts(name, traces, named_columns(column), tokenizer, max_length, written)
    if as_json:
        print_json(facts, indent=1)
        return
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, show_header=False)
    for fact, value in facts.items():
        if value is not None and fact not in ("first_row", "tokens"):
            table.add_row(fact, Text(", ".join(value) if isinstance(value, list) else str(value)))
    print_table(table)
    if "tokens" in facts:
        console.print(_in_words(facts["tokens"]), soft_wrap=True)
    messages.print("\nThe first row, as training sees it:")
    console.print(Text(facts["first_row"]), soft_wrap=True)


def _facts(
    name: str,
    traces: str | None,
    columns: dict[str, str],
    tokenizer_name: str | None,
    max_length: int | None,
    written: str | tuple[str, str],
) -> dict[str, Any]:
    from s1_hf.data.conversation import summarize, to_conversation
    from s1_hf.data.s1k import HUB, describe_source, load_s1k

    known = name in HUB and not Path(name).exists()
    rows: Any = load_s1k(
        name if known else None,
        path=None if known else name,
        columns=columns,
        traces=traces,
        streaming=name == "full59K",  # of 5 GB
    )
    first = next(iter(rows), None)
    if first is None:
        raise ValueError(f"{name} has no rows.")
    chat = to_conversation(first, written)
    source = asdict(describe_source(rows))
    named = source.pop("columns") or {}
    facts = source | {"read_as": [f"{name} from {own}" for name, own in named.items()] or None}
    facts["columns"] = list(rows.column_names)
    if tokenizer_name is None:
        content = [message["content"] for part in chat.values() for message in part]
        return facts | {"first_row": "\n".join(content)}
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(model_named(tokenizer_name))
    lengths = summarize(rows, tokenizer, written, max_length=max_length)
    numbers = ("rows", "min", "max", "median", "mean", "longest_row", "completion_tokens")
    tokens = {number: getattr(lengths, number) for number in numbers}
    tokens |= {} if max_length is None else {"max_length": max_length, "too_long": len(lengths.too_long)}
    text = tokenizer.apply_chat_template([*chat["prompt"], *chat["completion"]], tokenize=False)
    return facts | {"tokens": tokens, "first_row": text}


def _in_words(tokens: dict[str, Any]) -> str:
    said = (
        f"{tokens['min']:,} to {tokens['max']:,} tokens a row (median {tokens['median']:,.0f}, mean "
        f"{tokens['mean']:,.0f}), {tokens['completion_tokens']:,} of all in completions; the longest is row "
        f"{tokens['longest_row']}"
    )
    return said + (
        f"; {tokens['too_long']:,} rows longer than {tokens['max_length']:,}" if "too_long" in tokens else ""
    )
