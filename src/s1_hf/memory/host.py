"""Host memory of one node: while the model is read, trained, saved and merged."""

from __future__ import annotations

from s1_hf.memory.machine import Machine
from s1_hf.memory.parts import Need, Part
from s1_hf.memory.state import State
from s1_hf.memory.training import Training

# Of a process with torch, CUDA and the libraries of training: assumed, not measured by us on a GPU machine.
_PROCESS = (2 * 2**30, 3 * 2**30, 6 * 2**30)


def host_need(state: State, machine: Machine, training: Training, activations: int, all_parameters: int) -> Need:
    """What one node needs at its worst moment.

    - reading: the weights, in one process or in each, in the dtype in which they are trained;
    - training: what FSDP or DeepSpeed offloads, pinned, of which torch may round every block up to a power of two;
      pages of an optimizer's state that do not fit on the GPU; offloaded activations;
    - saving: the saving process gathers the trained weights and casts them to the dtype in which they are saved; with
      adapters it gathers the base too, where that is sharded;
    - merging: the base, read anew on the main process, and the same weights cast for saving.

    Args:
        activations (`int`): bytes of activations that one process offloads.
        all_parameters (`int`): number of parameters of the whole model.
    """
    local, staying = machine.gpus_per_node, _offloaded(state, machine)
    low, expected, high = (each * local for each in _PROCESS)
    processes = Part("processes", expected, f"{local} processes, about 3 GiB each", low, high)
    weights = machine.tensor * (state.trained * state.trained_width + state.frozen_bytes())
    copies = 1 if machine.one_loads else local
    moments = {
        "reading the weights": [
            Part("weights read", weights * copies, f"the whole model x {copies}"),
            *([staying] if machine.offload or (machine.zero and machine.zero.offload_weights) else []),
        ],
        "training": [
            staying,
            Part("offloaded activations", activations * local, f"{local} processes, blocks of powers of two"),
            *_paged(state, machine),
        ],
        "saving": [staying, *_gathered(state, training, machine, all_parameters), *_paged(state, machine)],
    }
    if training.merge_adapter and training.lora is not None:
        merged = all_parameters * (2 if training.dtype == "bfloat16" else 4)
        cast = all_parameters * training.save_width if training.save_width != merged // all_parameters else 0
        moments["merging the adapter"] = [
            staying,
            Part("the base, read anew", merged, "on the main process, beside the model in training"),
            Part("merged weights, cast", cast, f"to {training.save_width} B each"),
        ]
    at = {name: tuple(part for part in parts if part.bytes) for name, parts in moments.items()}
    worst = max(at, key=lambda name: sum(part.bytes for part in at[name]))
    return Need(worst, (processes, *at[worst]), machine.host_memory)


def _offloaded(state: State, machine: Machine) -> Part:
    """Weights, gradients and optimizer state that live on the host."""
    share, zero, w = machine.gpus_per_node / machine.shards, machine.zero, state.trained_width
    size = 0
    if machine.offload:
        size = state.trained * 2 * w + state.frozen_bytes() + state.optimizer_bytes()
    elif zero is not None:
        if zero.offload_optimizer:  # gradients as they are sent, and float32 for the step
            size += state.optimizer_bytes() + (w + 4) * state.trained
        if zero.offload_weights:
            size += state.trained * w + state.frozen_bytes()
    size = int(size * share)
    return Part("offloaded", size, "weights, gradients and optimizer state, pinned", size, int(1.5 * size))


def _paged(state: State, machine: Machine) -> list[Part]:
    if not state.optimizer.paged:
        return []
    size = state.optimizer_bytes() * machine.gpus_per_node // machine.shards
    return [Part("paged optimizer state", size, "if the GPUs are full", low=0, high=size)]


def _gathered(state: State, training: Training, machine: Machine, all_parameters: int) -> list[Part]:
    if machine.shards == 1 or (machine.zero is not None and machine.zero.stage < 3):
        return []  # they are on the GPU, and written from there
    if training.lora is None:
        each = state.trained_width + (training.save_width if training.save_width != state.trained_width else 0)
        return [Part("gathered weights", all_parameters * each, f"x {each} B, as trained and as saved")]
    return [Part("gathered weights", machine.tensor * state.frozen_bytes(), "the base, with the adapter")]
