"""Delimiters in a stream of tokens: found however they are spelled, with the tokens that belong to them counted."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from s1_hf.forcing.search import DelimiterSearch, Pattern
from s1_hf.forcing.vocabulary import Vocabulary

TEXTS = ("<", "/", "t", ">", "</", "a", "t>", ">\n", "</t>", "b<", None, "><")
VOCABULARY = Vocabulary(texts=TEXTS, single={}, special=frozenset())


def search_for(*patterns: Pattern) -> DelimiterSearch:
    return DelimiterSearch(list(patterns), VOCABULARY)


def follow(search: DelimiterSearch, tokens: Sequence[str]) -> list[tuple[bool, int, int, str]]:
    """Found, keeps, begins and tail of each token's move; a token without one leads back to the beginning."""
    state, seen = 0, []
    for token in tokens:
        move = search.moves_from(state).get(TEXTS.index(token))
        state = 0 if move is None else move.state
        seen.append((False, 0, 0, "") if move is None else (move.found, move.keeps, move.begins, move.tail))
    return seen


@pytest.mark.parametrize(
    "tokens", [["<", "/", "t", ">"], ["</", "t>"], ["</t>"], ["</", "t", ">"], ["<", "</", "t>"], ["a", "</t>"]]
)
def test_a_text_is_found_in_whatever_tokens_it_is_spelled(tokens):
    found = [found for found, *_ in follow(search_for("</t>"), tokens)]
    assert found == [False] * (len(tokens) - 1) + [True]


@pytest.mark.parametrize("tokens", [["</", "a", "t>"], ["<", "t", ">"], ["t>"], ["</", "t"]])
def test_a_text_that_is_interrupted_is_not_found(tokens):
    assert not any(found for found, *_ in follow(search_for("</t>"), tokens))


def test_the_tokens_of_a_match_are_counted():
    """The first begins it, the others keep it; one that begins before the pattern is no part of it."""
    assert [move[1:3] for move in follow(search_for("</t>"), ["</", "t", ">"])] == [(0, 1), (1, 1), (1, 1)]
    assert follow(search_for("<t>"), ["b<", "t>"])[0][1:3] == (0, 0)


def test_a_match_that_starts_over_counts_from_there():
    """`<` `</`: the second token begins the delimiter, the first turns out to be text."""
    assert [move[1:3] for move in follow(search_for("</t>"), ["<", "</"])] == [(0, 1), (0, 1)]


def test_what_a_token_holds_after_the_pattern_is_its_tail():
    assert follow(search_for("</t>"), ["</", "t", ">\n"])[-1] == (True, 1, 1, "\n")
    assert follow(search_for("<t>"), ["<", "t", "><"])[-1][3] == "<"


def test_a_tail_may_begin_another_match():
    search = search_for("</t>")
    assert search.prefixes[search.after("ab</")] == "</"
    assert search.prefixes[search.after("a<")] == "<"
    assert search.after("ab") == search.after("") == 0


def test_ids_are_found_in_their_order_alone():
    search = search_for((7, 8, 7, 9))
    state = 0
    for token in (7, 8, 7, 8, 7):  # the second 8 takes the match back to 7, 8
        state = search.moves_from(state)[token].state
    assert search.prefixes[state] == (7, 8, 7)
    assert search.moves_from(state)[9].found
    assert search.moves_from(state)[9].begins == 4
    assert 9 not in search.moves_from(0)


def test_any_of_several_patterns_is_found():
    search = search_for("<t>", "</t>")
    assert follow(search, ["<", "t>"])[-1][0] and follow(search, ["<", "/", "t>"])[-1][0]


def test_without_patterns_nothing_is_found():
    search = search_for()
    assert (search.size, search.moves) == (1, {})


@pytest.mark.parametrize(("state", "rest"), [("", "</t>"), ("<", "/t>"), ("</t", ">")])
def test_the_rest_of_a_pattern_is_what_is_missing(state, rest):
    search = search_for("</t>")
    assert search.rest(search.prefixes.index(state)) == rest
