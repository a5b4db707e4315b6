"""A grid of budgets through lighteval: generated in one pass, then one evaluation per setting.

The pass puts each setting's samples where an evaluation of only that setting looks for finished ones (see
`s1_hf.engines.ledger`): results and details are those of as many separate runs. Weights and tasks are loaded once.
Killed and called again, the pass resumes with the batches that are missing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

from lighteval.tasks.requests import SamplingMethod

from s1_hf.evaluation.bench import TRANSCRIPTS, Evaluated, budget_row
from s1_hf.evaluation.lighteval import run
from s1_hf.forcing.budget import Budget
from s1_hf.generation.grids import chosen_settings
from s1_hf.results.rows import Problem, Row
from s1_hf.tasks.scoring import grades_of

if TYPE_CHECKING:
    from s1_hf.engines.progress import Progress
    from s1_hf.evaluation.lighteval.config import BudgetForcingConfig
    from s1_hf.evaluation.lighteval.model import BudgetForcingModel
    from s1_hf.evaluation.lighteval.statistics import Response


def sweep(
    config: BudgetForcingConfig,
    tasks: str,
    *,
    max_thinking_tokens: Sequence[int | None] = (None,),
    num_ignores: Sequence[int] = (0,),
    settings: Sequence[Budget] | Callable[[int], Sequence[Budget]] | None = None,
    progress: Callable[[Progress], None] | None = None,
    **options: Any,
) -> Evaluated | None:
    """Evaluate a model on tasks of lighteval under every combination of caps and ignores, in one pass.

    Args:
        config ([`BudgetForcingConfig`]): model and decoding; its own cap and ignores are not used. `temperature` above
            0 samples: a sample's draws are those of a separate run of its setting with the same seed.
        tasks (`str`): as in [`evaluate`].
        max_thinking_tokens, num_ignores, settings: as in [`s1_hf.sweep`]; `settings` may also be a function that makes
            them of the largest cap that leaves room for an answer to every problem.
        progress (`Callable`, *optional*): told how many samples have passed through the whole grid.
        **options: `output_dir` and others of [`evaluate`].

    Returns:
        [`Evaluated`]; with several processes, only on the main one.

    Raises:
        ValueError, OSError: as [`evaluate`], before the weights are read and for all settings.
    """
    chosen = [] if callable(settings) else _chosen(config, settings, max_thinking_tokens, num_ignores)
    base = config.model_copy(update={"budget": (chosen[0] if chosen else config.budget).shared()})
    model, pipeline = run.prepare(base, tasks, progress=progress, **options)
    asked = model.tasks(pipeline.sampling_docs[SamplingMethod.GENERATIVE])
    if callable(settings):
        chosen = chosen_settings(settings(model.on_tasks.room_for_thinking(asked)))
    for setting in chosen:
        model.on_tasks.under(setting).check(asked)  # before the weights are read
    is_main = pipeline.is_main_process()
    tracker = {name: value for name, value in options.items() if name not in _OF_TASKS}
    rows: list[Row] = []
    results: list[dict[str, Any]] = []
    ungraded: set[str] = set()
    with model.on_tasks.exclusive():
        done, cost = model.on_tasks.sweep(model.on_tasks.requests(asked), chosen)
        for setting in chosen:
            of_setting = run.under(pipeline, model.under(setting, done), **tracker)
            found = run.finish(of_setting)
            if found is None:
                continue  # the main process says it
            results.append(found)
            for name, details in of_setting.evaluation_tracker.details_logger.details.items():
                of_task = list(_rows(model, of_setting.tasks_dict[name].metrics, details))
                rows += of_task
                if not of_task:
                    ungraded.add(name)
    revisions = {name.removesuffix("|0"): task.config.hf_revision for name, task in pipeline.tasks_dict.items()}
    identity = model.on_tasks.engine.identity
    swept = Evaluated(chosen, rows, results, cost, identity, revisions, sorted(ungraded))
    return swept if is_main else None


_OF_TASKS = ("max_samples", "custom_tasks", "data_folder")


def _chosen(
    config: BudgetForcingConfig,
    settings: Sequence[Budget] | None,
    max_thinking_tokens: Sequence[int | None],
    num_ignores: Sequence[int],
) -> list[Budget]:
    """The points of the sweep, with what they share from the config's own budget."""
    if config.budget.min_thinking_tokens:
        raise ValueError("A sweep cannot have `min_thinking_tokens`. Leave it out, or evaluate each setting by itself.")
    if settings is not None:
        return chosen_settings(settings, max_thinking_tokens, num_ignores)
    return chosen_settings(None, max_thinking_tokens, num_ignores, config.budget.shared())


def _rows(model: BudgetForcingModel, metrics: Sequence[Any], details: Sequence[Any]) -> Iterator[Row]:
    """The rows of one task under one setting; none if its metrics do not tell right samples from wrong ones."""
    for number, detail in enumerate(details):
        gold = "\n".join(map(str, detail.doc.get_golds()))
        for sample, verdict in zip(detail.model_response.samples, _judged(metrics, detail), strict=False):
            request, completion = sample
            yield budget_row(
                completion,
                Problem(request.problem, detail.doc.query, gold, request.task),
                request,
                model.tokenizer,
                graded=verdict,
                with_transcript=number < TRANSCRIPTS,
            )


def _judged(metrics: Sequence[Any], detail: Any) -> list[tuple[bool, str | None]]:
    """Whether each sample is right, and the answer found in it."""
    response: Response = detail.model_response
    kinds = [metric.sample_level_fn.kind for metric in metrics if hasattr(metric.sample_level_fn, "kind")]
    if kinds:
        graded = grades_of(detail.doc, response, kinds[0], len(response.samples))
        return [(grade.correct, grade.extracted) for grade in graded]
    scores = [
        detail.metric[m.metric_name]
        for m in metrics
        if isinstance(m.metric_name, str) and m.metric_name in detail.metric
    ]
    verdicts = [score for score in scores if isinstance(score, (bool, int, float)) and score in (0, 1)]
    return [(bool(verdicts[0]), None)] if verdicts and len(response.samples) == 1 else []
