"""The report in a real browser: hostile text becomes no element, nothing runs, nothing is loaded.

Needs Chromium (`apt install chromium`) or Chrome; skipped without.
"""

import http.server
import shutil
import subprocess
import threading
from collections import Counter

import pytest

pytest.importorskip("matplotlib")

from hostile import HOSTILE, hostile_rows, read
from s1_hf.reporting import write_report

BROWSER = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome", "chrome"))), None)

pytestmark = pytest.mark.skipif(BROWSER is None, reason="no Chromium or Chrome is installed")

OPTIONS = ("--headless=new", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking",
           "--enable-logging=stderr", "--v=0", "--virtual-time-budget=2000", "--dump-dom")  # fmt: skip


def opened(address, profile):
    """The page as Chromium dumps it, and its console messages."""
    command = [BROWSER, *OPTIONS, f"--user-data-dir={profile}", address]
    run = subprocess.run(command, capture_output=True, text=True, encoding="utf-8", timeout=120)
    return run.stdout, [line for line in run.stderr.splitlines() if "CONSOLE" in line]


@pytest.fixture(scope="module")
def report(tmp_path_factory):
    about = {text: {text: text} for text in HOSTILE}
    return write_report(list(hostile_rows()), tmp_path_factory.mktemp("report"), about=about, formats=()).page


@pytest.fixture(scope="module")
def dom(report, tmp_path_factory):
    return opened(report.as_uri(), tmp_path_factory.mktemp("profile"))


def test_the_browser_sees_the_elements_that_were_built_and_no_others(report, dom):
    assert read(dom[0]).tags == read(report.read_text(encoding="utf-8")).tags


def test_the_browser_sees_the_texts_that_were_written(report, dom):
    written, seen = ("".join("".join(read(page).text).split()) for page in (report.read_text(encoding="utf-8"), dom[0]))
    assert seen == written


def test_nothing_runs_is_blocked_or_fails(dom):
    assert dom[1] == []


def test_such_texts_do_run_in_a_page_without_escaping(tmp_path):
    """So the tests above can fail."""
    (tmp_path / "bad.html").write_text(f"<!DOCTYPE html><p>{HOSTILE[0]}<svg onload=console.log(2)>")
    page, console = opened((tmp_path / "bad.html").as_uri(), tmp_path / "profile")
    assert read(page).tags["img"] == 1 and len(console) == 2


def test_opening_the_page_asks_the_server_only_for_the_page(report, tmp_path):
    asked = Counter()

    class Handler(http.server.SimpleHTTPRequestHandler):
        def __init__(self, *args):
            super().__init__(*args, directory=report.parent)

        def log_request(self, *args):
            asked[self.path] += 1

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        opened(f"http://127.0.0.1:{server.server_port}/report.html", tmp_path)
        server.shutdown()
    assert set(asked) - {"/favicon.ico"} == {"/report.html"}
