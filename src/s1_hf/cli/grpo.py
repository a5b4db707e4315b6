"""`s1-hf grpo`."""

from typing import Annotated

import typer

from s1_hf.cli.sft import named_recipe
from s1_hf.cli.terminal import plain_errors


def grpo(
    context: typer.Context,
    recipe: Annotated[
        str | None, typer.Argument(help="A recipe of the package (grpo_embedded, grpo_1.5b) or a YAML file.")
    ] = None,
    config: Annotated[str | None, typer.Option(help="The recipe, as `trl grpo` has it.")] = None,
) -> None:
    """Train a model by reinforcement under thinking budgets, by a recipe. Rerun the same command to resume.

    Any field of the recipe may follow; `python -m s1_hf.rl --help` lists them. On several GPUs: `accelerate launch -m
    s1_hf.rl RECIPE`.

    Examples:

    s1-hf grpo grpo_embedded --output_dir my-model        (a toy, on a laptop)

    s1-hf grpo grpo_1.5b --dataset_path problems.jsonl --dry_run true  (all checks, no training)
    """
    with plain_errors(resumes=True):
        source, fields = named_recipe("grpo", recipe, config, context.args)
        from s1_hf.rl.job import REINFORCEMENT
        from s1_hf.sft.run import Refused, Stopped, start
    with plain_errors(resumes=True, bad_input=(Refused, Stopped)):
        start(source, fields, job=REINFORCEMENT)
