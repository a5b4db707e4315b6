"""Weights, gradients and optimizer state, on the GPUs and in host memory."""

from dataclasses import replace

import pytest
from fine_tunes import H100, H200, P, parts

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
    assert plan.host >= 16 * P // 2  # of two nodes
    assert plan.total < memory.plan(qwen_32b, training, H100).total - 16 * P // 16


def test_gradients_accumulated_without_sharding_are_full_size_on_every_gpu(qwen_32b):
    apart, together = (Training(9_109, accumulation_steps=2, sync_each_batch=sync) for sync in (False, True))
    assert parts(memory.plan(qwen_32b, apart, H100))["whole gradients"] == 2 * P
    assert "whole gradients" not in parts(memory.plan(qwen_32b, together, H100))


def test_the_saving_host_holds_the_model_in_float32_and_in_bfloat16(qwen_32b):
    assert memory.plan(qwen_32b, Training(1024), H100).host == 6 * P


def test_a_4_bit_base_takes_half_a_byte_and_a_scale_per_64(qwen_32b):
    four_bit = Lora(16, ALL_LINEAR, four_bit=True)
    at = parts(memory.plan(qwen_32b, Training(1024, dtype="bfloat16", lora=four_bit), H200))
    matrices = 64 * (2 * 5120 * 5120 + 2 * 5120 * 1024 + 3 * 5120 * 27648)
    adapters = 64 * 16 * (2 * (5120 + 5120) + 2 * (5120 + 1024) + 3 * (5120 + 27648))
    assert at["weights"] == matrices // 2 + matrices // 16 + 2 * (P - matrices) + 2 * adapters
    with pytest.raises(ValueError, match="4-bit weights under FSDP are not covered"):
        memory.plan(qwen_32b, Training(1024, dtype="bfloat16", lora=four_bit), H100)
