"""`s1-hf check`: its table, its JSON and its exit codes; what is found is tested in tests/conformance."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

pytest.importorskip("typer")

from s1_hf.__main__ import main
from s1_hf.conformance import suite
from s1_hf.conformance.findings import Finding
from s1_hf.conformance.suite import Outcome

ABOUT = {"engine": "transformers", "device": "cpu", "device_name": "x", "dtype": "float32", "versions": {"torch": "2"}}
SOUND = Finding("caps", "passed", "3 rows", {"rows": 3})
FAULT = Finding("ignores", "fault", "1 of 3 rows. First, row 0: token 2 is 'a' where the reference has 'b'")


@pytest.fixture
def command(monkeypatch, capsys):
    """Runs the command with a suite that finds what is given, and returns the exit code, stdout and stderr."""

    def run(*arguments: str, findings: tuple[Finding, ...] = (SOUND,)) -> tuple[int, str, str]:
        def found(model, *, on_progress, **options):
            on_progress("caps", 0, 1)
            return Outcome(ABOUT | {"options": sorted(options)}, findings)

        monkeypatch.setattr(suite, "check", found)
        monkeypatch.setattr(sys, "argv", ["s1-hf", "check", *arguments])
        with pytest.raises(SystemExit) as ended:
            main()
        out, error = capsys.readouterr()
        return int(ended.value.code or 0), out, error

    return run


def test_without_a_fault_it_exits_with_0(command):
    code, out, _ = command()
    assert code == 0 and "No fault." in out
    assert "caps" in out and "passed" in out and "3 rows" in out and "torch 2" in out


def test_a_fault_is_named_and_the_exit_code_is_1(command):
    code, out, _ = command(findings=(SOUND, FAULT))
    assert code == 1
    assert "Fault in ignores." in out and "where the reference has 'b'" in out and "--json" in out


def test_json_is_all_there_is_on_stdout(command):
    code, out, _ = command("--json", findings=(SOUND, FAULT))
    found = json.loads(out)
    assert code == 1 and found["verdict"] == "fault" and found["model"] is None
    assert [one["name"] for one in found["findings"]] == ["caps", "ignores"]
    assert found["findings"][0]["figures"] == {"rows": 3} and found["about"]["versions"] == {"torch": "2"}


def test_json_holds_no_folders_and_no_secrets(command, tmp_path, monkeypatch):
    monkeypatch.setenv("HF_TOKEN", "hf_PlantedPlantedPlanted")
    model = tmp_path / "somebody" / "my-model"
    model.mkdir(parents=True)
    monkeypatch.setattr(Path, "home", lambda: tmp_path / "somebody")
    said = f"crashed with OSError: {model}/x of {tmp_path / 'somebody'} with hf_PlantedPlantedPlanted"
    leaking = Finding("caps", "fault", said, {"first": said, "more": [said]})
    _, out, _ = command(str(model), "--json", findings=(leaking,))
    assert json.loads(out)["model"] == "my-model"
    assert "somebody" not in out and "Planted" not in out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--device", "no such"], "`--device` has to be one that this torch can use"),
        (["--device", "meta:999x"], "`--device` has to be one that this torch can use"),
        (["--tensor-parallel-size", "8"], "Options of vLLM need `--engine vllm`"),
        (["--divice=cpu"], "No such option: --divice. Did you mean --device?"),
        (["embedded", "--thinking-start", "<a>"], "needs `--thinking-close`"),
    ],
)
def test_bad_input_exits_with_2(command, arguments, message):
    code, _, error = command(*arguments)
    assert code == 2 and message in error.replace("\n", " ")
