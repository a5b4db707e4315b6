"""The table of commands and faults: each cell a test, or the reason why there is none.

`python tests/faults/fault_table.py` writes it into docs/faults.md; a test holds the two together.
"""

from __future__ import annotations

from pathlib import Path

FAULTS = {
    "killed": "`kill -9` at random moments; run again, it gives what an unbroken run gives",
    "full disk": "no more bytes at some point: one error that names the file; with room again it finishes",
    "read-only": "a folder that may not be written: one error, nothing half done",
    "torn line": "the last line of a file cut in its middle, as by a power cut: finished all the same",
    "foreign line": "a line of something else in a file: an error that names the file and the line",
    "two at once": "a second process in the same folder is refused, the first finishes",
    "link": "links where files will be written: what they point to stays as it was",
    "hostile text": "control characters in whatever it reads never reach the terminal",
    "secrets": "keys in the environment stand in nothing that it says or writes",
}

WRITES_NOTHING = "writes nothing"
_WRITING = ("killed", "full disk", "read-only", "torn line", "foreign line", "two at once", "link")
_NO_LINES = "keeps no file of lines"

REASONS: dict[str, dict[str, str]] = {
    "generate": dict.fromkeys(_WRITING, WRITES_NOTHING),
    "plan": dict.fromkeys(_WRITING, WRITES_NOTHING),
    "formats": dict.fromkeys(_WRITING, WRITES_NOTHING),
    "check": dict.fromkeys(_WRITING, WRITES_NOTHING),
    "data show": dict.fromkeys(_WRITING, WRITES_NOTHING),
    "plot": dict.fromkeys(("torn line", "foreign line"), f"{_NO_LINES}; what it reads: tests/results"),
    "compare": dict.fromkeys(_WRITING, WRITES_NOTHING),
    "power": dict.fromkeys(_WRITING, WRITES_NOTHING),
    "early": dict.fromkeys(_WRITING, WRITES_NOTHING),
    "spend": dict.fromkeys(("torn line", "foreign line"), "rows are written anew; what it reads: tests/results"),
    "pack": {
        "torn line": "whatever it finds is written anew; what is changed later: tests/packs",
        "foreign line": "whatever it finds is written anew; what is changed later: tests/packs",
    },
    "push": dict.fromkeys(_WRITING, "writes no results; what it sends, killed, cut and refused: tests/publishing"),
    "replay": dict.fromkeys(("torn line", "foreign line"), f"{_NO_LINES}; what it reads: tests/packs"),
    "serve": dict.fromkeys(_WRITING, "writes nothing but a temporary folder"),
    "playground": dict.fromkeys(_WRITING, "writes three files of less than a kilobyte, each whole: tests/playground"),
    "export": dict.fromkeys(("torn line", "foreign line"), _NO_LINES),
    "data embedded": dict.fromkeys(("torn line", "foreign line"), _NO_LINES),
    "curate": dict.fromkeys(("torn line", "foreign line"), _NO_LINES),
    "sft": dict.fromkeys(("torn line", "foreign line"), f"{_NO_LINES}; torn checkpoints: tests/sft"),
    "grpo": dict.fromkeys(("torn line", "foreign line"), f"{_NO_LINES}; torn checkpoints: tests/sft"),
}
"""Why a command is not tried under a fault."""

TRIED_ELSEWHERE = {
    "hostile text": "tests/cli/test_terminal.py",
}
"""Faults whose tests walk all commands by themselves."""

PAGE = Path(__file__).parents[2] / "docs" / "faults.md"
_BEGIN, _END = "<!-- the table -->", "<!-- end of the table -->"


def tried(fault: str) -> list[str]:
    """The commands that are tried under a fault."""
    from command_jobs import JOBS

    return [name for name in JOBS if fault not in REASONS.get(name, {})]


def page() -> str:
    """The page's text, with today's table in it."""
    before, rest = PAGE.read_text(encoding="utf-8").split(_BEGIN)
    return f"{before}{_BEGIN}\n\n{_table()}\n\n{_END}{rest.split(_END)[1]}"


def _table() -> str:
    from command_jobs import JOBS

    notes: list[str] = []
    lines = [f"| command | {' | '.join(FAULTS)} |", "| --- |" + " :-: |" * len(FAULTS)]
    for name in JOBS:
        cells = []
        for fault in FAULTS:
            reason = REASONS.get(name, {}).get(fault)
            if reason is not None and reason not in notes:
                notes.append(reason)
            cells.append("tested" if reason is None else f"[{notes.index(reason) + 1}]")
        lines.append(f"| `{name}` | {' | '.join(cells)} |")
    reasons = [f"[{number}] {reason}." for number, reason in enumerate(notes, 1)]
    return "\n".join(lines) + "\n\n" + "  \n".join(reasons)


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
