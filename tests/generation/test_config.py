"""Lengths, sampling settings and ends: what `generate` will make of models, configurations and arguments."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from transformers import GenerationConfig

from misuse import S1, processor
from s1_hf import budget_forcing, generate
from s1_hf.forcing.vocabulary import encode
from s1_hf.generation.config import as_drawn, eos_ids
from toys import ToyConfig, Untouched, toy_tokenizer
from wishes import babbler, length, prompt_of


def test_no_length_and_no_context_is_refused():
    """Without any limit the model's context is the limit, so that it has to be known."""
    config = ToyConfig(vocab_size=len(S1))
    del config.max_position_embeddings
    with pytest.raises(ValueError, match="`max_new_tokens` has to be given: this model's configuration does not say"):
        budget_forcing(Untouched(config), S1)


@pytest.mark.parametrize("value", [{"max_new_tokens": 4}, "greedy", GenerationConfig, 3], ids=str)
def test_a_generation_config_of_another_type_is_refused(value):
    with pytest.raises(
        TypeError, match="`generation_config` has to be a GenerationConfig, such as `model.generation_con"
    ):
        processor(generation_config=value)


@pytest.mark.parametrize("legacy", [False, True])
def test_without_a_length_the_context_is_filled(legacy):
    """Not the 20 tokens of `generate`, also if a saved configuration says so."""
    tokenizer = toy_tokenizer("s1")
    model = babbler(tokenizer, ends=False, max_position_embeddings=77)
    if legacy:
        model.generation_config.max_length = 20
    for user in ("a", "b" * 30):
        (completion,) = generate(model, tokenizer, user, max_thinking_tokens=4)
        assert length(tokenizer, prompt_of(tokenizer, user)) + len(completion.token_ids) == 77


@pytest.mark.parametrize(
    "how",
    ["max_new_tokens", "max_length", "generation_config", "its max_length", "the model's", "the model's max_length"],
)
def test_a_length_that_is_given_holds(how):
    """By argument, configuration or the model's defaults."""
    tokenizer = toy_tokenizer("s1")
    model = babbler(tokenizer, ends=False)
    whole = length(tokenizer, prompt_of(tokenizer, "a")) + 23
    options: dict[str, Any] = {
        "max_new_tokens": {"max_new_tokens": 23},
        "max_length": {"max_length": whole},
        "generation_config": {"generation_config": GenerationConfig(max_new_tokens=23)},
        "its max_length": {"generation_config": GenerationConfig(max_length=whole)},
    }.get(how, {})
    if how == "the model's":
        model.generation_config.max_new_tokens = 23
    elif how == "the model's max_length":
        model.generation_config.max_length = whole
    assert [len(c.token_ids) for c in generate(model, tokenizer, "a", **options)] == [23]


@pytest.mark.parametrize("make", [list, tuple, torch.tensor], ids=["list", "tuple", "tensor"])
def test_ends_may_come_in_a_tensor(make):
    ends = [S1.eos_token_id, 5]
    assert eos_ids(GenerationConfig(eos_token_id=make(ends)), S1) == ends


@pytest.mark.parametrize("how", ["argument", "configuration"])
def test_a_max_length_of_20_that_is_given_holds(how):
    tokenizer = toy_tokenizer("s1")
    model = babbler(tokenizer, ends=False, max_position_embeddings=64)
    options = {"max_length": 20} if how == "argument" else {"generation_config": GenerationConfig(max_length=20)}
    (completion,) = generate(model, tokenizer, "a", **options)
    assert length(tokenizer, prompt_of(tokenizer, "a")) + len(completion.token_ids) == 20


def test_an_argument_wins_over_the_configuration():
    tokenizer = toy_tokenizer("s1")
    model = babbler(tokenizer, ends=False)
    config = GenerationConfig(max_new_tokens=40)
    assert len(generate(model, tokenizer, "a", generation_config=config, max_new_tokens=9)[0].token_ids) == 9


@pytest.mark.parametrize("by", ["model", "generation_config", "arguments"])
@pytest.mark.parametrize("law", [{"temperature": 0.6, "top_k": 1}, {"temperature": 1e-4, "top_k": 20}, {"top_p": 1e-6}])
def test_sampling_defaults_are_those_that_generate_uses(by, law):
    """A model whose own configuration samples is sampled: laws that leave one token give what greedy gives."""
    tokenizer = toy_tokenizer("s1")
    model = babbler(tokenizer)
    options = {"num_ignores": 2, "max_thinking_tokens": 9, "max_new_tokens": 40}
    greedy = generate(model, tokenizer, ["a", "bcd"], **options)
    law = {"do_sample": True, **law}
    given: dict[str, Any] = {}
    if by == "model":
        for name, value in law.items():
            setattr(model.generation_config, name, value)
    elif by == "arguments":
        given = law
    else:
        given = {"generation_config": GenerationConfig(**law)}
    processor = budget_forcing(model, tokenizer, **options, **given)["logits_processor"][-1]
    assert processor.rule == "sample"
    assert {k: getattr(processor.generation_config, k) for k in law} == law
    assert generate(model, tokenizer, ["a", "bcd"], **options, **given) == greedy


def test_an_argument_overrules_a_model_that_samples():
    tokenizer = toy_tokenizer("s1")
    model = babbler(tokenizer)
    greedy = generate(model, tokenizer, "a", max_new_tokens=30, num_ignores=1)
    model.generation_config.do_sample = True
    model.generation_config.temperature = 5.0
    kwargs = budget_forcing(model, tokenizer, max_new_tokens=30, num_ignores=1, do_sample=False)
    assert kwargs["logits_processor"][-1].rule == "greedy"
    assert generate(model, tokenizer, "a", max_new_tokens=30, num_ignores=1, do_sample=False) == greedy


def test_the_processor_draws_and_generate_takes_the_only_token():
    """Every setting that the model, a configuration and arguments leave or change arrives at the processor; `generate`
    has those that are not of sampling, and none that would make it warp or draw again."""
    tokenizer = toy_tokenizer("s1")
    model = babbler(tokenizer)
    model.generation_config.temperature = 0.6
    model.generation_config.top_k = 20
    used: list[GenerationConfig] = []
    inner = model._sample
    type(model)._sample, kept = (
        lambda self, *a, **k: (used.append(k["generation_config"]), inner(*a, **k))[1],
        type(model)._sample,
    )
    try:
        for given in (
            {"do_sample": True},
            {"do_sample": True, "temperature": 0.9},
            {"generation_config": GenerationConfig(do_sample=True, top_p=0.5)},
            {"generation_config": GenerationConfig(do_sample=True, min_p=0.1), "top_k": 7},
        ):
            kwargs = budget_forcing(model, tokenizer, max_new_tokens=5, **given)
            ids = torch.tensor([encode(tokenizer, prompt_of(tokenizer, "a"))])
            model.generate(ids, **kwargs)
            seen = kwargs["logits_processor"][-1].generation_config
            assert (seen.do_sample, used[-1].do_sample) == (True, False)
            law = {"temperature": 0.6, "top_k": 20} | given.get("generation_config", GenerationConfig()).to_diff_dict()
            law |= {name: value for name, value in given.items() if name in ("temperature", "top_k")}
            names = ("temperature", "top_k", "top_p", "min_p")
            assert {n: getattr(seen, n) for n in names if n in law} == {n: law[n] for n in names if n in law}
            assert [getattr(used[-1], n) for n in names] == [1.0, 50, 1.0, None]
            for n in ("eos_token_id", "max_new_tokens", "num_beams"):
                assert getattr(seen, n) == getattr(used[-1], n)
    finally:
        type(model)._sample = kept


def test_several_sequences_per_prompt_are_taken_by_sampling_from_one_token_each():
    """`generate` refuses them without sampling; all its warpers are off."""
    config = GenerationConfig(do_sample=True, num_return_sequences=2, temperature=0.5, top_k=7, top_p=0.9, min_p=0.1)
    neutral = GenerationConfig(**as_drawn(config, "sample"))
    assert (neutral.do_sample, neutral.temperature, neutral.top_k, neutral.top_p, neutral.min_p) == (
        True,
        1,
        0,
        1,
        None,
    )
    assert as_drawn(config, "beam") == as_drawn(config, "greedy") == {}


@pytest.mark.parametrize("name", ["temperature", "top_k", "top_p", "min_p", "do_sample"])
def test_a_setting_of_sampling_beside_the_arguments_is_never_silent(name):
    """The token has been drawn by then."""
    tokenizer = toy_tokenizer("s1")
    model = babbler(tokenizer)
    kwargs = budget_forcing(model, tokenizer, max_new_tokens=5, do_sample=True)
    ids = torch.tensor([encode(tokenizer, prompt_of(tokenizer, "a"))])
    with pytest.raises(TypeError, match=f"multiple values for keyword argument '{name}'"):
        model.generate(ids, **kwargs, **{name: 0.3})


def test_a_temperature_beside_a_whole_configuration_is_refused():
    """`generate` would merge it into the configuration that it was given."""
    tokenizer = toy_tokenizer("s1")
    model = babbler(tokenizer)
    config = GenerationConfig(do_sample=True, temperature=0.7)
    for copies in (1, 2):
        kwargs = budget_forcing(
            model, tokenizer, max_new_tokens=5, generation_config=config, num_return_sequences=copies
        )
        ids = torch.tensor([encode(tokenizer, prompt_of(tokenizer, "a"))])
        with pytest.raises(ValueError, match="`temperature` has to be given to `budget_forcing`"):
            model.generate(ids, **kwargs, temperature=0.3)
        model.generate(ids, **kwargs)
        assert len(kwargs["logits_processor"][-1].reports()) == copies
