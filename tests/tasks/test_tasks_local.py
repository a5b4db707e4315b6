"""Data sets in a local folder, `lighteval eval`, and errors that say what to do."""

import csv
import json
import socket
import subprocess
import sys
from types import SimpleNamespace

import pytest

pytest.importorskip("lighteval")

import datasets
from datasets.exceptions import DatasetNotFoundError
from lighteval.tasks.lighteval_task import LightevalTask
from lighteval.tasks.registry import Registry

import s1_hf.tasks
from s1_hf.tasks import commit_of, preload_tiny_benchmarks, tasks_table
from s1_hf.tasks.__main__ import main
from s1_hf.tasks.errors import TaskError, clear_errors
from shared_data import SHARED, needs_shared

# lighteval's mt_bench asks the hub's client by an argument that 2.0 removes
pytestmark = pytest.mark.filterwarnings("ignore:Deprecated argument:FutureWarning")

MATH_ROWS = [{"problem": f"{i}+1?", "solution": f"\\boxed{{{i}}}", "answer": f"{i + 1}"} for i in range(3)]
GPQA_ROWS = [
    {
        "Question": f"Made-up question {i}?",
        "Correct Answer": "right",
        **{f"Incorrect Answer {j}": f"wrong {j}" for j in (1, 2, 3)},
    }
    for i in range(2)
]


@pytest.fixture(autouse=True)
def offline_machine(monkeypatch, tmp_path_factory):
    def no_network(*args, **kwargs):
        raise OSError("there is no network")

    monkeypatch.setattr(socket.socket, "connect", no_network)
    monkeypatch.setattr(socket, "getaddrinfo", no_network)
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", str(tmp_path_factory.mktemp("cache")))


def write_jsonl(path, rows):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")


def write_csv(path, rows):
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, rows[0])
        writer.writeheader()
        writer.writerows(rows)


def write_gpqa(folder):
    """As the hub has it: several configurations, named by the card."""
    for subset, rows in (("gpqa_diamond", GPQA_ROWS), ("gpqa_main", GPQA_ROWS * 5)):
        write_csv(folder / "gpqa" / f"{subset}.csv", rows)
    configs = "".join(f"- config_name: {s}\n  data_files: {s}.csv\n" for s in ("gpqa_main", "gpqa_diamond"))
    (folder / "gpqa" / "README.md").write_text(f"---\nconfigs:\n{configs}---\n")


def load(folder, name):
    (config,) = [task for task in tasks_table(folder) if task.name == name]
    task = LightevalTask(config)
    LightevalTask.load_datasets({name: task})
    return task.get_docs()


# Folders


@pytest.mark.parametrize("file", ["any name.jsonl", "train.parquet", "data/test-00000-of-00001.parquet"])
def test_a_single_file_of_any_name_is_read(tmp_path, file):
    path = tmp_path / "openaimath" / file
    write_jsonl(path, MATH_ROWS)
    if path.suffix == ".parquet":
        datasets.Dataset.from_list(MATH_ROWS).to_parquet(path)
    docs = load(tmp_path, "s1:math500")
    assert {(doc.query, doc.get_golds()[0]) for doc in docs} == {("0+1?", "1"), ("1+1?", "2"), ("2+1?", "3")}


def test_of_a_split_data_set_the_right_part_is_read(tmp_path):
    write_jsonl(tmp_path / "openaimath" / "train.jsonl", MATH_ROWS[:2])
    write_jsonl(tmp_path / "openaimath" / "test.jsonl", MATH_ROWS[2:])
    (doc,) = load(tmp_path, "s1:math500")
    assert doc.query == "2+1?"


def test_of_gpqa_as_the_hub_has_it_the_diamond_part_is_read(tmp_path):
    write_gpqa(tmp_path)
    docs = load(tmp_path, "s1_agg8:gpqa_diamond")
    assert sorted(doc.query.split("\n")[0] for doc in docs) == ["Made-up question 0?", "Made-up question 1?"]


def test_files_of_gpqa_without_its_card_are_not_mixed(tmp_path):
    write_gpqa(tmp_path)
    (tmp_path / "gpqa" / "README.md").unlink()
    with pytest.raises(ValueError, match="README.md of Idavidrein/gpqa.*'gpqa_diamond'.*gpqa_diamond.csv, gpqa_main"):
        tasks_table(tmp_path)


def test_a_card_that_names_missing_files_is_an_error(tmp_path):
    write_gpqa(tmp_path)
    (tmp_path / "gpqa" / "gpqa_main.csv").unlink()
    with pytest.raises(ValueError, match="gpqa has to hold all files that its README.md names, or no README.md"):
        tasks_table(tmp_path)


def test_one_file_of_gpqa_without_its_card_is_read(tmp_path):
    write_csv(tmp_path / "gpqa" / "gpqa_diamond.csv", GPQA_ROWS)
    assert len(load(tmp_path, "s1:gpqa_diamond")) == 2


def test_a_missing_split_is_said(tmp_path):
    write_jsonl(tmp_path / "openaimath" / "train.jsonl", MATH_ROWS)
    write_jsonl(tmp_path / "openaimath" / "validation.jsonl", MATH_ROWS)
    with pytest.raises(ValueError, match="has to have the split 'test', but it holds train.jsonl, validation.jsonl"):
        tasks_table(tmp_path)


def test_a_folder_without_data_is_said(tmp_path):
    (tmp_path / "openaimath").mkdir()
    with pytest.raises(ValueError, match="openaimath has none"):
        tasks_table(tmp_path)


def test_a_folder_with_none_of_the_data_sets_is_an_error(tmp_path):
    with pytest.raises(ValueError, match="hf download simplescaling/aime24_nofigures --repo-type dataset --local-dir"):
        tasks_table(tmp_path)


def test_a_data_set_missing_in_the_folder_is_not_looked_for_on_the_hub(tmp_path, monkeypatch):
    """A relative path would be taken for the id of a repository: "data/aime25_nofigures"."""
    write_jsonl(tmp_path / "data" / "openaimath" / "test.jsonl", MATH_ROWS)
    monkeypatch.chdir(tmp_path)
    with (
        pytest.raises(TaskError, match="no data set in .*aime25_nofigures.*hf download simplescaling/aime25"),
        clear_errors(),
    ):
        load("data", "s1:aime25")


@needs_shared
@pytest.mark.parametrize(
    ("file", "folder", "task", "size"),
    [
        ("aime24_nofigures", "aime24_nofigures", "s1:aime24", 30),
        ("aime25_nofigures", "aime25_nofigures", "s1:aime25", 30),
        ("math500", "openaimath", "s1:math500", 500),
    ],
)
def test_the_real_data_sets_are_read(tmp_path, file, folder, task, size):
    (tmp_path / folder).mkdir()
    (tmp_path / folder / f"{file}.jsonl").symlink_to(SHARED / "math" / f"{file}.jsonl")
    docs = load(tmp_path, task)
    assert len(docs) == size
    assert all(doc.query and doc.get_golds()[0] for doc in docs)


def test_the_commit_of_a_data_set_is_read_off_its_cached_file():
    """As datasets lays out its cache: `load.py`, `HubDatasetModuleFactory`, takes the commit for the folder's name."""
    commit = "633f5ee89ab8ad4522a9f850766b73f62147ffdd"
    file = f"/cache/Idavidrein___gpqa/gpqa_diamond/0.0.0/{commit}/gpqa-train.arrow"
    assert commit_of(SimpleNamespace(cache_files=[{"filename": file}])) == commit
    assert commit_of(SimpleNamespace(cache_files=[{"filename": "/cache/json/default-1f/0.0.0/2a/a.arrow"}])) is None


# Errors


def test_an_unknown_task_is_answered_with_close_ones_and_all_of_ours():
    preload_tiny_benchmarks()
    with (
        pytest.raises(TaskError, match="no task 's1:aime_24'. Did you mean s1:aime24 .*supergpqa, s1:embedded;"),
        clear_errors(),
    ):
        Registry("s1:aime_24", custom_tasks="s1_hf.tasks")


def test_gpqa_without_login_says_how_to_get_it():
    with (
        pytest.raises(TaskError, match="Idavidrein/gpqa is gated.*hf auth login.*FOLDER/gpqa.*--data-folder"),
        clear_errors(),
    ):
        raise DatasetNotFoundError(
            "Dataset 'Idavidrein/gpqa' is a gated dataset on the Hub. You must be authenticated to access it."
        )


def test_a_hub_out_of_reach_says_how_to_do_without():
    with (
        pytest.raises(TaskError, match="simplescaling/openaimath is not in the cache.*FOLDER/openaimath"),
        clear_errors(),
    ):
        raise ConnectionError("Couldn't reach 'simplescaling/openaimath' on the Hub (OfflineModeIsEnabled)")


@pytest.mark.parametrize(
    "error",
    [
        ValueError("something else"),
        ConnectionError("Couldn't reach 'openai/gsm8k' on the Hub (ConnectError)"),
        DatasetNotFoundError("Dataset 'cais/hle' is a gated dataset on the Hub."),
        FileNotFoundError("Couldn't find any data file at /other."),
        KeyError("Cannot find task s1:x in task list"),
    ],
    ids=lambda error: type(error).__name__,
)
def test_any_other_error_is_passed_on(error):
    with pytest.raises(type(error)) as caught, clear_errors():
        raise error
    assert caught.value is error


# The command


def test_the_command_explains_itself(capsys):
    main(["--help"])
    assert "--data-folder FOLDER" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--data-folder", "{}"], "has to hold a folder for each data set"),
        (["--data-folder", "{}", "--custom-tasks", "mine.py"], "has to hold a folder for each data set"),
        (["--custom-tasks", "gone_module"], "No module named 'gone_module'"),
    ],
)
def test_a_bad_folder_ends_the_command(tmp_path, capsys, monkeypatch, options, message):
    monkeypatch.setattr(s1_hf.tasks, "TASKS_TABLE", s1_hf.tasks.TASKS_TABLE)
    with pytest.raises(SystemExit) as ended:
        main(["tasks", "list", *(option.format(tmp_path) for option in options)])
    assert ended.value.code == 2
    assert message in capsys.readouterr().err


EVAL = """
import socket, sys
def no_network(*args, **kwargs):
    raise OSError("there is no network")
socket.getaddrinfo = no_network

from inspect_ai.model import ModelAPI, ModelOutput, modelapi

@modelapi("scripted")
class Scripted(ModelAPI):
    async def generate(self, input, tools, tool_choice, config):
        (message,) = input
        assert (config.max_tokens, config.temperature, config.seed) == (32768, 0.0, 3), config
        a = int(message.text.removesuffix("+1?"))
        return ModelOutput.from_content("scripted", f"<think>{a + 1}</think>\\\\boxed{{0{a + 1 + (a == 2)}}}")

from s1_hf.tasks.__main__ import main
main(sys.argv[1:])
"""


def test_lighteval_eval_runs_our_tasks_on_local_data_without_network(tmp_path):
    """The stock command drops `--custom-tasks`, and with today's inspect-ai ends in an error over its option names."""
    write_jsonl(tmp_path / "data" / "openaimath" / "test.jsonl", MATH_ROWS)
    arguments = ["eval", "scripted/model", "s1:math500", "--data-folder", tmp_path / "data", "--seed", "3"]
    done = subprocess.run(
        [sys.executable, "-c", EVAL, *map(str, arguments), "--display", "none", "--log-dir", "logs"],
        cwd=tmp_path,
        env={"PATH": "", "HOME": str(tmp_path), "PYTHONPATH": ":".join(sys.path)},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    (row,) = [line for line in done.stdout.splitlines() if line.startswith("|scripted/model|")]
    assert row.split("|")[2:-1] == ["0.67", "      0.67"]  # two of the three, as `s1` and as `s1:math500`
