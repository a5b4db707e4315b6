"""The moments of a step: by hand, and compared with a simulated step."""

from pathlib import Path

import pytest
from fine_tunes import GIB, H100, NAME_32B, parts

from s1_hf import memory
from s1_hf.memory import Training


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
    used = sum(size for name, size in at.items() if name != "allowance")
    assert at["allowance"] == 2 * GIB + int(0.04 * used)


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
    assert plan.host == 8 * 64 * 512 * 2**20


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
