"""What scorers are shown of completions, what is counted, and what is kept."""

from __future__ import annotations

import json

import pytest

pytest.importorskip("math_verify")

from s1_hf.engines.ledger import Ledger
from s1_hf.forcing.pauses import Begun
from s1_hf.forcing.report import Report
from s1_hf.generation.chats import Completion
from s1_hf.methods.kept import Kept, NotKept
from s1_hf.methods.search.rewards import Asking, FromLedger, candidate_of
from s1_hf.results.rows import Problem
from searching import Counting

PROBLEM = Problem("p", [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "1 + 1?"}], "2")


def completion(thinking: str, answer: str = "", *, paused: bool = False) -> Completion:
    begun = Begun((1,), (False,), (0,) * 7) if paused else None
    return Completion(thinking, answer, "", (1,), (False,), Report(1, "natural", 0, (False,), 0), begun)


def asking(scorer=None, separator: str = "\n\n", how="last") -> Asking:
    return Asking(scorer or Counting(), how, separator)


def test_a_candidate_is_its_steps_and_its_answer_once_it_has_one():
    shown = candidate_of(PROBLEM, completion("First.\nStill.\n\n \n\n Second.\n\n", paused=True), "\n\n")
    assert (shown.question, shown.steps, shown.answer) == ("1 + 1?", ("First.\nStill.", "Second."), None)
    shown = candidate_of(PROBLEM, completion("First.", "It is 2."), "\n\n")
    assert (shown.steps, shown.answer) == (("First.",), "It is 2.")
    shown = candidate_of(PROBLEM, completion("", ""), "\n\n")
    assert (shown.steps, shown.answer, shown.parts) == ((), "", ("",))
    assert candidate_of(PROBLEM, completion("", paused=True), "\n\n").steps == ("",)  # by a number of tokens


def test_equal_candidates_are_scored_once_and_in_their_order():
    scorer = Counting()
    three = [completion("A", paused=True), completion("B", paused=True), completion("A", paused=True)]
    scored = asking(scorer).of(PROBLEM, three)
    assert [len(asked) for asked in scorer.asked] == [2]
    assert scored.rewards[0] == scored.rewards[2] != scored.rewards[1]
    assert scored.tokens == 20


def test_ways_to_aggregate():
    two = completion("A\n\nB", "C")
    values = Counting().scores([candidate_of(PROBLEM, two, "\n\n")]).values[0]
    found = [asking(how=how).of(PROBLEM, [two]).rewards[0] for how in ("last", "min", "mean")]
    assert found == [values[-1], min(values), sum(values) / 3]


class NoEngine:
    identity: dict[str, str] = {}  # noqa: RUF012


def kept(folder, generates=True) -> Kept:
    return Kept(NoEngine(), Ledger(folder), generates=generates)


def test_what_is_kept_is_not_computed_again(tmp_path):
    scorer, rows = Counting(), [completion("A", paused=True), completion("B", "2")]
    with pytest.raises(NotKept):
        FromLedger(asking(scorer), kept(tmp_path, generates=False)).of(PROBLEM, rows)
    assert not scorer.asked
    first = FromLedger(asking(scorer), kept(tmp_path)).of(PROBLEM, rows)
    again = FromLedger(asking(scorer), kept(tmp_path, generates=False)).of(PROBLEM, rows)
    assert again == first and len(scorer.asked) == 1


def test_keys_cover_what_decides():
    rows = [completion("A", paused=True)]
    other = Counting()
    other.identity = {"scorer": "another"}
    keys = {
        asking().key(PROBLEM, rows),
        asking(other).key(PROBLEM, rows),
        asking(separator="\n").key(PROBLEM, rows),
        asking(how="min").key(PROBLEM, rows),
        asking().key(Problem("p", "1 + 2?", "2"), rows),
        asking().key(PROBLEM, [completion("B", paused=True)]),
        asking().key(PROBLEM, [completion("A")]),
        asking().key(PROBLEM, [completion("A", "2")]),
        asking().key(PROBLEM, rows * 2),
    }
    assert len(keys) == 9
    assert asking().key(Problem("q", PROBLEM.prompt, "3"), rows) in keys


@pytest.mark.parametrize(
    ("entry", "said"),
    [
        ({"rewards": [0.5], "scorer_tokens": 3}, "does not hold the rewards of 2 rows"),
        ({"rewards": [0.5, "1"], "scorer_tokens": 3}, "`rewards` has to be a list of numbers"),
        ({"rewards": [0.5, 0.5]}, "lacks `scorer_tokens`"),
        ({"thinking": ""}, "lacks `rewards`"),
    ],
)
def test_entries_that_are_none_are_refused(tmp_path, entry, said):
    rows = [completion("A", paused=True), completion("B", paused=True)]
    key = asking().key(PROBLEM, rows)
    (tmp_path / "finished.jsonl").write_text(json.dumps({key: entry}) + "\n")
    with pytest.raises(ValueError, match=rf"{said}.*Delete that line"):
        FromLedger(asking(), kept(tmp_path)).of(PROBLEM, rows)
