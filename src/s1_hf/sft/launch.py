"""Run a recipe on a machine, through `accelerate launch`."""

from __future__ import annotations

import logging
import os
import signal
import socket
import subprocess
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import psutil
from accelerate import ParallelismConfig
from accelerate.commands.launch import launch_command, launch_command_parser

from s1_hf.engines.processes import devices
from s1_hf.finding import RECIPES, find
from s1_hf.isolation import isolated_children
from s1_hf.memory.machine_file import PROCESSES
from s1_hf.records import check, read_yaml
from s1_hf.sft.checking import data_parallel_ranks
from s1_hf.sft.guards import context_faults, refuse
from s1_hf.sft.packages import machine_faults
from s1_hf.sft.recipe import read_recipe

logger = logging.getLogger(__name__)

MACHINES = RECIPES / "accelerate"
_REFUSED, _INTERRUPTED = 2, 130  # exit codes of `python -m s1_hf.sft`


def find_machine(source: str | Path) -> Path:
    """The accelerate config of a machine, by its name (`"2x8-h100"`) or path.

    Raises:
        ValueError: the machine does not exist; the message lists those that do.
    """
    return find(source, MACHINES, "machine")


def launch(
    recipe: str,
    machine: str,
    overrides: Iterable[str] = (),
    *,
    machine_rank: int | None = None,
    main_process_ip: str | None = None,
    main_process_port: int | None = None,
    num_processes: int | None = None,
) -> None:
    """Run `python -m s1_hf.sft recipe ...` in the processes that `machine` defines, and wait for them to finish.

    Args:
        machine_rank, main_process_ip (*optional*): with several machines, the rank of this one (0 is the main machine)
            and the address of the main machine. Under Slurm, with one task per machine, both are detected.
        main_process_port (`int`, *optional*, defaults to 29500): a free port on the main machine.
        num_processes (`int`, *optional*): of all machines together, instead of the number that `machine` says.

    Raises:
        ValueError: the recipe or machine cannot be read; this machine has too few GPUs; or there are several machines
            and their ranks or the main address are unknown.
        SystemExit: a process failed after printing why; the code is its exit code. KeyboardInterrupt: Ctrl-C ended all
            processes.
    """
    config = find_machine(machine)
    overrides = list(overrides)
    read = read_recipe(recipe, overrides)  # so that its errors appear once, not in every process
    command = ["--config_file", str(config)]
    content = read_yaml(config)
    check(content, {}, str(config), optional=PROCESSES, remedy="`accelerate config` writes such a file.")
    machines, processes = content.get("num_machines", 1), content.get("num_processes", 1)
    if num_processes is not None:
        processes = num_processes
        command += ["--num_processes", str(num_processes)]
    _check_numbers(config.stem, machines, processes, machine_rank, main_process_ip, main_process_port)
    parallelism = _parallelism(content.get("parallelism_config"))
    refuse([*context_faults(read.values, parallelism.cp_size), *machine_faults(content)])
    if read.values["dry_run"]:
        from s1_hf.sft.run import start

        # In this process, on behalf of all of them.
        start(recipe, overrides, data_parallel_ranks(processes, parallelism))
        return
    if not content.get("use_cpu") and content.get("distributed_type") not in ("XLA", "TPU"):
        _check_gpus(config.stem, processes // machines)
    if machines > 1:
        slurm = _slurm(os.environ)
        rank = slurm.get("machine_rank") if machine_rank is None else machine_rank
        address = main_process_ip or slurm.get("main_process_ip")
        if rank is None or address is None:
            raise ValueError(
                f"{config.stem} has {machines} machines: run the command on each of them, with `--machine-rank` (0 on "
                f"the main machine, up to {machines - 1}) and `--main-process-ip` (the address of the main machine). "
                "Under Slurm, `srun --ntasks-per-node=1 s1-hf sft ...` detects both."
            )
        command += ["--machine_rank", str(rank), "--main_process_ip", str(address)]
        main_process_port = main_process_port or 29500
    if main_process_port is not None:
        command += ["--main_process_port", str(main_process_port)]
    arguments = [*command, "-m", "s1_hf.sft", recipe, *overrides]
    _run(arguments)


def _parallelism(content: dict[str, Any] | None) -> ParallelismConfig:
    named = {name.removeprefix("parallelism_config_"): size for name, size in (content or {}).items()}
    return ParallelismConfig(**{name: int(named.get(name, 1)) for name in ("tp_size", "cp_size", "sp_size")})


def _check_numbers(
    name: str, machines: int, processes: int, rank: int | None, address: str | None, port: int | None
) -> None:
    faults = []
    if rank is not None and not 0 <= rank < machines:
        faults.append(f"`--machine-rank` has to be from 0 to {machines - 1} on {name}, but is {rank}.")
    if processes < 1 or processes % machines:
        faults.append(
            f"`--num-processes` has to be a multiple of the {machines} machines of {name}, but is {processes}."
        )
    if port is not None and not 0 <= port < 65536:
        faults.append(f"`--main-process-port` has to be from 0 to 65535, but is {port}.")
    if address is not None and not _is_known(address):
        faults.append(f"`--main-process-ip` has to be the main machine's address, but {address!r} is not known.")
    if faults:
        raise ValueError("\n".join(faults))


def _is_known(address: str) -> bool:
    """Otherwise torch would ask for it again and again."""
    try:
        socket.getaddrinfo(address, None)
    except OSError:
        return False
    return True


def _check_gpus(name: str, wanted: int) -> None:
    found = devices()
    if found < wanted:
        fewer = "`--num-processes` for fewer of them (of all machines together), " if found else ""
        raise ValueError(
            f"{name} needs {wanted} GPUs on each machine, but this one has {found}. Choose {fewer}another `--machine` "
            "(`cpu` needs none), or `--dry_run true` to make the checks alone."
        )


def _run(arguments: list[str]) -> None:
    """Run accelerate's launcher, without tracebacks of the launcher itself."""
    from torch.distributed.elastic.multiprocessing.api import SignalException
    from torch.distributed.elastic.multiprocessing.errors import ChildFailedError

    try:
        with isolated_children():
            launch_command(launch_command_parser().parse_args(arguments))
        return
    except KeyboardInterrupt:
        _wait_for_children()
        raise
    except SignalException as error:
        code = 128 + error.sigval
    except subprocess.CalledProcessError as error:
        code = error.returncode
    except ChildFailedError as error:
        codes = [failure.exitcode for failure in error.failures.values()]
        # The others are sent SIGTERM when one has failed.
        code = next((code for code in codes if code != -signal.SIGTERM), codes[0])
        if code not in (_REFUSED, _INTERRUPTED):
            logger.error("%s", error)  # which process failed, and when
    if code == _INTERRUPTED:
        raise KeyboardInterrupt
    if code < 0:
        logger.error("Error: %s", _killed(-code))
    raise SystemExit(code if code >= 0 else 128 - code)


def _killed(number: int) -> str:
    """A process that a signal has ended said nothing itself."""
    name = signal.Signals(number).name if number in set(signal.Signals) else f"signal {number}"
    reasons = {
        "SIGKILL": "which is what the system does when the host's memory is used up (`dmesg` tells; `s1-hf plan` says "
        "how much a run needs)",
        "SIGTERM": "as a scheduler does at the end of a job's time",
        "SIGBUS": "which often means that /dev/shm is full",
    }
    why = reasons.get(name, "a crash in a library")
    return f"A training process was ended by {name}, {why}. Checkpoints are kept: rerun the same command to resume."


def _wait_for_children() -> None:
    """Ctrl-C in a terminal reaches all processes; a signal sent only to this one is passed on."""
    children = psutil.Process().children()
    for child in psutil.wait_procs(children, timeout=10)[1]:
        child.send_signal(signal.SIGINT)
    psutil.wait_procs(children, timeout=60)


def _slurm(environment: Mapping[str, str]) -> dict[str, str]:
    """The rank of this machine and the main address, if Slurm started the process."""
    if "SLURM_NODEID" not in environment or "SLURM_JOB_NODELIST" not in environment:
        return {}
    listing = ["scontrol", "show", "hostnames", environment["SLURM_JOB_NODELIST"]]
    hosts = subprocess.run(listing, capture_output=True, text=True, check=True).stdout.split()
    return {"machine_rank": environment["SLURM_NODEID"], "main_process_ip": hosts[0]}
