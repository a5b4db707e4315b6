"""Where prompts stand (rule 1), for every family: the template's rendering is the truth."""

from __future__ import annotations

import pytest
from family_rows import ROWS, Row
from rendered import asked, own_texts, rendered, row_ids, tool_results

from s1_hf import ThinkingFormat
from s1_hf.forcing.families import FAMILIES
from stances import stances

BY_ROW = pytest.mark.parametrize("row", ROWS, ids=row_ids(ROWS))
TOOLS = [row for row in ROWS if row.tools]


def test_every_family_has_a_row():
    assert {row.format for row in ROWS} == set(FAMILIES)


@BY_ROW
def test_a_family_is_detected_with_its_delimiters_and_headers(row: Row):
    tokenizer = row.tokenizer()
    fmt = ThinkingFormat.from_tokenizer(tokenizer)
    family = FAMILIES[row.format]
    assert (fmt.name, fmt.start_text, fmt.close_text) == (row.format, family.start, family.close)
    assert (fmt.turn_text, fmt.user_turn_text) == (row.turn, row.user)
    assert tokenizer.convert_ids_to_tokens(list(fmt.handovers)) == list(row.handovers)
    assert fmt.plain == row.plain


@BY_ROW
def test_tags_that_are_not_the_turns_own_mean_nothing(row: Row):
    """First and later turns stand where the template leaves them, whatever was said before."""
    tokenizer, fmt, _ = row.setting()
    assert_stands(
        row,
        {
            (mode[0], name): (rendered(tokenizer, chat, mode[1]), mode[2])
            for mode in row.modes
            for name, chat in asked(fmt).items()
        },
    )


@pytest.mark.parametrize("row", TOOLS, ids=row_ids(TOOLS))
def test_after_a_tools_result_the_template_says_where_the_turn_stands(row: Row):
    tokenizer, fmt, _ = row.setting()
    assert_stands(
        row,
        {
            (mode[0], name): (rendered(tokenizer, chat, mode[1]), mode[3])
            for mode in row.modes
            for name, chat in tool_results(fmt).items()
        },
    )


@BY_ROW
def test_what_the_caller_has_begun_moves_the_prompt(row: Row):
    """An empty block, a closing tag alone, begun thoughts, a begun answer, in a second turn."""
    tokenizer, fmt, _ = row.setting()
    wanted = {}
    for mode, options, stands, _ in row.modes:
        prompt = rendered(tokenizer, asked(fmt)["thoughts beside an earlier turn"], options)
        for own, leads in own_texts(fmt, stands):
            wanted[mode, own] = prompt + own, leads
    assert_stands(row, wanted)


def assert_stands(row: Row, wanted: dict[tuple[str, str], tuple[str, str]]) -> None:
    """Of prompts by mode and chat: their texts, and where they have to stand."""
    tokenizer, fmt, _ = row.setting()
    found = stances(tokenizer, fmt, [text for text, _ in wanted.values()])
    assert dict(zip(wanted, found, strict=True)) == {name: stands for name, (_, stands) in wanted.items()}
