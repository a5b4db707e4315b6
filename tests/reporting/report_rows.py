"""Rows for a report, and the report that is written from them."""

from s1_hf.reporting import write_report
from s1_hf.results.rows import Row


def a_row(setting="no intervention", problem="1", correct=True, **changes):
    first = {"method": "budget forcing", "task": "t", "sample": 0, "thinking_tokens": 100, "answer_tokens": 2}
    return Row(
        setting=setting, problem=problem, correct=correct, **first | {"ended": "natural", "total_tokens": 102} | changes
    )


def a_curve(right, **changes):
    """No intervention and a cap; `right` says of each problem whether each is right."""
    cap = {"thinking_tokens": 50, "max_thinking_tokens": 50, "ended": "cut", "total_tokens": 60}
    for i, (plain, cut) in enumerate(right):
        yield a_row(problem=str(i), correct=plain, **changes)
        yield a_row("cap 50", str(i), cut, **cap | changes)


def written(rows, folder, **options):
    report = write_report(list(rows), folder, **{"formats": ()} | options)
    return report, report.page.read_text(encoding="utf-8")
