"""`python -m s1_hf.sft RECIPE [--field value ...]`, in every process of a run."""

import logging
import sys


def main() -> None:
    """Entry point: the recipe is the first argument, all others are its fields.

    A run that is refused ends the process with the reasons and exit code 2, Ctrl-C with 130.
    """
    try:
        from s1_hf.engines.processes import part
        from s1_hf.sft.run import Refused, start

        source, *overrides = sys.argv[1:] or ["--help"]
        if source in ("-h", "--help"):
            source, overrides = "sft", ["--help"]
        try:
            start(source, overrides)
            part()
        except Refused as error:
            logging.getLogger("s1_hf").error("Error: %s", error)
            sys.exit(2)
    except KeyboardInterrupt:
        sys.exit(130)


if __name__ == "__main__":
    main()
