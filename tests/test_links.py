"""No writer follows a link: every function and command that writes is run on a folder full of them.

Each is run once, what it has written is listed, and a link to a victim is planted at every file and, one by one, at
every folder of that list. Run again, it has to put real files there, or to say what it refuses; and no victim may
have changed.
"""

import os
import shutil
from dataclasses import dataclass
from pathlib import Path

import pytest

pytest.importorskip("datasets")
pytest.importorskip("matplotlib")
pytest.importorskip("typer")
pytest.importorskip("lighteval")

from curation_pools import random_pool
from datasets import Dataset
from report_rows import a_curve, a_row
from typer.testing import CliRunner

from s1_hf import embedded, export_custom_generate
from s1_hf.cli import app
from s1_hf.curate import Diversity, Recipe, curate
from s1_hf.curate import save as save_curation
from s1_hf.embedded.problems import write_training_file
from s1_hf.evaluation import BudgetForcingConfig
from s1_hf.evaluation.lighteval import run
from s1_hf.files import part_of
from s1_hf.grading.judge import Judge
from s1_hf.methods import Bench, BudgetForcing, problems_of, run_methods
from s1_hf.plots.training import save_training
from s1_hf.reporting import draw_models, write_report
from s1_hf.results.rows import save_rows, write_about
from s1_hf.sft.checking import check
from s1_hf.sft.journal import Journal
from s1_hf.sft.recipe import read_recipe
from s1_hf.traces import LocalModel, embedded_pool, generate_traces
from s1_hf.traces.folder import write_rows

pytestmark = [
    pytest.mark.skipif(os.name == "nt", reason="links need a right of their own on Windows"),
    # huggingface_hub renames an argument that a task of lighteval uses while it is imported
    pytest.mark.filterwarnings("ignore:Deprecated argument:FutureWarning"),
]

ROWS = [*a_curve([(True, False), (True, True)]), *(a_row("4 votes", p, method="voting", tries=4) for p in "01")]
OF_LEDGERS = ("finished", "settings.json", "_lock")
"""How names begin that are tested in tests/engines and tests/traces."""


def command(*arguments):
    """Run the command line; what it refuses is raised."""
    result = CliRunner().invoke(app, [str(argument) for argument in arguments])
    if result.exit_code == 2:
        raise ValueError(result.output)
    assert result.exit_code == 0, result.output


def copy_model(folder):
    shutil.copytree(embedded.MODEL_PATH, folder, dirs_exist_ok=True)


def save_some_rows(folder):
    save_rows(ROWS, folder / "rows.jsonl")


def make_pool(folder):
    random_pool(60).to_json(str(folder.parent / "pool.jsonl"))
    (folder.parent / "mine.yaml").write_text("diversity: {n: 5}\n")


def draw_table(folder):
    table = folder.parent / "models.csv"
    table.write_text("name,examples,accuracy\ns1,1000,93\n")
    draw_models(table, folder)


def judge(folder):
    one = Judge("http://localhost:1/v1", "m", folder / "verdicts.jsonl")
    one._ask = lambda content: "Yes"
    assert one("What is 6 times 7?", "42", "It is 42.")


def keep_journal(folder):
    recipe = read_recipe("sft_embedded", ["--output_dir", str(folder)])
    Journal(folder).begin(recipe, {"source": "here"})
    Journal(folder).finish({"loss": 1.0})


def train(folder):
    """All of a training run that writes by itself is third-party code; the checks come before it."""
    check(read_recipe("sft_embedded", ["--output_dir", str(folder)]))
    for name in ("model.safetensors", "merged/config.json", "README.md"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text("{}")


def use_methods(folder):
    model, tokenizer = embedded.load()
    problems = problems_of("s1:embedded", max_samples=1)
    bench = Bench(model=model, tokenizer=tokenizer, problems=problems, max_new_tokens=60, max_answer_tokens=12)
    run_methods([BudgetForcing(max_thinking_tokens=[16])], bench, folder)


def make_traces(folder):
    source = LocalModel("embedded", max_thinking_tokens=16, max_answer_tokens=12, dtype="float32")
    generate_traces(embedded_pool(1), source, folder)


def evaluate(folder):
    config = BudgetForcingConfig(
        model_name=str(embedded.MODEL_PATH), dtype="float32", max_thinking_tokens=16, cache_dir=str(folder / "store")
    )
    run.evaluate(config, "s1:embedded", output_dir=str(folder), max_samples=1)


@dataclass
class Writer:
    """What writes into a folder, what has to be there before, whether any link makes it refuse everything, and the
    folder in there that it is given, if it is not the folder itself."""

    write: object
    prepare: object = lambda folder: None
    all_or_nothing: bool = False
    named: str = "."


WRITERS = {
    "save_rows jsonl": Writer(save_some_rows),
    "save_rows parquet": Writer(lambda folder: save_rows(ROWS, folder / "rows.parquet")),
    "write_about": Writer(lambda folder: write_about(folder, model="m")),
    "write_report": Writer(lambda folder: write_report(ROWS, folder)),
    "draw_models": Writer(draw_table),
    "save_training": Writer(lambda folder: save_training([{"loss": 1.0, "step": 1}], folder / "training.png")),
    "export": Writer(lambda folder: export_custom_generate(folder, max_thinking_tokens=16), copy_model),
    "write_training_file": Writer(lambda folder: write_training_file(folder / "train.jsonl")),
    "write_rows": Writer(lambda folder: write_rows(Dataset.from_dict({"question": ["a"]}), folder)),
    "curate": Writer(
        lambda folder: save_curation(
            curate(random_pool(60), Recipe(diversity=Diversity(n=5))), folder / "out", overwrite=True
        ),
        named="out",
    ),
    "judge": Writer(judge),
    "journal": Writer(keep_journal),
    "sft": Writer(train, all_or_nothing=True),
    "run_methods": Writer(use_methods),
    "generate_traces": Writer(make_traces, all_or_nothing=True),
    "evaluate": Writer(evaluate, all_or_nothing=True, named="store"),
    "s1-hf eval": Writer(
        lambda folder: command(
            "eval", "embedded", "--tasks", "s1:embedded", "--max-samples", 1, "--max-new-tokens", 30, "--output-dir",
            folder / "out",
        ),
        named="out",
    ),
    "s1-hf plot": Writer(lambda folder: command("plot", folder, "--formats", "svg"), save_some_rows),
    "s1-hf curate": Writer(
        lambda folder: command(
            "curate", folder.parent / "mine.yaml", "--input", folder.parent / "pool.jsonl", "--output-dir",
            folder / "out", "--overwrite",
        ),
        make_pool,
        named="out",
    ),
    "s1-hf data embedded": Writer(
        lambda folder: command("data", "embedded", "--output-dir", folder, "--problems", 2),
        all_or_nothing=True,
    ),
    "s1-hf demo": Writer(lambda folder: command("demo", "--problems", 1, "--output-dir", folder)),
}  # fmt: skip


@pytest.fixture(scope="module", params=WRITERS)
def writer(request, tmp_path_factory):
    """A writer, and what it has written into a folder."""
    one = WRITERS[request.param]
    folder = fresh(tmp_path_factory.mktemp("first"), one)
    before = set(folder.rglob("*"))
    one.write(folder)
    written = sorted(path.relative_to(folder) for path in set(folder.rglob("*")) - before)
    written = [path for path in written if not path.name.startswith(OF_LEDGERS)]
    files = [path for path in written if (folder / path).is_file()]
    assert files
    assert not [path for path in folder.rglob("*") if path.name.endswith(".part")]
    return one, files, [path for path in written if path not in files and path != Path(one.named)]


def fresh(place, writer):
    folder = place / "folder"
    folder.mkdir()
    writer.prepare(folder)
    return folder


def refusal(writer, folder):
    """What it says if it refuses."""
    try:
        writer.write(folder)
    except (ValueError, OSError) as error:
        return str(error).replace("\n", "")
    return None


@pytest.mark.parametrize("content", ["", "precious\n"])
def test_links_at_files_are_replaced_or_refused(writer, content, tmp_path):
    one, files, _ = writer
    folder = fresh(tmp_path, one)
    victims = {}
    for number, name in enumerate([*files, *map(part_of, files)]):
        victim = tmp_path / f"victim {number}"
        victim.write_text(content)
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).symlink_to(victim)
        victims[folder / name] = victim
    for _ in range(len(victims) + 1):
        said = refusal(one, folder)
        assert {victim.read_text() for victim in victims.values()} == {content}
        if said is None:
            break
        if one.all_or_nothing:
            assert str(folder) in said
            return
        named = [link for link in victims if str(link) in said]
        assert named, said
        named[0].unlink()
    assert said is None
    assert [name for name in files if (folder / name).is_symlink()] == []


def test_links_at_folders_are_refused(writer, tmp_path):
    one, _, folders = writer
    for number, name in enumerate(folders):
        place, victim = tmp_path / f"{number}", tmp_path / f"victim {number}"
        place.mkdir()
        victim.mkdir()
        (victim / "thesis.tex").write_text("precious")
        folder = fresh(place, one)
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).symlink_to(victim)
        said = refusal(one, folder)
        assert said is None or str(folder) in said, said
        assert said is not None or not (folder / name).is_symlink()
        assert os.listdir(victim) == ["thesis.tex"]
