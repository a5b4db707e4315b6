"""`s1-hf eval`."""

import json
from pathlib import Path
from typing import Annotated, Any

import typer
from rich import box
from rich.table import Table

from s1_hf._lazy import require
from s1_hf.cli import options as o
from s1_hf.cli.progress import progress_bar
from s1_hf.cli.terminal import console, messages, plain_errors, quiet_loading

_DECODING, _SAVING = "Decoding", "Saving"


def evaluate(
    model: o.Model,
    tasks: Annotated[str, typer.Option(help="Names, separated by commas: s1:aime24, s1:math500, or lighteval's own.")],
    max_thinking_tokens: o.MaxThinkingTokens = None,
    min_thinking_tokens: o.MinThinkingTokens = 0,
    num_ignores: o.NumIgnores = 0,
    wait_text: o.WaitText = "Wait",
    answer_prefix: o.AnswerPrefix = "Final Answer:",
    loop_guard: o.LoopGuard = False,
    max_answer_tokens: o.MaxAnswerTokens = None,
    thinking_format: o.ThinkingFormat = None,
    temperature: o.Temperature = 0.0,
    top_p: o.TopP = None,
    top_k: o.TopK = None,
    min_p: o.MinP = None,
    seed: o.Seed = 0,
    max_new_tokens: Annotated[
        int | None, typer.Option(help="In place of the tasks' own limits.", rich_help_panel=_DECODING)
    ] = None,
    dtype: o.Dtype = "auto",
    batch_size: Annotated[int, typer.Option(help="Rows of a batch.", rich_help_panel=_DECODING)] = 8,
    max_length: Annotated[
        int | None, typer.Option(help="Context, if less than the model's.", rich_help_panel=_DECODING)
    ] = None,
    system_prompt: o.SystemPrompt = None,
    revision: o.Revision = "main",
    trust_remote_code: o.TrustRemoteCode = False,
    max_samples: Annotated[int | None, typer.Option(help="Problems of each task, for a trial.")] = None,
    custom_tasks: Annotated[str, typer.Option(help="A module or file with tasks.")] = "s1_hf.tasks",
    data_folder: Annotated[str | None, typer.Option(help="Local data for the tasks s1:...")] = None,
    as_json: o.AsJson = False,
    output_dir: Annotated[
        Path, typer.Option(help="Gets results/, details/ and generations/.", rich_help_panel=_SAVING)
    ] = Path("results"),
    save_details: Annotated[bool, typer.Option(help="Every answer, as Parquet.", rich_help_panel=_SAVING)] = True,
    push_to_hub: Annotated[
        bool, typer.Option("--push-to-hub", help="Needs --results-org.", rich_help_panel=_SAVING)
    ] = False,
    push_to_tensorboard: Annotated[
        bool, typer.Option("--push-to-tensorboard", help="Likewise.", rich_help_panel=_SAVING)
    ] = False,
    results_org: Annotated[str, typer.Option(help="On the Hub.", rich_help_panel=_SAVING)] = "",
    public_run: Annotated[
        bool, typer.Option("--public-run", help="Not private there.", rich_help_panel=_SAVING)
    ] = False,
    wandb: Annotated[bool, typer.Option("--wandb", help="Needs WANDB_PROJECT.", rich_help_panel=_SAVING)] = False,
) -> None:
    """Evaluate a model under a thinking budget, with lighteval. Run again, it goes on where it stopped.

    Examples:

    s1-hf eval embedded --tasks s1:embedded --max-samples 100 --num-ignores 1

    s1-hf eval simplescaling/s1.1-32B --tasks s1:aime24,s1:math500 --max-thinking-tokens 8000 --num-ignores 2

    s1-hf eval my-model --tasks s1_agg8:aime24 --temperature 1 --batch-size 64

    accelerate launch -m s1_hf.evaluation my-model --tasks s1:math500       (a copy of the model on every GPU)
    """
    with plain_errors(resumes=True):
        require("lighteval", "eval")
        o.check_sampling(temperature, top_p, top_k, min_p)
        if max_samples is not None and max_samples < 1:
            raise ValueError(f"`--max-samples` has to be at least 1, but is {max_samples}. Leave it out for all.")
        if (push_to_hub or push_to_tensorboard) and not results_org:
            raise ValueError("`--push-to-hub` and `--push-to-tensorboard` need `--results-org`, a name on the Hub.")
        if output_dir.exists() and not output_dir.is_dir():
            raise ValueError(f"`--output-dir` has to be a folder, but {output_dir} is a file.")
        from datasets import disable_progress_bars
        from lighteval.models.model_input import GenerationParameters

        from s1_hf.evaluation import BudgetForcingConfig, run

        quiet_loading(model)
        disable_progress_bars()
        config = BudgetForcingConfig(
            model_name=model,
            revision=revision,
            dtype=dtype,
            trust_remote_code=trust_remote_code,
            batch_size=batch_size,
            max_length=max_length,
            format=thinking_format,
            max_thinking_tokens=o.thinking_limit(max_thinking_tokens),
            min_thinking_tokens=min_thinking_tokens,
            num_ignores=num_ignores,
            wait_text=wait_text or None,
            answer_prefix=answer_prefix or None,
            loop_guard=o.guard(loop_guard),
            max_answer_tokens=max_answer_tokens,
            generation_parameters=GenerationParameters(
                temperature=temperature, top_p=top_p, top_k=top_k, min_p=min_p, seed=seed, max_new_tokens=max_new_tokens
            ),
            system_prompt=system_prompt,
            cache_dir=str(output_dir / "generations"),
        )
        with progress_bar() as show:
            results = run.evaluate(
                config,
                tasks,
                output_dir=str(output_dir),
                max_samples=max_samples,
                custom_tasks=custom_tasks,
                data_folder=data_folder,
                progress=show,
                save_details=save_details,
                push_to_hub=push_to_hub,
                push_to_tensorboard=push_to_tensorboard,
                hub_results_org=results_org,
                public=public_run,
                use_wandb=wandb,
            )
    if results is None:
        return  # the main process says it
    if as_json:
        from lighteval.logging.evaluation_tracker import EnhancedJSONEncoder

        typer.echo(json.dumps(results, cls=EnhancedJSONEncoder, indent=1, ensure_ascii=False))
    else:
        _show(results, output_dir)


def _show(results: dict[str, Any], output_dir: Path) -> None:
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
    console.print(table)
    messages.print(
        f"All of it, and every answer: {output_dir / 'results'} and {output_dir / 'details'}", soft_wrap=True
    )


def _is_thinking(name: str) -> bool:
    return name.startswith(("thinking_tokens", "ended_")) or name in ("answer_tokens", "ends_ignored")
