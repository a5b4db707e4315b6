"""`s1-hf sweep`."""

from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from s1_hf.cli import options as o
from s1_hf.cli.budgets import takes_budget
from s1_hf.cli.engines import (
    AnyEngine,
    ApiKeyEnv,
    Concurrency,
    MaxRetries,
    Rounds,
    ServedName,
    TimeoutS,
)
from s1_hf.cli.hosts import (
    about_run,
    both,
    cost_of,
    needs_lighteval,
    run_here,
    say_what_is_replaced,
    settings_of,
    tracked_run,
)
from s1_hf.cli.progress import progress_bar
from s1_hf.cli.tables import show_summaries
from s1_hf.cli.terminal import messages, plain_errors
from s1_hf.engines.locking import exclusive
from s1_hf.engines.processes import is_main, part
from s1_hf.forcing.budget import PER_PROMPT, Budget

if TYPE_CHECKING:
    from s1_hf.evaluation.bench import Evaluated

_BUDGET = {"rich_help_panel": "Budget"}


@takes_budget(without=PER_PROMPT)
def sweep(
    context: typer.Context,
    model: o.Model,
    tasks: o.Tasks,
    *,
    engine: AnyEngine = "transformers",
    max_thinking_tokens: Annotated[
        str, typer.Option(help="Caps, separated by commas; 'none': no cap.", **_BUDGET)
    ] = "none",
    num_ignores: Annotated[
        str,
        typer.Option(help="How many attempts to end thinking are ignored, separated by commas.", **_BUDGET),
    ] = "0",
    curve: Annotated[
        bool,
        typer.Option(help="Instead of the grid: caps with 0 ignores, and ignores with no cap.", **_BUDGET),
    ] = False,
    budget: Budget,
    max_answer_tokens: o.MaxAnswerTokens = None,
    confidence: Annotated[
        bool,
        typer.Option(
            "--confidence", help="Measure how sure the model is of each answer, for `s1-hf spend`.", **_BUDGET
        ),
    ] = False,
    thinking_format: o.ThinkingFormat = None,
    thinking_start: o.ThinkingStart = None,
    thinking_close: o.ThinkingClose = None,
    force_start: o.ForceStart = False,
    temperature: o.Temperature = 0.0,
    top_p: o.TopP = None,
    top_k: o.TopK = None,
    min_p: o.MinP = None,
    seed: o.Seed = 0,
    max_new_tokens: o.MaxNewTokens = None,
    dtype: o.Dtype = "auto",
    batch_size: o.BatchSize = 8,
    max_model_len: o.MaxModelLen = None,
    system_prompt: o.SystemPrompt = None,
    no_chat_template: o.NoChatTemplate = False,
    chat_template_kwargs: o.ChatTemplateKwargs = None,
    revision: o.Revision = "main",
    trust_remote_code: o.TrustRemoteCode = False,
    rounds: Rounds = False,
    served_name: ServedName = None,
    concurrency: Concurrency = None,
    timeout_s: TimeoutS = None,
    max_retries: MaxRetries = None,
    api_key_env: ApiKeyEnv = None,
    max_samples: o.MaxSamples = None,
    host: o.Host = "auto",
    custom_tasks: o.CustomTasks = None,
    data_folder: o.DataFolder = None,
    question_column: o.QuestionColumn = None,
    answer_column: o.AnswerColumn = None,
    choices_column: o.ChoicesColumn = None,
    answer_kind: o.AnswerKind = None,
    samples: o.Samples = None,
    as_json: o.AsJson = False,
    output_dir: o.OutputDir = Path("results"),
    save_details: o.SaveDetails = True,
    track: o.Track = None,
) -> None:
    """Evaluate a model under all combinations of caps and ignores, in one pass. Rerun the same command to resume.

    Each setting's results are those of `s1-hf eval` with it, at a fraction of the cost of separate runs. All answers
    are in rows.parquet of the output folder, which `s1-hf plot` draws, and all numbers in results.json (with lighteval
    as the host, in its files).

    Examples:

    s1-hf sweep embedded --tasks s1:embedded --max-samples 100 --max-thinking-tokens 32,100,none --num-ignores 0,1,2

    s1-hf sweep simplescaling/s1.1-32B --tasks s1:aime24 --max-thinking-tokens 500,1000,2000 --num-ignores 1,2 --curve
    """
    given = dict(locals())
    with plain_errors(resumes=True), ExitStack() as held:
        settings = _settings(max_thinking_tokens, num_ignores, curve, budget)
        swept = sweep_with(given, settings, held)
        if swept is None:
            return  # the main process says it
        show_summaries(swept.rows, as_json, cost=cost_of(swept))
        say_what_it_took(swept)
        if swept.rows:
            from s1_hf.evaluation.files import rows_file

            messages.print(
                f"All answers are in {rows_file(output_dir)}. Draw them: s1-hf plot {output_dir}", soft_wrap=True
            )


def sweep_with(
    given: Mapping[str, Any], settings: Sequence[Budget] | Callable[[int], Sequence[Budget]], held: ExitStack
) -> "Evaluated | None":
    """A sweep under `settings` by the options of a command that has those of `s1-hf sweep`; its rows are saved.

    Args:
        settings: as of [`s1_hf.evaluation.bench.evaluate`].
        held (`ExitStack`): keeps other runs out of the output folder.

    Returns:
        [`Evaluated`]; with several processes, only on the main one.
    """
    through_lighteval = needs_lighteval(given)
    config = settings_of(given)
    if not through_lighteval:
        return run_here(given, config, settings, held)
    if config.confidence is not None:
        raise ValueError("`--confidence` needs s1-hf's own tasks, such as s1:aime24: lighteval measures no confidence.")
    from datasets import disable_progress_bars

    from s1_hf.evaluation.lighteval import BudgetForcingConfig, sweeping
    from s1_hf.results.rows import save_rows, write_about

    output_dir: Path = given["output_dir"]
    disable_progress_bars()
    run = tracked_run(given)
    if is_main():
        held.enter_context(exclusive(output_dir))
    held.enter_context(run)
    as_they_are = ("max_samples", "custom_tasks", "data_folder", "save_details")
    with progress_bar() as show:
        swept = sweeping.sweep(
            BudgetForcingConfig.of(config),
            given["tasks"],
            settings=settings,
            progress=both(show, run.progress),
            output_dir=str(output_dir),
            **{name: given[name] for name in as_they_are},
        )
    part()
    if swept is not None and swept.rows:
        about = about_run(given, swept)
        say_what_is_replaced(output_dir / "rows.parquet", about)
        save_rows(swept.rows, output_dir / "rows.parquet")
        write_about(output_dir, **about, cost=cost_of(swept))
        run.results(swept.rows)
    return swept


def say_what_it_took(swept: "Evaluated") -> None:
    """Tokens, and tasks that have no rows."""
    if swept.cost is not None:
        messages.print(
            f"{swept.cost.trace_tokens + swept.cost.answer_tokens:,} tokens went through the model for the grid; "
            f"separate runs take {swept.cost.separate_tokens:,}, {swept.cost.saved:.1f} times as many.",
            soft_wrap=True,
        )
    for task in swept.ungraded:
        messages.print(
            f"{task} is only in lighteval's results: no metric of it calls a single answer right or wrong.",
            soft_wrap=True,
        )


def _settings(caps: str, ignores: str, curve: bool, budget: Budget) -> list[Budget]:
    from s1_hf.generation import grids

    limits, counts = numbers("--max-thinking-tokens", caps, none=True), numbers("--num-ignores", ignores)
    if not curve:
        return grids.grid(limits, [n for n in counts if n is not None], budget)
    return grids.curve([n for n in limits if n is not None], [n for n in counts if n], budget)


def numbers(name: str, given: str, none: bool = False) -> list[int | None]:
    """What an option says that takes several numbers, and perhaps 'none'."""
    words = [word.strip() for word in given.split(",")]
    if not all(word.isdecimal() or (none and word == "none") for word in words):
        example = "500,1000,none" if none else "0,1,2"
        raise ValueError(f"`{name}` has to be numbers separated by commas, such as {example}, but is {given!r}.")
    return [None if word == "none" else int(word) for word in words]
