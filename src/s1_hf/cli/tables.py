"""Settings and methods of result rows: tables in the terminal, or JSON."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from rich import box
from rich.table import Table
from rich.text import Text

from s1_hf.cli.terminal import messages, print_json, print_table
from s1_hf.visible import shortened

if TYPE_CHECKING:
    from s1_hf.reporting.tables import Table as Texts
    from s1_hf.results.rows import Row


def show_summaries(rows: Sequence["Row"], as_json: bool, **more: Any) -> None:
    """To stdout; `more`, of JSON types, goes only into the JSON."""
    from s1_hf.reporting.tables import methods_table, settings_table
    from s1_hf.results.summaries import summarize_methods, summarize_settings

    settings = summarize_settings(rows)
    methods = summarize_methods(settings)
    if as_json:
        found = {"settings": [vars(s) for s in settings], "methods": [vars(m) for m in methods], **more}
        print_json(found, indent=1)
        return
    for method in methods:
        own = [s for s in settings if (s.task, s.method) == (method.task, method.method)]
        print_table(table_of(settings_table(own, brief=True), ", ".join(filter(None, (method.task, method.method)))))
    if methods:
        print_table(table_of(methods_table(methods), "Scaling: percentage points per doubling of thinking tokens"))
    for method in methods:
        if method.no_control:
            messages.print(method.no_control, highlight=False, soft_wrap=True)


def table_of(texts: "Texts", title: str) -> Table:
    """As rich shows it."""
    table = Table(
        title=Text(shortened(title, 78)),
        title_justify="left",
        box=box.SIMPLE_HEAD,
        pad_edge=False,
        collapse_padding=True,
    )
    for i, name in enumerate(texts.columns):
        is_name = i < texts.names
        table.add_column(name, justify="left" if is_name else "right", no_wrap=not is_name, overflow="fold")
    for row in texts.rows:
        table.add_row(*(Text(shortened(text, 60)) for text in row))
    return table
