"""Where prompts stand (rule 1), for every family: the template's rendering is the truth."""

from __future__ import annotations

import pytest
from family_rows import INVENTED, ROWS, Row
from rendered import asked_prompts, assert_stands, begun_prompts, row_ids, told_prompts

from s1_hf import ThinkingFormat
from s1_hf.forcing.families import FAMILIES

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
    assert_stands(row, asked_prompts(row))


@pytest.mark.parametrize("row", TOOLS, ids=row_ids(TOOLS))
def test_after_a_tools_result_the_template_says_where_the_turn_stands(row: Row):
    assert_stands(row, told_prompts(row))


@BY_ROW
def test_what_the_caller_has_begun_moves_the_prompt(row: Row):
    """An empty block, a closing tag alone, begun thoughts, a begun answer, in a second turn."""
    assert_stands(row, begun_prompts(row))


@pytest.mark.parametrize("row", INVENTED, ids=row_ids(INVENTED))
def test_a_family_that_nobody_knows_is_refused_by_the_names_of_its_tags(row: Row):
    with pytest.raises(ValueError, match="could not be detected") as error:
        ThinkingFormat.from_tokenizer(row.tokenizer())
    assert f"start={row.family.start!r}, close={row.family.close!r}" in str(error.value)


@pytest.mark.parametrize("row", INVENTED, ids=row_ids(INVENTED))
def test_once_its_tags_are_said_its_prompts_stand_where_they_do(row: Row):
    assert_stands(row, asked_prompts(row) | told_prompts(row))
    assert_stands(row, begun_prompts(row))
