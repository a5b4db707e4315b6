"""What a server says is read, or cannot be read, which is asked for again; nothing else happens, whatever it says."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from s1_hf.engines.endpoint.connection import Missing
from s1_hf.engines.endpoint.server import NoIds, Served, Server, text_reply_of

BODY = {"model": "m", "prompt": [1, 2, 3], "max_tokens": 3, "logprobs": 1}
GOOD = {
    "model": "m",
    "choices": [
        {
            "text": "ab",
            "finish_reason": "stop",
            "stop_reason": None,
            "token_ids": [5, 6],
            "logprobs": {
                "token_logprobs": [-0.5, -2.0],
                "top_logprobs": [{"token_id:5": -0.5}, {"token_id:9": -0.1, "token_id:6": -2.0}],
            },
        }
    ],
    "usage": {"prompt_tokens": 3, "prompt_tokens_details": {"cached_tokens": 2}},
}


class Saying:
    """A connection to a server that says what it is told."""

    shown = "http://said/v1"

    def __init__(self, **said: Any) -> None:
        self.said = said

    def ask(self, path, body=None, *, read=lambda reply: reply, returns=True):
        if path not in self.said:
            raise Missing("Not Found")
        return read(self.said[path])


def read(said: Any, body: dict[str, Any] = BODY):
    return Server(Saying(completions=said), 10).complete(body)  # type: ignore[arg-type]


def test_a_completion_is_read():
    reply = read(GOOD)
    assert (reply.ids, reply.text, reply.read, reply.cached) == ([5, 6], "ab", 3, 2)
    assert reply.picks == [5, 9]


def test_of_tokens_that_are_as_likely_the_one_that_was_taken_counts():
    said = json.loads(json.dumps(GOOD))
    said["choices"][0]["logprobs"]["top_logprobs"][1]["token_id:9"] = -2.0
    assert read(said).picks == [5, 6]


def test_without_ids_it_says_so():
    said = json.loads(json.dumps(GOOD))
    del said["choices"][0]["token_ids"]
    with pytest.raises(NoIds):
        read(said)
    reply = text_reply_of(said, "m")
    assert (reply.text, reply.ended, reply.end, reply.read, reply.cached) == ("ab", True, None, 3, 2)


@settings(max_examples=600, deadline=None)
@given(st.data())
def test_any_change_to_a_completion_is_read_or_cannot_be(data):
    said = json.loads(json.dumps(GOOD))
    place, path = said, []
    while isinstance(place, (dict, list)) and place and (not path or data.draw(st.booleans())):
        keys = sorted(place) if isinstance(place, dict) else range(len(place))
        path.append((place, data.draw(st.sampled_from(list(keys)))))
        place = path[-1][0][path[-1][1]]
    holder, key = path[-1]
    scalars = st.none() | st.booleans() | st.integers(-3, 99) | st.floats(allow_nan=False) | st.text(max_size=3)
    nested = st.lists(scalars, max_size=3) | st.dictionaries(st.text(max_size=3), scalars, max_size=2)
    holder[key] = data.draw(scalars | nested)
    try:
        reply = read(said)
    except (ValueError, NoIds):
        return
    assert 0 < len(reply.ids) <= 3 and all(0 <= token < 10 for token in reply.ids)
    assert len(reply.picks or ()) == len(reply.ids)


MODELS = {"data": [{"id": "a", "root": "/a", "max_model_len": 9}, {"id": "b"}]}


@pytest.mark.parametrize(
    ("wanted", "known", "name"), [("b", (), "b"), (None, ("x", "a"), "a"), (None, ("b", "a"), "b")]
)
def test_the_model_is_the_one_that_is_named_or_known(wanted, known, name):
    server = Server(Saying(models=MODELS, **{"/version": {"version": "0.32.0"}}), 10)  # type: ignore[arg-type]
    served = server.served(wanted, known)
    assert (served.name, served.vllm) == (name, "0.32.0")
    assert served.context == (9 if name == "a" else None)


def test_models_that_cannot_be_told_apart_are_listed():
    server = Server(Saying(models=MODELS), 10)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match=r"said/v1 has several models, or none: a, b\. Name it: `--served-name`"):
        server.served(None, ("x",))


def test_a_server_that_has_no_version_has_none():
    server = Server(Saying(models={"data": [{"id": "m"}]}), 10)  # type: ignore[arg-type]
    assert server.served(None) == Served("m", None, None, None)
