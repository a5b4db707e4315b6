"""The same on the real chat templates, where they are present, and what is said of models that do not think."""

from __future__ import annotations

from pathlib import Path

import pytest
from family_rows import BOS
from real_templates import FAMILIES, IN_TRL, LEFT_OUT, NO_THINKING, REAL, real_row
from rendered import asked_prompts, assert_stands, begun_prompts, told_prompts

from s1_hf import ThinkingFormat
from shared_data import SHARED, needs_shared
from toys import byte_tokenizer


def check(path, name, modes):
    """One template: what is detected, its headers, and where its prompts stand."""
    row = real_row(path, name, modes)
    _, fmt, _ = row.setting()
    assert (fmt.name, fmt.turn_text, fmt.plain) == (row.format, row.turn, row.plain)
    assert fmt.user_turn_text.startswith(row.user)
    left_out = LEFT_OUT.get(Path(path).name, ())
    assert_stands(row, asked_prompts(row, left_out))
    assert_stands(row, begun_prompts(row))
    if row.tools and "after a tool" not in left_out:
        assert_stands(row, told_prompts(row))


@needs_shared
@pytest.mark.parametrize(("path", "name", "modes"), REAL, ids=[path for path, *_ in REAL])
def test_real_prompts_stand_where_their_template_leaves_them(path, name, modes):
    check(path, name, modes)


@pytest.mark.parametrize(("path", "name", "modes"), IN_TRL, ids=[path for path, *_ in IN_TRL])
def test_prompts_of_trls_templates_do_too(path, name, modes):
    check(path, name, modes)


@needs_shared
@pytest.mark.parametrize("name", NO_THINKING)
def test_a_model_that_does_not_think_is_taken_for_no_family(name):
    """The error says that nothing was found, and what to say instead."""
    tokens = NO_THINKING[name]
    bos = next((token for token in tokens if token in BOS | {"<|begin_of_text|>"}), None)
    template = (SHARED / FAMILIES / f"{name}.jinja").read_text(encoding="utf-8")
    tokenizer = byte_tokenizer(tokens, eos=tokens[1], template=template, bos_token=bos)
    with pytest.raises(ValueError, match="could not be detected: this tokenizer has the delimiters of none"):
        ThinkingFormat.from_tokenizer(tokenizer)


@needs_shared
def test_every_real_template_is_spoken_for():
    """A template that is added to the folder has to be put into one of the lists."""
    known = {Path(path).name for path, *_ in REAL} | set(NO_THINKING)
    assert {path.stem for path in (SHARED / FAMILIES).glob("*.jinja")} == known
