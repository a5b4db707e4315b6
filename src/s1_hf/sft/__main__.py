"""`python -m s1_hf.sft RECIPE [--field value ...]`, in every process of a run."""

import logging
import sys
from collections.abc import Sequence

from s1_hf.sft.recipe import read_recipe
from s1_hf.sft.run import check, make_trainer, train


def start(source: str, overrides: Sequence[str], processes: int | None = None) -> None:
    """Check and train; a run that is refused, or whose model cannot be loaded, ends the process with the reasons."""
    logging.basicConfig(level=logging.WARNING, format="%(message)s")
    logger = logging.getLogger("s1_hf")
    logger.setLevel(logging.INFO)
    try:
        run = check(read_recipe(source, overrides), processes)
        if run.data.dry_run:
            logger.info("All checks passed; weights were not loaded. A dry run: nothing was trained.")
            return
        trainer = make_trainer(run)
    except (ValueError, TypeError, OSError, ImportError, RuntimeError) as error:
        sys.exit(f"Error: {error}")
    train(run, trainer)


def main() -> None:
    """Entry point: the recipe is the first argument, all others are its fields."""
    source, *overrides = sys.argv[1:] or ["--help"]
    if source in ("-h", "--help"):
        source, overrides = "sft", ["--help"]
    start(source, overrides)


if __name__ == "__main__":
    main()
