"""Budgets that are forced by asking again have the law of the contract, in every family of formats."""

from __future__ import annotations

import functools
from collections.abc import Iterator, Sequence
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from s1_hf.conformance.cases import case_of, expected, setting
from s1_hf.conformance.checks import check_laws
from s1_hf.conformance.comparing import Reference
from s1_hf.conformance.laws import warped
from s1_hf.conformance.subjects import Machine, law_subject
from s1_hf.engines.endpoint.rounds import Rounds
from s1_hf.engines.endpoint.server import Reply
from s1_hf.engines.engine import Finished
from s1_hf.engines.request import Request
from s1_hf.forcing.budget import Budget
from s1_hf.forcing.pauses import Pause
from s1_hf.forcing.vocabulary import Vocabulary
from s1_hf.vllm.asking import asked_for
from s1_hf.vllm.setup import Setup
from toy_servers import SERVED, ToyServer, asked_of, plug_in_row, setup_of

CASES = [case_of(seed) for seed in range(120)]


@pytest.mark.parametrize("part", range(4))
def test_rows_are_those_of_the_reference(part):
    """Ids, what was forced, and reports; 120 cases of all families, about 300 rows."""
    compared = 0
    for case in CASES[part::4]:
        for row in range(len(case["prompts"])):
            asked = asked_of(case, row)
            ran = Rounds(ToyServer(case), SERVED, setup_of(case)).run(asked)
            wanted = expected(case, row)
            assert list(ran.completion.token_ids) == wanted.new
            assert list(ran.completion.forced) == wanted.forced
            report = ran.completion.report
            assert (report.thinking_tokens, report.ended) == (wanted.thinking_tokens, wanted.ended)
            assert report.ends_ignored == wanted.ends_ignored
            assert report.answer_tokens == wanted.answer_tokens(setting(case["family"])[2].eos)
            compared += 1
    assert compared > 50


@pytest.mark.parametrize("limit", [{"max_answer_tokens": 3}, {"give_up_after": 4}], ids=str)
def test_limits_besides_the_budget_are_those_of_the_plug_in(limit):
    for case in CASES[:40]:
        asked = asked_of(case, 0, **limit)
        ran = Rounds(ToyServer(case), SERVED, setup_of(case)).run(asked, with_states=True)
        ids, _, told = plug_in_row(case, asked)
        assert list(ran.completion.token_ids) == ids[: len(told.report.forced)]
        assert ran.completion.report == told.report
        assert ran.states == [[int(value) for value in state] for state in told.states]


def test_where_rows_pause_is_where_those_of_the_plug_in_do():
    """In every family; by separators of several tokens, and after so many."""
    paused = 0
    for seed, case in enumerate(CASES):
        pause = [Pause("\n"), Pause("b"), Pause("bx", tokens=3), Pause(tokens=1)][seed % 4]
        asked = asked_of(case, 0, pause=pause)
        ran = Rounds(ToyServer(case), SERVED, setup_of(case)).run(asked)
        ids, _, told = plug_in_row(case, asked)
        assert list(ran.completion.token_ids) == ids[: len(told.report.forced)]
        assert ran.completion.report == told.report
        assert ran.paused == (None if told.paused is None else tuple(map(int, told.paused)))
        paused += ran.paused is not None
    assert 15 < paused < len(CASES) - 15


def test_what_it_costs_is_counted():
    """Each request reads all that stands there by then; what is written beyond a stop is dropped."""
    for case in CASES[:40]:
        server = ToyServer(case)
        ran = Rounds(server, SERVED, setup_of(case)).run(asked_of(case, 0))
        assert ran.spent.requests == len(server.asked)
        assert ran.spent.read == sum(len(body["prompt"]) for body in server.asked)
        chosen = len(ran.completion.forced) - sum(ran.completion.forced)
        free = [i for i, forced in enumerate(ran.completion.forced) if forced]
        assert chosen <= ran.spent.written - ran.spent.dropped <= chosen + len(free)
        assert all(body["max_tokens"] + len(body["prompt"]) <= 512 for body in server.asked)


def test_what_is_forced_costs_no_request():
    """A cap of 0 closes thinking without asking."""
    case = next(case for case in CASES if case["family"] == "s1")
    asked = replace(asked_of(case, 0), budget=Budget(max_thinking_tokens=0, answer_prefix=None))
    tokenizer, fmt, _ = setting("s1")
    asked = replace(asked, prompt=(*tokenizer.encode("ab"), *fmt.start), max_tokens=len(fmt.close) + 1)
    server = ToyServer(case)
    ran = Rounds(server, SERVED, setup_of(case)).run(asked)
    assert all(ran.completion.forced) and not server.asked


def test_the_seeds_of_rounds_follow_from_the_requests():
    """The same in every run; of every round another."""
    case = CASES[0]
    bodies = []
    for _ in range(2):
        server = ToyServer(case)
        asked = replace(asked_of(case, 0, seed=5), sampling={"temperature": 1.0})
        Rounds(server, SERVED, setup_of(case)).run(asked)
        bodies.append(server.asked)
    assert bodies[0] == bodies[1]
    seeds = [body["seed"] for body in bodies[0]]
    assert len(set(seeds)) == len(seeds) and all(0 <= seed < 2**63 for seed in seeds)


def test_a_server_that_heeds_no_bias_is_told_apart():
    refused = 0
    for case in CASES:
        server = ToyServer(case)
        server.heeds_bias = False
        try:
            Rounds(server, SERVED, setup_of(case)).run(asked_of(case, 0))
        except ValueError as error:
            assert "http://toy/v1 does not heed `logit_bias`" in str(error)
            refused += 1
    assert refused > 3


class SamplingServer:
    """Knows no budgets, and draws as it is told, from the scores of a reference."""

    def __init__(self, reference: Reference, eos: Sequence[int]) -> None:
        self._scores, self._eos = functools.cache(lambda ids: reference.scores(list(ids)).float()), eos
        self._size = len(Vocabulary.of(reference.tokenizer).texts)
        self.connection = SimpleNamespace(shown="http://law/v1")

    def complete(self, body: dict[str, Any], *, returns: bool = True) -> Reply:
        draws, ids = torch.Generator().manual_seed(body["seed"]), []
        law = {name: body[name] for name in ("temperature", "top_k", "top_p", "min_p")}
        while len(ids) < body["max_tokens"]:
            scores = self._scores((*body["prompt"], *ids)).clone()
            scores[self._size :] = -torch.inf  # what is no token
            for token, bias in body.get("logit_bias", {}).items():
                scores[int(token)] += bias
            ids.append(int(torch.multinomial(warped(scores, law), 1, generator=draws)))
            if ids[-1] in {*self._eos, *body["stop_token_ids"]}:
                break
        return Reply(ids, "", None, len(body["prompt"]), 0)


class RoundsOnly:
    """An engine, as far as the suite needs one."""

    def __init__(self, server: SamplingServer, setup: Setup) -> None:
        self.tokenizer, self.format = setup.tokenizer, setup.format
        self._rounds = Rounds(server, SERVED, setup)

    def run(self, requests: Sequence[Request], on_step: Any) -> Iterator[list[Finished]]:
        yield [Finished(request, self._rounds.run(asked_for(request)).completion) for request in requests]


def test_sampled_rounds_have_the_law_of_the_reference(tmp_path):
    """Chi-square against the enumerated law; 1,000 draws each, false alarm 1e-6 each."""
    machine = Machine("transformers", torch.device("cpu"), "float32", None, tmp_path)
    subject = law_subject(machine, seed=3)
    eos = tuple(subject.reference.delimiters.eos)
    setup = Setup(subject.engine.tokenizer, subject.engine.format, eos, 512)
    subject.engine = RoundsOnly(SamplingServer(subject.reference, eos), setup)
    with torch.inference_mode():
        finding = check_laws(subject, 7, ["temperature 1", "top-k 3", "top-p 0.8", "all of them"], 1000)
    assert finding.verdict == "passed", finding
