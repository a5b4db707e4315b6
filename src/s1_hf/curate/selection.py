"""Stage 5: select the data set from the rows that are left."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from typing import TYPE_CHECKING, Any

from s1_hf.curate.draws import Draws, scaled
from s1_hf.curate.duplicates import row_keys
from s1_hf.curate.stage import Drop, Stage, values

if TYPE_CHECKING:
    from datasets import Dataset

METHODS = ("algorithm_1", "notebook", "random", "diverse", "longest", "full")
BY_LENGTH = ("algorithm_1", "notebook", "longest")
BY_DOMAIN = ("algorithm_1", "notebook", "diverse")
AFTER_DIFFICULTY = ("algorithm_1", "notebook")


@dataclass(frozen=True)
class Trusted:
    """Rows that are selected without a draw.

    Args:
        source (`str`): a text that the row's `source_type` contains.
        correct_column (`str`, *optional*, defaults to `"correct"`): the column that has to be true; with `None`, rows
            are taken whatever their answer.
        min_thinking_tokens (`int`, defaults to 0): the length of the shortest trace that is taken.
    """

    source: str
    correct_column: str | None = "correct"
    min_thinking_tokens: int = 0

    def __post_init__(self) -> None:
        if not self.source.strip() or self.min_thinking_tokens < 0:
            raise ValueError(
                "A rule of `trusted` has to name a source, and a `min_thinking_tokens` of 0 or more, but names "
                f"{self.source!r} and {self.min_thinking_tokens}."
            )


@dataclass(frozen=True)
class Benchmark:
    """A source that weights the domains in the notebook's last draws.

    Args:
        source (`str`): a text that the row's `source_type` contains.
        weight (`float`, defaults to 1.0): its total weight relative to that of the first benchmark.
    """

    source: str
    weight: float = 1.0

    def __post_init__(self) -> None:
        if not 0 < self.weight < math.inf:
            raise ValueError(
                f"`weight` of the benchmark {self.source!r} has to be above 0 and finite, but is {self.weight}."
            )


@dataclass(frozen=True)
class Diversity:
    """Options of [`select`].

    Args:
        method (`str`, defaults to `"algorithm_1"`): see [`select`].
        n (`int`, defaults to 1000): number of rows to select; `"full"` takes all.
        trusted (`tuple[Trusted, ...]`): rows taken first; only for `"algorithm_1"` and `"notebook"`.
        benchmarks (`tuple[Benchmark, ...]`): only for `"notebook"`.
        uniform_share (`float`, defaults to 0.7): only for `"notebook"`: the share of `n` up to which domains are
            equally likely.
    """

    method: str = "algorithm_1"
    n: int = 1000
    trusted: tuple[Trusted, ...] = ()
    benchmarks: tuple[Benchmark, ...] = ()
    uniform_share: float = 0.7

    def __post_init__(self) -> None:
        rules = {
            f"`method` has to be one of {', '.join(METHODS)}, but is {self.method!r}.": self.method in METHODS,
            f"`n` has to be 1 or more, but is {self.n}.": self.n >= 1,
            f"`uniform_share` has to be from 0 to 1, but is {self.uniform_share}.": 0 <= self.uniform_share <= 1,
            "`method: notebook` needs `benchmarks`.": self.method != "notebook" or bool(self.benchmarks),
        }
        broken = [message for message, kept in rules.items() if not kept]
        if broken:
            raise ValueError("\n".join(broken))

    @property
    def needed(self) -> list[str]:
        """The columns that the method reads."""
        names = ["thinking_tokens"] if self.method in BY_LENGTH else []
        if self.method in AFTER_DIFFICULTY:
            names += ["source_type"] if self.trusted else []
            names += [rule.correct_column for rule in self.trusted if rule.correct_column]
        if self.method == "notebook":
            names.append("source_type")
        return list(dict.fromkeys(names))


@dataclass
class _Rows:
    """The rows to draw from, in an order that does not depend on the pool's."""

    lengths: list[int]
    domains: list[str]
    sources: list[str]
    trusted: list[int]
    chosen: dict[int, str] = field(default_factory=dict)  # row -> how it was chosen


def select(dataset: Dataset, options: Diversity | None = None, *, domains: Sequence[str] = (), seed: int = 0) -> Stage:
    """Select `n` rows.

    - `"algorithm_1"`: the paper's. All `trusted` rows are taken first. Then, until there are `n` rows, a domain is
      drawn uniformly, and from it a row with weight 2^-rank, where rank 0 is the longest trace. The row is removed from
      its domain, and an empty domain is removed. As in the paper and the original's notebook, a trusted row stays in
      its domain until it is drawn, and that draw adds nothing.
    - `"notebook"`: the code that made s1K. Once `uniform_share` of the `n` rows are selected, domains are weighted by
      their rows from the `benchmarks`: the counts of each benchmark are scaled to its `weight` times the total of the
      first, and truncated to integers. Once these domains are exhausted, the remaining ones are equally likely (the
      notebook fails there).
    - The paper's ablations (section 5.1), which ignore `trusted`, and which [`curate`] runs without the difficulty
      stage: `"random"` draws rows uniformly; `"diverse"` draws a domain, then a row of it, both uniformly; `"longest"`
      takes the longest traces; `"full"` takes all rows.

    The same rows and seed give the same selection on every machine and for any order of the rows: draws are made from
    PCG64's words without floating point, and ties in length are broken by a hash of question, trace and answer.

    Args:
        dataset: needs the columns of [`s1_hf.curate.duplicates.row_keys`] and `options.needed`.
        domains (`Sequence[str]`): one per row, see [`assign_domains`]; for the methods that draw a domain.
        seed (`int`, defaults to 0): random seed for all draws.

    Returns:
        [`Stage`]: its drops have the rule `not_drawn`; its notes count the rows that each rule of `trusted` took.

    Raises:
        ValueError: there are fewer than `n` rows, or more than `n` trusted ones; a column is missing, or a length is
            null.

    Example:

    ```python
    >>> from datasets import Dataset, disable_progress_bars
    >>> from s1_hf.curate import Diversity, select
    >>> disable_progress_bars()
    >>> row = {"question": "1 + 1?", "thinking_trajectories": ["Hm."], "attempt": "2"}
    >>> rows = Dataset.from_list([row | {"thinking_tokens": n} for n in range(9)])
    >>> select(rows, Diversity(method="longest", n=2)).rows
    (7, 8)

    ```
    """
    options = options or Diversity()
    total = len(dataset)
    _check(dataset, options, domains)
    if options.method == "full":
        return Stage("diversity", tuple(range(total)), (), ("all rows",))
    keys = row_keys(dataset)
    order = sorted(range(total), key=keys.__getitem__)
    rows, notes = _rows(dataset, options, [domains[row] for row in order] if domains else [], order)
    _METHODS[options.method](rows, options, Draws(seed), total)
    chosen = {order[place] for place in rows.chosen}
    drops = tuple(Drop(row, "not_drawn") for row in range(total) if row not in chosen)
    return Stage("diversity", tuple(sorted(chosen)), drops, tuple(notes))


def _check(dataset: Dataset, options: Diversity, domains: Sequence[str]) -> None:
    missing = [name for name in options.needed if name not in dataset.column_names]
    if missing:
        raise ValueError(f"`method: {options.method}` needs the columns {', '.join(missing)}, which the pool lacks.")
    if options.method in BY_DOMAIN and len(domains) != len(dataset):
        raise ValueError(f"`domains` has to hold one domain per row ({len(dataset):,}), but holds {len(domains):,}.")
    if not len(dataset):
        raise ValueError("No rows are left to select from: the earlier stages dropped them all.")
    if options.method != "full" and len(dataset) < options.n:
        raise ValueError(
            f"`n` has to be at most {len(dataset):,}, the number of rows left, but is {options.n:,}. Lower `n`, or use "
            "a larger pool."
        )


def _rows(dataset: Dataset, options: Diversity, domains: list[str], order: list[int]) -> tuple[_Rows, list[str]]:
    def ordered(name: str) -> list[Any]:
        found = values(dataset, name)
        return [found[row] for row in order]

    lengths = ordered("thinking_tokens") if options.method in BY_LENGTH else [0] * len(order)
    if any(length is None for length in lengths):
        raise ValueError(
            f"`thinking_tokens` is null in {sum(length is None for length in lengths):,} of the rows left. Set a "
            "`tokenizer`, and all traces are measured."
        )
    sources = [source or "" for source in ordered("source_type")] if "source_type" in options.needed else []
    rows = _Rows(lengths, domains, sources, [])
    notes = []
    for rule in options.trusted if options.method in AFTER_DIFFICULTY else ():
        right = ordered(rule.correct_column) if rule.correct_column else [True] * len(order)
        met = [
            place
            for place, source in enumerate(sources)
            if rule.source in source and right[place] and lengths[place] >= rule.min_thinking_tokens
        ]
        notes.append(f"trusted: {len(met):,} rows from {rule.source}")
        rows.trusted += met
    return rows, notes


def _algorithm_1(rows: _Rows, options: Diversity, draws: Draws, total: int) -> None:
    _draw_domains(rows, options, draws, until=options.n)


def _notebook(rows: _Rows, options: Diversity, draws: Draws, total: int) -> None:
    uniform = int(options.n * Fraction(str(options.uniform_share)))
    _draw_domains(rows, options, draws, until=uniform, weights=_benchmark_weights(rows, options))


def _draw_domains(
    rows: _Rows, options: Diversity, draws: Draws, *, until: int, weights: dict[str, int] | None = None
) -> None:
    """Draw from equally likely domains up to `until` rows, then from weighted ones."""
    _take_trusted(rows, options)
    left = _by_domain(rows, longest_first=True)
    while len(rows.chosen) < options.n:
        names = sorted(left)
        weighed = [(weights or {}).get(name, 0) for name in names]
        if len(rows.chosen) < until or not any(weighed):
            name = names[draws.below(len(names))]
        else:
            name = names[draws.weighted(weighed)]
        row = left[name].pop(draws.halving(len(left[name])))
        rows.chosen.setdefault(row, "drawn")
        if not left[name]:
            del left[name]


def _take_trusted(rows: _Rows, options: Diversity) -> None:
    rows.chosen.update((row, "trusted") for row in rows.trusted)
    if len(rows.chosen) > options.n:
        raise ValueError(
            f"`trusted` has to match at most `n` ({options.n:,}) rows, but matches {len(rows.chosen):,}. Raise `n`, or "
            "trust fewer sources or only longer traces."
        )


def _benchmark_weights(rows: _Rows, options: Diversity) -> dict[str, int]:
    counts = [
        Counter(domain for domain, source in zip(rows.domains, rows.sources, strict=True) if benchmark.source in source)
        for benchmark in options.benchmarks
    ]
    empty = [b.source for b, count in zip(options.benchmarks, counts, strict=True) if not count]
    if empty:
        raise ValueError(
            f"`benchmarks` has to name sources of the rows left, but no row is from {', '.join(empty)}. Remove those "
            "benchmarks, or use another pool."
        )
    first = counts[0].total()
    weights: Counter[str] = Counter()
    for benchmark, count in zip(options.benchmarks, counts, strict=True):
        ratio = Fraction(str(benchmark.weight)) * first / count.total()
        weights.update({domain: scaled(times, ratio) for domain, times in count.items()})
    return dict(weights)


def _random(rows: _Rows, options: Diversity, draws: Draws, total: int) -> None:
    rows.chosen.update((row, "drawn") for row in draws.sample(total, options.n))


def _diverse(rows: _Rows, options: Diversity, draws: Draws, total: int) -> None:
    left = _by_domain(rows, longest_first=False)
    while len(rows.chosen) < options.n:
        names = sorted(left)
        name = names[draws.below(len(names))]
        rows.chosen[left[name].pop(draws.below(len(left[name])))] = "drawn"
        if not left[name]:
            del left[name]


def _longest(rows: _Rows, options: Diversity, draws: Draws, total: int) -> None:
    ranked = sorted(range(total), key=lambda row: -rows.lengths[row])
    rows.chosen.update((row, "longest") for row in ranked[: options.n])


def _by_domain(rows: _Rows, *, longest_first: bool) -> dict[str, list[int]]:
    left: dict[str, list[int]] = {}
    for row, domain in enumerate(rows.domains):
        left.setdefault(domain, []).append(row)
    if longest_first:
        for members in left.values():
            members.sort(key=lambda row: -rows.lengths[row])
    return left


_METHODS: dict[str, Callable[[_Rows, Diversity, Draws, int], None]] = {
    "algorithm_1": _algorithm_1,
    "notebook": _notebook,
    "random": _random,
    "diverse": _diverse,
    "longest": _longest,
}
