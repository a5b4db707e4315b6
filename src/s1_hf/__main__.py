"""`s1-hf`, also as `python -m s1_hf`."""

import sys

from s1_hf.isolation import isolated_children
from s1_hf.visible import guard_terminal


def main() -> None:
    """Entry point; Ctrl-C leaves no traceback, from the first import on."""
    guard_terminal()
    try:
        with isolated_children():
            from s1_hf.cli import app

            app(prog_name="s1-hf")
    except KeyboardInterrupt:
        sys.exit(130)


if __name__ == "__main__":
    main()
