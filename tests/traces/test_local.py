"""Traces of a local model: the embedded one, a killed run, questions that do not fit, settings."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import pytest
from datasets import Dataset

from s1_hf import Budget, LoopGuard, embedded
from s1_hf.engines.request import seed_of
from s1_hf.traces import Ask, LocalModel, Trace, embedded_pool, generate_traces

POOL = embedded_pool(7, seed=4)


def model(**settings: Any) -> LocalModel:
    given = {"dtype": "float32", "max_new_tokens": 80, "batch_size": 4}
    return LocalModel(str(embedded.MODEL_PATH), **given | settings)


class Killed:
    """`source`, which dies when it has given `lists` lists."""

    def __init__(self, source: LocalModel, lists: int) -> None:
        self.source, self.lists = source, lists
        self.settings, self.draws = source.settings, source.draws

    def traces(self, asked: Sequence[Ask], on_step: Callable[[int], None]) -> Iterator[list[tuple[Ask, Trace]]]:
        for number, batch in enumerate(self.source.traces(asked, on_step)):
            if number == self.lists:
                raise KeyboardInterrupt
            yield batch


@pytest.fixture(scope="module")
def sampled(tmp_path_factory) -> list[dict[str, Any]]:
    """Two samples of each question, in one go."""
    return generate_traces(POOL, model(temperature=1.0), tmp_path_factory.mktemp("sampled"), samples=2).to_list()


def test_a_killed_run_that_goes_on_gives_what_an_unbroken_one_gives(sampled, tmp_path):
    with pytest.raises(KeyboardInterrupt):
        generate_traces(POOL, Killed(model(temperature=1.0), lists=2), tmp_path, samples=2)
    assert generate_traces(POOL, model(temperature=1.0), tmp_path, samples=2).to_list() == sampled


def test_draws_belong_to_question_and_sample_not_to_batch_and_pool(sampled, tmp_path):
    rows = generate_traces(POOL.select([5, 1]), model(temperature=1.0, batch_size=64), tmp_path, samples=2).to_list()
    assert rows == [sampled[i] for i in (10, 11, 2, 3)]


def test_samples_of_a_question_differ(sampled):
    traces = [row["thinking_trajectories"][0] for row in sampled]
    assert any(first != second for first, second in zip(traces[::2], traces[1::2], strict=True))


def test_another_seed_draws_other_traces(sampled, tmp_path):
    rows = generate_traces(POOL, model(temperature=1.0, seed=1), tmp_path)
    assert rows["thinking_trajectories"][:] != [row["thinking_trajectories"] for row in sampled[::2]]


def test_thinking_is_under_the_budget_and_graded(tmp_path):
    long = generate_traces(POOL, model(num_ignores=3, max_new_tokens=250, batch_size=7), tmp_path / "long")
    short = generate_traces(POOL, model(max_thinking_tokens=8, max_answer_tokens=12), tmp_path / "short")
    assert set(short["ended"]) == {"cut"}
    assert set(short["thinking_tokens"]) == {8}
    assert sum(long["correct"]) > sum(short["correct"])
    assert all(trace[0].count("Wait") >= 3 for trace in long["thinking_trajectories"])


def test_answers_that_the_length_limit_cut_are_marked(tmp_path):
    rows = generate_traces(POOL, model(max_thinking_tokens=8, max_answer_tokens=2), tmp_path / "cut")
    assert all(rows["answer_cut"]) and max(rows["answer_tokens"]) == 2
    assert not any(
        generate_traces(POOL, model(max_thinking_tokens=8, max_new_tokens=200), tmp_path / "whole")["answer_cut"]
    )


def test_a_question_that_does_not_fit_is_an_error_of_its_row(tmp_path):
    pool = Dataset.from_dict({"question": [POOL[0]["question"], "What? " * 900]})
    rows = generate_traces(pool, model(), tmp_path)
    assert [row["ended"] == "error" for row in rows] == [False, True]
    assert "`max_new_tokens` of 80 are more than the context of 1,024" in rows[1]["error"]


def test_half_of_the_context_is_generated_by_default():
    assert LocalModel(str(embedded.MODEL_PATH)).settings["max_new_tokens"] == 512


@pytest.mark.parametrize("limit", [0, 1024])
def test_a_limit_that_leaves_no_prompt_or_no_output_is_refused(limit):
    with pytest.raises(ValueError, match=r"`max_new_tokens` has to be|max_new_tokens\n"):
        model(max_new_tokens=limit)


def test_a_budget_that_does_not_fit_is_refused_before_anything_is_generated(tmp_path):
    with pytest.raises(ValueError, match=r"`max_thinking_tokens` of 150, .* Lower `max_thinking_tokens` to"):
        generate_traces(POOL, model(max_thinking_tokens=150, max_new_tokens=200), tmp_path)
    assert not (tmp_path / "finished.jsonl").exists()


def test_an_unknown_setting_is_refused():
    with pytest.raises(ValueError, match="num_ignore"):
        model(num_ignore=2)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"top_p": 0.9}, "`top_p` need a `temperature` above 0"),
        ({"temperature": 1.0, "top_p": 2}, "`top_p` has to be a number above 0 and at most 1, but is 2"),
        ({"temperature": -1.0}, "`temperature` has to be a number above 0, but is -1.0"),
        ({"batch_size": 0, "dtype": "int4"}, "(?s)`batch_size` has to be an integer .* `dtype` has to be one of auto"),
        ({"seed": -1, "repetition_penalty": 0}, "`repetition_penalty` has to be a number above 0.* `seed` has to be"),
        ({"max_length": 5000}, "`max_length` has to be at most the model's context of 1024 tokens, but is 5000"),
        ({"max_thinking_tokens": [3, 4]}, "The budget has to have single values, not one per question"),
        ({"budget": Budget(), "num_ignores": 1}, "`budget` has to stand alone, but `num_ignores` came with it"),
        ({"wait_text": "<|im_start|>"}, "`wait_text` has to be free of delimiters"),
        ({"format": "none"}, "`format` has to be one of"),
    ],
)
def test_a_bad_setting_is_refused_when_the_model_is_made(settings, message):
    with pytest.raises(ValueError, match=message):
        model(**settings)


def test_a_budget_can_be_given_whole():
    budget = Budget(max_thinking_tokens=8, loop_guard=LoopGuard())
    assert model(budget=budget).settings == model(max_thinking_tokens=8, loop_guard=LoopGuard()).settings
    assert model(budget=budget).settings["budget"] == budget.to_dict()


def test_a_format_can_be_made_of_delimiters():
    delimiters = {"start": "<|im_start|>think", "close": "<|im_start|>answer"}
    ask = Ask(POOL[0]["question"])
    ((own,),) = model(format=delimiters, max_thinking_tokens=8, max_answer_tokens=2).traces([ask], lambda rows: None)
    ((detected,),) = model(max_thinking_tokens=8, max_answer_tokens=2).traces([ask], lambda rows: None)
    assert own == detected


def test_seeds_are_those_of_every_run():
    request = model(temperature=1.0, seed=3)._request(Ask("What?", 2))
    assert request.seed == seed_of(3, "traces", "What?", 2)


def test_lighteval_is_not_needed():
    code = "import sys; sys.modules['lighteval'] = None\n"
    code += "from s1_hf.traces import Ask, LocalModel\n"
    code += "model = LocalModel('embedded', max_thinking_tokens=4, max_new_tokens=60, max_answer_tokens=2)\n"
    code += "((_, trace),), = model.traces([Ask('What?')], lambda rows: None)\n"
    code += "print(trace.ended, sorted(name for name in sys.modules if 'lighteval' in name))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.stdout == "cut ['lighteval']\n", done.stderr


def test_greedy_samples_are_refused(tmp_path):
    with pytest.raises(ValueError, match="`samples` has to be 1 without a temperature above 0"):
        generate_traces(POOL, model(), tmp_path, samples=2)


@pytest.mark.parametrize(
    "change",
    [
        *({"num_ignores": 1}, {"temperature": 1.0}, {"max_new_tokens": 90}, {"system_prompt": "Think."}),
        *({"max_answer_tokens": 9}, {"repetition_penalty": 1.1}, {"max_length": 500}, {"dtype": "bfloat16"}),
    ],
)
def test_whatever_decides_about_traces_is_a_setting(change):
    assert model(**change).settings != model().settings


def test_the_batch_size_is_no_setting():
    assert model(batch_size=5).settings == model().settings


def test_without_sampling_the_seed_is_no_setting():
    assert model(seed=5).settings == model().settings
    assert model(seed=5, temperature=1.0).settings != model(temperature=1.0).settings


def test_the_weights_are_a_setting(tmp_path):
    other = LocalModel(str(embedded.BASE_PATH), dtype="float32", max_new_tokens=80)
    assert other.settings["weights"] != model().settings["weights"]


def test_options_of_vllm_that_may_change_a_trace_are_a_setting(monkeypatch):
    """Which needs no vLLM to be seen."""
    monkeypatch.setattr("s1_hf.engines.vllm_engine.check_installed", lambda: None)
    plain = model(engine="vllm").settings
    assert model(engine="vllm", engine_options={"load_format": "dummy"}).settings != plain
    assert model(engine="vllm", engine_options={"tensor_parallel_size": 8}).settings == plain
