"""`s1-hf data`: traces for a pool of questions, what a data set is, and a pool to try it on."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich import box
from rich.table import Table
from rich.text import Text

from s1_hf._lazy import require
from s1_hf.cli import options as o
from s1_hf.cli.budgets import takes_budget
from s1_hf.cli.engines import (
    MORE,
    AnyEngine,
    ApiKeyEnv,
    Rounds,
    ServedName,
    engine_options,
    given_in,
    named,
    refuse_left,
)
from s1_hf.cli.progress import progress_bar
from s1_hf.cli.show import show
from s1_hf.cli.terminal import add, messages, plain_errors, print_table, quiet_loading
from s1_hf.engines.endpoint.options import OPTIONS, is_address, key_in
from s1_hf.forcing.budget import NAMES, Budget

if TYPE_CHECKING:
    from datasets import Dataset

    from s1_hf.traces import Source

_POOL, _DECODING = {"rich_help_panel": "Pool"}, {"rich_help_panel": "Decoding"}
_ENDPOINT = {"rich_help_panel": "Endpoint"}

_BOTH = {"temperature", "top_p", "seed", "max_new_tokens", "system_prompt"}
_OF_ENDPOINTS = {"concurrency", "requests_per_minute", "timeout_s", "max_retries", "tokenizer"}
_OF_MODELS = {"max_answer_tokens", "top_k", "min_p", "dtype", "batch_size", "revision", "trust_remote_code", "engine"}
_TEMPLATE = {"no_chat_template", "chat_template_kwargs"}


@takes_budget()
def traces(
    context: typer.Context,
    model: Annotated[
        str,
        typer.Argument(
            help="A folder or a name on the Hub, or 'embedded', the built-in toy; or its name at --endpoint."
        ),
    ],
    *,
    engine: AnyEngine = "transformers",
    source: Annotated[str, typer.Option("--input", help="A file or folder with questions, or a data set on the Hub.")],
    output_dir: Annotated[Path, typer.Option(help="A new folder, or that of the same run, which then resumes.")],
    endpoint: Annotated[
        str | None, typer.Option(help="An OpenAI-compatible address, whose reasoning is taken as it comes.")
    ] = None,
    question_column: Annotated[str, typer.Option(help="The column that is asked.", **_POOL)] = "question",
    samples: Annotated[int, typer.Option(help="Traces per question.", **_POOL)] = 1,
    kind: Annotated[
        str, typer.Option(help="Kind of answers in the column 'solution': math or choice.", **_POOL)
    ] = "math",
    solved_as: Annotated[
        str | None,
        typer.Option(
            help="A name: instead of traces, record whether each question is solved, as solved_NAME.", **_POOL
        ),
    ] = None,
    retry_errors: Annotated[bool, typer.Option("--retry-errors", help="Retry what failed.", **_POOL)] = False,
    budget: Budget,
    max_answer_tokens: o.MaxAnswerTokens = None,
    thinking_format: o.ThinkingFormat = None,
    thinking_start: o.ThinkingStart = None,
    thinking_close: o.ThinkingClose = None,
    force_start: o.ForceStart = False,
    temperature: o.Temperature = 0.0,
    top_p: o.TopP = None,
    top_k: o.TopK = None,
    min_p: o.MinP = None,
    seed: o.Seed = 0,
    max_new_tokens: Annotated[
        int | None,
        typer.Option(help="Maximum tokens of thinking and answer; half of the context by default.", **_DECODING),
    ] = None,
    dtype: o.Dtype = "auto",
    batch_size: Annotated[int, typer.Option(help="Rows per batch.", **_DECODING)] = 8,
    system_prompt: o.SystemPrompt = None,
    no_chat_template: o.NoChatTemplate = False,
    chat_template_kwargs: o.ChatTemplateKwargs = None,
    revision: o.Revision = "main",
    trust_remote_code: o.TrustRemoteCode = False,
    concurrency: Annotated[int, typer.Option(help="Requests in flight at a time.", **_ENDPOINT)] = 8,
    requests_per_minute: Annotated[float | None, typer.Option(help="Rate limit, evenly spaced.", **_ENDPOINT)] = None,
    timeout_s: Annotated[float, typer.Option("--timeout", help="Seconds to wait for a reply.", **_ENDPOINT)] = 1800.0,
    max_retries: Annotated[int, typer.Option(help="Retries per request.", **_ENDPOINT)] = 6,
    rounds: Rounds = False,
    served_name: ServedName = None,
    api_key_env: ApiKeyEnv = None,
    tokenizer: Annotated[
        str | None,
        typer.Option(
            help="A folder or a name on the Hub, to count tokens that the endpoint does not count.", **_ENDPOINT
        ),
    ] = None,
) -> None:
    """Fill a pool of questions with thinking and answers. Rerun the same command to resume.

    Parquet, in OUTPUT_DIR/data: the pool's columns and the traces, their tokens, how they ended, errors and, if there
    is a column 'solution', whether they are right. At an endpoint, what is not given keeps its own default; the key is
    read from OPENAI_API_KEY. Exit code 1: nothing but errors came. 2: bad input, or the endpoint fails for all rows.

    Examples:

    s1-hf data traces embedded --input pool --output-dir traces --temperature 1 --batch-size 64

    s1-hf data traces deepseek-reasoner --endpoint https://api.deepseek.com --input pool.csv --output-dir r1

    s1-hf data traces Qwen/Qwen3-32B --engine http://gpu-box:8000/v1 --input pool --output-dir traces --num-ignores 1

    s1-hf data traces Qwen/Qwen2.5-7B-Instruct --input r1 --output-dir hard --solved-as qwen7b
    """
    with plain_errors(resumes=True):
        require("datasets", "data").disable_progress_bars()
        if endpoint:
            require("openai", "eval")
        quiet_loading(model)
        answers = _source(context, model, endpoint, budget)
        from s1_hf.traces import generate_traces, load_pool

        with progress_bar() as tell:
            rows = generate_traces(
                load_pool(source),
                answers,
                output_dir,
                question_column=question_column,
                samples=samples,
                kind=kind,  # type: ignore[arg-type]  # checked there
                solved_as=solved_as,
                retry_errors=retry_errors,
                progress=tell,
            )
    _show_solved(rows, f"solved_{solved_as}") if solved_as else _show_traces(rows)
    messages.print(f"Written to {output_dir / 'data'}.", soft_wrap=True)
    if not any(value is not None for value in rows[f"solved_{solved_as}"]) if solved_as else all(rows["error"]):
        raise typer.Exit(1)


def _source(context: typer.Context, model: str, endpoint: str | None, budget: Budget) -> Source:
    """What answers; options that have no meaning for it are refused."""
    from s1_hf.traces import Endpoint, LocalModel

    options: dict[str, Any] = dict(context.params)
    given = given_in(context)
    if endpoint:
        of_models = {*_OF_MODELS, *_TEMPLATE, *o.FORMAT, *NAMES, "rounds", "served_name"}
        useless = [name for name in given if name in of_models]
    else:
        useless = [name for name in given if name in _OF_ENDPOINTS.difference(OPTIONS)]
        if not is_address(options["engine"]):
            useless += [name for name in given if name in _OF_ENDPOINTS.intersection(OPTIONS)]
    if useless:
        rule = "has no meaning with" if endpoint else "needs"
        raise ValueError(f"{named(useless)} {rule} `--endpoint`.")
    if endpoint:
        refuse_left(context)
        settings = {name: options[name] for name in given if name in _BOTH | _OF_ENDPOINTS}
        return Endpoint(endpoint, model, api_key=key_in(options["api_key_env"]), **settings)
    more = engine_options(context, options["engine"])
    o.check_sampling(*(options[name] for name in ("temperature", "top_p", "top_k", "min_p")))
    settings = {name: options[name] for name in _BOTH | _OF_MODELS}
    settings["format"] = o.chosen_format(*(options[name] for name in o.FORMAT))
    settings["chat_template"] = not options["no_chat_template"]
    settings["chat_template_kwargs"] = o.template_arguments(options["chat_template_kwargs"])
    return LocalModel(model, budget=budget, engine_options=more, **settings)


def _show_traces(rows: Dataset) -> None:
    table = _table(len(rows))
    for how, count in Counter(rows["ended"]).most_common():
        table.add_row("errors" if how == "error" else f"thinking ended: {how}", f"{count:,}")
    tokens = [count for count, error in zip(rows["thinking_tokens"], rows["error"], strict=True) if not error]
    if tokens and None not in tokens:
        table.add_row("thinking tokens, mean", f"{sum(tokens) / len(tokens):,.0f}")
    if "correct" in rows.column_names:
        table.add_row("correct", f"{list(rows['correct']).count(True):,}")
    print_table(table)
    errors = Counter(error for error in rows["error"] if error)
    for error, count in errors.most_common(3):
        messages.print(Text(f"{count:,} x {error}", style="yellow"), soft_wrap=True)
    if errors:
        messages.print("Rerun the same command with --retry-errors to retry these.")


def _show_solved(rows: Dataset, column: str) -> None:
    table, solved = _table(len(rows)), Counter(rows[column])
    for value, name in ((True, "solved"), (False, "not solved"), (None, "not known")):
        table.add_row(name, f"{solved[value]:,}")
    print_table(table)


def _table(rows: int) -> Table:
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, show_header=False)
    table.add_column(no_wrap=True)
    table.add_column(justify="right")
    table.add_row("rows", f"{rows:,}")
    return table


def embedded(
    output_dir: Annotated[Path, typer.Option(help="A new or empty folder.")],
    problems: Annotated[int, typer.Option(help="How many problems.")] = 5000,
    seed: Annotated[int, typer.Option(help="Random seed for drawing them.")] = 0,
) -> None:
    """Write a pool of problems for the embedded model, none of them held out, to try everything else on.

    Example: s1-hf data embedded --output-dir pool && s1-hf data traces embedded --input pool --output-dir traces
    """
    with plain_errors():
        require("datasets", "data").disable_progress_bars()
        from s1_hf.engines.locking import exclusive
        from s1_hf.traces import embedded_pool
        from s1_hf.traces.folder import is_unused, write_rows

        if not is_unused(output_dir):
            raise ValueError(f"`--output-dir` has to be a new or empty folder, but {output_dir} is not.")
        with exclusive(output_dir):
            rows = embedded_pool(problems, seed)
            file = write_rows(rows, output_dir)
    messages.print(f"{len(rows):,} problems written to {file}", soft_wrap=True)


data = typer.Typer(no_args_is_help=True, help="Make and look at training data.")
add(data, traces, context_settings=MORE)
add(data, show)
add(data, embedded)
