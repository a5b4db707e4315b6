"""Writes the table of docs/families.md from the code: `python docs/families.py`. A test holds the two together."""

from pathlib import Path

from s1_hf.forcing.families import FAMILIES, Family

PAGE = Path(__file__).with_name("families.md")

_BEGIN, _END = "<!-- the table -->", "<!-- end of the table -->"


def page() -> str:
    """The page's text, with today's table in it."""
    before, rest = PAGE.read_text(encoding="utf-8").split(_BEGIN)
    after = rest.split(_END)[1]
    return f"{before}{_BEGIN}\n\n{_table()}\n\n{_END}{after}"


def _table() -> str:
    columns = ("name", "models", "opens", "closes", "opens the answer", "handovers", "opened", "again", "ends ignored")
    lines = [_row((*columns, "source")), _row(("---",) * (len(columns) + 1))]
    for name, family in FAMILIES.items():
        cells = (
            f"`{name}`",
            family.models,
            _code(family.start),
            _code(family.close),
            _code(family.answer_start),
            ", ".join(_code(token) for token in family.handovers),
            "forced" if family.force_start else "awaited",
            "yes" if family.interleaved else "no",
            "yes" if can_ignore_ends(family) else "no, cap only",
            family.source,
        )
        lines.append(_row(cells))
    return "\n".join(lines)


def can_ignore_ends(family: Family) -> bool:
    """Whether the closing delimiter is, or begins with, a token of the family's vocabularies."""
    return any(family.close.startswith(token) for token in family.tokens)


def _code(text: str) -> str:
    """A delimiter in a cell: line ends spelled out, and bars, which would end the cell, escaped."""
    return "`" + text.replace("\n", "\\n").replace("|", "\\|") + "`" if text else ""


def _row(cells: tuple[str, ...]) -> str:
    return f"| {' | '.join(cells)} |"


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
