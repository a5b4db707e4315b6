"""Domains from a column, from clusters and from an endpoint."""

import json
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest

pytest.importorskip("datasets")

from curation_pools import pool, topic_questions

from s1_hf.curate import (
    Domains,
    assign_domains,
)


def test_a_column_gives_its_domains():
    assert assign_domains(pool({"cot_type": "math"}, {"cot_type": "crossword"}))[0] == ["math", "crossword"]


def test_a_row_without_a_domain_is_refused():
    with pytest.raises(ValueError, match="no domain in 1 rows, the first being 'Find x'"):
        assign_domains(pool({"cot_type": "math"}, {"cot_type": " ", "question": "Find x"}))


def test_clusters_do_not_depend_on_the_pools_order():
    rows = [{"question": text} for text in topic_questions(90)]
    domains, how = assign_domains(pool(*rows), Domains(by="clusters", clusters=5), seed=3)
    reversed_, _ = assign_domains(pool(*rows[::-1]), Domains(by="clusters", clusters=5), seed=3)
    assert domains == reversed_[::-1] and "5 clusters of questions by TF-IDF" in how


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"by": "magic"}, "`by` has to be one of column, clusters, endpoint"),
        ({"by": "endpoint"}, "needs `base_url` and `model`"),
        ({"base_url": "http://x"}, "are only for `by: endpoint`"),
        ({"embedding_model": "x"}, "`embedding_model` is only for `by: clusters`"),
        ({"clusters": 0}, "`clusters` has to be 1 or more"),
    ],
)
def test_options_that_contradict_are_refused(options, said):
    with pytest.raises(ValueError, match=said):
        Domains(**options)


@pytest.fixture
def endpoint(monkeypatch):
    """A model that answers 11 to questions with "prime" and nonsense to others; and the questions it was asked."""
    pytest.importorskip("openai")
    asked = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self):
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            asked.append(body["messages"][-1]["content"])
            content = "11" if "prime" in asked[-1] else "I cannot say."
            reply = {"id": "1", "object": "chat.completion", "created": 0, "model": "m"}
            message = {"role": "assistant", "content": content}
            reply["choices"] = [{"index": 0, "finish_reason": "stop", "message": message}]
            data = json.dumps(reply).encode()
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        def log_message(self, *args):
            pass

    server = HTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}/v1", asked
    server.shutdown()
    thread.join()
    server.server_close()


def test_an_endpoint_is_asked_once_for_each_question(endpoint, tmp_path):
    address, asked = endpoint
    rows = pool({"question": "A prime?"}, {"question": "Hm?"}, {"question": "A prime?"})
    options = Domains(by="endpoint", base_url=address, model="m", answers=str(tmp_path / "said" / "domains.jsonl"))
    domains, how = assign_domains(rows, options)
    assert domains == ["Number theory", "Other", "Number theory"] and "1 questions are 'Other'" in how
    assert sorted(asked) == ["A prime?", "Hm?"]
    assert assign_domains(rows, options)[0] == domains and len(asked) == 2


def test_a_broken_file_of_answers_is_named(tmp_path):
    (tmp_path / "said.jsonl").write_text('{"model": "m"}\n')
    options = Domains(by="endpoint", base_url="http://127.0.0.1:9/v1", model="m", answers=str(tmp_path / "said.jsonl"))
    with pytest.raises(ValueError, match="Line 1 of .*said.jsonl lacks `question`, `domain`. It does not hold"):
        assign_domains(pool({}), options)
