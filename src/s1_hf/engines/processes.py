"""The processes of one launch."""

import os


def is_main() -> bool:
    """Whether this process speaks and writes for its launch; known before the processes have found each other."""
    return os.environ.get("RANK", "0") == "0"


def launched() -> int:
    """How many processes the launcher has started, on all machines together; 1 without one."""
    return int(os.environ.get("WORLD_SIZE", "1"))


def how_many() -> str | None:
    """What the main process says about their number; nothing where `accelerate launch` did not start it.

    Where it finds no second GPU, `accelerate launch --num_processes 2` starts one process without a word.
    """
    if "ACCELERATE_DYNAMO_USE_FULLGRAPH" not in os.environ or not is_main():  # only accelerate's launchers set it
        return None
    count = launched()
    if count > 1:
        return f"Runs in {count} processes."
    # Only when it was asked for several does the launcher of one process name a port.
    if "MASTER_PORT" in os.environ and "WORLD_SIZE" not in os.environ:
        return (
            "Runs in 1 process: `accelerate launch` was asked for several, but found no second GPU. Several on CPUs: "
            "ACCELERATE_USE_CPU=true torchrun --nproc-per-node 2 -m ..."
        )
    return "Runs in 1 process."


def check_together(count: int) -> None:
    """Refuse processes that were launched together and do not know of each other: each would do everything.

    Args:
        count (`int`): how many this process knows of, itself included.

    Raises:
        ValueError: they do not.
    """
    if count == 1 and launched() > 1:
        raise ValueError(
            f"{launched()} processes were launched, but they cannot work together: accelerate found no GPU for each of "
            "them. For CPUs, set ACCELERATE_USE_CPU=true."
        )


def devices() -> int:
    """How many accelerators this machine has."""
    import torch

    return torch.accelerator.device_count()


def check_devices() -> None:
    """Refuse more processes of a launch on this machine than it has accelerators; with none, all are on the CPU.

    Raises:
        ValueError: there are. Each process would say only that its device is invalid.
    """
    here, found = int(os.environ.get("LOCAL_WORLD_SIZE", "1")), devices()
    uses_cpu = os.environ.get("ACCELERATE_USE_CPU", "false").lower() in ("true", "1", "yes")
    if 0 < found < here and not uses_cpu:
        raise ValueError(
            f"{here} processes were launched on this machine, but it has {found} GPUs. Give `accelerate launch` "
            f"`--num_processes {found}` (of all machines together), or another `--config_file`."
        )


def part() -> None:
    """Leave them, at the end of a command that has succeeded: a process that just exits may crash in it."""
    import torch.distributed as distributed

    if distributed.is_available() and distributed.is_initialized():
        distributed.destroy_process_group()
