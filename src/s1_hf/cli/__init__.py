"""The command line: `s1-hf`. Needs the `cli` extra. A command a module; `s1_hf.__main__` is the entry point."""

import sys
from typing import Annotated

try:
    import typer

    from s1_hf.cli.check import check
    from s1_hf.cli.compare import compare
    from s1_hf.cli.curate import curate
    from s1_hf.cli.data import data
    from s1_hf.cli.demo import demo
    from s1_hf.cli.early import early
    from s1_hf.cli.effort import effort
    from s1_hf.cli.engines import MORE
    from s1_hf.cli.eval import evaluate
    from s1_hf.cli.export import export
    from s1_hf.cli.formats import formats
    from s1_hf.cli.generate import generate
    from s1_hf.cli.grpo import grpo
    from s1_hf.cli.overview import show_overview
    from s1_hf.cli.pack import pack, replay
    from s1_hf.cli.plan import plan
    from s1_hf.cli.playground import playground
    from s1_hf.cli.plot import plot
    from s1_hf.cli.power import power
    from s1_hf.cli.push import push
    from s1_hf.cli.search import search
    from s1_hf.cli.serve import serve
    from s1_hf.cli.sft import FIELDS_TOO, sft
    from s1_hf.cli.spend import spend
    from s1_hf.cli.sweep import sweep
    from s1_hf.cli.terminal import add
except ModuleNotFoundError as error:
    print(f"The command line needs `{error.name}`: pip install 's1-hf[cli]'", file=sys.stderr)
    sys.exit(2)

app = typer.Typer(add_completion=True, pretty_exceptions_enable=False)
add(app, demo, group="First minutes")
add(app, check, group="First minutes", context_settings=MORE)
add(app, formats, group="First minutes")
add(app, generate, group="Ask")
add(app, playground, group="Ask", context_settings=MORE)
add(app, serve, group="Ask", context_settings=MORE)
add(app, export, group="Ask")
add(app, evaluate, "eval", group="Measure", context_settings=MORE)
add(app, sweep, group="Measure", context_settings=MORE)
add(app, search, group="Measure", context_settings=MORE)
add(app, effort, group="Measure", context_settings=MORE)
add(app, plot, group="Measure")
add(app, compare, group="Measure")
add(app, power, group="Measure")
add(app, early, group="Measure")
add(app, spend, group="Measure")
app.add_typer(data, name="data", rich_help_panel="Train")
add(app, curate, group="Train")
add(app, plan, group="Train", context_settings=FIELDS_TOO)
add(app, sft, group="Train", context_settings=FIELDS_TOO)
add(app, grpo, group="Train", context_settings=FIELDS_TOO)
add(app, push, group="Share and prove")
add(app, pack, group="Share and prove")
add(app, replay, group="Share and prove")


def _show_version(wanted: bool) -> None:
    if wanted:
        from importlib.metadata import version as installed

        typer.echo(f"s1-hf {installed('s1-hf')}")
        raise typer.Exit


@app.callback(invoke_without_command=True)
def about(
    context: typer.Context,
    version: Annotated[
        bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Show the version and exit.")
    ] = False,
) -> None:
    """Test-time scaling for Hugging Face models: budget forcing after "s1: Simple test-time scaling".

    Results are written to stdout, progress and errors to stderr.

    Exit codes: 0, done; 1, a negative verdict (plan: does not fit, check: a fault, replay: does not agree) or a crash;
    2, bad input; 3, neither (plan: tight); 130, Ctrl-C.
    """
    if context.invoked_subcommand is None:
        show_overview(app)
