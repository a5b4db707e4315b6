"""`s1-hf playground`: what is refused before anything is loaded, and what is started."""

from __future__ import annotations

import socket
import sys

import pytest

pytest.importorskip("typer")
pytest.importorskip("gradio")

from s1_hf.__main__ import main
from s1_hf.playground import start
from s1_hf.playground.asking import Most


def run(monkeypatch, *arguments: str) -> int:
    monkeypatch.setattr(sys, "argv", ["s1-hf", "playground", *arguments])
    with pytest.raises(SystemExit) as ended:
        main()
    return int(ended.value.code or 0)


@pytest.fixture
def played(monkeypatch):
    """What is started: nothing is."""
    found: list = []
    monkeypatch.setattr(start, "play", lambda model, **how: found.append((model, how)))
    monkeypatch.setattr("s1_hf.serving.start.check_port", lambda host, port: None)
    return found


def test_the_toy_is_served_to_this_machine_and_to_nobody_else(monkeypatch, played, capsys):
    assert run(monkeypatch) == 0
    ((model, how),) = played
    assert (model, how["host"], how["share"], how["engine"]) == ("embedded", "127.0.0.1", False, "transformers")
    assert how["most"] == Most() and "Warning" not in capsys.readouterr().err


def test_options_reach_the_engine_and_limits_the_visitors(monkeypatch, played, capsys):
    engine = ["--engine", "http://127.0.0.1:9/v1", "--concurrency", "3"]
    assert run(monkeypatch, "embedded", *engine, "--max-new-tokens", "99", "--host", "0.0.0.0") == 0
    ((_, how),) = played
    assert how["options"] == {"concurrency": 3} and how["most"] == Most(new_tokens=99)
    assert "whoever reaches it can use it" in capsys.readouterr().err


def test_a_port_that_is_taken_is_one_sentence(monkeypatch, capsys):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        assert run(monkeypatch, "embedded", "--port", str(taken.getsockname()[1])) == 2
    assert "Choose another `--port`" in capsys.readouterr().err


def test_without_gradio_the_extra_is_named(monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "gradio", None)
    assert run(monkeypatch, "embedded") == 2
    assert "s1-hf[playground]" in capsys.readouterr().err


def test_ctrl_c_is_one_line(monkeypatch, played, capsys):
    def interrupted(model, **how):
        raise KeyboardInterrupt

    monkeypatch.setattr(start, "play", interrupted)
    assert run(monkeypatch) == 130
    assert capsys.readouterr().err.strip() == "Interrupted. Rerun the same command to start again."


def test_what_a_space_cannot_have_is_refused(monkeypatch, tmp_path, capsys):
    assert run(monkeypatch, "embedded", "--space", str(tmp_path / "space"), "--port", "9000") == 2
    assert "`--port` has no meaning in a Space" in capsys.readouterr().err and not (tmp_path / "space").exists()
    assert run(monkeypatch, "embedded", "--space", str(tmp_path / "space"), "--max-new-tokens", "99") == 0
    assert "new_tokens=99" in (tmp_path / "space" / "app.py").read_text()
