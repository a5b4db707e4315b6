"""What each method selects, and the laws of those that draw."""

from collections import Counter
from fractions import Fraction
from itertools import pairwise

import pytest

pytest.importorskip("datasets")
pytest.importorskip("scipy")

from curation_pools import pool, random_pool
from laws import fits

from s1_hf.curate import (
    Benchmark,
    Diversity,
    Trusted,
    assign_domains,
    select,
)
from s1_hf.curate.draws import Draws
from s1_hf.curate.selection import _METHODS, _benchmark_weights, _Rows


def two_draws():
    """The law of the set drawn by Algorithm 1: A has rows 0, 1, 2 of 30, 20, 10 tokens, B has row 3; n = 2.

    A domain of the two, then in it by 2^-rank; an empty domain leaves.
    """
    law = Counter()
    first = {0: Fraction(4, 14), 1: Fraction(2, 14), 2: Fraction(1, 14)}
    for row, chance in first.items():
        others = sorted({0, 1, 2} - {row})
        law[frozenset({row, 3})] += chance / 2
        law[frozenset({row, others[0]})] += chance / 2 * Fraction(2, 3)
        law[frozenset({row, others[1]})] += chance / 2 * Fraction(1, 3)
    for row, chance in first.items():  # B first: only A is left
        law[frozenset({3, row})] += Fraction(1, 2) * chance * 2
    return law


def rows(trusted=()):
    return _Rows([30, 20, 10, 5], ["A", "A", "A", "B"], ["x"] * 4, list(trusted))


def drawn(method, options, draws, **given):
    found = Counter()
    for seed in range(draws):
        made = rows(**given)
        _METHODS[method](made, options, Draws(seed), 4)
        found[frozenset(made.chosen)] += 1
    return found


def test_algorithm_1_draws_by_its_law():
    found = drawn("algorithm_1", Diversity(n=2), 4_000)
    assert fits(found, {outcome: chance for outcome, chance in two_draws().items()}, 4_000)


def test_diverse_draws_rows_of_a_domain_with_equal_probability():
    law = {frozenset({row}): Fraction(1, 6) for row in range(3)} | {frozenset({3}): Fraction(1, 2)}
    assert fits(drawn("diverse", Diversity("diverse", 1), 3_000), law, 3_000)


def test_random_draws_rows_with_equal_probability():
    law = {frozenset({row}): Fraction(1, 4) for row in range(4)}
    assert fits(drawn("random", Diversity("random", 1), 3_000), law, 3_000)


def test_a_trusted_row_stays_in_its_domain_and_adds_nothing_when_drawn():
    """Row 0 is trusted; n = 2. From A it is drawn with 4/7, which adds nothing; then A has 1 and 2, B has 3.

    P(3 is the other) = p solves p = 1/2 + 1/2 * 4/7 * 1/2 = 9/14; of the rest 2/3 and 1/3 fall to rows 1 and 2.
    """
    found = drawn("algorithm_1", Diversity(n=2), 4_000, trusted=[0])
    rest = Fraction(5, 14)
    law = {frozenset({0, 3}): 1 - rest, frozenset({0, 1}): rest * 2 / 3, frozenset({0, 2}): rest / 3}
    assert fits(found, law, 4_000)


def test_the_notebooks_last_rows_come_from_weighted_domains():
    """All rows weighted: A counts 3, B 1 by the first benchmark."""
    options = Diversity("notebook", 1, benchmarks=(Benchmark("x"),), uniform_share=0)
    law = {frozenset({row}): Fraction(3, 4) * Fraction(4, 7) / 2**row for row in range(3)}
    assert fits(drawn("notebook", options, 3_000), law | {frozenset({3}): Fraction(1, 4)}, 3_000)


def test_the_notebooks_first_rows_come_from_equally_likely_domains():
    options = Diversity("notebook", 1, benchmarks=(Benchmark("x"),), uniform_share=1)
    law = {frozenset({row}): Fraction(1, 2) * Fraction(4, 7) / 2**row for row in range(3)}
    assert fits(drawn("notebook", options, 3_000), law | {frozenset({3}): Fraction(1, 2)}, 3_000)


def test_benchmarks_are_scaled_to_the_first_and_truncated():
    """4 rows of AIME; 3 of GPQA, scaled by 0.5 * 4 / 3: 2 rows in B become int(1.33) = 1, 1 in C int(0.67) = 0."""
    domains, sources = ["A", "A", "A", "B", "B", "B", "C"], ["AIME"] * 4 + ["gpqa"] * 3
    options = Diversity("notebook", benchmarks=(Benchmark("AIME"), Benchmark("gpqa", 0.5)))
    weights = _benchmark_weights(_Rows([0] * 7, domains, sources, []), options)
    assert weights == {"A": 3, "B": 2, "C": 0}


def test_when_benchmark_domains_are_exhausted_the_others_are_drawn():
    options = Diversity("notebook", 3, benchmarks=(Benchmark("AIME"),), uniform_share=0)
    stage = select(lengths(3, 2, 1, source_type=["AIME", "o", "o"]), options, domains=["A", "B", "B"])
    assert stage.rows == (0, 1, 2)


def lengths(*tokens, **columns):
    made = [{"question": f"{n}?", "thinking_tokens": t} for n, t in enumerate(tokens)]
    for name, values in columns.items():
        made = [one | {name: value} for one, value in zip(made, values, strict=True)]
    return pool(*made)


def test_trusted_rows_are_all_taken():
    sources = ["AIME"] * 3 + ["MATH"] * 3
    dataset = lengths(1, 2, 3, 5601, 5600, 9000, source_type=sources, correct=[True, False, True, True, True, None])
    trusted = (Trusted("AIME"), Trusted("MATH", min_thinking_tokens=5601))
    stage = select(dataset, Diversity(n=3, trusted=trusted), domains=["d"] * 6)
    assert stage.rows == (0, 2, 3)
    assert stage.notes == ("trusted: 2 rows from AIME", "trusted: 1 rows from MATH")


def test_longest_takes_the_longest():
    assert select(lengths(5, 9, 7, 8), Diversity("longest", 2)).rows == (1, 3)


def test_equal_lengths_are_ordered_by_their_hash_and_not_by_their_place():
    texts = [f"{n}?" for n in range(20)]

    def taken(order):
        dataset = pool(*({"question": q, "thinking_tokens": 7} for q in order))
        return {dataset[row]["question"] for row in select(dataset, Diversity("longest", 5)).rows}

    assert taken(texts) == taken(texts[::-1]) != set(texts[:5])


def test_full_takes_all():
    stage = select(lengths(5, 9), Diversity("full", n=1000))
    assert stage.rows == (0, 1) and not stage.drops


@pytest.mark.parametrize("method", ["algorithm_1", "notebook", "random", "diverse", "longest"])
def test_the_order_of_the_pool_does_not_matter(method):
    dataset = random_pool(200)
    options = Diversity(
        method, 50, (Trusted("AIME", min_thinking_tokens=30),), (Benchmark("AIME"), Benchmark("gpqa", 0.5))
    )

    def taken(rows):
        domains, _ = assign_domains(rows)
        return {rows[row]["question"] for row in select(rows, options, domains=domains, seed=4).rows}

    assert taken(dataset) == taken(dataset.shuffle(1)) and len(taken(dataset)) == 50


def test_seeds_differ():
    chosen = [select(random_pool(60), Diversity("random", 20), seed=seed).rows for seed in range(4)]
    assert all(one != other for one, other in pairwise(chosen))


def test_every_other_row_is_reported_as_not_drawn():
    stage = select(lengths(5, 9, 7), Diversity("longest", 1))
    assert [(drop.row, drop.rule) for drop in stage.drops] == [(0, "not_drawn"), (2, "not_drawn")]


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (Diversity("longest", 4), "`n` has to be at most 3, the number of rows left, but is 4"),
        (Diversity("algorithm_1", 2), "`domains` has to hold one domain per row"),
        (Diversity("notebook", 2, benchmarks=(Benchmark("AIME"),)), "needs the columns source_type"),
    ],
)
def test_what_cannot_be_selected_is_refused(options, said):
    with pytest.raises(ValueError, match=said):
        select(lengths(5, 9, 7), options)


def test_more_trusted_rows_than_n_are_refused():
    with pytest.raises(ValueError, match=r"`trusted` has to match at most `n` \(1\) rows, but matches 2"):
        select(
            lengths(1, 2, source_type=["AIME"] * 2, correct=[True, True]),
            Diversity(n=1, trusted=(Trusted("AIME"),)),
            domains=["d", "d"],
        )


def test_a_missing_length_is_refused():
    with pytest.raises(ValueError, match="`thinking_tokens` is null in 1 of the rows.*tokenizer"):
        select(lengths(5, None, 7), Diversity("longest", 1))
