"""The notebook for laptops and Colab runs from top to bottom; the other one is valid, compiles, and has no outputs."""

import ast
import re
from pathlib import Path

import pytest

nbformat = pytest.importorskip("nbformat", reason="it is in the dependency group `docs`")

ROOT = Path(__file__).parents[2]
NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))


def test_the_notebook_runs_without_a_gpu(tmp_path):
    nbclient = pytest.importorskip("nbclient")
    pytest.importorskip("ipykernel")
    for extra in ("math_verify", "matplotlib", "trl"):
        pytest.importorskip(extra)
    notebook = nbformat.read(ROOT / "notebooks" / "start.ipynb", as_version=4)
    client = nbclient.NotebookClient(notebook, timeout=600, resources={"metadata": {"path": str(tmp_path)}})
    client.execute()
    outputs = [output for cell in notebook.cells for output in cell.get("outputs", [])]
    text = "".join(output.get("text", "") for output in outputs)
    assert "ended='natural', ends_ignored=1" in text and "ended='cut'" in text
    assert any("image/png" in output.get("data", {}) for output in outputs)
    assert any("#d55e00" in output.get("data", {}).get("text/html", "") for output in outputs)
    assert (tmp_path / "my-toy" / "model.safetensors").exists()


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.name)
def test_a_notebook_is_valid_compiles_and_has_no_outputs(path):
    notebook = nbformat.read(path, as_version=4)
    nbformat.validate(notebook)
    for cell in notebook.cells:
        if cell.cell_type == "code":
            ast.parse(re.sub(r"^(\s*)[%!].*$", r"\1pass", cell.source, flags=re.MULTILINE))
            assert cell.outputs == [] and cell.execution_count is None


def test_the_command_lines_of_notebooks_exist():
    pytest.importorskip("typer")
    import shlex

    from typer.testing import CliRunner

    from s1_hf.cli import app

    lines = re.findall(r"^!s1-hf (.*)$", "\n".join(
        cell.source for path in NOTEBOOKS for cell in nbformat.read(path, as_version=4).cells
    ), re.MULTILINE)  # fmt: skip
    assert len(lines) > 3
    for line in lines:
        assert CliRunner().invoke(app, [*shlex.split(line), "--help"]).exit_code == 0, line
