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
    from s1_hf.cli.effort import effort
    from s1_hf.cli.engines import MORE
    from s1_hf.cli.eval import evaluate
    from s1_hf.cli.export import export
    from s1_hf.cli.formats import formats
    from s1_hf.cli.generate import generate
    from s1_hf.cli.pack import pack, replay
    from s1_hf.cli.plan import plan
    from s1_hf.cli.plot import plot
    from s1_hf.cli.power import power
    from s1_hf.cli.search import search
    from s1_hf.cli.serve import serve
    from s1_hf.cli.sft import FIELDS_TOO, sft
    from s1_hf.cli.sweep import sweep
    from s1_hf.cli.terminal import add
except ModuleNotFoundError as error:
    print(f"The command line needs `{error.name}`: pip install 's1-hf[cli]'", file=sys.stderr)
    sys.exit(2)

app = typer.Typer(no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False)
add(app, generate)
add(app, evaluate, "eval", context_settings=MORE)
add(app, sweep, context_settings=MORE)
add(app, search, context_settings=MORE)
add(app, serve, context_settings=MORE)
add(app, export)
add(app, effort, context_settings=MORE)
add(app, demo)
add(app, plot)
add(app, compare)
add(app, power)
add(app, pack)
add(app, replay)
add(app, plan, context_settings=FIELDS_TOO)
add(app, sft, context_settings=FIELDS_TOO)
app.add_typer(data, name="data")
add(app, curate)
add(app, formats)
add(app, check, context_settings=MORE)


def _show_version(wanted: bool) -> None:
    if wanted:
        from importlib.metadata import version as installed

        typer.echo(f"s1-hf {installed('s1-hf')}")
        raise typer.Exit


@app.callback()
def about(
    version: Annotated[
        bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Show the version and exit.")
    ] = False,
) -> None:
    """Test-time scaling for Hugging Face models: budget forcing after "s1: Simple test-time scaling".

    Results are written to stdout, progress and errors to stderr.

    Exit codes: 0, done; 1, a negative verdict (plan: does not fit, check: a fault, replay: does not agree) or a crash;
    2, bad input; 130, Ctrl-C.
    """
