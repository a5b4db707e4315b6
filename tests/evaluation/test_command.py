"""`s1-hf eval`: bad input is answered before anything is loaded; Ctrl-C, JSON, and one run in one folder."""

import json

import pytest

pytest.importorskip("lighteval")
pytest.importorskip("typer")

from typer.testing import CliRunner

from s1_hf import embedded
from s1_hf.cli import app
from s1_hf.engines.checkpoint import Checkpoint
from s1_hf.evaluation import BudgetForcingModel, bench
from s1_hf.evaluation.lighteval import run

# huggingface_hub renames an argument that a task of lighteval uses while it is imported
pytestmark = pytest.mark.filterwarnings("ignore:Deprecated argument:FutureWarning")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--max-thinking-tokens", "-5"], "`max_thinking_tokens` has to be an integer of at least 0"),
        (["--batch-size", "0"], "`batch_size` has to be an integer of at least 1, but is 0"),
        (["--max-samples", "0"], "--max-samples"),
        (["--push-to-hub"], "need `--results-org`"),
        (["--samples", "3"], "`--samples` needs a file of questions in `--tasks`"),
        (["--tasks", "gone.jsonl"], "There is no file gone.jsonl"),
        (["--tasks", "gone.jsonl,gsm8k"], "gone.jsonl is asked by s1-hf itself"),
        (["--chat-template-kwargs", "no"], "`--chat-template-kwargs` is not JSON"),
        (["--chat-template-kwargs", "[1]"], "`--chat-template-kwargs` has to be a JSON object"),
        (["--chat-template-kwargs", '{"a": 1}', "--no-chat-template"], "have no effect without the chat template"),
        (["--wandb"], "`--wandb` needs `--host lighteval`, whose option it is"),
        (["--host", "s1-hf", "--custom-tasks", "my.py"], "`--custom-tasks` needs `--host lighteval`"),
        (["--dtype", "banana"], "'banana' is not one of 'auto'"),
        (["--top-p", "0.9", "--min-p", "0.1"], "`--top-p` and `--min-p` need `--temperature` above 0"),
    ],
)
def test_bad_options_are_named(arguments, message, tmp_path):
    done = CliRunner().invoke(
        app, ["eval", str(embedded.MODEL_PATH), "--tasks", "s1:embedded", "--output-dir", str(tmp_path), *arguments]
    )
    assert done.exit_code == 2
    assert message in " ".join(done.output.split())


def test_a_folder_that_is_not_there_is_named(tmp_path):
    done = CliRunner().invoke(
        app, ["eval", "/no/such/model", "--tasks", "s1:embedded", "--output-dir", str(tmp_path / "out")]
    )
    assert done.exit_code == 2
    assert "/no/such/model is no model: there is no such folder" in " ".join(done.output.split())


def test_a_second_run_into_the_same_store_is_refused(config, hold, monkeypatch, tmp_path):
    monkeypatch.setattr(Checkpoint, "load", lambda *args, **options: pytest.fail("the weights were read"))
    settings = config(max_thinking_tokens=16)
    holder = hold(BudgetForcingModel(settings).on_tasks.ledger.folder)
    with pytest.raises(BlockingIOError, match=f"process {holder.pid} .*choose another"):
        run.evaluate(settings, "s1:embedded", output_dir=str(tmp_path), max_samples=2)


def test_ctrl_c_says_that_the_same_command_goes_on(monkeypatch, tmp_path):
    def interrupt(*args, **options):
        raise KeyboardInterrupt

    monkeypatch.setattr(bench.Plan, "run", interrupt)
    done = CliRunner().invoke(app, ["eval", "embedded", "--tasks", "s1:embedded", "--output-dir", str(tmp_path)])
    assert done.exit_code == 130
    assert "rerun the same command to resume" in " ".join(done.stderr.split())


def test_json_is_what_the_results_file_holds(tmp_path):
    options = ["--tasks", "s1:embedded", "--max-samples", "2", "--max-thinking-tokens", "9", "--output-dir"]
    done = CliRunner().invoke(app, ["eval", "embedded", *options, str(tmp_path), "--json"])
    assert done.stdout == (tmp_path / "results.json").read_text(encoding="utf-8")
    assert json.loads(done.stdout)["results"]["s1:embedded"]["thinking_tokens_max"] == 9


CUSTOM = """
from lighteval.tasks.lighteval_task import LightevalTaskConfig
from lighteval.tasks.requests import Doc
from s1_hf.tasks.benchmarks import EMBEDDED
from s1_hf.tasks.scoring import accuracy_metric

def prompt(row, task_name):
    item = EMBEDDED.item(row)
    return Doc(query=item.question, choices=[item.answer], gold_index=0, task_name=task_name)

TASKS_TABLE = [
    LightevalTaskConfig(name="my:lamps", prompt_function=prompt, hf_repo=EMBEDDED.source.repo, hf_subset="default",
                        hf_avail_splits=["test"], evaluation_splits=["test"], metrics=[accuracy_metric("math")])
]
"""


def test_own_and_custom_tasks_in_one_command_quietly(tmp_path, caplog):
    (tmp_path / "mine.py").write_text(CUSTOM)
    options = ["--custom-tasks", str(tmp_path / "mine.py"), "--max-samples", "1", "--max-new-tokens", "40", "--json"]
    options += ["--tasks", "s1:embedded,my:lamps", "--output-dir", str(tmp_path / "out")]
    done = CliRunner().invoke(app, ["eval", "embedded", *options])
    assert done.exit_code == 0, done.output
    assert {"s1:embedded|0", "my:lamps|0"} <= json.loads(done.stdout)["results"].keys()
    assert not any("WAS SET" in record.message or "few shot" in record.message for record in caplog.records)


def test_a_file_of_questions_is_a_task(tmp_path):
    problem = embedded.Problem(2, 7, 3, 8)
    (tmp_path / "mine.jsonl").write_text(json.dumps({"problem": problem.question, "solution": problem.answer}) + "\n")
    tasks = ["--tasks", f"{tmp_path / 'mine.jsonl'},s1:embedded", "--max-samples", "1", "--max-new-tokens", "90"]
    drawn = ["--temperature", "1", "--samples", "3", "--output-dir", str(tmp_path / "out"), "--json"]
    done = CliRunner().invoke(app, ["eval", "embedded", *tasks, *drawn])
    assert done.exit_code == 0, done.output
    assert "1 questions from 'problem', right answers from 'solution' (kind: math" in " ".join(done.stderr.split())
    results = json.loads(done.stdout)["results"]
    assert {"avg@2", "avg@3", "maj@3", "avg@3_stderr"} - results["mine.jsonl"].keys() == {"avg@3_stderr"}  # one problem
    assert "accuracy" in results["s1:embedded"]


def test_json_through_lighteval_is_what_its_results_file_holds(tmp_path):
    options = ["--tasks", "s1:embedded", "--max-samples", "2", "--max-thinking-tokens", "9", "--output-dir"]
    done = CliRunner().invoke(app, ["eval", "embedded", *options, str(tmp_path), "--host", "lighteval", "--json"])
    (file,) = tmp_path.glob("results/**/*.json")
    assert json.loads(done.stdout) == json.loads(file.read_text(encoding="utf-8"))
