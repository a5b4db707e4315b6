"""Stage 2: drop rows without a complete trace and answer, and questions with formatting problems."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from s1_hf.curate.stage import Drop, Stage, column, stage
from s1_hf.curate.text import excerpt, trace_text
from s1_hf.forcing.families import FAMILIES
from s1_hf.forcing.report import UNCLOSED

if TYPE_CHECKING:
    from datasets import Dataset

Row = Mapping[str, Any]
_DELIMITERS = tuple(token for name in ("s1", "think") for token in FAMILIES[name].tokens)
_NUMBERING = re.compile(r"p[1-9]\d{0,2}\.")
_BOLD_NUMBER = re.compile(r"\*\*(?=.*\d)[^\s\]]*\*\*")


def error(row: Row, options: Quality) -> str | None:
    """Generation failed: `error` is not blank, or `ended` is `"error"`."""
    text = row.get("error")
    if isinstance(text, str) and text.strip():
        return text
    return "ended: error" if row.get("ended") == "error" else None


def empty(row: Row, options: Quality) -> str | None:
    """The question, the trace or the answer is missing or blank."""
    texts = {
        "question": row["question"],
        "trace": trace_text(row["thinking_trajectories"]),
        "attempt": row["attempt"],
    }
    blank = [name for name, text in texts.items() if not (text or "").strip()]
    return f"no {' and no '.join(blank)}" if blank else None


def unclosed(row: Row, options: Quality) -> str | None:
    """Thinking never closed, or never began: `ended` is `"unfinished"`, `"handed_over"` or `"never_started"`."""
    return f"ended: {row['ended']}" if row.get("ended") in (*UNCLOSED, "never_started") else None


def cut(row: Row, options: Quality) -> str | None:
    """Thinking was closed by force: `ended` is `"cut"` or `"looped"`. Such a trace teaches a model to stop anywhere."""
    return f"ended: {row['ended']}" if row.get("ended") in ("cut", "looped") else None


def answer_cut(row: Row, options: Quality) -> str | None:
    """The answer was cut off by a length limit: `answer_cut` is true."""
    return "the answer was cut" if row.get("answer_cut") else None


def short(row: Row, options: Quality) -> str | None:
    """The trace has fewer than `min_thinking_tokens` tokens; with 0, no trace is too short."""
    length = row.get("thinking_tokens")
    return f"{length} thinking tokens" if options.min_thinking_tokens > (length or 0) else None


def delimiter(row: Row, options: Quality) -> str | None:
    """A text contains `<|im_start|>`, `<think>` or `</think>`, which training refuses. Other delimiters pass."""
    texts = (row["question"] or "", trace_text(row["thinking_trajectories"]), row["attempt"] or "")
    found = [token for token in _DELIMITERS if any(token in text for text in texts)]
    return " and ".join(found) if found else None


def asy(row: Row, options: Quality) -> str | None:
    """The original's rule: `[asy]`, an Asymptote drawing, anywhere in a question that is not from `asy_sources`.

    `[ASY]` and other drawings pass. In the original, an AIME question with `[asy]` also skips the rules below.
    """
    kept = any(name in (row.get("source_type") or "") for name in options.asy_sources)
    return "[asy]" if "[asy]" in row["question"] and not kept else None


def image(row: Row, options: Quality) -> str | None:
    """The original's rule: `![Image]` anywhere in the question. `![image]` and `<img>` pass."""
    return "![Image]" if "![Image]" in row["question"] else None


def numbering(row: Row, options: Quality) -> str | None:
    """The original's rule: `p1.` to `p999.` anywhere, even in a word (`step1.`). `p0.` and `P1.` pass."""
    return _matched(_NUMBERING, row["question"])


def bold_number(row: Row, options: Quality) -> str | None:
    r"""The original's rule `\*\*(?=.*\d)[^\s\]]*\*\*`: bold text without whitespace or `]`, with a digit anywhere after
    its opening on the same line: `**12.**`, and `**Egyptian**` if a digit follows. `**two words 1**` passes.
    """
    return _matched(_BOLD_NUMBER, row["question"])


RULES: dict[str, Callable[[Row, Quality], str | None]] = {
    rule.__name__: rule
    for rule in (error, empty, unclosed, cut, answer_cut, short, delimiter, asy, image, numbering, bold_number)
}
"""The rules by name, in the order in which they are tried. A rule returns what it found, or `None`."""

_READS = {"error": "error", "unclosed": "ended", "cut": "ended", "answer_cut": "answer_cut"}
_QUESTION_ONLY = ("asy", "image", "numbering", "bold_number")


@dataclass(frozen=True)
class Quality:
    """Options of [`check_quality`].

    Args:
        skip (`tuple[str, ...]`): rules of `s1_hf.curate.quality.RULES` that are not applied.
        min_thinking_tokens (`int`, defaults to 0): the limit of the rule `short`.
        asy_sources (`tuple[str, ...]`): drawings are kept if the row's source contains one of these texts.
    """

    skip: tuple[str, ...] = ()
    min_thinking_tokens: int = 0
    asy_sources: tuple[str, ...] = ("AIME",)

    def __post_init__(self) -> None:
        unknown = [name for name in self.skip if name not in RULES]
        if unknown:
            raise ValueError(f"`skip` has to name rules ({', '.join(RULES)}), but names {', '.join(unknown)}.")
        if self.min_thinking_tokens < 0:
            raise ValueError(f"`min_thinking_tokens` has to be 0 or more, but is {self.min_thinking_tokens}.")


def check_quality(dataset: Dataset, options: Quality | None = None, *, num_proc: int | None = None) -> Stage:
    """Drop rows that a rule of `RULES` matches; the first match counts. Without its column, a rule matches nothing.

    Args:
        dataset: needs the columns `question`, `thinking_trajectories` and `attempt`; `error`, `ended`, `answer_cut`,
            `source_type` and `thinking_tokens` are used if present.
        num_proc (`int`, *optional*): number of processes.

    Raises:
        ValueError: `min_thinking_tokens` is set, but there is no column `thinking_tokens`.

    Example:

    ```python
    >>> from datasets import Dataset, disable_progress_bars
    >>> from s1_hf.curate import check_quality
    >>> disable_progress_bars()
    >>> row = {"question": "See ![Image].", "thinking_trajectories": ["Hm."], "attempt": "2"}
    >>> [(drop.row, drop.rule, drop.detail) for drop in check_quality(Dataset.from_list([row])).drops]
    [(0, 'image', '![Image]')]

    ```
    """
    options = options or Quality()
    present = dataset.column_names
    if options.min_thinking_tokens and "short" not in options.skip and "thinking_tokens" not in present:
        raise ValueError("`min_thinking_tokens` needs a column `thinking_tokens`. Add it with `with_thinking_tokens`.")
    inputs = ["question", "thinking_trajectories", "attempt"]
    inputs += [name for name in ("error", "ended", "answer_cut", "source_type", "thinking_tokens") if name in present]
    met = column(dataset, _check_rules, inputs, num_proc, names=inputs, options=options)
    drops = [Drop(row, *pair.split("\n", 1)) for row, pair in enumerate(met) if pair]
    return stage("quality", len(dataset), drops, _notes(options, present))


def _check_rules(*lists: list[Any], names: list[str], options: Quality) -> list[str]:
    return [_first(dict(zip(names, values, strict=True)), options) for values in zip(*lists, strict=True)]


def _first(row: dict[str, Any], options: Quality) -> str:
    for name, rule in RULES.items():
        if name in options.skip or (name in _QUESTION_ONLY and row["question"] is None):
            continue
        found = rule(row, options)
        if found is not None:
            return f"{name}\n{excerpt(found, 200)}"
    return ""


def _notes(options: Quality, present: list[str]) -> list[str]:
    lacking = [name for name, need in _READS.items() if need not in present and name not in options.skip]
    notes = [f"rule {name} is skipped" for name in options.skip]
    return notes + [f"rule {name} matched nothing: the pool has no column {_READS[name]!r}" for name in lacking]


def _matched(pattern: re.Pattern[str], text: str) -> str | None:
    match = pattern.search(text)
    return match[0] if match else None
