"""Host memory: reading, training, saving, merging."""

from dataclasses import replace

from fine_tunes import H100, H200, P, of_host

from s1_hf import memory
from s1_hf.memory import Lora, Machine, Training, Zero

LORA = Training(1024, dtype="bfloat16", lora=Lora())


def test_every_process_reads_the_weights_unless_one_does_it_for_all(qwen_32b):
    every = memory.plan(qwen_32b, Training(1024), replace(H100, one_loads=False))
    assert every.host.moment == "reading the weights" and of_host(every) == 8 * 4 * P
    assert of_host(memory.plan(qwen_32b, Training(1024), H100)) < 2 * 4 * P


def test_merging_takes_the_base_once_more_and_what_is_cast(qwen_32b):
    plain, merged, in_float32 = (
        memory.plan(qwen_32b, training, H200)
        for training in (LORA, replace(LORA, merge_adapter=True), replace(LORA, merge_adapter=True, save_width=4))
    )
    assert plain.host.moment == "reading the weights"
    assert merged.host.moment == in_float32.host.moment == "merging the adapter" or of_host(merged) == of_host(plain)
    assert of_host(in_float32) == (2 + 4) * P


def test_deepspeed_offloads_weights_gradients_twice_and_the_optimizer(qwen_32b):
    """2 + (2 + 4) + 12 bytes; of all, because one node has all eight GPUs."""
    machine = Machine("m", 8, H100.gpu_memory, sharding="zero", zero=Zero(3, True, True))
    plan = memory.plan(qwen_32b, Training(1024), machine)
    assert {part.name: part.bytes for part in plan.host.parts}["offloaded"] == 20 * P


def test_the_verdict_is_the_worse_of_gpu_and_host_and_says_nothing_of_an_unknown_host(qwen_32b):
    unknown = memory.plan(qwen_32b, Training(9_109), H100)
    assert (unknown.gpu.verdict, unknown.host.verdict, unknown.verdict) == ("fits", None, "fits")
    host = unknown.host
    for there, verdict in ((host.high, "fits"), (host.high - 1, "tight"), (host.low - 1, "does not fit")):
        plan = memory.plan(qwen_32b, Training(9_109), replace(H100, host_memory=there))
        assert (plan.gpu.verdict, plan.verdict) == ("fits", verdict)
        assert f"{host.low / 2**30:,.1f} and" in plan.host.words
