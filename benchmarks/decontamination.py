"""What each way of decontaminating finds: test questions respelt in ten ways, and pools that hold none of them.

    python benchmarks/decontamination.py MATH500 NAME=POOL ... [--column problem] [--quick]

MATH500 is a file of test questions, each POOL a file of questions that are not among them, of the kinds that
[`s1_hf.traces.load_pool`] reads. It is not among the benchmarks of `run.py`, which need no data. Recall is the share of
the respelt questions that are dropped; what is dropped of the other pools is wrong. The hardest of these is made here:
every test question, compared with all but itself.
"""

from __future__ import annotations

import argparse
import html
import json
import re
import tempfile
import textwrap
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from pathlib import Path

from reporting import Row, publish, table

WAYS = ("paper", "normalized")
SHORT = 8  # words: what has fewer makes no 8-gram
INSTRUCTION = "Please reason step by step, and put your final answer within \\boxed{}."
_TO_UNICODE = {
    r"\pi": "π", r"\leq": "≤", r"\le": "≤", r"\geq": "≥", r"\ge": "≥", r"\cdot": "·", r"\times": "×", r"\circ": "°",
    r"\angle": "∠", r"\triangle": "△", r"\infty": "∞", r"\theta": "θ", r"\alpha": "α", r"\beta": "β", r"\ne": "≠",
    r"\left": "", r"\right": "", r"\%": "%", r"\$": "$", r"\ldots": "...", r"\dots": "...", r"\in": "∈",
}  # fmt: skip


def without_punctuation(question: str) -> str:
    return re.sub(r"[.,;:?!](?=\s|$)", "", question)


def other_latex(question: str) -> str:
    """As another author writes it."""
    text = re.sub(r"\\[dt]?frac(?![a-z])", r"\\dfrac", question)
    text = re.sub(r"(?<!\\)\$\$?([^$]+)(?<!\\)\$\$?", r"\\(\1\\)", text)
    text = re.sub(r"\^(\w)", r"^{\1}", text)
    text = re.sub(r"\\(leq?|geq?)(?![a-z])", lambda found: "\\" + found[1].removesuffix("q") + "qslant", text)
    text = text.replace(r"\cdot", r"\times").replace(r"\text{", r"\mathrm{")
    return re.sub(r"(?<=\d),(?=\d{3})", "{,}", text)


def without_latex(question: str) -> str:
    """As it is copied from a page."""
    text = re.sub(r"\\[dt]?frac\{([^{}]*)\}\{([^{}]*)\}", r"(\1)/(\2)", question)
    text = re.sub(r"\\sqrt\{([^{}]*)\}", r"√(\1)", text)
    text = re.sub(r"\\(?:text|mathrm|textbf|mbox)\{([^{}]*)\}", r"\1", text)
    for command in sorted(_TO_UNICODE, key=len, reverse=True):
        text = re.sub(re.escape(command) + "(?![a-zA-Z])", _TO_UNICODE[command], text)
    text = re.sub(r"\^(?:([23])(?![\d}])|\{([23])\})", lambda found: "²³"[int(found[1] or found[2]) - 2], text)
    return re.sub(r"(?<!\\)\$|\\[()\[\]]", "", text).replace("^°", "°").replace("^{°}", "°")


def typographic(question: str) -> str:
    """As a word processor writes it."""
    text = question.replace("'", "’").replace(" -", " −").replace("-", "‑").replace("...", "…")
    return re.sub(r'"([^"]*)"', "“\\1”", text).replace(" ", "\u00a0", 3) + "\u200b"


def plain_text(question: str) -> str:
    """Formulas as they are typed into a message."""
    text = re.sub(r"\\[dt]?frac\{([^{}]*)\}\{([^{}]*)\}", r"(\1)/(\2)", question)
    text = re.sub(r"\\sqrt\{([^{}]*)\}", r"sqrt(\1)", text)
    for command, typed in {"leq?": "<=", "geq?": ">=", "cdot|times": "*", "pi": "pi", "left|right": ""}.items():
        text = re.sub(rf"\\(?:{command})(?![a-zA-Z])", typed, text)
    return text.replace("$", "").replace(r"^\circ", " degrees")


def as_html(question: str) -> str:
    return f"<p>{html.escape(question)}</p>".replace("\n", "<br>")


def as_markdown(question: str) -> str:
    return "**Question.** " + question.replace("\n", "\n> ")


def spaced(question: str) -> str:
    return re.sub(r"([=+\-*/(){},])", r" \1 ", question)


def word_changed(question: str) -> str:
    """The longest word is another one."""
    words = re.findall("[A-Za-z]{3,}", re.sub(r"\\[a-zA-Z]+", "", question))
    return question.replace(max(words, key=len), "something", 1) if words else question


def other_words(question: str) -> str:
    return question.replace("What is", "What's").replace("Let ", "Suppose ")


RESPELT: dict[str, Callable[[str], str]] = {
    "verbatim": str,
    "no punctuation": without_punctuation,
    "other LaTeX": other_latex,
    "no LaTeX": without_latex,
    "typographic characters": typographic,
    "line breaks": partial(textwrap.fill, width=30, break_long_words=False),
    "label in front": "Problem 7. {}".format,
    "instruction in front": "Solve the following math problem efficiently and clearly. {}".format,
    "instruction behind": ("{} " + INSTRUCTION.replace("{}", "{{}}")).format,
    "as a chat": "User: {}\nAssistant: Okay, let me think about this.".format,
    "choices behind": "{}\n(A) 12 (B) 7 (C) 3 (D) 9".format,
}
AFTERWARDS: dict[str, Callable[[str], str]] = {
    "typed into a message": plain_text,
    "HTML": as_html,
    "Markdown": as_markdown,
    "spaces in formulas": spaced,
    "what's, suppose": other_words,
    "the longest word changed": word_changed,
}  # written when the rules of `normalized` stood, or more than spelling


def other_numbers(question: str) -> str:
    """Another question: every number is one larger."""
    return re.sub(r"\d+", lambda found: str(int(found[0]) + 1), question)


def rows(questions: list[str], pools: dict[str, list[str]]) -> list[Row]:
    """A row for every respelling and every pool, with what each way drops."""
    short = {row for row, question in enumerate(questions) if len(question.split()) < SHORT}
    found: list[Row] = []
    for name, respell in {**RESPELT, **AFTERWARDS}.items():
        row: Row = {"respelt": name, "questions": len(questions)}
        for way in WAYS:
            dropped = dropped_of(map(respell, questions), questions, way)
            row |= {way: len(dropped), f"{way}, of {len(short)} short": len(dropped & short)}
        found.append(row)
    for name, pool in pools.items():
        found.append({"pool": name, "questions": len(pool)} | {w: len(dropped_of(pool, questions, w)) for w in WAYS})
    halves = questions[::2], questions[1::2]
    apart = {way: sum(len(dropped_of(halves[i], halves[1 - i], way)) for i in (0, 1)) for way in WAYS}
    found.append({"pool": "each half of the test set beside the other", "questions": len(questions)} | apart)
    other = [other_numbers(question) for question in questions if "[asy]" not in question]
    other = [question for question in other if question not in questions]
    changed = {way: len(dropped_of(other, questions, way)) for way in WAYS}
    found.append({"pool": "the test set with other numbers", "questions": len(other)} | changed)
    return found


def dropped_of(pool: Iterable[str], tests: list[str], way: str) -> set[int]:
    from datasets import Dataset

    from s1_hf.curate import Decontamination, TestSet, decontaminate

    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "tests.jsonl"
        file.write_text("".join(json.dumps({"question": text}) + "\n" for text in tests))
        options = Decontamination((TestSet("tests", str(file)),), compare=way)
        stage = decontaminate(Dataset.from_dict({"question": list(pool)}), options)
    return {drop.row for drop in stage.drops}


def tables(found: list[Row]) -> list[str]:
    return [table([row for row in found if "respelt" in row]), table([row for row in found if "pool" in row])]


def read(file: str, columns: Sequence[str]) -> list[str]:
    from s1_hf.traces import load_pool

    pool = load_pool(file)
    name = next(name for name in columns if name in pool.column_names)
    return [text for text in pool[name] if text and text.strip()]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("tests", help="a file of test questions")
    parser.add_argument("pools", nargs="*", help="NAME=FILE, files of questions that are not among them")
    parser.add_argument("--column", default="problem", help="the column of questions, where it is not 'question'")
    parser.add_argument("--quick", action="store_true", help="50 questions; writes nothing")
    arguments = parser.parse_args()
    columns = (arguments.column, "question")

    def run(quick: bool) -> tuple[list[Row], list[str]]:
        from datasets import disable_progress_bars

        disable_progress_bars()
        most = 50 if quick else None
        pools = {
            name: read(file, columns)[:most] for name, _, file in (pool.partition("=") for pool in arguments.pools)
        }
        return rows(read(arguments.tests, columns)[:most], pools), []

    results = None if arguments.quick else Path(__file__).resolve().parent / "results"
    publish("decontamination", run, tables, quick=arguments.quick, results=results)


if __name__ == "__main__":
    main()
