"""`python -m s1_hf.sft`, in the test's own process."""

import sys

import pytest

pytest.importorskip("trl")
pytest.importorskip("datasets")

from training_runs import arguments

from s1_hf.sft.__main__ import main


def test_a_dry_run_writes_nothing(tmp_path, monkeypatch, caplog):
    monkeypatch.setattr(sys, "argv", ["s1_hf.sft", *arguments(tmp_path / "run", "--dry_run", "true")])
    with caplog.at_level("INFO", logger="s1_hf"):
        main()
    assert "nothing was trained" in caplog.text
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (["--seed", "1"], "Name a recipe first"),
        (["--config", "sft_nowhere"], "There is no recipe 'sft_nowhere'"),
    ],
)
def test_a_command_without_a_recipe_that_exists_ends_with_exit_code_2(given, said, monkeypatch, caplog):
    monkeypatch.setattr(sys, "argv", ["s1_hf.sft", *given])
    with pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code == 2 and f"Error: {said}" in caplog.text
