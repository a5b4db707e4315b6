"""`s1-hf formats`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any

import typer
from rich import box
from rich.table import Table
from rich.text import Text

from s1_hf.cli import options as o
from s1_hf.cli.budgets import takes_budget
from s1_hf.cli.terminal import console, plain_errors, print_json, print_table
from s1_hf.engines.described import arguments_in_words, describe, known_families
from s1_hf.forcing.budget import NAMES, Budget
from s1_hf.visible import shortened, visible


@takes_budget(without=[name for name in NAMES if name != "wait_text"], says_folders=False)
def formats(
    model: Annotated[
        str | None, typer.Argument(help="A folder, a name on the Hub, or 'embedded'; none: the formats that are known.")
    ] = None,
    thinking_format: o.ThinkingFormat = None,
    thinking_start: o.ThinkingStart = None,
    thinking_close: o.ThinkingClose = None,
    force_start: o.ForceStart = False,
    *,
    budget: Budget,
    revision: o.Revision = "main",
    trust_remote_code: o.TrustRemoteCode = False,
    as_json: o.AsJson = False,
) -> None:
    """Show how a model opens and closes its thinking, and how that was found. Loads no weights.

    Delimiters are shown in the tokens of the model's tokenizer. For each way to call the chat template it is said where
    a prompt leaves the assistant's turn: before thinking, in it, or with thinking closed.

    Examples:

    s1-hf formats

    s1-hf formats Qwen/Qwen3-8B

    s1-hf formats embedded --wait-text Hmm

    s1-hf formats my-model --thinking-start "<reason>" --thinking-close "</reason>"
    """
    with plain_errors():
        said = o.chosen_format(thinking_format, thinking_start, thinking_close, force_start)
        if model is None:
            found: dict[str, Any] = known_families()
        else:
            from s1_hf.engines.checkpoint import Checkpoint

            checkpoint = Checkpoint.find(model, revision=revision, trust_remote_code=trust_remote_code)
            found = describe(checkpoint, said, budget)
    if as_json:
        print_json(found, indent=1)
    elif model is None:
        print_table(_families(found))
    else:
        print_table(_facts(found))
        if found["modes"]:
            console.print()
            print_table(_modes(found["modes"]))


def _families(known: dict[str, Any]) -> Table:
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for column in ("name", "opens, closes, opens the answer", "models"):
        table.add_column(column, overflow="fold")
    for name, family in known.items():
        texts = [family[text].replace("\n", "\\n") for text in ("start", "close", "answer_start") if family[text]]
        if family["force_start"]:
            texts[0] += " (by force)"
        table.add_row(name, Text("\n".join(texts)), Text(family["models"]))
    return table


def _facts(found: dict[str, Any]) -> Table:
    table = Table.grid(padding=(0, 2))
    table.add_column(no_wrap=True)
    table.add_column(overflow="fold")
    plain = "no: several plain tokens are known as an end only once they stand, so that thinking can only be capped"
    rows = {
        "format": visible(found["name"]),
        "found by": found["found_by"],
        "assistant's turn": _shown(found["assistant_turn"]),
        "user's turn": "unknown" if found["user_turn"] is None else repr(found["user_turn"]),
        "opens": _shown(found["start"]),
        "closes": _shown(found["close"]),
        "answer's opening": _shown(found["answer_start"]),
        "opened by": visible(found["opened_by"]),
        "ends of thinking": _listed(found["ends"]),
        "ends of sequence": _listed(found["ends_of_sequence"]),
        "handovers to tools": _listed(found["handovers"]),
        "tool calls end with": _listed(found["call_ends"]),
        "ends can be ignored": "yes" if found["can_ignore_ends"] else plain,
        "may open again": "yes: blocks share one budget" if found["interleaved"] else "no",
        "wait": _shown(found["wait"]),
        "switches": _switches(found["switches"]),
        "a prompt": visible(found["prompt"].rstrip()),
    }
    for label, value in rows.items():
        table.add_row(Text(label, style="bold"), Text(value))
    return table


def _modes(modes: Sequence[dict[str, Any]]) -> Table:
    """A line for each thing that the chat template makes of its arguments; where the second turn differs, one more."""
    title = "Where a prompt leaves the assistant's turn"
    table = Table(title=title, title_justify="left", box=box.SIMPLE_HEAD, pad_edge=False)
    for column in ("chat template with", "1st turn", "2nd turn", "what stands behind the question"):
        table.add_column(column, overflow="fold")
    alike: dict[tuple[str, ...], list[str]] = {}
    for mode in modes:
        first, second = mode["first_turn"], mode["second_turn"]
        outcome = (first.get("state", "refused"), second.get("state", "refused"), _behind(first), _behind(second))
        alike.setdefault(outcome, []).append(arguments_in_words(mode["arguments"]))
    for (*states, first, second), given in alike.items():
        table.add_row(Text("\n".join(given)), *states, Text(first if first == second else f"{first}\n2nd: {second}"))
    return table


def _behind(turn: dict[str, str]) -> str:
    return shortened(turn["refused"], 200) if "refused" in turn else repr(turn["behind_question"])


def _switches(switches: dict[str, list[Any]]) -> str:
    named = []
    for name, values in switches.items():
        tried = ", ".join(repr(value) for value in values)
        named.append(f"{name} ({tried})")
    return "; ".join(named) or "none that is known"


def _listed(every: Sequence[dict[str, Any]]) -> str:
    return "; ".join(f"{tokens['text']!r}: {tokens['ids'][0]}" for tokens in every) or "none"


def _shown(tokens: dict[str, Any] | None) -> str:
    if tokens is None:
        return "none"
    ids = tokens["ids"]
    return f"{tokens['text']!r}, {len(ids)} token{'s' * (len(ids) != 1)}: {' '.join(map(str, ids))}"
