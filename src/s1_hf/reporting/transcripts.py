"""Answers to read: a limited choice, collapsed, with forced text marked."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import chain, zip_longest

from s1_hf.reporting.html import Element, Node, element
from s1_hf.reporting.tables import clipped
from s1_hf.results.rows import Piece, Row
from s1_hf.visible import shortened

MOST_ANSWERS = 50
MOST_CHARACTERS = 40_000  # of one transcript or question: about 10,000 tokens of four characters
_MOST_OF_ANSWER = 2_000  # characters of the right answer


@dataclass(frozen=True)
class Choice:
    """The answers to each chosen problem: `answers` out of `of_answers`, from `of_problems` problems."""

    problems: Sequence[Sequence[Row]]
    answers: int
    of_answers: int
    of_problems: int


def choose(rows: Sequence[Row], most: int = MOST_ANSWERS) -> Choice:
    """Answers to problems that some settings solve and others do not come first, tasks in turn, one sample each.

    A problem is chosen with all its answers if they fit into `most`; only the first problem is ever cut short.
    """
    problems: dict[tuple[str, str], dict[tuple[str, str], Row]] = {}
    for row in rows:
        answers = problems.setdefault((row.task, row.problem), {})
        kept = answers.get((row.method, row.setting))
        if kept is None or row.sample < kept.sample:
            answers[row.method, row.setting] = row
    by_task: dict[str, list[list[Row]]] = {}
    for (task, _), answers in problems.items():
        by_task.setdefault(task, []).append(list(answers.values()))
    for of_task in by_task.values():
        of_task.sort(key=lambda answers: len({row.correct for row in answers}) == 1)
    chosen: list[list[Row]] = []
    for own in chain.from_iterable(zip_longest(*by_task.values(), fillvalue=[])):
        room = most - sum(map(len, chosen))
        if own and room > 0 and (len(own) <= room or not chosen):
            chosen.append(own[:room])
    return Choice(chosen, sum(map(len, chosen)), len(rows), len(problems))


def transcripts(choice: Choice) -> list[Node]:
    """The section of a page: what was chosen, the legend, the problems with their answers."""
    said = (
        f"{choice.answers:,} of {choice.of_answers:,} answers, to {len(choice.problems):,} of {choice.of_problems:,} "
        "problems: first those on which settings differ; only the first of several samples of a setting."
    )
    legend = ("Text that was forced on the model is marked ", element("mark", "like this"), "; its own text is not.")
    return [element("p", said), element("p", *legend), *map(_problem, choice.problems)]


def _problem(answers: Sequence[Row]) -> Element:
    one = answers[0]
    name = f"{one.task}, problem {one.problem}" if one.task else f"Problem {one.problem}"
    right = sum(row.correct for row in answers)
    return element(
        "section",
        element("h3", shortened(name, 120)),
        element("div", *_cut([{"text": _question(one), "forced": False}]), class_="text question", dir="auto"),
        element(
            "p",
            "Right answer: ",
            element("strong", clipped(one.gold, _MOST_OF_ANSWER) or "not saved"),
            f". {right} of {len(answers)} settings got it right.",
        ),
        *map(_answer, answers),
        class_="problem",
    )


def _answer(row: Row) -> Element:
    verdict = element("span", "✓ right" if row.correct else "✗ wrong", class_="right" if row.correct else "wrong")
    found = "no answer" if row.extracted is None else shortened(row.extracted, 60)
    about = f" {clipped(row.method)}, {clipped(row.setting)}: {found} "
    ended = row.ended.replace("_", " ")
    ignored = f", {row.ends_ignored} end{'s' * (row.ends_ignored != 1)} ignored" if row.ends_ignored else ""
    tries = f", {row.tries:,} tries" if row.tries > 1 else ""
    counts = f"{row.thinking_tokens:,} thinking and {row.answer_tokens:,} answer tokens, {ended}{ignored}{tries}"
    return element(
        "details",
        element("summary", verdict, about, element("span", counts, class_="counts")),
        element("div", *_transcript(row), class_="text", dir="auto"),
    )


def _question(row: Row) -> str:
    return row.question or "(The question was not saved.)"


def _transcript(row: Row) -> Iterator[Node]:
    if not row.transcript:
        yield element("span", "The transcript was not saved. The answer: ", class_="note")
    yield from _cut(row.transcript or [{"text": row.answer, "forced": False}])


def _cut(pieces: Sequence[Piece]) -> Iterator[Node]:
    """Their texts, without the middle if they are too long."""
    left_out = sum(len(piece["text"]) for piece in pieces) - MOST_CHARACTERS
    begin, at = MOST_CHARACTERS * 3 // 4, 0
    for piece in pieces:
        text, start = piece["text"], at
        at += len(text)
        if not text:
            continue
        if left_out <= 0 or at <= begin or start >= begin + left_out:
            yield _piece(text, piece["forced"])
            continue
        before, after = text[: max(0, begin - start)], text[max(0, begin + left_out - start) :]
        yield _piece(before, piece["forced"]) if before else ""
        if start <= begin < at:
            yield element("span", f" [{left_out:,} characters left out] ", class_="note")
        yield _piece(after, piece["forced"]) if after else ""


def _piece(text: str, forced: bool) -> Node:
    return element("mark", text) if forced else text
