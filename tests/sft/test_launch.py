"""From a recipe and a machine to the processes that train."""

import socket
import subprocess
import sys
from types import SimpleNamespace

import pytest

pytest.importorskip("trl")
pytest.importorskip("typer")
pytest.importorskip("datasets")

import psutil
import yaml
from accelerate import ParallelismConfig
from accelerate.commands.config import load_config_from_file
from accelerate.commands.launch import _validate_launch_command, launch_command_parser
from accelerate.utils import FullyShardedDataParallelPlugin, patch_environment
from accelerate.utils.launch import prepare_multi_gpu_env
from torch.distributed.elastic.multiprocessing.errors import ChildFailedError, ProcessFailure
from torch.distributed.fsdp import CPUOffloadPolicy
from typer.testing import CliRunner

from s1_hf.cli import app
from s1_hf.sft import launch as module
from s1_hf.sft.launch import MACHINES, find_machine, launch
from s1_hf.sft.run import Refused

MACHINE_NAMES = sorted(path.stem for path in MACHINES.glob("*.yaml"))
SHARDED = [name for name in MACHINE_NAMES if ("x8-" in name or "x4-" in name) and "zero3" not in name]


def test_the_machines_of_the_readme_exist():
    ours = {"2x8-h100", "1x8-h100", "1x8-h200", "1x4-h200", "1x1-h100", "1x1-h200", "1x1-rtx4090", "cpu"}
    assert ours | {"1x8-cp8-h100", "1x8-zero3-h100"} == set(MACHINE_NAMES)


@pytest.mark.parametrize("name", MACHINE_NAMES)
def test_machine_is_known_to_accelerate_and_says_what_it_needs(name):
    path = find_machine(name)
    config = load_config_from_file(str(path))  # unknown keys are an error
    machines, _, per_machine = name.partition("-")[0].partition("x")
    if name != "cpu":
        assert (config.num_machines, config.num_processes) == (int(machines), int(machines) * int(per_machine))
    first, hardware, measured = path.read_text().splitlines()[:3]
    assert first.startswith("# Requires accelerate 1.")
    assert hardware.startswith("# Hardware: ")
    assert measured.startswith(("# Measured", "# Not run"))


@pytest.mark.parametrize("name", SHARDED)
def test_machine_builds_the_fsdp_plugin_it_means(name):
    """The environment set by `accelerate launch`, and what the processes read from it."""
    content = yaml.safe_load(find_machine(name).read_text())
    arguments = ["--config_file", str(find_machine(name)), "--machine_rank", "0", "--main_process_ip", "10.0.0.1"]
    with socket.create_server(("127.0.0.1", 0)) as server:  # accelerate refuses a port that is in use
        port = server.getsockname()[1]
    arguments += ["--main_process_port", str(port), "-m", "s1_hf.sft", "sft"]
    args, *_ = _validate_launch_command(launch_command_parser().parse_args(arguments))
    assert args.use_fsdp and args.module
    with patch_environment(**prepare_multi_gpu_env(args)):
        plugin, parallelism = FullyShardedDataParallelPlugin(), ParallelismConfig()
    assert (parallelism.cp_size, parallelism.tp_size) == (8 if "cp8" in name else 1, 1)
    assert plugin.fsdp_version == 2
    assert plugin.reshard_after_forward is True
    assert plugin.activation_checkpointing is False  # the recipes' own; both at once is an error of the trainer
    assert plugin.cpu_ram_efficient_loading is True
    assert "SHARDED_STATE_DICT" in str(plugin.state_dict_type)
    assert isinstance(plugin.cpu_offload, CPUOffloadPolicy) is content["fsdp_config"]["fsdp_offload_params"]


def test_the_machine_with_deepspeed_shards_everything_and_can_save():
    config = str(find_machine("1x8-zero3-h100"))
    arguments = ["--config_file", config, "--main_process_port", "0", "-m", "s1_hf.sft", "sft"]
    args, *_ = _validate_launch_command(launch_command_parser().parse_args(arguments))
    assert args.use_deepspeed and int(args.zero_stage) == 3
    assert str(args.zero3_save_16bit_model).lower() == "true" and str(args.zero3_init_flag).lower() == "true"
    assert str(args.offload_optimizer_device) == str(args.offload_param_device) == "none"


def test_a_machine_whose_package_is_missing_is_refused_also_in_a_dry_run(launched, monkeypatch):
    monkeypatch.setattr("s1_hf.sft.packages.find_spec", lambda name: None)
    with pytest.raises(ValueError, match="one with DeepSpeed, which is not installed: pip install deepspeed"):
        launch("sft_embedded", "1x8-zero3-h100", ["--dry_run", "true"])
    assert launched == []


def test_context_parallelism_wants_rows_that_can_be_cut(launched):
    """Otherwise the first batch would end the run, in eight processes."""
    for fields in ([], ["--pad_to_multiple_of", "8"]):
        with pytest.raises(ValueError, match="multiple of 16 with `cp_size` 8, .*`--pad_to_multiple_of 16`"):
            launch("sft", "1x8-cp8-h100", fields)
    with pytest.raises(ValueError, match="`attn_implementation` has to be sdpa with context parallelism"):
        launch("sft", "1x8-cp8-h100", ["--pad_to_multiple_of", "16", "--attn_implementation", "flash_attention_2"])
    assert launched == []
    launch("sft", "1x8-cp8-h100", ["--pad_to_multiple_of", "32"])
    assert len(launched) == 1


@pytest.fixture
def launched(monkeypatch) -> list:
    """The arguments that accelerate's launcher was called with; nothing is launched."""
    calls: list = []
    monkeypatch.setattr(module, "launch_command", calls.append)
    monkeypatch.setattr(module, "devices", lambda: 8)
    for name in ("SLURM_NODEID", "SLURM_JOB_NODELIST"):
        monkeypatch.delenv(name, raising=False)
    return calls


def test_a_machine_is_launched_with_its_config_recipe_and_fields(launched):
    launch("sft", "1x8-h200", ["--learning_rate", "2e-5"])
    (args,) = launched
    assert args.config_file == str(MACHINES / "1x8-h200.yaml")
    assert args.module and args.training_script == "s1_hf.sft"
    assert args.training_script_args == ["sft", "--learning_rate", "2e-5"]


def test_two_machines_need_ranks_and_an_address(launched):
    with pytest.raises(ValueError, match="2x8-h100 has 2 machines: .*`--machine-rank`.*srun --ntasks-per-node=1"):
        launch("sft", "2x8-h100")
    launch("sft", "2x8-h100", machine_rank=1, main_process_ip="10.0.0.1")
    (args,) = launched
    assert (args.machine_rank, args.main_process_ip, args.main_process_port) == (1, "10.0.0.1", 29500)


@pytest.mark.parametrize(
    ("numbers", "said"),
    [
        ({"machine_rank": -1}, "`--machine-rank` has to be from 0 to 1 on 2x8-h100, but is -1"),
        ({"machine_rank": 2}, "`--machine-rank` has to be from 0 to 1 on 2x8-h100, but is 2"),
        ({"num_processes": 7}, "`--num-processes` has to be a multiple of the 2 machines of 2x8-h100, but is 7"),
        ({"num_processes": 0}, "`--num-processes` has to be a multiple of the 2 machines of 2x8-h100, but is 0"),
        ({"num_processes": 32}, "needs 16 GPUs on each machine, but this one has 8. Choose `--num-processes`"),
        ({"main_process_port": 65536}, "`--main-process-port` has to be from 0 to 65535, but is 65536"),
        ({"main_process_ip": "no.such.machine.invalid"}, "`--main-process-ip` .* 'no.such.machine.invalid' is not"),
    ],
    ids=str,
)
def test_numbers_that_cannot_be_are_refused(launched, numbers, said):
    with pytest.raises(ValueError, match=said):
        launch("sft", "2x8-h100", **{"machine_rank": 0, "main_process_ip": "10.0.0.1"} | numbers)
    assert launched == []


@pytest.mark.parametrize("machine", ["1x8-h100", "1x1-h100"])
def test_a_machine_without_gpus_is_refused_but_for_the_cpu_and_a_dry_run(launched, monkeypatch, machine):
    monkeypatch.setattr(module, "devices", lambda: 0)
    with pytest.raises(ValueError, match="GPUs on each machine, but this one has 0. Choose another `--machine` .`cpu`"):
        launch("sft", machine)
    assert launched == []
    launch("sft_embedded", "cpu")
    assert len(launched) == 1


def test_fewer_processes_and_a_port_are_passed_on_one_machine_too(launched):
    CliRunner().invoke(app, ["sft", "sft", "--machine", "1x8-h100", "--num_processes", "4", "--main_process_port", "0"])
    (args,) = launched
    assert (args.num_processes, args.main_process_port, args.training_script_args) == (4, 0, ["sft"])


def test_ranks_that_share_their_rows_are_not_counted_in_a_dry_run(launched, tmp_path):
    content = yaml.safe_load(find_machine("1x8-h200").read_text())
    content["parallelism_config"] = {"parallelism_config_cp_size": 4, "parallelism_config_tp_size": 1}
    (tmp_path / "mine.yaml").write_text(yaml.safe_dump(content))
    fields = ["--dry_run", "true", "--output_dir", str(tmp_path / "run"), "--pad_to_multiple_of", "8"]
    launch("sft_embedded", str(tmp_path / "mine.yaml"), [*fields, "--per_device_train_batch_size", "8"])
    with pytest.raises(Refused, match="16 x 2 processes = 32"):
        launch("sft_embedded", str(tmp_path / "mine.yaml"), fields)


def test_a_dry_run_stays_in_this_process_and_checks_for_the_machines_processes(launched, tmp_path):
    fields = ["--dry_run", "true", "--output_dir", str(tmp_path / "run"), "--per_device_train_batch_size", "1"]
    launch("sft_embedded", "1x8-h200", fields)
    with pytest.raises(Refused, match="16 x 8 processes = 128|has to be a multiple"):
        launch("sft_embedded", "1x8-h200", fields[:-2])
    assert launched == []


def test_under_slurm_rank_and_address_are_detected(launched, monkeypatch, tmp_path):
    scontrol = tmp_path / "scontrol"
    scontrol.write_text('#!/bin/sh\n[ "$*" = "show hostnames gpu[7-8]" ] && printf "gpu7\\ngpu8\\n"\n')
    scontrol.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    monkeypatch.setenv("SLURM_NODEID", "1")
    monkeypatch.setenv("SLURM_JOB_NODELIST", "gpu[7-8]")
    launch("sft", "2x8-h100")
    (args,) = launched
    assert (args.machine_rank, args.main_process_ip) == (1, "gpu7")


def test_a_bad_recipe_starts_no_process(launched):
    with pytest.raises(ValueError, match="Unknown fields in the command line: `sed`"):
        launch("sft", "1x8-h200", ["--sed", "1"])
    with pytest.raises(ValueError, match="There is no machine '1x8-h300'.*Did you mean '1x8-h"):
        launch("sft", "1x8-h300")
    assert launched == []


@pytest.mark.parametrize("recipe", [["sft"], ["--config", "sft"]])
def test_the_command_passes_on_machine_and_fields(launched, recipe):
    done = CliRunner().invoke(
        app, ["sft", *recipe, "--machine", "1x8-h100", "--num_train_epochs", "1", "--bf16", "false"]
    )
    assert done.exit_code == 0, done.output
    assert launched[0].training_script_args == ["sft", "--num_train_epochs", "1", "--bf16", "false"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["sft", "nothing"], "There is no recipe 'nothing'"),
        (["sft", "sft_embedded", "--machine", "moon"], "There is no machine 'moon'"),
        (["sft", "sft_embedded", "--machine-rank", "1"], "need `--machine`"),
        (["sft", "sft_embedded", "--max_length", "x"], "invalid int value: 'x'"),
        (["sft"], "A recipe has to come first"),
        (["sft", "--learning_rate", "1"], "A recipe has to come first"),
        (["sft", "sft", "--config", "sft"], "also has 'sft'"),
        (["sft", "sft", "--num_machines", "2"], "`num_machines` (is no field: give it to `s1-hf sft ... --machine`"),
        (["sft", "sft", "--dataset_name", "x"], "`dataset_name` (is a field of `trl sft`: set `dataset` to one of"),
    ],
)
def test_an_impossible_command_says_why(arguments, message, launched):
    done = CliRunner().invoke(app, arguments)
    assert done.exit_code != 0
    said = done.output + str(done.exception)
    assert message in " ".join(said.split()) and "Traceback" not in done.output
    assert launched == []


@pytest.mark.parametrize(("child", "code"), [(2, 2), (1, 1), (-9, 137), (130, 130)])
def test_a_process_that_fails_gives_its_exit_code_and_no_traceback(child, code, monkeypatch):
    def fail(arguments):
        raise subprocess.CalledProcessError(child, "python")

    monkeypatch.setattr(module, "launch_command", fail)
    done = CliRunner().invoke(app, ["sft", "sft", "--machine", "cpu"])
    assert done.exit_code == code and isinstance(done.exception, SystemExit)
    assert ("Interrupted. What is finished is kept" in done.stderr) is (code == 130)


@pytest.mark.parametrize(
    ("number", "said"),
    [
        (9, "was ended by SIGKILL, which is what the system does when the host's memory is used up"),
        (15, "was ended by SIGTERM, as a scheduler does"),
        (11, "was ended by SIGSEGV, a crash in a library"),
        (200, "was ended by signal 200"),
    ],
)
@pytest.mark.parametrize("several", [False, True])
@pytest.mark.skipif(sys.platform == "win32", reason="there are no such signals")
def test_a_process_that_was_killed_is_spoken_for(number, said, several, monkeypatch, caplog):
    def fail(arguments):
        if several:
            raise ChildFailedError("python", {3: ProcessFailure(local_rank=3, pid=1, exitcode=-number, error_file="")})
        raise subprocess.CalledProcessError(-number, "python")

    monkeypatch.setattr(module, "launch_command", fail)
    assert CliRunner().invoke(app, ["sft", "sft_embedded", "--machine", "cpu"]).exit_code == 128 + number
    assert said in caplog.text and "rerun the same command to resume" in caplog.text


def test_of_several_processes_the_one_that_failed_by_itself_gives_the_exit_code(monkeypatch):
    """The others are then ended by the launcher."""

    def fail(arguments):
        codes = {0: -15, 3: 2, 4: -15}
        failures = {
            rank: ProcessFailure(local_rank=rank, pid=1, exitcode=code, error_file="") for rank, code in codes.items()
        }
        raise ChildFailedError("python", failures)

    monkeypatch.setattr(module, "launch_command", fail)
    monkeypatch.setattr(module, "devices", lambda: 8)
    assert CliRunner().invoke(app, ["sft", "sft", "--machine", "1x8-h200"]).exit_code == 2


def test_ctrl_c_waits_for_the_processes_that_were_started(monkeypatch):
    """They keep the run's folder locked until they end."""
    children = []

    def interrupt(arguments):
        children.append(subprocess.Popen([sys.executable, "-c", "import time; time.sleep(1)"]))
        raise KeyboardInterrupt

    monkeypatch.setattr(module, "launch_command", interrupt)
    process, ours = psutil.Process, SimpleNamespace(children=lambda: [process(child.pid) for child in children])
    monkeypatch.setattr(psutil, "Process", lambda: ours)  # the process of all tests has children that live on
    assert CliRunner().invoke(app, ["sft", "sft", "--machine", "cpu"]).exit_code == 130
    assert children[0].poll() is not None
