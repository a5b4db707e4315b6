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
