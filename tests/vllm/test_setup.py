"""What an engine's requests have in common."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from s1_hf import Budget, LoopGuard, embedded
from s1_hf.vllm.settings import RequestSettings
from s1_hf.vllm.setup import Setup


def config(additional: dict | None = None, vocabulary: int = 432, **model) -> SimpleNamespace:
    own = {"tokenizer": str(embedded.MODEL_PATH), "tokenizer_revision": None, "trust_remote_code": False}
    own |= {"max_model_len": 512, "get_vocab_size": lambda: vocabulary}
    own |= {"try_get_generation_config": lambda: {"eos_token_id": [5, 431]}}
    return SimpleNamespace(model_config=SimpleNamespace(**(own | model)), additional_config=additional)


def test_it_is_read_off_the_engines_configuration():
    given = {"format": "s1", "wait_text": "Hmm", "loop_guard": True, "answer_prefix": ""}
    setup = Setup.of(config({"s1_hf": given}))
    assert (setup.format.name, setup.context) == ("s1", 512)
    assert setup.defaults == {"wait_text": "Hmm", "loop_guard": LoopGuard(), "answer_prefix": None}
    assert setup.eos == tuple(dict.fromkeys((5, 431, setup.tokenizer.eos_token_id)))


@pytest.mark.parametrize(
    ("section", "message"),
    [
        ({"format": "no such"}, "`format` has to be one of"),
        ({"formt": "s1"}, "Did you mean `format`"),
        ({"others": 1}, "An engine is built with `format` and any of"),
        ("x", r"`additional_config\['s1_hf'\]` has to be a mapping"),
        ({"loop_guard": "maybe"}, "`loop_guard` has to be true, or a list of three numbers"),
        ({"max_thinking_tokens": 5}, "The three budgets belong to requests"),
        ({"wait_text": "a<|im_start|>answer"}, "`wait_text` has to be free of delimiters"),
    ],
)
def test_a_wrong_section_stops_the_engine(section, message):
    with pytest.raises(ValueError, match=message):
        Setup.of(config({"s1_hf": section}))


def test_a_model_without_the_formats_tokens_stops_the_engine():
    with pytest.raises(ValueError, match="Tokenizer and model do not belong together"):
        Setup.of(config(vocabulary=300))


def test_a_requests_own_stops_are_ends():
    """They end the sequence inside thinking as well."""
    setup = Setup.of(config())
    automaton = setup.automaton(Budget(), [7])
    assert automaton.eos == (*setup.eos, 7) and 7 in automaton.format.ends


def test_a_budget_too_small_for_its_message_is_refused():
    setup = Setup.of(config())
    asked = RequestSettings(budget=Budget(max_thinking_tokens=1, cut_text="a long stop message"), max_tokens=9)
    with pytest.raises(ValueError, match="has to be at least the length of `cut_text`"):
        setup.row_budgets(asked, 0)
