"""`lighteval eval`, the command that runs tasks by inspect-ai, with custom tasks.

In lighteval 0.13.0 (main_inspect.py) it drops `--custom-tasks`, the pinned revision and the task's length of
generation, reads a local data set from its first copy however it has changed, and hands inspect-ai every option that it
knows: three of them have names that inspect-ai 0.3.285 refuses, even without a value.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any
from unittest.mock import patch

from inspect_ai import eval_set
from inspect_ai.dataset import hf_dataset
from inspect_ai.model import GenerateConfig
from lighteval import main_inspect
from lighteval.tasks.registry import Registry

from s1_hf.tasks.benchmarks import names

if TYPE_CHECKING:
    from inspect_ai import Task
    from lighteval.tasks.lighteval_task import LightevalTaskConfig

_OPTIONS = {"frequence_penalty": "frequency_penalty", "log_probs": "logprobs"}  # lighteval's name: inspect-ai's


@contextmanager
def custom_tasks_in_eval(custom_tasks_default: str | Path) -> Iterator[None]:
    """While it lasts, `lighteval eval` knows the tasks of a module, or of what else `--custom-tasks` takes.

    Every task has its pinned revision. Ours have their length and temperature 0 too, unless the command says otherwise
    (`--max-tokens`, `--temperature`).
    """
    stock_load, stock_task = Registry.load_all_task_configs, main_inspect.get_inspect_ai_task

    def load(custom_tasks: str | Path | None = None, load_multilingual: bool = False) -> dict[str, LightevalTaskConfig]:
        return stock_load(custom_tasks or custom_tasks_default, load_multilingual)

    def task(config: LightevalTaskConfig, **options: Any) -> Task:
        with patch.object(main_inspect, "hf_dataset", partial(hf_dataset, revision=config.hf_revision, cached=False)):
            made = stock_task(config, **options)
        if config.name in names():
            made.config = GenerateConfig(max_tokens=config.generation_size, temperature=0.0)
        return made

    def evaluate(tasks: list[Task], **options: Any) -> Any:
        return eval_set(tasks, **{_OPTIONS.get(name, name): v for name, v in options.items() if v is not None})

    with (
        patch.object(Registry, "load_all_task_configs", staticmethod(load)),
        patch.object(main_inspect, "get_inspect_ai_task", task),
        patch.object(main_inspect, "inspect_ai_eval_set", evaluate),
    ):
        yield
