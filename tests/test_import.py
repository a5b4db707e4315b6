"""`import s1_hf` is light, its public names resolve, and a missing extra is named."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import s1_hf
from s1_hf._lazy import require

HEAVY = {"torch", "transformers", "datasets", "trl", "peft", "lighteval", "matplotlib"}


def heavy_modules_after(statement: str) -> set[str]:
    """The heavy libraries that a fresh interpreter has loaded after `statement`."""
    code = f"import sys; {statement}; print(*({HEAVY!r} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return set(done.stdout.split())


@pytest.mark.parametrize("statement", ["import s1_hf", "import s1_hf; dir(s1_hf)", "from s1_hf._lazy import require"])
def test_import_loads_no_heavy_library(statement: str) -> None:
    assert heavy_modules_after(statement) == set()


def test_the_check_above_sees_a_heavy_library() -> None:
    assert "torch" in heavy_modules_after("import s1_hf, torch")


@pytest.mark.parametrize("name", dir(s1_hf))
def test_public_name_resolves(name: str) -> None:
    if name == "load_s1k":
        pytest.importorskip("datasets")
    value = getattr(s1_hf, name)
    assert getattr(value, "__name__", name) == name
    assert getattr(s1_hf, name) is value


def test_a_public_name_is_not_a_module() -> None:
    """Importing a submodule binds its name in the package, over a lazy name of the same spelling."""
    modules = {path.stem for path in Path(s1_hf.__file__).parent.iterdir()}
    assert modules.isdisjoint(dir(s1_hf))


def test_type_checkers_see_the_same_names() -> None:
    tree = ast.parse(Path(s1_hf.__file__).read_text(encoding="utf-8"))
    seen = {
        alias.asname: node.module
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom) and node.module and node.module.startswith("s1_hf.")
        for alias in node.names
    }
    assert seen == {name: f"s1_hf.{module}" for name, module in s1_hf._MODULE_OF.items()}


def test_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="'s1_hf' has no attribute 'budget_forcign'"):
        s1_hf.budget_forcign  # noqa: B018


def test_require_returns_the_submodule_itself() -> None:
    assert require("xml.dom.minidom", "plot") is sys.modules["xml.dom.minidom"]


def test_missing_extra_is_named_with_its_command() -> None:
    with pytest.raises(ImportError, match=r"`no_such_library\.plots`.*`no_such_library` is not installed") as caught:
        require("no_such_library.plots", "plot")
    assert "pip install 's1-hf[plot]'" in str(caught.value)
    assert caught.value.name == "no_such_library"


def test_missing_dependency_of_an_extra_is_the_one_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A host library that is there but lacks a part of its own: the part is named, not the library."""
    (tmp_path / "half_installed.py").write_text("import no_such_part\n")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(ImportError, match="`half_installed` cannot be imported because `no_such_part` is not"):
        require("half_installed", "eval")


def test_broken_extra_keeps_its_own_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An installed library that fails to import is not reported as missing."""
    (tmp_path / "broken_library.py").write_text("raise ImportError('needs another version')\n")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(ImportError, match="^needs another version$"):
        require("broken_library", "eval")
