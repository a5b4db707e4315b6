"""Settings of the whole test run, and processes that hold a folder."""

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import torch

from s1_hf.vllm.installed import check_installed

torch.set_num_threads(1)  # the models are toys: a second thread only waits

try:
    check_installed()
except ModuleNotFoundError:
    if "S1_HF_TESTS_NEED_VLLM" in os.environ:  # of `make test-vllm`, which is not to pass by skipping
        raise
    sys.modules["vllm"] = None  # type: ignore[assignment]  # TRL would take the folder tests/vllm for it


@pytest.fixture
def hold() -> Iterator[Callable[[Path], subprocess.Popen]]:
    """Starts a process that holds a folder, as a run does, until it is killed."""
    code = "import sys, time; from s1_hf.engines.locking import exclusive\n"
    code += "with exclusive(sys.argv[1]): print('held', flush=True); time.sleep(600)"
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    started = []

    def start(folder: Path) -> subprocess.Popen:
        command = [sys.executable, "-c", code, str(folder)]
        started.append(subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment))
        assert started[-1].stdout.readline() == "held\n"
        return started[-1]

    yield start
    for process in started:
        process.kill()
        process.communicate()
