"""The longest rows that fit, and changes that save memory."""

from dataclasses import replace

import pytest
from fine_tunes import H100, H200, ORIGINAL, P, parts
from transformers import GptOssConfig

from s1_hf import memory
from s1_hf.memory import Lora, Machine, Training
from s1_hf.memory.training import ALL_LINEAR


def test_one_h200_does_not_hold_the_full_fine_tune_at_any_length(qwen_32b):
    assert memory.longest_length(qwen_32b, Training(1), H200) == 0


def test_lora_on_one_80_gb_gpu_leaves_little_room_for_tokens(qwen_32b):
    machine = replace(H200, gpu_memory=memory.gpu_memory("h100"))
    training = Training(1024, dtype="bfloat16", lora=Lora(32, ALL_LINEAR))
    at = parts(memory.plan(qwen_32b, training, machine))
    assert at["weights"] == 2 * P + 4 * 32 * 64 * (2 * (5120 + 5120) + 2 * (5120 + 1024) + 3 * (5120 + 27648))
    assert memory.longest_length(qwen_32b, training, machine) < 9_109
    assert memory.longest_length(qwen_32b, training, machine, tightly=True) > 9_109  # the longest row of s1K


def test_the_longest_length_fits_and_a_longer_one_does_not(qwen_32b):
    surely, perhaps = (memory.longest_length(qwen_32b, Training(1), H100, tightly=tightly) for tightly in (False, True))
    lengths = (surely, surely + 128, perhaps, perhaps + 128)
    verdicts = [memory.plan(qwen_32b, Training(n), H100).verdict for n in lengths]
    assert verdicts == ["fits", "tight", "tight", "does not fit"]


@pytest.mark.parametrize("sharding", ["fsdp", "zero3", "none"])
@pytest.mark.parametrize("gpus", [3, 5, 6, 7, 9, 12, 18, 22])
def test_any_number_of_gpus_has_suggestions(qwen_32b, gpus, sharding):
    """More GPUs stand on nodes of one size, and rows are shared only by numbers that divide those that are there."""
    machine = memory.machine_of(gpus, 24 * 2**30, sharding=sharding)
    for suggestion in memory.suggestions(qwen_32b, Training(8192), machine):
        assert suggestion.plan.gpu.capacity == 24 * 2**30


def test_suggestions_are_plans_with_one_change(qwen_32b):
    training = Training(32_768, accumulation_steps=2, **ORIGINAL)
    machine = Machine("1x8-h100", 8, memory.gpu_memory("h100"))
    found = memory.suggestions(qwen_32b, training, machine)
    changes = [suggestion.change.split(":")[0] for suggestion in found]
    assert changes[:3] == ["accelerator_config", "gradient_checkpointing", "a loss without full logits"]
    cheap = replace(training, sync_each_batch=True, gradient_checkpointing=True, logits="fused")
    assert found[2].plan == memory.plan(qwen_32b, cheap, machine)
    by_name = dict(zip(changes, found, strict=True))
    offloaded = memory.plan(qwen_32b, replace(cheap, activation_offloading=True), machine)
    assert by_name["activation_offloading"].plan == offloaded
    more = next(s for s in found if "GPUs of this kind" in s.change)
    assert more.change == "16 GPUs of this kind with FSDP instead of 8 (global_batch_size 16)"
    assert more.plan.verdict == "fits"


def test_only_cheap_changes_are_suggested_if_they_are_enough(qwen_32b):
    found = memory.suggestions(qwen_32b, Training(20_000, gradient_checkpointing=False), H100)
    assert [(s.change.split(":")[0], s.plan.verdict) for s in found] == [("gradient_checkpointing", "fits")]


def test_rows_that_are_too_long_for_one_gpu_are_shared_by_several(qwen_32b):
    found = memory.suggestions(qwen_32b, Training(100_000, sync_each_batch=True), H100)
    (shared,) = (s for s in found if s.change.startswith("parallelism_config: {cp_size: 4}"))
    training = Training(100_000, accumulation_steps=4, sync_each_batch=True)
    assert shared.plan == memory.plan(qwen_32b, training, replace(H100, context=4))
    assert shared.plan.verdict == "fits"
    fewer = replace(training, accumulation_steps=2)
    assert memory.plan(qwen_32b, fewer, replace(H100, context=2)).verdict != "fits"


def test_a_host_that_is_too_small_gets_advice_of_its_own(qwen_32b):
    small = replace(H100, one_loads=False, host_memory=300 * 2**30)
    found = memory.suggestions(qwen_32b, Training(9_109), small)
    assert [s.change.split(":")[0] for s in found] == ["fsdp_cpu_ram_efficient_loading"]
    assert (memory.plan(qwen_32b, Training(9_109), small).verdict, found[0].plan.verdict) == ("does not fit", "fits")


def test_eager_attention_is_advised_against():
    shape = memory.decoder_shape(GptOssConfig(num_hidden_layers=2))
    found = memory.suggestions(shape, Training(32_768), H100)
    assert found[0].change.startswith("attn_implementation: flash_attention_2")
    assert found[0].plan.total < memory.plan(shape, Training(32_768), H100).total / 2
