"""Models, machines and settings for the tests of memory."""

from s1_hf import memory
from s1_hf.memory import Machine

NAME_32B, NAME_7B = "Qwen/Qwen2.5-32B-Instruct", "Qwen/Qwen2.5-7B-Instruct"
P = 32_763_876_352  # parameters of the 32B model
GIB = 2**30
H100 = Machine("2x8-h100", 16, memory.gpu_memory("h100"), nodes=2)
H200 = Machine("1x1-h200", 1, memory.gpu_memory("h200"), sharding="none")
ORIGINAL = {"gradient_checkpointing": False, "logits": "full"}
ACCELERATE = """
distributed_type: FSDP
num_machines: 2
num_processes: 16
fsdp_config: {fsdp_version: 2, fsdp_reshard_after_forward: true, fsdp_offload_params: false}
"""


def parts(plan):
    """The bytes of a plan's parts, by name."""
    return {part.name: part.bytes for part in plan.parts}


def of_host(plan):
    """The bytes of host memory without those of the processes themselves."""
    return sum(part.bytes for part in plan.host.parts if part.name != "processes")
