"""Stage 1: drop questions that share text with the test questions of an evaluation."""

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
        name (`str`): its name in the report.
        path (`str`): a file or folder (`package://x` is inside this package), or the name of a data set on the Hub.
        column (`str`, defaults to `"question"`): the column that holds the questions.
        subset, split, revision (`str`, *optional*): for a data set on the Hub; the default split is `"train"`.
    """

    __test__ = False  # not a test class for pytest

    name: str
    path: str
    column: str = "question"
    subset: str | None = None
    split: str | None = None
    revision: str | None = None

    def questions(self) -> list[str]:
        """Read the questions.

        Raises:
            ValueError: the test set cannot be read, lacks the column, or has no questions in it. ConnectionError: the
                test set is not here and cannot be loaded from the Hub.
        """
        dataset = self._load()
        if self.column not in dataset.column_names:
            raise ValueError(
                f"The test set {self.name} ({self.path}) has no column {self.column!r}; it has "
                f"{', '.join(dataset.column_names)}. Set `column` to the one that holds the questions."
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
                f"The test set {self.name} could not be loaded: {path!r} is not a local file or folder, and the Hub "
                f"answered {type(error).__name__}: {error} Give the `path` of a local copy, or remove the test set "
                "from `against`."
            ) from None


@dataclass(frozen=True)
class Decontamination:
    """Options of [`decontaminate`].

    Args:
        against (`tuple[TestSet, ...]`): the evaluations. If empty, nothing is dropped.
        ngram_size (`int`, defaults to 8, as in the paper): how many consecutive words have to be shared.
        min_share (`float`, defaults to 0, as in the paper): the share of a test question's n-grams that a question has
            to contain to be dropped. At 0, one n-gram is enough, even a stock phrase: 94 of 912 questions of the
            published s1K share eight words with AIME24 or MATH500, mostly "where $m$ and $n$ are relatively prime
            positive".
    """

    against: tuple[TestSet, ...] = ()
    ngram_size: int = 8
    min_share: float = 0.0

    def __post_init__(self) -> None:
        if self.ngram_size < 1:
            raise ValueError(f"`ngram_size` has to be 1 or more words, but is {self.ngram_size}.")
        if not 0 <= self.min_share <= 1:
            raise ValueError(f"`min_share` has to be from 0 to 1, but is {self.min_share}.")
        names = [test.name for test in self.against]
        if len(set(names)) < len(names):
            raise ValueError(f"The names in `against` have to differ, but are {', '.join(names)}.")


def decontaminate(dataset: Dataset, options: Decontamination, *, num_proc: int | None = None) -> Stage:
    """Drop questions that share `ngram_size` consecutive words with a test question (rule `test_question`).

    Words are compared as in [`s1_hf.curate.text.words`]: lower-cased, punctuation included. Paraphrases, translations
    and versions with other numbers are not found. The detail of a drop names the test question with the largest share
    of its n-grams in the question, that share, and the first shared n-gram.

    Args:
        dataset: needs a column `question`.
        num_proc (`int`, *optional*): number of processes.

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
    ...     stage = decontaminate(pool, Decontamination((TestSet("mine", str(test)),), ngram_size=4))
    >>> stage.rows, stage.drops[0].detail
    ((0,), "'find all primes below' is in mine, question 0 (share 1.00)")

    ```
    """
    tests, notes = _read(options)
    if not tests:
        return stage("decontaminate", len(dataset), (), ["no test sets were given"])
    hits = column(dataset, _find_test_questions, ["question"], num_proc, tests=tests, options=options)
    drops = [Drop(row, "test_question", hit) for row, hit in enumerate(hits) if hit]
    return stage("decontaminate", len(dataset), drops, notes)


def _read(options: Decontamination) -> tuple[list[tuple[str, list[str]]], list[str]]:
    """The name and n-grams of every test question, and a note on each test set."""
    tests: list[tuple[str, list[str]]] = []
    notes = []
    for test in options.against:
        questions = test.questions()
        notes.append(f"{test.name}: {test.path}, questions: {len(questions):,}")
        tests += [
            (f"{test.name}, question {number}", list(dict.fromkeys(ngrams(question, options.ngram_size))))
            for number, question in enumerate(questions)
        ]
    return tests, notes


def _find_test_questions(
    questions: list[str | None], tests: list[tuple[str, list[str]]], options: Decontamination
) -> list[str]:
    where: dict[str, list[int]] = {}
    for number, (_, grams) in enumerate(tests):
        for gram in grams:
            where.setdefault(gram, []).append(number)
    return [_hit(question or "", tests, where, options) for question in questions]


def _hit(
    question: str, tests: list[tuple[str, list[str]]], where: dict[str, list[int]], options: Decontamination
) -> str:
    shared: dict[int, list[str]] = {}
    for gram in dict.fromkeys(ngrams(question, options.ngram_size)):
        for number in where.get(gram, ()):
            shared.setdefault(number, []).append(gram)
    if not shared:
        return ""
    share, number = max((len(grams) / len(tests[number][1]), -number) for number, grams in shared.items())
    name = tests[-number][0]
    return f"{shared[-number][0]!r} is in {name} (share {share:.2f})" if share >= options.min_share else ""
