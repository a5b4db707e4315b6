"""The playground in a real Chromium: what visitors do, and what they see and hear.

Needs playwright (the package, not its browsers) and Chromium (`apt install chromium`) or Chrome; skipped without.
"""

from __future__ import annotations

import re
import shutil
import threading
import time

import pytest

pytest.importorskip("gradio")
pytest.importorskip("matplotlib")
pytest.importorskip("playwright")

from servers import free_port

from hostile import HOSTILE
from lamp_requests import lamp_engine
from s1_hf import embedded
from s1_hf.playground.app import build, launched
from s1_hf.playground.asking import Most
from s1_hf.playground.handling import Handlers

BROWSER = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome", "chrome"))), None)
ARGUMENTS = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
             "--disable-component-update", "--disable-sync"]  # fmt: skip

pytestmark = [
    pytest.mark.skipif(BROWSER is None, reason="no Chromium or Chrome is installed"),
    # Gradio's, of pandas 3
    pytest.mark.filterwarnings("ignore:'future.no_silent_downcasting' is deprecated", "ignore:The copy keyword is"),
]

QUESTION = embedded.Problem(2, 7, 3, 8).question
WAIT_MS = 180_000


class Told:
    """The lamps' engine, but that a test may say how slow it is, and what it writes in place of an answer."""

    def __init__(self) -> None:
        self.lamps, self.pace_s, self.says = lamp_engine(), 0.0, ""

    def __getattr__(self, name):
        return getattr(self.lamps, name)

    def stream(self, request, write, on_step):
        if self.says:
            write(self.says, "thinking")
            write(self.says, "forced")
            write(self.says, "answer")
            raise ValueError(self.says)

        def slowly(rows):
            time.sleep(self.pace_s)
            on_step(rows)

        return self.lamps.stream(request, write, slowly)


@pytest.fixture(scope="module")
def engine():
    return Told()


@pytest.fixture(scope="module")
def handlers(engine):
    return Handlers(engine, Most(), at_once=2)


@pytest.fixture(scope="module")
def address(handlers):
    page = build(handlers, "embedded", "transformers", QUESTION)
    yield launched(page, host="127.0.0.1", port=free_port())  # looking for one itself, Gradio leaves sockets open
    page.close(verbose=False)


@pytest.fixture(scope="module")
def browser():
    from playwright.sync_api import sync_playwright

    with sync_playwright() as driver:
        one = driver.chromium.launch(executable_path=BROWSER, args=ARGUMENTS)
        yield one
        one.close()


@pytest.fixture
def visit(browser, address, engine):
    """Opens the page for one more visitor. Whatever is asked of another host, or fails in the console, is a fault."""
    engine.pace_s, engine.says = 0.0, ""
    contexts, faults = [], []

    def make(**how):
        contexts.append(browser.new_context(**{"viewport": {"width": 1280, "height": 900}} | how))
        page = contexts[-1].new_page()
        page.set_default_timeout(WAIT_MS)
        page.on("request", lambda asked: asked.url.startswith((address, "data:", "blob:")) or faults.append(asked.url))
        page.on("pageerror", lambda error: faults.append(str(error)))
        page.on("dialog", lambda dialog: (faults.append(dialog.message), dialog.dismiss()))
        page.goto(address)
        page.get_by_role("button", name="Run").wait_for()
        return page

    yield make
    for context in contexts:
        context.close()
    assert faults == []


def status(page, kind: str = "answer"):
    return page.locator(f"#s1-{kind}-status")


def until(holds) -> None:
    end = time.monotonic() + WAIT_MS / 1000
    while not holds():
        assert time.monotonic() < end
        time.sleep(0.05)


def test_a_visitor_types_moves_a_slider_runs_and_is_told_what_is_what(visit):
    page = visit()
    page.get_by_label("Question").fill(embedded.Problem(3, 5, 1, 6).question)
    assert page.get_by_role("checkbox", name="No maximum").is_checked()
    slider = page.get_by_role("slider", name=re.compile("Maximum thinking tokens"))
    slider.focus()
    for _ in range(8):
        page.keyboard.press("ArrowLeft")
    assert not page.get_by_role("checkbox", name="No maximum").is_checked()  # who moves it means it
    page.evaluate(  # everything that a screen reader is told
        "() => { window.heard = ''; new MutationObserver(() => { heard += document.querySelector("
        "'#s1-answer-aloud [role=status]').textContent + '|'; }).observe(document.querySelector('#s1-answer-aloud'), "
        "{subtree: true, childList: true, characterData: true}); }"
    )
    page.get_by_role("button", name="Run").click()
    status(page).get_by_text("Done:").wait_for()
    shown = page.locator("#s1-answer-shown")
    report = dict(zip(shown.locator("dt").all_inner_texts(), shown.locator("dd").all_inner_texts(), strict=True))
    assert report["thinking tokens"] == "24" and report["thinking ended"] == "cut at the cap"
    assert "Final Answer:" in shown.locator("mark").last.inner_text()  # forced
    thinking, answer = shown.get_by_role("group", name="Thinking"), shown.get_by_role("group", name="Answer")
    assert "A from 3 by 5" in thinking.inner_text() and answer.inner_text().startswith("Answer")
    looks = [one.evaluate("e => getComputedStyle(e).borderTopStyle") for one in (thinking, answer)]
    mark = "e => getComputedStyle(e).textDecorationLine + getComputedStyle(e, '::before').content"
    assert looks == ["dashed", "solid"] and shown.locator("mark").first.evaluate(mark) == 'underline"⟦"'
    page.wait_for_function("() => heard.includes('Done.')")
    heard = page.evaluate("heard")
    assert "A from 3 by 5" in heard and "forced:" in heard


def test_one_visitors_stop_is_its_own_and_who_closes_the_tab_stops_too(visit, handlers, engine):
    first, second, third = visit(), visit(), visit()
    engine.pace_s = 0.2
    for page in (first, second):
        page.get_by_role("button", name="Run").click()
        page.get_by_role("group", name="Thinking").get_by_text("A from 2 by 7").wait_for()
    third.get_by_role("button", name="Run").click()  # there is no room for it
    assert handlers.visits.running == 2
    first.get_by_role("button", name="Stop").click()
    status(first).get_by_text("Stopped after").wait_for()
    until(lambda: handlers.visits.running == 2)  # the second's, and now the third's
    third.get_by_role("group", name="Thinking").wait_for()
    assert "A from 2 by 7" in first.get_by_role("group", name="Thinking").inner_text()  # what is there stays
    third.close()
    until(lambda: handlers.visits.running == 1)
    engine.pace_s = 0.0
    status(second).get_by_text("Done: 129 tokens").wait_for()
    until(lambda: handlers.visits.running == 0)
    first.get_by_role("button", name="Run").click()
    status(first).get_by_text("Done: 129 tokens").wait_for()
    assert not [one for one in threading.enumerate() if one.name == "playground"]


def test_what_is_wrong_is_a_sentence_and_the_page_lives_on(visit):
    page = visit()
    field, run = page.get_by_label("Question"), page.get_by_role("button", name="Run")
    field.fill("  ")
    run.click()
    page.get_by_role("alert").get_by_text("The question is empty. Type one.").wait_for()
    field.fill("lamp " * 1000)
    run.click()
    page.get_by_role("alert").get_by_text("has to fit into the model's context").wait_for()
    field.fill(QUESTION)
    page.get_by_role("spinbutton", name=re.compile("Soft cut")).fill("9")
    run.click()
    page.get_by_role("alert").get_by_text("`cut_window` has no effect without `max_thinking_tokens`").wait_for()
    page.get_by_role("spinbutton", name=re.compile("Maximum thinking")).fill("20")
    page.get_by_role("spinbutton", name=re.compile("Minimum thinking")).fill("60")
    run.click()
    page.get_by_role("alert").get_by_text("60 > 20").wait_for()
    page.get_by_role("spinbutton", name=re.compile("Minimum thinking")).fill("0")
    run.click()
    status(page).get_by_text("Done:").wait_for()
    assert page.get_by_role("alert").count() == 0


def test_hostile_output_and_errors_are_shown_and_do_nothing(visit, engine):
    page = visit()
    engine.says = "".join(HOSTILE) + "\x1b[2J\u202e{{value}} ${alert(1)} `" + "x" * 60_000
    page.get_by_role("button", name="Run").click()
    page.get_by_role("alert").get_by_text("it failed on the way").wait_for()
    shown = page.locator("#s1-answer-shown, #s1-answer-problem")
    assert shown.locator("img, script, svg, iframe, a, style, form").count() == 0
    text = page.locator("#s1-answer-shown").inner_text()
    assert "<svg onload" in text and "⟨U+001B⟩" in text and "⟨U+202E⟩" in text and "characters are left out" in text
    assert page.evaluate("document.documentElement.scrollWidth") == 1280


def test_budgets_stand_side_by_side_and_a_curve_grows(visit):
    page = visit()
    page.get_by_role("tab", name="Compare").click()
    page.get_by_role("textbox", name=re.compile("Maximums")).fill("16, none")
    page.get_by_role("button", name="Compare").click()
    status(page, "compare").get_by_text("Done: 4 budgets").wait_for()
    names = page.locator("#s1-compare-shown").get_by_role("heading").all_inner_texts()
    assert names == ["cap 16", "cap 16, 1 ignore", "no intervention", "1 ignore"]
    boxes = [page.get_by_role("heading", name=name, exact=True).bounding_box() for name in names[:2]]
    assert boxes[0]["y"] == boxes[1]["y"] and boxes[0]["x"] < boxes[1]["x"]
    page.get_by_role("tab", name="Curve").click()
    page.get_by_role("spinbutton", name=re.compile("Problems")).fill("16")
    page.get_by_role("textbox", name=re.compile("Maximums")).fill("16")
    page.locator("#s1-curve-start").click()
    status(page, "curve").get_by_text("8 of 16 problems").wait_for()
    page.get_by_role("img", name="on 8 problems").wait_for()
    page.get_by_role("img", name="on 16 problems").wait_for()
    page.get_by_role("row", name="2 ignores").wait_for()


CONTRAST = """() => {
  const light = c => { const [r, g, b] = c.map(v => (v /= 255) <= .03928 ? v / 12.92 : ((v + .055) / 1.055) ** 2.4);
    return .2126 * r + .7152 * g + .0722 * b; };
  const rgb = s => s.match(/[\\d.]+/g).map(Number);
  const behind = e => { for (; e; e = e.parentElement) { const c = rgb(getComputedStyle(e).backgroundColor);
    if (c.length < 4 || c[3] > 0) return c.slice(0, 3); } return [255, 255, 255]; };
  const seen = e => e.getClientRects().length && [...e.childNodes].some(n => n.nodeType == 3 && n.data.trim());
  return [...document.querySelectorAll('p, span, mark, dt, dd, .text, button, h1, label')].filter(seen).map(e => {
    const [a, b] = [light(rgb(getComputedStyle(e).color).slice(0, 3)), light(behind(e))].sort((x, y) => y - x);
    return [(a + .05) / (b + .05), e.textContent.slice(0, 40)]; }).filter(([ratio]) => ratio < 4.5); }"""


def test_on_a_phone_by_keyboard_everything_has_a_name_a_place_and_contrast(visit):
    page = visit(viewport={"width": 375, "height": 700}, color_scheme="light")
    page.get_by_label("Question").focus()
    passed = []
    for _ in range(40):
        page.keyboard.press("Tab")
        name = page.evaluate("document.activeElement.getAttribute('aria-label') || document.activeElement.innerText")
        passed.append(" ".join((name or "").split()) or page.evaluate("document.activeElement.type"))
        if passed[-1] == "Run":
            break
    order = ["Maximum thinking", "Minimum thinking", "Ignored ends", "Soft cut", "Length and sampling", "Answer", "Run"]
    places = [next(i for i, name in enumerate(passed) if wanted in name) for wanted in order]
    assert places == sorted(places)
    page.keyboard.press("Enter")
    status(page).get_by_text("Done:").wait_for()
    unnamed = "e => e.filter(i => !i.labels?.length && !i.ariaLabel && !i.innerText.trim()).map(i => i.outerHTML)"
    assert page.locator("input:visible, textarea:visible, button:visible").evaluate_all(unnamed) == []
    assert page.evaluate(CONTRAST) == []
    page.evaluate("document.body.classList.add('dark')")
    page.wait_for_timeout(300)  # colours move
    assert page.evaluate(CONTRAST) == []
    assert page.evaluate("document.documentElement.scrollWidth") == 375
    assert page.evaluate("document.documentElement.lang") == "en"
