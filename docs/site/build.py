"""Builds the site: `make docs`, or `python docs/site/build.py [FOLDER]`. Needs the dependency group `docs`.

Pages are read on GitHub as well as on the site, so they link to files of the repository as these lie there. On the
way to the site a link to a page leads to that page, and one to any other file to a page that shows the file.
A warning, a dead link, and anything that a page would load from the network end the build with an error.
"""

import os
import posixpath
import re
import shutil
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import yaml

SITE = Path(__file__).parent
ROOT = SITE.parents[1]
DOCS = ROOT / "docs"
ELSEWHERE = {
    "README.md": "index.md",
    "CHANGELOG.md": "changelog.md",
    "CONTRIBUTING.md": "contributing.md",
    "SECURITY.md": "security.md",
    "benchmarks/README.md": "benchmarks.md",
    "benchmarks/grading.md": "benchmarks_grading.md",
    "recipes/README.md": "recipes.md",
    "src/s1_hf/embedded/model/README.md": "embedded.md",
    "src/s1_hf/embedded/honest/README.md": "honest_model.md",
    "src/s1_hf/embedded/reward/README.md": "reward_model.md",
    "training/embedded/curation.md": "curated_or_random.md",
}
"""Pages from outside docs/, if they are there. README has a page of the site's own in its place."""

PICTURES = (".png", ".svg")
_LINK = re.compile(r"(\]\()([^)\s]+)(\))")
_FENCE = re.compile(r"^ *(```|~~~)")


def build(folder: Path) -> list[str]:
    """Build the site in `folder`/site, and return what is wrong with it."""
    pages = folder / "pages"
    shutil.rmtree(folder, ignore_errors=True)
    stage(pages)
    settings = yaml.safe_load((SITE / "mkdocs.yml").read_text(encoding="utf-8"))
    settings["nav"] = existing(settings["nav"], pages)
    python = settings["plugins"]["mkdocstrings"]["handlers"]["python"]
    python["paths"] = [str(ROOT / "src")]
    python["options"]["extensions"] = [f"{SITE / 'docstrings.py'}:AsTransformers"]
    (folder / "mkdocs.yml").write_text(yaml.safe_dump(settings, sort_keys=False), encoding="utf-8")
    command = [sys.executable, "-m", "zensical", "build", "--strict", "--clean", "-f", str(folder / "mkdocs.yml")]
    done = subprocess.run(command, capture_output=True, text=True, env={**os.environ, "NO_COLOR": "1"})
    said = re.sub(r"\x1b\[[0-9;]*m", "", done.stdout + done.stderr)
    if done.returncode or re.search(r"warning", said, re.IGNORECASE):
        return [said]
    return faults(folder / "site")


def stage(pages: Path) -> None:
    """Copy pages and pictures, with links as they are on the site."""
    sources = {path: path.relative_to(DOCS).as_posix() for path in DOCS.rglob("*.md") if SITE not in path.parents}
    outside = {ROOT / path: name for path, name in ELSEWHERE.items() if path != "README.md"}
    sources |= {path: name for path, name in outside.items() if path.exists()}
    places = {ROOT / "README.md": "index.md", **sources}
    for path in DOCS.rglob("*"):
        if path.suffix in PICTURES:
            sources[path] = places[path] = path.relative_to(DOCS).as_posix()
    shown: set[Path] = set()
    for path, name in sources.items():
        target = pages / name
        target.parent.mkdir(parents=True, exist_ok=True)
        if path.suffix in PICTURES:
            shutil.copyfile(path, target)
        else:
            target.write_text(on_the_site(path, name, places, shown), encoding="utf-8")
    for path in shown:
        target = pages / _page_of(path)
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(_as_page(path), encoding="utf-8")
    shutil.copyfile(SITE / "extra.css", pages / "extra.css")


def on_the_site(path: Path, name: str, places: dict[Path, str], shown: set[Path]) -> str:
    """A page's text with its links to files turned into links to pages; files that are to be shown go into `shown`."""
    text = path.read_text(encoding="utf-8")
    if text.startswith("---\n"):  # a model card's fields
        text = text.split("---\n", 2)[2]

    def turned(found: re.Match[str]) -> str:
        target, mark, anchor = found[2].partition("#")
        file = (path.parent / target).resolve()
        if "://" in found[2] or not target or not file.exists():
            return found[0]
        if file.is_dir():
            file = file / "README.md"
        if file in places:
            place = places[file]
        else:
            shown.add(file)
            place = _page_of(file)
        return found[1] + posixpath.relpath(place, posixpath.dirname(name) or ".") + mark + anchor + found[3]

    lines, in_code = [], False
    for line in text.splitlines(keepends=True):
        if _FENCE.match(line):
            in_code = not in_code
        lines.append(line if in_code else _LINK.sub(turned, line))
    return "".join(lines)


def _page_of(file: Path) -> str:
    return f"files/{file.relative_to(ROOT).as_posix()}.md"


def _as_page(file: Path) -> str:
    name, text = file.relative_to(ROOT).as_posix(), file.read_text(encoding="utf-8")
    language = {".py": "python", ".yaml": "yaml", ".ipynb": "json"}.get(file.suffix, "text")
    return f"---\nsearch: {{exclude: true}}\n---\n# {name}\n\n`````{language}\n{text}\n`````\n"


def existing(nav: list[Any], pages: Path) -> list[Any]:
    """The entries of `nav` whose pages exist."""
    kept: list[Any] = []
    for entry in nav:
        ((title, target),) = entry.items() if isinstance(entry, dict) else ((None, entry),)
        if isinstance(target, list):
            inner = existing(target, pages)
            if inner:
                kept.append({title: inner})
        elif (pages / target).exists():
            kept.append(entry)
    return kept


class Page(HTMLParser):
    """What a page links to, loads, and can be linked to by."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.links: set[str] = set()
        self.loads: set[str] = set()
        self.anchors: set[str] = set()
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """One element."""
        found = {name: value or "" for name, value in attrs}
        self.anchors |= {found[name] for name in ("id", "name") if name in found}
        if tag == "a" and "href" in found:
            self.links.add(found["href"])
        elif tag == "link" and found.get("rel") not in ("canonical", "prev", "next", "alternate"):
            self.loads.add(found.get("href", ""))
        elif "src" in found:
            self.loads.add(found["src"])


def faults(site: Path) -> list[str]:
    """Links that lead nowhere within the site, and what pages load from elsewhere."""
    pages = {path: Page(path.read_text(encoding="utf-8")) for path in sorted(site.rglob("*.html"))}
    wrong = []
    for path, page in pages.items():
        if path.name == "404.html":  # its links begin at the site's root
            continue
        name = path.relative_to(site)
        wrong += [f"{name} loads {url}" for url in page.loads if urlsplit(url).scheme in ("http", "https")]
        wrong += [f"{name} loads {url}" for url in page.loads if url.startswith("//")]
        for url in page.links | page.loads:
            parts = urlsplit(url)
            if parts.scheme or parts.netloc:
                continue
            target = (path.parent / unquote(parts.path)).resolve() if parts.path else path
            if target.is_dir():
                target /= "index.html"
            if not target.exists():
                wrong.append(f"{name}: {url} leads nowhere")
            elif parts.fragment and target in pages and unquote(parts.fragment) not in pages[target].anchors:
                wrong.append(f"{name}: {url} has no such place")
    return sorted(wrong)


def main() -> None:
    """The command."""
    folder = Path(sys.argv[1]).resolve() if len(sys.argv) > 1 else ROOT / "build" / "docs"
    wrong = build(folder)
    if wrong:
        sys.exit("\n".join(wrong))
    site = folder / "site"
    print(f"{site / 'index.html'}: open it in a browser; with the search: python -m http.server --directory {site}")


if __name__ == "__main__":
    main()
