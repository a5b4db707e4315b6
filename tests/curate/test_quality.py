"""Each rule of quality meets what it says and nothing else."""

import pytest

pytest.importorskip("datasets")

from curation_pools import pool

from s1_hf.curate import Quality, check_quality
from s1_hf.curate.quality import RULES

MEETS = {
    "error": [{"error": "429 Too Many Requests"}, {"ended": "error"}],
    "empty": [
        {"question": " \n"},
        {"question": None},
        {"thinking_trajectories": []},
        {"thinking_trajectories": ["", " "]},
        {"thinking_trajectories": None},
        {"attempt": ""},
        {"attempt": None},
    ],
    "unclosed": [{"ended": "unfinished"}, {"ended": "handed_over"}, {"ended": "never_started"}],
    "cut": [{"ended": "cut"}, {"ended": "looped"}],
    "answer_cut": [{"answer_cut": True}],
    "short": [{"thinking_tokens": 9}],
    "delimiter": [
        {"question": "What is <think>?"},
        {"thinking_trajectories": ["Hm.</think>"]},
        {"thinking_trajectories": ["Hm.", "a <|im_start|>"]},
        {"attempt": "<|im_start|>answer 2"},
    ],
    "asy": [{"question": "See [asy] draw(A); [/asy].", "source_type": "MATH"}, {"question": "[asy]"}],
    "image": [{"question": "See ![Image](a.png)."}],
    "numbering": [{"question": "p1. Find x."}, {"question": "Find x. step999. Find y."}],
    "bold_number": [{"question": "**12.** Find x."}, {"question": "An *Egyptian* **number** is 12."}],
}
PASSES = {
    "error": [{"error": None}, {"error": " "}, {"ended": "natural"}],
    "empty": [{"question": "?"}, {"thinking_trajectories": ["", "a"]}],
    "unclosed": [{"ended": "natural"}, {"ended": "cut"}, {"ended": None}],
    "cut": [{"ended": "natural"}, {"ended": "unfinished"}],
    "answer_cut": [{"answer_cut": False}, {"answer_cut": None}],
    "short": [{"thinking_tokens": 10}],
    "delimiter": [{"question": "a < think > b <|im_end|>"}],
    "asy": [{"question": "[asy] draw(A); [/asy]", "source_type": "qq8933/AIME_1983_2024"}, {"question": "[ASY]"}],
    "image": [{"question": "![image](a.png) <img src=a> [Image]"}],
    "numbering": [{"question": "p0. p1000. P5. p12, p 7."}],
    "bold_number": [
        {"question": "**two words 1**"},
        {"question": "**bold** without"},
        {"question": "7 is **odd**"},
        {"question": "**a**\n7"},
    ],
}


def met(columns, rule):
    options = Quality(skip=tuple(set(RULES) - {rule}), min_thinking_tokens=10 if rule == "short" else 0)
    return bool(check_quality(pool(columns), options).drops)


@pytest.mark.parametrize(("rule", "columns"), [(rule, c) for rule, cases in MEETS.items() for c in cases])
def test_rule_matches(rule, columns):
    assert met(columns, rule)


@pytest.mark.parametrize(("rule", "columns"), [(rule, c) for rule, cases in PASSES.items() for c in cases])
def test_rule_lets_pass(rule, columns):
    assert not met(columns, rule)


def test_every_rule_has_its_cases():
    assert set(MEETS) == set(PASSES) == set(RULES)


def test_a_drop_says_by_which_rule_and_what_it_found():
    (drop,) = check_quality(pool({}, {"question": "p12. ![Image]"})).drops
    assert (drop.row, drop.rule, drop.detail) == (1, "image", "![Image]")


def test_the_first_rule_counts():
    drops = check_quality(pool({"error": "500", "question": "![Image]", "attempt": ""})).drops
    assert [drop.rule for drop in drops] == ["error"]


def test_a_skipped_rule_is_noted_and_matches_nothing():
    stage = check_quality(pool({"question": "![Image]"}), Quality(skip=("image",)))
    assert not stage.drops and "rule image is skipped" in stage.notes


def test_a_rule_without_its_column_is_noted():
    assert "rule error matched nothing: the pool has no column 'error'" in check_quality(pool({})).notes


def test_rows_that_stay_keep_their_order():
    assert check_quality(pool({}, {"attempt": ""}, {}, {})).rows == (0, 2, 3)


def test_an_unknown_rule_is_refused():
    with pytest.raises(ValueError, match="`skip` has to name rules .*image.*, but names picture"):
        Quality(skip=("picture",))


def test_a_minimum_length_needs_a_column_of_lengths():
    with pytest.raises(ValueError, match="needs a column `thinking_tokens`"):
        check_quality(pool({}), Quality(min_thinking_tokens=5))
