"""Where a setting leaves the trace, and answers branched off there."""

from __future__ import annotations

from s1_hf.generation.trace import SweepCall, SweepTrace, make_trace

from s1_hf import Budget, generate
from s1_hf.forcing.decisions import Field
from s1_hf.forcing.report import Ended
from s1_hf.generation.branches import Branch, answer_branches, find_branches, in_rounds
from sweep_models import Pushed, random_model

PROMPTS = ["ab", "a longer one"]
LARGEST = Budget(max_thinking_tokens=20, num_ignores=3)


def options() -> dict:
    fmt = random_model("opened", 1)[2]
    return {"format": fmt, "max_new_tokens": 60, "logits_processor": [Pushed(fmt.ends, 200.0)]}


def traced() -> SweepTrace:
    model, tokenizer, _ = random_model("opened", 1)
    rows = []
    for prompt in PROMPTS:
        chat = [{"role": "user", "content": prompt}]
        rows.append(tokenizer.apply_chat_template(chat, add_generation_prompt=True, return_dict=True)["input_ids"])
    return make_trace(SweepCall(model, tokenizer, rows, options()), LARGEST)


def branch(row: int, step: int) -> Branch:
    return Branch(row, step, 0, (), Budget())


def test_the_largest_setting_never_leaves_the_trace():
    assert find_branches(traced(), LARGEST) == [None, None]


def test_a_setting_leaves_the_trace_only_where_it_binds():
    """Both rows end after 11 thinking tokens, which a cap of 11 cuts and one of 12 does not."""
    trace = traced()
    assert [completion.report.thinking_tokens for completion in trace.completions] == [11, 11]
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
    close = trace.processor.format.close[0]
    found = [one for one in find_branches(trace, Budget(max_thinking_tokens=20)) if one is not None]
    assert found and {one.token for one in found} == {close}
    for one in found:
        assert trace.completions[one.row].forced[one.step]  # where the trace had its first Wait
        assert not any(trace.completions[one.row].forced[: one.step])


def test_settings_that_leave_a_row_alike_share_the_branch():
    """Once thinking is closed what is left of a budget makes no difference."""
    trace = traced()
    one, other = (find_branches(trace, Budget(max_thinking_tokens=2, num_ignores=count)) for count in (2, 3))
    assert one == other and one != [None, None]


def test_a_branch_is_answered_as_a_run_of_its_own_setting():
    trace = traced()
    model, tokenizer, _ = random_model("opened", 1)
    setting = Budget(max_thinking_tokens=3, num_ignores=1)
    branches = find_branches(trace, setting)
    assert None not in branches
    assert answer_branches(trace, branches) == generate(model, tokenizer, PROMPTS, budget=setting, **options())


def test_answering_leaves_the_cache_as_it_was():
    trace = traced()
    branches = find_branches(trace, Budget(max_thinking_tokens=3, num_ignores=1))
    first = answer_branches(trace, branches)
    assert trace.cache.get_seq_length() == trace.cached
    assert answer_branches(trace, branches) == first


def test_some_rows_can_be_answered_while_the_others_idle():
    trace = traced()
    branches = find_branches(trace, Budget(max_thinking_tokens=3, num_ignores=1))
    both = answer_branches(trace, branches)
    assert [answer_branches(trace, [one])[0] for one in branches] == both


def test_a_round_has_each_row_at_most_once():
    branches = [branch(0, 1), branch(0, 2), branch(1, 1), branch(0, 3), branch(2, 5)]
    rounds = list(in_rounds(branches))
    assert [[(b.row, b.step) for b in group] for group in rounds] == [[(0, 1), (1, 1), (2, 5)], [(0, 2)], [(0, 3)]]
