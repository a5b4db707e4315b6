"""The tasks in lighteval's real registry: names, data, prompts, and the traps of lighteval 0.13.0."""

import json
import random
import re
import socket
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("lighteval")

import datasets
import requests
from lighteval.logging.info_loggers import MetricsLogger
from lighteval.tasks.lighteval_task import LightevalTask
from lighteval.tasks.prompt_manager import PromptManager
from lighteval.tasks.registry import Registry

from s1_hf import tasks
from s1_hf.embedded.problems import held_out, held_out_sample
from s1_hf.tasks import offline
from s1_hf.tasks.benchmarks import BENCHMARKS, MAX_NEW_TOKENS
from s1_hf.tasks.items import gpqa_item, lamps_item, math_item

# lighteval's mt_bench asks the hub's client by an argument that 2.0 removes
pytestmark = pytest.mark.filterwarnings("ignore:Deprecated argument:FutureWarning")

NAMES = ["aime24", "aime24_figures", "aime25", "aime25_figures", "math500", "gpqa_diamond", "embedded"]
GPQA_ROW = {
    "Question": "Which of these made-up metals floats?\n",
    "Correct Answer": "Florium",
    "Incorrect Answer 1": "Gravium",
    "Incorrect Answer 2": "Plumbite, a\nmineral",
    "Incorrect Answer 3": "Neither",
}


def no_network(*args, **kwargs):
    raise OSError("there is no network")


@pytest.fixture
def offline_machine(monkeypatch):
    monkeypatch.setattr(socket.socket, "connect", no_network)
    monkeypatch.setattr(socket, "getaddrinfo", no_network)


@pytest.fixture(scope="module")
def registry():
    tasks.preload_tiny_benchmarks()
    names = ",".join(f"{prefix}:{name}" for prefix in ("s1", "s1_agg8", "s1_agg16", "s1_agg64") for name in NAMES)
    return Registry(f"{names},aime24,math_500", custom_tasks="s1_hf.tasks")


@pytest.fixture
def docs(registry, tmp_path, monkeypatch):
    """Made rows as the docs of a task: what lighteval makes of them."""
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", str(tmp_path))

    def make(name, rows):
        (config,) = registry.task_to_configs[name]
        task = LightevalTask(config)
        task.dataset = {split: rows for split in config.evaluation_splits}
        return task.get_docs()

    return make


# The registry


def test_the_module_name_registers_every_task_beside_the_built_in_ones(registry):
    """The registry raises on a name that a built-in task has."""
    ours = {name for name in registry._task_registry if re.match("s1(_agg|:)", name)}
    assert ours == {f"{prefix}:{n}" for prefix in ("s1", "s1_agg8", "s1_agg16", "s1_agg64") for n in NAMES}
    assert "aime24" in registry._task_registry


def test_the_prefix_alone_stands_for_the_greedy_tasks(registry):
    assert set(registry._expand_task_definition("s1")) == {f"s1:{name}" for name in NAMES}


@pytest.mark.usefixtures("offline_machine")
def test_without_network_the_registry_fails_by_itself(monkeypatch):
    """So that the next test means something."""
    if (Path(sys.modules[offline.MODULE].__file__).parent / offline.FILE).exists():
        pytest.skip(f"{offline.FILE} lies beside lighteval's module")
    monkeypatch.delitem(sys.modules, offline.MODULE)
    with pytest.raises(requests.ConnectionError):
        Registry("s1:embedded", custom_tasks="s1_hf.tasks")


@pytest.mark.usefixtures("offline_machine", "registry")
def test_without_network_the_registry_starts_after_the_preload(monkeypatch):
    monkeypatch.delitem(sys.modules, offline.MODULE)
    tasks.preload_tiny_benchmarks()
    registry = Registry("s1:embedded", custom_tasks="s1_hf.tasks")
    assert list(registry.task_to_configs) == ["s1:embedded"]
    assert any(name.startswith("tiny:") for name in registry._task_registry)


def test_the_preload_answers_one_download_and_passes_on_the_others(monkeypatch):
    asked, answers = [], []

    def importing(module):
        answers.append(requests.get(f"https://example.org/tree/{offline.FILE}"))
        requests.get("https://example.org/other", timeout=5)

    def stock_get(url, **kwargs):
        asked.append((url, kwargs))

    monkeypatch.setattr(requests, "get", stock_get)
    monkeypatch.setattr(offline, "import_module", importing)
    monkeypatch.delitem(sys.modules, offline.MODULE, raising=False)
    tasks.preload_tiny_benchmarks()
    assert [answer.status_code for answer in answers] == [404]
    assert asked == [("https://example.org/other", {"timeout": 5})]
    assert requests.get is stock_get


def test_lightevals_cache_key_holds_no_address(registry):
    """lighteval hashes a task by its text: an address in it makes a key that no other process finds again.

    Its own aime24 shows that this can fail.
    """
    configs = [config for name, (config,) in registry.task_to_configs.items() if name.startswith("s1")]
    assert len(configs) == 28
    assert [config.name for config in configs if " at 0x" in str(config)] == []
    assert " at 0x" in str(registry.task_to_configs["aime24"][0])


def test_no_result_of_a_sampling_task_appears_in_a_greedy_one(registry):
    """lighteval averages over one prefix and writes 0.0 for every metric that one of its tasks lacks into that task."""
    values = {
        "s1_agg8:math500|0": {"maj@2": 1.0, "maj@8": 0.5},
        "s1:math500|0": {"accuracy": 1.0},
        "s1:aime24|0": {"accuracy": 0.0},
    }
    logger = MetricsLogger()
    for name, metrics in values.items():
        logger.log(name, metrics)
        logger.log(name, metrics)
    built = {name: LightevalTask(registry.task_to_configs[name.split("|")[0]][0]) for name in values}
    logger.aggregate(built, bootstrap_iters=0)
    assert dict(logger.metric_aggregated["s1:math500|0"]) == {"accuracy": 1.0}
    assert dict(logger.metric_aggregated["s1_agg8:math500|0"]) == {"maj@2": 1.0, "maj@8": 0.5}
    assert logger.metric_aggregated["s1:_average|0"] == {"accuracy": 0.5}


@pytest.mark.parametrize("name", ["TASKS_TABLE", "tasks_table"])
def test_without_lighteval_the_extra_is_named(name):
    code = f"import sys; sys.modules['lighteval'] = None; import s1_hf.tasks; s1_hf.tasks.{name}"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert "pip install 's1-hf[lighteval]'" in done.stderr


def test_the_table_is_the_same_whenever_it_is_asked_for():
    assert tasks.TASKS_TABLE is tasks.TASKS_TABLE
    with pytest.raises(AttributeError, match="no attribute 'TASK_TABLE'"):
        tasks.TASK_TABLE  # noqa: B018


# What the tasks are


@pytest.mark.parametrize(
    ("name", "repo", "subset", "split"),
    [
        ("aime24", "simplescaling/aime24_nofigures", "default", "train"),
        ("aime24_figures", "simplescaling/aime24_figures", "default", "train"),
        ("aime25", "simplescaling/aime25_nofigures", "default", "train"),
        ("aime25_figures", "simplescaling/aime25_figures", "default", "train"),
        ("math500", "simplescaling/openaimath", "default", "test"),
        ("gpqa_diamond", "Idavidrein/gpqa", "gpqa_diamond", "train"),
    ],
)
def test_data_sets_are_the_papers(registry, name, repo, subset, split):
    for prefix in ("s1", "s1_agg64"):
        (config,) = registry.task_to_configs[f"{prefix}:{name}"]
        assert (config.hf_repo, config.hf_subset, config.evaluation_splits) == (repo, subset, (split,))
        assert config.generation_size == MAX_NEW_TOKENS == 32768
        assert config.stop_sequence == ()


def test_every_data_set_of_the_hub_says_its_revision():
    assert {b.name for b in BENCHMARKS if b.source.revision is None} == set()
    pinned = {b.name: b.source.revision for b in BENCHMARKS if b.source.revision != "main"}
    assert all(re.fullmatch("[0-9a-f]{40}", revision) for revision in pinned.values())
    assert "gpqa_diamond" in pinned


@pytest.mark.parametrize(("prefix", "samples"), [("s1", 1), ("s1_agg8", 8), ("s1_agg16", 16), ("s1_agg64", 64)])
def test_a_model_is_asked_for_as_many_samples_as_the_prefix_says(docs, prefix, samples):
    (doc,) = docs(f"{prefix}:aime24", [{"problem": "1+1?", "answer": "002"}])
    assert doc.num_samples == samples


# Prompts and golds


@pytest.mark.parametrize("name", ["aime24", "aime25", "math500"])
def test_a_mathematical_prompt_is_the_problem_alone(docs, name):
    row = {"problem": " What is $1+1$?\n[asy]draw();[/asy]", "answer": "2", "solution": "\\boxed{3}"}
    (doc,) = docs(f"s1:{name}", [row])
    assert PromptManager().prepare_prompt_api(doc) == [{"role": "user", "content": row["problem"]}]


def test_a_gpqa_prompt_is_the_question_and_the_choices(docs):
    (doc,) = docs("s1:gpqa_diamond", [dict(GPQA_ROW)])
    (message,) = PromptManager().prepare_prompt_api(doc)
    expected = "Which of these made-up metals floats?\n\n\nA) Plumbite, a\nmineral\nB) Florium\nC) Gravium\nD) Neither"
    assert message["content"] == expected
    assert doc.get_golds() == ["B"]


@pytest.mark.parametrize(
    ("name", "answer"),
    [("s1_more:mmlu_pro", {"answer": "J"}), ("s1_more:supergpqa", {"answer_letter": "J", "answer": "9"})],
)
def test_ten_choices_are_asked_as_they_stand(name, answer):
    (config,) = [task for task in tasks.tasks_table() if task.name == name]
    doc = config.prompt_function({"question": "Which?", "options": [str(i) for i in range(10)], **answer}, name)
    assert doc.query.startswith("Which?\n\nA) 0\nB) 1\n") and doc.query.endswith("\nJ) 9")
    assert doc.get_golds() == ["J"]


def test_the_gold_of_math500_is_its_answer(docs):
    """lighteval's own task has "ANSWER: " and the whole solution."""
    row = {"problem": "1+1?", "solution": "It is $\\boxed{2}$, as all know.", "answer": "2"}
    (ours,), (theirs,) = docs("s1:math500", [dict(row)]), docs("math_500", [dict(row)])
    assert ours.get_golds() == ["2"]
    assert theirs.get_golds() == ["ANSWER: It is $\\boxed{2}$, as all know."]


@pytest.mark.parametrize("answer", ["025", 25])
def test_an_answer_may_be_a_text_or_a_number(answer):
    assert math_item({"problem": "?", "answer": answer}).answer == str(answer)


def test_the_order_of_gpqa_choices_follows_from_the_record_alone():
    random.seed(1)
    first = gpqa_item(GPQA_ROW)
    random.seed(2)
    again = gpqa_item({"__index": 7, **dict(reversed(GPQA_ROW.items())), "Record ID": "x"})
    swapped = gpqa_item(
        GPQA_ROW | {"Incorrect Answer 1": "Neither", "Incorrect Answer 3": GPQA_ROW["Incorrect Answer 1"]}
    )
    assert first == again == swapped


def test_the_right_gpqa_choice_stands_everywhere_equally_often():
    """Of 400 made records; a fixed place would be 400 of one letter. The hash is fixed, and so is the outcome."""
    places = [gpqa_item(GPQA_ROW | {"Question": f"Question {i}?"}).answer for i in range(400)]
    assert {letter: places.count(letter) for letter in "ABCD"} == pytest.approx(dict.fromkeys("ABCD", 100), abs=30)


def test_the_letter_is_that_of_the_right_choice():
    for i in range(20):
        item = gpqa_item(GPQA_ROW | {"Question": f"Question {i}?"})
        assert f"\n{item.answer}) Florium" in item.question


def test_inspect_ai_is_asked_the_same(registry, docs):
    (config,) = registry.task_to_configs["s1:gpqa_diamond"]
    (doc,) = docs("s1:gpqa_diamond", [dict(GPQA_ROW)])
    sample = config.sample_fields(GPQA_ROW)
    assert (sample.input, sample.target) == (doc.query, doc.get_golds()[0])


def test_a_sampling_task_is_none_for_inspect_ai(registry):
    """`lighteval eval` then refuses it, instead of giving one greedy sample under its name; it has `--epochs`."""
    assert registry.task_to_configs["s1_agg8:gpqa_diamond"][0].sample_fields is None


def test_a_row_without_its_column_says_which():
    with pytest.raises(ValueError, match="no 'problem', which this task reads. Its columns are: question, answer."):
        math_item({"question": "1+1?", "answer": "2", "__index": 0})


# The embedded problems


def test_the_shipped_problems_are_all_held_out_ones_in_a_random_order():
    path = Path(tasks.__file__).parent / "embedded" / "test.jsonl"
    items = [lamps_item(json.loads(line)) for line in path.read_text(encoding="utf-8").splitlines()]
    problems = held_out_sample(len(held_out()), seed=0)
    assert [(item.question, item.answer) for item in items] == [(p.question, str(p.answer)) for p in problems]


@pytest.mark.usefixtures("offline_machine")
def test_the_embedded_task_loads_without_network(registry, tmp_path, monkeypatch):
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", str(tmp_path))
    (config,) = registry.task_to_configs["s1:embedded"]
    task = LightevalTask(config)
    LightevalTask.load_datasets({"s1:embedded|0": task})
    docs = task.get_docs(max_samples=3)
    questions = {problem.question: str(problem.answer) for problem in held_out()}
    assert [questions[doc.query] for doc in docs] == [doc.get_golds()[0] for doc in docs]
    assert {doc.generation_size for doc in docs} == {512}
    assert tasks.commit_of(task.dataset["test"]) is None
