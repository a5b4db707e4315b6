"""No process that this package starts runs a file of the working folder."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

import s1_hf
from s1_hf.finding import RECIPES
from s1_hf.isolation import isolated_children, without_working_folder

SOURCE = str(Path(s1_hf.__file__).parents[1])
HOSTILE = ("json", "math_verify", "sympy", "torch", "accelerate", "yaml", "typer", "logging", "runpy", "signal")

# As the installed `s1-hf` starts: a script somewhere else, whose folder comes first.
SCRIPT = f"import sys; sys.path.append({SOURCE!r}); from s1_hf.__main__ import main; sys.exit(main())\n"


@pytest.fixture
def hostile_folder(tmp_path, monkeypatch):
    """A working folder with files that Python would take for its own; each says so when it is run."""
    folder = tmp_path / "hostile"
    folder.mkdir()
    for name in HOSTILE:
        says = f"open({str(tmp_path / 'RAN')!r}, 'a').write(__name__ + '\\n')"
        (folder / f"{name}.py").write_text(f"{says}\nraise SystemExit\n")
    monkeypatch.chdir(folder)
    return folder


def ran(folder: Path) -> str:
    file = folder.parent / "RAN"
    return file.read_text() if file.exists() else ""


def s1_hf_command(folder: Path, *arguments: str, path: str | None = None) -> subprocess.CompletedProcess[str]:
    script = folder.parent / "bin" / "s1-hf"
    script.parent.mkdir(exist_ok=True)
    script.write_text(SCRIPT)
    environment = {**os.environ, "HF_HUB_OFFLINE": "1", "PYTHONPATH": SOURCE if path is None else path}
    return subprocess.run([sys.executable, str(script), *arguments], capture_output=True, text=True, env=environment)


def test_the_files_of_the_working_folder_would_be_run(hostile_folder):
    subprocess.run([sys.executable, "-c", "import json"], env={**os.environ, "PYTHONSAFEPATH": ""})
    assert ran(hostile_folder) == "json\n"


@pytest.mark.parametrize("path", [SOURCE, os.pathsep + SOURCE, f"{SOURCE}{os.pathsep}.{os.pathsep}"])
def test_the_grading_worker_runs_no_file_of_the_working_folder(path, hostile_folder):
    """Whatever PYTHONPATH says: an empty entry of it is the working folder."""
    pytest.importorskip("math_verify")
    code = f"import sys; sys.path.append({SOURCE!r})\nfrom s1_hf.grading import worker\n"
    code += f"sys.path[:0] = {path.split(os.pathsep)!r}\nworker.find_spec = lambda name: True\n"
    code += "print(worker.verify('x+1', '1+x'))"
    script = hostile_folder.parent / "grades.py"
    script.write_text(code)
    done = subprocess.run([sys.executable, str(script)], capture_output=True, text=True)
    assert (done.stdout, ran(hostile_folder)) == ("equal\n", ""), done.stderr


def test_traces_run_no_file_of_the_working_folder(hostile_folder):
    pytest.importorskip("datasets")
    pytest.importorskip("math_verify")
    (hostile_folder / "pool.csv").write_text(
        'question,solution\n"Lamp A flashes at second 2 and then every 7 seconds. Lamp B flashes at second 3 and then '
        'every 8 seconds. When do they first flash together?",\\boxed{\\frac{x+1}{2}}\n'
    )
    done = s1_hf_command(hostile_folder, "data", "traces", "embedded", "--input", "pool.csv", "--output-dir", "out")
    assert done.returncode == 0, done.stderr
    assert ran(hostile_folder) == ""


@pytest.mark.skipif(sys.version_info < (3, 11), reason="Python 3.10 knows no PYTHONSAFEPATH; SECURITY.md says so")
def test_training_processes_run_no_file_of_the_working_folder(hostile_folder):
    """The child is started, and refuses: paths of a recipe are still those of the working folder."""
    pytest.importorskip("trl")
    pytest.importorskip("datasets")
    recipe = (RECIPES / "sft_embedded.yaml").read_text(encoding="utf-8")
    (hostile_folder / "mine.yaml").write_text(recipe.replace("package://embedded/train.jsonl", "rows.jsonl"))
    done = s1_hf_command(hostile_folder, "sft", "mine.yaml", "--machine", "cpu")
    assert done.returncode == 2 and "rows.jsonl" in done.stderr
    assert ran(hostile_folder) == ""


@pytest.mark.skipif(sys.version_info < (3, 11), reason="Python 3.10 knows no PYTHONSAFEPATH")
@pytest.mark.parametrize("path", ["", os.pathsep, f"{os.pathsep}.{os.pathsep}"])
@pytest.mark.parametrize("command", [["-c", "import json"], ["-m", "json.tool", "--help"]])
def test_every_child_is_isolated_and_the_environment_is_put_back(command, path, hostile_folder, monkeypatch):
    monkeypatch.setenv("PYTHONPATH", path)
    monkeypatch.delenv("PYTHONSAFEPATH", raising=False)
    with isolated_children():
        subprocess.run([sys.executable, *command], capture_output=True)
    assert ran(hostile_folder) == ""
    assert os.environ["PYTHONPATH"] == path and "PYTHONSAFEPATH" not in os.environ


def test_a_checkout_that_is_the_working_folder_is_still_found(monkeypatch):
    monkeypatch.chdir(SOURCE)
    monkeypatch.setenv("PYTHONPATH", "")
    assert without_working_folder(["", "elsewhere"]) == ["", "elsewhere"]
    with isolated_children():
        code = "import s1_hf; print(s1_hf.__file__)"
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert Path(done.stdout.strip()) == Path(s1_hf.__file__)


def test_links_to_the_working_folder_are_seen_through(tmp_path, monkeypatch):
    (tmp_path / "real").mkdir()
    try:
        (tmp_path / "link").symlink_to(tmp_path / "real")
    except OSError:
        pytest.skip("no links here")
    monkeypatch.chdir(tmp_path / "real")
    given = [str(tmp_path / "link"), str(tmp_path), os.path.join("..", "real"), "no-such-folder"]
    assert without_working_folder(given) == [str(tmp_path), "no-such-folder"]
