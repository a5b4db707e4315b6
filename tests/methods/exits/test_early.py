"""Early exit on a bench: beside runs under caps and its replay from a sweep, and its tokens beside those counted."""

from __future__ import annotations

import dataclasses
import functools

import pytest
from transformers import Qwen2ForCausalLM

pytest.importorskip("math_verify")

from benches import problems, random_bench

from s1_hf.forcing.budget import Budget, BudgetWarning
from s1_hf.forcing.confidence import Confidence
from s1_hf.forcing.loops import LoopGuard
from s1_hf.methods import Bench, BudgetForcing, Confident, EarlyExit, Stable, Trial, early_exit, run_methods
from searching import lamp_bench
from tiny_models import tiny_model
from toys import toy_tokenizer

OPENING = 2  # tokens with which the embedded model opens its thinking
CAPS = [16 * n for n in range(1, 13)]
POINTS = {
    "plain": Budget(),
    "two ignores": Budget(num_ignores=2),
    "a cap": Budget(max_thinking_tokens=40),
    "both": Budget(max_thinking_tokens=100, num_ignores=3),
}
SAME = (
    "problem", "sample", "extracted", "correct", "ended", "thinking_tokens", "answer_tokens", "total_tokens", "tries",
    "ends_ignored", "digest",
)  # fmt: skip


def lamps_to_the_end(count: int = 4, **options):
    return lamp_bench(count, **{"max_new_tokens": 200, "temperature": 1.0} | options)


def by_names(rows, names=SAME):
    return sorted(tuple(str(getattr(row, name)) for name in names) for row in rows)


@functools.cache
def swept(name: str, samples: int | None):
    """Rows under all caps below the point's own, and under it."""
    point = POINTS[name]
    caps = [cap for cap in CAPS if cap < (point.max_thinking_tokens or 10**6)]
    method = BudgetForcing(
        max_thinking_tokens=[*caps, point.max_thinking_tokens], num_ignores=[point.num_ignores]
    )  # fmt: skip
    return method.run(lamps_to_the_end(samples=samples))


@pytest.mark.parametrize("samples", [None, 2], ids=["greedy", "sampled"])
@pytest.mark.parametrize("name", POINTS)
def test_a_run_is_its_replay_from_a_sweep_and_a_run_under_a_cap(name, samples):
    """Every row is that of the cap at which it stopped, token for token, but for the tokens of the trials."""
    point, rules = POINTS[name], [Stable(1), Stable(2), Stable(3)]
    rows = EarlyExit(rules=rules, every=16, point=point).run(lamps_to_the_end(samples=samples))
    replayed = early_exit(swept(name, samples), rules, opening_tokens=OPENING)
    assert by_names(rows) == by_names(replayed)
    capped = {row.digest for row in swept(name, samples)}
    assert all(row.digest in capped for row in rows)
    assert len({row.tries for row in rows}) > 1


@pytest.mark.parametrize("name", POINTS)
def test_a_rule_alone_gives_what_it_gives_beside_others(name):
    bench = lamps_to_the_end(3)
    together = EarlyExit(rules=[Stable(1), Stable(3)], every=16, point=POINTS[name]).run(bench)
    alone = []
    for rule in (Stable(1), Stable(3)):
        alone += EarlyExit(rules=[rule], every=16, point=POINTS[name]).run(bench)
    assert together == alone


def opening_of(bench) -> int:
    """With how many tokens rows begin their thinking."""
    request = bench.request(bench.problems[0])
    start = bench.thinking_format.start
    return len(start) if bench.complete([request])[request.key].token_ids[: len(start)] == start else 0


@pytest.mark.parametrize("every", [1, 5, 7])
@pytest.mark.parametrize("family", ["s1", "think", "harmony"])
def test_a_random_model_that_likes_to_end_is_replayed_too(family, every):
    """Waits stand across the points here, and rows never think, or run out of room."""
    bench = random_bench(12, family, max_new_tokens=40, samples=2)
    point = Budget(num_ignores=2)
    caps = list(range(every, 40, every))
    sweep = BudgetForcing(max_thinking_tokens=[*caps, None], num_ignores=[2]).run(bench)
    rows = EarlyExit(rules=[Stable(1), Stable(2)], every=every, point=point).run(bench)
    replayed = early_exit(sweep, [Stable(1), Stable(2)], opening_tokens=opening_of(bench))
    assert by_names(rows) == by_names(replayed)


@pytest.mark.parametrize("kind", ["gemma3_text", "mamba"])
def test_sliding_windows_and_states_are_replayed_too(kind):
    """Whose rows are joined in another way, or read again."""
    tokenizer = toy_tokenizer("s1")
    bench = Bench(
        model=tiny_model(kind, len(tokenizer) + 3).double().eval(), tokenizer=tokenizer, problems=problems(3),
        max_new_tokens=40, max_answer_tokens=5, batch_size=2,
    )  # fmt: skip
    sweep = BudgetForcing(max_thinking_tokens=[7, 14, 21, 28, 35, None], num_ignores=[1]).run(bench)
    rows = EarlyExit(rules=[Stable(1), Stable(3)], every=7, point=Budget(num_ignores=1)).run(bench)
    replayed = early_exit(sweep, [Stable(1), Stable(3)], opening_tokens=opening_of(bench))
    assert by_names(rows) == by_names(replayed) and max(row.tries for row in rows) > 1


@pytest.mark.parametrize("name", POINTS)
def test_batches_and_other_problems_change_nothing(name):
    method = EarlyExit(rules=[Stable(2)], every=16, point=POINTS[name])
    bench = lamps_to_the_end(4, batch_size=16)
    rows = method.run(bench)
    assert method.run(dataclasses.replace(bench, batch_size=1)) == rows
    assert method.run(dataclasses.replace(bench, problems=bench.problems[2:3])) == rows[2:3]


@pytest.mark.parametrize("name", ["plain", "a cap", "two ignores"])
@pytest.mark.parametrize("options", [{"every": 16}, {"separator": "\n"}], ids=str)
def test_every_token_is_counted_and_none_is_read_twice(name, options, monkeypatch):
    """Through the model go the prompt and all but the last token. Where an answer is tried, its last token is not read,
    and the token before it is: once for the answer, and once for the row that thinks on."""
    fed, stock = [], Qwen2ForCausalLM.forward

    @functools.wraps(stock)
    def forward(self, *args, **kwargs):
        fed.append(kwargs["input_ids"].numel())
        return stock(self, *args, **kwargs)

    bench = lamps_to_the_end(1)
    method = EarlyExit(rules=[Stable(3)], point=POINTS[name], **options)
    monkeypatch.setattr(Qwen2ForCausalLM, "forward", forward)
    (row,) = method.run(bench)
    prompt = len(bench.encode(bench.problems[0].prompt))
    assert sum(fed) == prompt + row.total_tokens - 1


def test_at_a_separator_the_trial_is_a_run_under_a_cap():
    bench = lamps_to_the_end(3)
    rows = EarlyExit(rules=[Stable(1), Stable(2)], separator="\n").run(bench)
    assert {row.ended for row in rows} >= {"cut"}
    for row in rows:
        if row.ended != "cut":
            continue
        alone = dataclasses.replace(bench, problems=[p for p in bench.problems if p.id == row.problem])
        (capped,) = BudgetForcing(max_thinking_tokens=[row.thinking_tokens]).run(alone)
        assert (capped.digest, capped.extracted) == (row.digest, row.extracted)
        assert row.transcript[0]["text"].endswith("\n") or "\n" in "".join(p["text"] for p in row.transcript)


@pytest.mark.parametrize("samples", [None, 2], ids=["greedy", "sampled"])
def test_thinking_stops_when_the_model_is_sure_and_the_replay_agrees(samples):
    """Thresholds between the confidences that there are, so that each stops other rows."""
    bench = lamps_to_the_end(4, samples=samples)
    measuring = dataclasses.replace(bench, confidence=Confidence(top=1))
    sweep = BudgetForcing(max_thinking_tokens=[*CAPS, None]).run(measuring)
    seen = sorted(row.confidence for row in sweep if row.ended == "cut")
    rules = [Confident(seen[len(seen) * part // 8]) for part in (1, 4, 7)]
    rows = EarlyExit(rules=rules, every=16).run(bench)
    replayed = early_exit(sweep, rules, opening_tokens=OPENING)
    assert by_names(rows, (*SAME, "confidence")) == by_names(replayed, (*SAME, "confidence"))
    tokens = [sum(row.thinking_tokens for row in rows if row.setting.startswith(rule.name)) for rule in rules]
    assert tokens[0] < tokens[1] < tokens[2]
    assert {row.method for row in rows} == {"early exit, confident"}


def test_rows_without_confidence_are_refused_by_a_rule_that_needs_it():
    with pytest.raises(ValueError, match="no row has one"):
        early_exit(swept("plain", None), [Confident(0.9)])


def test_a_confident_row_without_an_answer_goes_on():
    (row,) = [row for row in swept("plain", None) if row.setting == "cap 16" and row.problem == "0"]
    sure = dataclasses.replace(row, confidence=1.0)
    assert Confident(0.9).stops([Trial(sure, 9, False)])
    assert not Confident(0.9).stops([Trial(dataclasses.replace(sure, extracted=None), 9, False)])
    assert not Confident(0.9).stops([Trial(dataclasses.replace(sure, confidence=None), 9, False)])
    assert Confident(1.0).stops([Trial(sure, 9, False)])


def test_behind_a_forced_wait_nothing_is_tried():
    """So that each trial is one under a cap, which would have left no room for the Wait."""
    bench = lamps_to_the_end(3)
    point = Budget(num_ignores=3)
    rows = EarlyExit(rules=[Stable(1), Stable(9)], separator="Wait", point=point).run(bench)
    assert any(row.ends_ignored == 3 and row.tries == 1 for row in rows)


def test_killed_anywhere_it_goes_on_to_what_an_unbroken_run_gives(tmp_path):
    bench, method = (
        lamps_to_the_end(2, batch_size=2),
        EarlyExit(rules=[Stable(2)], every=16, point=Budget(num_ignores=1)),
    )
    whole = run_methods([method], bench, tmp_path / "whole")
    lines = (tmp_path / "whole" / "finished.jsonl").read_bytes().splitlines(keepends=True)
    for kept in sorted({0, 1, 2, 3, len(lines) // 2, len(lines) - 1}):
        folder = tmp_path / str(kept)
        folder.mkdir()
        (folder / "finished.jsonl").write_bytes(b"".join(lines[:kept]) + lines[kept][:50])
        assert run_methods([method], bench, folder) == whole


def test_two_problems_with_the_same_text_are_two():
    """They have one prompt, and greedily the same tokens: neither takes what is held for the other."""
    bench = lamps_to_the_end(1)
    (problem,) = bench.problems
    twins = dataclasses.replace(bench, problems=[problem, dataclasses.replace(problem, id="twin")])
    for options in ({"every": 16}, {"separator": "\n"}):
        method = EarlyExit(rules=[Stable(3)], point=Budget(num_ignores=2), **options)
        (alone,) = method.run(bench)
        first, second = method.run(twins)
        assert first == alone and second == dataclasses.replace(alone, problem="twin")


def test_a_model_that_wants_to_end_at_once_has_one_trial_or_none():
    """A budget that ends before the first point: nothing is tried on the way."""
    bench = lamps_to_the_end(2)
    for row in EarlyExit(rules=[Stable(1)], every=64, point=Budget(max_thinking_tokens=10)).run(bench):
        assert (row.tries, row.ended, row.thinking_tokens) == (1, "cut", 10)


def test_a_loop_guard_may_end_thinking_before_a_rule_does():
    bench = lamps_to_the_end(4, loop_guard=LoopGuard(), temperature=1.0)
    assert len(EarlyExit(rules=[Stable(3)], every=16).run(bench)) == 4


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({}, "Either `every`, such as 256, or `separator`"),
        ({"every": 8, "separator": "\n"}, "Either `every`"),
        ({"every": 0}, "`every` has to be"),
        ({"separator": ""}, "`separator` has to be a text"),
        ({"every": 8, "rules": []}, "`rules` has to be a sequence of different rules"),
        ({"every": 8, "rules": [Stable(2), Stable(2)]}, "`rules` has to be"),
        ({"every": 8, "rules": ["stable"]}, "`rules` has to be"),
        ({"every": 8, "point": Budget(answer_prefix=None)}, "`point` has to leave all but"),
    ],
)
def test_misuse_is_refused(options, said):
    with pytest.raises(ValueError, match=said):
        EarlyExit(**options)


def test_what_no_trial_can_have_is_refused_before_anything_is_generated():
    exits = EarlyExit(rules=[Stable(2)], every=16)
    with pytest.raises(ValueError, match="`cut_text` and `cut_window` have to be left out"):
        exits.run(lamp_bench(1, cut_window=4))
    with pytest.raises(ValueError, match="min_thinking_tokens"):
        dataclasses.replace(exits, point=Budget(min_thinking_tokens=4)).run(lamp_bench(1))
    with pytest.raises(ValueError, match="auto"):
        dataclasses.replace(exits, point=Budget(max_thinking_tokens="auto")).run(lamp_bench(1))


def test_settings_say_what_decides():
    settings = EarlyExit(rules=[Stable(2)], every=16, point=Budget(num_ignores=1)).settings
    assert settings["rules"] == [{"rule": "Stable", "times": 2}] and settings["every"] == 16
    assert settings["point"] == Budget(num_ignores=1).to_dict()


def test_progress_counts_what_is_generated():
    told = []
    (row,) = EarlyExit(rules=[Stable(9)], every=16).run(lamps_to_the_end(1, progress=told.append))
    assert told[-1].tokens == row.total_tokens


@pytest.mark.parametrize("where", [{"every": 199}, {"separator": "never"}], ids=["every", "separator"])
def test_it_is_said_if_nothing_was_tried(where):
    with pytest.warns(BudgetWarning, match="was never reached before the end of any thinking"):
        rows = EarlyExit(rules=[Stable(1)], **where).run(lamps_to_the_end(1))
    assert [row.tries for row in rows] == [1]


@pytest.mark.parametrize("where", [{"every": 16}, {"separator": "\n"}], ids=["every", "separator"])
def test_an_exit_at_the_first_trial_is_no_reason_to_say_so(where, recwarn):
    rows = EarlyExit(rules=[Stable(1)], **where).run(lamps_to_the_end(1))
    assert [row.tries for row in rows] == [1] and not recwarn.list
