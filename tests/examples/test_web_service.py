"""The example of a web service, run with a real server and a real client."""

import contextlib
import importlib
import json
import threading
import time
from pathlib import Path

import pytest

pytest.importorskip("fastapi")
pytest.importorskip("uvicorn")

import httpx
import uvicorn
from servers import free_port

from s1_hf import embedded, generate

EXAMPLES = Path(__file__).parents[2] / "examples"
QUESTION = embedded.Problem(2, 7, 3, 8).question


@pytest.fixture(scope="module")
def lamps():
    return embedded.load()


@pytest.fixture(scope="module")
def address(lamps):
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(EXAMPLES))
        example = importlib.import_module("web_service")
    port = free_port()
    server = uvicorn.Server(uvicorn.Config(example.service(*lamps), port=port, log_level="error"))
    thread = threading.Thread(target=server.run)
    thread.start()
    while not server.started:
        time.sleep(0.01)
    yield f"http://127.0.0.1:{port}/ask"
    server.should_exit = True
    thread.join()


def test_pieces_come_with_their_kinds_and_the_report_at_the_end(address, lamps):
    (expected,) = generate(*lamps, QUESTION, num_ignores=1)
    reply = httpx.post(address, json={"question": QUESTION, "num_ignores": 1}, timeout=60)
    *pieces, report = map(json.loads, reply.text.splitlines())
    assert "".join(piece["text"] for piece in pieces) == expected.text
    assert {piece["kind"] for piece in pieces} == {"thinking", "forced", "answer"}
    assert report["kind"] == "report" and report["ends_ignored"] == 1
    assert report["thinking_tokens"] == expected.report.thinking_tokens


def test_a_wrong_budget_is_refused_before_anything_is_sent(address):
    reply = httpx.post(address, json={"question": QUESTION, "max_thinking_tokens": -1})
    assert reply.status_code == 400 and "max_thinking_tokens" in reply.json()["detail"]


@pytest.mark.parametrize(
    "wrong", [{"max_thinking_token": 5}, {"max_thinking_tokens": True}, {"num_ignores": "2"}], ids=str
)
def test_a_field_that_would_not_act_is_refused(wrong, address):
    assert httpx.post(address, json={"question": QUESTION} | wrong).status_code == 422


def test_a_prompt_that_does_not_fit_is_an_error_line(address):
    reply = httpx.post(address, json={"question": "lamp " * 3000}, timeout=60)
    (line,) = map(json.loads, reply.text.splitlines())
    assert line["kind"] == "error" and "context" in line["text"]


def test_hanging_up_stops_generation_and_the_next_client_is_answered(address):
    threads = threading.active_count()
    with contextlib.suppress(StopIteration), httpx.stream("POST", address, json={"question": QUESTION}) as reply:
        next(reply.iter_lines())
    reply = httpx.post(address, json={"question": QUESTION, "max_thinking_tokens": 16}, timeout=60)
    assert json.loads(reply.text.splitlines()[-1])["ended"] == "cut"
    assert threading.active_count() <= threads + 2  # the server's own pool, and no generation
