"""Requests keep their budgets wherever they go, and nothing is kept for ever."""

from __future__ import annotations

import random

import pytest
import torch
from flat_cases import Thrown, fields_of, run_thrown, settings_for, setup_for
from hypothesis import given, settings

from cases import EXAMPLES, SEEDS, case_of, expected, setting
from s1_hf import Budget
from s1_hf.vllm import requests as module
from s1_hf.vllm.requests import Refused, Requests
from s1_hf.vllm.settings import RequestSettings
from toys import toy_model

CPU = torch.device("cpu")


@pytest.mark.parametrize("shows_tokens", [True, False], ids=["V1", "V2"])
@settings(max_examples=60, **EXAMPLES)
@given(SEEDS)
def test_rows_that_are_thrown_about_equal_stop_and_reprompt(shows_tokens, seed):
    """Ids, forced masks and reports are the oracle's, however often rows leave, return, move, or lose a token."""
    case = case_of(seed)
    rng, eos = random.Random(seed), setting(case["family"])[2].eos
    asked = []
    for row, prompt in enumerate(case["prompts"]):
        for copy in range(2):
            asked.append(Thrown(case["model"], prompt, settings_for(case, row, key=f"{row} {copy}"), eos))
    requests = run_thrown(setup_for(case["family"]), asked, rng, shows_tokens)
    for one in asked:
        wanted = expected(case, int(one.settings.key.split()[0]))
        assert one.generated == wanted.new
        report = requests.told(one.settings.key, one.generated).report
        assert list(report.forced) == wanted.forced
        assert fields_of(report) == (
            wanted.thinking_tokens,
            wanted.ended,
            wanted.ends_ignored,
            wanted.answer_tokens(eos),
        )


def sampled(seed: int, rng_seed: int, copies: int = 1, **more) -> list[list[int]]:
    """What the rows of a case draw, in an engine that throws them about."""
    case = case_of(seed)
    eos = setting(case["family"])[2].eos
    asked = []
    for row, prompt in enumerate(case["prompts"]):
        for copy in range(copies):
            own = settings_for(case, row, temperature=1.3, seed=100 * row + copy, **more)
            asked.append(Thrown(case["model"], prompt, own, eos))
    run_thrown(setup_for(case["family"]), asked, random.Random(rng_seed))
    return [one.generated for one in asked]


@pytest.mark.parametrize("seed", range(8))
def test_draws_follow_from_seed_and_position(seed):
    """Whatever happens to a row, and whoever stands beside it."""
    once = sampled(seed, 1)
    assert sampled(seed, 2) == once
    assert sampled(seed, 3, copies=3)[::3] == once


def entered(
    requests: Requests, key: str | None = None, prompt: str = "ab", has_stop_texts: bool = False, **budget
) -> module.Row:
    tokenizer = setting("think")[0]
    own = RequestSettings(budget=Budget(**budget), max_tokens=50, key=key, has_stop_texts=has_stop_texts)
    row = requests.enter(own, tokenizer.encode(prompt), [])
    assert not isinstance(row, Refused), row.why
    return row


def step(requests: Requests, rows: list) -> None:
    """Every row takes a token."""
    scores = toy_model(len(setting("think")[0]), 0).next_logits([0]).repeat(len(rows), 1)
    last = torch.tensor([row.generated[-1] if row.generated else 0 for row in rows])
    requests.decide(rows, [len(row.generated) for row in rows], last, scores)
    for row, token in zip(rows, scores.argmax(-1).tolist(), strict=True):
        row.generated.append(token)


def test_a_row_that_has_no_token_yet_begins_anew():
    """It leaves nothing behind that a later row could be taken for."""
    requests = Requests(setup_for("think"), CPU, 4)
    row = entered(requests, "a", max_thinking_tokens=5)
    scores = torch.zeros(1, len(setting("think")[0]))
    requests.decide([row], [0], torch.tensor([0]), scores)  # thrown away
    requests.leave(row, is_over=False)
    again = entered(requests, "a", max_thinking_tokens=5)
    assert again is not row
    step(requests, [again])
    assert requests.told("a", again.generated).report.thinking_tokens == 0


def test_two_rows_alike_come_back_as_two():
    requests = Requests(setup_for("think"), CPU, 4)
    rows = [entered(requests) for _ in range(2)]
    step(requests, rows)
    for row in rows:
        requests.leave(row, is_over=False)
    back = [requests.enter(row.settings, row.prompt, row.generated) for row in rows]
    assert {id(row) for row in back} == {id(row) for row in rows}
    third = requests.enter(rows[0].settings, rows[0].prompt, rows[0].generated)
    assert isinstance(third, Refused)


@pytest.mark.parametrize("leaves", [True, False])
def test_tokens_that_are_taken_back_never_were(leaves):
    """A request that lost keys and values goes back, and then writes and reports what it would have."""
    requests = Requests(setup_for("think"), CPU, 4)
    rows = [entered(requests, key, prompt="<think>", max_thinking_tokens=5) for key in ("a", "b")]
    for _ in range(7):
        step(requests, rows)
    del rows[0].generated[3:]
    if leaves:
        requests.leave(rows[0], is_over=False)
        rows[0] = requests.enter(rows[0].settings, rows[0].prompt, rows[0].generated)
    for _ in range(3):
        step(requests, rows)
    requests.leave(rows[1], is_over=True)
    for _ in range(4):
        step(requests, rows[:1])
    assert rows[0].generated == rows[1].generated
    told = [requests.told(key, row.generated) for key, row in zip("ab", rows, strict=True)]
    assert told[0] == told[1]


def test_a_row_that_is_not_known_ends_at_once():
    """Its end of sequence is the only token possible; the other rows go on."""
    requests = Requests(setup_for("think"), CPU, 4)
    other = entered(requests)
    lost = requests.enter(RequestSettings(budget=Budget(num_ignores=1), key="lost"), [1, 2], [3])
    scores = torch.zeros(2, len(setting("think")[0]))
    requests.decide([other, lost], [0, 1], torch.tensor([0, 3]), scores)
    assert int(scores[1].argmax()) == setting("think")[0].eos_token_id
    with pytest.raises(RuntimeError, match="not known any more"):
        requests.told("lost", [3, setting("think")[0].eos_token_id])


def test_an_impossible_budget_ends_at_once_and_says_why():
    """Texts are looked at by the engine; an error there would end it."""
    requests = Requests(setup_for("think"), CPU, 4)
    refused = requests.enter(RequestSettings(budget=Budget(wait_text="a</think>"), key="a"), [1], [])
    assert isinstance(refused, Refused)
    with pytest.raises(RuntimeError, match="`wait_text` has to be free of delimiters"):
        requests.told("a", [setting("think")[0].eos_token_id])


def test_a_prompt_of_embeddings_is_refused():
    requests = Requests(setup_for("think"), CPU, 4)
    refused = requests.enter(RequestSettings(budget=Budget()), None, [])
    assert "not of embeddings" in refused.why


def test_rows_that_ended_are_forgotten():
    """Those without a key at once, those with one when their report is fetched."""
    requests = Requests(setup_for("think"), CPU, 4)
    for key in (None, "a"):
        row = entered(requests, key)
        step(requests, [row])
        requests.leave(row, is_over=True)
    assert not requests._away and list(requests._by_key) == ["a"]
    requests.told("a", row.generated)
    assert not requests._away and not requests._by_key and not requests._finished


def test_only_so_many_rows_are_kept(monkeypatch):
    """Requests that were aborted, and reports that nobody fetches."""
    monkeypatch.setattr(module, "MOST_REPORTS", 3)
    monkeypatch.setattr(module, "MOST_TOKENS_AWAY", 0)
    requests = Requests(setup_for("think"), CPU, most_rows=2)
    for i in range(20):
        row = entered(requests, str(i))
        step(requests, [row])
        requests.leave(row, is_over=False)
    assert len(requests._away) == 8 and len(requests._finished) == 3
    assert list(requests._by_key) == [str(i) for i in range(9, 20)]
    with pytest.raises(RuntimeError, match="'0' and these 1 tokens is not known: those of the last 3"):
        requests.told("0", [1])


def test_a_row_comes_back_however_many_have_ended_since():
    """By stop strings, or aborted, which nobody says."""
    requests = Requests(setup_for("think"), CPU, most_rows=2)
    first = entered(requests, max_thinking_tokens=5)
    step(requests, [first])
    requests.leave(first, is_over=False)
    for _ in range(200):
        row = entered(requests, num_ignores=1)
        step(requests, [row])
        requests.leave(row, is_over=False)
    assert requests.enter(first.settings, first.prompt, first.generated) is first


def test_rows_that_may_come_back_are_counted_by_their_tokens(monkeypatch):
    monkeypatch.setattr(module, "MOST_TOKENS_AWAY", 8000)
    requests = Requests(setup_for("think"), CPU, most_rows=1)
    rows = []
    for _ in range(30):
        rows.append(entered(requests, prompt="ab" * 250))
        step(requests, rows[-1:])
        requests.leave(rows[-1], is_over=False)
    assert 4 < len(requests._away) < 10
    for row in rows[-len(requests._away) :]:
        assert requests.enter(row.settings, row.prompt, row.generated) is row
    assert requests._tokens_away == 0 and not requests._away


@pytest.mark.parametrize(
    "asked",
    [
        {"start": (0,) * 7, "steps": 10**7},
        {"start": (2**70, *(0,) * 6)},
        {"seed": 2**70},
        {"budget": Budget(min_thinking_tokens=5000)},
    ],
    ids=lambda asked: next(iter(asked)),
)
def test_no_request_can_end_or_stall_the_engine(asked):
    requests = Requests(setup_for("think"), CPU, 4)
    own = RequestSettings(**{"budget": Budget(), "temperature": 1.0, "key": "a", **asked})
    assert isinstance(requests.enter(own, [1, 2], []), Refused)
    step(requests, [entered(requests)])


def test_what_goes_wrong_with_a_request_is_its_own(monkeypatch):
    requests = Requests(setup_for("think"), CPU, 4)
    with monkeypatch.context() as patch:
        patch.setattr(module, "Row", lambda *_: (_ for _ in ()).throw(MemoryError()))
        refused = requests.enter(RequestSettings(budget=Budget()), [1, 2], [])
    assert isinstance(refused, Refused) and refused.why == "MemoryError"
    step(requests, [entered(requests)])


def test_huge_limits_are_none():
    requests = Requests(setup_for("think"), CPU, 4)
    own = RequestSettings(budget=Budget(), max_answer_tokens=2**70, give_up_after=2**70)
    row = requests.enter(own, [1, 2], [])
    step(requests, [row])
    assert row.generated


def test_a_report_is_not_lost_by_asking_wrongly():
    requests = Requests(setup_for("think"), CPU, 4)
    row = entered(requests, "a", prompt="<think>", max_thinking_tokens=20)
    for _ in range(30):
        step(requests, [row])
    refusals = set()
    for ids in ([], row.generated[:1], row.generated[:5], row.generated[:-1], [1, 2, 3]):
        for key in ("a", "b"):
            with pytest.raises(RuntimeError) as caught:
                requests.told(key, ids)
            refusals.add(str(caught.value).replace(repr(key), "'a'").replace(f"these {len(ids)}", "these"))
    assert len(refusals) == 1  # nor is told whether there is such a key
    assert requests.told("a", row.generated).report.thinking_tokens == 20
    with pytest.raises(RuntimeError, match="The report of request 'a' and these 30 tokens is not known"):
        requests.told("a", row.generated)


def test_why_a_request_was_refused_is_not_told_to_who_lacks_its_one_token():
    requests = Requests(setup_for("think"), CPU, 4)
    requests.enter(RequestSettings(budget=Budget(wait_text="a</think>"), key="a"), [1], [])
    for ids in ([], [3]):
        with pytest.raises(RuntimeError, match="is not known"):
            requests.told("a", ids)
    with pytest.raises(RuntimeError, match="`wait_text` has to be free"):
        requests.told("a", [setting("think")[0].eos_token_id])


def test_a_report_of_fewer_tokens_than_were_computed():
    """A stop string ends a request some tokens late."""
    requests = Requests(setup_for("think"), CPU, 4)
    row = entered(requests, "a", prompt="<think>", has_stop_texts=True, max_thinking_tokens=4)
    for _ in range(12):
        step(requests, [row])
    for ids in (row.generated[:3], []):
        with pytest.raises(RuntimeError, match="is not known"):
            requests.told("a", ids)
    report = requests.told("a", row.generated[:6]).report
    assert report.thinking_tokens == 4 and report.ended == "cut" and len(report.forced) == 6


def test_outputs_of_one_prompt_have_their_own_reports():
    """`n > 1`: they share a key, and are told apart by their tokens."""
    requests = Requests(setup_for("think"), CPU, 4)
    rows = [entered(requests, "a", prompt="<think>", max_thinking_tokens=cap) for cap in (3, 5)]
    for _ in range(9):
        step(requests, rows)
    found = [requests.told("a", row.generated).report.thinking_tokens for row in reversed(rows)]
    assert found == [5, 3]


def test_requests_without_a_seed_draw_differently():
    requests = Requests(setup_for("think"), CPU, 4, seed=7)
    drawn = [requests.enter(RequestSettings(budget=Budget(), temperature=1.0), [1], []) for _ in range(2)]
    assert drawn[0].numbers.at(0) != drawn[1].numbers.at(0)
    same = Requests(setup_for("think"), CPU, 4, seed=7)
    again = same.enter(RequestSettings(budget=Budget(), temperature=1.0), [1], [])
    assert again.numbers.at(0) == drawn[0].numbers.at(0)


def test_neighbouring_seeds_of_engines_have_nothing_in_common():
    drawn = []
    for seed in range(4):
        requests = Requests(setup_for("think"), CPU, 4, seed=seed)
        for _ in range(4):
            row = requests.enter(RequestSettings(budget=Budget(), temperature=1.0), [1], [])
            drawn.append(tuple(row.numbers.at(0)))
    assert len(set(drawn)) == 16
