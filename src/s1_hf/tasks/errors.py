"""What goes wrong with a task's name or data, said with what to do."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from difflib import get_close_matches

from s1_hf.tasks.benchmarks import BENCHMARKS, names

_UNKNOWN = re.compile("Cannot find task (.+?) in task list")
_GATED = re.compile("Dataset '(.+?)' is a gated dataset")
_UNREACHED = re.compile("Couldn't reach '(.+?)' on the Hub")
_NO_FILES = re.compile("Couldn't find any data file at (.+?)[.]?(?: Couldn't|$)")


class TaskError(ValueError):
    """A task that cannot be run, and what to do."""


@contextmanager
def clear_errors() -> Iterator[None]:
    """Errors of lighteval and datasets about our tasks become a [`TaskError`] that says what to do.

    These are a task that nobody knows, a gated data set without login, one that cannot be reached, and one that is not
    in the data folder. Any other error, and those of other data sets, are passed on as they are.
    """
    try:
        yield
    except (ValueError, OSError) as error:  # datasets' own errors are OSErrors
        explanation = _explanation(str(error))
        if explanation is None:
            raise
        raise TaskError(explanation) from error


def _explanation(message: str) -> str | None:
    if found := _UNKNOWN.search(message):
        return unknown_task(found[1])
    if (found := _GATED.search(message)) and found[1] in _repositories():
        return (
            f"{found[1]} is gated: accept its terms at https://huggingface.co/datasets/{found[1]} with your account, "
            f"then log in by `hf auth login`. {_or_local(found[1])}"
        )
    if (found := _UNREACHED.search(message)) and found[1] in _repositories():
        return f"{found[1]} is not in the cache, and the Hub cannot be reached. {_or_local(found[1])}"
    if found := _NO_FILES.search(message):
        name = found[1].rstrip("/").rpartition("/")[2]
        repository = next((repo for repo in _repositories() if repo.rpartition("/")[2] == name), None)
        return repository and f"There is no data set in {found[1]}. {_or_local(repository)}"
    return None


def unknown_task(name: str) -> str:
    """What to say about a name that no task has."""
    ours = list(names())
    close = get_close_matches(name, ours, n=3)
    meant = f" Did you mean {' or '.join(close)}?" if close else ""
    single = ", ".join(task for task in ours if "_agg" not in task)
    return (
        f"There is no task {name!r}.{meant} The tasks of s1-hf are {single}; with s1_agg8:, s1_agg16: or s1_agg64: in "
        "place of s1: they take 8, 16 or 64 samples."
    )


def _repositories() -> list[str]:
    return [benchmark.source.repo for benchmark in BENCHMARKS]


def _or_local(repository: str) -> str:
    name = repository.rpartition("/")[2]
    return (
        f"Or get it by `hf download {repository} --repo-type dataset --local-dir FOLDER/{name}`, also on another "
        "machine, and give FOLDER as the data folder (`--data-folder`, or `tasks_table(data_folder=...)`)."
    )
