"""Plans: verdicts on the paper's fine-tune, the worst moment, and checkpoints."""

import pytest
from fine_tunes import H100, ORIGINAL

from s1_hf import memory
from s1_hf.memory import Training


@pytest.mark.parametrize("length", [9_109, 20_000])
def test_16_h100_hold_the_papers_fine_tune_with_checkpointing(qwen_32b, length):
    assert memory.plan(qwen_32b, Training(length), H100).verdict == "fits"


@pytest.mark.parametrize("length", [9_109, 32_768])
def test_16_h100_do_not_hold_the_originals_default_settings(qwen_32b, length):
    assert memory.plan(qwen_32b, Training(length, **ORIGINAL), H100).verdict == "does not fit"


def test_16_h100_hold_all_logits_of_20000_tokens_but_not_of_26000_as_users_of_the_original_found(qwen_32b):
    """Its issue 13: s1.1's rows of up to about 26,000 tokens ran out of memory; `block_size` 20,000 worked."""
    verdicts = [memory.plan(qwen_32b, Training(n, logits="full"), H100).verdict for n in (20_000, 26_000)]
    assert verdicts == ["tight", "does not fit"]


def test_the_total_is_that_of_the_worst_moment(qwen_32b):
    plan = memory.plan(qwen_32b, Training(20_000), H100)
    assert plan.moment == "backward of the last layer"
    assert plan.total == max(plan.moments.values()) == plan.moments[plan.moment] > plan.moments["loss"]


def test_a_checkpoint_is_weights_and_two_moments_in_float32():
    assert memory.checkpoint_bytes(1000) == 12_000
    assert memory.checkpoint_bytes(1000, model_only=True) == 4_000
