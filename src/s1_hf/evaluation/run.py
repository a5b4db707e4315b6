"""An evaluation from settings to lighteval's results, through lighteval's own pipeline."""

from __future__ import annotations

import difflib
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from datasets.exceptions import DatasetNotFoundError
from lighteval.logging.evaluation_tracker import EvaluationTracker
from lighteval.pipeline import ParallelismManager, Pipeline, PipelineParameters
from lighteval.tasks.registry import Registry
from lighteval.tasks.requests import SamplingMethod

from s1_hf.evaluation.model import BudgetForcingModel
from s1_hf.evaluation.statistics import thinking_metric
from s1_hf.tasks import preload_tiny_benchmarks

if TYPE_CHECKING:
    from s1_hf.evaluation.config import BudgetForcingConfig
    from s1_hf.evaluation.progress import Progress

TASKS = "s1_hf.tasks"


def evaluate(
    config: BudgetForcingConfig,
    tasks: str,
    *,
    output_dir: str = "results",
    max_samples: int | None = None,
    custom_tasks: str = TASKS,
    progress: Callable[[Progress], None] | None = None,
    **tracker: Any,
) -> dict[str, Any] | None:
    """Evaluate a model on tasks of lighteval under a budget.

    Everything is checked before the weights are read. Killed at any moment and called again, it goes on where it
    stopped; see `store`.

    Args:
        config ([`BudgetForcingConfig`]): model, budget and decoding.
        tasks (`str`): as for lighteval: names, separated by commas, with `|` and a number of shots if not 0; `s1`
            stands for all `s1:...`.
        output_dir (`str`): for lighteval's `results/` and `details/`.
        max_samples (`int`, *optional*): problems of each task, for a trial.
        custom_tasks (`str`): a module or file with a `TASKS_TABLE`, beside lighteval's own tasks.
        progress (`Callable`, *optional*): see [`BudgetForcingModel`].
        **tracker: for lighteval's `EvaluationTracker`: `save_details` (on by default there), `push_to_hub`,
            `push_to_tensorboard`, `hub_results_org`, `public`, `use_wandb`, `results_path_template`.

    Returns:
        `dict`: what the results file holds; with several processes, on the main one alone.

    Raises:
        ValueError: a task is not known, asks for no text, or does not fit the budget, or as
            [`BudgetForcingModel`]. OSError: a model or data set is not there, or is gated and nobody is logged in.
    """
    model = BudgetForcingModel(config, progress=progress)
    pipeline = _pipeline(model, tasks, custom_tasks, max_samples, EvaluationTracker(output_dir, **tracker))
    others = [docs for method, docs in pipeline.sampling_docs.items() if method != SamplingMethod.GENERATIVE]
    for docs in others:
        model.loglikelihood(docs)  # says that it cannot, before anything is generated
    for task in pipeline.tasks_dict.values():
        task.metrics = (*task.metrics, thinking_metric())
    pipeline.evaluate()
    pipeline.save_and_push_results()
    if not pipeline.is_main_process():
        return None
    results: dict[str, Any] = pipeline.evaluation_tracker.results
    return results


def _pipeline(
    model: BudgetForcingModel, tasks: str, custom_tasks: str, max_samples: int | None, tracker: EvaluationTracker
) -> Pipeline:
    """lighteval's pipeline with its tasks loaded; its errors say what to do."""
    preload_tiny_benchmarks()
    parameters = PipelineParameters(
        launcher_type=ParallelismManager.ACCELERATE, custom_tasks_directory=custom_tasks, max_samples=max_samples
    )
    try:
        return Pipeline(tasks, parameters, tracker, model=model)
    except DatasetNotFoundError as error:
        raise OSError(
            f"A data set of {tasks} could not be had: {error} If it is gated, accept its terms on its page on the Hub "
            "and log in with `hf auth login`."
        ) from error
    except ValueError as error:
        if "Cannot find task" not in str(error):
            raise
        raise ValueError(_unknown_task(tasks, custom_tasks)) from error


def _unknown_task(tasks: str, custom_tasks: str) -> str:
    known = Registry.load_all_task_configs(custom_tasks=custom_tasks)
    names = [name.partition("|")[0].partition("@")[0] for name in tasks.split(",")]
    prefixes = {name.partition(":")[0] for name in known}
    unknown = [name for name in names if name not in known and name not in prefixes]
    own = [name for name in known if name.startswith("s1:")]
    alike = {name: difflib.get_close_matches(name, known, n=3) for name in unknown}
    hints = [f"{name!r}" + (f" (like {', '.join(close)}?)" if close else "") for name, close in alike.items()]
    return (
        f"No task is called {', '.join(hints)}. Known are {', '.join(own)} and lighteval's own ({len(known)} in all)."
    )
