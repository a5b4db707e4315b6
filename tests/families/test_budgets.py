"""Greedy generation under budgets equals stop-and-reprompt token for token, for every family and habit of prompts."""

from __future__ import annotations

import itertools
import random
from collections.abc import Callable
from typing import Any

import pytest
from family_rows import INVENTED, ROWS, Row
from rendered import asked, own_texts, rendered, row_ids, told
from transformers import GenerationConfig

from cases import UNLIMITED, check_case, processor_for, run_case
from s1_hf import BudgetForcingLogitsProcessor
from s1_hf.forcing.report import Report
from s1_hf.forcing.vocabulary import encode
from toys import toy_model

POOL = ["a", "b", "\n", "Wait", "W", "Hm", " ", "think", "x", "</", ">", ">\n", "ab", "\n\n"]
UNLIKELY, LIKELY, DOMINANT = -30.0, 3.0, 7.0

# Of each case: budgets; how likely the model picks what closes thinking, an end of sequence and a handover; and what
# some row has to show, or the case shows nothing.
CASES: dict[str, tuple[dict[str, Any], tuple[float, float, float], Callable[[Report], bool]]] = {
    "cap": ({"most": 6}, (UNLIKELY, UNLIKELY, UNLIKELY), lambda report: report.ended == "cut"),
    "no thinking": ({"most": 0}, (LIKELY, LIKELY, UNLIKELY), lambda report: report.ended == "cut"),
    "natural close": ({}, (LIKELY, UNLIKELY, UNLIKELY), lambda report: report.ended == "natural"),
    "natural end of sequence": ({}, (UNLIKELY, LIKELY, UNLIKELY), lambda report: report.ended == "natural"),
    "ignore": ({"most": 15, "ignores": 2}, (LIKELY, LIKELY, UNLIKELY), lambda report: report.ends_ignored > 0),
    "minimum": ({"least": 7}, (LIKELY, LIKELY, UNLIKELY), lambda report: report.ends_ignored > 0),
    "handover": ({"least": 4, "ignores": 1}, (UNLIKELY, UNLIKELY, DOMINANT), lambda r: r.ended == "handed_over"),
}
RUNS = [
    (row, name)
    for row, name in itertools.product([*ROWS, *INVENTED], CASES)
    if not (row.plain and name in ("ignore", "minimum", "handover")) and (row.handovers or name != "handover")
]

PLAIN = [row for row in [*ROWS, *INVENTED] if row.plain]


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


def case_of_row(row: Row, name: str, seed: int) -> dict[str, Any]:
    budget, (closing, ending, handing), _ = CASES[name]
    tokenizer, _, d = row.setting()
    rng = random.Random(f"{row.name}, {name}, {seed}")
    structure = dict.fromkeys([*d.start, *d.close, *d.answer_start], UNLIKELY)
    structure |= {d.start[0]: LIKELY, d.close[0]: closing}
    structure |= dict.fromkeys(d.eos, ending) | dict.fromkeys(d.handovers, handing)
    for token in (*d.start[1:], *d.close[1:]):
        structure[token] = max(structure[token], 1.0)  # what has been begun may be completed
    only = {*itertools.chain(*(encode(tokenizer, text) for text in POOL)), *structure}
    prompts = prompts_of(row)
    count = len(prompts)
    model = toy_model(len(d.texts), rng.randrange(2**31), structure, sorted(only))
    # A delimiter that is several tokens is mostly completed once it has been begun.
    for delimiter in ([] if row.plain else d.start, d.close if closing == LIKELY else []):
        for before, last, following in zip([d.eos[0], *delimiter], delimiter, delimiter[1:], strict=False):
            model.before.data[before, following] += DOMINANT
            model.last.data[last, following] += DOMINANT
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
        max_new_tokens=60 if row.plain and closing == LIKELY else 34,
        model=model,
    )


@pytest.mark.parametrize(("row", "name"), RUNS, ids=[f"{row.name}-{name}" for row, name in RUNS])
def test_a_budget_is_what_stop_and_reprompt_makes_of_it(row: Row, name: str):
    """Every model that is tried is exact; some row of one of them shows what the case is about."""
    tokenizer, _, d = row.setting()
    config = GenerationConfig(eos_token_id=d.eos, pad_token_id=tokenizer.pad_token_id)
    for seed in range(12):
        case = case_of_row(row, name, seed)
        processor = processor_for(case, generation_config=config)
        check_case(case, processor, run_case(case, processor))
        if any(map(CASES[name][2], processor.reports())):
            return
    pytest.fail("no row shows what the case is about")


@pytest.mark.parametrize("row", PLAIN, ids=row_ids(PLAIN))
@pytest.mark.parametrize("budget", [{"num_ignores": 1}, {"min_thinking_tokens": 1}], ids=str)
def test_ends_that_are_plain_text_cannot_be_ignored(row: Row, budget: dict[str, int]):
    """They are known only after they have been written; the error says so before anything is run."""
    tokenizer, fmt, _ = row.setting()
    with pytest.raises(ValueError, match="plain tokens of this tokenizer"):
        BudgetForcingLogitsProcessor(tokenizer, format=fmt, **budget)
