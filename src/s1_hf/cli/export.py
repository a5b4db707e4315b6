"""`s1-hf export`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from s1_hf.cli import options as o
from s1_hf.cli.budgets import takes_budget
from s1_hf.cli.terminal import console, messages, plain_errors, quiet_loading
from s1_hf.forcing.budget import Budget, check_effect, check_room


@takes_budget()
def export(
    model: o.Model,
    output_dir: Annotated[
        Path,
        typer.Argument(metavar="OUT", help="A new folder, an empty one, or an earlier export, which is replaced."),
    ],
    *,
    budget: Budget,
    max_answer_tokens: o.MaxAnswerTokens = None,
    thinking_format: o.ThinkingFormat = None,
    thinking_start: o.ThinkingStart = None,
    thinking_close: o.ThinkingClose = None,
    force_start: o.ForceStart = False,
    copy: Annotated[
        bool, typer.Option("--copy", help="Copy the weights; by default they are links to the model's own.")
    ] = False,
    revision: o.Revision = "main",
    trust_remote_code: o.TrustRemoteCode = False,
) -> None:
    """Make a model's folder whose `generate` has a thinking budget, in stock code, too.

    What loads the folder with `trust_remote_code=True` gets the budget in `model.generate`, in pipelines, in lighteval
    and in `transformers serve`. A call or a request may give another. The model's own folder stays as it is.

    Examples:

    s1-hf export Qwen/Qwen3-8B qwen3-8b-capped --max-thinking-tokens 4000

    s1-hf export embedded lamps --num-ignores 2
    """
    with plain_errors():
        quiet_loading(model)
        check_effect([budget])
        check_room(budget)
        from s1_hf.serving.folder import export_folder, exported_settings, format_of, links_in, model_folder

        said = o.chosen_format(thinking_format, thinking_start, thinking_close, force_start)
        folder = model_folder(model, revision, trust_remote_code)
        settings = {"budget": budget, "format": format_of(folder, said), "max_answer_tokens": max_answer_tokens}
        earlier = exported_settings(output_dir)
        linked = links_in(export_folder(folder, output_dir, settings, trust_remote_code, copy))
    console.print(str(output_dir), highlight=False, soft_wrap=True)
    if earlier is not None:
        messages.print(f"It replaces an export with {earlier['budget'].name}.", highlight=False, soft_wrap=True)
    if linked:
        messages.print(
            f"Its weights are links to those in {linked[0].parent}, which have to stay there. `--copy` makes a folder "
            "that can be moved.",
            highlight=False,
            soft_wrap=True,
        )
    messages.print(f"{budget.name}; load it with trust_remote_code=True", highlight=False, soft_wrap=True)
