"""Names for type checkers and editors: all of them mean something at run time."""

import inspect

from transformers import GenerationConfig, GenerationMixin

from s1_hf.forcing.budget import NAMES, PER_PROMPT
from s1_hf.generation.keywords import DecodingKeywords, GenerateKeywords, SweepKeywords

CACHE_CLASSES = {"past_key_values"}  # goes to the model


def test_every_keyword_of_decoding_is_one_that_generate_takes():
    known = set(inspect.signature(GenerationMixin.generate).parameters) | set(vars(GenerationConfig())) | CACHE_CLASSES
    assert set(DecodingKeywords.__annotations__) - known == set()


def test_generate_takes_every_setting_and_a_sweep_those_that_its_points_share():
    decoding = set(DecodingKeywords.__annotations__)
    assert set(GenerateKeywords.__annotations__) == decoding | set(NAMES)
    assert set(SweepKeywords.__annotations__) == decoding | set(NAMES) - set(PER_PROMPT)
