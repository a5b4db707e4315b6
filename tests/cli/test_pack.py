"""`s1-hf pack` and `s1-hf replay`: verdicts, exit codes, JSON."""

import json
from types import SimpleNamespace

import pytest

pytest.importorskip("typer")
pytest.importorskip("matplotlib")
pytest.importorskip("pyarrow")

from result_rows import a_row
from typer.testing import CliRunner

from s1_hf.cli import app
from s1_hf.results.rows import load_rows, save_rows


@pytest.fixture
def packed(tmp_path, monkeypatch):
    """Without figures, which take seconds."""

    def written(rows, folder, **options):
        folder.mkdir(exist_ok=True)
        (folder / "report.html").write_text(str(len(rows)))
        return SimpleNamespace(page=folder / "report.html", figures=[])

    monkeypatch.setattr("s1_hf.packs.packing.write_report", written)
    monkeypatch.setattr("s1_hf.packs.replaying.write_report", written)
    monkeypatch.chdir(tmp_path)
    rows = [a_row(setting=setting, problem=p, correct=setting == p) for setting in "12" for p in "123"]
    save_rows(rows, tmp_path / "results" / "rows.jsonl")
    found = run("pack", "results", "--output-dir", "packed", "--json")
    assert found.exit_code == 0, found.output
    return json.loads(found.stdout)


def run(*arguments):
    return CliRunner().invoke(app, list(map(str, arguments)))


def test_the_head_is_printed_and_proves_the_pack(packed):
    assert packed["rows"] == 6 and len(packed["head"]) == 64
    assert f"head: {packed['head']}" in run("pack", "results", "--output-dir", "again").stdout
    found = run("replay", "packed", "--head", packed["head"])
    assert found.exit_code == 0, found.output
    for said in ("rows: as they were packed", "tables: the same numbers", "no row says what was asked", "It agrees."):
        assert said in found.stdout


def test_what_does_not_agree_is_said_with_exit_code_1(packed):
    rows = load_rows("packed")
    save_rows([*rows[1:], rows[0]], "packed/data/rows.parquet")
    found = run("replay", "packed")
    assert found.exit_code == 1 and "rows: The rows stand in another order" in found.stdout
    assert "It does not agree." in found.stdout
    found = run("replay", "packed", "--json")
    assert found.exit_code == 1 and json.loads(found.stdout)["agrees"] is False


def test_bad_input_is_refused(packed):
    for arguments, said in (
        (["replay", "results"], "is no pack"),
        (["replay", "packed", "--output-dir", "packed/out"], "outside of the pack"),
        (["replay", "packed", "--dtype", "int8"], "`--dtype` has to be"),
        (["pack", "results", "--output-dir", "results/in"], "outside of the results"),
        (["pack", "nowhere", "--output-dir", "out"], "does not exist"),
    ):
        found = run(*arguments)
        assert found.exit_code == 2 and said in found.output.replace("\n", " "), found.output
