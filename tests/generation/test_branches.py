"""Where a setting leaves the decisions of the largest one, when they are looked at afterwards, as vLLM's are."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch

from s1_hf import Budget
from s1_hf.forcing.decisions import Field, advance, first_state
from s1_hf.forcing.prompts import start_of
from s1_hf.forcing.report import Ended
from s1_hf.generation.branches import Decisions, find_branches
from s1_hf.generation.chats import left_padded
from s1_hf.generation.generate import budget_forcing, processor_in
from sweep_models import Pushed, random_model

PROMPTS = ["ab", "a longer one"]
LARGEST = Budget(max_thinking_tokens=20, num_ignores=3)


@dataclass
class Traced:
    replay: Decisions
    automaton: Any
    counts: torch.Tensor
    thinking: list[int]
    forced: list[tuple[bool, ...]]


def traced() -> Traced:
    """Two rows under the largest setting, from what a call of `generate` has recorded."""
    model, tokenizer, fmt = random_model("opened", 1)
    rows = []
    for prompt in PROMPTS:
        chat = [{"role": "user", "content": prompt}]
        rows.append(tokenizer.apply_chat_template(chat, add_generation_prompt=True, return_dict=True)["input_ids"])
    pushed = [Pushed(fmt.ends, 200.0)]
    kwargs = budget_forcing(model, tokenizer, budget=LARGEST, format=fmt, max_new_tokens=60, logits_processor=pushed)
    ids = model.generate(**left_padded(rows, 0), **kwargs)
    processor = processor_in(kwargs)
    finished, reports = processor.finished(ids), processor.reports(ids)
    after, picks = finished.trace.states.permute(1, 0, 2), finished.trace.picks  # (7, steps, rows), (steps, rows)
    steps, width = len(picks), max(map(len, rows))
    tokens = ids[:, width : width + steps].T
    moved = advance(processor.tables, after.flatten(1), tokens.flatten()).reshape(-1, steps, len(rows))
    start = first_state([start_of(processor.automaton, row) for row in rows])[:, None]
    return Traced(
        replay=Decisions(
            before=torch.cat([start, moved[:, :-1]], dim=1).flatten(1),
            after=after.flatten(1),
            picks=picks.flatten(),
            last=ids[:, width - 1 : width - 1 + steps].T.flatten(),
            looped=torch.zeros(picks.numel(), dtype=torch.bool),
        ),
        automaton=processor.automaton,
        counts=torch.tensor(finished.lengths) - width,
        thinking=[report.thinking_tokens for report in reports],
        forced=[report.forced for report in reports],
    )


def test_the_largest_setting_never_leaves_the_trace():
    assert find_branches(traced(), LARGEST) == [None, None]


def test_a_setting_leaves_the_trace_only_where_it_binds():
    """Both rows end after 11 thinking tokens, which a cap of 11 cuts and one of 12 does not."""
    trace = traced()
    assert trace.thinking == [11, 11]
    assert find_branches(trace, Budget(max_thinking_tokens=12, num_ignores=3)) == [None, None]
    assert None not in find_branches(trace, Budget(max_thinking_tokens=11, num_ignores=3))


def test_a_smaller_cap_leaves_the_trace_at_exactly_that_many_thinking_tokens():
    found = find_branches(traced(), Budget(max_thinking_tokens=3, num_ignores=3))
    ended = [(one.step, one.state[Field.THINKING], one.state[Field.ENDED]) for one in found if one is not None]
    assert ended == [(3, 3, Ended.CUT)] * 2


def test_a_cap_that_leaves_no_room_for_the_wait_leaves_the_trace_at_the_end():
    found = find_branches(traced(), Budget(max_thinking_tokens=2, num_ignores=3))
    ended = [(one.step, one.state[Field.THINKING], one.state[Field.ENDED]) for one in found if one is not None]
    assert ended == [(1, 1, Ended.NATURAL)] * 2


def test_fewer_ignores_leave_the_trace_at_the_end_that_is_then_honoured():
    trace = traced()
    close = trace.automaton.format.close[0]
    found = [one for one in find_branches(trace, Budget(max_thinking_tokens=20)) if one is not None]
    assert found and {one.token for one in found} == {close}
    for one in found:
        assert trace.forced[one.row][one.step]  # where the trace had its first Wait
        assert not any(trace.forced[one.row][: one.step])


def test_settings_that_leave_a_row_alike_share_the_branch():
    """Once thinking is closed what is left of a budget makes no difference."""
    trace = traced()
    one, other = (find_branches(trace, Budget(max_thinking_tokens=2, num_ignores=count)) for count in (2, 3))
    assert one == other and one != [None, None]
