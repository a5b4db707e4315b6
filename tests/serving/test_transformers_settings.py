"""What a request may set: what is listed, and of the right kind."""

from __future__ import annotations

import json

import pytest
from transformers import GenerationConfig

from s1_hf.generation.exported import IN_CONFIG
from s1_hf.serving.transformers_settings import SETTINGS, check_settings

RIGHT = [
    {"do_sample": True, "temperature": 0.5, "top_p": 1, "top_k": -1, "min_p": 0},
    {"num_beams": 4, "length_penalty": -1.5, "early_stopping": True},
    {"max_new_tokens": 5, "stop_strings": ["a"], "eos_token_id": [3, 4], "max_time": 1.5},
    {"temperature": None, "max_thinking_tokens": "judged elsewhere"},
]


@pytest.mark.parametrize("config", RIGHT, ids=json.dumps)
def test_ordinary_settings_pass(config):
    check_settings(config)


@pytest.mark.parametrize("name", sorted(vars(GenerationConfig()).keys() - SETTINGS.keys() - {*IN_CONFIG}))
def test_all_other_attributes_are_refused(name):
    with pytest.raises(ValueError, match=f"`{name}` is no setting"):
        check_settings({name: None})


@pytest.mark.parametrize("name", SETTINGS)
@pytest.mark.parametrize("value", ["", {}, [], [""], "a" * 1001, float("nan"), -2.5], ids=repr)
def test_values_of_another_kind_are_named(name, value):
    if (name, value) == ("length_penalty", -2.5):
        return  # one that is right
    with pytest.raises(ValueError, match=f"`{name}` has to be"):
        check_settings({name: value})
