"""One of equal and nearly equal questions stays, whatever the order of the pool."""

import random

import pytest

pytest.importorskip("datasets")

from curation_pools import pool

from s1_hf.curate import Duplicates, deduplicate
from s1_hf.curate.text import ngrams


def texts(count):
    return " ".join(f"word{number}" for number in range(count))


def test_equal_words_are_duplicates():
    stage = deduplicate(pool({"question": "Find X."}, {"question": "find  x."}, {"question": "find x"}))
    assert len(stage.rows) == 2 and 2 in stage.rows
    (drop,) = stage.drops
    assert (drop.rule, {drop.row, drop.of}) == ("duplicate", {0, 1})


@pytest.mark.parametrize(("words", "near"), [(39, False), (40, True)])
def test_near_duplicates_begin_at_the_threshold(words, near):
    """Only the last of w words differs: w - 7 n-grams each, all but one shared: (w - 8) / (w - 6); 32 / 34 = 0.941."""
    rows = pool({"question": texts(words)}, {"question": texts(words - 1) + " other"})
    drops = deduplicate(rows, Duplicates(threshold=32 / 34)).drops
    assert [drop.rule for drop in drops] == ["near_duplicate"] * near


def test_without_a_threshold_only_equal_questions_are():
    assert not deduplicate(
        pool({"question": texts(99)}, {"question": texts(99) + " a"}), Duplicates(threshold=None)
    ).drops


def test_every_near_duplicate_is_found():
    """Compared with all pairs, on texts made of few words, whose n-grams repeat everywhere."""
    rng = random.Random(0)
    questions = [" ".join(rng.choices("abc", k=rng.randint(3, 12))) for _ in range(150)]
    stage = deduplicate(pool(*({"question": q} for q in dict.fromkeys(questions))), Duplicates(2, 0.6))
    grams = [set(ngrams(q, 2)) for q in dict.fromkeys(questions)]

    def similarity(a, b):
        return len(grams[a] & grams[b]) / len(grams[a] | grams[b])

    assert all(similarity(a, b) < 0.6 for a in stage.rows for b in stage.rows if a != b)
    assert all(similarity(drop.row, drop.of) >= 0.6 and drop.of in stage.rows for drop in stage.drops)
    assert stage.drops and len(stage.rows) > 10


def test_of_rows_that_differ_only_in_their_source_the_same_stays_in_any_order():
    """The hashes of question, trace and answer are then equal. No false alarms: the order of hashes is fixed."""
    rows = [{"question": f"{n} + 1?", "source_type": source} for n in range(20) for source in ("aime", "numina")]

    def sources(order):
        found = pool(*order)
        return {(found[row]["question"], found[row]["source_type"]) for row in deduplicate(found).rows}

    assert len(sources(rows)) == 20
    assert sources(rows) == sources(rows[::-1]) == sources(random.Random(0).sample(rows, 40))


def test_the_order_of_the_pool_does_not_matter():
    questions = [texts(20 + n // 4) + " end" * (n % 2) for n in range(40)]
    rows = [{"question": q, "attempt": str(n)} for n, q in enumerate(questions)]
    mixed = random.Random(0).sample(rows, 40)

    def kept(order):
        dataset = pool(*order)
        return {dataset[row]["attempt"] for row in deduplicate(dataset).rows}

    assert kept(rows) == kept(mixed) and 1 < len(kept(rows)) < 40


@pytest.mark.parametrize("threshold", [0, 1.1, -1])
def test_a_threshold_out_of_range_is_refused(threshold):
    with pytest.raises(ValueError, match="`threshold` has to be more than 0 and at most 1"):
        Duplicates(threshold=threshold)
