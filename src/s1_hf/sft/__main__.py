"""`python -m s1_hf.sft RECIPE [--field value ...]`, in every process of a run; also, as in TRL, `--config RECIPE`."""

import logging
import sys
from importlib import import_module

from s1_hf.isolation import isolated_children
from s1_hf.secrets import without_secrets
from s1_hf.visible import guard_terminal


def main() -> None:
    """Entry point of fine-tuning, see [`run`]."""
    run("s1_hf.sft", "sft", "s1_hf.sft.run:FINE_TUNING")


def run(module: str, recipe: str, job: str) -> None:
    """Train by the command line: its first argument is the recipe, or follows `--config`; the others set its fields.

    Args:
        module (`str`): what `python -m` was told.
        recipe (`str`): one of its recipes, whose fields help lists.
        job (`str`): the module and name of its [`s1_hf.sft.run.Job`].

    If the run is refused or cannot write, the process prints the reasons and exits with code 2; after Ctrl-C, with 130.
    """
    guard_terminal()
    try:
        from s1_hf.engines.processes import part
        from s1_hf.sft.recipe import recipe_and_fields
        from s1_hf.sft.run import Refused, Stopped, start

        where, _, name = job.partition(":")
        arguments = sys.argv[1:] or ["--help"]
        source, overrides = recipe_and_fields(arguments)
        if {"-h", "--help"} & set(arguments):
            source, overrides = recipe, ["--help"]
        try:
            if source is None:
                raise Refused(f"Name a recipe first: `python -m {module} RECIPE --field value`.")
            with isolated_children():
                start(source, overrides, job=getattr(import_module(where), name))
            part()
        except (Refused, Stopped) as error:
            logging.getLogger("s1_hf").error("Error: %s", without_secrets(str(error)))
            sys.exit(2)
    except KeyboardInterrupt:
        sys.exit(130)


if __name__ == "__main__":
    main()
