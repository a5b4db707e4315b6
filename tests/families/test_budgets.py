"""Greedy generation under budgets equals stop-and-reprompt token for token, for every family and habit of prompts."""

from __future__ import annotations

import itertools
import random
from typing import Any

import pytest
from family_rows import ROWS, Row
from rendered import asked, own_texts, rendered, told
from transformers import GenerationConfig

from cases import UNLIMITED, check_case, processor_for, run_case
from s1_hf.forcing.vocabulary import encode
from toys import toy_model

POOL = ["a", "b", "\n", "Wait", "W", "Hm", " ", "think", "x", "</", ">", ">\n", "ab", "\n\n"]
UNLIKELY, LIKELY, DOMINANT = -30.0, 2.0, 5.0

# Of each case: budgets, and how likely the model picks what closes thinking, an end of sequence and a handover.
CASES: dict[str, tuple[dict[str, Any], tuple[float, float, float]]] = {
    "cap": ({"most": 6}, (UNLIKELY, UNLIKELY, UNLIKELY)),
    "no thinking": ({"most": 0}, (LIKELY, LIKELY, UNLIKELY)),
    "natural close": ({}, (LIKELY, UNLIKELY, UNLIKELY)),
    "natural end of sequence": ({}, (UNLIKELY, LIKELY, UNLIKELY)),
    "ignore": ({"most": 15, "ignores": 2}, (LIKELY, LIKELY, UNLIKELY)),
    "minimum": ({"least": 7}, (LIKELY, LIKELY, UNLIKELY)),
    "handover": ({"least": 4, "ignores": 1}, (UNLIKELY, UNLIKELY, DOMINANT)),
}
RUNS = [
    (row, name)
    for row, name in itertools.product(ROWS, CASES)
    if not (row.plain and name in ("ignore", "minimum", "handover")) and (row.handovers or name != "handover")
]


def prompts_of(row: Row) -> list[list[int]]:
    """A second turn and one after a tool's result, in every mode, and what may be begun behind one of them."""
    tokenizer, fmt, _ = row.setting()
    texts = []
    for _, options, stands, _ in row.modes:
        second = rendered(tokenizer, asked(fmt)["thoughts beside an earlier turn"], options)
        texts.append(second)
        texts += [rendered(tokenizer, told(f"d{fmt.close_text}"), options)] * row.tools
        texts += [second + own for own, leads in own_texts(fmt, stands) if leads == "thinking"][:2]
    return [list(encode(tokenizer, text)) for text in dict.fromkeys(texts)]


def case_of_row(row: Row, name: str) -> dict[str, Any]:
    budget, (closing, ending, handing) = CASES[name]
    tokenizer, fmt, d = row.setting()
    rng = random.Random(f"{row.name}, {name}")
    structure = dict.fromkeys([*d.start, *d.close, *d.answer_start], UNLIKELY)
    structure |= {d.close[0]: closing, d.start[0]: LIKELY}
    structure |= dict.fromkeys(d.eos, ending) | dict.fromkeys(d.handovers, handing)
    for token in (*d.start[1:], *d.close[1:]):
        structure[token] = max(structure[token], 1.0)  # what has been begun may be completed
    only = {*itertools.chain(*(encode(tokenizer, text) for text in POOL)), *structure}
    prompts = prompts_of(row)
    count = len(prompts)
    return dict(
        family=row,
        prompts=prompts,
        most=[budget.get("most", UNLIMITED)] * count,
        least=[budget.get("least", 0)] * count,
        ignores=[budget.get("ignores", 0)] * count,
        waits=("Wait",),
        prefix="Final Answer:",
        message=None,
        window=0,
        sentence=False,
        max_new_tokens=34,
        model=toy_model(len(d.texts), rng.randrange(2**31), structure, sorted(only)),
    )


@pytest.mark.parametrize(("row", "name"), RUNS, ids=[f"{row.name}-{name}" for row, name in RUNS])
def test_a_budget_is_what_stop_and_reprompt_makes_of_it(row: Row, name: str):
    case = case_of_row(row, name)
    tokenizer, _, d = row.setting()
    config = GenerationConfig(eos_token_id=d.eos, pad_token_id=tokenizer.pad_token_id)
    processor = processor_for(case, generation_config=config)
    check_case(case, processor, run_case(case, processor))
