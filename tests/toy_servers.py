"""A server in the place of one behind an address: random models of toy families, whose scores are tables."""

from __future__ import annotations

from collections.abc import Sequence
from types import SimpleNamespace
from typing import Any

import torch

from s1_hf.conformance.cases import Case, budget_of, setting
from s1_hf.conformance.toys import ends_of_sequence
from s1_hf.engines.endpoint.server import Reply, Served
from s1_hf.forcing.vocabulary import Vocabulary
from s1_hf.generation.guards import check_can_ignore
from s1_hf.vllm.asking import Asked
from s1_hf.vllm.requests import Requests
from s1_hf.vllm.settings import RequestSettings
from s1_hf.vllm.setup import Setup

SERVED = Served("toy", None, 512, None)


def setup_of(case: Case) -> Setup:
    tokenizer, fmt, _ = setting(case["family"])
    return Setup(tokenizer, fmt, tuple(ends_of_sequence(case["family"])), 512)


def asked_of(case: Case, row: int, **fields: Any) -> Asked:
    """One row of a case, greedy; raises a `ValueError` for budgets that vLLM's side refuses, too."""
    budget = budget_of(case, row)
    check_can_ignore(setting(case["family"])[1], budget)
    given = {"max_tokens": case["max_new_tokens"], "sampling": {}, "seed": row}
    return Asked(prompt=tuple(case["prompts"][row]), budget=budget, **given | fields)


class ToyServer:
    """Knows no budgets. `asked` are the bodies of its requests."""

    def __init__(self, case: Case) -> None:
        self._model, self._setup = case["model"], setup_of(case)
        self._size = len(Vocabulary.of(self._setup.tokenizer).texts)
        self.connection = SimpleNamespace(shown="http://toy/v1")
        self.asked: list[dict[str, Any]] = []
        self.heeds_bias = True

    def complete(self, body: dict[str, Any], *, returns: bool = True) -> Reply:
        self.asked.append(body)
        ids: list[int] = []
        ends = {*self._setup.eos, *body["stop_token_ids"]}
        while len(ids) < body["max_tokens"]:
            scores = self.scores([*body["prompt"], *ids])
            for token, bias in body.get("logit_bias", {}).items():
                scores[int(token)] += bias if self.heeds_bias else 0.0
            ids.append(int(scores.argmax()))
            if ids[-1] in ends:
                break
        return Reply(ids, "", None, len(body["prompt"]), 0)

    def scores(self, ids: Sequence[int]) -> torch.Tensor:
        scores = self._model.next_logits(list(ids)).clone()
        scores[self._size :] = -torch.inf
        return scores


def plug_in_row(case: Case, asked: Asked, name: str = "row") -> tuple[list[int], list[int], Any]:
    """What the plug-in's own rows make of a request: its ids, what the model wanted at each place, and what is told."""
    setup, server = setup_of(case), ToyServer(case)
    requests = Requests(setup, torch.device("cpu"), 8)
    settings = RequestSettings(
        budget=asked.budget,
        max_tokens=asked.max_tokens,
        key=name,
        max_answer_tokens=asked.max_answer_tokens,
        give_up_after=asked.give_up_after,
        pause=asked.pause,
    )
    ids: list[int] = []
    picks: list[int] = []
    row = requests.enter(settings, asked.prompt, ids)
    while len(ids) < asked.max_tokens and not (ids and ids[-1] in setup.eos):
        scores = server.scores([*asked.prompt, *ids])[None].float()
        picks.append(int(scores.argmax()))
        requests.decide([row], [len(ids)], torch.tensor([ids[-1] if ids else 0]), scores)
        ids.append(int(scores.argmax()))
    requests.leave(row, True)
    return ids, picks, requests.told(name, ids)
