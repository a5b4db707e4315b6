"""The command line: `s1-hf`. Needs the `cli` extra. A command a module."""

import sys

try:
    import typer

    from s1_hf.cli.data import data
    from s1_hf.cli.demo import demo
    from s1_hf.cli.eval import evaluate
    from s1_hf.cli.plan import plan
    from s1_hf.cli.sft import FIELDS_TOO, sft
    from s1_hf.cli.terminal import console
except ModuleNotFoundError as error:
    sys.exit(f"The command line needs `{error.name}`, which comes with an extra: pip install 's1-hf[cli,plot]'")

app = typer.Typer(no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False)
app.command()(demo)
app.command("eval")(evaluate)
app.command(context_settings=FIELDS_TOO)(plan)
app.command(context_settings=FIELDS_TOO)(sft)
app.add_typer(data, name="data")


@app.callback()
def about() -> None:
    """Test-time scaling for Hugging Face models: budget forcing after "s1: Simple test-time scaling"."""


def main() -> None:
    """Entry point of `s1-hf`."""
    try:
        app()
    except KeyboardInterrupt:
        console.print("Interrupted.")
        sys.exit(130)
