"""Random cases as requests of vLLM, and rows that an engine throws about as it likes."""

from __future__ import annotations

import random
from typing import Any

import torch

from cases import UNLIMITED, setting
from s1_hf.conformance.reference import Row
from s1_hf.forcing.report import Report
from s1_hf.vllm.requests import Refused, Requests
from s1_hf.vllm.settings import CHECKED, RequestSettings, budget_from
from s1_hf.vllm.setup import Setup


def flat_case(case: dict, row: int) -> dict[str, Any]:
    """The budget of one row of a case, as `extra_args` of an engine: other rows may need what this one does not."""
    given: dict[str, Any] = {
        CHECKED: True,
        "min_thinking_tokens": case["least"][row],
        "num_ignores": case["ignores"][row],
        "wait_text": list(case["waits"]) or "",
        "answer_prefix": case["prefix"] or "",
    }
    if case["most"][row] < UNLIMITED:
        given["max_thinking_tokens"] = case["most"][row]
        given["cut_text"] = case["message"] or ""
        given["cut_window"] = case["window"]
        if case["window"]:
            given["cut_at"] = "sentence" if case["sentence"] else "line"
    return given


def setup_for(family: str, **options: Any) -> Setup:
    tokenizer, fmt, d = setting(family)
    return Setup(tokenizer, fmt, tuple(d.eos), 4096, **options)


class Thrown:
    """One request as an engine keeps it."""

    def __init__(self, model: Any, prompt: list[int], settings: RequestSettings, eos: list[int]) -> None:
        self.model, self.prompt, self.settings, self.eos = model, prompt, settings, eos
        self.generated: list[int] = []
        self.row: Any = None  # while it is in the batch

    @property
    def is_done(self) -> bool:
        return bool(self.generated) and (
            self.generated[-1] in self.eos or len(self.generated) == self.settings.max_tokens
        )


def run_thrown(setup: Setup, asked: list[Thrown], rng: random.Random, shows_tokens: bool = True) -> Requests:
    """Run requests in batches that change at every step: rows come, go, change places, and tokens are thrown away, and
    taken back.

    Args:
        shows_tokens (`bool`): whether a row sees the list of its tokens grow, as in vLLM's V1 runner, or only what it
            had when it came, as in V2.
    """
    requests = Requests(setup, torch.device("cpu"), len(asked), shows_tokens=shows_tokens)
    batch: list[Thrown | None] = []
    while not all(one.is_done for one in asked):
        for one in [one for one in batch if one is not None and (one.is_done or rng.random() < 0.1)]:
            requests.leave(one.row, one.is_done and shows_tokens)
            batch[batch.index(one)], one.row = None, None
        for one in asked:
            if one.row is None and not one.is_done and rng.random() < 0.4:
                generated = one.generated if shows_tokens else list(one.generated)
                one.row = requests.enter(one.settings, one.prompt, generated)
                assert not isinstance(one.row, Refused), one.row.why
                if not shows_tokens:
                    one.row.settle()
                batch.append(one)
        for one in asked:  # as when an engine lost keys and values
            if len(one.generated) > 1 and not one.is_done and shows_tokens and rng.random() < 0.03:
                del one.generated[rng.randrange(1, len(one.generated)) :]
        if rng.random() < 0.3:
            requests.changed()
            rng.shuffle(batch)
            batch = [one for one in batch if one is not None or rng.random() < 0.5]
        if any(batch):
            _step(requests, batch, rng)
    return requests


def _step(requests: Requests, batch: list[Thrown | None], rng: random.Random) -> None:
    size = max(one.model.config.vocab_size for one in batch if one is not None)
    scores = torch.full((len(batch), size), 5.0)
    rows, taken, last = [], [], []
    for place, one in enumerate(batch):
        generated = [] if one is None else one.generated
        rows.append(None if one is None else one.row)
        taken.append(len(generated))
        last.append(generated[-1] if generated else 0)
        if one is not None:
            own = one.model.next_logits([*one.prompt, *generated])
            scores[place, : len(own)] = own
    before = scores.clone()
    requests.decide(rows, taken, torch.tensor(last), scores)
    for place, one in enumerate(batch):
        if one is None:
            assert torch.equal(scores[place], before[place])
        elif not one.is_done and rng.random() < 0.9:
            one.generated.append(int(scores[place].argmax()))


def settings_for(case: dict, row: int, **more: Any) -> RequestSettings:
    budget = budget_from(flat_case(case, row))
    return RequestSettings(budget=budget, max_tokens=case["max_new_tokens"], **more)


def fields_of(report: Report) -> tuple[Any, ...]:
    return report.thinking_tokens, report.ended, report.ends_ignored, report.answer_tokens


def fields_of_oracle(wanted: Row, eos: list[int]) -> tuple[Any, ...]:
    return wanted.thinking_tokens, wanted.ended, wanted.ends_ignored, wanted.answer_tokens(eos)
