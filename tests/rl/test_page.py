"""The page's script runs, and its tables name what there is."""

import re
from pathlib import Path

import pytest

pytest.importorskip("trl")

from s1_hf.rl.law import TOLERANCE
from s1_hf.rl.rewards import REWARDS, L1Exact, L1Max, WithinBudget
from s1_hf.rl.rollout import FIELDS

PAGE = (Path(__file__).parents[2] / "docs" / "reinforcement.md").read_text(encoding="utf-8")


def test_the_script_runs(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("TRL_EXPERIMENTAL_SILENCE", "1")
    (script,) = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
    names: dict = {}
    exec(script, names)
    assert names["trainer"].state.global_step == 1


def test_every_reward_has_its_row_with_its_numbers():
    assert re.findall(r"^\| `(\w+)` \| .* \| .* \|$", PAGE, re.MULTILINE)[: len(REWARDS)] == list(REWARDS)
    assert f"alpha {L1Exact().alpha}" in PAGE and f"delta {L1Max().delta}" in PAGE
    assert f"0 up to `{1 - WithinBudget().window:.1f} b`" in PAGE
    assert PAGE.count(str(TOLERANCE)) >= 4


def test_every_field_of_a_rollout_is_named():
    assert [name for name in FIELDS if f"`{name}`" not in PAGE] == []
