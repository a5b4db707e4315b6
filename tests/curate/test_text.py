"""Words, n-grams and hashes of texts."""

import pytest

pytest.importorskip("datasets")

from s1_hf.curate.text import excerpt, key, ngrams, number, trace_text, words


def test_words_are_lower_cased_and_keep_their_punctuation():
    assert words(" Find\t$X$,\nplease. ") == ["find", "$x$,", "please."]


def test_ngrams_are_all_runs_of_words():
    assert ngrams("a b c d", 3) == ["a b c", "b c d"]


def test_a_text_of_exactly_the_size_or_fewer_words_is_one_ngram():
    assert ngrams("a b c", 3) == ["a b c"] and ngrams("a b", 3) == ["a b"] and ngrams(" ", 3) == []


def test_numbers_fit_into_a_signed_column_and_are_the_same_on_every_machine():
    assert number("one") == 1907677779445091044
    assert all(0 <= number(str(n)) < 2**63 for n in range(1000))


def test_keys_tell_apart_where_one_text_ends_and_whether_it_is_missing():
    found = [key("ab", "c"), key("a", "bc"), key("abc"), key("", None), key(None, "")]
    assert len(set(found)) == len(found) and all(len(one) == 32 for one in found)


def test_texts_that_are_not_valid_unicode_have_keys():
    assert key("\ud800") != key("\ud801") and number("\ud800") != number("\ud801")


def test_a_trace_of_several_texts_is_joined_by_line_breaks():
    assert trace_text(["a", None, "b"]) == "a\n\nb"
    assert trace_text("a") == "a" and trace_text(None) == trace_text([]) == ""


@pytest.mark.parametrize(("length", "shown"), [(5, "a b c"), (4, "a...")])
def test_an_excerpt_is_one_line_of_at_most_the_length(length, shown):
    assert excerpt("a\n b  c", length) == shown
