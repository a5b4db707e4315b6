"""What a press of a button does: settings in, parts of the page out, one visitor apart from the other."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any, NamedTuple

import gradio as gr

from s1_hf.engines.engine import Step
from s1_hf.engines.streaming import pieces_of
from s1_hf.forcing.budget import Budget
from s1_hf.playground import curves, showing
from s1_hf.playground.asking import Most, check, compared, curved, request_of
from s1_hf.playground.running import Run, Visits
from s1_hf.reporting.html import element, picture
from s1_hf.reporting.tables import settings_table
from s1_hf.secrets import without_secrets

if TYPE_CHECKING:
    from s1_hf.engines.engine import StreamingEngine, SweptBatch
    from s1_hf.generation.chats import Completion
    from s1_hf.results.summaries import SettingSummary

logger = logging.getLogger(__name__)

SAME: Any = gr.skip()
"""For a part of the page that stays as it is."""


class Parts(NamedTuple):
    """What a press of a button changes on the page, as HTML."""

    problem: Any = SAME
    status: Any = SAME
    aloud: Any = SAME
    shown: Any = SAME


class Settings(NamedTuple):
    """What the sliders and fields of the page hold, in their order."""

    question: Any
    cap: Any
    has_no_cap: Any
    least: Any
    ignores: Any
    wait_text: Any
    cut_window: Any
    cut_at: Any
    max_new_tokens: Any
    temperature: Any
    seed: Any

    @property
    def shared(self) -> dict[str, Any]:
        """What all budgets of a comparison have, for [`Budget`]."""
        at = self.cut_at if self.cut_at in ("line", "sentence") else "line"
        return {"wait_text": self.wait_text or None, "cut_window": _whole("Soft cut", self.cut_window), "cut_at": at}

    @property
    def budget(self) -> Budget:
        """The one that is set.

        Raises:
            ValueError: there is no such budget.
        """
        return Budget(
            max_thinking_tokens=None if self.has_no_cap else _whole("Maximum thinking tokens", self.cap),
            min_thinking_tokens=_whole("Minimum thinking tokens", self.least),
            num_ignores=_whole("Ignored ends", self.ignores),
            **self.shared,
        )

    @property
    def how(self) -> dict[str, Any]:
        """How tokens are generated, for [`request_of`]."""
        if isinstance(self.temperature, bool) or not isinstance(self.temperature, (int, float)):
            raise ValueError("Temperature has to be a number, but is empty.")
        return {
            "max_new_tokens": _whole("Most tokens in all", self.max_new_tokens),
            "temperature": float(self.temperature),
            "seed": _whole("Random seed", self.seed),
        }


class Handlers:
    """What the page's buttons do.

    Args:
        engine ([`StreamingEngine`]): runs the model.
        most ([`Most`]): how much a visitor may ask for.
        at_once (`int`): how many visitors' work the engine can do at a time.
    """

    def __init__(self, engine: StreamingEngine, most: Most, at_once: int = 1) -> None:
        self.engine, self.most, self.at_once = engine, most, at_once
        self.visits = Visits(at_once)

    # -- one answer ---------------------------------------------------------------------------------------------

    def answer(self, request: gr.Request, *given: Any) -> Iterator[Parts]:
        """One answer, while it is written."""
        try:
            settings = Settings(*given)
            asked = request_of(self.engine, self.most, settings.question, settings.budget, **settings.how)
            check(self.engine, asked)
        except (ValueError, TypeError) as error:
            yield _refused(error)
            return

        def work(tell: Callable[[Any], Any], on_step: Step) -> None:
            tell(self.engine.stream(asked, lambda text, kind: tell((text, kind)), on_step))

        yield Parts("", showing.status("Reading the question."), showing.aloud(""), "")
        pieces: list[showing.Told] = []
        aloud = showing.Aloud()
        for run, news in self._told(_visitor(request), "answer", work):
            if isinstance(news, Exception):
                yield _failed(news)
                return
            texts = [one for one in news if isinstance(one, tuple)]
            whole = [one for one in news if not isinstance(one, tuple)]
            pieces = showing.joined([*pieces, *texts])
            aloud.hear(texts)
            if whole:
                yield self._answered(asked.prompt, whole[0], run.seconds, aloud)
                return
            if texts or not run.steps:
                heard = aloud.say()
                shown = str(showing.transcript(pieces)) if texts else SAME
                yield Parts("", _how_far(run), SAME if heard is None else heard, shown)

    def _answered(self, prompt: Any, completion: Completion, seconds: float, aloud: showing.Aloud) -> Parts:
        """The whole of it, with what only the report tells."""
        report = showing.report(completion, seconds)
        body = element("div", showing.transcript(pieces_of(self.engine, prompt, completion)), report)
        aloud.hear([("\nDone.", "answer")])
        done = f"Done: {len(completion.token_ids):,} tokens in {seconds:,.1f} s."
        return Parts("", showing.status(done), aloud.say(last=True) or SAME, str(body))

    # -- a comparison -------------------------------------------------------------------------------------------

    def compare(self, request: gr.Request, caps: Any, ignores: Any, *given: Any) -> Iterator[Parts]:
        """The same question under several budgets, from one sweep."""
        try:
            settings = Settings(*given)
            least = _whole("Minimum thinking tokens", settings.least)
            shared = Budget(min_thinking_tokens=least, **settings.shared)
            budgets = compared(caps, ignores, shared, self.most)
            asked = request_of(self.engine, self.most, settings.question, budgets[0], **settings.how)
            check(self.engine, asked, budgets)
        except (ValueError, TypeError) as error:
            yield _refused(error)
            return

        def work(tell: Callable[[Any], Any], on_step: Step) -> None:
            for batch in self.engine.sweep([asked], budgets, on_step):
                tell(batch)

        yield Parts("", showing.status("Reading the question."), showing.aloud(""), "")
        for run, news in self._told(_visitor(request), "compare", work):
            if isinstance(news, Exception):
                yield _failed(news)
                return
            if news:
                yield self._compared(news[0])
                return
            yield Parts("", _how_far(run), SAME, SAME)

    def _compared(self, batch: SweptBatch) -> Parts:
        cost = batch.cost
        panels = []
        for ((request, completion),) in batch.of_settings:
            name = request.budget.name
            panels.append((name, completion, pieces_of(self.engine, request.prompt, completion)))
        note = (
            f"One sweep: {cost.trace_tokens + cost.answer_tokens:,} tokens went through the model, where a run for "
            f"each budget takes {cost.separate_tokens:,} ({cost.saved:.1f} times as many)."
        )
        done = f"Done: {len(panels)} budgets in {cost.seconds:,.1f} s."
        return Parts("", showing.status(done), showing.aloud(done), str(showing.panels(panels, note)))

    # -- a curve ------------------------------------------------------------------------------------------------

    def curve(self, request: gr.Request, count: Any, caps: Any, ignores: Any, *given: Any) -> Iterator[Parts]:
        """The embedded task under several budgets, while its problems are solved."""
        try:
            settings = Settings(*given)
            problems = curves.problems_of(min(_whole("Problems", count), self.most.problems), settings.how["seed"])
            budgets = curved(caps, ignores, Budget(**settings.shared), self.most)
            asked = []
            for problem in problems:
                one = request_of(self.engine, self.most, problem.prompt, budgets[0], **settings.how)
                asked.append((problem, curves.as_asked(one, problem, settings.how["seed"])))
            check(self.engine, asked[0][1], budgets)
        except (ValueError, TypeError) as error:
            yield _refused(error)
            return

        def work(tell: Callable[[Any], Any], on_step: Step) -> None:
            def draw(found: list[SettingSummary]) -> None:
                tell((found, curves.drawing(found)))

            curves.grow(self.engine, asked, budgets, draw, on_step)

        yield Parts("", showing.status("Reading the problems."), showing.aloud(""), "")
        done = 0
        for run, news in self._told(_visitor(request), "curve", work):
            if isinstance(news, Exception):
                yield _failed(news)
                return
            if not news:
                yield Parts("", _how_far(run, f"{done} of {len(asked)} problems"), SAME, SAME)
                continue
            found, svg = news[-1]
            done, words = found[0].problems, curves.in_words(found)
            figure = element("div", picture(svg, words), class_="figure")
            numbers = showing.table_of(settings_table(found, brief=True))
            body = element("div", figure, element("p", words, class_="note"), numbers)
            said = f"{done} of {len(asked)} problems in {run.seconds:,.1f} s."
            yield Parts("", showing.status(said), showing.aloud(words if done == len(asked) else said), str(body))
            if done == len(asked):
                return

    # -- who leaves ---------------------------------------------------------------------------------------------

    def stop(self, kind: str) -> Callable[[gr.Request], tuple[str, str]]:
        """What a stop button does: the visitor's own work of this kind ends, and what is there stays."""

        def stopped(request: gr.Request) -> tuple[str, str]:
            run = self.visits.stop(_visitor(request), kind)
            said = "Stopped."
            if run is not None and run.steps:
                said = f"Stopped after {run.steps:,} steps and {run.seconds:,.1f} s. What is there stays."
            return showing.status(said), showing.aloud(said)

        return stopped

    def leave(self, request: gr.Request) -> None:
        """A visitor has closed the page: whatever ran for it ends."""
        self.visits.stop(_visitor(request))

    def _told(self, visitor: str, kind: str, work: Any) -> Iterator[tuple[Run[Any], list[Any] | Exception]]:
        """What work tells, a list at a time, and at last its error, if it has one."""
        run = self.visits.begin(visitor, kind, work)
        try:
            for news in run:
                yield run, news
        except Exception as error:  # of any kind: the page outlives it
            if not isinstance(error, (ValueError, ConnectionError)):
                logger.exception("A run of the playground failed.")
            yield run, error
        finally:
            run.stop()


def _visitor(request: gr.Request) -> str:
    return str(request.session_hash)


def _how_far(run: Run[Any], what: str = "") -> str:
    if not run.has_turn:
        return showing.status("Waiting for the model, which is busy with others.")
    said = f"{run.steps:,} steps in {run.seconds:,.1f} s"
    return showing.status(f"Running: {what}, {said}." if what else f"Running: {said}.")


def _refused(error: Exception) -> Parts:
    said = without_secrets(str(error))
    return Parts(showing.problem(said), showing.status(""), SAME, SAME)


def _failed(error: Exception) -> Parts:
    said = without_secrets(f"{type(error).__name__}: {error}")
    return Parts(showing.problem(f"it failed on the way. {said}"), showing.status("Failed."), SAME, SAME)


def _whole(name: str, value: Any) -> int:
    """A number of the page as one without a fraction.

    Raises:
        ValueError: it is none.
    """
    if isinstance(value, bool) or not isinstance(value, (int, float)) or value != value or int(value) != value:
        raise ValueError(f"{name} has to be a whole number, but is {'empty' if value is None else repr(value)}.")
    return int(value)
