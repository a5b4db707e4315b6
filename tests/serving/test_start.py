"""How each stock server is started."""

from __future__ import annotations

import json
import os
import socket
import sys
from pathlib import Path

import pytest

from s1_hf import Budget, Effort, embedded
from s1_hf.serving import start
from s1_hf.serving.start import (
    check_port,
    check_transformers,
    exported,
    is_loopback,
    served_name,
    shown,
    transformers_arguments,
    vllm_arguments,
    vllm_command,
)
from s1_hf.serving.terms import Terms

TERMS = Terms.of(Budget(num_ignores=2, wait_text="Hmm", cut_window=5, max_thinking_tokens=9), 30, Effort())


@pytest.mark.parametrize(
    ("host", "only_here"),
    [("127.0.0.1", True), ("127.3.2.1", True), ("::1", True), ("localhost", True), ("0.0.0.0", False), ("::", False),
     ("192.168.0.5", False), ("example.org", False), ("", False)],
)  # fmt: skip
def test_where_only_this_machine_reaches_a_server(host, only_here):
    assert is_loopback(host) is only_here


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
def test_where_somebody_listens_nobody_else_can(host):
    with socket.socket(*socket.getaddrinfo(host, 0, type=socket.SOCK_STREAM)[0][:2]) as other:
        other.bind((host, 0))
        other.listen()
        port = other.getsockname()[1]
        with pytest.raises(ValueError, match=f"cannot listen at {host}:{port}: .* Choose another `--port`"):
            check_port(host, port)
    check_port(host, port)
    check_port("no.such.host.invalid", port)


def config_in(arguments: list[str]) -> dict:
    return json.loads(arguments[arguments.index("--additional-config") + 1])


def test_vllm_is_told_of_the_plug_in_the_texts_and_the_terms():
    arguments = vllm_arguments("a/model", TERMS, "think", "127.0.0.1", 8000, ["--tensor-parallel-size", "2"])
    assert arguments[:6] == ["serve", "a/model", "--host", "127.0.0.1", "--port", "8000"]
    assert arguments[-2:] == ["--tensor-parallel-size", "2"]
    for name in ("--logits-processors", "--worker-extension-cls", "--middleware"):
        module, _, attribute = arguments[arguments.index(name) + 1].replace(":", ".").rpartition(".")
        assert Path(start.__file__).parents[2].joinpath(*module.split(".")).with_suffix(".py").is_file(), attribute
    config = config_in(arguments)
    assert config["s1_hf"] == {"format": "think", "wait_text": "Hmm", "cut_window": 5}
    terms = Terms.from_dict(config["s1_hf_serve"])
    assert terms.defaults == {"num_ignores": 2, "max_thinking_tokens": 9, "max_answer_tokens": 30}
    assert terms.effort == Effort()


def test_the_toy_is_found_by_its_folder_and_served_by_its_name():
    arguments = vllm_arguments("embedded", Terms(), None, "::1", 1)
    assert arguments[1:4] == [str(embedded.MODEL_PATH), "--served-model-name", "embedded"]
    own = vllm_arguments("embedded", Terms(), None, "::1", 1, ["--served-model-name", "lamps"])
    assert own.count("--served-model-name") == 1


@pytest.mark.parametrize(
    "name", ["--logits-processors", "--middleware", "--additional_config={}", "--additional-config.a"]
)
def test_what_is_set_here_is_not_set_twice(name):
    with pytest.raises(ValueError, match="is set by `s1-hf serve`"):
        vllm_arguments("a", Terms(), None, "::1", 1, [name, "x"])


def test_a_server_of_vllms_package_for_cpus_is_its_module(monkeypatch):
    def none(name):
        raise start.PackageNotFoundError(name)

    monkeypatch.setattr(start, "version", lambda name: "1")
    assert vllm_command(["serve", "m", "--port", "1"])[:4] == [
        sys.executable,
        "-m",
        "vllm.entrypoints.cli.main",
        "serve",
    ]
    monkeypatch.setattr(start, "version", none)
    command = vllm_command(["serve", "m", "--port", "1"])
    assert command[2:] == ["vllm.entrypoints.openai.api_server", "--model", "m", "--port", "1"]


def test_a_command_is_shown_as_a_shell_takes_it():
    assert shown("vllm", ["serve", "a model", '{"a": 1}']) == """vllm serve 'a model' '{"a": 1}'"""


@pytest.mark.parametrize("option", ["--continuous-batching", "--cb-block-size=3", "--no-trust-remote-code"])
def test_what_would_lose_budgets_is_refused(option):
    with pytest.raises(ValueError, match="cannot be used here"):
        transformers_arguments("a", "::1", 1, [option])
    assert transformers_arguments("a", "::1", 1, ["--device", "cpu"])[:3] == ["serve", "a", "--trust-remote-code"]


def test_clients_call_a_model_by_its_name_and_not_by_where_it_lies(tmp_path):
    folder = tmp_path / "my@model"
    folder.mkdir()
    assert served_name(str(folder), folder) == "my-model"
    assert served_name("embedded", embedded.MODEL_PATH) == "embedded"
    assert served_name("Qwen/Qwen3-8B", tmp_path) == "Qwen/Qwen3-8B"


def test_the_exported_model_lies_in_the_working_folder_while_it_is_served():
    before = Path.cwd()
    settings = {"budget": Budget(num_ignores=1), "format": None, "max_answer_tokens": None}
    with exported(embedded.MODEL_PATH, "Qwen/Qwen3-8B", settings) as folder:
        assert os.path.samefile("Qwen/Qwen3-8B", folder)
        assert (folder / "custom_generate" / "generate.py").is_file()
    assert Path.cwd() == before and not folder.exists()


@pytest.mark.parametrize("cors", [True, False])
def test_browsers_may_ask_for_permission_without_a_key_where_that_is_wanted(cors, monkeypatch):
    cli = pytest.importorskip("transformers.cli.transformers")
    server = pytest.importorskip("transformers.cli.serving.server")
    from starlette.applications import Starlette
    from starlette.middleware import Middleware
    from starlette.middleware.cors import CORSMiddleware
    from starlette.testclient import TestClient

    from s1_hf.serving.transformers_app import Served

    statuses = []

    def build():
        return Starlette(middleware=[Middleware(CORSMiddleware, allow_origins=["*"], allow_headers=["*"])] * cors)

    def serve(*_, **__):
        client = TestClient(server.build_server())
        asking = {"origin": "http://a", "access-control-request-method": "GET"}
        statuses.append(client.options("/v1/models", headers=asking).status_code)
        statuses.append(client.get("/v1/models").status_code)

    monkeypatch.setattr(server, "build_server", build)
    monkeypatch.setattr(cli, "app", serve)
    start.run_transformers([], Served("m", None, None, None, ("key",)))
    assert statuses == [200 if cors else 401, 401]


def test_what_is_missing_is_named_with_its_extra(monkeypatch):
    monkeypatch.setitem(sys.modules, "fastapi", None)
    with pytest.raises(ModuleNotFoundError, match=r"pip install 's1-hf\[serve\]'"):
        check_transformers()
