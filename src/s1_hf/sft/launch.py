"""Start a recipe on a machine, through `accelerate launch`."""

from __future__ import annotations

import logging
import os
import signal
import subprocess
from collections.abc import Iterable, Mapping
from pathlib import Path

import psutil
import yaml
from accelerate.commands.launch import launch_command, launch_command_parser

from s1_hf.finding import RECIPES, find
from s1_hf.sft.recipe import read_recipe

logger = logging.getLogger(__name__)

MACHINES = RECIPES / "accelerate"
_REFUSED, _INTERRUPTED = 2, 130  # exit codes of `python -m s1_hf.sft`


def find_machine(source: str | Path) -> Path:
    """The accelerate config of a machine, by its name (`"2x8-h100"`) or path.

    Raises:
        ValueError: there is none; the message lists the names.
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
) -> None:
    """Run `python -m s1_hf.sft recipe ...` in the processes that `machine` says; returns when they have ended.

    Args:
        machine_rank, main_process_ip (*optional*): of several machines, which one this is (0 is the main one), and
            the main one's address. Under Slurm, with one task a machine, both are known.
        main_process_port (`int`, *optional*, defaults to 29500): a free port of the main machine.

    Raises:
        ValueError: the recipe or machine cannot be read, or several machines are meant and it is not said which is
            which.
        SystemExit: a process has failed, and said why: its exit code. KeyboardInterrupt: all were ended by Ctrl-C.
    """
    config = find_machine(machine)
    overrides = list(overrides)
    read = read_recipe(recipe, overrides)  # its errors once, not in every process
    command = ["--config_file", str(config)]
    content = yaml.safe_load(config.read_text(encoding="utf-8"))
    machines = content.get("num_machines", 1)
    if read.values["dry_run"]:
        from s1_hf.sft.run import start

        start(recipe, overrides, content.get("num_processes", 1))  # here, for the processes that would be
        return
    if machine_rank is not None and not 0 <= machine_rank < machines:
        raise ValueError(
            f"`--machine-rank` has to be from 0 to {machines - 1} on {config.stem}, but is {machine_rank}."
        )
    if machines > 1:
        slurm = _slurm(os.environ)
        rank = slurm.get("machine_rank") if machine_rank is None else machine_rank
        address = main_process_ip or slurm.get("main_process_ip")
        if rank is None or address is None:
            raise ValueError(
                f"{config.stem} is {machines} machines, so `--machine-rank` (0 on the main one, up to {machines - 1}) "
                "and `--main-process-ip` (the main one's address) have to be given, and the command run on each of "
                "them. Under Slurm, `srun --ntasks-per-node=1 s1-hf sft ...` finds both by itself."
            )
        command += ["--machine_rank", str(rank), "--main_process_ip", str(address)]
        command += ["--main_process_port", str(main_process_port or 29500)]
    arguments = [*command, "-m", "s1_hf.sft", recipe, *overrides]
    _run(arguments)


def _run(arguments: list[str]) -> None:
    """accelerate's launcher without its tracebacks, which are about the launcher."""
    from torch.distributed.elastic.multiprocessing.api import SignalException
    from torch.distributed.elastic.multiprocessing.errors import ChildFailedError

    try:
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
        code = error.get_first_failure()[1].exitcode
        if code not in (_REFUSED, _INTERRUPTED):
            logger.error("%s", error)  # which process failed, and when
    if code == _INTERRUPTED:
        raise KeyboardInterrupt
    raise SystemExit(code if code >= 0 else 128 - code)


def _wait_for_children() -> None:
    """Ctrl-C reaches all processes of a terminal; a signal to this one alone is handed on."""
    children = psutil.Process().children()
    for child in psutil.wait_procs(children, timeout=10)[1]:
        child.send_signal(signal.SIGINT)
    psutil.wait_procs(children, timeout=60)


def _slurm(environment: Mapping[str, str]) -> dict[str, str]:
    """What Slurm says of this machine, if it started the process."""
    if "SLURM_NODEID" not in environment or "SLURM_JOB_NODELIST" not in environment:
        return {}
    listing = ["scontrol", "show", "hostnames", environment["SLURM_JOB_NODELIST"]]
    hosts = subprocess.run(listing, capture_output=True, text=True, check=True).stdout.split()
    return {"machine_rank": environment["SLURM_NODEID"], "main_process_ip": hosts[0]}
