"""How far the grader agrees with other graders' cases and with recorded grades, and how long grading takes.

    python benchmarks/run.py --only grading    # measures; writes results/grading.json and the README's part
    python benchmarks/grading.py               # writes grading.md, every disagreement with its reason, from that file

The cases and transcripts lie outside the repository, in ../shared/data (its README.md names origins and licences);
what is not there is left out, and said. No model is asked.
"""

from __future__ import annotations

import json
import random
import re
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from reporting import HERE, RESULTS, Row, table
from s1_hf.grading import extract_answer, grade, is_equal, split_thinking

DATA = HERE.parents[1] / "shared" / "data"

# Why we keep to our rules where a case says otherwise: the first that fits. A case that none fits stops the run.
Case = dict[str, Any]
REASONS: list[tuple[Callable[[Case], Any], str]] = [
    (
        lambda c: c["gold"] == "3245/5",
        "simple-evals wants the division carried out; the value is the same, and our benchmarks need no more",
    ),
    (
        lambda c: c["is_equal"] and r"\\le" in c["pred"],
        "the set and its inequality are the same; upstream agrees in another case, with an option set",
    ),
    (lambda c: "frac{1}{\\mathrm{e}}" in c["gold"], "1 - 1/e is not 1 + 1/e: a mistake in the upstream test"),
    (lambda c: c["gold"] == "$f(x)$", "f(x) is not f(y); upstream agrees in another case, with an option set"),
    (
        lambda c: r"\\boxed" in c["gold"] or c["gold"].count("boxed") > 1,
        "several boxes, or an unclosed one, in the gold: we expect a gold to be one answer",
    ),
    (
        lambda c: "boxed" in c["pred"] and "Final Answer:" in c["pred"],
        "a box takes precedence over 'Final Answer:', as in the paper; this model boxed its steps",
    ),
    (
        lambda c: c["pred"].count("\\boxed") > 1,
        "boxes with words between them are not a list: the last one is the answer, as in the paper",
    ),
    (
        lambda c: re.fullmatch(r"\d+,\d+", c["gold"]) or re.search(r"\d,\d\d(?!\d)", c["pred"]),
        "a comma is not a decimal point: 1,22 is a list (AIME, MATH and GPQA are in English)",
    ),
    (lambda c: "0.33" in c["pred"] or "2.6667" in c["pred"], "rounded: equality needs six digits"),
    (
        lambda c: "\\sum_" in c["pred"] or "2021" in c["pred"] or "beginboxed" in c["pred"],
        "math-verify 0.5 cannot parse it; left to the judge",
    ),
    (
        lambda c: c["method"] in ("whole", "none", "answer_line"),
        "prose: not introduced by a box, 'Answer:' or 'answer is'; left to the judge",
    ),
]


def run(quick: bool) -> tuple[list[Row], list[str]]:
    """Rows of `part` "agreement" (one a source), "disagreement" (one a case) and "speed"."""
    rows: list[Row] = []
    notes: list[str] = []
    for part in (_cases, _transcripts, _math_500, _slips):
        try:
            rows += part(quick)
        except FileNotFoundError as error:
            notes.append(f"Left out: {error.filename} is not there.")
    return rows + _speed(quick), notes


def tables(rows: list[Row]) -> list[str]:
    def of(part: str) -> list[Row]:
        return [{k: v for k, v in row.items() if k != "part"} for row in rows if row["part"] == part]

    reasons: dict[str, int] = {}
    for row in of("disagreement"):
        reasons[row["why"]] = reasons.get(row["why"], 0) + 1
    why = [{"disagreements": n, "why we keep to it": w} for w, n in sorted(reasons.items(), key=lambda item: -item[1])]
    return [table(part) for part in (of("agreement"), why, of("speed")) if part]


def write_list(rows: list[Row], path: Path) -> None:
    """Every disagreement, as Markdown."""
    lines = ["# Where the grader and a yardstick disagree", "", "Made by `python benchmarks/grading.py`.", ""]
    lines += ["Each line: the gold | the answer, by their last 100 characters: what the yardstick says of them."]
    why = None
    for row in sorted((r for r in rows if r["part"] == "disagreement"), key=lambda r: (r["source"], r["why"])):
        if (row["source"], row["why"]) != why:
            why = (row["source"], row["why"])
            lines += ["", f"## {row['source']}: {row['why']}", ""]
        lines.append(f"- {_code(row['gold'])} | {_code(row['answer'])}: {'equal' if row['yardstick'] else 'not equal'}")
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")


def _cases(quick: bool) -> Iterable[Row]:
    """Other graders' own cases. A text is cut like an output; where no answer is found, all of it is compared."""
    by_source: dict[str, list[Row]] = {}
    for case in _read("grader/equality_cases.jsonl")[:: 30 if quick else 1]:
        answer = split_thinking(case["pred"])[1] or ""
        found = grade(answer or "-", "0")
        gold = extract_answer(case["gold"]) or case["gold"]
        equal = is_equal(gold, extract_answer(answer) or case["pred"])
        row = _compared(case["repo"], gold, found.extracted or case["pred"], case["expected"], equal)
        if equal != case["expected"]:
            row["why"] = _why(case | {"is_equal": equal, "method": found.method})
        by_source.setdefault(case["repo"], []).append(row)
    return _summed(by_source)


RECORDED = {
    "1320 km": "the unit is ignored",
    "(x+y)^2=81": "the value of an equation is its right-hand side",
    "958": "an \\fbox counts as a box",
    "1": "an empty box is skipped; the text continues after the answer",
    "5": "an empty box is skipped; the text continues after the answer",
    r"\frac{207}{64}": "'the answer is' introduces an answer",
}


def _transcripts(quick: bool) -> Iterable[Row]:
    """Recorded generations, graded from their text, beside the recorded grade."""
    source, rows = "NeMo-Skills transcripts", []
    for seed in range(1 if quick else 3):
        for record in _read(f"transcripts/nemo_skills__output-rs{seed}.jsonl"):
            graded = grade(record["generation"], record["expected_answer"])
            said = str(record["is_correct"]) == "True"
            row = _compared(source, record["expected_answer"], graded.extracted or "", said, graded.correct)
            if said != graded.correct:
                row["why"] = RECORDED[graded.extracted or ""]
            rows.append(row)
    return _summed({source: rows})


def _math_500(quick: bool) -> Iterable[Row]:
    """Every reference solution is right, and wrong for a problem that has another answer."""
    problems = _read("math/math500.jsonl")[:: 50 if quick else 1]
    own = [_compared("", p["answer"], "", True, grade(p["solution"], p["answer"]).correct) for p in problems]
    rng = random.Random(0)
    pairs = [rng.sample(sorted({p["answer"] for p in problems}), 2) for _ in range(2 * len(problems))]
    other = [_compared("", a, b, False, is_equal(a, b)) for a, b in pairs]
    return _summed({"MATH-500, own solution": own, "MATH-500, another problem's answer": other})


def _slips(quick: bool) -> Iterable[Row]:
    """MATH-500 answers with one digit changed, which are wrong."""
    answers = sorted({p["answer"] for p in _read("math/math500.jsonl") if re.search(r"\d", p["answer"])})
    rows = []
    for answer in answers[:: 50 if quick else 1]:
        slip = re.sub(r"\d", lambda m: str((int(m[0]) + 3) % 10), answer, count=1)
        rows.append(_compared("", answer, slip, False, is_equal(answer, slip)))
    return _summed({"MATH-500, one digit changed": rows})


def _speed(quick: bool) -> list[Row]:
    """Seconds for 1,000 different answers, the start of the process for math-verify left out."""
    is_equal("x+1", "1+x")
    kinds: dict[str, tuple[Callable[[int], str], Callable[[int], str]]] = {
        "whole numbers (AIME)": (lambda n: f"Some text.\nFinal Answer: {n}", lambda n: f"{n:03}"),
        "fractions, by math-verify": (lambda n: f"So $\\boxed{{\\frac{{{n}}}{{7}}}}$.", lambda n: f"{2 * n}/14"),
        "polynomials, by math-verify": (lambda n: f"So $\\boxed{{(x+{n})^2}}$.", lambda n: f"x^2+{2 * n}x+{n * n}"),
    }
    count = 20 if quick else 1000
    rows: list[Row] = []
    for name, (output, gold) in kinds.items():
        begin = time.perf_counter()
        right = sum(grade(output(n), gold(n)).correct for n in range(1, count + 1))
        seconds = time.perf_counter() - begin
        assert right == count, f"{name}: {right} of {count}"
        rows.append({"part": "speed", "answers": name, "seconds per 1,000": seconds * 1000 / count})
    return rows


def _compared(source: str, gold: str, answer: str, yardstick: bool, ours: bool) -> Row:
    return {"source": source, "gold": gold, "answer": answer, "yardstick": yardstick, "ours": ours, "why": ""}


def _summed(by_source: dict[str, list[Row]]) -> list[Row]:
    rows: list[Row] = []
    for source, compared in by_source.items():
        apart = [row for row in compared if row["yardstick"] != row["ours"]]
        counts = {"cases": len(compared), "agree": len(compared) - len(apart)}
        share = {"agree, %": 100 * (1 - len(apart) / len(compared))}
        lax = {"we say equal, they do not": sum(row["ours"] for row in apart)}
        strict = {"they say equal, we do not": sum(row["yardstick"] for row in apart)}
        rows.append({"part": "agreement", "source": source, **counts, **share, **lax, **strict})
        rows += [{"part": "disagreement", **row, "source": source} for row in apart]
    return rows


def _why(case: Case) -> str:
    for fits, why in REASONS:
        if fits(case):
            return why
    raise AssertionError(f"A disagreement without a reason: {case}")


def _read(name: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (DATA / name).read_text(encoding="utf-8").splitlines()]


def _code(text: str) -> str:
    shown = ("…" if len(text) > 100 else "") + text[-100:].replace("\n", "\\n").replace("`", "'")
    return f"`` {shown} ``"


if __name__ == "__main__":
    write_list(json.loads((RESULTS / "grading.json").read_text())["rows"], HERE / "grading.md")
