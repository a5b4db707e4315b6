"""What asks the questions of `s1-hf eval`, `sweep` and `effort`: the package itself, or lighteval."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from s1_hf._lazy import require
from s1_hf.cli import options as o
from s1_hf.cli.engines import engine_options
from s1_hf.cli.progress import progress_bar
from s1_hf.cli.terminal import messages, quiet_libraries, quiet_loading
from s1_hf.engines.endpoint.options import is_address
from s1_hf.engines.locking import exclusive
from s1_hf.engines.processes import how_many, is_main, part
from s1_hf.records import check, parse, read_json
from s1_hf.secrets import shown_address
from s1_hf.tracking import Tracked

if TYPE_CHECKING:
    from s1_hf.engines.progress import Progress
    from s1_hf.evaluation import Settings
    from s1_hf.evaluation.bench import Evaluated, Grid
    from s1_hf.tasks.task import Task

_OF_LIGHTEVAL = ("custom_tasks", "push_to_hub", "push_to_tensorboard", "results_org", "public_run", "wandb")


def settings_of(given: Mapping[str, Any]) -> Settings:
    """The settings of a command, which also becomes as quiet as it can be."""
    settings = o.evaluation_settings({**given, "engine_options": engine_options(given["context"], given["engine"])})
    if said := how_many():
        messages.print(said, soft_wrap=True)
    quiet_libraries()
    quiet_loading(given["model"])
    return settings


def needs_lighteval(given: Mapping[str, Any]) -> bool:
    """Whether lighteval is the host; whatever has no meaning with the one that is chosen is refused.

    Raises:
        ValueError: a task is not known, or lighteval is needed and may not be used. ModuleNotFoundError: lighteval is
            needed and not installed.
    """
    from s1_hf.tasks.errors import TaskError, unknown_task
    from s1_hf.tasks.own import is_file
    from s1_hf.tasks.problems import is_ours, names_in

    refuse_columns(given)
    files = [name for name in names_in(given["tasks"]) if is_file(name)]
    host, others = given["host"], [name for name in names_in(given["tasks"]) if not is_ours(name)]
    if others and (host == "s1-hf" or (host == "auto" and find_spec("lighteval") is None)):
        need = "They need `--host lighteval`." if host == "s1-hf" else "They need: pip install 's1-hf[lighteval]'"
        raise TaskError(f"{unknown_task(others[0])} Others are lighteval's, or of `--custom-tasks`. {need}")
    if host == "lighteval" or (host == "auto" and (others or given["custom_tasks"])):
        if files:
            raise ValueError(
                f"{files[0]} is asked by s1-hf itself: leave lighteval's tasks and options to another run."
            )
        _refuse_useless(["push_eval_results"], given, "needs `--host s1-hf`, which writes what it pushes")
        if "push_to_hub" in given:  # of `s1-hf eval`, whose rows lighteval keeps to itself
            _refuse_useless(["track"], given, "needs `--host s1-hf`: lighteval tracks by itself, see `--wandb`")
        require("lighteval", "lighteval")
        return True
    _refuse_useless(_OF_LIGHTEVAL, given, "needs `--host lighteval`, whose option it is")
    return False


def refuse_columns(given: Mapping[str, Any]) -> None:
    """Raises a `ValueError` for options of tasks in files, if there is none."""
    from s1_hf.tasks.own import is_file
    from s1_hf.tasks.problems import names_in

    if not any(map(is_file, names_in(given["tasks"]))):
        _refuse_useless(o.OF_FILES, given, "needs a file of questions in `--tasks`, such as my.jsonl")


def _refuse_useless(names: Sequence[str], given: Mapping[str, Any], why: str) -> None:
    said = ", ".join(f"`--{name.replace('_', '-')}`" for name in names if given.get(name))
    if said:
        raise ValueError(f"{said} {why}.")


def tasks_in(given: Mapping[str, Any]) -> list[Task]:
    """The tasks of a command, as far as it wants them."""
    from s1_hf.tasks.benchmarks import EMBEDDED
    from s1_hf.tasks.own import OwnColumns, in_words, is_file
    from s1_hf.tasks.problems import names_in, task_of

    kind = given["answer_kind"]
    columns = OwnColumns(**{name: given[f"{name}_column"] for name in ("question", "answer", "choices")}, kind=kind)
    found = []
    for name in names_in(given["tasks"]):
        if not name.endswith(f":{EMBEDDED.name}"):
            require("datasets", "data").disable_progress_bars()
        task = task_of(name, given["data_folder"], columns, given["samples"])
        if is_file(name) and is_main():
            messages.print(in_words(task), soft_wrap=True)
        found.append(task.drawn(given["max_samples"]))
    return found


def run_here(given: Mapping[str, Any], settings: Settings, grid: Grid | None, held: ExitStack) -> Evaluated | None:
    """An evaluation by this package, under one budget or a grid; its files are written.

    Args:
        held (`ExitStack`): keeps other runs out of the output folder.
    """
    from s1_hf.evaluation import bench
    from s1_hf.evaluation.files import rows_file, save
    from s1_hf.evaluation.hub import check_pushable

    tasks = tasks_in(given)
    if given.get("push_eval_results"):
        check_pushable(tasks)
    output_dir: Path = given["output_dir"]
    run = tracked_run(given)
    with progress_bar() as show:
        plan = bench.Plan.of(settings, tasks, grid=grid, progress=both(show, run.progress))
        if is_main():
            held.enter_context(exclusive(output_dir))
        held.enter_context(run)
        evaluated = plan.run(transcripts=given["save_details"])
    part()
    if evaluated is not None:
        about = about_run(given, evaluated)
        say_what_is_replaced(rows_file(output_dir), about)
        save(evaluated, output_dir, settings, tasks, about | {"cost": cost_of(evaluated)})
        if grid is None:
            _write_entries(given, evaluated, settings, tasks)
        run.results(evaluated.rows)
    return evaluated


_NOT_OF_THE_RUN = {
    "context", "budget", "output_dir", "as_json", "save_details", "track", "batch_size", "keep", "push_eval_results",
    "concurrency", "timeout_s", "max_retries", "api_key_env", *_OF_LIGHTEVAL,
}  # fmt: skip
"""Parameters that do not change what is answered, and those that are said in another way."""


def tracked_run(given: Mapping[str, Any]) -> Tracked:
    """The run of a command in the tracker that `--track` names; not begun yet. Only the main process has one."""
    config = {}
    for name, value in given.items():
        if name not in _NOT_OF_THE_RUN and value is not None:
            config[name] = str(value) if isinstance(value, Path) else value
    if is_address(config["engine"]):
        config["engine"] = shown_address(config["engine"])
    config["budget"] = given["budget"].to_dict()
    return Tracked(given["track"] if is_main() else None, given["output_dir"], config, say_plainly)


def say_plainly(said: str) -> None:
    """A note, as it is."""
    messages.print(said, highlight=False, soft_wrap=True)


def both(*listeners: Callable[[Progress], None]) -> Callable[[Progress], None]:
    """All of them are told."""

    def tell(progress: Progress) -> None:
        for listener in listeners:
            listener(progress)

    return tell


def _write_entries(given: Mapping[str, Any], evaluated: Evaluated, settings: Settings, tasks: Sequence[Task]) -> None:
    """For the Hub, and pushed if that was asked for."""
    from s1_hf.evaluation.hub import entries_of, propose, write_entries

    model = given.get("push_eval_results")
    files = write_entries(entries_of(evaluated, settings, tasks), given["output_dir"])
    if model is not None:
        messages.print(f"Proposed: {propose(files, model)}", soft_wrap=True)
    elif files:
        said = f"Entries for the Hub: {files[0].parent}. Propose them: --push-eval-results REPO"
        messages.print(said, soft_wrap=True)


def about_run(given: Mapping[str, Any], evaluated: Evaluated) -> dict[str, Any]:
    """What the rows of a run are of."""
    about = {name: given[name] for name in ("model", "tasks", "seed", "temperature", "dtype", "max_samples")}
    about |= {"settings": [setting.to_dict() for setting in evaluated.settings], "revision": given["revision"]}
    about |= {"data": evaluated.revisions, "engine": evaluated.engine}
    about["asked"] = {
        "system_prompt": given["system_prompt"],
        "chat_template_kwargs": o.template_arguments(given["chat_template_kwargs"]),
        "format": o.chosen_format(*(given[name] for name in o.FORMAT)),
    }
    return dict(parse(json.dumps(about), "about.json"))  # as it will be read


def cost_of(evaluated: Evaluated) -> dict[str, Any] | None:
    """Of what this run has generated."""
    cost = evaluated.cost
    return None if cost is None else {**vars(cost), "saved": cost.saved}


def say_what_is_replaced(rows: Path, about: dict[str, Any]) -> None:
    """Rows of another run; what it has generated stays, so that its command brings them back."""
    file = rows.with_name("about.json")
    old = read_json(file) if file.exists() else about
    check(old, {}, str(file), remedy="Runs write this file; delete it if it is broken.")
    changed = [name for name, value in about.items() if old.get(name) != value]
    if changed:
        messages.print(
            f"{rows} held the rows of a run with other {', '.join(changed)}; they are replaced. Its answers are kept: "
            f"the same command brings them back at once ({old.get('command')}).",
            soft_wrap=True,
        )
