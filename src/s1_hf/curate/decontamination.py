"""Stage 1: drop questions that share text with the test questions of an evaluation.

There are two ways to compare. `paper` is the paper's: eight consecutive words, as they are written. `normalized`
compares what is asked, however it is spelt ([`s1_hf.curate.wording`]), and finds short questions too.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from s1_hf._lazy import require
from s1_hf.curate.stage import Drop, Stage, column, stage
from s1_hf.curate.text import ngrams, runs
from s1_hf.curate.wording import Wording, wording
from s1_hf.finding import in_package

if TYPE_CHECKING:
    from datasets import Dataset

_MIN_SHARE = {"paper": 0.0, "normalized": 0.5}
WAYS = tuple(_MIN_SHARE)
_SHOWN = 5  # rows that only the other way drops


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
        min_share (`float`, *optional*): the share of a test question's n-grams that a question has to contain to be
            dropped; by default 0 for `"paper"`, as there, and 0.5 for `"normalized"`. At 0, one n-gram is enough, even
            a stock phrase: 94 of 912 questions of the published s1K share eight words with AIME24 or MATH500, mostly
            "where $m$ and $n$ are relatively prime positive".
        compare (`str`, defaults to `"paper"`): `"paper"` or `"normalized"`, see [`decontaminate`].
    """

    against: tuple[TestSet, ...] = ()
    ngram_size: int = 8
    min_share: float | None = None
    compare: str = "paper"

    def __post_init__(self) -> None:
        if self.compare not in WAYS:
            raise ValueError(f"`compare` has to be one of {', '.join(WAYS)}, but is {self.compare!r}.")
        if self.ngram_size < 1:
            raise ValueError(f"`ngram_size` has to be 1 or more words, but is {self.ngram_size}.")
        if not 0 <= self.share <= 1:
            raise ValueError(f"`min_share` has to be from 0 to 1, but is {self.min_share}.")
        names = [test.name for test in self.against]
        if len(set(names)) < len(names):
            raise ValueError(f"The names in `against` have to differ, but are {', '.join(names)}.")

    @property
    def share(self) -> float:
        """`min_share`, as it was given or by default."""
        return _MIN_SHARE[self.compare] if self.min_share is None else self.min_share


def decontaminate(dataset: Dataset, options: Decontamination, *, num_proc: int | None = None) -> Stage:
    """Drop questions that share text with a test question (rule `test_question`).

    - `"paper"`: they share `ngram_size` consecutive words, compared as in [`s1_hf.curate.text.words`]: lower-cased,
      punctuation included. A test question that is shorter is found only where it is the whole question.
    - `"normalized"`: they share `min_share` of the test question's runs of `ngram_size` words, numbers and signs, and
      all of its numbers; case, punctuation, and the spelling of formulas do not count ([`s1_hf.curate.wording`]). A
      test question that is shorter has to be there whole; in front of it and behind it stand other sentences, or only
      words, such as an instruction.

    Paraphrases and translations are not found, nor, by `"normalized"`, versions with other numbers. The detail of a
    drop names the test question with the largest share of its n-grams in the question, that share, and the first shared
    n-gram. A note says what the other way would drop.

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
    other = replace(options, compare=next(way for way in WAYS if way != options.compare), min_share=None)
    hits, others = (
        column(dataset, _FINDERS[one.compare], ["question"], num_proc, tests=tests, options=one)
        for one in (options, other)
    )
    drops = [Drop(row, "test_question", hit) for row, hit in enumerate(hits) if hit]
    only = [row for row, (hit, found) in enumerate(zip(hits, others, strict=True)) if found and not hit]
    return stage(
        "decontaminate", len(dataset), drops, [*notes, _beside(len(drops), sum(map(bool, others)), only, other)]
    )


def _beside(dropped: int, by_other: int, only: list[int], other: Decontamination) -> str:
    """What the other way of comparing would drop."""
    rows = ", ".join(f"{row:,}" for row in only[:_SHOWN]) + (" and more" if len(only) > _SHOWN else "")
    which = f"{len(only):,} that stay here (rows {rows})" if only else "none that stays here"
    return f"{dropped:,} dropped; `compare: {other.compare}` would drop {by_other:,}, {which}"


def _read(options: Decontamination) -> tuple[tuple[tuple[str, str], ...], list[str]]:
    """The name and text of every test question, and a note on each test set."""
    tests: list[tuple[str, str]] = []
    notes = []
    for test in options.against:
        questions = test.questions()
        notes.append(f"{test.name}: {test.path}, questions: {len(questions):,}")
        tests += [(f"{test.name}, question {number}", question) for number, question in enumerate(questions)]
    return tuple(tests), notes


def _find_test_questions(
    questions: list[str | None], tests: tuple[tuple[str, str], ...], options: Decontamination
) -> list[str]:
    index = _by_words(tests, options.ngram_size)
    return [index.hit(ngrams(question or "", options.ngram_size), options.share) for question in questions]


def _find_wordings(
    questions: list[str | None], tests: tuple[tuple[str, str], ...], options: Decontamination
) -> list[str]:
    long, short = _by_wording(tests, options.ngram_size)
    hits = []
    for question in questions:
        found = wording(question or "")
        hits.append(long.hit(found, options.share) or short.hit(found))
    return hits


@lru_cache(maxsize=1)
def _by_words(tests: tuple[tuple[str, str], ...], size: int) -> _Index:
    """Made once, and not for every batch of questions."""
    return _Index((name, ngrams(text, size)) for name, text in tests)


@lru_cache(maxsize=1)
def _by_wording(tests: tuple[tuple[str, str], ...], size: int) -> tuple[_Long, _Short]:
    read = [(name, wording(text)) for name, text in tests]
    long = [test for test in read if len(test[1].tokens) >= size]
    short = [(name, test.tokens) for name, test in read if 0 < len(test.tokens) < size]
    return _Long(long, size), _Short(short)


class _Index:
    """Test questions by their n-grams."""

    def __init__(self, tests: Iterable[tuple[str, list[str]]]) -> None:
        self._names: list[str] = []
        self._sizes: list[int] = []
        self._where: dict[str, list[int]] = {}
        for number, (name, grams) in enumerate(tests):
            different = dict.fromkeys(grams)
            self._names.append(name)
            self._sizes.append(len(different))
            for gram in different:
                self._where.setdefault(gram, []).append(number)

    def hit(self, grams: Iterable[str], min_share: float, accepts: Callable[[int], bool] | None = None) -> str:
        """The test question with the largest share of its n-grams in these, in words; empty if that is too small."""
        shared: dict[int, list[str]] = {}
        for gram in dict.fromkeys(grams):
            for number in self._where.get(gram, ()):
                shared.setdefault(number, []).append(gram)
        shares = [(len(found) / self._sizes[number], -number) for number, found in shared.items()]
        share, number = max((one for one in shares if accepts is None or accepts(-one[1])), default=(-1.0, 0))
        if share < min_share:
            return ""
        return f"{shared[-number][0]!r} is in {self._names[-number]} (share {share:.2f})"


class _Long:
    """Test questions of as many words, numbers and signs as an n-gram has, or more."""

    def __init__(self, tests: Sequence[tuple[str, Wording]], size: int) -> None:
        self._size = size
        self._numbers = [test.numbers for _, test in tests]
        self._index = _Index((name, runs(test.tokens, size)) for name, test in tests)

    def hit(self, question: Wording, min_share: float) -> str:
        """As that of the index, among test questions whose numbers all are in the question."""

        def has_numbers(test: int) -> bool:
            return self._numbers[test] <= question.numbers

        return self._index.hit(runs(question.tokens, self._size), min_share, has_numbers)


class _Short:
    """Test questions of fewer words than an n-gram has, by their first two."""

    def __init__(self, tests: Iterable[tuple[str, list[str]]]) -> None:
        self._tests: dict[tuple[str, str], list[tuple[str, list[str]]]] = {}
        for name, tokens in tests:
            first, second = [*tokens, ""][:2]
            self._tests.setdefault((first, second), []).append((name, tokens))

    def hit(self, question: Wording) -> str:
        """The first of them that stands in the question on its own, in words; or nothing."""
        tokens = question.tokens
        for begin, pair in enumerate(zip(tokens, (*tokens[1:], ""), strict=False)):
            for name, test in self._tests.get(pair, ()):
                end = begin + len(test)
                if tokens[begin:end] == test and question.stands_alone(begin, end):
                    return f"{' '.join(test)!r} is {name}"
        return ""


_FINDERS: dict[str, Callable[..., list[str]]] = {"paper": _find_test_questions, "normalized": _find_wordings}
