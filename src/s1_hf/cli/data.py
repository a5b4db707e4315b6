"""`s1-hf data`: traces for a pool of questions, what a data set is, and a pool to try it on."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich import box
from rich.table import Table
from rich.text import Text

from s1_hf._lazy import require
from s1_hf.cli.terminal import console, plain_errors

if TYPE_CHECKING:
    from datasets import Dataset

    from s1_hf.traces import Source

data = typer.Typer(no_args_is_help=True, help="Make and look at training data.")

_POOL, _BUDGET, _DECODING, _MODEL, _ENDPOINT = "Pool", "Budget", "Decoding", "Local model", "Endpoint"


@data.command()
def traces(
    source: Annotated[str, typer.Option("--input", help="A file or folder with questions, or a data set on the Hub.")],
    output: Annotated[Path, typer.Option(help="A folder: a new one, or that of the same run, which then goes on.")],
    model: Annotated[str | None, typer.Option(help="A folder or a name on the Hub; with --endpoint, its name.")] = None,
    endpoint: Annotated[
        str | None, typer.Option(help="An OpenAI-compatible address, such as http://localhost:8000/v1.")
    ] = None,
    question_column: Annotated[str, typer.Option(help="What is asked.", rich_help_panel=_POOL)] = "question",
    samples: Annotated[int, typer.Option(help="Traces of each question.", rich_help_panel=_POOL)] = 1,
    kind: Annotated[
        str, typer.Option(help="Of the column 'solution': math or choice.", rich_help_panel=_POOL)
    ] = "math",
    solved_as: Annotated[
        str | None,
        typer.Option(
            help="A name: no traces, but whether the model solves each question, as solved_NAME.", rich_help_panel=_POOL
        ),
    ] = None,
    retry_errors: Annotated[bool, typer.Option(help="Ask again what failed.", rich_help_panel=_POOL)] = False,
    temperature: Annotated[
        float | None, typer.Option(help="0, greedy, or the endpoint's.", rich_help_panel=_DECODING)
    ] = None,
    top_p: Annotated[float | None, typer.Option(help="1, or the endpoint's.", rich_help_panel=_DECODING)] = None,
    seed: Annotated[int | None, typer.Option(help="Of sampling.", rich_help_panel=_DECODING)] = None,
    max_new_tokens: Annotated[
        int | None,
        typer.Option(help="Of thinking and answer. Half the context, or the endpoint's.", rich_help_panel=_DECODING),
    ] = None,
    system_prompt: Annotated[str | None, typer.Option(help="Before each question.", rich_help_panel=_DECODING)] = None,
    max_thinking_tokens: Annotated[
        str | None, typer.Option(help="Thinking is cut there; 'auto': all that fits.", rich_help_panel=_BUDGET)
    ] = None,
    min_thinking_tokens: Annotated[int | None, typer.Option(help="Not ended before.", rich_help_panel=_BUDGET)] = None,
    num_ignores: Annotated[
        int | None, typer.Option(help="Attempts to end that are ignored.", rich_help_panel=_BUDGET)
    ] = None,
    wait_text: Annotated[
        str | None, typer.Option(help="In place of an ignored end: Wait; '' for none.", rich_help_panel=_BUDGET)
    ] = None,
    answer_prefix: Annotated[
        str | None, typer.Option(help="Behind a cut: Final Answer:; '' for none.", rich_help_panel=_BUDGET)
    ] = None,
    loop_guard: Annotated[bool, typer.Option(help="End thinking that repeats.", rich_help_panel=_BUDGET)] = False,
    max_answer_tokens: Annotated[int | None, typer.Option(help="Answers end there.", rich_help_panel=_BUDGET)] = None,
    thinking_format: Annotated[
        str | None, typer.Option(help="s1, think, harmony, ...; by default detected.", rich_help_panel=_BUDGET)
    ] = None,
    top_k: Annotated[int | None, typer.Option(help="All tokens if not given.", rich_help_panel=_MODEL)] = None,
    min_p: Annotated[float | None, typer.Option(help="0 if not given.", rich_help_panel=_MODEL)] = None,
    dtype: Annotated[
        str | None, typer.Option(help="float32, bfloat16, float16, or as saved.", rich_help_panel=_MODEL)
    ] = None,
    batch_size: Annotated[int | None, typer.Option(help="Rows of a batch, 8.", rich_help_panel=_MODEL)] = None,
    revision: Annotated[str | None, typer.Option(help="Of a model on the Hub.", rich_help_panel=_MODEL)] = None,
    trust_remote_code: Annotated[
        bool, typer.Option(help="Run code that comes with the model.", rich_help_panel=_MODEL)
    ] = False,
    concurrency: Annotated[int | None, typer.Option(help="Requests at a time, 8.", rich_help_panel=_ENDPOINT)] = None,
    requests_per_minute: Annotated[
        float | None, typer.Option(help="No limit if not given.", rich_help_panel=_ENDPOINT)
    ] = None,
    timeout: Annotated[
        float | None, typer.Option(help="Seconds without a reply, 1800.", rich_help_panel=_ENDPOINT)
    ] = None,
    max_retries: Annotated[int | None, typer.Option(help="Of each request, 6.", rich_help_panel=_ENDPOINT)] = None,
    tokenizer: Annotated[
        str | None, typer.Option(help="To count tokens that it does not count.", rich_help_panel=_ENDPOINT)
    ] = None,
) -> None:
    """Fill a pool of questions with thinking and answers. Run again, it goes on where it stopped.

    The key of an endpoint is read from OPENAI_API_KEY. The result, Parquet, is in OUTPUT/data.

    Examples:

    s1-hf data traces --input pool.jsonl --output traces --model simplescaling/s1.1-7B --num-ignores 1 --dtype bfloat16

    s1-hf data traces --input pool.csv --output r1 --endpoint https://api.deepseek.com --model deepseek-reasoner

    s1-hf data traces --input traces --output hard --model Qwen/Qwen2.5-7B-Instruct --solved-as qwen7b
    """
    both = {
        "temperature": temperature,
        "top_p": top_p,
        "seed": seed,
        "max_new_tokens": max_new_tokens,
        "system_prompt": system_prompt,
    }
    local = {
        "max_thinking_tokens": max_thinking_tokens,
        "min_thinking_tokens": min_thinking_tokens,
        "num_ignores": num_ignores,
        "wait_text": wait_text,
        "answer_prefix": answer_prefix,
        "loop_guard": loop_guard or None,
        "max_answer_tokens": max_answer_tokens,
        "thinking_format": thinking_format,
        "top_k": top_k,
        "min_p": min_p,
        "dtype": dtype,
        "batch_size": batch_size,
        "revision": revision,
        "trust_remote_code": trust_remote_code or None,
    }
    remote = {
        "concurrency": concurrency,
        "requests_per_minute": requests_per_minute,
        "timeout": timeout,
        "max_retries": max_retries,
        "tokenizer": tokenizer,
    }
    with plain_errors():
        _quiet()
        answers = _source(model, endpoint, _given(both), _given(local), _given(remote))
        from s1_hf.cli.eval import _bar
        from s1_hf.traces import generate_traces, load_pool

        pool = load_pool(source)
        with _bar() as show:
            rows = generate_traces(
                pool,
                answers,
                output,
                question_column=question_column,
                samples=samples,
                kind=kind,  # type: ignore[arg-type]  # checked there
                solved_as=solved_as,
                retry_errors=retry_errors,
                progress=show,
            )
    _show_run(rows, output, solved_as)


def _given(options: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in options.items() if value is not None}


def _source(
    model: str | None, endpoint: str | None, both: dict[str, Any], local: dict[str, Any], remote: dict[str, Any]
) -> Source:
    """What answers; options that have no meaning for it are refused."""
    if not model:
        raise ValueError("`--model` has to be given: a folder, a name on the Hub, or the model's name at `--endpoint`.")
    useless = local if endpoint else remote
    if useless:
        names = ", ".join(f"`--{name.replace('_', '-')}`" for name in useless)
        why = "with `--endpoint`, which does not take them" if endpoint else "without `--endpoint`"
        raise ValueError(f"{names} have no meaning {why}. Leave them out.")
    from s1_hf import LoopGuard
    from s1_hf.traces import Endpoint, LocalModel

    if endpoint:
        return Endpoint(endpoint, model, **both, **_renamed(remote, timeout="timeout_s"))
    texts: dict[str, Any] = {name: local.pop(name) or None for name in ("wait_text", "answer_prefix") if name in local}
    cap = local.get("max_thinking_tokens")
    local |= {"max_thinking_tokens": int(cap)} if cap and cap.isdigit() else {}
    local |= {"loop_guard": LoopGuard()} if "loop_guard" in local else {}
    return LocalModel(model, **both, **texts, **_renamed(local, thinking_format="format"))


def _renamed(options: dict[str, Any], **names: str) -> dict[str, Any]:
    return {names.get(name, name): value for name, value in options.items()}


def _quiet() -> None:
    """No progress bars but ours."""
    require("datasets", "data").disable_progress_bars()
    from transformers.utils import logging

    logging.disable_progress_bar()


def _show_run(rows: Dataset, output: Path, solved_as: str | None) -> None:
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, show_header=False)
    table.add_column(no_wrap=True)
    table.add_column(justify="right")
    table.add_row("rows", f"{len(rows):,}")
    if solved_as:
        solved = list(rows[f"solved_{solved_as}"])
        table.add_row("solved", f"{solved.count(True):,}")
        table.add_row("not solved", f"{solved.count(False):,}")
        table.add_row("not known", f"{solved.count(None):,}")
    else:
        for how, count in Counter(rows["ended"]).most_common():
            table.add_row(f"thinking ended: {how}" if how != "error" else "errors", f"{count:,}")
        tokens = [count for count in rows["thinking_tokens"] if count is not None]
        if tokens:
            table.add_row("thinking tokens, mean", f"{sum(tokens) / len(tokens):,.0f}")
        if "correct" in rows.column_names:
            table.add_row("correct", f"{list(rows['correct']).count(True):,}")
    console.print(table)
    errors = Counter(error for error in rows["error"] if error) if "error" in rows.column_names else Counter()
    for error, count in errors.most_common(3):
        console.print(Text(f"{count:,} x {error}", style="yellow"), soft_wrap=True)
    if errors:
        console.print("The same command with --retry-errors asks for these again.")
    console.print(f"Written to {output / 'data'}. To train on it: --dataset_path {output}", soft_wrap=True)


@data.command()
def show(
    name: Annotated[str, typer.Argument(help="s1K, s1K-1.1, full59K, or a file or folder.")] = "s1K-1.1",
    chosen_traces: Annotated[str | None, typer.Option("--traces", help="Of s1K-1.1: deepseek or gemini.")] = None,
    tokenizer: Annotated[str | None, typer.Option(help="A folder or a name on the Hub: lengths in tokens.")] = None,
    max_length: Annotated[int | None, typer.Option(help="Tokens: how many rows are longer.")] = None,
    thinking_format: Annotated[str, typer.Option(help="s1 or think.")] = "s1",
    as_json: Annotated[bool, typer.Option("--json", help="For scripts.")] = False,
) -> None:
    """Say what a data set is: where it comes from, its size, and its first row as training sees it.

    Example: s1-hf data show s1K-1.1 --tokenizer Qwen/Qwen2.5-32B-Instruct --max-length 20000
    """
    with plain_errors():
        if max_length is not None and tokenizer is None:
            raise ValueError("`--max-length` needs `--tokenizer`, which counts tokens.")
        _quiet()
        facts = _facts(name, chosen_traces, tokenizer, max_length, thinking_format)
    if as_json:
        typer.echo(json.dumps(facts, indent=1))
        return
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, show_header=False)
    for fact, value in facts.items():
        if fact != "first_row" and value is not None:
            table.add_row(fact, Text(", ".join(value) if isinstance(value, list) else str(value)))
    console.print(table)
    console.rule("the first row, as training sees it")
    console.print(Text(facts["first_row"]), soft_wrap=True)


def _facts(
    name: str, chosen_traces: str | None, tokenizer_name: str | None, max_length: int | None, thinking_format: str
) -> dict[str, Any]:
    from s1_hf.conversation import summarize, to_conversation
    from s1_hf.s1k import HUB, describe_source, load_s1k

    known = name in HUB and not Path(name).exists()
    rows: Any = load_s1k(
        name if known else None,
        path=None if known else name,
        traces=chosen_traces,
        streaming=name == "full59K",  # 5 GB
    )
    facts = asdict(describe_source(rows)) | {"columns": list(rows.column_names)}
    first = next(iter(rows), None)
    if first is None:
        raise ValueError(f"{name} has no rows.")
    chat = to_conversation(first, thinking_format)
    facts["first_row"] = "\n".join(message["content"] for part in chat.values() for message in part)
    if tokenizer_name is None:
        return facts
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(tokenizer_name)
    summary = summarize(rows, tokenizer, thinking_format, max_length=max_length)
    facts["tokens"] = str(summary)
    facts["first_row"] = tokenizer.apply_chat_template([*chat["prompt"], *chat["completion"]], tokenize=False)
    return facts


@data.command("embedded")
def embedded_(
    output: Annotated[Path, typer.Option(help="A new or empty folder.")],
    problems: Annotated[int, typer.Option(help="How many.")] = 5000,
    seed: Annotated[int, typer.Option(help="Which.")] = 0,
) -> None:
    """Write a pool of problems for the embedded model, none of them held out, to try the rest on.

    Example: s1-hf data embedded --output pool && s1-hf data traces --input pool --output traces --model embedded
    """
    with plain_errors():
        _quiet()
        from s1_hf.traces import embedded_pool
        from s1_hf.traces.folder import write_rows

        if output.exists() and (not output.is_dir() or any(output.iterdir())):
            raise ValueError(f"`--output` has to be a new or empty folder, but {output} is not.")
        rows = embedded_pool(problems, seed)
        file = write_rows(rows, output)
    console.print(f"{len(rows):,} problems written to {file}", soft_wrap=True)
