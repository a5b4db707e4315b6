"""The suite that transformers has to pass, in vLLM: greedy requests equal stop-and-reprompt, whatever befalls them."""

from __future__ import annotations

import os
import random
from collections import defaultdict

import pytest

pytest.importorskip("vllm.sampling_params", reason="vLLM is not installed: make test-vllm")

from flat_cases import fields_of, fields_of_oracle, flat_case
from toy_logits import events, tight, toy_engine

from cases import case_of, expected, setting
from s1_hf.vllm.completing import run, setup_of, with_budget
from s1_hf.vllm.settings import budget_from
from toys import FORMATS
from vllm import SamplingParams

CASES = int(os.environ.get("S1_HF_CASES", "600"))


def seeds_by_family() -> dict[str, list[int]]:
    found = defaultdict(list)
    for seed in range(CASES):
        found[case_of(seed)["family"]].append(seed)
    return found


@pytest.fixture(scope="module")
def seeds() -> dict[str, list[int]]:
    return seeds_by_family()


@pytest.mark.parametrize("family", list(FORMATS))
def test_greedy_equals_stop_and_reprompt(family, seeds, tmp_path):
    """Ids, forced mask and report are the oracle's, in a cache so small that requests are preempted all the time."""
    asked = []
    for seed in seeds[family]:
        case = case_of(seed)
        for row in range(len(case["prompts"])):
            params = SamplingParams(temperature=0, max_tokens=case["max_new_tokens"], extra_args={"case": seed})
            asked.append((case, row, with_budget(params, budget_from(flat_case(case, row)))))
    random.Random(0).shuffle(asked)
    before = dict(events)
    with toy_engine(family, tmp_path, **tight()) as llm:
        prompts, params = [case["prompts"][row] for case, row, _ in asked], [params for *_, params in asked]
        outputs = run(llm, setup_of(llm), prompts, params)
    for (case, row, _), (completion,) in zip(asked, outputs, strict=True):
        wanted, report = expected(case, row), completion.report
        assert list(completion.token_ids) == wanted.new
        assert list(report.forced) == wanted.forced
        assert fields_of(report) == fields_of_oracle(wanted, setting(family)[2].eos)
    for event, count in events.items():
        assert count > before[event], f"no request was {event}"
