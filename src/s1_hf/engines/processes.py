"""The processes of one launch."""

from __future__ import annotations

import os
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from s1_hf._lazy import require

if TYPE_CHECKING:
    import torch

_ANY_TIME = timedelta(days=30)  # a process may wait that long for the slowest one


class Launch:
    """This process among those that were launched together; accelerate is imported only where a launcher was at work.

    Raises:
        ValueError: several were launched, and they cannot work together.
    """

    def __init__(self) -> None:
        self._accelerator: Any = None
        if any(name == "WORLD_SIZE" or name.startswith("ACCELERATE_") for name in os.environ):
            accelerate = require("accelerate", "eval")
            handlers = [accelerate.InitProcessGroupKwargs(timeout=_ANY_TIME)]
            self._accelerator = accelerate.Accelerator(kwargs_handlers=handlers)
        check_together(self.count)

    @property
    def number(self) -> int:
        """Of this process; the main one's is 0."""
        return 0 if self._accelerator is None else int(self._accelerator.process_index)

    @property
    def count(self) -> int:
        """How many there are."""
        return 1 if self._accelerator is None else int(self._accelerator.num_processes)

    @property
    def is_main(self) -> bool:
        """Whether this one speaks and writes for all."""
        return self.number == 0

    @property
    def device(self) -> torch.device | None:
        """This process's own; `None`: nobody has given it one."""
        return None if self._accelerator is None else self._accelerator.device

    def wait(self) -> None:
        """Continue when all processes have come here."""
        if self._accelerator is not None:
            self._accelerator.wait_for_everyone()

    def gather(self, own: list[Any]) -> list[Any]:
        """The lists of all processes as one, in each of them."""
        if self._accelerator is None:
            return own
        return list(require("accelerate.utils", "eval").gather_object(own))


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
