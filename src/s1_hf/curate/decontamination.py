"""Stage 1: questions that share words with the test questions of an evaluation."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from s1_hf._lazy import require
from s1_hf.curate.stage import Drop, Stage, column, stage
from s1_hf.curate.text import ngrams
from s1_hf.finding import in_package

if TYPE_CHECKING:
    from datasets import Dataset


@dataclass(frozen=True)
class TestSet:
    """An evaluation's questions.

    Args:
        name (`str`): for the report.
        path (`str`): a file or folder (`package://x`: of this package), or the name of a data set on the Hub.
        column (`str`, defaults to `"question"`): of the questions.
        subset, split, revision (`str`, *optional*): of a data set on the Hub; the split is `"train"` if not given.
    """

    __test__ = False  # no test of pytest's

    name: str
    path: str
    column: str = "question"
    subset: str | None = None
    split: str | None = None
    revision: str | None = None

    def questions(self) -> list[str]:
        """Read them.

        Raises:
            ValueError: it cannot be read, has no such column, or no questions. ConnectionError: the Hub's cannot be
                reached.
        """
        dataset = self._load()
        if self.column not in dataset.column_names:
            raise ValueError(
                f"The test set {self.name} ({self.path}) has no column {self.column!r}; it has "
                f"{', '.join(dataset.column_names)}. Say which has the questions by `column`."
            )
        found = [text for text in dataset[self.column] if isinstance(text, str) and text.strip()]
        if not found:
            raise ValueError(f"The test set {self.name} ({self.path}) has no questions in its column {self.column!r}.")
        return found

    def _load(self) -> Any:
        from s1_hf.traces.pool import load_pool

        path = str(in_package(self.path))
        if Path(path).expanduser().exists():
            return load_pool(path)
        datasets = require("datasets", "data")
        try:
            return datasets.load_dataset(path, self.subset, split=self.split or "train", revision=self.revision)
        except (OSError, ValueError) as error:
            raise ConnectionError(
                f"The test set {self.name} could not be loaded: {path!r} is no file or folder here, and from the Hub "
                f"came {type(error).__name__}: {error} Give the `path` of a local copy, or take the test set out of "
                "`against`."
            ) from None


@dataclass(frozen=True)
class Decontamination:
    """Options of [`decontaminate`].

    Args:
        against (`tuple[TestSet, ...]`): the evaluations; none: nothing is dropped.
        ngram_size (`int`, defaults to 8): how many words in a row have to be shared; the paper's.
    """

    against: tuple[TestSet, ...] = ()
    ngram_size: int = 8

    def __post_init__(self) -> None:
        if self.ngram_size < 1:
            raise ValueError(f"`ngram_size` has to be 1 or more words, but is {self.ngram_size}.")
        names = [test.name for test in self.against]
        if len(set(names)) < len(names):
            raise ValueError(f"`against` has to have different names, but they are {', '.join(names)}.")


def decontaminate(dataset: Dataset, options: Decontamination, *, num_proc: int | None = None) -> Stage:
    """Drop questions that share `ngram_size` words in a row with a test question (rule `test_question`).

    Words are compared as in [`s1_hf.curate.text.words`]: lower-cased, with their punctuation. A paraphrase, a
    translation or other numbers are not found. The drop's detail names the first shared words, the test set and the
    number of its question.

    Args:
        dataset: with a column `question`.
        num_proc (`int`, *optional*): processes.

    Raises:
        ValueError, ConnectionError: a test set cannot be read.

    Example:

    ```python
    >>> import json, pathlib, tempfile
    >>> from datasets import Dataset, disable_progress_bars
    >>> from s1_hf.curate import Decontamination, TestSet, decontaminate
    >>> disable_progress_bars()
    >>> pool = Dataset.from_list([{"question": "Find all primes p."}, {"question": "Please find all primes below 9."}])
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     test = pathlib.Path(folder, "test.jsonl")
    ...     _ = test.write_text(json.dumps({"question": "Find all primes below 9."}))
    ...     decontaminate(pool, Decontamination((TestSet("mine", str(test)),), ngram_size=4)).drops
    (Drop(row=1, rule='test_question', detail="'find all primes below' is in mine, question 0"),)

    ```
    """
    lookup: dict[str, str] = {}
    notes = []
    for test in options.against:
        questions = test.questions()
        notes.append(f"{test.name}: {test.path}, questions: {len(questions):,}")
        for number, question in enumerate(questions):
            for gram in ngrams(question, options.ngram_size):
                lookup.setdefault(gram, f"{test.name}, question {number}")
    if not lookup:
        return stage("decontaminate", len(dataset), (), ["no test sets were given"])
    hits = column(dataset, _find_test_questions, ["question"], num_proc, lookup=lookup, size=options.ngram_size)
    drops = [Drop(row, "test_question", hit) for row, hit in enumerate(hits) if hit]
    return stage("decontaminate", len(dataset), drops, notes)


def _find_test_questions(questions: list[str | None], lookup: dict[str, str], size: int) -> list[str]:
    return [_hit(question or "", lookup, size) for question in questions]


def _hit(question: str, lookup: dict[str, str], size: int) -> str:
    for gram in ngrams(question, size):
        if gram in lookup:
            return f"{gram!r} is in {lookup[gram]}"
    return ""
