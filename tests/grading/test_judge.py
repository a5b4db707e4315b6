"""The judge: what it is asked, what it is not asked, what is stored."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

pytest.importorskip("math_verify")
pytest.importorskip("openai")

from s1_hf.grading import Grade, Judge, grade
from s1_hf.grading.judge import verdict_of


class Endpoint(ThreadingHTTPServer):
    """An OpenAI-compatible endpoint that returns `reply`, or `status` if not 200, and records what it was asked."""

    daemon_threads = True
    reply: Any = "It is the same.\nYes"
    status = 200

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.asked: list[dict[str, Any]] = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}/v1"


class _Handler(BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        endpoint: Endpoint = self.server  # type: ignore[assignment]
        endpoint.asked.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
        message = {"role": "assistant", "content": endpoint.reply}
        choice = {"index": 0, "finish_reason": "stop", "message": message}
        body = {"id": "1", "object": "chat.completion", "created": 0, "model": "m", "choices": [choice]}
        data = json.dumps(body if endpoint.status == 200 else {"error": {"message": "no such model"}}).encode()
        self.send_response(endpoint.status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *args: object) -> None:
        pass


@pytest.fixture
def endpoint(monkeypatch) -> Iterator[Endpoint]:
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    with Endpoint() as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield server
        server.shutdown()


@pytest.fixture
def judge(endpoint, tmp_path) -> Judge:
    return Judge(endpoint.url, "m", tmp_path / "runs" / "verdicts.jsonl", max_retries=0)


def test_the_judge_is_shown_everything_and_asked_at_temperature_zero(endpoint, judge):
    assert judge("What is it?", "the gold", "the attempt") is True
    (request,) = endpoint.asked
    assert (request["model"], request["temperature"]) == ("m", 0)
    assert [m["role"] for m in request["messages"]] == ["system", "user"]
    assert all(text in request["messages"][1]["content"] for text in ("What is it?", "the gold", "the attempt"))


@pytest.mark.parametrize(
    ("reply", "verdict"),
    [
        *(("Same.\nYes", True), ("Not the same.\n\nNo\n", False), ("**Yes**", True), ('"No".', False), ("yes", True)),
        *(("Yes, it is.", None), ("Yes\nNo, wait", None), ("", None), ("Yes or No", None), ("No\n\nYes", True)),
    ],
)
def test_the_last_line_is_the_verdict(reply, verdict):
    assert verdict_of(reply) is verdict


def test_nothing_is_asked_twice_in_this_run_or_the_next(endpoint, judge, tmp_path):
    endpoint.reply = "Different.\nNo"
    assert [judge("q", "1", "a"), judge("q", "1", "a")] == [False, False]
    again = Judge(endpoint.url, "m", tmp_path / "runs" / "verdicts.jsonl")
    assert again("q", "1", "a") is False
    assert len(endpoint.asked) == 1
    again("q", "1", "b")
    assert len(endpoint.asked) == 2


def test_verdicts_are_stored_with_their_replies(judge, tmp_path):
    judge("q", "1", "a")
    (line,) = (tmp_path / "runs" / "verdicts.jsonl").read_text().splitlines()
    said = {"verdict": True, "reply": "It is the same.\nYes"}
    assert json.loads(line) == {"model": "m", "question": "q", "gold": "1", "attempt": "a"} | said


def test_the_judge_settles_what_the_rules_do_not(judge):
    settled = grade("Answer: both of the cats", "the two cats", judge=judge, question="q")
    assert settled == Grade(True, "both of the cats", "answer_line", "judge", "m says Yes")


def test_the_judge_sees_the_answer_part_where_the_rules_find_no_answer(endpoint, judge):
    assert grade("<think>hm</think>We add.\nSo it makes 51 in all.", "51", judge=judge, question="q").correct
    assert "So it makes 51 in all." in endpoint.asked[0]["messages"][1]["content"]
    assert "hm" not in endpoint.asked[0]["messages"][1]["content"]


@pytest.mark.parametrize(
    ("output", "gold", "kind"),
    [
        ("Answer: 26", "25", "math"),
        ("Answer: 1+x", "x+1", "math"),
        ("Answer: C", "B", "choice"),
        ("<think>So 25", "25", "math"),
        ("<think>So 25</think>", "25", "math"),
    ],
)
def test_the_judge_is_not_asked_what_is_settled(output, gold, kind, endpoint, judge):
    grade(output, gold, kind, judge=judge, question="q")
    assert endpoint.asked == []


def test_a_judge_without_a_verdict_leaves_it_unsettled_and_says_so(endpoint, judge):
    endpoint.reply = "I cannot tell."
    undecided = grade("Answer: two", "2", judge=judge, question="q")
    assert (undecided.correct, undecided.settled_by, undecided.reason) == (False, "none", "m gave no verdict")


def test_a_judge_needs_the_question(judge):
    with pytest.raises(ValueError, match="`question` has to be given"):
        grade("Answer: two", "2", judge=judge)


@pytest.mark.parametrize("status", [400, 404, 500])
def test_an_endpoint_that_refuses_is_an_error_that_names_it(status, endpoint, judge):
    endpoint.status = status
    with pytest.raises(RuntimeError, match=rf"judge 'm' at http://127.0.0.1:\d+/v1 gave no reply.*{status}"):
        judge("q", "1", "a")


def test_an_endpoint_that_cannot_be_reached_is_an_error(tmp_path, monkeypatch):
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    judge = Judge("http://127.0.0.1:9/v1", "m", tmp_path / "v.jsonl", max_retries=0, timeout_s=5)
    with pytest.raises(RuntimeError, match="gave no reply: APIConnectionError"):
        judge("q", "1", "a")
    assert not (tmp_path / "v.jsonl").exists()


def test_a_line_that_is_not_a_verdict_is_named(tmp_path):
    (tmp_path / "v.jsonl").write_text(
        '{"model": "m", "question": "q", "gold": "1", "attempt": "a", "verdict": true}\n{"mod\n'
    )
    with pytest.raises(ValueError, match=r"Line 2 of .*v\.jsonl is not JSON: .*"):
        Judge("http://localhost:8000/v1", "m", tmp_path / "v.jsonl")


def test_all_wrong_arguments_of_a_judge_are_named_at_once(tmp_path):
    with pytest.raises(ValueError, match="`base_url`.*`model`.*`timeout_s`.*`max_retries`.*`max_tokens`"):
        Judge("localhost", "", tmp_path / "v.jsonl", timeout_s=0, max_retries=-1, max_tokens=0)
