"""DeepConf online: what is given up, when it ends, who votes; a replay from whole samples is the real run."""

from __future__ import annotations

import dataclasses
import random

import pytest
import torch

pytest.importorskip("math_verify")

from benches import random_bench, recording
from measured_samples import made_up

from s1_hf.forcing.budget import Budget, BudgetWarning
from s1_hf.forcing.confidence import Confidence
from s1_hf.methods import DeepConf, DeepConfOnline, run_methods
from s1_hf.methods.confidence.online import Draw
from s1_hf.methods.confidence.samples import sample_of
from searching import lamp_bench
from toys import toy_format


def whole_samples(method: DeepConfOnline, bench):
    """All N samples of each problem, by task and problem, none of which is given up."""
    found = {}
    count = method.answers(bench)
    for _, problem, request, done in bench.answers(
        bench.problems, method.grid(), samples=count, confidence=Confidence(method.top)
    ):
        found.setdefault((problem.task, problem.id), []).append(sample_of(bench, problem, request, done))
    return found


def counted(row):
    """All of a row but how its chosen sample was asked for: whole, or to be given up."""
    return dataclasses.replace(row, request=None)


@pytest.mark.parametrize("eta", [10, 50, 90])
@pytest.mark.parametrize(
    "more", [{}, {"consensus": None, "round_size": 3}, {"point": Budget(num_ignores=1), "window": 5}]
)
def test_a_replay_is_the_real_run(eta, more):
    """The same votes, and the same tokens of rows that were given up; on the toy at a temperature that confuses it."""
    method = DeepConfOnline(**{"widths": [3, 12], "eta": eta, "window": 10, "warmup": 4, "round_size": 4} | more)
    bench = lamp_bench(3, torch.float64)
    real = method.run(bench)
    replayed = method.replayed(bench, whole_samples(method, bench))
    assert [counted(row) for row in replayed] == [counted(row) for row in real]
    whole = DeepConf(widths=[12], eta=100, point=method.point).run(bench)
    if method.consensus is None:
        assert sum(row.total_tokens for row in real[3:]) < sum(row.total_tokens for row in whole)
        assert {row.tries for row in real} == {3, 12}


@pytest.mark.parametrize(
    "family", ["s1", "think", "opened", "plain", "harmony", "magistral", "interleaved", "tools", "gemma4", "kimi_k3"]
)
def test_a_replay_is_the_real_run_on_random_models_and_formats(family):
    rng = random.Random(family)
    more = {"batch_size": rng.choice([1, 3, 8]), "samples": rng.choice([None, 2]), "max_new_tokens": 40}
    bench = random_bench(3, family, rng.randrange(3), format=toy_format(family), **more)
    ignores = 0 if family == "plain" else rng.choice([0, 1])
    method = DeepConfOnline(
        widths=[2, 9], eta=rng.choice([20, 60]), window=rng.choice([1, 3, 6]), warmup=3,
        round_size=rng.choice([1, 2, 5]), consensus=rng.choice([0.7, None]), top=rng.choice([1, 5]),
        point=Budget(num_ignores=ignores),
    )  # fmt: skip
    real = method.run(bench)
    replayed = method.replayed(bench, whole_samples(method, bench))
    assert [counted(row) for row in replayed] == [counted(row) for row in real]


def test_batches_do_not_matter():
    """Nor which problems there are beside."""
    method = DeepConfOnline(widths=[10], eta=30, window=8, warmup=4, round_size=3, consensus=0.8)
    bench = lamp_bench(3, torch.float64)
    rows = method.run(bench)
    for size in (1, 5):
        assert method.run(dataclasses.replace(bench, batch_size=size)) == rows
    assert method.run(dataclasses.replace(bench, problems=bench.problems[1:2])) == rows[1:2]


def test_every_token_counts_of_rows_that_are_given_up_too():
    bench, engine = recording(lamp_bench(2))
    generated = 0
    stock = engine.run

    def run(requests, on_step):
        nonlocal generated
        for batch in stock(requests, on_step):
            generated += sum(len(completion.token_ids) for _, completion in batch)
            yield batch

    engine.run = run
    rows = DeepConfOnline(widths=[9], eta=10, window=6, warmup=3, round_size=3, consensus=None).run(bench)
    assert sum(row.total_tokens for row in rows) == generated
    assert sum(map(len, engine.asked)) == 2 * 9
    later = [request.confidence for asked in engine.asked for request in asked if request.sample >= 3]
    assert len(later) == 12 and all(one.window == 6 and one.below > 0 for one in later)


def drawn(method: DeepConfOnline, samples):
    """A draw that is given these samples."""
    draw = Draw(method, [one.request for one in samples])
    while draw.asked:
        draw.take(samples[len(draw.samples) :][: len(draw.asked)])
    return draw


def test_the_threshold_and_who_votes():
    samples = [made_up(answer, [sure] * 3) for answer, sure in [("8", 1.0), ("7", 2.0), ("8", 3.0), ("7", 4.0)]]
    later = [made_up("9", [0.5] * 3), made_up("7", [3.5] * 3)]
    method = DeepConfOnline(widths=[6], eta=50, window=3, warmup=4, round_size=2, consensus=None)
    draw = Draw(method, [one.request for one in samples + later])
    assert [request.confidence for request in draw.asked] == [None] * 4  # as they were made up
    draw.take(samples)
    assert {one.confidence for one in draw.asked} == {Confidence(20, window=3, below=2.5)}
    draw.take(later)
    assert draw.asked == [] and len(draw.samples) == 6
    assert draw.elected == 3  # 4 + 3.5 for 7, 3 for 8; of those the surest


def test_a_clear_vote_ends_after_the_warm_up_or_a_round():
    agreed = [made_up("7", [2.0 + i]) for i in range(20)]
    assert len(drawn(DeepConfOnline(widths=[20], window=1, warmup=4), agreed).samples) == 4
    split = [made_up("8", [2.0]), *agreed[:19]]
    method = DeepConfOnline(widths=[20], eta=100, window=1, warmup=2, round_size=3, consensus=0.9)
    # 2 for 8; for 7 there are 2 after the warm-up, then 14, then 35, of which 14 / 16 is too little.
    for share, samples in ((0.5, 2), (0.9, 8), (0.99, 20), (None, 20)):
        assert len(drawn(dataclasses.replace(method, consensus=share), split).samples) == samples


def test_without_answers_it_goes_on_and_is_wrong():
    draw = drawn(DeepConfOnline(widths=[9], window=1, warmup=2, round_size=4), [made_up(None, [1.0])] * 9)
    assert len(draw.samples) == 9 and draw.elected == 0
    # Nobody who answered reaches the threshold: all that answered vote.
    unsure = [made_up(None, [9.0]), made_up("7", [1.0]), made_up("7", [1.0]), made_up("8", [1.5])]
    method = DeepConfOnline(widths=[4], window=1, warmup=4, eta=10, consensus=None)
    assert drawn(method, unsure).elected == 1


def test_fewer_than_the_warm_up_are_a_filtered_vote():
    """All of a small N are warm-up, and nobody is given up: the offline vote by the lowest group."""
    bench = lamp_bench(3)
    online = DeepConfOnline(widths=[4], eta=40, window=8).run(bench)
    offline = DeepConf(widths=[4], eta=40, window=8, measure="lowest").run(bench)
    for one, other in zip(online, offline, strict=True):
        assert (one.total_tokens, one.tries) == (other.total_tokens, other.tries) == (other.total_tokens, 4)


def test_it_resumes_from_its_folder(tmp_path):
    """After a kill within a problem; and an online vote and an offline one share their samples."""
    method = DeepConfOnline(widths=[8], eta=30, window=8, warmup=4, round_size=2, consensus=None)
    bench = lamp_bench(2, torch.float64)
    rows = run_methods([method], bench, tmp_path / "whole")
    ledger = (tmp_path / "whole" / "finished.jsonl").read_text().splitlines(keepends=True)
    for kept in (0, 1, len(ledger) // 2, len(ledger) - 1):
        folder = tmp_path / str(kept)
        folder.mkdir()
        (folder / "finished.jsonl").write_text("".join(ledger[:kept]))
        assert run_methods([method], bench, folder) == rows
    both, engine = recording(bench)
    run_methods([DeepConf(widths=[4], window=8), method], both, tmp_path / "both")
    assert sum(map(len, engine.asked)) == 2 * 8


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"widths": []}, "`widths`"),
        ({"eta": 0}, "`eta`"),
        ({"window": 0}, "`window`"),
        ({"warmup": 0}, "`warmup`"),
        ({"round_size": 0}, "`round_size`"),
        ({"top": 0}, "`top`"),
        ({"consensus": 0}, "`consensus` has to be a share above 0 and at most 1, or None"),
        ({"consensus": 95}, "`consensus`"),
    ],
)
def test_what_is_refused(options, said):
    with pytest.raises(ValueError, match=said):
        DeepConfOnline(**{"widths": [4]} | options)


@pytest.mark.parametrize(
    ("method", "said"),
    [
        (
            DeepConfOnline(widths=[4], window=25, warmup=2),
            "`window` 25 is longer than any thinking here, of at most 24",
        ),
        (DeepConf(widths=[4], window=25), "`window` 25 is longer than any sample here, of at most 24"),
        (DeepConfOnline(widths=[4], window=9, warmup=2, point=Budget(max_thinking_tokens=8)), "of at most 8 tokens"),
        (DeepConfOnline(widths=[2, 4], window=4, warmup=4), "`warmup` 4 is no less than the largest of `widths`, 4"),
    ],
)
def test_it_is_said_if_nobody_can_be_given_up(method, said):
    with pytest.warns(BudgetWarning, match=said):
        method.check(random_bench(1))


def test_a_window_and_a_warm_up_that_can_act_are_no_reason_to_say_so(recwarn):
    DeepConfOnline(widths=[4], window=24, warmup=3).check(random_bench(1))
    DeepConf(widths=[4], window=99, measure="average").check(random_bench(1))
    assert not recwarn.list
