"""Predict the GPU memory of a fine-tune before it starts, by formulas checked against what torch really keeps.

    shape = decoder_shape(config)
    forecast = plan(shape, Training(max_length=20_000), Machine("2x8-h100", gpus=16, gpu_memory=gpu_memory("h100")))
    forecast.verdict, forecast.total

`shape` reads a model's dimensions from its config, `training` and `machine` describe the run and its hardware, and
`fields` and `machine_file` read them from a recipe and from accelerate's and DeepSpeed's files. `activations` holds the
formulas for a layer, `state` those for weights and optimizer, `host` those for host memory; `moments` adds them up at
each moment of a step, `planning` takes the worst, `parts` says how sure it is, and `advice` plans again with one
setting changed. All numbers are bytes; GiB are for display only.
"""

from s1_hf.memory.advice import Suggestion, longest_length, suggestions
from s1_hf.memory.fields import training_from_recipe, with_deepspeed
from s1_hf.memory.machine import Machine, Zero, gpu_memory, machine_of
from s1_hf.memory.machine_file import machine_from_accelerate
from s1_hf.memory.parts import Need, Part, Verdict
from s1_hf.memory.planning import MemoryPlan, checkpoint_bytes, plan
from s1_hf.memory.shape import DecoderShape, decoder_shape, read_config
from s1_hf.memory.training import Lora, Training

__all__ = [
    "DecoderShape",
    "Lora",
    "Machine",
    "MemoryPlan",
    "Need",
    "Part",
    "Suggestion",
    "Training",
    "Verdict",
    "Zero",
    "checkpoint_bytes",
    "decoder_shape",
    "gpu_memory",
    "longest_length",
    "machine_from_accelerate",
    "machine_of",
    "plan",
    "read_config",
    "suggestions",
    "training_from_recipe",
    "with_deepspeed",
]
