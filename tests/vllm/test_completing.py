"""`generate` in vLLM gives what `s1_hf.generate` gives, in every mode that vLLM has and a budget can go with."""

from __future__ import annotations

import pytest

pytest.importorskip("vllm.sampling_params", reason="vLLM is not installed: make test-vllm")

from toy_logits import an_engine, tight
from vllm.exceptions import VLLMValidationError
from vllm.sampling_params import BeamSearchParams, StructuredOutputsParams

import s1_hf
from s1_hf import Budget, LoopGuard, embedded
from s1_hf.embedded.problems import held_out_sample
from s1_hf.vllm import engine_options, generate
from s1_hf.vllm.completing import run, setup_of, with_budget
from s1_hf.vllm.processor import processor_of
from vllm import SamplingParams

QUESTIONS = [problem.question for problem in held_out_sample(16, seed=5)]
GREEDY = SamplingParams(temperature=0, max_tokens=400)


@pytest.fixture(scope="module")
def llm():
    with an_engine(str(embedded.MODEL_PATH), max_model_len=512, **engine_options(), **tight(30, 48, 24)) as llm:
        yield llm


@pytest.fixture(scope="module")
def transformer():
    model, tokenizer = embedded.load()
    return model.float(), tokenizer


@pytest.mark.parametrize(
    "budget",
    [
        Budget(),
        Budget(max_thinking_tokens=16),
        Budget(max_thinking_tokens=0),
        Budget(num_ignores=3, max_thinking_tokens=120, wait_text=("Wait", "Hmm")),
        Budget(min_thinking_tokens=100, wait_text=None),
        Budget(max_thinking_tokens="auto", num_ignores=9),
        Budget(max_thinking_tokens=60, cut_text="So:\n", cut_window=20, cut_at="sentence", answer_prefix=None),
        Budget(num_ignores=50, loop_guard=LoopGuard(min_tokens=40, repeats=2)),
        Budget(max_thinking_tokens=[5 * i for i in range(16)], num_ignores=[i % 3 for i in range(16)]),
        Budget(
            max_thinking_tokens=[None, 0, 40, 200] * 4,
            min_thinking_tokens=[30, 0, 40, 0, 0, 0, 20, 150] * 2,
            num_ignores=[i % 5 for i in range(16)],
        ),
    ],
    ids=lambda budget: "per prompt" if budget.num_prompts else budget.name,
)
def test_completions_equal_those_of_transformers(llm, transformer, budget):
    """Texts, ids, forced masks and reports of the embedded model in float32, all of them."""
    ours = generate(llm, QUESTIONS, budget=budget, sampling_params=GREEDY)
    assert ours == s1_hf.generate(*transformer, QUESTIONS, budget=budget, max_new_tokens=400, do_sample=False)


SAMPLED = {
    "top-k, top-p and min-p": {"top_k": 5, "top_p": 0.9, "min_p": 0.05},
    "top-p": {"top_p": 0.5},
    "no warping": {},
}


@pytest.mark.parametrize("warping", SAMPLED.values(), ids=SAMPLED)
def test_a_seeded_request_draws_the_same_in_any_batch(llm, warping):
    params = SamplingParams(temperature=1.0, max_tokens=400, seed=3, **warping)
    budget = Budget(num_ignores=1, max_thinking_tokens=100)
    together = generate(llm, QUESTIONS, budget=budget, sampling_params=params)
    alone = [generate(llm, question, budget=budget, sampling_params=params)[0] for question in QUESTIONS[:4]]
    assert together[:4] == alone
    others = SamplingParams(temperature=1.0, max_tokens=400, seed=4, **warping)
    assert generate(llm, QUESTIONS, budget=budget, sampling_params=others) != together


def test_several_outputs_per_prompt(llm):
    """Each has the report of its own tokens; greedy ones are alike."""
    params = SamplingParams(n=3, temperature=1.0, max_tokens=400, seed=1)
    sampled = generate(llm, QUESTIONS[:8], num_ignores=1, sampling_params=params)
    assert len(sampled) == 24 and len({one.token_ids for one in sampled}) > 14
    for one in sampled:
        assert len(one.forced) == len(one.token_ids)
        assert one.report.ends_ignored == 1 or one.report.ended == "unfinished"
    ours = SamplingParams(n=3, temperature=1.0, max_tokens=400, extra_args={"s1_hf_seed": 1})
    assert generate(llm, QUESTIONS[:8], num_ignores=1, sampling_params=ours) == sampled
    unseeded = SamplingParams(n=3, temperature=1.0, max_tokens=400)
    assert len({one.token_ids for one in generate(llm, QUESTIONS[:1], sampling_params=unseeded)}) > 1


def test_several_outputs_of_one_request(llm):
    """vLLM's own `n`: they share a name, and each report is that of its own tokens."""
    setup = setup_of(llm)
    rows = [setup.tokenizer.encode("<|im_start|>think" + question) for question in QUESTIONS]
    params = [with_budget(SamplingParams(n=4, temperature=1.2, max_tokens=200), Budget(num_ignores=1)) for _ in rows]
    for outputs in run(llm, setup, rows, params):
        assert len(outputs) == 4
        for one in outputs:
            first = one.token_ids.index(setup.tokenizer.encode("Wait")[0]) if one.report.ends_ignored else -1
            assert first < 0 or one.forced[first]


def test_logprobs_and_minimal_lengths_go_with_a_budget(llm):
    budget = Budget(num_ignores=1, max_thinking_tokens=60)
    plain = generate(llm, QUESTIONS, budget=budget, sampling_params=GREEDY)
    told = SamplingParams(temperature=0, max_tokens=400, logprobs=2, prompt_logprobs=1)
    assert generate(llm, QUESTIONS, budget=budget, sampling_params=told) == plain
    long = SamplingParams(temperature=0, max_tokens=200, min_tokens=150)
    for one in generate(llm, QUESTIONS, budget=budget, sampling_params=long):
        assert len(one.token_ids) >= 150 and one.report.thinking_tokens <= 60


def test_requests_without_a_budget_are_left_alone(llm):
    """In a batch with others, greedy and sampled: as in an engine that knows no budgets."""
    prompts = [{"prompt_token_ids": llm.get_tokenizer().encode(question)} for question in QUESTIONS]
    params = []
    for i in range(len(prompts)):
        own = SamplingParams(temperature=0.0, max_tokens=60)
        if i % 3 == 1:
            own = SamplingParams(temperature=0.0, max_tokens=60, extra_args={"max_thinking_tokens": 3})
        elif i % 3 == 2:
            own = SamplingParams(temperature=1.0, max_tokens=60, extra_args={"num_ignores": 2})
        params.append(own)
    mixed = llm.generate(prompts, params, use_tqdm=False)
    alone = llm.generate(prompts[::3], params[::3], use_tqdm=False)
    assert [one.outputs[0].token_ids for one in mixed[::3]] == [one.outputs[0].token_ids for one in alone]


def test_nothing_is_kept_of_requests_that_are_over(llm):
    requests = processor_of(llm.llm_engine.vllm_config).requests
    generate(llm, QUESTIONS, num_ignores=1, sampling_params=GREEDY)
    assert not requests._by_key and not requests._finished


@pytest.mark.parametrize(
    "fields",
    [
        {"presence_penalty": 1.0},
        {"repetition_penalty": 1.2},
        {"ignore_eos": True},
        {"structured_outputs": StructuredOutputsParams(regex="a")},
        {"max_tokens": 5, "extra_args": {"min_thinking_tokens": 6}},
        {"extra_args": {"max_thinking_tokens": -1}},
    ],
    ids=lambda fields: next(iter(fields)),
)
def test_what_cannot_be_exact_is_refused_by_the_engine(llm, fields):
    """And the engine lives on."""
    params = SamplingParams(**{"extra_args": {"num_ignores": 1}, **fields})
    with pytest.raises(VLLMValidationError, match=r"budget|minimum|`max_thinking_tokens`|`max_tokens`"):
        llm.generate({"prompt_token_ids": [1]}, params, use_tqdm=False)
    assert generate(llm, QUESTIONS[0], sampling_params=GREEDY)[0].report.ended == "natural"


def test_what_cannot_be_met_is_said_before_anything_is_run(llm):
    with pytest.raises(ValueError, match="`wait_text` has to be free of delimiters"):
        generate(llm, QUESTIONS, num_ignores=1, wait_text="<|im_start|>answer", sampling_params=GREEDY)
    with pytest.raises(ValueError, match='`max_thinking_tokens="auto"` has to leave room'):
        generate(llm, QUESTIONS, max_thinking_tokens="auto", sampling_params=SamplingParams(max_tokens=20))
    with pytest.raises(ValueError, match="3 budgets were given for 16 prompts"):
        generate(llm, QUESTIONS, max_thinking_tokens=[1, 2, 3], sampling_params=GREEDY)
    with pytest.warns(s1_hf.BudgetWarning, match="`stop` can fire inside thinking"):
        generate(llm, QUESTIONS[0], num_ignores=1, sampling_params=SamplingParams(stop=["zzz"], max_tokens=400))


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"sampling_params": {"n": 2}}, "`sampling_params` has to be one `SamplingParams`"),
        ({"sampling_params": [GREEDY]}, "`sampling_params` has to be one `SamplingParams`"),
        ({"max_new_tokens": 5}, r"give `sampling_params=SamplingParams\(max_tokens="),
        ({"max_answer_tokens": 5}, r"extra_args=\{'max_answer_tokens'"),
    ],
)
def test_arguments_of_transformers_are_pointed_to_their_places(llm, given, message):
    with pytest.raises(TypeError, match=message):
        generate(llm, QUESTIONS[0], **given)


def test_what_is_said_wins_over_extra_args(llm):
    params = SamplingParams(temperature=0, max_tokens=400, extra_args={"num_ignores": 3, "wait_text": "Hmm"})
    plain = generate(llm, QUESTIONS, sampling_params=GREEDY)
    assert generate(llm, QUESTIONS, num_ignores=0, sampling_params=params) == plain
    assert generate(llm, QUESTIONS, budget=Budget(), sampling_params=params) == plain
    assert "Hmm" in generate(llm, QUESTIONS[0], num_ignores=1, sampling_params=params)[0].text


def test_sixteen_tokens_are_warned_about(llm):
    with pytest.warns(s1_hf.BudgetWarning, match="Thinking was not finished within 16 tokens"):
        generate(llm, QUESTIONS[0], num_ignores=1, sampling_params=SamplingParams(temperature=0))


def test_a_minimum_beyond_the_context_is_refused(llm):
    with pytest.raises(ValueError, match="`min_thinking_tokens` has to fit into what may be generated"):
        generate(llm, QUESTIONS[0], min_thinking_tokens=5000)


def test_an_impossible_text_does_not_end_the_engine(llm):
    """Sent past `generate`, where only the engine can see it: the request ends at once."""
    params = SamplingParams(max_tokens=40, extra_args={"num_ignores": 1, "wait_text": "<|im_start|>answer"})
    output = llm.generate({"prompt_token_ids": [1, 2]}, params, use_tqdm=False)[0].outputs[0]
    assert list(output.token_ids) == [llm.get_tokenizer().eos_token_id]
    assert generate(llm, QUESTIONS[0], sampling_params=GREEDY)[0].report.ended == "natural"


def test_beam_search_takes_no_budget(llm):
    assert "extra_args" not in BeamSearchParams.__struct_fields__
