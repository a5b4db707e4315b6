"""`python -m s1_hf.sft RECIPE [--field value ...]`, in every process of a run."""

import logging
import sys


def main() -> None:
    """Entry point. The first argument is the recipe, the others set its fields.

    If the run is refused or cannot write, the process prints the reasons and exits with code 2; after Ctrl-C, with 130.
    """
    try:
        from s1_hf.engines.processes import part
        from s1_hf.sft.run import Refused, Stopped, start

        source, *overrides = sys.argv[1:] or ["--help"]
        if source in ("-h", "--help"):
            source, overrides = "sft", ["--help"]
        try:
            start(source, overrides)
            part()
        except (Refused, Stopped) as error:
            logging.getLogger("s1_hf").error("Error: %s", error)
            sys.exit(2)
    except KeyboardInterrupt:
        sys.exit(130)


if __name__ == "__main__":
    main()
