"""A request to `transformers serve` comes out as one configuration, or not at all."""

from __future__ import annotations

import json

import pytest
from transformers import GenerationConfig

from s1_hf import Budget, Effort, embedded
from s1_hf.serving.terms import Terms
from s1_hf.serving.transformers_request import Reader

CHAT, PLAIN, RESPONSES = "/v1/chat/completions", "/v1/completions", "/v1/responses"


@pytest.fixture(scope="module")
def reader():
    tokenizer = embedded.load()[1]
    return Reader(tokenizer, None, GenerationConfig(eos_token_id=431), 1024, Terms.of(Budget(), None, Effort()))


def test_a_request_without_a_wish_is_left_as_it_is(reader):
    asked = reader.read({"model": "a", "messages": []}, CHAT)
    assert (asked.body, asked.config) == ({"model": "a", "messages": []}, {})


@pytest.mark.parametrize(
    ("body", "config"),
    [
        ({"temperature": 0}, {"do_sample": False}),
        ({"temperature": 0.7, "top_p": 0.9}, {"do_sample": True, "temperature": 0.7, "top_p": 0.9}),
        ({"top_p": 0.9}, {"do_sample": True, "top_p": 0.9}),
        ({"temperature": 0.0, "top_p": 1.0, "top_k": 0, "min_p": 0.0}, {"do_sample": False}),
        ({"temperature": 1, "top_k": -1}, {"do_sample": True, "temperature": 1.0, "top_k": 0}),
        ({"temperature": 1, "generation_config": '{"do_sample": false}'}, {"do_sample": False, "temperature": 1.0}),
        ({"repetition_penalty": 1.1}, {"repetition_penalty": 1.1}),
        ({"logit_bias": {"5": 2, "431": -1.5}}, {"sequence_bias": [[[5], 2.0], [[431], -1.5]]}),
        ({"logit_bias": {}}, {}),
        ({"generation_config": {"max_thinking_tokens": None}}, {"max_thinking_tokens": ""}),
        ({"vllm_xargs": {"max_thinking_tokens": 5.0, "num_ignores": 1}}, {"max_thinking_tokens": 5, "num_ignores": 1}),
    ],
    ids=json.dumps,
)
def test_how_it_is_decoded_goes_into_the_configuration(reader, body, config):
    asked = reader.read(body, CHAT)
    assert asked.config == config and asked.body == {}


def test_what_the_server_reads_itself_stays(reader):
    body = {"max_tokens": 500.0, "seed": 3, "stop": ["a"], "reasoning_effort": "low"}
    assert reader.read(body, CHAT).body == {**body, "max_tokens": 500}


@pytest.mark.parametrize("path", [PLAIN, RESPONSES])
def test_an_effort_is_taken_where_the_server_would_not_know_it(reader, path):
    asked = reader.read({"reasoning_effort": "low"}, path)
    assert "reasoning_effort" not in asked.body and asked.config["thinking_share"] == 0.2
    assert "reasoning_effort" not in reader.read({"reasoning_effort": None}, path).body


def test_one_answer_may_be_asked_for(reader):
    assert reader.read({"n": 1, "best_of": 1}, CHAT).body == {}


def test_an_effort_without_room_is_told_by_its_name(reader):
    with pytest.raises(ValueError, match="only 20 tokens may be generated.*The effort 'low' is a budget here"):
        reader.read({"reasoning_effort": "low", "max_tokens": 20}, CHAT)


def test_the_request_itself_is_not_changed(reader):
    body = {"temperature": 1, "generation_config": {"num_ignores": 1}}
    reader.read(body, CHAT)
    assert body == {"temperature": 1, "generation_config": {"num_ignores": 1}}


def test_what_vllms_clients_send_is_understood(reader):
    own = {"s1_hf_key": "a", "s1_hf_seed": 3, "s1_hf_start": [0] * 7, "s1_hf_steps": 2, "s1_hf_give_up_after": 9}
    ids = embedded.load()[1]("Lamp A")["input_ids"]
    body = {"prompt": ids, "temperature": 1, "return_token_ids": True, "skip_special_tokens": False, "vllm_xargs": own}
    asked = reader.read({**body, "spaces_between_special_tokens": False}, PLAIN)
    assert asked.body == {"prompt": "Lamp A"}
    assert (asked.key, asked.seed, asked.start, asked.steps) == ("a", 3, (0,) * 7, 2)
    assert asked.criterion is not None and asked.returns_ids and not asked.skips_special
    assert reader.read({**body, "temperature": 0}, PLAIN).seed is None  # nothing is drawn


def test_ids_that_no_text_is_read_as_are_refused(reader):
    pieces = [embedded.load()[1].convert_tokens_to_ids(letter) for letter in "Lamp"]
    with pytest.raises(ValueError, match="ids that its text is read as"):
        reader.read({"prompt": pieces}, PLAIN)
    with pytest.raises(ValueError, match="or the ids of one, but holds something else"):
        reader.read({"prompt": [10**9]}, PLAIN)


def test_responses_come_whole_by_default_as_openai_has_it(reader):
    assert reader.read({}, RESPONSES).body == {"stream": False}
    assert reader.read({"stream": True}, RESPONSES).body == {"stream": True}


@pytest.mark.parametrize(
    "name",
    ["temperature", "top_p", "min_p", "top_k", "seed", "max_tokens", "n", "max_output_tokens"],
)
@pytest.mark.parametrize("value", ["many", [1], {}, True, float("nan"), 1e400, -5, 1.5])
def test_numbers_that_are_none_are_named(reader, name, value):
    if (name, value) in [("temperature", 1.5), ("seed", -5), ("n", 1)]:
        return  # one that is right
    with pytest.raises(ValueError, match=f"`{name}` has to be"):
        reader.read({name: value}, CHAT)


@pytest.mark.parametrize("inner", ["max_new_tokens", "max_length"])
@pytest.mark.parametrize("outer", ["max_tokens", "max_completion_tokens", "max_output_tokens"])
def test_one_limit_is_enough(reader, outer, inner):
    with pytest.raises(ValueError, match=f"`{outer}` and `{inner}` in `generation_config` say the same"):
        reader.read({outer: 50, "generation_config": {inner: 60}}, CHAT)


@pytest.mark.parametrize(
    ("body", "config"),
    [
        ({"temperature": 0}, {"do_sample": True, "temperature": 1.5}),
        ({"temperature": 0}, {"do_sample": True}),
        ({"temperature": 1}, {"temperature": 0.5}),
        ({"top_p": 0.5}, {"top_p": 0.9}),
        ({"repetition_penalty": 1.5}, {"repetition_penalty": 1.0}),
    ],
    ids=json.dumps,
)
def test_what_is_said_twice_is_refused(reader, body, config):
    with pytest.raises(ValueError, match="Leave one (of them )?out"):
        reader.read({**body, "generation_config": config}, CHAT)


@pytest.mark.parametrize(
    "bias", [{"word": 1}, {"-1": 1}, {"99999": 1}, {"5": "much"}, {"5": 101}, {"\u00b2": 1}], ids=str
)
def test_biases_are_numbers_for_tokens(reader, bias):
    with pytest.raises(ValueError, match="`logit_bias` has to"):
        reader.read({"logit_bias": bias}, CHAT)


@pytest.mark.parametrize("place", ["generation_config", "vllm_xargs"])
def test_texts_without_end_are_refused_before_anything_is_made_of_them(reader, monkeypatch, place):
    monkeypatch.setattr(Reader, "_check", None)
    with pytest.raises(ValueError, match="`wait_text` has to be at most 16 texts, but is 17"):
        reader.read({place: {"wait_text": ["a"] * 17}}, CHAT)


@pytest.mark.parametrize(
    ("own", "message"),
    [
        ({"s1_hf_key": "a" * 201}, "`s1_hf_key` has to be a Unicode text of at most 200 characters"),
        ({"s1_hf_seed": 2**63}, "`s1_hf_seed` has to be an integer of 64 bits"),
        ({"s1_hf_steps": -1}, "`s1_hf_steps` has to be an integer from 0"),
        ({"s1_hf_steps": 10**9}, "`s1_hf_steps` has to fit into the context of 1,024 tokens"),
        ({"s1_hf_give_up_after": 10**30}, "`s1_hf_give_up_after` has to be an integer from 0"),
        ({"s1_hf_start": [10**9, 0, 0, 0, 0, 0, 0]}, "A request cannot start in"),
        ({"s1_hf_start": [0, 0, 0, 0, 0, 0, 2**70]}, "`s1_hf_start` has to be a list of 7 integers"),
        ({"s1_hf_start": [0]}, "`s1_hf_start` has to be a list of 7 integers"),
    ],
    ids=str,
)
def test_what_could_keep_the_server_busy_or_bring_it_down_is_refused(reader, own, message):
    with pytest.raises(ValueError, match=message):
        reader.read({"vllm_xargs": own}, PLAIN)


def test_whole_numbers_may_be_written_with_a_point_and_null_is_nothing(reader):
    own = {"s1_hf_seed": 3.0, "s1_hf_steps": 2.0, "s1_hf_give_up_after": None, "s1_hf_start": None, "s1_hf_key": None}
    asked = reader.read({"temperature": 1, "vllm_xargs": own}, PLAIN)
    assert (asked.seed, asked.steps, asked.criterion, asked.start, asked.key) == (3, 2, None, None, None)
