"""Searches beside a slow one without engine or caches, beside plain sampling, and their tokens beside those counted."""

from __future__ import annotations

import dataclasses
import functools
import math
from collections import Counter
from typing import Any

import pytest
import torch

pytest.importorskip("math_verify")

from counted import tokens_fed
from s1_hf.engines.request import digest
from s1_hf.forcing.budget import Budget
from s1_hf.grading import grade
from s1_hf.methods import BeamSearch, Parallel, ParticleFiltering, Rebase, run_methods
from s1_hf.methods.search.electing import elected
from s1_hf.results.rows import load_rows
from s1_hf.scoring import Oracle, RewardModel
from searching import Counting, equal_scorer, known_reward, lamp_bench, text_scorer

SEARCHES = [
    Rebase(scorer=text_scorer(), widths=[1, 4], separator="\n"),
    Rebase(scorer=text_scorer(), widths=[3], separator="\n", temperature=1.0, election="majority"),
    BeamSearch(scorer=text_scorer(), widths=[4], separator="\n", expand=2, aggregation="mean"),
    ParticleFiltering(scorer=text_scorer(), widths=[3], separator="\n"),
    ParticleFiltering(scorer=text_scorer(), widths=[4], separator="\n", resampling="systematic", max_steps=3),
]


def name_of(search) -> str:
    return f"{type(search).__name__}-{search.election}-{search.widths}"


# -- an exhaustive reference ------------------------------------------------------------------------------------------


class Slow:
    """A forward pass over the whole prefix for every token, and texts in place of states."""

    def __init__(self, bench, problem) -> None:
        self.bench, self.question = bench, problem.question
        self.prompt = bench.encode(problem.prompt)
        encode = bench.tokenizer.encode
        self.start, self.close = encode("<|im_start|>think"), encode("<|im_start|>answer")
        self.ends = {self.close[0], bench.tokenizer.eos_token_id}

    def drawn(self, ids: list[int], number: float) -> int:
        with torch.inference_mode():
            scores = self.bench.model(input_ids=torch.tensor([self.prompt + ids])).logits[0, -1]
        sums = (scores / self.bench.temperature).double().softmax(-1).cumsum(0)
        return int(torch.searchsorted(sums, number * sums[-1], right=True))

    def extended(self, ids: list[int], seed: int) -> tuple[list[int], bool]:
        """The row up to the end of its next step, or its end; and whether it has ended."""
        ids = list(ids) or list(self.start)
        step = ""
        numbers = torch.rand(256, 2, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))[:, 0].tolist()
        answered = -1  # tokens of the answer; -1: it has not begun
        while len(ids) < self.bench.max_new_tokens:
            token = self.drawn(ids, numbers[len(ids)])
            if answered < 0 and token in self.ends:
                ids += self.close
                answered = 0
                continue
            ids.append(token)
            if answered >= 0:
                answered += 1
                if token == self.bench.tokenizer.eos_token_id or answered == self.bench.max_answer_tokens:
                    return ids, True
                continue
            step += self.bench.tokenizer.decode([token])
            if "\n" in step.lstrip():
                return ids, len(ids) == self.bench.max_new_tokens
        return ids[: self.bench.max_new_tokens], True

    def reward(self, ids: list[int], ended: bool, aggregation: str) -> float:
        text = self.bench.tokenizer.decode(ids[len(self.start) :])
        thought, _, after = text.partition("<|im_start|>answer")
        parts = [line.strip() for line in thought.split("\n") if line.strip()]
        if ended:
            parts.append(after.removesuffix("<|im_end|>").strip())
        values = [known_reward(self.question, parts[: i + 1]) for i in range(len(parts))]
        return values[-1] if aggregation == "last" else sum(values) / len(values)


def slow_search(bench, problem, search, width: int) -> tuple[list[tuple[list[int], float]], int]:
    """Its rows at the end with their rewards, and how many tokens were generated."""
    slow = Slow(bench, problem)
    seeds = [int(digest([bench.seed, problem.task, problem.id, i, 0])[:16], 16) >> 1 for i in range(width)]
    waiting: list[Any] = [([], seed) for seed in seeds]  # rows to extend, or rows that have ended: (ids, reward, None)
    tokens = 0
    while any(len(one) == 2 for one in waiting):
        rows = []
        for one in waiting:
            if len(one) == 2:
                ids, ended = slow.extended(*one)
                tokens += len(ids) - len(one[0])
                one = (ids, slow.reward(ids, ended, search.aggregation), None if ended else one[1])
            rows.append(one)
        live = [row for row in rows if row[2] is not None]
        places = width - (len(rows) - len(live))
        ranked = sorted(live, key=lambda row: -row[1])
        given = {}
        if isinstance(search, BeamSearch):
            for row in ranked:
                given[id(row)] = min(search.expand, places)
                places -= given[id(row)]
        else:
            for i, row in enumerate(ranked):
                rest = sum(math.exp(other[1] / search.temperature) for other in ranked[i:])
                given[id(row)] = math.ceil(places * math.exp(row[1] / search.temperature) / rest - 1e-9)
                places -= given[id(row)]
        waiting = []
        for row in rows:
            ids, _, seed = row
            if seed is None:
                waiting.append(row)
                continue
            for number in range(given[id(row)]):
                new = int(digest([seed, len(ids), number])[:16], 16) >> 1
                waiting.append((ids, new if number else seed))
    return [(ids, reward) for ids, reward, _ in waiting], tokens


@pytest.mark.parametrize("search", SEARCHES[:3], ids=name_of)
def test_a_search_without_engine_or_caches_gives_the_same_tokens(search):
    bench = lamp_bench(1)
    found = {(row.setting, row.problem): row for row in search.run(bench)}
    branched = 0
    for width in search.widths:
        for problem in bench.problems:
            rows, tokens = slow_search(bench, problem, search, width)
            row = found[f"width {width}", problem.id]
            texts = [bench.tokenizer.decode(ids) for ids, _ in rows]
            said = [text.partition("<|im_start|>answer")[2].removesuffix("<|im_end|>") for text in texts]
            answers = [grade(text, problem.gold, "math").extracted for text in said]
            chosen = elected(answers, [reward for _, reward in rows], search.election)
            assert "".join(piece["text"] for piece in row.transcript) == texts[chosen]
            assert row.total_tokens == tokens
            branched += row.tries > width
    assert branched or search.widths == [1]


# -- what a search is at its edges ------------------------------------------------------------------------------------


@pytest.mark.parametrize("search", SEARCHES, ids=name_of)
def test_width_one_is_plain_sampling(search):
    """Token for token, and nothing is scored."""
    bench = lamp_bench(1, samples=2)
    scorer = Counting()
    rows = dataclasses.replace(search, scorer=scorer, widths=[1]).run(bench)
    plain = Parallel(samples=2, votes=[1]).run(bench)
    assert [row.digest for row in rows] == [row.digest for row in plain]
    same = ("problem", "sample", "thinking_tokens", "answer_tokens", "total_tokens", "tries", "correct", "transcript")
    for name in same:
        assert [getattr(row, name) for row in rows] == [getattr(row, name) for row in plain], name
    assert not scorer.asked and {row.scorer_tokens for row in rows} == {0}


def test_equal_rewards_make_rebase_a_vote():
    bench = lamp_bench(1, samples=2)
    rows = Rebase(scorer=equal_scorer(), widths=[3], separator="\n", election="majority").run(bench)
    votes = Parallel(samples=6, votes=[3]).run(bench)
    for name in ("digest", "sample", "thinking_tokens", "answer_tokens", "total_tokens", "tries", "extracted"):
        assert [getattr(row, name) for row in rows] == [getattr(row, name) for row in votes], name


def test_a_row_that_never_pauses_is_sampled_to_its_end():
    bench = lamp_bench(2)
    search = Rebase(scorer=text_scorer(), widths=[3], separator="no such text", election="majority")
    votes = Parallel(samples=3, votes=[3]).run(bench)
    with pytest.warns(UserWarning, match="never stood in any thinking"):
        rows = search.run(bench)
    assert [row.digest for row in rows] == [row.digest for row in votes]


def thought_in(row) -> str:
    """What stands before the forced close."""
    thought = ""
    for piece in row.transcript:
        if piece["forced"] and "<|im_start|>answer" in piece["text"]:
            break
        thought += piece["text"].partition("<|im_start|>answer")[0]
    return thought.removeprefix("<|im_start|>think")


@pytest.mark.parametrize("search", SEARCHES, ids=name_of)
@pytest.mark.parametrize("point", [Budget(max_thinking_tokens=20), Budget(num_ignores=1)], ids=["cap", "ignore"])
def test_budgets_hold_over_all_steps(search, point):
    bench = lamp_bench(1) if point.max_thinking_tokens else lamp_bench(1, temperature=1.0, max_new_tokens=200)
    rows = dataclasses.replace(search, widths=[3], point=point).run(bench)
    for row in rows:
        assert row.method.endswith(point.name)
        assert row.max_thinking_tokens == point.max_thinking_tokens and row.num_ignores == point.num_ignores
        assert row.promised_max_tokens is None
    if point.num_ignores:
        assert all(row.ends_ignored == 1 for row in rows if row.ended == "natural")
        assert any(row.ended == "natural" for row in rows)
    else:
        assert {row.ended for row in rows} == {"cut"}
        assert all(len(bench.tokenizer.encode(thought_in(row))) == point.max_thinking_tokens for row in rows)


def test_after_the_last_step_rows_go_to_their_ends():
    bench, scorer = lamp_bench(2), Counting()
    Rebase(scorer=scorer, widths=[3], separator="\n", max_steps=2).run(bench)
    steps = [max(len(one.steps) for one in asked if not one.is_finished) for asked in scorer.asked[:4]]
    assert steps == [1, 1, 2, 2]
    assert len(scorer.asked) == 6 and all(one.is_finished for asked in scorer.asked[4:] for one in asked)


def test_a_long_step_ends_after_so_many_tokens():
    scorer = Counting()
    rows = Rebase(scorer=scorer, widths=[2], separator="no such text", max_step_tokens=9, max_steps=3).run(
        lamp_bench(1)
    )
    assert len(scorer.asked) == 4 and rows[0].tries >= 2


# -- batches, kills, tokens -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("search", SEARCHES, ids=name_of)
def test_rows_depend_neither_on_batches_nor_on_other_problems_or_widths(search):
    whole = lamp_bench(3, batch_size=16)
    rows = search.run(whole)
    alone = dataclasses.replace(whole, batch_size=2, problems=whole.problems[1:2])
    widest = dataclasses.replace(search, widths=[max(search.widths)])
    assert widest.run(alone) == [r for r in rows if r.problem == "1" and r.setting == f"width {widest.widths[0]}"]


def test_a_search_killed_anywhere_goes_on_to_what_an_unbroken_one_gives(tmp_path):
    """With half a line written; rewards are kept as well, so that no reward model is asked for them again."""
    search = SEARCHES[0]
    bench = lamp_bench(2, batch_size=2)
    whole = run_methods([search], bench, tmp_path / "whole")
    lines = (tmp_path / "whole" / "finished.jsonl").read_bytes().splitlines(keepends=True)
    assert sum(b'"rewards"' in line for line in lines) > 8
    for kept in (1, 4, len(lines) // 2, len(lines) - 3, len(lines) - 1):
        folder = tmp_path / str(kept)
        folder.mkdir()
        (folder / "finished.jsonl").write_bytes(b"".join(lines[:kept]) + lines[kept][:50])
        scorer = Counting()
        scorer.identity = search.scorer.identity  # gives the same rewards
        assert run_methods([dataclasses.replace(search, scorer=scorer)], bench, folder) == [
            dataclasses.replace(row, scorer_tokens=again.scorer_tokens)
            for row, again in zip(whole, load_rows(folder), strict=True)
        ]
        assert len(scorer.asked) == sum(b'"rewards"' in line for line in lines[kept:])
    again = run_methods(
        [dataclasses.replace(search, scorer=Refusing(search.scorer.identity))], bench, tmp_path / "whole"
    )
    assert again == whole


class Refusing:
    """A scorer that must not be asked."""

    of_steps = True

    def __init__(self, identity) -> None:
        self.identity = identity

    def scores(self, candidates):
        raise AssertionError("a reward model was run")


def test_other_scorers_are_asked_anew(tmp_path):
    bench = lamp_bench(1)
    one, other = text_scorer(), equal_scorer()
    run_methods([Rebase(scorer=one, widths=[3], separator="\n")], bench, tmp_path)
    rows = run_methods([Rebase(scorer=other, widths=[3], separator="\n")], bench, tmp_path)
    assert rows == Rebase(scorer=other, widths=[3], separator="\n").run(bench)


@pytest.mark.parametrize("search", SEARCHES[1:], ids=name_of)
def test_every_token_is_counted_and_none_is_read_twice(search, monkeypatch):
    """All that goes through the model: the prompt once, and every generated token but those that end a row's last step;
    where rows branch off, the token before is read once for each."""
    fed = tokens_fed(monkeypatch)
    bench = lamp_bench(1)
    (row,) = dataclasses.replace(search, max_steps=None).run(bench)  # the last rows would wait for each other
    prompt = len(bench.encode(bench.problems[0].prompt))
    assert sum(fed) == prompt + row.total_tokens - max(search.widths)


def test_what_the_scorer_read_is_counted():
    """Every part of every row, each row once in a search."""
    scorer = Counting()
    rows = Rebase(scorer=scorer, widths=[2, 4], separator="\n").run(lamp_bench(2))
    assert sum(row.scorer_tokens for row in rows) == 10 * sum(len(one.parts) for asked in scorer.asked for one in asked)
    for asked in scorer.asked:
        assert len(set(map(repr, asked))) == len(asked)
    assert all(row.scorer_tokens > 0 and row.request is None for row in rows)


def test_a_reward_model_reads_as_much_as_the_rows_say(monkeypatch):
    """Counted by the masks of its own forward passes, padding left out."""
    scorer = RewardModel.load("embedded-reward")
    read, stock = [], type(scorer.model).forward

    @functools.wraps(stock)
    def forward(self, *args, **kwargs):
        read.append(int(kwargs["attention_mask"].sum()))
        return stock(self, *args, **kwargs)

    monkeypatch.setattr(type(scorer.model), "forward", forward)
    (row,) = Rebase(scorer=scorer, widths=[3], separator="\n").run(lamp_bench(1))
    assert row.scorer_tokens == sum(read) > 0


def test_a_search_of_particles_is_over_when_no_row_that_goes_on_is_drawn():
    """Here the second step leaves five that have ended and one that has not, which is not drawn."""
    search = ParticleFiltering(scorer=text_scorer(), widths=[6], separator="\n")
    (row,) = search.run(lamp_bench(1))
    assert row.ended != "unfinished"


# -- misuse -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_rewards_that_are_no_numbers_are_refused(value):
    with pytest.raises(FloatingPointError, match="Rewards have to be finite"):
        Rebase(scorer=Counting(value), widths=[2], separator="\n").run(lamp_bench(1))


def test_rewards_that_are_no_probabilities_are_refused_by_particles():
    with pytest.raises(ValueError, match="have to be from 0 to 1"):
        ParticleFiltering(scorer=equal_scorer(7.0), widths=[2], separator="\n").run(lamp_bench(1))


@pytest.mark.parametrize(
    ("kind", "options", "said"),
    [
        (Rebase, {"widths": []}, "`widths` has to be a sequence of different integers"),
        (Rebase, {"widths": [2, 2]}, "`widths` has to be"),
        (Rebase, {"widths": [0]}, "`widths` has to be"),
        (Rebase, {"temperature": 0}, "`temperature` has to be a number above 0"),
        (Rebase, {"temperature": "1"}, "`temperature` has to be a number above 0"),
        (Rebase, {"separator": ""}, "`separator` has to be a text"),
        (Rebase, {"max_steps": 0}, "`max_steps` has to be"),
        (Rebase, {"max_step_tokens": 0}, "`tokens` has to be"),
        (Rebase, {"aggregation": "sum"}, "`aggregation` has to be one of 'last', 'min', 'product', 'mean'"),
        (Rebase, {"election": "vote"}, "`election` has to be one of"),
        (Rebase, {"point": Budget(wait_text="Hmm", num_ignores=1)}, "`point` has to leave all but"),
        (Rebase, {"scorer": Oracle([])}, "`BestOfN` can use it"),
        (BeamSearch, {"expand": 0}, "`expand` has to be"),
        (ParticleFiltering, {"resampling": "residual"}, "`resampling` has to be"),
        (ParticleFiltering, {"temperature": math.inf}, "`temperature` has to be"),
    ],
)
def test_misuse_is_refused(kind, options, said):
    with pytest.raises(ValueError, match=said):
        kind(**{"scorer": equal_scorer(), "widths": [2]} | options)


def test_what_a_search_cannot_have_is_refused_before_anything_is_generated():
    bench = lamp_bench(1)
    with pytest.raises(ValueError, match="auto"):
        Rebase(scorer=equal_scorer(), widths=[2], point=Budget(max_thinking_tokens="auto")).run(bench)
    with pytest.raises(ValueError, match="no effect|without"):
        Rebase(scorer=equal_scorer(), widths=[2]).run(dataclasses.replace(bench, budget=Budget(cut_text="so")))


def test_settings_say_what_decides():
    settings = Rebase(scorer=text_scorer(), widths=[2], point=Budget(num_ignores=1)).settings
    assert settings["scorer"] == text_scorer().identity
    assert (settings["method"], settings["widths"], settings["temperature"]) == ("Rebase", [2], 0.2)
    assert settings["point"] == Budget(num_ignores=1).to_dict()


def test_names_tell_elections_and_budgets_apart():
    names = [Rebase(scorer=text_scorer(), widths=[2], **more).names[0] for more in (
        {}, {"election": "best"}, {"point": Budget(max_thinking_tokens=20)}
    )]  # fmt: skip
    assert names == ["REBASE", "REBASE, best answer", "REBASE, cap 20"]
    assert Counter(names).most_common(1)[0][1] == 1


def test_progress_counts_what_is_generated_and_no_token_twice():
    told = []
    bench = lamp_bench(1, progress=told.append)
    (row,) = Rebase(scorer=text_scorer(), widths=[3], separator="\n").run(bench)
    assert told[-1].tokens == row.total_tokens
