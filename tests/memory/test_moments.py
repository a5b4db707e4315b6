"""The moments of a step: by hand, and compared with a simulated step."""

from dataclasses import replace
from pathlib import Path

import pytest
from fine_tunes import H100, NAME_32B, P, of_host, parts

from s1_hf import memory
from s1_hf.memory import Machine, Training, Zero


def test_a_step_of_the_32b_model_on_16_gpus_by_hand(qwen_32b):
    """20,000 tokens, checkpointed, in the last layer's backward: h 5120, i 27648, q 5120, k 1024, 40 heads."""
    at = parts(memory.plan(qwen_32b, Training(20_000), H100))
    assert at["gradients"] == 4 * (152064 * 5120 + 5120) // 16  # of head and final norm: the others are yet to come
    layer = 2 * 5120 * 5120 + 2 * 5120 * 1024 + 3 * 5120 * 27648 + 5120 + 2 * 1024 + 2 * 5120  # biases and norms
    assert qwen_32b.layer_parameters == layer
    assert at["gathered weights"] == 2 * (2 * layer + 5120 * 27648 + 152064 * 5120 + 5120)
    assert at["activations kept"] == 64 * 20_000 * 5120 * 2 + 2 * 20_000 * 128 * 2
    per_token = 16 * 5120 + 8 + 4 * 5120 + 4 * 1024 + 4 * 40 + 8 * 27648
    assert at["activations of one layer"] == 20_000 * (per_token + 4 * 27648 + 2 * 5120)
    state = at["weights"] + at["gradients"] + at["optimizer state"]
    moving = at["gathered weights"] + at["activations kept"] + at["activations of one layer"]
    assert at["context"] == 1700 * 2**20
    assert at["unused blocks"] == int(0.005 * state + 0.06 * moving)


def test_all_logits_take_12_bytes_each(qwen_32b):
    settings = {"gradient_checkpointing": False}
    full, fused = (memory.plan(qwen_32b, Training(8192, logits=x, **settings), H100) for x in ("full", "fused"))
    assert parts(full)["loss"] - 12 * 8192 * 152064 == 8192 * (6 * 5120 + 4) + 4 * 8192 * 5120
    assert parts(fused)["loss"] < parts(full)["loss"] / 2


def test_offloaded_activations_leave_five_layers_on_the_gpu_and_take_powers_of_two_of_the_host(qwen_32b):
    """Each layer's input is 32,768 x 5120 x 2 bytes = 320 MiB, pinned as 512 MiB, by 8 processes of a node."""
    accumulated = {"accumulation_steps": 2, "sync_each_batch": True}  # so that the worst moment is in the last layer
    plan = memory.plan(qwen_32b, Training(32_768, activation_offloading=True, **accumulated), H100)
    assert parts(plan)["activations kept"] == 5 * 320 * 2**20 + 2 * 2 * 128 * 32_768
    assert of_host(plan) == 8 * 64 * 512 * 2**20


def test_a_simulated_step_of_the_32b_shape_peaks_where_the_plan_says(monkeypatch):
    """Two layers on 16 fake ranks, run by the code of torch, accelerate and TRL: within 1 %."""
    pytest.importorskip("trl", minversion="1.15")  # for its fused loss
    monkeypatch.syspath_prepend(str(Path(__file__).parents[2] / "benchmarks"))
    import training_memory as benchmark

    config, _ = memory.read_config(NAME_32B)
    config.num_hidden_layers = 2
    training = Training(20_000, sync_each_batch=True)
    predicted = benchmark.predicted(memory.plan(memory.decoder_shape(config), training, H100))
    assert benchmark.simulate(config, training, H100) == pytest.approx(predicted, rel=0.01)


def test_gpus_that_share_a_row_keep_a_part_of_it_and_see_the_keys_of_all(qwen_32b):
    training = Training(262_144, sync_each_batch=True, accumulation_steps=2)
    alone, shared = (memory.plan(qwen_32b, training, replace(H100, context=c)) for c in (1, 8))
    assert parts(shared)["activations kept"] * 8 == parts(alone)["activations kept"]
    assert parts(shared)["keys of other GPUs"] == 4 * 2 * 1024 * 262_144
    assert parts(shared)["weights"] == parts(alone)["weights"]  # FSDP divides them by all 16
    assert shared.gpu.low < shared.gpu.total < shared.gpu.high


def test_gpus_that_share_matrices_hold_a_part_of_every_layer_and_the_whole_embedding(qwen_32b):
    training = Training(9_109, sync_each_batch=True, accumulation_steps=2)
    at = parts(memory.plan(qwen_32b, training, replace(H100, tensor=2)))
    embeddings = 2 * 152_064 * 5_120 + 5_120
    assert at["weights"] == 4 * ((P - embeddings) // 2 + embeddings) // 8


def test_zero_3_takes_16_bytes_a_parameter_its_buckets_and_what_it_lets_live(qwen_32b):
    machine = Machine("m", 16, H100.gpu_memory, nodes=2, sharding="zero", zero=Zero(3))
    at = parts(memory.plan(qwen_32b, Training(9_109, accumulation_steps=2), machine))
    assert (at["weights"], at["gradients"], at["optimizer state"]) == (2 * P // 16, 2 * P // 16, 12 * P // 16)
    assert at["gathered weights"] == 2 * 1_050_000_000
    assert at["DeepSpeed's buckets"] == 2 * (500_000_000 + 5120 * 27648)


def test_zero_2_keeps_the_weights_whole_and_casts_its_gradients_for_the_step(qwen_32b):
    machine = Machine("m", 8, H100.gpu_memory, sharding="zero", zero=Zero(2), one_loads=False)
    plan = memory.plan(qwen_32b, Training(128), machine)
    at = parts(plan)
    assert (at["weights"], at["optimizer state"]) == (2 * P, 12 * P // 8)
    assert plan.moment == "optimizer step" and at["optimizer step"] == 4 * (P // 8)


def test_liger_keeps_less_in_a_layer(qwen_32b):
    """8 h instead of 16 h + ..., and 6 i instead of 8 i."""
    plain, liger = (memory.plan(qwen_32b, Training(20_000, liger=x), H100) for x in (False, True))
    less = 20_000 * (8 * 5120 + 2 * 27648)
    assert parts(plain)["activations of one layer"] - parts(liger)["activations of one layer"] == less
