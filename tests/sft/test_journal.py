"""What a run's folder remembers: when to resume, and when to refuse."""

import json

import pytest

pytest.importorskip("trl")
pytest.importorskip("datasets")

from training_runs import arguments, begin

from s1_hf import embedded
from s1_hf.sft.checking import check
from s1_hf.sft.checkpoints import find_checkpoints
from s1_hf.sft.journal import Journal
from s1_hf.sft.recipe import read_recipe


def test_a_run_is_not_resumed_with_other_settings(tmp_path):
    recipe, *overrides = arguments(tmp_path)
    begin(tmp_path, recipe, overrides)
    same = check(read_recipe(recipe, [*overrides, "--logging_steps", "5", "--save_steps", "3"]))  # of no consequence
    assert same.checkpoint == str(tmp_path / "checkpoint-2")
    with pytest.raises(
        ValueError, match="started with other settings: `learning_rate` was 0.001, is 0.5; `seed` was 0"
    ):
        check(read_recipe(recipe, [*overrides, "--seed", "1", "--learning_rate", "0.5"]))
    with pytest.raises(ValueError, match="`dataloader_drop_last` was False, is True"):
        check(read_recipe(recipe, [*overrides, "--dataloader_drop_last", "true"]))


def test_a_run_is_not_resumed_on_other_data(tmp_path):
    data = tmp_path / "mine.jsonl"
    rows = (embedded.BASE_PATH.parent / "train.jsonl").read_text().splitlines()[:40]
    data.write_text("\n".join(rows))
    recipe, *overrides = arguments(tmp_path / "run", "--dataset_path", str(data))
    begin(tmp_path / "run", recipe, overrides)
    data.write_text("\n".join(rows[:33]))
    with pytest.raises(ValueError, match="started on other data: sha256 was .*; rows was 40, is 33"):
        check(read_recipe(recipe, overrides))


def test_a_run_without_a_checkpoint_starts_again_with_any_settings(tmp_path):
    recipe, *overrides = arguments(tmp_path)
    Journal(tmp_path).begin(read_recipe(recipe, overrides), {})
    assert check(read_recipe(recipe, [*overrides, "--seed", "1"])).checkpoint is None


def test_the_checkpoints_of_a_run_bear_its_mark(unbroken):
    run = json.loads((unbroken / "s1_run.json").read_text())["run"]
    assert find_checkpoints(unbroken, run).newest == unbroken / "checkpoint-6"
    with pytest.raises(ValueError, match="checkpoint-4 is of another run; checkpoint-6 is of another run"):
        find_checkpoints(unbroken, "another")


def test_a_run_that_resumes_keeps_its_mark_and_one_that_starts_again_gets_a_new_one(tmp_path):
    recipe, *overrides = arguments(tmp_path)
    journal, read = Journal(tmp_path), read_recipe(recipe, overrides)
    first = journal.begin(read, {})
    assert journal.begin(read, {}, resumes=True) == first != journal.begin(read, {})


@pytest.mark.parametrize("name", ["model.safetensors", "config.json", "checkpoint-8"])
def test_a_folder_with_a_foreign_model_is_refused(tmp_path, name):
    (tmp_path / name).mkdir() if name.startswith("checkpoint") else (tmp_path / name).write_text("")
    recipe, *overrides = arguments(tmp_path)
    with pytest.raises(ValueError, match=f"holds a model that was not made by a recipe .{name}"):
        check(read_recipe(recipe, overrides))


@pytest.mark.parametrize(
    "content", ["[]", "{}", "{bad", '{"settings": [], "data": {}, "finished": true}', "[" * 99_999]
)
def test_a_broken_journal_is_named(tmp_path, content):
    (tmp_path / "s1_run.json").write_text(content)
    recipe, *overrides = arguments(tmp_path)
    with pytest.raises(ValueError, match="s1_run.json:? .*Choose another `--output_dir`, or delete it"):
        check(read_recipe(recipe, overrides))
