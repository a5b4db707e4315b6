"""Rows that pause and go on: the tokens and reports of rows that never paused, and nothing read twice."""

from __future__ import annotations

import functools
from dataclasses import replace

import pytest
from transformers import Qwen2ForCausalLM

from lamp_requests import NeverAsked, in_steps, lamp_engine, lamp_requests, run_all
from s1_hf.engines.engine import Recorded, completion_from, completion_to_dict
from s1_hf.engines.ledger import Ledger
from s1_hf.forcing.budget import Budget
from s1_hf.forcing.loops import LoopGuard
from s1_hf.forcing.pauses import Begun, Pause

SETTINGS = [
    {},
    {"num_ignores": 2, "max_answer_tokens": 3},
    {"num_ignores": 1, "wait_text": None, "max_new_tokens": 150},
    {"max_thinking_tokens": 40},
    {"min_thinking_tokens": 90, "max_new_tokens": 150},
    {"num_ignores": 1, "temperature": 2.5, "max_new_tokens": 120},
    {"loop_guard": LoopGuard(max_period=8, repeats=2, min_tokens=20), "num_ignores": 4, "max_new_tokens": 220},
]


@pytest.fixture
def fed(monkeypatch) -> list[int]:
    """How many tokens each forward pass was given, padding included."""
    passes, stock = [], Qwen2ForCausalLM.forward

    @functools.wraps(stock)
    def forward(self, *args, **kwargs):
        passes.append(kwargs["input_ids"].numel())
        return stock(self, *args, **kwargs)

    monkeypatch.setattr(Qwen2ForCausalLM, "forward", forward)
    return passes


@pytest.mark.parametrize("settings", SETTINGS)
@pytest.mark.parametrize("pause", [Pause("\n"), Pause(tokens=7), Pause("\n", tokens=5)], ids=str)
def test_rows_that_pause_are_those_that_do_not(settings, pause):
    engine = lamp_engine(batch_size=3)
    requests = lamp_requests(engine, 4, **settings)
    whole = run_all(engine, requests)
    paused, pauses = in_steps(engine, requests, pause)
    assert paused == whole
    assert pauses > 8


def test_nothing_is_read_twice(fed):
    engine = lamp_engine(batch_size=4)
    requests = lamp_requests(engine, 4, num_ignores=1)
    done, _ = in_steps(engine, requests, Pause("\n"))
    widest = max(len(request.prompt) for request in requests)
    assert sum(fed) == 4 * widest + sum(len(one.token_ids) - 1 for one in done)


def test_branches_share_what_they_go_on_from(fed):
    engine = lamp_engine(batch_size=8)
    (request,) = lamp_requests(engine, 1, temperature=1.5)
    (trunk,) = run_all(engine, [replace(request, pause=Pause("\n"))])
    begun = len(trunk.token_ids)
    fed.clear()
    branches = [replace(request, begun=trunk.begun, seed=seed, sample=seed) for seed in range(5)]
    together = run_all(engine, branches)
    assert max(fed) <= 5  # a token each: nothing is read again
    assert len({one.token_ids for one in together}) > 1
    assert all(one.token_ids[:begun] == trunk.token_ids for one in together)
    assert together == [run_all(engine, [branch])[0] for branch in branches]  # read again, each by itself


def test_a_prompt_that_several_rows_have_is_read_once(fed):
    engine = lamp_engine(batch_size=6)
    (request,) = lamp_requests(engine, 1, temperature=1.0)
    samples = [replace(request, seed=seed, sample=seed) for seed in range(6)]
    together = run_all(engine, samples)
    assert fed[0] == len(request.prompt)
    assert together == [run_all(engine, [one])[0] for one in samples]


def test_a_step_is_a_line_of_thinking():
    engine = lamp_engine()
    (request,) = lamp_requests(engine, 1)
    lines = []
    asked = replace(request, pause=Pause("\n"))
    while (done := run_all(engine, [asked])[0]).begun is not None:
        before = 0 if asked.begun is None else len(asked.begun.ids)
        lines.append(engine.tokenizer.decode(done.token_ids[before:]))
        asked = replace(asked, begun=done.begun)
    assert lines[0].startswith("<|im_start|>think\nA from ") and all(line.endswith("\n") for line in lines)
    assert [line.count("\n") for line in lines] == [2] + [1] * (len(lines) - 1)
    assert "".join(lines) == done.text[: len("".join(lines))]


def test_from_a_ledger(tmp_path):
    """What has paused comes back after a kill, as it was."""
    engine = lamp_engine()
    requests = lamp_requests(engine, 2, num_ignores=1)
    kept, _ = in_steps(Recorded(engine, Ledger(tmp_path)), requests, Pause("\n"))
    again, _ = in_steps(Recorded(NeverAsked(engine), Ledger(tmp_path)), requests, Pause("\n"))
    assert again == kept == run_all(engine, requests)


def test_completions_as_entries():
    engine = lamp_engine()
    (request,) = lamp_requests(engine, 1)
    for pause in (None, Pause("\n")):
        (done,) = run_all(engine, [replace(request, pause=pause)])
        assert completion_from(completion_to_dict(done)) == done
        assert (done.begun is None) == (pause is None)


def test_requests_with_and_without_pauses_have_other_keys():
    (request,) = lamp_requests(lamp_engine(), 1)
    begun = Begun((1,), (False,), (0,) * 7)
    others = [
        replace(request, pause=Pause("\n")),
        replace(request, pause=Pause(tokens=3)),
        replace(request, begun=begun),
    ]
    assert len({one.key for one in [request, *others]}) == 4


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"give_up_after": 5}, "given up"),
        ({"budget": Budget(max_thinking_tokens="auto")}, "auto"),
        ({"begun": Begun((1,) * 300, (False,) * 300, (0,) * 7), "max_new_tokens": 300}, "more than the 300 tokens"),
        ({"begun": Begun((1,), (False,), (0,) * 7)}, "paused under another format"),
    ],
)
def test_what_is_refused(changes, said):
    engine = lamp_engine()
    (request,) = lamp_requests(engine, 1)
    with pytest.raises(ValueError, match=said):
        engine.check([replace(request, pause=Pause("\n"), **changes)])


def test_a_sweep_of_rows_that_pause_is_refused():
    engine = lamp_engine()
    (request,) = lamp_requests(engine, 1)
    settings = [Budget(max_thinking_tokens=cap) for cap in (16, 32)]
    with pytest.raises(ValueError, match="swept can neither pause"):
        next(engine.sweep([replace(request, pause=Pause("\n"))], settings, lambda rows: None))


def test_a_row_that_pauses_is_not_streamed():
    engine = lamp_engine()
    (request,) = lamp_requests(engine, 1)
    with pytest.raises(ValueError, match="is not streamed"):
        engine.stream(replace(request, pause=Pause("\n")), lambda text, kind: None, lambda rows: None)


def test_rows_with_the_same_tokens_go_on_from_where_each_stands(tmp_path):
    """The same Wait was forced in one row, and written by the model in the other, which has its ignore left: neither a
    held cache nor a ledger may take one for the other."""
    engine = lamp_engine(batch_size=8)
    (request,) = lamp_requests(engine, 1, num_ignores=1)
    request = replace(request, pause=Pause(tokens=30))
    (done,) = run_all(engine, [request])
    begun = done.begun
    spent = list(begun.state)
    spent[3] = spent[4] = 1  # USED, IGNORED
    other = Begun(begun.ids, (*begun.forced[:-1], True), tuple(spent))
    asked = [replace(request, begun=one, pause=Pause(tokens=20)) for one in (begun, other)]
    apart = [run_all(lamp_engine(batch_size=8), [one])[0] for one in asked]
    again = []
    for one in (engine, Recorded(engine, Ledger(tmp_path)), Recorded(engine, Ledger(tmp_path))):
        run_all(one, [request])
        again.append(run_all(one, asked))
    assert again == [apart] * 3
    assert [one.begun.state[4] for one in apart] == [0, 1]
    ends = run_all(engine, [replace(one, begun=done.begun, pause=None) for one, done in zip(asked, apart, strict=True)])
    assert [end.report.ends_ignored for end in ends] == [1, 1]


def test_rows_are_held_while_only_answers_are_asked_for(fed):
    """Of which nothing is read again then; a row that has gone on is held no more."""
    engine = lamp_engine(batch_size=8)
    (request,) = lamp_requests(engine, 1)
    (done,) = run_all(engine, [replace(request, pause=Pause(tokens=20))])
    answer = replace(request, begun=done.begun, budget=Budget(max_thinking_tokens=20))
    for again in (
        answer,
        replace(answer, max_answer_tokens=3),
        replace(request, begun=done.begun, pause=Pause(tokens=5)),
    ):
        fed.clear()
        run_all(engine, [again])
        assert max(fed) == 1
    run_all(engine, [replace(request, begun=done.begun, pause=Pause(tokens=5))])
    assert max(fed) == len(request.prompt) + len(done.token_ids)
