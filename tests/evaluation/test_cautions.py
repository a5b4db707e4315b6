"""What looks wrong in an evaluation is said once, with its likely cause."""

from __future__ import annotations

import warnings

import pytest

from s1_hf import Budget, embedded
from s1_hf.evaluation.bench import evaluate
from s1_hf.evaluation.model import ModelOnTasks
from s1_hf.forcing.budget import BudgetWarning
from s1_hf.tasks.problems import task_of

THINKS_ONLY_IF_ASKED = """
{%- for message in messages %}
{{- '<|im_start|>' + message['role'] + '\n' + message['content'] + '<|im_end|>\n' }}
{%- endfor %}
{%- if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}
{%- if not enable_thinking %}{{ '<|im_start|>think\n\n<|im_start|>answer\n' }}{% endif %}{% endif %}
"""


def said(task, **given) -> list[str]:
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", BudgetWarning)
        evaluate(given.pop("settings")(max_new_tokens=60, **given), [task.drawn(2)])
    return [str(one.message) for one in caught if one.category is BudgetWarning]


@pytest.fixture
def folder(tmp_path):
    """Makes a folder of the embedded model with another chat template, or with none."""

    def make(template):
        model, tokenizer = embedded.load()
        tokenizer.chat_template = template
        for part in (model, tokenizer):
            part.save_pretrained(tmp_path / "model")
        return str(tmp_path / "model")

    return make


@pytest.fixture
def task():
    return task_of("s1:embedded")


def test_a_model_without_a_chat_template_is_warned_about(settings, task, folder):
    name = folder(None)
    first, *_ = said(task, settings=settings, model=name)
    assert f"{name} has no chat template: problems are asked as bare text" in first
    assert not any("no chat template" in one for one in said(task, settings=settings, model=name, chat_template=False))


def test_without_the_template_prompts_are_those_of_a_model_that_has_none(settings, task, folder):
    bare = ModelOnTasks(settings(chat_template=False, system_prompt="Be brief."))
    _, tokenizer = embedded.load()
    question = task.problems[0].prompt
    assert list(bare.prompt(question)) == tokenizer("Be brief.\n\n" + question)["input_ids"]
    with pytest.warns(BudgetWarning, match="no chat template"):
        own = ModelOnTasks(settings(model=folder(None), system_prompt="Be brief."))
    assert own.prompt(question) == bare.prompt(question) and own.engine.format == bare.engine.format


def test_thinking_that_never_started_under_another_models_format(settings, task):
    (one,) = said(task, settings=settings, format="think")
    assert "s1:embedded: thinking never started in 2 of 2 answers" in one
    assert "was given as 'think', opened by '<think>" in one and "own is 's1': leave `--thinking-format`" in one


def test_thinking_that_the_chat_template_has_closed(settings, task, folder):
    name = folder(THINKS_ONLY_IF_ASKED)
    *_, last = said(task, settings=settings, model=name)
    assert "The chat template has closed it already. With enable_thinking=True it does not" in last
    asked = said(task, settings=settings, model=name, chat_template_kwargs={"enable_thinking": True})
    assert not any("never started" in one for one in asked)


def test_delimiters_that_the_model_does_not_write(settings, task):
    (one,) = said(task, settings=settings, format={"start": "<r>", "close": "</r>"})
    assert "given as delimiters, opened by '<r>'" in one


def test_nothing_is_said_where_nothing_is_wrong(settings, task):
    assert said(task, settings=settings, budget=Budget(num_ignores=1)) == []
