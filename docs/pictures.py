"""Draws transcripts.svg, rows.svg and sweep.svg, from what the embedded model writes: `python docs/pictures.py`."""

from __future__ import annotations

from html import escape
from pathlib import Path

from s1_hf import Completion, embedded, generate, sweep

FOLDER = Path(__file__).parent
PROBLEM = embedded.Problem(2, 7, 3, 8)
FILLS = {"thinking": "#d5dbe3", "forced": "#d55e00", "answer": "#009e73", "ignored": "#ffffff"}
INK, FAINT = "#1f2933", "#5f6b7a"
SETTINGS = [
    ("no budget", {}),
    ("lengthened: 1 end ignored", {"num_ignores": 1}),
    ("capped at 32 thinking tokens", {"max_thinking_tokens": 32}),
]
Piece = tuple[str, str]


def drawn() -> dict[str, str]:
    """Each picture by the name of its file."""
    model, tokenizer = embedded.load()

    def run(**budget: int) -> Completion:
        return generate(model, tokenizer, PROBLEM.question, max_new_tokens=400, **budget)[0]

    settings = [*SETTINGS, ("both: up to 2 ends are ignored, cap 100", {"num_ignores": 2, "max_thinking_tokens": 100})]
    completions = [(name, run(**budget)) for name, budget in settings]
    cards = [(name, pieces_of(tokenizer, one), one) for name, one in completions[:3]]
    rows = [(name, kinds_of(tokenizer, one), one) for name, one in completions]
    grid = {"max_thinking_tokens": [16, 32, 48, None], "num_ignores": [0, 2]}
    swept = sweep(model, tokenizer, [PROBLEM.question], max_new_tokens=400, **grid)
    return {"transcripts.svg": transcripts(cards), "rows.svg": strips(rows), "sweep.svg": branches(swept)}


def pieces_of(tokenizer: object, completion: Completion) -> list[Piece]:
    """Runs of tokens of one kind, with `ignored` where an end was."""
    pieces: list[Piece] = []
    for token, kind in zip(completion.token_ids, kinds_of(tokenizer, completion), strict=True):
        text = tokenizer.decode([token])  # type: ignore[attr-defined]
        if kind == "forced" and text == "Wait":
            pieces.append(("end, ignored", "ignored"))
        if pieces and pieces[-1][1] == kind:
            pieces[-1] = (pieces[-1][0] + text, kind)
        else:
            pieces.append((text, kind))
    return pieces


def kinds_of(tokenizer: object, completion: Completion) -> list[str]:
    """Of every generated token: forced, thinking or answer."""
    kinds, is_closed = [], False
    close = tokenizer.encode("answer")[0]  # type: ignore[attr-defined]  # the last token of the closing delimiter
    for place, (token, forced) in enumerate(zip(completion.token_ids, completion.forced, strict=True)):
        kinds.append("forced" if forced else "answer" if is_closed else "thinking")
        is_closed = is_closed or (bool(forced) and token == close and place > 1)
    return kinds


def transcripts(cards: list[tuple[str, list[Piece], Completion]]) -> str:
    """The texts beside each other; what was forced is marked."""
    width, gap, line, size = 304, 14, 18, 7.25
    bodies, height = [], 0.0
    for number, (name, pieces, completion) in enumerate(cards):
        left, y = number * (width + gap), 62.0
        body = [_text(left + 14, 28, name, weight="600"), _text(left + 14, 46, _outcome(completion), FAINT, 12)]
        y += 14
        x = left + 14.0
        for text, kind in pieces:
            for part in _parts(text):
                if part == "\n":
                    x, y = left + 14.0, y + line
                    continue
                span = len(part) * size
                if kind == "forced":
                    body.append(_box(x - 2, y - 13, span + 4, 17, FILLS["forced"], radius=3))
                if kind == "ignored":
                    body.append(
                        f'<rect x="{x:.0f}" y="{y - 13:.0f}" width="{span + 4:.0f}" height="17" rx="3" fill="none" '
                        f'stroke="{FILLS["forced"]}" stroke-dasharray="3 2"/>'
                    )
                colour = {"forced": "#ffffff", "answer": "#00664b", "ignored": FILLS["forced"]}.get(kind, INK)
                strike = ' text-decoration="line-through"' if kind == "ignored" else ""
                body.append(_text(x + (2 if kind == "ignored" else 0), y, part, colour, 12, mono=True, more=strike))
                x += span + (10 if kind == "ignored" else 0)
        height = max(height, y + 16)
        bodies.append((left, body))
    parts = []
    for left, body in bodies:
        parts.append(
            f'<rect x="{left + 0.5}" y="0.5" width="{width - 1}" height="{height - 1:.0f}" rx="8" fill="#ffffff" '
            'stroke="#c5ccd6"/>'
        )
        parts += body
    total = 3 * width + 2 * gap
    said = "; ".join(f"{name}: {_outcome(completion)}" for name, _, completion in cards)
    return _svg(total, height, parts, f"One question under three budgets. {said}")


def strips(rows: list[tuple[str, list[str], Completion]]) -> str:
    """Every token a box, every row a line: what a batch looks like, one step after the other."""
    left, unit, height, gap = 16, 6.1, 20, 46
    parts = [_legend(left, 22)]
    for number, (name, kinds, completion) in enumerate(rows):
        y = 62 + number * gap
        parts.append(_text(left, y - 6, name, weight="600", size=13))
        parts.append(_text(left + 900 - 12, y - 6, _outcome(completion), FAINT, 12, more=' text-anchor="end"'))
        for place, kind in enumerate(kinds):
            parts.append(_box(left + place * unit, y, unit - 1, height, FILLS[kind]))
        for place in _waits(completion, kinds):
            x = left + place * unit
            parts.append(
                f'<path d="M{x - 3:.1f} {y - 2} V{y + height + 2}" stroke="{INK}" stroke-width="1.5" '
                'stroke-dasharray="2 2"/>'
            )
    height_of_all = 62 + len(rows) * gap - 8
    said = "; ".join(f"{name}: {_outcome(completion)}" for name, _, completion in rows)
    return _svg(930, height_of_all, [_card(930, height_of_all), *parts], f"Four rows, token by token. {said}")


def branches(result: object) -> str:
    """One trace at the largest setting; where another setting would end, a branch with its answer."""
    found = {}
    for setting, (completion,) in zip(result.settings, result.completions, strict=True):  # type: ignore[attr-defined]
        found.setdefault((completion.report.thinking_tokens, completion.answer), (setting.name, completion))
    ends = sorted(found.values(), key=lambda one: one[1].report.thinking_tokens)
    left, unit, y = 20, 4.6, 52
    most = ends[-1][1].report.thinking_tokens
    parts = [
        _text(
            left, 26, "one row thinks at the largest setting; every other setting leaves it where it would end", size=13
        ),
        f'<path d="M{left} {y} H{left + most * unit:.0f}" stroke="#8794a5" stroke-width="7" stroke-linecap="round"/>',
    ]
    for number, (name, completion) in enumerate(ends):
        x, down = left + completion.report.thinking_tokens * unit, y + 30 + 32 * (len(ends) - 1 - number)
        answer = completion.answer.replace("\n", " ")
        parts.append(
            f'<path d="M{x:.0f} {y} V{down - 8} Q{x:.0f} {down} {x + 8:.0f} {down} H{x + 34:.0f}" fill="none" '
            f'stroke="{FILLS["answer"]}" stroke-width="4"/>'
        )
        parts.append(
            _text(x + 42, down + 4, f"{name}: {completion.report.thinking_tokens} tokens, “{answer}”", size=12)
        )
    height = y + 30 + 32 * len(ends)
    said = "; ".join(f"{name} after {one.report.thinking_tokens} thinking tokens" for name, one in ends)
    return _svg(930, height, [_card(930, height), *parts], f"A sweep: one row, left by {said}")


def _outcome(completion: Completion) -> str:
    number = completion.answer.split()[-1]
    mark = "right" if number == str(PROBLEM.answer) else "wrong"
    return f"{completion.report.thinking_tokens} thinking tokens, answer {number}: {mark}"


def _waits(completion: Completion, kinds: list[str]) -> list[int]:
    """The places of Waits: forced tokens with thinking on both sides."""
    places = [
        i for i in range(2, len(kinds) - 1) if kinds[i] == "forced" and kinds[i - 1] == kinds[i + 1] == "thinking"
    ]
    assert len(places) == completion.report.ends_ignored
    return places


def _legend(x: float, y: float) -> str:
    parts = []
    for kind, said in (("thinking", "thinking"), ("forced", "forced: opening, “Wait”, closing"), ("answer", "answer")):
        parts.append(_box(x, y - 11, 14, 14, FILLS[kind], radius=2) + _text(x + 20, y, said, size=12))
        x += 40 + len(said) * 6.4
    parts.append(f'<path d="M{x + 4} {y - 12} V{y + 4}" stroke="{INK}" stroke-width="1.5" stroke-dasharray="2 2"/>')
    parts.append(_text(x + 14, y, "the model tried to end here, and was ignored", size=12))
    return "".join(parts)


def _parts(text: str) -> list[str]:
    lines = text.split("\n")
    return [part for i, line in enumerate(lines) for part in (["\n"] if i else []) + ([line] if line else [])]


def _text(
    x: float,
    y: float,
    text: str,
    fill: str = INK,
    size: int = 14,
    *,
    weight: str = "400",
    mono: bool = False,
    more: str = "",
) -> str:
    family = "ui-monospace, Menlo, Consolas, monospace" if mono else "system-ui, sans-serif"
    space = f' xml:space="preserve" textLength="{len(text) * 7.25:.0f}" lengthAdjust="spacingAndGlyphs"' if mono else ""
    return (
        f'<text x="{x:.1f}" y="{y:.1f}" font-family="{family}" font-size="{size}" font-weight="{weight}" '
        f'fill="{fill}"{space}{more}>{escape(text)}</text>'
    )


def _box(x: float, y: float, width: float, height: float, fill: str, radius: float = 1) -> str:
    return f'<rect x="{x:.1f}" y="{y:.1f}" width="{width:.1f}" height="{height}" rx="{radius}" fill="{fill}"/>'


def _card(width: float, height: float) -> str:
    return f'<rect x="0.5" y="0.5" width="{width - 1}" height="{height - 1}" rx="8" fill="#ffffff" stroke="#c5ccd6"/>'


def _svg(width: float, height: float, parts: list[str], title: str) -> str:
    body = "\n".join(parts)
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width:.0f} {height:.0f}" width="{width:.0f}" '
        f'height="{height:.0f}" role="img">\n<title>{escape(title)}</title>\n{body}\n</svg>\n'
    )


if __name__ == "__main__":
    for file, picture in drawn().items():
        (FOLDER / file).write_text(picture, encoding="utf-8")
