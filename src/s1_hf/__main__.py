"""`s1-hf`, also as `python -m s1_hf`."""

import sys


def main() -> None:
    """Entry point; Ctrl-C leaves no traceback, from the first import on."""
    try:
        from s1_hf.cli import app

        app(prog_name="s1-hf")
    except KeyboardInterrupt:
        sys.exit(130)


if __name__ == "__main__":
    main()
