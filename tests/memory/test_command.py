"""`s1-hf plan`: exit codes, text and JSON."""

import json

import pytest
from fine_tunes import ACCELERATE


@pytest.fixture
def s1_hf_command():
    for library in ("typer", "trl"):
        pytest.importorskip(library)
    from typer.testing import CliRunner

    from s1_hf.cli import app

    return lambda *arguments: CliRunner().invoke(app, ["plan", *map(str, arguments)])


def test_the_command_ends_with_0_if_it_fits_and_1_if_not(s1_hf_command, tmp_path):
    path = tmp_path / "2x8-h100.yaml"
    path.write_text(ACCELERATE)
    assert s1_hf_command("sft", "--machine", path, "--max-length", 9109).exit_code == 0
    result = s1_hf_command("sft", "--machine", path, "--gpu-memory", 40)
    assert result.exit_code == 1
    assert "does not fit" in result.output
    assert "fsdp_offload_params: true" in result.output


def test_the_command_gives_bytes_as_json(s1_hf_command, tmp_path):
    path = tmp_path / "2x8-h100.yaml"
    path.write_text(ACCELERATE)
    result = s1_hf_command(
        "sft", "--machine", path, "--json", "--max_length", 20_000, "--gradient_checkpointing", "false"
    )
    said = json.loads(result.stdout)
    assert said["verdict"] == "does not fit"
    gpu, host = said["gpu"], said["host"]
    assert gpu["total"] == sum(gpu["parts"].values()) > gpu["capacity"]
    assert gpu["low"] < gpu["total"] < gpu["high"] and gpu["verdict"] == "does not fit"
    assert (said["exit_code"], result.exit_code) == (1, 1)
    assert (host["verdict"], host["capacity"]) == ("not judged", None)
    assert said["suggestions"][0]["change"].startswith("gradient_checkpointing: true")


def test_the_command_ends_with_2_on_bad_input(s1_hf_command):
    result = s1_hf_command("sft", "--machine", "9x9-toasters")
    assert result.exit_code == 2
    assert "2x8-h100" in result.output


def test_without_a_machines_file_the_number_of_gpus_and_their_memory_are_enough(s1_hf_command):
    result = s1_hf_command("sft_7b", "--gpus", 4, "--gpu-memory", 140, "--json")
    said = json.loads(result.stdout)
    assert (result.exit_code, said["verdict"], said["machine"]) == (0, "fits", "4 x 140 GiB")
    result = s1_hf_command("--gpus", 4, "--gpu-memory", 24)
    assert result.exit_code == 1 and "4 GPUs, FSDP" in result.output


def test_what_is_neither_sure_to_fit_nor_sure_not_to_is_tight_and_ends_with_3(s1_hf_command):
    result = s1_hf_command("sft_lora", "--machine", "1x1-h100", "--max-length", 11_008)
    assert result.exit_code == 3
    assert "tight" in result.output and "it may or may not fit" in result.output


def test_a_host_that_is_too_small_makes_a_run_not_fit(s1_hf_command):
    common = ("sft_7b", "--gpus", 8, "--gpu-memory", 140, "--json", "--host-memory")
    small, large = (s1_hf_command(*common, gib) for gib in (40, 256))
    assert (small.exit_code, large.exit_code) == (1, 0)
    said = json.loads(small.stdout)
    assert (said["gpu"]["verdict"], said["host"]["verdict"], said["verdict"]) == ("fits",) + ("does not fit",) * 2


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ((), "either `--machine`"),
        (("--gpus", 2), "`--gpus` needs `--gpu-memory`"),
        (("--gpus", 2, "--gpu-memory", 24, "--machine", "cpu"), "either `--machine`"),
        (("--machine", "cpu", "--sharding", "zero3"), "`--sharding` goes with `--gpus`"),
        (("--gpus", 2, "--gpu-memory", 24, "--sharding", "ddp"), "has to be one of fsdp, zero3, zero2, none"),
        (("--gpus", 2, "--gpu-memory", "nan"), "`--gpu-memory` has to be a number of GiB"),
    ],
)
def test_a_machine_is_described_once_and_wholly(s1_hf_command, arguments, said):
    result = s1_hf_command("sft", *arguments)
    assert result.exit_code == 2
    assert said in " ".join(result.output.split())


def test_what_training_would_refuse_is_said_beside_the_plan(s1_hf_command):
    arguments = ("sft_7b", "--gpus", 3, "--gpu-memory", 80, "--max-length", 40_000, "--json")
    context, batch = json.loads(s1_hf_command(*arguments).stdout)["refusals"]
    assert "more than the model's context of 32,768" in context and "3 processes" in batch
    said = s1_hf_command("sft_7b", "--gpus", 3, "--gpu-memory", 80).stderr
    assert "`s1-hf sft` would refuse this run: `global_batch_size` 16" in " ".join(said.split())
    fine = json.loads(s1_hf_command("sft_7b", "--gpus", 4, "--gpu-memory", 80, "--json").stdout)
    assert fine["refusals"] == []
