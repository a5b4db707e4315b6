"""An evaluation from settings to lighteval's results, through lighteval's own pipeline."""

from __future__ import annotations

import copy
import json
import os
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

import torch
from fsspec.implementations.local import LocalFileSystem
from lighteval.logging.evaluation_tracker import EnhancedJSONEncoder, EvaluationTracker
from lighteval.tasks.requests import SamplingMethod

from s1_hf.engines.endpoint_engine import EndpointEngine
from s1_hf.evaluation.lighteval.model import BudgetForcingModel
from s1_hf.evaluation.lighteval.statistics import thinking_metric
from s1_hf.files import refuse_links
from s1_hf.forcing.budget import check_effect
from s1_hf.tasks import commit_of, preload_tiny_benchmarks
from s1_hf.tasks.errors import clear_errors
from s1_hf.tasks.mended import quiet_about_trials
from s1_hf.tasks.table import table_with

with torch.set_grad_enabled(torch.is_grad_enabled()):  # imported, this switches gradients off for the whole process
    from lighteval.pipeline import ParallelismManager, Pipeline, PipelineParameters

if TYPE_CHECKING:
    from lighteval.tasks.lighteval_task import LightevalTask

    from s1_hf.engines.progress import Progress
    from s1_hf.evaluation.lighteval.config import BudgetForcingConfig


def evaluate(
    config: BudgetForcingConfig,
    tasks: str,
    *,
    output_dir: str = "results",
    max_samples: int | None = None,
    custom_tasks: str | None = None,
    data_folder: str | None = None,
    progress: Callable[[Progress], None] | None = None,
    **tracker: Any,
) -> dict[str, Any] | None:
    """Evaluate a model on tasks of lighteval under a budget.

    Everything is checked before the weights are read. Killed at any moment and called again, it resumes where
    it stopped; see `s1_hf.engines.ledger`.

    Args:
        config ([`BudgetForcingConfig`]): model, budget and decoding.
        tasks (`str`): as for lighteval: names, separated by commas, with `|` and a number of shots if not 0; `s1`
            stands for all `s1:...`.
        output_dir (`str`): for lighteval's `results/` and `details/`.
        max_samples (`int`, *optional*): problems of each task, for a trial.
        custom_tasks (`str`, *optional*): a module or file with a `TASKS_TABLE`, beside lighteval's own tasks and ours.
        data_folder (`str`, *optional*): local data sets for our tasks, see [`s1_hf.tasks.tasks_table`].
        progress (`Callable`, *optional*): see [`BudgetForcingModel`].
        **tracker: for lighteval's `EvaluationTracker`: `save_details` (on by default there), `push_to_hub`,
            `push_to_tensorboard`, `hub_results_org`, `public`, `use_wandb`, `results_path_template`.

    Returns:
        `dict`: what the results file holds, and with a server as the engine what was asked of it by this call
        (`endpoint`, see [`Spent`]); with several processes, only on the main one.

    Raises:
        ValueError: a task is not known, asks for no text, or does not fit the budget, or as
            [`BudgetForcingModel`]; or there are links where lighteval would write. OSError: a model or data set is not
            there, or is gated and nobody is logged in, or another process evaluates these weights into the same
            `cache_dir`.
    """
    check_effect([config.budget])
    options = {"output_dir": output_dir, "max_samples": max_samples, "custom_tasks": custom_tasks} | tracker
    model, pipeline = prepare(config, tasks, data_folder=data_folder, progress=progress, **options)
    with model.on_tasks.exclusive():
        results = finish(pipeline)
    engine = model.on_tasks.engine
    if results is not None and isinstance(engine, EndpointEngine):
        results["endpoint"] = asdict(engine.spent) | {"is_exact": engine.is_exact}
    return results


def prepare(
    config: BudgetForcingConfig,
    tasks: str,
    *,
    output_dir: str,
    max_samples: int | None = None,
    custom_tasks: str | None = None,
    data_folder: str | None = None,
    progress: Callable[[Progress], None] | None = None,
    **tracker: Any,
) -> tuple[BudgetForcingModel, Pipeline]:
    """The first half of [`evaluate`]: all that can be checked without weights."""
    model = BudgetForcingModel(config, progress=progress)
    table = _table_of(data_folder, custom_tasks)
    pipeline = _pipeline(model, tasks, table, max_samples, EvaluationTracker(output_dir, **tracker))
    others = [docs for method, docs in pipeline.sampling_docs.items() if method != SamplingMethod.GENERATIVE]
    for docs in others:
        model.loglikelihood(docs)  # says that it cannot, before anything is generated
    for task in pipeline.tasks_dict.values():
        task.metrics = (*task.metrics, thinking_metric())
        _record_commit(task)
    return model, pipeline


def under(pipeline: Pipeline, model: BudgetForcingModel, output_dir: str, **tracker: Any) -> Pipeline:
    """The same tasks and data for another model, with results of its own."""
    other = copy.copy(pipeline)
    other.model = model
    other.evaluation_tracker = EvaluationTracker(output_dir, **tracker)
    other.evaluation_tracker.task_config_logger.log(other.tasks_dict)
    other.evaluation_tracker.general_config_logger.log_model_info(model_config=model.config)
    other.final_dict = None
    _keep_inside(other.evaluation_tracker)
    return other


def finish(pipeline: Pipeline) -> dict[str, Any] | None:
    """The second half of [`evaluate`]: generate what is missing, grade, write."""
    pipeline.evaluate()
    pipeline.save_and_push_results()
    if not pipeline.is_main_process():
        return None
    results: dict[str, Any] = pipeline.evaluation_tracker.results
    return results


def results_as_json(results: dict[str, Any]) -> str:
    """What [`evaluate`] returned, as it stands in lighteval's results file."""
    return json.dumps(results, cls=EnhancedJSONEncoder, indent=1, ensure_ascii=False)


def _pipeline(
    model: BudgetForcingModel,
    tasks: str,
    custom_tasks: ModuleType,
    max_samples: int | None,
    tracker: EvaluationTracker,
) -> Pipeline:
    """lighteval's pipeline with its tasks and their data loaded."""
    preload_tiny_benchmarks()
    parameters = PipelineParameters(
        launcher_type=ParallelismManager.ACCELERATE,
        custom_tasks_directory=custom_tasks,  # type: ignore[arg-type]  # a module is taken as well
        max_samples=max_samples,
    )
    with clear_errors(), quiet_about_trials():
        pipeline = Pipeline(tasks, parameters, tracker, model=model)
    _keep_inside(tracker)
    return pipeline


def _keep_inside(tracker: EvaluationTracker) -> None:
    """lighteval makes folders by the model's name, which must not lead out of them, and follows links."""
    about = tracker.general_config_logger
    if ".." in Path(about.model_name).parts or Path(about.model_name).drive:
        about.model_name = Path(os.path.splitdrive(os.path.abspath(about.model_name))[1]).as_posix()
    if isinstance(tracker.fs, LocalFileSystem):
        for kind in ("results", "details", "tb"):
            refuse_links(tracker.output_dir, kind, about.model_name.strip("/"))


def _table_of(data_folder: str | None, custom_tasks: str | None) -> ModuleType:
    """A module for lighteval with our tasks, perhaps on local data, and beside them those of another module."""
    module = ModuleType("s1_hf_tasks_and_others")
    module.__dict__["TASKS_TABLE"] = table_with(custom_tasks, data_folder)
    return module


def _record_commit(task: LightevalTask) -> None:
    """Put the commit of the data that was read into the task's configuration, which the results file holds."""
    data: Any = task.dataset
    commits = {commit_of(data[split]) for split in task.evaluation_split} - {None}
    if len(commits) == 1:
        task.config.hf_revision = commits.pop()
