"""pass@k, against all choices of k samples."""

from itertools import combinations

import pytest

from s1_hf.metrics import accuracy, pass_at_k

RIGHT = [[1, 0, 0, 1, 0], [0, 0, 0, 0, 0], [1, 1, 0, 1, 1]]


@pytest.mark.parametrize("k", [1, 2, 3, 4, 5])
def test_it_is_the_mean_over_all_choices_of_k_samples(k):
    choices = list(combinations(range(5), k))
    passed = [any(row[i] for i in chosen) for row in RIGHT for chosen in choices]
    assert pass_at_k(RIGHT, k) == pytest.approx(100 * sum(passed) / len(passed))


def test_of_one_sample_it_is_the_accuracy_and_of_all_the_share_solved():
    assert pass_at_k(RIGHT, 1) == pytest.approx(accuracy(RIGHT))
    assert pass_at_k(RIGHT, 5) == pytest.approx(100 * 2 / 3)
    assert pass_at_k([True, False], 1) == 50


def test_hundreds_of_samples_are_exact():
    assert 0 < pass_at_k([[1] + [0] * 999], 500) == pytest.approx(50)


@pytest.mark.parametrize(
    ("k", "message"), [(6, "at most the number of samples, 5, but is 6"), (0, "`k` has"), (1.5, "`k` has")]
)
def test_what_cannot_be_estimated_is_refused(k, message):
    with pytest.raises(ValueError, match=message):
        pass_at_k(RIGHT, k)
