"""A grid of budgets through lighteval: generated in one pass, then one evaluation a setting.

The pass puts each setting's samples where an evaluation of that setting alone looks for finished ones (see `store`),
so that lighteval finds everything on the disk: its results and details are those of as many separate runs. Killed and
called again, the pass goes on with the batches that are missing.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from functools import reduce
from operator import add
from typing import TYPE_CHECKING, Any

from lighteval.tasks.requests import SamplingMethod

from s1_hf.engines.locking import exclusive
from s1_hf.engines.progress import Progress, Watch
from s1_hf.evaluation.batches import Request, plan
from s1_hf.evaluation.run import finish, prepare
from s1_hf.generation.sweep import Cost, check_cache
from s1_hf.results.rows import Row, pieces
from s1_hf.tasks.scoring import grades_of

if TYPE_CHECKING:
    from lighteval.tasks.requests import Doc

    from s1_hf.evaluation.config import BudgetForcingConfig
    from s1_hf.evaluation.model import BudgetForcingModel
    from s1_hf.evaluation.statistics import Response
    from s1_hf.evaluation.store import Sample

METHOD = "budget forcing"
TRANSCRIPTS = 50  # problems of a task whose rows carry what was generated


@dataclass(frozen=True)
class Swept:
    """What a sweep leaves.

    Args:
        rows (`list[Row]`): every answer under every setting.
        results (`list[dict]`): lighteval's, one a setting.
        cost ([`Cost`]): of what this call has generated; none if all of it was on the disk.
        ungraded (`list[str]`): tasks without rows, because no metric of theirs calls a single sample right or wrong.
    """

    settings: list[Budget]
    rows: list[Row]
    results: list[dict[str, Any]]
    cost: Cost | None
    ungraded: list[str]


def sweep(
    config: BudgetForcingConfig,
    tasks: str,
    *,
    max_thinking_tokens: Sequence[int | None] = (None,),
    num_ignores: Sequence[int] = (0,),
    settings: Sequence[Budget] | None = None,
    progress: Callable[[Progress], None] | None = None,
    **options: Any,
) -> Swept | None:
    """Evaluate a model on tasks of lighteval under every combination of caps and ignores, in one pass.

    Args:
        config ([`BudgetForcingConfig`]): model and decoding; its own cap and ignores are not used. `temperature` above
            0 samples: a sample's draws are those of a run of its setting alone with the same seed.
        tasks (`str`): as in [`evaluate`].
        max_thinking_tokens, num_ignores, settings: as in [`s1_hf.sweep`].
        progress (`Callable`, *optional*): told how many samples have passed through the whole grid.
        **options: `output_dir` and others of [`evaluate`].

    Returns:
        [`Swept`]; with several processes, on the main one alone.

    Raises:
        ValueError, OSError: as [`evaluate`], before the weights are read and for all settings.
    """
    if config.min_thinking_tokens:
        raise ValueError("A sweep cannot have `min_thinking_tokens`. Leave it out, or evaluate each setting alone.")
    settings = chosen(settings, max_thinking_tokens, num_ignores)
    runs = [prepare(_under(config, setting), tasks, **options) for setting in settings]
    models = [model for model, _ in runs]
    docs = runs[0][1].sampling_docs[SamplingMethod.GENERATIVE]
    is_main = runs[0][1].is_main_process()
    with ExitStack() as locks:
        for model in models if is_main else ():
            locks.enter_context(exclusive(model.store.folder))
        cost = _generate(models, settings, docs, progress)
        results = [finish(pipeline) for _, pipeline in runs]
    if not is_main:
        return None
    rows: list[Row] = []
    ungraded: set[str] = set()
    for setting, (model, pipeline) in zip(settings, runs, strict=True):
        for name, details in pipeline.evaluation_tracker.details_logger.details.items():
            found = list(_rows(setting, model, pipeline.tasks_dict[name].metrics, details))
            rows += found
            ungraded |= set() if found else {name}
    return Swept(settings, rows, [r for r in results if r is not None], cost, sorted(ungraded))


def _under(config: BudgetForcingConfig, setting: Budget) -> BudgetForcingConfig:
    budget = {"max_thinking_tokens": setting.max_thinking_tokens, "num_ignores": setting.num_ignores}
    return type(config)(**(dict(config) | budget))


def _generate(
    models: list[BudgetForcingModel],
    settings: list[Budget],
    docs: list[Doc],
    progress: Callable[[Progress], None] | None,
) -> Cost | None:
    """Fill the stores of all settings; this process's share of it."""
    first = models[0]
    check_cache(first.checkpoint.config)
    wanted = [[r for _, mine in model.requests(docs) for r in mine] for model in models]  # checks every setting
    requests = wanted[0]
    found = [model.store.read() for model in models]
    first.wait_for_everyone()  # all have read before anyone writes
    missing = [[r.key not in have for r in requests] for have in found]
    at = [i for i, lacks in enumerate(missing) if any(lacks)]
    left = [r for r, *lacks in zip(requests, *missing, strict=True) if any(lacks)]
    batches = first.share(plan(left, first.config.batch_size))
    watch = Watch(progress if not first.disable_tqdm else None)
    watch.begin(len(requests) - len(left), len(requests) - len(left) + sum(map(len, batches)))
    costs = [_run(batch, [models[i] for i in at], [settings[i] for i in at], watch) for batch in batches]
    first.cleanup()
    first.wait_for_everyone()  # all have written before anyone reads
    return reduce(add, costs) if costs else None


def _run(batch: list[Request], models: list[BudgetForcingModel], settings: list[Budget], watch: Watch) -> Cost:
    """One batch under the settings that lack some of it; on the disk when this returns."""
    start = time.monotonic()
    samples, cost = models[0].generator(watch.step).sweep(batch, settings)
    for model, of_setting in zip(models, zip(*samples, strict=True), strict=True):
        model.store.append(of_setting, time.monotonic() - start)
    watch.finish(len(batch), cost.trace_tokens + cost.answer_tokens)
    return cost


def _rows(setting: Budget, model: BudgetForcingModel, metrics: Sequence[Any], details: Sequence[Any]) -> Iterator[Row]:
    """The rows of one task under one setting; none if its metrics do not tell right samples from wrong ones."""
    for number, detail in enumerate(details):
        for sample, (correct, extracted) in zip(detail.model_response.samples, _judged(metrics, detail), strict=False):
            yield Row(
                method=METHOD,
                setting=setting.name,
                task=sample.task.removesuffix("|0"),
                problem=sample.problem,
                sample=sample.index,
                thinking_tokens=sample.thinking_tokens,
                answer_tokens=sample.answer_tokens,
                correct=correct,
                ended=sample.ended,
                ends_ignored=sample.ends_ignored,
                total_tokens=len(sample.token_ids),
                max_thinking_tokens=setting.max_thinking_tokens,
                question=detail.doc.query,
                answer=sample.answer,
                extracted=extracted,
                gold="\n".join(map(str, detail.doc.get_golds())),
                transcript=_transcript(model, sample) if number < TRANSCRIPTS else (),
            )


def _judged(metrics: Sequence[Any], detail: Any) -> list[tuple[bool, str | None]]:
    """Of each sample, whether it is right and the answer found in it."""
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


def _transcript(model: BudgetForcingModel, sample: Sample) -> list[Any]:
    forced = set(sample.forced)
    return pieces(model.tokenizer, sample.token_ids, [i in forced for i in range(len(sample.token_ids))])
