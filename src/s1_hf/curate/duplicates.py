"""Stage 3: drop questions that the pool already has."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from s1_hf.curate.stage import Drop, Stage, column, stage, values
from s1_hf.curate.text import key, ngrams, number, trace_text, words

if TYPE_CHECKING:
    from datasets import Dataset

    Grams = np.ndarray[Any, np.dtype[np.int64]]


@dataclass(frozen=True)
class Duplicates:
    """Options of [`deduplicate`].

    Args:
        ngram_size (`int`, defaults to 8): number of words in an n-gram.
        threshold (`float`, *optional*, defaults to 0.8): the Jaccard similarity of two questions' sets of n-grams from
            which they are near duplicates; with `None`, only equal questions are dropped.
    """

    ngram_size: int = 8
    threshold: float | None = 0.8

    def __post_init__(self) -> None:
        if self.ngram_size < 1:
            raise ValueError(f"`ngram_size` has to be 1 or more words, but is {self.ngram_size}.")
        if self.threshold is not None and not 0 < self.threshold <= 1:
            raise ValueError(
                f"`threshold` has to be more than 0 and at most 1, but is {self.threshold}. Leave it empty (null) to "
                "drop equal questions only."
            )


def deduplicate(dataset: Dataset, options: Duplicates | None = None, *, num_proc: int | None = None) -> Stage:
    """Keep one of several equal questions (rule `duplicate`), and drop near duplicates of it (`near_duplicate`).

    Questions are equal if they have the same words ([`s1_hf.curate.text.words`]). They are near duplicates if their
    sets of word n-grams have |A & B| / |A | B| >= threshold; every such pair is found, whatever else the pool repeats.
    Questions of fewer than `ngram_size` words can only be equal. Paraphrases and translations are not found, and at 0.8
    a changed number makes a question of 40 words another one (8 of its 33 n-grams change: 25 / 41 = 0.61).

    Which one stays does not depend on the order of the pool: rows are visited in the order of a hash of question, trace
    and answer, and each stays unless it duplicates one that stays.

    Args:
        dataset: needs the columns `question`, `thinking_trajectories` and `attempt`.
        num_proc (`int`, *optional*): number of processes.

    Example:

    ```python
    >>> from datasets import Dataset, disable_progress_bars
    >>> from s1_hf.curate import deduplicate
    >>> disable_progress_bars()
    >>> rows = [{"question": q, "thinking_trajectories": ["Hm."], "attempt": "2"} for q in ("1 + 1?", "1  + 1?", "2?")]
    >>> stage = deduplicate(Dataset.from_list(rows))
    >>> len(stage.rows), stage.drops[0].rule
    (2, 'duplicate')

    ```
    """
    options = options or Duplicates()
    keys = row_keys(dataset, num_proc)
    order = sorted(range(len(dataset)), key=keys.__getitem__)
    drops = _equal(values(dataset, "question"), order)
    if options.threshold is not None:
        gone = {drop.row for drop in drops}
        grams = [
            np.asarray(g, np.int64)
            for g in column(dataset, _hash_ngrams, ["question"], num_proc, size=options.ngram_size)
        ]
        drops += _near(grams, [row for row in order if row not in gone], options.threshold)
    return stage("deduplicate", len(dataset), sorted(drops, key=lambda drop: drop.row))


def row_keys(dataset: Dataset, num_proc: int | None = None) -> list[str]:
    """A hash of question, trace and answer for each row, to sort by independently of the pool's order.

    If rows share all three, like one question from two sources, a hash of all columns is appended.
    """
    inputs = ["question", "thinking_trajectories", "attempt"]
    keys = list(column(dataset, _hash_rows, inputs, num_proc))
    times = Counter(keys)
    tied = [row for row, found in enumerate(keys) if times[found] > 1]
    for row, whole in zip(tied, dataset.select(tied), strict=True):
        keys[row] += key(json.dumps(whole, sort_keys=True, default=str))
    return keys


def _hash_rows(questions: list[Any], traces: list[Any], attempts: list[Any]) -> list[str]:
    return [key(q, trace_text(t), a) for q, t, a in zip(questions, traces, attempts, strict=True)]


def _hash_ngrams(questions: list[str | None], size: int) -> list[list[int]]:
    return [sorted({number(gram) for gram in ngrams(question or "", size)}) for question in questions]


def _equal(questions: Any, order: list[int]) -> list[Drop]:
    texts = [" ".join(words(question or "")) for question in questions]
    kept: dict[str, int] = {}
    drops = []
    for row in order:
        first = kept.setdefault(texts[row], row)
        if first != row:
            drops.append(Drop(row, "duplicate", "the same words", first))
    return drops


def _near(grams: list[Grams], order: list[int], threshold: float) -> list[Drop]:
    """Prefix filtering: two sets with a similarity of `threshold` or more share at least one n-gram among the rarest
    |A| - ceil(threshold |A|) + 1 of each (Bayardo et al., 2007, https://doi.org/10.1145/1242572.1242591). Only these
    are looked up, so n-grams that the pool repeats everywhere cost nothing."""
    rarity = _Rarity([grams[row] for row in order])
    kept: dict[int, list[int]] = {}
    drops = []
    for row in order:
        mine = grams[row]
        rarest = rarity.first(mine, len(mine) - int(np.ceil(threshold * len(mine) - 1e-9)) + 1)
        others = sorted({other for gram in rarest for other in kept.get(gram, ())})
        found = next(((other, s) for other in others if (s := _jaccard(mine, grams[other])) >= threshold), None)
        if found:
            drops.append(Drop(row, "near_duplicate", f"similarity {found[1]:.2f}", found[0]))
            continue
        for gram in rarest:
            kept.setdefault(gram, []).append(row)
    return drops


class _Rarity:
    """The number of questions that contain each n-gram."""

    def __init__(self, grams: list[Grams]) -> None:
        every = np.concatenate(grams) if grams else np.zeros(0, np.int64)
        self._grams, self._counts = np.unique(every, return_counts=True)

    def first(self, grams: Grams, count: int) -> list[int]:
        """The `count` rarest, ties broken by their hash."""
        counts = self._counts[np.searchsorted(self._grams, grams)]
        return [int(gram) for gram in grams[np.lexsort((grams, counts))[:count]]]


def _jaccard(one: Grams, other: Grams) -> float:
    shared = len(np.intersect1d(one, other, assume_unique=True))
    return shared / (len(one) + len(other) - shared)
