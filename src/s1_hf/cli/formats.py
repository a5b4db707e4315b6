"""`s1-hf formats`."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich import box
from rich.table import Table
from rich.text import Text

from s1_hf.cli import options as o
from s1_hf.cli.budgets import takes_budget
from s1_hf.cli.terminal import plain_errors, print_table
from s1_hf.forcing.budget import NAMES, Budget

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

    from s1_hf.engines.checkpoint import Checkpoint


@takes_budget(without=[name for name in NAMES if name != "wait_text"])
def formats(
    model: Annotated[
        str | None, typer.Argument(help="A folder, a name on the Hub, or 'embedded'; none: the formats that are known.")
    ] = None,
    thinking_format: o.ThinkingFormat = None,
    *,
    budget: Budget,
    revision: o.Revision = "main",
    trust_remote_code: o.TrustRemoteCode = False,
    as_json: o.AsJson = False,
) -> None:
    """Show how a model opens and closes its thinking, in the tokens of its tokenizer. Loads no weights.

    Examples:

    s1-hf formats

    s1-hf formats Qwen/Qwen3-8B

    s1-hf formats embedded --wait-text Hmm
    """
    with plain_errors():
        if model is None:
            found = _known()
        else:
            from s1_hf.engines.checkpoint import Checkpoint

            checkpoint = Checkpoint.find(model, revision=revision, trust_remote_code=trust_remote_code)
            found = _resolved(checkpoint, thinking_format, budget)
    if as_json:
        typer.echo(json.dumps(found, indent=1, ensure_ascii=False))
    else:
        print_table(_table(found) if model is None else _lines(found))


def _known() -> dict[str, Any]:
    """The formats of the package, by name."""
    from s1_hf.forcing.families import FAMILIES

    return {
        name: {"start": family.start, "close": family.close, "force_start": family.force_start}
        for name, family in FAMILIES.items()
    }


def _resolved(checkpoint: Checkpoint, name: str | None, budget: Budget) -> dict[str, Any]:
    """What is found out about a model, as JSON types."""
    from s1_hf.forcing.automaton import Automaton
    from s1_hf.forcing.formats import resolve_format
    from s1_hf.forcing.prompts import read_prompt
    from s1_hf.forcing.report import Ended
    from s1_hf.generation.chats import prompt_ids

    tokenizer = checkpoint.tokenizer
    fmt = resolve_format(tokenizer, name)
    eos = _ends_of_sequence(checkpoint)
    automaton = Automaton(tokenizer, fmt, budget, eos)
    prompt = prompt_ids(tokenizer, fmt, "1+1?", {})
    opened = read_prompt(automaton, prompt).ended == Ended.UNFINISHED
    return {
        "name": fmt.name,
        "start": _tokens(tokenizer, fmt.start),
        "close": _tokens(tokenizer, fmt.close),
        "opened_by": "the chat template" if opened else "forced tokens" if fmt.force_start else "the model",
        "ends_of_sequence": [_tokens(tokenizer, [i]) for i in eos],
        "can_ignore_ends": not fmt.plain,
        "wait": _tokens(tokenizer, automaton.wait_ids[0]) if automaton.wait_ids else None,
        "interleaved": fmt.interleaved,
        "prompt": tokenizer.decode(prompt),
    }


def _tokens(tokenizer: PreTrainedTokenizerBase, ids: Any) -> dict[str, Any]:
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


def _table(known: dict[str, Any]) -> Table:
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for column in ("name", "opens", "closes", "opened by"):
        table.add_column(column, overflow="fold")
    for name, family in known.items():
        by = "forced tokens" if family["force_start"] else "template or model"
        table.add_row(name, Text(family["start"]), Text(family["close"]), by)
    return table


def _lines(found: dict[str, Any]) -> Table:
    table = Table.grid(padding=(0, 2))
    table.add_column(no_wrap=True)
    table.add_column(overflow="fold")
    ends = "yes" if found["can_ignore_ends"] else "no: several plain tokens are known as an end only once they stand"
    rows = {
        "format": found["name"],
        "opens": _shown(found["start"]),
        "closes": _shown(found["close"]),
        "opened by": found["opened_by"],
        "ends of sequence": "; ".join(map(_shown, found["ends_of_sequence"])) or "none",
        "ends can be ignored": ends,
        "wait": "none" if found["wait"] is None else _shown(found["wait"]),
        "a prompt": found["prompt"],
    }
    for label, value in rows.items():
        table.add_row(Text(label, style="bold"), Text(value))
    return table


def _shown(tokens: dict[str, Any]) -> str:
    ids = tokens["ids"]
    return f"{tokens['text']!r}, {len(ids)} token{'s' * (len(ids) != 1)}: {' '.join(map(str, ids))}"
