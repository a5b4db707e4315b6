"""Weights, gradients and optimizer state, on the GPUs and in host memory."""

from dataclasses import replace

import pytest
from fine_tunes import H100, H200, P, of_host, parts

from s1_hf import memory
from s1_hf.memory import Lora, Training
from s1_hf.memory.training import ALL_LINEAR


def test_a_full_fine_tune_takes_16_bytes_per_parameter_over_all_gpus(qwen_32b):
    at = parts(memory.plan(qwen_32b, Training(1024, accumulation_steps=2, sync_each_batch=True), H100))
    assert at["weights"] == at["gradients"] == 4 * P // 16
    assert at["optimizer state"] == 8 * P // 16


def test_offloading_moves_16_bytes_per_parameter_to_the_hosts(qwen_32b):
    training = Training(20_000, accumulation_steps=2, sync_each_batch=True)
    plan = memory.plan(qwen_32b, training, replace(H100, offload=True))
    assert parts(plan)["weights"] == parts(plan)["optimizer state"] == 0
    assert of_host(plan) >= 16 * P // 2  # of two nodes
    assert plan.total < memory.plan(qwen_32b, training, H100).total - 16 * P // 16


def test_gradients_accumulated_without_sharding_are_full_size_on_every_gpu(qwen_32b):
    apart, together = (Training(9_109, accumulation_steps=2, sync_each_batch=sync) for sync in (False, True))
    assert parts(memory.plan(qwen_32b, apart, H100))["whole gradients"] == 2 * P
    assert "whole gradients" not in parts(memory.plan(qwen_32b, together, H100))


def test_the_saving_host_holds_the_model_in_float32_and_in_bfloat16(qwen_32b):
    assert of_host(memory.plan(qwen_32b, Training(1024), H100)) == 6 * P


def test_a_4_bit_base_takes_half_a_byte_and_a_scale_per_64(qwen_32b):
    four_bit = Lora(16, ALL_LINEAR, four_bit=True)
    at = parts(memory.plan(qwen_32b, Training(1024, dtype="bfloat16", lora=four_bit), H200))
    matrices = 64 * (2 * 5120 * 5120 + 2 * 5120 * 1024 + 3 * 5120 * 27648)
    adapters = 64 * 16 * (2 * (5120 + 5120) + 2 * (5120 + 1024) + 3 * (5120 + 27648))
    assert at["weights"] == matrices // 2 + matrices // 16 + 2 * (P - matrices) + 2 * adapters
    with pytest.raises(ValueError, match="bnb_4bit_quant_storage: bfloat16"):
        memory.plan(qwen_32b, Training(1024, dtype="bfloat16", lora=four_bit), H100)


def test_double_quantisation_takes_a_byte_per_64_weights_and_a_float32_per_256_of_these(qwen_32b):
    lora = Lora(16, ALL_LINEAR, four_bit=True)
    single, double = (
        parts(memory.plan(qwen_32b, Training(1024, dtype="bfloat16", lora=replace(lora, nested=x)), H200))["weights"]
        for x in (False, True)
    )
    matrices = qwen_32b.quantisable
    assert single - double == matrices // 16 - int(matrices * (1 / 64 + 4 / (64 * 256)))


def test_fsdp_divides_4_bit_weights_that_are_packed_as_bfloat16(qwen_32b):
    lora = Lora(16, ALL_LINEAR, four_bit=True, storage="bfloat16")
    training = Training(1024, dtype="bfloat16", lora=lora)
    whole = parts(memory.plan(qwen_32b, training, H200))["weights"]
    assert parts(memory.plan(qwen_32b, training, H100))["weights"] == pytest.approx(whole / 16, rel=0.02)


def test_paged_state_is_the_hosts_if_the_gpu_is_full(qwen_32b):
    training = Training(1024, optimizer="paged_adamw_32bit", accumulation_steps=2, sync_each_batch=True)
    plan = memory.plan(qwen_32b, training, H200)
    assert parts(plan)["optimizer state"] == 0
    assert {part.name: (part.bytes, part.low) for part in plan.host.parts}["paged optimizer state"] == (8 * P, 0)


def test_bitsandbytes_keeps_the_embeddings_state_in_32_bits(qwen_32b):
    training = Training(1024, optimizer="adamw_bnb_8bit", accumulation_steps=2, sync_each_batch=True)
    embedding = 152_064 * 5_120
    state = int((2 + 8 / 256) * P) + int((8 - 2 - 8 / 256) * embedding)
    assert parts(memory.plan(qwen_32b, training, H100))["optimizer state"] == pytest.approx(state / 16, abs=2)
