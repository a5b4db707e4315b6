"""`python -m s1_hf.sft`, in a process of its own."""

import pytest

pytest.importorskip("trl")
pytest.importorskip("datasets")

from training_runs import arguments, finish, start


def test_a_dry_run_writes_nothing(tmp_path):
    output = finish(start(arguments(tmp_path / "run", "--dry_run", "true")))
    assert "nothing was trained" in output
    assert not (tmp_path / "run").exists()


def test_a_refused_run_ends_with_exit_code_2_and_one_error_line():
    process = start(["sft_nowhere"])
    output, _ = process.communicate()
    assert process.returncode == 2
    assert "Error: There is no recipe 'sft_nowhere'" in output and "Traceback" not in output
