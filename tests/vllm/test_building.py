"""What an engine may be built with."""

from __future__ import annotations

import subprocess
import sys

import pytest

pytest.importorskip("vllm.sampling_params", reason="vLLM is not installed: make test-vllm")

from toy_logits import an_engine

from s1_hf import embedded
from s1_hf.embedded.problems import held_out_sample
from s1_hf.vllm import engine_options, generate
from vllm import SamplingParams

QUESTIONS = [problem.question for problem in held_out_sample(12, seed=5)]
MODEL = str(embedded.MODEL_PATH)


def test_an_engine_without_our_options_is_refused():
    with an_engine(MODEL, max_model_len=256) as llm, pytest.raises(ValueError, match="has to be built for budgets"):
        generate(llm, "a")


def test_speculation_is_refused():
    """In a process of its own: what vLLM imports for it gets in the way of engines built later."""
    code = "from vllm import LLM; from s1_hf.vllm import engine_options\n"
    code += "guess = {'method': 'ngram', 'num_speculative_tokens': 2, 'prompt_lookup_max': 2}\n"
    code += f"LLM({MODEL!r}, max_model_len=256, enforce_eager=True, speculative_config=guess, **engine_options())"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode != 0 and "speculative decoding" in done.stderr.splitlines()[-1]


def test_a_wrong_text_stops_the_engine_before_it_is_built():
    options = engine_options(wait_text="<|im_start|>answer")
    with pytest.raises(ValueError, match="`wait_text` has to be free of delimiters"), an_engine(MODEL, **options):
        pass


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
@pytest.mark.parametrize("asynchronous", [False, True], ids=["", "asynchronous"])
def test_caps_and_ignores_hold(dtype, asynchronous):
    """Also where vLLM schedules a step before it knows the last step's tokens."""
    options = {"dtype": dtype, "async_scheduling": asynchronous, "max_model_len": 512}
    params = SamplingParams(temperature=0.8, max_tokens=400, seed=1)
    with an_engine(MODEL, **engine_options(wait_text="Hmm"), **options) as llm:
        done = generate(llm, QUESTIONS, num_ignores=2, max_thinking_tokens=150, sampling_params=params)
    for one in done:
        assert one.report.thinking_tokens <= 150
        assert one.report.ends_ignored == one.text.count("Hmm") or one.report.ended == "cut"
        assert sum(one.forced) > 0
