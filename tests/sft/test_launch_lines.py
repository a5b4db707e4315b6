"""Every line in our texts that starts a training is read as its launcher reads it, and its recipe passes all checks.

The launchers themselves are not started here (tests/sft/test_launch.py), and models and data are the toy's.
"""

import re
import shlex
import sys
from pathlib import Path

import pytest

pytest.importorskip("trl")
pytest.importorskip("typer")
pytest.importorskip("datasets")

from accelerate.commands.launch import _validate_launch_command, launch_command_parser
from accelerate.utils.launch import prepare_multi_gpu_env
from transformers import Trainer
from typer.testing import CliRunner

from s1_hf import embedded
from s1_hf.cli import app
from s1_hf.finding import PACKAGE, RECIPES
from s1_hf.sft import packages
from s1_hf.sft.__main__ import main

ROOT = Path(__file__).parents[2]
TEXTS = [ROOT / "README.md", RECIPES / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
TEXTS += sorted(RECIPES.rglob("*.yaml"))
TEXTS += [PACKAGE / "cli" / "sft.py", PACKAGE / "sft" / "__init__.py", PACKAGE / "embedded" / "model" / "README.md"]
COMMANDS = r"accelerate launch|python -m s1_hf\.sft|s1-hf sft|srun"
LINE = re.compile(rf"^[#\s`]*((?:{COMMANDS}) .*?)(?:`.*|  +\S.*)?$", re.MULTILINE)
TOY = ["--model_name_or_path", str(embedded.BASE_PATH), "--padding_token", "none", "--expected_steps", "none"]
TOY += [
    "--columns",
    "none",
    "--missing_tokens",
    "add",
    "--max_length",
    "512",
    "--per_device_train_batch_size",
    "1",
    "--dry_run",
    "true",
]


def lines() -> list[str]:
    found = {}
    for text in TEXTS:
        content = text.read_text(encoding="utf-8").replace("\\\n", " ")
        for match in LINE.finditer(content):
            line = match[1].split(" && ")[0].split(" #")[0].strip()
            if "s1_hf.sft" in line or "s1-hf sft" in line:
                found[line] = text
    return sorted(found)


def test_the_lines_are_found():
    assert any(line.startswith("accelerate launch --config_file recipes/accelerate/1x8") for line in lines())
    assert any("--machine_rank 0" in line for line in lines()) and len(lines()) > 10


@pytest.fixture(scope="module")
def rows(tmp_path_factory) -> Path:
    file = tmp_path_factory.mktemp("rows") / "rows.jsonl"
    text = (embedded.BASE_PATH.parent / "train.jsonl").read_text().splitlines()
    file.write_text("\n".join(text[:20]))
    return file


@pytest.mark.parametrize("line", lines())
def test_a_line_that_starts_a_training_starts_it(line, rows, tmp_path, monkeypatch):
    monkeypatch.chdir(ROOT)
    monkeypatch.setattr(packages, "find_spec", lambda name: name)  # tests/sft/test_packages.py says what is missing
    monkeypatch.setattr(Trainer, "get_optimizer_cls_and_kwargs", lambda args: None)
    for name, value in {"ADDRESS": "127.0.0.1", "RANK": "0", "[--field value ...]": "", "...": ""}.items():
        line = line.replace(name, value)
    toy = [*TOY, "--dataset_path", str(rows), "--output_dir", str(tmp_path / "run")]
    words = shlex.split(line)
    if words[0] == "srun":
        assert "--ntasks-per-node=1" in words
        words = words[words.index("s1-hf") :]
    if words[0] == "s1-hf":
        done = CliRunner().invoke(app, [*words[1:], *toy])
        assert done.exit_code == 0, done.output
        return
    if words[0] == "accelerate":
        args, *_ = _validate_launch_command(launch_command_parser().parse_args([*words[2:], *toy]))
        assert args.module and args.training_script == "s1_hf.sft"
        assert args.num_machines == 1 or args.main_process_ip == "127.0.0.1"
        args.main_process_port = 0
        prepare_multi_gpu_env(args)
        fields = args.training_script_args
    else:
        fields = [*words[3:], *toy]
    monkeypatch.setattr(sys, "argv", ["s1_hf.sft", *fields])
    main()


def test_the_file_of_two_machines_is_refused_by_the_launcher_without_a_rank():
    """accelerate would otherwise try to reach a machine called None for a quarter of an hour."""
    file = RECIPES / "accelerate" / "2x8-h100.yaml"
    line = ["--config_file", str(file), "--main_process_port", "0", "-m", "s1_hf.sft", "sft"]
    args, *_ = _validate_launch_command(launch_command_parser().parse_args(line))
    with pytest.raises(ValueError, match="missing: give --machine_rank 0 or 1 and --main_process_ip ADDRESS"):
        prepare_multi_gpu_env(args)
    assert args.main_process_ip == "missing: give --main_process_ip ADDRESS"  # which torch refuses as no address
