"""Settings that ride on the largest one's rows leave them where they would be found to leave them afterwards."""

from __future__ import annotations

from s1_hf import Budget
from s1_hf.forcing.decisions import Field
from s1_hf.forcing.report import Ended
from s1_hf.generation.decoding import Decoding
from s1_hf.generation.riders import Riders
from s1_hf.generation.running import Row
from sweep_models import pushed_call

LARGEST = Budget(max_thinking_tokens=20, num_ignores=3)
RIDING = [
    Budget(max_thinking_tokens=cap, num_ignores=count) for cap, count in ((3, 3), (2, 2), (2, 3), (20, 0), (19, 3))
]


def ridden(prompts: tuple[str, ...] = ("ab", "a longer one")) -> Riders:
    call, riders = pushed_call(prompts), Riders(RIDING, len(prompts))
    largest = [Row(i, LARGEST) for i in range(len(prompts))]
    list(Decoding(call.model, call.rows, largest, call.make, riders=riders).all())
    return riders


def test_a_smaller_cap_leaves_at_exactly_that_many_thinking_tokens():
    found = [(one.step, one.state[Field.THINKING], one.state[Field.ENDED]) for one in ridden().branches[0]]
    assert found == [(3, 3, Ended.CUT)] * 2


def test_settings_that_leave_a_row_alike_share_the_branch():
    """Once thinking is closed what is left of a budget makes no difference."""
    branches = ridden().branches
    assert branches[1] == branches[2] and None not in branches[1]


def test_fewer_ignores_leave_at_the_end_that_is_then_honoured():
    assert {one.state[Field.ENDED] for one in ridden().branches[3]} == {Ended.NATURAL}


def test_a_setting_that_does_not_bind_stays():
    """Both rows end after 11 thinking tokens, so that no cap of 19 is met."""
    riders = ridden()
    assert riders.branches[4] == [None, None]


def test_rows_ride_by_themselves():
    """What one row does is not looked at in another."""
    alone = [ridden((prompt,)).branches for prompt in ("ab", "a longer one")]
    for together, first, second in zip(ridden().branches, *alone, strict=True):
        assert [(b and (b.step, b.token, b.state)) for b in together] == [
            (b and (b.step, b.token, b.state)) for b in (*first, *second)
        ]
