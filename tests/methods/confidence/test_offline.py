"""DeepConf's filtered votes and self-certainty, against their definitions on made-up and real samples."""

from __future__ import annotations

import math
import random
from collections import defaultdict
from statistics import fmean

import numpy as np
import pytest
import torch

pytest.importorskip("math_verify")

from measured_samples import made_up

from s1_hf.forcing.budget import Budget
from s1_hf.methods import DeepConf, Parallel, SelfCertainty, run_methods
from s1_hf.methods.confidence.offline import borda_votes
from searching import lamp_bench


def test_the_surest_vote_weighted_by_how_sure():
    samples = [
        made_up("7", [5.0, 5.0]), made_up("8", [9.0, 9.0]), made_up("7", [6.0, 4.0]), made_up("8", [1.0, 1.0]),
        made_up(None, [20.0, 20.0]),
    ]  # fmt: skip
    chosen = {eta: DeepConf(widths=[5], eta=eta, measure="average", window=2).chosen(samples) for eta in (1, 60, 100)}
    assert chosen[1] == 1  # only the surest that answered
    assert chosen[60] == 0  # 9 for 8, 10 for 7
    assert chosen[100] == 0  # 10 for both: of equals the first
    lowest = DeepConf(widths=[5], eta=100, measure="lowest", window=1)
    assert lowest.chosen(samples) == 1  # 9 + 1 for 8, 5 + 4 for 7
    assert lowest.chosen([made_up(None, [1.0]), made_up(None, [2.0])]) == 0


def by_definition(samples, eta, window):
    """The answer that is given: top percent by the mean of the least sure tenth of groups, then a weighted vote."""
    valid = [one for one in samples if one.extracted is not None]
    if not valid:
        return None
    weights = []
    for one in valid:
        values = [value / 10_000 for value in one.trace.values]
        means = sorted(fmean(values[i : i + window]) for i in range(len(values) - window + 1)) or [fmean(values)]
        weights.append(fmean(means[: max(1, len(means) // 10)]))
    least = np.percentile(weights, 100 - eta)
    votes = defaultdict(float)
    for one, weight in zip(valid, weights, strict=True):
        if weight >= least:
            votes[one.extracted] += weight
    return max(votes, key=votes.get)


def test_random_votes_by_definition():
    rng = random.Random(1)
    for _ in range(200):
        samples = []
        for _ in range(rng.randint(1, 12)):
            answer = rng.choice(["7", "8", "9", None])
            samples.append(made_up(answer, [rng.uniform(0, 20) for _ in range(rng.randint(1, 40))]))
        eta, window = rng.choice([10, 25, 50, 90, 100]), rng.choice([1, 3, 20])
        chosen = samples[DeepConf(widths=[len(samples)], eta=eta, window=window).chosen(samples)]
        assert chosen.extracted == by_definition(samples, eta, window)


def test_self_certainty_ranks_and_votes():
    sure = [made_up("8", [9.0]), made_up("7", [5.0, 7.0]), made_up(None, [50.0]), made_up("7", [1.0])]
    assert SelfCertainty(widths=[4], power=None).chosen(sure) == 0
    assert SelfCertainty(widths=[4], power=0).chosen(sure) == 1  # majority
    assert SelfCertainty(widths=[4], power=0.5).chosen(sure) == 1  # sqrt(3) for 8, sqrt(2) + 1 for 7
    assert SelfCertainty(widths=[4], power=9).chosen(sure) == 0
    for power in (0, 0.5, 2):
        ranks = [2, 3, 1, 4]  # of four
        assert borda_votes([6.0, 2.0, 9.0, 1.0], power) == [(4 - rank + 1) ** power for rank in ranks]


def test_samples_are_those_of_a_vote_and_all_tokens_count():
    bench = lamp_bench(2)
    plain = Parallel(samples=4, votes=[1]).run(bench)
    votes = Parallel(samples=4, votes=[1, 2, 4]).run(bench)
    for method in (SelfCertainty(widths=[1, 2, 4], power=0), DeepConf(widths=[1, 2, 4], eta=100, window=8)):
        rows = method.run(bench)
        assert [(row.setting, row.problem, row.sample, row.tries) for row in rows] == [
            (f"width {n}", p, i, n) for n in (1, 2, 4) for p in ("0", "1") for i in range(4 // n)
        ]
        for row in rows:
            own = [one for one in plain if one.problem == row.problem][row.sample * row.tries :][: row.tries]
            assert row.digest in {one.digest for one in own} and row.request is not None
            assert row.total_tokens == sum(one.total_tokens for one in own)
            assert row.thinking_tokens == sum(one.thinking_tokens for one in own)
            assert row.answer_tokens == sum(one.answer_tokens for one in own)
            if isinstance(method, SelfCertainty):  # of power 0: a majority vote
                (vote,) = (
                    one for one in votes if (one.tries, one.problem, one.sample) == (row.tries, row.problem, row.sample)
                )  # fmt: skip
                assert row.extracted == vote.extracted


def test_self_certainty_is_the_divergence_from_the_uniform_law():
    """Up to log V: the mean over all tokens, answer included, of KL(uniform, p), by one pass over the whole text."""
    bench = lamp_bench(1)
    certainties, values = [], []
    for _, _, request, done in bench.answers(bench.problems, samples=4, confidence=SelfCertainty(widths=[4]).measured):
        ids = torch.tensor([[*request.prompt, *done.token_ids]])
        with torch.no_grad():
            law = bench.model(ids).logits[0, len(request.prompt) - 1 : -1].double().softmax(-1)
        size = law.shape[-1]
        divergence = ((1 / size) * torch.log((1 / size) / law)).sum(-1)
        certainties.append(float(divergence.mean()) + math.log(size))
        values.append(fmean(done.confidences))
    assert values == pytest.approx(certainties, abs=2e-3)


def test_under_a_budget_and_from_a_folder(tmp_path):
    """Both measures differ, so each has samples of its own; a second run generates nothing."""
    bench = lamp_bench(2)
    point = Budget(max_thinking_tokens=20)
    methods = [DeepConf(widths=[2], window=4, point=point), SelfCertainty(widths=[2], point=point)]
    rows = run_methods(methods, bench, tmp_path)
    assert {row.method for row in rows} == {"DeepConf, top 10 % by bottom, cap 20", "Borda voting, power 0.5, cap 20"}
    assert {row.max_thinking_tokens for row in rows} == {20} and {row.promised_max_tokens for row in rows} == {None}
    lines = (tmp_path / "finished.jsonl").read_bytes()
    assert run_methods(methods, bench, tmp_path) == rows
    assert (tmp_path / "finished.jsonl").read_bytes() == lines


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda: DeepConf(widths=[]), "`widths`"),
        (lambda: DeepConf(widths=[4], samples=3), "`samples` has to be an integer of at least the largest width, 4"),
        (lambda: DeepConf(widths=[4], eta=0), "`eta` has to be a percentage above 0 and at most 100"),
        (lambda: DeepConf(widths=[4], eta=101), "`eta`"),
        (lambda: DeepConf(widths=[4], window=0), "`window`"),
        (lambda: DeepConf(widths=[4], top=0), "`top`"),
        (lambda: DeepConf(widths=[4], measure="mean"), "`measure` has to be one of 'average'"),
        (
            lambda: DeepConf(widths=[4], point=Budget(wait_text="Hm", num_ignores=1)),
            "`point` has to leave all but",
        ),
        (lambda: SelfCertainty(widths=[4], power=-1), "`power` has to be a number of at least 0, or None"),
        (lambda: SelfCertainty(widths=[4], power=math.inf), "`power`"),
    ],
)
def test_what_is_refused(make, said):
    with pytest.raises(ValueError, match=said):
        make()
