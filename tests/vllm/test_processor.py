"""One class serves both model runners; that of V2, which needs Triton, is played here."""

from __future__ import annotations

import random
from types import SimpleNamespace

import pytest

pytest.importorskip("vllm.sampling_params", reason="vLLM is not installed: make test-vllm")

import numpy as np
import torch
from flat_cases import fields_of, fields_of_oracle, flat_case
from hypothesis import given, settings
from vllm.v1.sample.logits_processor import _load_logitsprocs_by_fqcns
from vllm.v1.worker.gpu.sample.logits_processor.loader import _load_v2_logitsprocs_by_fqcns

from cases import EXAMPLES, SEEDS, case_of, expected, setting
from s1_hf.vllm import BudgetForcing
from s1_hf.vllm.options import PROCESSOR
from s1_hf.vllm.settings import KEY
from s1_hf.vllm.setup import Setup
from vllm import SamplingParams

SLOTS, CONTEXT = 6, 400


def test_both_loaders_take_the_class_by_its_name():
    assert _load_logitsprocs_by_fqcns([PROCESSOR]) == _load_v2_logitsprocs_by_fqcns([PROCESSOR]) == [BudgetForcing]


class Request:
    def __init__(self, case: dict, row: int) -> None:
        self.case, self.row, self.prompt = case, row, case["prompts"][row]
        self.tokens: list[int] = list(self.prompt)
        self.slot, self.fed, self.prefill = -1, 0, 0
        extra = {**flat_case(case, row), KEY: str(id(self))}
        self.params = SamplingParams(temperature=0, max_tokens=case["max_new_tokens"], extra_args=extra)

    @property
    def generated(self) -> list[int]:
        return self.tokens[len(self.prompt) :]

    @property
    def is_done(self) -> bool:
        eos = setting(self.case["family"])[2].eos
        done = self.generated and (self.generated[-1] in eos or len(self.generated) == self.case["max_new_tokens"])
        return bool(done)


class Runner:
    """Model Runner V2, as far as a processor sees it: slots, tokens on the device, prompts in chunks, preemption."""

    def __init__(self, setup: Setup, monkeypatch: pytest.MonkeyPatch) -> None:
        self.ids = torch.zeros(SLOTS, CONTEXT, dtype=torch.int32)
        self.prompt_len, self.prefill_len = (SimpleNamespace(np=np.zeros(SLOTS, dtype=np.int32)) for _ in range(2))
        states = SimpleNamespace(
            device=torch.device("cpu"),
            all_token_ids=SimpleNamespace(gpu=self.ids),
            prompt_len=self.prompt_len,
            prefill_len=self.prefill_len,
        )
        config = SimpleNamespace(
            speculative_config=None,
            model_config=SimpleNamespace(runner_type="generate", logits_processors=[PROCESSOR], seed=0),
            scheduler_config=SimpleNamespace(max_num_seqs=SLOTS),
        )
        monkeypatch.setattr(Setup, "of", classmethod(lambda cls, config: setup))
        self.config = config  # the processor is found by it
        self.processor = BudgetForcing(config, states)
        self.running: list[Request] = []

    def add(self, one: Request) -> None:
        taken = {other.slot for other in self.running}
        one.slot = next(slot for slot in range(SLOTS) if slot not in taken)
        one.fed, one.prefill = 0, len(one.tokens)
        self.prompt_len.np[one.slot], self.prefill_len.np[one.slot] = len(one.prompt), one.prefill
        self.ids[one.slot, : one.prefill] = torch.tensor(one.tokens)
        assert self.processor.add_request(one.slot, one.params)
        self.running.append(one)

    def step(self, rng: random.Random) -> None:
        self.processor.apply_staged_writes()
        rng.shuffle(self.running)
        size = max(one.case["model"].config.vocab_size for one in self.running)
        scores = torch.full((len(self.running), size), 5.0)
        for place, one in enumerate(self.running):
            one.fed = min(one.fed + rng.randint(1, 40), one.prefill) if one.fed < one.prefill else len(one.tokens)
            own = one.case["model"].next_logits(one.tokens[: one.fed])
            scores[place, : len(own)] = own
        context = SimpleNamespace(
            idx_mapping_np=np.array([one.slot for one in self.running]),
            seq_lens_upper_bound_np=np.array([one.fed for one in self.running]),
            input_ids=torch.tensor([one.tokens[one.fed - 1] for one in self.running], dtype=torch.int32),
        )
        self.processor.apply(scores, context)
        for place, one in enumerate(self.running):
            if one.fed == len(one.tokens):
                token = int(scores[place].argmax())
                self.ids[one.slot, len(one.tokens)] = token
                one.tokens.append(token)


@settings(max_examples=60, **EXAMPLES)
@given(SEEDS)
def test_requests_of_v2_equal_stop_and_reprompt(seed):
    case, rng = case_of(seed), random.Random(seed)
    tokenizer, fmt, d = setting(case["family"])
    with pytest.MonkeyPatch.context() as monkeypatch:
        runner = Runner(Setup(tokenizer, fmt, tuple(d.eos), CONTEXT), monkeypatch)
    waiting = [Request(case, row) for row in range(len(case["prompts"])) for _ in range(3)]
    everything = list(waiting)
    while waiting or runner.running:
        while waiting and len(runner.running) < SLOTS:
            runner.add(waiting.pop(0))
        runner.step(rng)
        for one in list(runner.running):
            if one.is_done or rng.random() < 0.05:
                runner.running.remove(one)  # V2 does not tell
                waiting += [] if one.is_done else [one]
    for one in everything:
        wanted = expected(case, one.row)
        assert one.generated == wanted.new
        report = runner.processor.requests.told(one.params.extra_args[KEY], one.generated).report
        assert list(report.forced) == wanted.forced
        assert fields_of(report) == fields_of_oracle(wanted, d.eos)
