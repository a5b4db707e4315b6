"""A recipe either becomes a run or is refused, before weights are loaded."""

import pytest

pytest.importorskip("trl")
pytest.importorskip("datasets")

from training_runs import arguments

from s1_hf.sft.checking import check
from s1_hf.sft.recipe import read_recipe


def test_a_finished_run_is_not_started_again(unbroken):
    recipe, *overrides = arguments(unbroken)
    with pytest.raises(ValueError, match="holds a finished run. Choose another `--output_dir`"):
        check(read_recipe(recipe, overrides))


@pytest.mark.parametrize(("processes", "accumulated"), [(None, 16), (4, 4)])
def test_accumulation_follows_from_the_processes_of_the_planned_run(tmp_path, processes, accumulated):
    recipe, *overrides = arguments(tmp_path / "run", "--per_device_train_batch_size", "1")
    run = check(read_recipe(recipe, overrides), processes)
    assert run.args.gradient_accumulation_steps == accumulated and run.checkpoint is None


def test_all_faults_of_fields_and_values_are_reported_at_once(tmp_path):
    recipe, *overrides = arguments(tmp_path / "run", "--packing", "true", "--learning_rate", "-1")
    with pytest.raises(ValueError, match="(?s)not started:.*Leave out `packing`.*`learning_rate` has to be more"):
        check(read_recipe(recipe, overrides))
