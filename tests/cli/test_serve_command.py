"""`s1-hf serve` and `s1-hf export`: what is started, and what is refused before anything is."""

from __future__ import annotations

import importlib
import json
import sys

import pytest

pytest.importorskip("typer")

from s1_hf import Budget
from s1_hf.__main__ import main
from s1_hf.serving import start
from s1_hf.serving.folder import exported_settings
from s1_hf.serving.terms import Terms

serving = importlib.import_module("s1_hf.cli.serve")  # the package's name for the command hides it


def run(monkeypatch, *arguments: str) -> int:
    monkeypatch.setattr(sys, "argv", ["s1-hf", *arguments])
    with pytest.raises(SystemExit) as ended:
        main()
    return int(ended.value.code or 0)


@pytest.fixture
def started(monkeypatch):
    """What was started: servers are not."""
    found: list = []
    monkeypatch.setattr(start, "become", lambda command, environment: found.append((command, environment)))
    monkeypatch.setattr(start, "run_transformers", lambda arguments, served: found.append((arguments, served)))
    monkeypatch.setattr(start, "check_transformers", lambda: None)
    monkeypatch.setattr(start, "check_port", lambda host, port: None)  # somebody may listen there
    monkeypatch.setattr("s1_hf.vllm.installed.check_installed", lambda: None)
    for name in ("S1_HF_API_KEY", "VLLM_API_KEY"):
        monkeypatch.delenv(name, raising=False)
    return found


def test_transformers_is_started_on_loopback_with_the_budget(monkeypatch, started, capsys):
    assert run(monkeypatch, "serve", "embedded", "--num-ignores", "2", "--device", "cpu") == 0
    ((arguments, served),) = started
    expected = ["serve", "embedded", "--trust-remote-code", "--host", "127.0.0.1", "--port", "8000", "--device", "cpu"]
    assert arguments == expected
    assert served.name == "embedded" and served.keys == () and served.context == 1024
    assert served.reader.read({}, "/v1/completions").config == {"num_ignores": 2}
    assert "Warning" not in capsys.readouterr().err


def test_vllm_is_started_in_the_place_of_this_process_and_told_its_key_by_the_environment(monkeypatch, started):
    monkeypatch.setenv("S1_HF_API_KEY", "the-secret-key")
    options = ["--max-thinking-tokens", "9", "--tensor-parallel-size", "2", "--revision", "v1"]
    assert run(monkeypatch, "serve", "embedded", "--engine", "vllm", *options) == 0
    ((command, environment),) = started
    assert environment == {"VLLM_API_KEY": "the-secret-key"} and "the-secret-key" not in " ".join(command)
    assert command[-4:] == ["--revision", "v1", "--tensor-parallel-size", "2"]
    config = json.loads(command[command.index("--additional-config") + 1])
    assert Terms.from_dict(config["s1_hf_serve"]).defaults == {"max_thinking_tokens": 9}


@pytest.mark.parametrize("engine", ["transformers", "vllm"])
def test_who_lets_others_in_without_a_key_is_warned(engine, monkeypatch, started, capsys):
    run(monkeypatch, "serve", "embedded", "--engine", engine, "--host", "0.0.0.0")
    assert "Warning: whoever reaches 0.0.0.0 can use this server" in capsys.readouterr().err.replace("\n", " ")
    run(monkeypatch, "serve", "embedded", "--engine", engine, "--host", "0.0.0.0", "--api-key", "a-key")
    assert "Warning" not in capsys.readouterr().err and len(started) == 2


@pytest.mark.parametrize("engine", ["transformers", "vllm"])
def test_the_stock_servers_line_is_shown(engine, monkeypatch, started, capsys):
    monkeypatch.setenv("S1_HF_API_KEY", "the-secret-key")
    assert run(monkeypatch, "serve", "embedded", "--engine", engine, "--show-command") == 0
    shown = capsys.readouterr().out
    assert shown.startswith(f"{engine} serve ") and started == [] and "secret" not in shown


def test_the_line_of_transformers_is_shown_with_what_its_folder_is(monkeypatch, started, capsys):
    assert run(monkeypatch, "serve", "embedded", "--num-ignores", "1", "--show-command") == 0
    said = capsys.readouterr().err.replace("\n", " ")
    assert "a folder that exists only while s1-hf serve runs" in said and "with this budget: 1 ignore." in said


@pytest.mark.parametrize("engine", ["transformers", "vllm"])
def test_a_port_in_use_is_told_before_anything_is_loaded(engine, monkeypatch, started, capsys):
    def refuse(host, port):
        raise ValueError(f"Nobody listens at {host}:{port}.")

    monkeypatch.setattr(start, "check_port", refuse)
    monkeypatch.setattr(start, "exported", None)
    assert run(monkeypatch, "serve", "embedded", "--engine", engine, "--port", "8001") == 2
    assert "Nobody listens at 127.0.0.1:8001." in capsys.readouterr().err and started == []


def test_an_exported_folder_brings_its_own_budget_which_the_command_may_change(monkeypatch, started, tmp_path):
    out = str(tmp_path / "lamps")
    assert run(monkeypatch, "export", "embedded", out, "--max-thinking-tokens", "16", "--max-answer-tokens", "9") == 0
    assert exported_settings(tmp_path / "lamps")["budget"] == Budget(max_thinking_tokens=16)
    run(monkeypatch, "serve", out)
    run(monkeypatch, "serve", out, "--num-ignores", "1")
    (_, own), (_, others) = started
    assert own.reader.read({}, "/v1/completions").config == {"max_thinking_tokens": 16, "max_answer_tokens": 9}
    changed = {"max_thinking_tokens": 16, "num_ignores": 1, "max_answer_tokens": 9}
    assert others.reader.read({}, "/v1/completions").config == changed and own.name == "lamps"


def test_a_command_puts_a_field_of_an_exported_folder_back_to_its_default(monkeypatch, started, tmp_path):
    out = str(tmp_path / "lamps")
    budget = ["--max-thinking-tokens", "16", "--num-ignores", "2", "--wait-text", "Hmm", "--loop-guard"]
    assert run(monkeypatch, "export", "embedded", out, *budget) == 0
    run(monkeypatch, "serve", out, "--max-thinking-tokens", "", "--num-ignores", "0", "--no-loop-guard")
    ((_, served),) = started
    (terms,) = [served.reader._terms]
    assert terms.defaults == {"wait_text": "Hmm"}


@pytest.mark.parametrize("options", [[], ["--num-ignores", "1"]], ids=str)
def test_vllm_has_the_budget_of_an_exported_folder_too(options, monkeypatch, started, tmp_path):
    out = str(tmp_path / "lamps")
    format = ["--thinking-start", "<|im_start|>think", "--thinking-close", "<|im_start|>answer"]
    budget = ["--max-thinking-tokens", "16", "--cut-text", "Stop."]
    assert run(monkeypatch, "export", "embedded", out, *budget, *format) == 0
    assert run(monkeypatch, "serve", out, "--engine", "vllm", *options) == 0
    (((command, _)),) = started
    config = json.loads(command[command.index("--additional-config") + 1])
    own = {"max_thinking_tokens": 16} | ({"num_ignores": 1} if options else {})
    assert Terms.from_dict(config["s1_hf_serve"]).defaults == own and config["s1_hf"]["cut_text"] == "Stop."
    assert config["s1_hf"]["format"]["resolved"]["start_text"] == "<|im_start|>think"


def test_texts_that_no_request_may_need_are_a_servers_to_have(monkeypatch, started):
    """An export of them would never act."""
    for engine in ("transformers", "vllm"):
        assert run(monkeypatch, "serve", "embedded", "--engine", engine, "--wait-text", "Hmm") == 0
    assert len(started) == 2


def test_other_commands_say_that_a_folders_budget_does_not_act_in_them(monkeypatch, tmp_path, capsys):
    out = str(tmp_path / "lamps")
    assert run(monkeypatch, "export", "embedded", out, "--max-thinking-tokens", "16") == 0
    capsys.readouterr()
    for arguments in (
        ["generate", out, "Hi", "--max-new-tokens", "100000"],
        ["eval", out, "--tasks", "s1:nothing"],
        ["sweep", out, "--tasks", "s1:nothing"],
        ["data", "traces", out, "--input", "nothing", "--output-dir", str(tmp_path / "t")],
        ["export", out, str(tmp_path / "again"), "--cut-text", "Hmm"],
    ):
        assert run(monkeypatch, *arguments) == 2
        said = capsys.readouterr().err.replace("\n", " ")
        assert "lamps was exported with a budget (cap 16)" in said and "goes by its own options" in said, arguments
    run(monkeypatch, "generate", "embedded", "Hi", "--max-new-tokens", "100000")
    assert "exported" not in capsys.readouterr().err


def test_efforts_may_be_ones_own_or_the_servers(monkeypatch, started, tmp_path):
    table = tmp_path / "table.yaml"
    table.write_text("quick: {max_thinking_tokens: 9}\n")
    run(monkeypatch, "serve", "embedded", "--effort-table", str(table))
    run(monkeypatch, "serve", "embedded", "--stock-effort")
    (_, own), (_, stock) = started
    body = {"reasoning_effort": "quick"}
    assert own.reader.read(body, "/v1/chat/completions").config["max_thinking_tokens"] == 9
    assert stock.reader.read(body, "/v1/chat/completions").body == body


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["embedded", "extra"], "Got an unexpected argument: extra"),
        (["embedded", "--stock-effort", "--effort-table", __file__], "exclude each other"),
        (["embedded", "--continuous-batching"], "`--continuous-batching` cannot be used here"),
        (["embedded", "--engine", "vllm", "--middleware", "a.b"], "`--middleware` is set by `s1-hf serve`"),
        (["embedded", "--thinking-format", "harmony"], "as single tokens"),
        (["embedded", "--wait-text", "<|im_end|>"], "free of delimiters"),
        (["nothing/of/the/kind"], "is no model"),
        (["embedded", "--max-thinking-tokens", "-1"], "has to be an integer of at least 0"),
    ],
    ids=lambda value: value if isinstance(value, str) else " ".join(value[:3]),
)
def test_what_is_wrong_is_said_before_anything_is_started(arguments, message, monkeypatch, started, capsys):
    assert run(monkeypatch, "serve", *arguments) == 2
    assert message in capsys.readouterr().err.replace("\n", " ") and started == []


def test_an_export_says_where_it_is_and_what_it_does(monkeypatch, tmp_path, capsys):
    assert run(monkeypatch, "export", "embedded", str(tmp_path / "out"), "--num-ignores", "1") == 0
    told = capsys.readouterr()
    assert told.out == f"{tmp_path / 'out'}\n" and told.err.endswith("1 ignore; load it with trust_remote_code=True\n")
    assert "Its weights are links" in told.err or not (tmp_path / "out" / "model.safetensors").is_symlink()
    assert run(monkeypatch, "export", "embedded", str(tmp_path / "whole"), "--num-ignores", "1", "--copy") == 0
    assert capsys.readouterr().err == "1 ignore; load it with trust_remote_code=True\n"
    assert run(monkeypatch, "export", "embedded", str(tmp_path), "--num-ignores", "1") == 2
    assert "has to be a new or empty folder, but holds out" in capsys.readouterr().err.replace("\n", " ")


@pytest.mark.parametrize("command", [["serve"], ["serve", "--engine", "vllm"], ["export"]], ids=" ".join)
def test_a_default_that_can_never_act_is_refused(command, monkeypatch, started, tmp_path, capsys):
    more = [str(tmp_path / "out")] if command == ["export"] else []
    options = ["--num-ignores", "1", "--max-thinking-tokens", "0"]
    assert run(monkeypatch, command[0], "embedded", *more, *command[1:], *options) == 2
    said = " ".join(capsys.readouterr().err.split())
    assert "`num_ignores` has no effect without a `max_thinking_tokens` above 0" in said
