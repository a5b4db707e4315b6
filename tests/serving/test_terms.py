"""What a request asks for: its own words, an effort, and what the server does with those that do not say."""

from __future__ import annotations

import json

import pytest

from s1_hf import Budget, Effort, embedded
from s1_hf.serving.terms import Terms, check_texts
from s1_hf.vllm.settings import CHECKED

TERMS = Terms.of(Budget(num_ignores=2, cut_text="Stop.", max_thinking_tokens=50), 30, Effort())


def test_what_a_request_does_not_say_the_server_does():
    assert TERMS.asked({}, {}) == {
        "num_ignores": 2, "cut_text": "Stop.", "max_thinking_tokens": 50, "max_answer_tokens": 30,
    }  # fmt: skip
    asked = TERMS.asked({"num_ignores": 0, "max_answer_tokens": 5.0, "others": 1}, {})
    assert (asked["num_ignores"], asked["max_thinking_tokens"], asked["max_answer_tokens"]) == (0, 50, 5)
    assert Terms().asked({}, {}) == {} == Terms().asked({"others": 1}, {"reasoning_effort": "low"})


def test_a_default_that_cannot_act_is_left_out_and_what_a_request_says_has_to_act():
    asked = TERMS.asked({"max_thinking_tokens": None}, {})
    assert asked["max_thinking_tokens"] == "" and asked["cut_text"] == ""
    with pytest.raises(ValueError, match="`cut_text` has no effect without"):
        TERMS.asked({"max_thinking_tokens": None, "cut_text": "Now."}, {})


@pytest.mark.parametrize(
    "body",
    [{"reasoning_effort": "low"}, {"reasoning": {"effort": "low"}}, {"output_config": {"effort": "low"}}],
    ids=str,
)
def test_an_effort_is_a_budget_in_which_none_of_the_servers_is_left(body):
    asked = TERMS.asked({"answer_prefix": "So:"}, body)
    assert asked["max_thinking_tokens"] == "auto" and asked["thinking_share"] == 0.2
    assert (asked["num_ignores"], asked["min_thinking_tokens"], asked["answer_prefix"]) == (0, 0, "So:")


def test_thinking_that_is_disabled_is_cut_at_once():
    body = {"thinking": {"type": "disabled"}}
    assert TERMS.asked({}, body)["max_thinking_tokens"] == 0 and body == {"thinking": {"type": "disabled"}}
    assert TERMS.asked({}, {"thinking": {"type": "adaptive"}}) == TERMS.asked({}, {})


def test_a_default_that_can_never_act_is_refused():
    for idle in ({"num_ignores": 1}, {"cut_window": 5}):
        with pytest.raises(ValueError, match=f"`{next(iter(idle))}` has no effect without a `max_thinking_tokens`"):
            Terms.of(Budget(max_thinking_tokens=0, **idle))


def test_a_name_that_a_server_does_not_know_is_taken_out_of_its_request():
    own = Terms(effort=Effort({"quick": {"max_thinking_tokens": 9}, "low": {"max_thinking_tokens": 90}}))
    body = {"reasoning_effort": "quick"}
    assert own.asked({}, body)["max_thinking_tokens"] == 9 and body == {}
    body = {"reasoning": {"effort": "low"}}
    assert own.asked({}, body)["max_thinking_tokens"] == 90 and body == {"reasoning": {"effort": "low"}}


@pytest.mark.parametrize(
    ("given", "body", "message"),
    [
        ({}, {"reasoning_effort": "huge"}, "There is no effort 'huge'"),
        ({}, {"reasoning_effort": 5}, "There is no effort 5"),
        ({"max_thinking_tokens": 5}, {"reasoning_effort": "low"}, "has to stand alone"),
        ({}, {"reasoning_effort": "low", "reasoning": {"effort": "low"}}, "say the same"),
        ({}, {"reasoning_effort": "low", "output_config": {"effort": "low"}}, "`output_config.effort` say the same"),
        ({}, {"thinking": {"type": "disabled"}, "output_config": {"effort": "low"}}, "`thinking.type` say the same"),
        ({"max_thinking_tokens": 5}, {"thinking": {"type": "disabled"}}, "'none' .* has to stand alone"),
        ({"max_thinking_tokens": "many"}, {}, "`max_thinking_tokens` has to be an integer"),
        ({"max_answer_tokens": "many"}, {}, "`max_answer_tokens` has to be an integer of at least 1"),
    ],
)
def test_what_is_wrong_is_said(given, body, message):
    with pytest.raises(ValueError, match=message):
        TERMS.asked(given, body)


def test_numbers_beyond_64_bits_are_no_cap():
    assert Terms().asked({"max_thinking_tokens": 10**30}, {}) == {"max_thinking_tokens": 2**40}
    assert Terms().asked({"max_thinking_tokens": 9, "cut_window": 10**30}, {})["cut_window"] == 2**40


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"wait_text": "Hmm"}, "`wait_text` has no effect without `num_ignores`"),
        ({"num_ignores": 1, "max_thinking_tokens": 0}, "`num_ignores` has no effect without a `max_thinking_tokens`"),
        ({"answer_prefix": ""}, "`answer_prefix` has no effect without `max_thinking_tokens`"),
    ],
)
def test_what_a_request_says_has_to_act(given, message):
    with pytest.raises(ValueError, match=message):
        Terms().asked(given, {})
    assert Terms().asked({**given, CHECKED: True}, {})  # for a sweep, in which others make it act
    with pytest.raises(ValueError, match="`num_ignores` has no effect"):
        TERMS.asked({"num_ignores": 1}, {"reasoning_effort": "none"})
    of_both = TERMS.asked({"wait_text": "Hmm", "answer_prefix": ""}, {})  # which acts by what the server says
    assert of_both["wait_text"] == "Hmm" and of_both["answer_prefix"] == ""


def test_texts_of_a_server_are_for_requests_that_make_them_act():
    texts = Terms.of(Budget(wait_text="Hmm", cut_text="Stop."))
    assert texts.asked({}, {}) == {"wait_text": "Wait", "cut_text": ""}
    assert texts.asked({"num_ignores": 1}, {}) == {"num_ignores": 1, "wait_text": "Hmm", "cut_text": ""}


@pytest.mark.parametrize("name", ["wait_text", "answer_stop_strings"])
@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("Wait, then. " * 2500, "at most 4,000 characters in all, but has 30,000"),
        (["Wait, then. "] * 350, "at most 4,000 characters in all, but has 4,200"),
        (["a"] * 17, "at most 16 texts, but is 17"),
        ("1 2 " * 600, "fit into the context of 1,024 tokens, but has"),
    ],
    ids=["long", "long in all", "many", "longer than the context"],
)
def test_texts_have_bounds(name, text, message):
    with pytest.raises(ValueError, match=f"`{name}` has to .*{message}"):
        check_texts({name: text}, embedded.load()[1], 1024)
    check_texts({name: ["Hmm"] * 16, "of_another_plug_in": text}, embedded.load()[1], 1024)


@pytest.mark.parametrize("none", ["", None, 2**40, 2**63, 10**30, 1e30], ids=str)
@pytest.mark.parametrize("terms", [Terms(), TERMS], ids=["without", "with a limit of the server's"])
def test_an_answer_without_a_limit_has_none(terms, none):
    assert terms.asked({"max_answer_tokens": none}, {})["max_answer_tokens"] == 2**40


@pytest.mark.parametrize("wrong", [0, -1, True, [], "5", 1.5, float("inf"), {}], ids=str)
def test_a_limit_of_answers_that_is_none_is_refused(wrong):
    with pytest.raises(ValueError, match="`max_answer_tokens` has to be an integer of at least 1"):
        Terms().asked({"max_answer_tokens": wrong}, {})


def test_terms_travel_as_json():
    there = Terms.from_dict(json.loads(json.dumps(TERMS.to_dict())))
    assert there == TERMS and Terms.from_dict({}) == Terms()


def test_an_effort_is_named_where_its_budget_is_wrong():
    assert TERMS.effort_in({"reasoning": {"effort": "low"}}) == TERMS.effort_in({"reasoning_effort": "low"}) == "low"
    assert TERMS.effort_in({}) is None is Terms().effort_in({"reasoning_effort": "low"})
    said = "No room. The effort 'low' is a budget here, cap auto, thinking_share 0.2."
    with pytest.raises(ValueError, match=said), TERMS.naming("low"):
        raise ValueError("No room.")
    with pytest.raises(ValueError, match=r"No room\.$"), TERMS.naming(None):
        raise ValueError("No room.")
