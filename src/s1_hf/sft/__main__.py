"""`python -m s1_hf.sft RECIPE [--field value ...]`, in every process of a run; also, as in TRL, `--config RECIPE`."""

import logging
import sys

from s1_hf.isolation import isolated_children
from s1_hf.secrets import without_secrets
from s1_hf.visible import guard_terminal


def main() -> None:
    """Entry point. The first argument is the recipe, or follows `--config`; the others set its fields.

    If the run is refused or cannot write, the process prints the reasons and exits with code 2; after Ctrl-C, with 130.
    """
    guard_terminal()
    try:
        from s1_hf.engines.processes import part
        from s1_hf.sft.recipe import recipe_and_fields
        from s1_hf.sft.run import Refused, Stopped, start

        arguments = sys.argv[1:] or ["--help"]
        source, overrides = recipe_and_fields(arguments)
        if {"-h", "--help"} & set(arguments):
            source, overrides = "sft", ["--help"]
        try:
            if source is None:
                raise Refused("Name a recipe first: `python -m s1_hf.sft RECIPE --field value`.")
            with isolated_children():
                start(source, overrides)
            part()
        except (Refused, Stopped) as error:
            logging.getLogger("s1_hf").error("Error: %s", without_secrets(str(error)))
            sys.exit(2)
    except KeyboardInterrupt:
        sys.exit(130)


if __name__ == "__main__":
    main()
