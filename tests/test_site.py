"""The documentation's site: it is built without a warning, its links lead somewhere, and the reference is complete."""

import importlib
import re
import runpy
import sys
from html import unescape
from pathlib import Path

import pytest

pytest.importorskip("zensical", reason="it is in the dependency group `docs`, for Python 3.11 and newer")
pytest.importorskip("mkdocstrings_handlers.python")

import yaml

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"
ROOMS = (
    "s1_hf s1_hf.conformance s1_hf.curate s1_hf.embedded s1_hf.evaluation s1_hf.grading s1_hf.memory s1_hf.methods "
    "s1_hf.metrics s1_hf.packs s1_hf.plots s1_hf.publishing s1_hf.reporting s1_hf.scoring s1_hf.tasks "
    "s1_hf.tracking s1_hf.traces s1_hf.vllm"
)
NOT_SHOWN = {"s1_hf.__version__", "s1_hf.conformance.Outcome", "s1_hf.conformance.check"}  # the latter in `suite`


@pytest.fixture(scope="module")
def builder():
    return runpy.run_path(str(DOCS / "site" / "build.py"))


@pytest.fixture(scope="module")
def site(builder, tmp_path_factory):
    """The built site."""
    folder = tmp_path_factory.mktemp("site") / "docs"
    wrong = builder["build"](folder)
    assert wrong == [], "\n".join(wrong)
    return folder / "site"


def in_nav(nav):
    for entry in nav:
        target = next(iter(entry.values())) if isinstance(entry, dict) else entry
        yield from in_nav(target) if isinstance(target, list) else [target]


def test_the_site_is_built_without_warnings_and_dead_links(site):
    assert (site / "index.html").exists() and len(list(site.rglob("*.html"))) > 40


def test_every_page_is_in_the_navigation_once(builder):
    nav = list(in_nav(yaml.safe_load((DOCS / "site" / "mkdocs.yml").read_text(encoding="utf-8"))["nav"]))
    pages = {path.relative_to(DOCS).as_posix() for path in DOCS.rglob("*.md")}
    pages |= {name for path, name in builder["ELSEWHERE"].items() if path != "README.md"}
    assert pages - set(nav) == set() and len(nav) == len(set(nav))


@pytest.mark.parametrize("room", ROOMS.split())
def test_the_reference_shows_every_public_name(room, site):
    """If not: add `::: name` to a page in docs/reference."""
    names = {f"{room}.{name}" for name in importlib.import_module(room).__all__} - NOT_SHOWN
    text = "".join(path.read_text(encoding="utf-8") for path in sorted((site / "reference").glob("*.html")))
    anchors = set(re.findall(r' id="(s1_hf[\w.]*)"', text))
    assert names - anchors == set()


def test_signatures_docstrings_and_links_are_on_the_page(site):
    page = (site / "reference" / "generating.html").read_text(encoding="utf-8")
    text = unescape(re.sub(r"<[^>]+>", "", page))
    assert "max_answer_tokens: int | None = None" in re.sub(r"\s+", " ", text)
    assert "how many attempts to end are ignored" in text  # from a docstring
    assert 'href="#s1_hf.Completion"' in page and "[`" not in text.split("Where to go")[0].replace("[``", "")


def test_what_is_wrong_is_found(builder, tmp_path):
    """The checks can fail."""
    (tmp_path / "a.html").write_text(
        '<a href="b.html">x</a><a href="#here">y</a><a href="c.html#there">z</a>'
        '<script src="https://cdn.example.org/x.js"></script><img src="missing.png">'
    )
    (tmp_path / "c.html").write_text('<h1 id="here"></h1>')
    assert builder["faults"](tmp_path) == [
        "a.html loads https://cdn.example.org/x.js",
        "a.html: #here has no such place",
        "a.html: b.html leads nowhere",
        "a.html: c.html#there has no such place",
        "a.html: missing.png leads nowhere",
    ]


def test_links_to_files_become_links_to_pages(builder):
    page, shown = DOCS / "vllm.md", set()
    text = builder["on_the_site"](page, "vllm.md", {ROOT / "benchmarks" / "README.md": "benchmarks.md"}, shown)
    assert "](benchmarks.md)" in text and "](files/requirements-vllm.txt.md)" in text
    assert {path.name for path in shown} >= {"requirements-vllm.txt"}


def test_the_pictures_are_what_the_code_draws():
    """If not: `python docs/pictures.py`."""
    script = runpy.run_path(str(DOCS / "pictures.py"))
    for name, picture in script["drawn"]().items():
        assert (DOCS / name).read_text(encoding="utf-8") == picture


@pytest.mark.skipif(sys.version_info < (3, 11), reason="griffelib needs Python 3.11")
def test_docstrings_are_rewritten_as_their_examples_say():
    import doctest

    spec = importlib.util.spec_from_file_location("docstrings", DOCS / "site" / "docstrings.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    assert doctest.testmod(module).failed == 0
