"""lighteval's registry without network.

Every run of lighteval 0.13 loads all its built-in tasks, and one of them, `tiny_benchmarks`, downloads a file while it
is imported (tasks/tasks/tiny_benchmarks.py, `TinyCorpusAggregator.download`): without network no task of any kind can
run. nltk's downloads only log an error.
"""

import sys
from importlib import import_module
from typing import Any
from unittest.mock import patch

MODULE = "lighteval.tasks.tasks.tiny_benchmarks"
FILE = "tinyBenchmarks.pkl"


def preload_tiny_benchmarks() -> None:
    """Import that one module of lighteval with its one download answered "404 Not Found", which it takes for an answer.

    To be called before lighteval's `Registry` is built, which then finds the module imported; our commands do so.
    Nothing is written and nothing stays replaced; other downloads, from other threads too, are passed on. The tasks
    `tiny:...` stay registered and lose nothing: what lighteval 0.13 downloads there is not what it reads later
    (`extended_tasks/tiny_benchmarks/tinyBenchmarks.pkl` in the working folder).

    With lighteval's Python classes:

        from s1_hf.tasks import preload_tiny_benchmarks
        preload_tiny_benchmarks()
        pipeline = Pipeline(tasks="s1:embedded", ...)  # with custom_tasks_directory="s1_hf.tasks"
    """
    if MODULE in sys.modules:
        return
    import requests

    stock_get = requests.get

    def get(url: str, *args: Any, **kwargs: Any) -> requests.Response:
        if not url.endswith(f"/{FILE}"):
            return stock_get(url, *args, **kwargs)
        response = requests.Response()
        response.status_code = 404
        return response

    with patch.object(requests, "get", get):
        import_module(MODULE)
