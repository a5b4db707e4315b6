"""The documentation names what exists."""

import re
import runpy
import shlex
from dataclasses import fields
from pathlib import Path

import pytest

from s1_hf import Budget, ThinkingFormat
from s1_hf.forcing.families import FAMILIES
from toys import FAMILIES as TOYS
from toys import toy_tokenizer

ROOT = Path(__file__).parents[1]
PAGES = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/*.md"), *ROOT.glob("recipes/*.md"), *ROOT.glob("benchmarks/*.md")])
ROOMS = (
    "cli|conformance|curate|data|embedded|engines|evaluation|forcing|generation|grading|memory|methods|metrics|plots|"
    "packs|reporting|results|scoring|serving|vllm"
)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_within_the_repository_lead_somewhere(page):
    targets = re.findall(r"\]\(([^)#\s]+)[^)]*\)", page.read_text(encoding="utf-8"))
    dead = [target for target in targets if "://" not in target and not (page.parent / target).exists()]
    assert dead == []


@pytest.mark.parametrize("page", ["semantics.md", "architecture.md", "families.md"])
def test_files_that_a_page_names_exist(page):
    text = (ROOT / "docs" / page).read_text(encoding="utf-8")
    named = re.findall(rf"`((?:tests|benchmarks|training|(?:{ROOMS}))/[\w/.]+\.\w+)`", text)
    assert len(named) > (2 if page == "families.md" else 8)
    gone = [name for name in named if not any((root / name).exists() for root in (ROOT, ROOT / "src" / "s1_hf"))]
    assert gone == []


def test_the_options_of_every_command_line_exist():
    """But for commands that take any option; training's lines are run in tests/sft/test_launch_lines.py."""
    pytest.importorskip("typer")
    from typer.testing import CliRunner

    from s1_hf.cli import app

    found: dict[str, str] = {}
    for page in [*PAGES, *sorted(ROOT.glob("recipes/*.yaml"))]:
        text = page.read_text(encoding="utf-8").replace("\\\n", " ")
        for line in re.findall(r"^[#\s]*(s1-hf [a-z].*)$", text, re.MULTILINE):
            found[re.sub(r"  +\(.*\)$", "", line.split(" #")[0].split(" | ")[0].split(" && ")[0])] = page.name
    asked = {line: CliRunner().invoke(app, [*shlex.split(line)[1:], "--help"]).exit_code for line in found}
    assert {line: found[line] for line, code in asked.items() if code != 0} == {} and len(asked) > 30


def test_every_rule_has_its_paragraph():
    text = (ROOT / "docs" / "semantics.md").read_text(encoding="utf-8")
    assert re.findall(r"\*\*Rule (\d+):", text) == [str(i) for i in range(1, 13)]
    for paragraph in re.split(r"\*\*Rule \d+:", text)[1:]:
        assert "Held by" in paragraph and "inned by" in paragraph


def test_the_page_of_families_is_what_the_code_gives():
    """If not: `python docs/families.py`."""
    script = runpy.run_path(str(ROOT / "docs" / "families.py"))
    assert script["PAGE"].read_text(encoding="utf-8") == script["page"]()


@pytest.mark.parametrize("name", sorted(TOYS.keys() & FAMILIES.keys()))
def test_the_page_says_truly_whether_ends_can_be_ignored(name):
    """As a family's format does on a tokenizer in the shape of the family's own."""
    script = runpy.run_path(str(ROOT / "docs" / "families.py"))
    assert script["can_ignore_ends"](FAMILIES[name]) is not ThinkingFormat.from_tokenizer(toy_tokenizer(name)).plain


def test_the_page_of_own_tasks_names_the_columns_that_are_guessed_and_its_example_runs(tmp_path, monkeypatch, capsys):
    pytest.importorskip("datasets")
    from s1_hf.tasks.own import ENDINGS, GUESSES

    page = (ROOT / "docs" / "own_tasks.md").read_text(encoding="utf-8")
    rows = [line for line in page.splitlines() if line.startswith("|") and "-column`" in line]
    assert [re.findall(r"`(\w+)`", row) for row in rows] == [list(names) for names in GUESSES.values()]
    assert len(ENDINGS) == 4 and "JSON lines, a JSON list, CSV or Parquet" in page
    monkeypatch.chdir(tmp_path)
    exec(re.search(r"```python\n(.*?)```", page, re.DOTALL)[1], {})
    assert capsys.readouterr().out == "2+2? 4\n"


def test_every_setting_is_in_the_readme_and_in_the_contract():
    readme, contract = ((ROOT / name).read_text(encoding="utf-8") for name in ("README.md", "docs/semantics.md"))
    for field in fields(Budget):
        assert f"`{field.name}`" in readme, field.name
        if field.name not in ("loop_guard", "wait_text"):
            assert f"`{field.name}" in contract, field.name
