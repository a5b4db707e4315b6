"""What the processes of a launch say of themselves."""

import os
import subprocess
import sys

import pytest

from s1_hf.engines import processes
from s1_hf.engines.processes import check_devices, check_together, how_many, is_main

ASKED = "from s1_hf.engines.processes import how_many; print(how_many())"


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--num_processes", "1"], "Runs in 1 process."),
        (["--num_processes", "2", "--cpu"], "Runs in 1 process: `accelerate launch` was asked for several"),
        (["--num_processes", "2", "--multi_gpu", "--main_process_port", "0"], "Runs in 2 processes."),
    ],
)
def test_a_launch_by_accelerate_says_in_how_many_processes_it_runs(tmp_path, arguments, said):
    pytest.importorskip("accelerate")
    (tmp_path / "ask.py").write_text(ASKED)
    command = [sys.executable, "-m", "accelerate.commands.launch", "--num_machines", "1", *arguments, "ask.py"]
    environment = {name: value for name, value in os.environ.items() if not name.startswith("ACCELERATE")}
    environment |= {"PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True)
    assert done.returncode == 0 and done.stdout.count("Runs") == 1 and said in done.stdout, done.stdout + done.stderr


def test_nothing_is_said_without_accelerates_launcher(monkeypatch):
    monkeypatch.delenv("ACCELERATE_DYNAMO_USE_FULLGRAPH", raising=False)
    assert how_many() is None and is_main()


def test_processes_that_know_nothing_of_each_other_are_refused(monkeypatch):
    """On a machine without a GPU accelerate makes no group of them unless it is told so: each would do everything."""
    check_together(1)
    monkeypatch.setenv("WORLD_SIZE", "2")
    check_together(2)
    with pytest.raises(ValueError, match="2 processes were launched, .* set ACCELERATE_USE_CPU=true"):
        check_together(1)


def test_more_processes_on_a_machine_than_it_has_gpus_are_refused(monkeypatch):
    """Of which torch says that a device ordinal is invalid."""
    monkeypatch.setattr(processes, "devices", lambda: 4)
    monkeypatch.setenv("LOCAL_WORLD_SIZE", "4")
    check_devices()
    monkeypatch.setenv("LOCAL_WORLD_SIZE", "8")
    with pytest.raises(ValueError, match="8 processes were launched on this machine, but it has 4 GPUs.*processes 4`"):
        check_devices()
    monkeypatch.setenv("ACCELERATE_USE_CPU", "true")
    check_devices()
    monkeypatch.setattr(processes, "devices", lambda: 0)
    monkeypatch.delenv("ACCELERATE_USE_CPU")
    check_devices()
