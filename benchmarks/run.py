"""Run the benchmarks: print their tables, and write them to benchmarks/results and benchmarks/README.md.

python benchmarks/run.py [--only NAME] [--quick] [--results FOLDER]
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from importlib import import_module
from pathlib import Path

from reporting import RESULTS, publish

BENCHMARKS = (
    "step_cost",
    "confidence_cost",
    "in_generate",
    "gpu",
    "ignores",
    "sweeps",
    "training_memory",
    "grading",
    "evaluation",
    "power",
    "curation",
    "reading",
)  # modules; need `train`, `eval`


def main(argv: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--only", choices=BENCHMARKS, help="run this one alone")
    parser.add_argument("--quick", action="store_true", help="half a minute on toy sizes, to see that it works")
    parser.add_argument(
        "--results", type=Path, help="folder to write to, instead; with --quick nothing else is written"
    )
    args = parser.parse_args(argv)
    results = args.results or (None if args.quick else RESULTS)
    for name in [args.only] if args.only else BENCHMARKS:
        module = import_module(name)
        publish(name, module.run, module.tables, quick=args.quick, results=results)


if __name__ == "__main__":
    main()
