"""Delimiters in a stream of tokens: found however they are spelled, with the tokens that belong to them counted."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from s1_hf.forcing.search import DelimiterSearch, find_delimiter
from s1_hf.forcing.spelling import Spelling

TEXTS = ("<", "/", "t", ">", "</", "a", "t>", ">\n", "</t>", "b<", None, "><")
SPELLING = Spelling(TEXTS)


def search_for(*patterns: str) -> DelimiterSearch:
    return DelimiterSearch(list(patterns), SPELLING)


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


WHOLE = Spelling(("<|a|>", "think", "thi", "nk", "thinking", "think\n", "<", "|a|>", "think."), [0])


@pytest.mark.parametrize(
    ("tokens", "tail"),
    [(["think"], ""), (["thi", "nk"], ""), (["think\n"], "\n"), (["think."], "."), (["thinking"], None)],
)
def test_a_word_behind_a_special_token_is_found_however_it_is_spelled(tokens, tail):
    """But not where the token goes on with the word."""
    search = DelimiterSearch([WHOLE.text_of([0, 1])], WHOLE)
    state, move = search.moves_from(0)[0].state, None
    for token in tokens:
        move = search.moves_from(state).get(WHOLE.symbols.index(token))
        state = move.state if move else 0
    assert (move.tail if move and move.found else None) == tail


def test_a_special_token_is_nothing_but_itself():
    """Plain tokens that spell its text are not taken for it."""
    search = DelimiterSearch([WHOLE.text_of([0])], WHOLE)
    assert list(search.moves_from(0)) == [0]
    assert find_delimiter(WHOLE.text_of([6, 7, 1]), WHOLE.text_of([0])) == -1


@pytest.mark.parametrize(("last", "boundaries", "at"), [(False, (), 9), (True, (), 9), (True, {6}, 9), (False, {6}, 0)])
def test_a_word_ends_where_its_token_does(last, boundaries, at):
    text = WHOLE.text_of([0, 1]) + "ing, " + WHOLE.text_of([0, 1])
    assert find_delimiter(text, WHOLE.text_of([0, 1]), last, boundaries) == at + (2 if at else 0)


def test_any_of_several_patterns_is_found():
    search = search_for("<t>", "</t>")
    assert follow(search, ["<", "t>"])[-1][0] and follow(search, ["<", "/", "t>"])[-1][0]


def test_without_patterns_nothing_is_found():
    search = search_for()
    assert (search.size, search.moves_from(0)) == (1, {})


@pytest.mark.parametrize(("state", "rest"), [("", "</t>"), ("<", "/t>"), ("</t", ">")])
def test_the_rest_of_a_pattern_is_what_is_missing(state, rest):
    search = search_for("</t>")
    assert search.rest(search.prefixes.index(state)) == rest
