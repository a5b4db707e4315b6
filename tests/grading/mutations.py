"""Answers, and mutations of them that change what they mean."""

from __future__ import annotations

import re
from collections.abc import Iterator

# Of every kind that MATH-500, AIME and their like hold; no two of one row are equal to those of another.
EQUAL = [
    ["25", "025", "25.0", r"25\text{ cm}", "２５", "\u200b25", r"\approx 25", "x=25"],
    ["-3", "−3", "- 3"],
    [r"\frac{7}{2}", "3.5", "3 1/2", r"3\frac{1}{2}", "3½"],
    [r"-\frac{24}{25}", "-24/25", "-0.96"],
    [r"\frac{1}{3}", "1/3", "0.333333"],
    [r"\pm 2", "2,-2", "-2, 2", "±2", r"x=\pm 2", "x=2 or x=-2", r"\{-2, 2\}"],
    [r"1\pm\sqrt{19}", r"1+\sqrt{19}, 1-\sqrt{19}"],
    ["4343_6", "4343_{6}", "4343₆", r"4343_{\text{six}}", "4343 base 6"],
    ["7:30 p.m.", r"7:30\text{ PM}", "19:30"],
    ["(1 2)(3 4)", "(3 4)(2 1)"],
    [r"(-\infty,-5]\cup[-3,\infty)", r"x\le -5 \text{ or } x\ge -3", "[-3,∞)∪(-∞,-5]"],
    ["[-2,7)", r"-2\le x<7", "x<7 and x>=-2"],
    [r"\emptyset", r"\varnothing", r"\{\}", "∅"],
    [r"(-\infty,\infty)", r"\mathbb{R}", "all real numbers"],
    ["2x+4y-3=0", r"y=-\frac12 x+\frac34", "4x+8y=6"],
    ["(1,-16,-4,43)", r"\left(1, -16, -4, 43\right)"],
    ["(3,5)", "（3，5）"],
    [r"\left(\frac{3}{5},\frac{8}{3}\right]", "(0.6, 8/3]"],
    ["x^3+3x-6", "-6+3x+x^3"],
    [r"6\sqrt{2}", "6*sqrt(2)", r"\sqrt{72}"],
    ["1-12i", "-12i+1"],
    [r"\begin{pmatrix}-1 \\ 7\end{pmatrix}", r"\begin{bmatrix} -1 \\ 7.0 \end{bmatrix}"],
    [r"37\text{ kg}", "37000 grams"],
    [r"90^\circ", "90°", "90 degrees"],
    [r"12\pi", "12π", "12 pi"],
    [r"\text{Evelyn}", "evelyn"],
    ["3, 5, 7", "7, 5 and 3"],
    ["28\\%", "28 percent"],
]


def mutations(gold: str) -> Iterator[tuple[str, str]]:
    """Kind of change, and `gold` changed so that it means something else."""
    for digit in re.finditer(r"\d", gold):
        other = str((int(digit[0]) + 1) % 10)
        yield "digit", gold[: digit.start()] + other + gold[digit.end() :]
    for sign in re.finditer(r"[+-](?!\s?0)", gold):
        yield "sign", gold[: sign.start()] + ("-" if sign[0] == "+" else "+") + gold[sign.end() :]
    if re.fullmatch(r"[\d.,]*[1-9][\d.,]*|\\frac\{\d+\}\{\d+\}|\\?[a-z]+\{\d+\}", gold):
        yield "sign", "-" + gold
    if re.fullmatch(r"\d\d+", gold):
        yield "space", f"{gold[:-1]} {gold[-1]}"
        yield "space", f"{gold[:-1]}\n{gold[-1]}"
        yield "space", f"{gold[0]}, {gold[1:]}"
    yield from _rewritten(gold)
    base = re.search(r"_\{?(\d+)", gold)
    if base:
        yield "base", gold[: base.start(1)] + str(int(base[1]) + 1) + gold[base.end(1) :]
    pair = re.fullmatch(r"(\\left\s?)?([(\[])(.*)(\\right\s?)?([)\]])", gold)
    entries = pair[3].removesuffix(r"\right").split(",") if pair and "(" not in pair[3] else []
    if len(entries) > 1 and entries[0].strip() != entries[-1].strip():
        yield "order", f"({','.join(reversed(entries))})"
    if len(entries) == 2 and pair:
        inner = ",".join(entries)
        for opening, closing in ("()", "(]", "[)", "[]"):
            changed = (opening != pair[2] and "infty" not in entries[0]) + (
                closing != pair[5] and "infty" not in entries[1]
            )
            if changed == 1:
                yield "ends", f"{opening}{inner}{closing}"


def _rewritten(gold: str) -> Iterator[tuple[str, str]]:
    """With one sign or letter written otherwise."""
    for kind, old, new in (
        *(("ends", r"\le ", "<"), ("ends", "<=", "<"), ("ends", r"\cup", r"\cap"), ("ends", "{ or }", "{ and }")),
        *(("half", "p.m.", "a.m."), ("half", "PM", "AM"), ("function", r"\pi", "e"), ("function", r"\sqrt", "")),
        *(("function", r"\pm", "+"), ("function", r"\frac", r"\binom"), ("function", r"\emptyset", "0")),
    ):
        if old in gold:
            yield kind, gold.replace(old, new, 1)
    if not re.search(r"text|\\in|base|all|or|\.m|[A-Z]", gold):
        for letter in re.finditer(r"(?<![\\a-z{])[a-z](?![a-z])", gold):
            yield "letter", gold[: letter.start()] + "w" + gold[letter.end() :]


def differing_units(gold: str) -> tuple[str, str] | None:
    """A number with two units that differ in kind."""
    if not re.fullmatch(r"-?[\d.]+|-?\\frac\{\d+\}\{\d+\}", gold):
        return None
    return gold + r"\text{ cm}", gold + r"\text{ kg}"
