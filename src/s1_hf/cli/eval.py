"""`s1-hf eval`."""

import sys
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich import box
from rich.table import Table

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
from s1_hf.cli.hosts import needs_lighteval, run_here, settings_of
from s1_hf.cli.progress import progress_bar
from s1_hf.cli.terminal import messages, plain_errors, print_table
from s1_hf.engines.processes import part
from s1_hf.forcing.budget import Budget

if TYPE_CHECKING:
    from s1_hf.evaluation import Settings

_SAVING = {"rich_help_panel": "With lighteval"}


@takes_budget()
def evaluate(
    context: typer.Context,
    model: o.Model,
    tasks: o.Tasks,
    *,
    engine: AnyEngine = "transformers",
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
    push_eval_results: o.PushEvalResults = None,
    push_to_hub: Annotated[
        bool, typer.Option("--push-to-hub", help="Upload the results; needs --results-org.", **_SAVING)
    ] = False,
    push_to_tensorboard: Annotated[
        bool,
        typer.Option("--push-to-tensorboard", help="Log to Tensorboard on the Hub; needs --results-org.", **_SAVING),
    ] = False,
    results_org: Annotated[str, typer.Option(help="Name on the Hub to upload to.", **_SAVING)] = "",
    public_run: Annotated[bool, typer.Option("--public-run", help="Make the upload public.", **_SAVING)] = False,
    wandb: Annotated[
        bool, typer.Option("--wandb", help="Log to Weights & Biases; needs WANDB_PROJECT.", **_SAVING)
    ] = False,
) -> None:
    """Evaluate a model on tasks under a thinking budget. Rerun the same command to resume.

    The output folder gets results.json and rows.parquet, every answer, which `s1-hf plot` draws, and of whole
    benchmarks entries for the Hub; with lighteval as the host, results and details as lighteval writes them.

    Examples:

    s1-hf eval embedded --tasks s1:embedded --max-samples 100 --num-ignores 1

    s1-hf eval simplescaling/s1.1-32B --tasks s1:aime24,s1:math500 --max-thinking-tokens 8000 --num-ignores 2

    s1-hf eval my-model --tasks s1_agg8:aime24 --temperature 1 --batch-size 64

    s1-hf eval my-model --tasks my.jsonl --question-column problem --answer-column solution

    s1-hf eval Qwen/Qwen3-32B --tasks s1:math500 --engine vllm --tensor-parallel-size 8

    s1-hf eval Qwen/Qwen3-32B --tasks s1:math500 --engine http://gpu-box:8000/v1 --concurrency 64

    accelerate launch -m s1_hf.evaluation my-model --tasks s1:math500       (a copy of the model on every GPU)
    """
    given = dict(locals())
    with plain_errors(resumes=True), ExitStack() as held:
        if (push_to_hub or push_to_tensorboard) and not results_org:
            raise ValueError("`--push-to-hub` and `--push-to-tensorboard` need `--results-org`, a name on the Hub.")
        through_lighteval = needs_lighteval(given)
        settings = settings_of(given)
        if through_lighteval:
            results, text, where = _through_lighteval(given, settings)
        else:
            results, text, where = _here(given, settings, held)
    if results is None:
        return  # the main process says it
    if as_json:
        sys.stdout.write(text + "\n")
    else:
        _show(results, where)


_Found = tuple[dict[str, Any] | None, str, str]
"""Results by task, the same as JSON, and the places of the files."""


def _here(given: dict[str, Any], settings: "Settings", held: ExitStack) -> _Found:
    from s1_hf.evaluation.files import RESULTS, rows_file

    evaluated = run_here(given, settings, None, held)
    folder: Path = given["output_dir"]
    if evaluated is None:
        return None, "", ""
    text = (folder / RESULTS).read_text(encoding="utf-8").rstrip()
    where = f"All numbers: {folder / RESULTS}. Every answer: {rows_file(folder)}. Draw them: s1-hf plot {folder}"
    return {"results": evaluated.results[0], "endpoint": evaluated.endpoint}, text, where


def _through_lighteval(given: dict[str, Any], settings: "Settings") -> _Found:
    from datasets import disable_progress_bars

    from s1_hf.evaluation.lighteval import BudgetForcingConfig, run

    disable_progress_bars()
    as_they_are = ("max_samples", "custom_tasks", "data_folder", "save_details", "push_to_hub", "push_to_tensorboard")
    folder: Path = given["output_dir"]
    with progress_bar() as show:
        results = run.evaluate(
            BudgetForcingConfig.of(settings),
            given["tasks"],
            output_dir=str(folder),
            progress=show,
            **{name: given[name] for name in as_they_are},
            hub_results_org=given["results_org"],
            public=given["public_run"],
            use_wandb=given["wandb"],
        )
    part()
    if results is None:
        return None, "", ""
    where = f"All of it, and every answer: {folder / 'results'} and {folder / 'details'}"
    return results, run.results_as_json(results), where


def _show(results: dict[str, Any], where: str) -> None:
    """A table of scores and thinking tokens; the rest is in the files."""
    scores = {task: values for task, values in results["results"].items() if task != "all"}
    title = "tokens: of thinking, the mean; how it ended, in % of the samples; ends ignored, the mean"
    table = Table(title=title, title_justify="left", box=box.SIMPLE_HEAD, pad_edge=False, collapse_padding=True)
    table.add_column("task", no_wrap=True)
    for name in ("metric", "value", "±", "tokens", "natural", "cut", "other", "ignored"):
        table.add_column(name, justify="left" if name == "metric" else "right", no_wrap=True)
    for task, values in scores.items():
        ended = [values["ended_natural"], values["ended_cut"]]
        how = [f"{100 * share:.1f}" for share in (*ended, abs(1 - sum(ended)))]
        thinking = [f"{values['thinking_tokens']:,.0f}", *how, f"{values['ends_ignored']:.2f}"]
        for name in (name for name in values if not name.endswith("_stderr") and not _is_thinking(name)):
            error = values.get(f"{name}_stderr")
            table.add_row(task, name, f"{values[name]:.4f}", "" if error is None else f"{error:.4f}", *thinking)
            task, thinking = "", []
    print_table(table)
    if spent := results.get("endpoint"):
        messages.print(
            f"The server answered {spent['requests']:,} requests: it read {spent['read']:,} tokens of prompts, "
            f"{spent['cached']:,} of which it says it had in its cache, and wrote {spent['written']:,}, "
            f"{spent['dropped']:,} of which were of no use.",
            soft_wrap=True,
        )
    messages.print(where, soft_wrap=True)


def _is_thinking(name: str) -> bool:
    return name.startswith(("thinking_tokens", "ended_")) or name in ("answer_tokens", "ends_ignored")
