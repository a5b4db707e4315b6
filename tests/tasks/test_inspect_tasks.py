"""Our tasks in inspect-ai: asked and graded as by ourselves, with budgets for our servers, without lighteval."""

from __future__ import annotations

import asyncio
import gc
import json
import subprocess
import sys
from types import SimpleNamespace

import pytest

pytest.importorskip("inspect_ai")

import tiktoken
from inspect_ai import eval as inspect_eval
from inspect_ai.model import ModelName, ModelOutput, get_model
from inspect_ai.scorer import Target
from inspect_ai.solver import TaskState

from s1_hf.tasks.inspect_tasks import TASKS, choice_scorer, inspect_task, math_scorer, own
from s1_hf.tasks.problems import task_of


@pytest.mark.parametrize(
    ("scorer", "gold", "text", "value", "answer"),
    [
        (math_scorer, "25", "<think>24</think>\\boxed{025}", "C", "025"),
        (math_scorer, "25", "<think>\\boxed{25}", "I", None),
        (choice_scorer, "B", "<think>A</think>The answer is B.", "C", "B"),
        (choice_scorer, "B", "<think>B</think>The answer is A.", "I", "A"),
    ],
)
def test_the_scorer_of_inspect_ai_grades_likewise(scorer, gold, text, value, answer):
    output = ModelOutput.from_content("model", text)
    state = TaskState(ModelName("mockllm/model"), 1, 1, "?", [], output=output)
    scored = asyncio.run(scorer()(state, Target(gold)))
    assert (scored.value, scored.answer) == (value, answer)


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::ResourceWarning")  # of inspect-ai and anyio
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_a_task_asks_our_problems_and_grades_by_our_rules(tmp_path, monkeypatch):
    words = SimpleNamespace(encode=lambda text, **options: text.split())
    monkeypatch.setattr(tiktoken, "get_encoding", lambda name: words)  # which inspect-ai would download
    ours = task_of("s1:embedded").drawn(3)
    answers = [ours.problems[0].gold, "\\\\boxed{none}", f"<think>7</think>Answer: {ours.problems[2].gold}"]
    outputs = [ModelOutput.from_content("mockllm/model", answer) for answer in answers]
    model = get_model("mockllm/model", custom_outputs=outputs)
    (log,) = inspect_eval(
        inspect_task(ours), model=model, log_dir=str(tmp_path), display="none", max_connections=1, max_samples=1
    )
    assert log.status == "success", log.error
    by_id = {sample.id: sample for sample in log.samples}
    samples = [by_id[problem.id] for problem in ours.problems]
    assert [sample.input for sample in samples] == [problem.prompt for problem in ours.problems]
    assert [sample.scores["s1_math"].value for sample in samples] == ["C", "I", "C"]
    assert log.results.scores[0].metrics["accuracy"].value == pytest.approx(2 / 3)
    del log
    gc.collect()  # streams that anyio has left open are complained about here, and not in another test


def test_every_task_has_a_name_and_its_limit():
    assert {"s1:aime24", "s1:math500", "s1:embedded"} <= TASKS.keys()
    made = TASKS["s1:embedded"]()
    assert (made.config.max_tokens, made.config.temperature, len(made.dataset)) == (512, 0.0, 2530)


def test_a_budget_travels_as_our_servers_read_it():
    made = TASKS["s1:embedded"](budget={"max_thinking_tokens": 500, "wait_text": None})
    assert made.config.extra_body == {"vllm_xargs": {"max_thinking_tokens": 500, "wait_text": ""}}
    with pytest.raises(ValueError, match="max_thinking_tokns"):
        TASKS["s1:embedded"](budget={"max_thinking_tokns": 500})


def test_a_file_of_ones_own_with_chats_and_choices(tmp_path):
    row = {"messages": [{"role": "user", "content": "The first letter?"}], "choices": ["A", "B"], "answer": 0}
    (tmp_path / "mine.jsonl").write_text(json.dumps(row) + "\n")
    (sample,) = own(str(tmp_path / "mine.jsonl")).dataset
    assert sample.input[0].text == "The first letter?\n\nA) A\nB) B" and sample.target == "A"


def test_lighteval_is_not_needed():
    code = "import sys; sys.modules['lighteval'] = None; import s1_hf.tasks.inspect_tasks"
    subprocess.run([sys.executable, "-c", code], check=True)
