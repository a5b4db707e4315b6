"""`python -m s1_hf.tasks`: lighteval's own command, with our tasks and without network at its start."""

import sys
from argparse import ArgumentParser, RawDescriptionHelpFormatter

import s1_hf.tasks
from s1_hf.engines.processes import how_many
from s1_hf.isolation import isolated_children
from s1_hf.tasks.errors import TaskError, clear_errors
from s1_hf.tasks.offline import preload_tiny_benchmarks
from s1_hf.visible import guard_terminal

_COMMANDS = ("accelerate", "baseline", "custom", "endpoint", "eval", "sglang", "tasks", "vllm")

DESCRIPTION = """\
Everything but the options below goes to lighteval's command of that name: see `lighteval --help`. For example

    python -m s1_hf.tasks accelerate model_name=Qwen/Qwen3-8B s1:math500
    python -m s1_hf.tasks eval openai/gpt-5 s1:gpqa_diamond --temperature 1

It differs from `lighteval` in these things: the tasks of s1_hf.tasks are known, to `eval` too; it starts without
network; errors about their names and data say what to do; data sets may come from a local folder; answers are cached
outside the model's folder and by its weights; with a temperature, it samples; and `tasks list` lists all tasks.

accelerate runs on several GPUs by `accelerate launch -m s1_hf.tasks accelerate ...`. With `eval`, several samples are
`--epochs 64 --temperature 1 --epochs-reducer pass_at_8`.
"""


def main(arguments: list[str]) -> None:
    """Run one command of lighteval."""
    parser = ArgumentParser(
        "python -m s1_hf.tasks",
        "python -m s1_hf.tasks COMMAND ... [--data-folder FOLDER]",
        DESCRIPTION,
        formatter_class=RawDescriptionHelpFormatter,
        add_help=False,  # `COMMAND --help` is lighteval's
        allow_abbrev=False,
    )
    parser.add_argument("--data-folder", metavar="FOLDER", help="local data sets (see s1_hf.tasks.tasks_table)")
    parser.add_argument("--custom-tasks", metavar="FILE", help="tasks of your own beside s1_hf.tasks")
    options, rest = parser.parse_known_args(arguments)
    if rest in ([], ["--help"], ["-h"]):
        parser.print_help()
        return
    if options.data_folder or options.custom_tasks:
        from s1_hf.tasks.table import table_with

        try:
            s1_hf.tasks.TASKS_TABLE = table_with(options.custom_tasks, options.data_folder)
        except (ValueError, OSError, ImportError) as error:
            parser.error(str(error))
    try:
        _run(rest)
    except TaskError as error:
        sys.exit(f"Error: {error}")


def _run(arguments: list[str]) -> None:
    ours = s1_hf.tasks.__name__
    preload_tiny_benchmarks()
    from lighteval.__main__ import app  # sets up logging for the whole process

    from s1_hf.tasks.inspecting import custom_tasks_in_eval
    from s1_hf.tasks.mended import mended_lighteval, quiet_about_trials

    if arguments[0] == "accelerate" and (said := how_many()):
        print(said, file=sys.stderr)  # noqa: T201
    takes_tasks = arguments[0] in _COMMANDS and arguments[:2] != ["tasks", "create"]
    with clear_errors(), custom_tasks_in_eval(ours), mended_lighteval(), quiet_about_trials():
        app([*arguments, *(("--custom-tasks", ours) if takes_tasks else ())])


if __name__ == "__main__":
    guard_terminal()
    with isolated_children():
        main(sys.argv[1:])
