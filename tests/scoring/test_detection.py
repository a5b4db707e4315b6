"""Conventions are found in configurations, or named; never guessed."""

from __future__ import annotations

import pytest
from transformers import Qwen2Config

from s1_hf.scoring.conventions import TRL, MathShepherd, Outcome, Qwen, Skywork
from s1_hf.scoring.detection import convention_of


def config(architecture, **fields):
    return Qwen2Config(architectures=[architecture], **fields)


@pytest.mark.parametrize(
    ("found", "convention"),
    [
        (config("Qwen2ForProcessRewardModel"), Qwen()),
        (config("Qwen2ForPrmModel"), Skywork()),
        (config("Qwen2ForTokenClassification", num_labels=2, step_separator="\n\n"), TRL("\n\n")),
        (config("LlamaForSequenceClassification", num_labels=1), Outcome()),
    ],
)
def test_what_a_configuration_stands_for(found, convention):
    assert convention_of(found) == convention


@pytest.mark.parametrize(
    "unclear",
    [
        config("MistralForCausalLM"),
        config("Qwen2ForTokenClassification", num_labels=2),
        config("Qwen2ForSequenceClassification", num_labels=2),
        Qwen2Config(),
    ],
)
def test_what_a_configuration_does_not_tell_has_to_be_named(unclear):
    with pytest.raises(ValueError, match="Name its `convention`: one of qwen, math-shepherd"):
        convention_of(unclear)


def test_a_name_or_a_convention_that_is_given_counts():
    given = Qwen(system_prompt=None)
    assert convention_of(config("Qwen2ForProcessRewardModel"), given) is given
    assert convention_of(config("MistralForCausalLM"), "math-shepherd") == MathShepherd()


def test_a_name_that_does_not_exist_is_refused():
    with pytest.raises(ValueError, match="but is 'shepherd'"):
        convention_of(Qwen2Config(), "shepherd")


def test_trl_by_its_name_needs_its_separator():
    with pytest.raises(ValueError, match="Name it, for example"):
        convention_of(config("Qwen2ForTokenClassification"), "trl")
    assert convention_of(config("X", step_separator="\n"), "trl") == TRL("\n")
