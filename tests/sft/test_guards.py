"""What is refused before weights are loaded."""

import shutil
from pathlib import Path

import pytest

pytest.importorskip("trl")

from hypothesis import given
from hypothesis import strategies as st

from s1_hf import embedded
from s1_hf.data.conversation import LengthSummary
from s1_hf.sft import guards


@given(st.integers(1, 64), st.integers(1, 8), st.integers(1, 64))
def test_the_global_batch_is_kept_or_refused(size, per_device, processes):
    try:
        steps = guards.accumulation_steps(size, per_device, processes)
    except ValueError:
        assert size % (per_device * processes) != 0
    else:
        assert steps * per_device * processes == size


def test_an_impossible_batch_is_refused_with_numbers_that_work():
    with pytest.raises(ValueError, match="3 processes = 3.*no batch size works.*1, 2, 4, 8 or 16 processes would work"):
        guards.accumulation_steps(16, per_device=1, processes=3)
    with pytest.raises(ValueError, match="`per_device_train_batch_size` may be 1, 2 or 4"):
        guards.accumulation_steps(16, per_device=3, processes=4)


@pytest.mark.parametrize(
    ("rows", "epochs", "max_steps", "steps"),
    [(1000, 5, -1, 315), (1000, 5, 7, 7), (1000, 0.5, -1, 32), (16, 1, -1, 1), (17, 1, -1, 2), (59029, 5, -1, 18450)],
)
def test_steps_of_a_run(rows, epochs, max_steps, steps):
    assert guards.total_steps(rows, 16, epochs, max_steps) == steps


def test_another_number_of_steps_than_expected_is_refused():
    assert guards.step_faults(315, 315, 1000) == guards.step_faults(12, None, 1000) == []
    (fault,) = guards.step_faults(314, 315, 999)
    assert "314 optimizer steps on 999 rows" in fault and "`--expected_steps none`" in fault


def summary(lengths, max_length):
    return LengthSummary(tuple(lengths), sum(lengths), max_length)


def test_rows_that_would_be_cut_are_named_longest_first():
    (fault,) = guards.length_faults(summary([5, 30, 7, 20], 10), context=None, allowed=False)
    assert "2 of 4 rows (50.0%)" in fault
    assert "row 1: 30 tokens, row 3: 20 tokens." in fault
    assert "Raise `max_length` to 30" in fault


@pytest.mark.parametrize("limit", [30, 31, None])
def test_rows_that_fit_pass(limit):
    assert guards.length_faults(summary([5, 30], limit), context=30, allowed=False) == []


def test_data_without_rows_is_refused():
    assert guards.length_faults(summary([], 10), context=10, allowed=False) == ["The data has no rows."]


def test_cut_rows_pass_if_requested():
    assert guards.length_faults(summary([5, 30], 10), context=10, allowed=True) == []


def test_a_row_beyond_the_models_context_is_refused_even_then():
    (fault,) = guards.length_faults(summary([5, 30], 20), context=10, allowed=True)
    assert "The longest row has 20 tokens, but the model's context is 10." in fault


@pytest.mark.parametrize("pad", [None, "<|im_end|>"])
def test_padding_without_its_own_token_is_refused(pad):
    _, tokenizer = embedded.load()
    assert guards.padding_faults(tokenizer) == []
    tokenizer.pad_token = pad
    (fault,) = guards.padding_faults(tokenizer)
    assert "--padding_token" in fault


def test_a_disk_that_is_too_small_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(shutil, "disk_usage", lambda path: shutil._ntuple_diskusage(10, 5, 5 * 10**9))
    folder = tmp_path / "not" / "yet" / "there"
    assert guards.disk_faults(folder, 5 * 10**9) == []
    (fault,) = guards.disk_faults(folder, 6 * 10**9)
    assert f"6.0 GB (checkpoints and the final model), but {tmp_path} has 5.0 GB free" in fault


@pytest.mark.parametrize(
    ("free", "said"),
    [(0, "0 bytes"), (999, "999 bytes"), (40_000, "40.0 kB"), (5 * 10**6, "5.0 MB"), (2 * 10**12, "2,000.0 GB")],
)
def test_little_space_is_told_in_small_units(tmp_path, monkeypatch, free, said):
    monkeypatch.setattr(shutil, "disk_usage", lambda path: shutil._ntuple_diskusage(10, 5, free))
    assert f"has {said} free" in guards.disk_faults(tmp_path, 10**15)[0]


GOOD = {
    "num_train_epochs": 5, "max_steps": -1, "global_batch_size": 16, "per_device_train_batch_size": 1,
    "max_length": None, "learning_rate": 1e-5, "merge_adapter": False, "use_peft": False,
}  # fmt: skip


@pytest.mark.parametrize(
    "bad",
    [
        {"num_train_epochs": 0},
        {"num_train_epochs": -1},
        {"global_batch_size": 0},
        {"global_batch_size": -16},
        {"per_device_train_batch_size": 0},
        {"max_length": 0},
        {"max_length": -5},
        {"learning_rate": float("nan")},
        {"learning_rate": -1.0},
        {"learning_rate": float("inf")},
        {"weight_decay": float("nan")},
        {"max_grad_norm": float("inf")},
        {"merge_adapter": True},
    ],
    ids=str,
)
def test_numbers_that_train_nothing_are_refused(bad):
    assert guards.value_faults(GOOD) == []
    (fault,) = guards.value_faults(GOOD | bad)
    assert f"`{next(iter(bad))}`" in fault


def test_steps_may_be_given_instead_of_epochs():
    assert guards.value_faults(GOOD | {"num_train_epochs": 0, "max_steps": 3}) == []


def test_an_output_folder_that_is_a_file_is_refused(tmp_path):
    (tmp_path / "file").write_text("")
    assert guards.folder_faults(tmp_path / "new" / "folder") == []
    (fault,) = guards.folder_faults(tmp_path / "file" / "folder")
    assert "`output_dir` has to be a folder" in fault


@pytest.mark.parametrize(
    "field",
    [
        "gradient_accumulation_steps",
        "save_only_model",
        "resume_from_checkpoint",
        "packing",
        "pad_token",
        "eval_strategy",
        "auto_find_batch_size",
        "logging_nan_inf_filter",
    ],
)
def test_fields_that_would_do_something_else_are_refused(field):
    (fault,) = guards.field_faults({field: 1, "learning_rate": 1})
    assert fault.startswith(f"Leave out `{field}`")


def test_all_faults_are_reported_at_once():
    with pytest.raises(ValueError, match="(?s)was not started:\n- one\n- two"):
        guards.refuse(["one", "two"])
    guards.refuse([])


def test_no_guard_reads_a_missing_folder(tmp_path):
    assert guards.disk_faults(Path("relative/folder"), 1) == []
