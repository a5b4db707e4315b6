"""`s1-hf sft`."""

from typing import Annotated

import typer

from s1_hf._lazy import require
from s1_hf.cli.terminal import plain_errors

# Everything that is no option here is a field of the recipe.
FIELDS_TOO = {"allow_extra_args": True, "ignore_unknown_options": True}


def sft(
    context: typer.Context,
    recipe: Annotated[
        str | None, typer.Argument(help="A recipe of the package (sft, sft_7b, sft_lora, ...) or a YAML file.")
    ] = None,
    config: Annotated[str | None, typer.Option(help="The recipe, as `trl sft` has it.")] = None,
    machine: Annotated[
        str | None, typer.Option(help="2x8-h100, 1x8-h100, ..., cpu, or an accelerate config; none: this process.")
    ] = None,
    machine_rank: Annotated[
        int | None,
        typer.Option("--machine-rank", "--machine_rank", help="Of several machines, which one this is, from 0."),
    ] = None,
    main_process_ip: Annotated[
        str | None,
        typer.Option("--main-process-ip", "--main_process_ip", help="Of several machines, the first one's address."),
    ] = None,
    main_process_port: Annotated[
        int | None,
        typer.Option("--main-process-port", "--main_process_port", help="A free port there; 29500 if not given."),
    ] = None,
    num_processes: Annotated[
        int | None,
        typer.Option("--num-processes", "--num_processes", help="Of all machines, if not as many as --machine says."),
    ] = None,
) -> None:
    """Fine-tune a model on reasoning traces, by a recipe. Rerun the same command to resume.

    Any field of the recipe may follow; `python -m s1_hf.sft --help` lists them.

    Examples:

    s1-hf sft sft_embedded --output_dir my-model        (a toy, on a laptop, in two minutes)

    s1-hf sft sft --machine 2x8-h100                    (the paper's, under Slurm: srun --ntasks-per-node=1 s1-hf ...)

    s1-hf sft sft_7b --machine 1x8-h100 --dry_run true  (all checks, no training)
    """
    with plain_errors(resumes=True):
        source, fields = named_recipe("sft", recipe, config, context.args)
        if machine is not None:
            from s1_hf.sft.launch import launch

            launch(
                source,
                machine,
                fields,
                machine_rank=machine_rank,
                main_process_ip=main_process_ip,
                main_process_port=main_process_port,
                num_processes=num_processes,
            )
            return
        if [machine_rank, main_process_ip, main_process_port, num_processes] != [None] * 4:
            raise ValueError(
                "`--machine-rank`, `--main-process-ip`, `--main-process-port` and `--num-processes` need `--machine`."
            )
        from s1_hf.sft.run import Refused, Stopped, start
    with plain_errors(resumes=True, bad_input=(Refused, Stopped)):
        start(source, fields)


def named_recipe(command: str, recipe: str | None, config: str | None, more: list[str]) -> tuple[str, list[str]]:
    """The recipe that a command was given, by one of its two ways, and the fields that follow it."""
    require("trl", "train")
    require("datasets", "train")
    from s1_hf.sft.recipe import recipe_and_fields

    named = ["--config", config] if config is not None else []
    source, fields = recipe_and_fields([*named, *([recipe] if recipe is not None else []), *more])
    if source is None:
        raise ValueError(f"A recipe has to come first: `s1-hf {command} RECIPE --field value`.")
    return source, fields
