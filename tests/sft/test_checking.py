"""A recipe either becomes a run or is refused, before weights are loaded."""

import pytest

pytest.importorskip("trl")
pytest.importorskip("datasets")

from accelerate import ParallelismConfig
from training_runs import arguments

from s1_hf.sft.checking import check, data_parallel_ranks
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


@pytest.mark.parametrize(
    ("sizes", "accumulated"),
    [({"TP_SIZE": "2"}, 4), ({"CP_SIZE": "4"}, 8), ({"SP_SIZE": "2"}, 4), ({"DP_SHARD_SIZE": "8"}, 2)],
    ids=str,
)
def test_ranks_that_share_their_rows_are_no_data_parallel_ones(tmp_path, monkeypatch, sizes, accumulated):
    """Of eight processes, as `accelerate launch` tells them their parallelism."""
    monkeypatch.setenv("ACCELERATE_USE_PARALLELISM_CONFIG", "true")
    for name, size in sizes.items():
        monkeypatch.setenv(f"PARALLELISM_CONFIG_{name}", size)
    monkeypatch.setattr("s1_hf.sft.checking.launched", lambda: 8)
    monkeypatch.setattr("s1_hf.sft.checking.check_together", lambda count: None)
    recipe, *overrides = arguments(tmp_path / "run", "--per_device_train_batch_size", "1")
    overrides += ["--pad_to_multiple_of", "8"]
    assert check(read_recipe(recipe, overrides)).args.gradient_accumulation_steps == accumulated


def test_rows_that_cannot_be_cut_are_refused_in_the_processes_too(tmp_path, monkeypatch):
    monkeypatch.setenv("ACCELERATE_USE_PARALLELISM_CONFIG", "true")
    monkeypatch.setenv("PARALLELISM_CONFIG_CP_SIZE", "4")
    recipe, *overrides = arguments(tmp_path / "run")
    with pytest.raises(ValueError, match="`pad_to_multiple_of` has to be a multiple of 8 with `cp_size` 4"):
        check(read_recipe(recipe, overrides))


def test_processes_that_cannot_be_divided_are_refused():
    with pytest.raises(ValueError, match="multiple of 3, the ranks of tensor, context and sequence parallelism"):
        data_parallel_ranks(8, ParallelismConfig(tp_size=3))


def test_processes_that_do_not_know_of_each_other_are_refused_but_for_a_dry_run(tmp_path, monkeypatch):
    """On a machine without GPUs: each would train the whole, into one folder."""
    monkeypatch.setattr("s1_hf.sft.checking.launched", lambda: 2)
    monkeypatch.setattr("s1_hf.engines.processes.launched", lambda: 2)
    recipe, *overrides = arguments(tmp_path / "run", "--per_device_train_batch_size", "1")
    with pytest.raises(ValueError, match="2 processes were launched, but they cannot work together"):
        check(read_recipe(recipe, overrides))
    assert check(read_recipe(recipe, [*overrides, "--dry_run", "true"])).args.gradient_accumulation_steps == 8


def test_missing_packages_are_refused(tmp_path):
    recipe, *overrides = arguments(tmp_path / "run", "--use_liger_kernel", "true", "--dry_run", "true")
    with pytest.raises(ValueError, match="`use_liger_kernel` needs liger_kernel, which is not installed: pip install"):
        check(read_recipe(recipe, overrides))


def test_all_faults_of_fields_and_values_are_reported_at_once(tmp_path):
    recipe, *overrides = arguments(tmp_path / "run", "--packing", "true", "--learning_rate", "-1")
    with pytest.raises(ValueError, match="(?s)not started:.*Leave out `packing`.*`learning_rate` has to be more"):
        check(read_recipe(recipe, overrides))
