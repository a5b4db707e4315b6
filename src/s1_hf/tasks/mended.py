"""What lighteval 0.13 gets wrong about our tasks on its own models, put right while a command of it runs.

- Its cache of answers lies in the model's own folder where that is named by its whole path, and knows a model by its
  name only: other weights saved there get the old ones' answers.
- With a temperature it does not set `do_sample`: several samples end in an error of transformers, and one is greedy.
- `lighteval tasks list` lists tasks by suites, which none has any more.
- It warns of trials (`--max-samples`) and of few-shot examples from evaluation data, also where there are no shots.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any
from unittest.mock import patch

from lighteval.models.model_input import GenerationParameters
from lighteval.tasks.registry import Registry
from lighteval.utils.cache_management import SampleCache

from s1_hf.engines.fingerprint import weights_on_disk
from s1_hf.tasks.benchmarks import names

if TYPE_CHECKING:
    from lighteval.models.abstract_model import ModelConfig

_DIGITS = 16  # of the hash of the weights
_LOUD = re.compile("--max_samples WAS SET|Careful, the task .* is using evaluation data to build the few shot")


@contextmanager
def mended_lighteval() -> Iterator[None]:
    """While it lasts, lighteval does these things right."""
    stock_init, stock_arguments = SampleCache.__init__, GenerationParameters.to_transformers_dict

    def init(self: SampleCache, model_config: ModelConfig) -> None:
        name = str(model_config.model_name)
        if Path(name).is_dir():
            own = f"{Path(name).resolve().name}-{weights_on_disk(name, 'main')[:_DIGITS]}"
            model_config = model_config.model_copy(update={"model_name": own})
        stock_init(self, model_config)

    def arguments(self: GenerationParameters) -> dict[str, Any]:
        return stock_arguments(self) | ({"do_sample": True} if self.temperature else {})

    def print_all_tasks(self: Registry, suites: str | None = None) -> None:
        ours = names()
        for name in [*ours, *sorted(set(self._task_registry) - set(ours))]:
            print(name)  # noqa: T201

    with (
        patch.object(SampleCache, "__init__", init),
        patch.object(GenerationParameters, "to_transformers_dict", arguments),
        patch.object(Registry, "print_all_tasks", print_all_tasks),
    ):
        yield


@contextmanager
def quiet_about_trials() -> Iterator[None]:
    """Without lighteval's warnings about what was asked for, or does not happen."""
    loggers = [logging.getLogger(f"lighteval.{name}") for name in ("pipeline", "tasks.lighteval_task")]

    def is_wanted(record: logging.LogRecord) -> bool:
        return not _LOUD.search(record.getMessage())

    for logger in loggers:
        logger.addFilter(is_wanted)
    try:
        yield
    finally:
        for logger in loggers:
            logger.removeFilter(is_wanted)
