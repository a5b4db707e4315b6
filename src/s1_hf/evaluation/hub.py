"""Results as the Hub shows them: `.eval_results/*.yaml` of a model's repository (https://huggingface.co/docs/hub/eval-results)."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timezone
from pathlib import Path
from typing import TYPE_CHECKING, Any

from s1_hf import __version__
from s1_hf._lazy import require
from s1_hf.files import inside, write_text
from s1_hf.tasks.benchmarks import hub_of

if TYPE_CHECKING:
    from huggingface_hub import EvalResultEntry

    from s1_hf.evaluation.bench import Evaluated
    from s1_hf.evaluation.settings import Settings
    from s1_hf.tasks.task import Task

FOLDER = ".eval_results"


def entries_of(evaluated: Evaluated, settings: Settings, tasks: Sequence[Task]) -> dict[str, EvalResultEntry]:
    """By the name of its file, an entry for each task that is a benchmark of the Hub, whole, under the first setting.

    The value is the accuracy in percent; of several samples their mean. The notes say how it was measured: the
    budget, the mean of thinking tokens, samples and temperature.
    """
    hub = require("huggingface_hub", "eval")
    if not hasattr(hub, "EvalResultEntry"):  # before 1.4; whoever pushes has the extra `eval`, which has a later one
        return {}
    now = datetime.now(timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")
    found = {}
    for task in tasks:
        source = hub_of(task.name)
        if source is None or task.is_part:
            continue
        scores = evaluated.results[0][task.name]
        accuracy = scores["accuracy"] if task.samples is None else scores[f"avg@{task.samples}"]
        found[task.name.replace(":", "_")] = hub.EvalResultEntry(
            dataset_id=source.repo,
            task_id=source.subset,
            value=round(100 * accuracy, 2),
            dataset_revision=_commit(task.source.get("revision")),
            date=now,
            notes=_notes(evaluated, settings, task, scores["thinking_tokens"]),
        )
    return found


def write_entries(entries: dict[str, EvalResultEntry], folder: str | Path) -> list[Path]:
    """Into `.eval_results/` of a folder, a file each."""
    hub, yaml = require("huggingface_hub", "eval"), require("yaml", "data")
    files = []
    for name, entry in entries.items():
        file = inside(folder, FOLDER, f"{name}.yaml")
        file.parent.mkdir(parents=True, exist_ok=True)
        write_text(file, yaml.safe_dump(hub.eval_result_entries_to_yaml([entry]), sort_keys=False, allow_unicode=True))
        files.append(file)
    return files


def check_pushable(tasks: Sequence[Task]) -> None:
    """Raises a `ValueError` if none of the tasks will have an entry."""
    if all(task.is_part or hub_of(task.name) is None for task in tasks):
        raise ValueError(
            "`--push-eval-results` has nothing to push: only whole benchmarks of the Hub have entries, such as "
            "s1:math500 without `--max-samples`."
        )


def propose(files: Sequence[Path], model: str) -> str:
    """Open a pull request with these files in a model's repository, and return its address."""
    hub = require("huggingface_hub", "eval")
    added = [hub.CommitOperationAdd(f"{FOLDER}/{file.name}", str(file)) for file in files]
    done: Any = hub.HfApi().create_commit(
        model, added, commit_message="Evaluation results, measured with s1-hf", create_pr=True
    )
    return str(done.pr_url)


def _notes(evaluated: Evaluated, settings: Settings, task: Task, thinking_tokens: float) -> str:
    said = [
        f"s1-hf {__version__}",
        f"budget forcing: {evaluated.settings[0].name}",
        f"{thinking_tokens:,.0f} thinking tokens on average",
    ]
    if task.samples is not None:
        said.append(f"mean of {task.samples} samples per problem")
    sampling = settings.sampling
    said.append("greedy" if sampling is None else f"temperature {sampling.temperature:g}, top-p {sampling.top_p:g}")
    return "; ".join(said)


def _commit(revision: Any) -> str | None:
    """Only a commit says which data these were."""
    return revision if isinstance(revision, str) and len(revision) == 40 else None
