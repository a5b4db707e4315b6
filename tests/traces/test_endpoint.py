"""An endpoint's replies as traces: what is read, what is asked again, what is an error of a row and what of the run."""

from __future__ import annotations

import json
import re
import threading
from typing import Any

import pytest
from datasets import Dataset
from endpoints import Reply

from s1_hf.traces import Ask, Endpoint, Trace, endpoint, generate_traces


def ask(server, *questions: str, **settings: Any) -> dict[str, Trace]:
    source = Endpoint(server.url, "m", **{"max_retries": 0, **settings})
    batches = source.traces([Ask(question) for question in questions], lambda rows: None)
    return {asked.question: trace for batch in batches for asked, trace in batch}


def read(server, reply: Reply, **settings: Any) -> Trace:
    server.replies["q"] = [reply]
    return ask(server, "q", **settings)["q"]


@pytest.mark.parametrize("name", ["reasoning_content", "reasoning"])
def test_reasoning_is_the_trace_and_content_the_attempt(server, name):
    usage = {"prompt_tokens": 9, "completion_tokens": 12, "total_tokens": 21}
    usage["completion_tokens_details"] = {"reasoning_tokens": 7}
    trace = read(server, Reply({name: " One, two.\n", "content": "\nAnswer: 2 "}, usage=usage))
    assert trace == Trace("One, two.", "Answer: 2", 7, 5, "natural")


def test_without_reasoning_the_delimiters_in_the_content_tell_the_trace(server):
    trace = read(server, Reply({"content": "<think>\nOne, two.\n</think>\n\nAnswer: 2"}))
    assert (trace.thinking, trace.attempt, trace.ended) == ("One, two.", "Answer: 2", "natural")


def test_an_answer_without_any_thinking_has_never_started(server):
    usage = {"prompt_tokens": 9, "completion_tokens": 5, "total_tokens": 14}
    assert read(server, Reply({"content": "Answer: 2"}, usage=usage)) == Trace("", "Answer: 2", 0, 5, "never_started")


@pytest.mark.parametrize("message", [{"reasoning": "One,", "content": None}, {"content": "<think>One,"}])
def test_a_reply_that_ends_while_thinking_is_unfinished(server, message):
    trace = read(server, Reply(message, finish_reason="length"))
    assert (trace.thinking, trace.attempt, trace.ended, trace.error) == ("One,", "", "unfinished", None)


@pytest.mark.parametrize(("reason", "is_cut"), [("length", True), ("stop", False)])
def test_an_answer_that_a_limit_has_cut_is_told_from_a_whole_one(server, reason, is_cut):
    trace = read(server, Reply({"reasoning": "One.", "content": "Answer:"}, finish_reason=reason))
    assert (trace.ended, trace.attempt, trace.answer_cut) == ("natural", "Answer:", is_cut)


@pytest.mark.parametrize("usage", [None, {"prompt_tokens": 9, "completion_tokens": 12, "total_tokens": 21}])
def test_counts_that_the_endpoint_does_not_tell_are_unknown(server, usage):
    trace = read(server, Reply(usage=usage))
    assert (trace.thinking_tokens, trace.answer_tokens) == (None, None)


def test_a_tokenizer_counts_what_the_endpoint_does_not(server):
    from s1_hf import embedded

    trace = read(server, Reply({"reasoning": "12345", "content": "123"}), tokenizer=str(embedded.MODEL_PATH))
    assert (trace.thinking_tokens, trace.answer_tokens) == (5, 3)  # a digit is a token


def usage_of(thinking: int, answer: int) -> dict[str, Any]:
    usage: dict[str, Any] = {"prompt_tokens": 9, "completion_tokens": thinking + answer, "total_tokens": 99}
    return usage | {"completion_tokens_details": {"reasoning_tokens": thinking}}


OPENROUTER = [{"type": "reasoning.text", "text": "One, "}, {"type": "reasoning.summary", "summary": "two."}]
PARTS = [
    {"type": "thinking", "thinking": [{"type": "text", "text": "One, "}, {"type": "text", "text": "two."}]},
    {"type": "text", "text": "Answer: "},
    {"type": "text", "text": "2"},
]
TAGGED = "<think>\nOne, two.\n</think>\n\nAnswer: 2"


@pytest.mark.parametrize(
    "message",
    [
        {"reasoning": None, "reasoning_details": OPENROUTER, "content": "Answer: 2"},
        {
            "reasoning": None,
            "reasoning_details": [*OPENROUTER, {"type": "reasoning.encrypted", "data": "x"}],
            "content": "Answer: 2",
        },
        {"content": PARTS},
        {"content": [{"type": "thinking", "thinking": "One, two."}, *PARTS[1:]]},
        {"reasoning_content": "One, two.", "content": TAGGED},
        {"reasoning": "\nOne, two.", "content": TAGGED},
        {"reasoning_content": "", "content": TAGGED},
    ],
    ids=["details", "encrypted", "parts", "part of text", "repeated", "repeated otherwise", "empty"],
)
def test_thinking_is_found_wherever_a_server_puts_it(server, message):
    trace = read(server, Reply(message, usage=usage_of(7, 5)))
    assert trace == Trace("One, two.", "Answer: 2", 7, 5, "natural")


def test_tags_in_an_answer_that_repeat_no_thinking_are_the_models_own_words(server):
    trace = read(server, Reply({"reasoning": "One.", "content": "<think>two</think> is a tag."}))
    assert (trace.thinking, trace.attempt) == ("One.", "<think>two</think> is a tag.")


def test_thinking_that_is_counted_and_not_shown_is_told_once(server, caplog):
    server.replies["q"] = [Reply({"content": "Answer: 2", "reasoning": None}, usage=usage_of(12, 5))]
    server.replies["r"] = server.replies["q"]
    traces = ask(server, "q", "r")
    assert traces["q"] == traces["r"] == Trace("", "Answer: 2", 12, 5, "natural")
    assert caplog.text.count("counts tokens of thinking, but does not show them") == 1


def body(error: Any) -> bytes:
    return json.dumps({"error": error}).encode()


@pytest.mark.parametrize(
    ("reply", "said"),
    [
        (Reply(body=body({"message": "upstream is gone", "code": 502})), "InternalServerError: .*upstream is gone"),
        (Reply(body=body({"message": "slow down", "code": "429"})), "RateLimitError: .*slow down"),
        (Reply(body=body({"message": "what?", "code": "odd"})), "InternalServerError: .*what?"),
        (Reply(body=body("no model is loaded")), "InternalServerError: .*no model is loaded"),
        (
            Reply({"content": "Ans"}, finish_reason="error", choice={"error": {"message": "it broke", "code": 503}}),
            "InternalServerError: .*it broke",
        ),
        (Reply({"content": "Ans"}, finish_reason="error"), "InternalServerError: Error code: 502"),
    ],
)
def test_an_error_with_status_200_is_tried_again_and_then_the_rows_error(server, reply, said):
    server.replies["q"] = [reply, Reply()]
    assert ask(server, "q", max_retries=1)["q"].attempt == "Answer: 1"
    assert re.match(said, str(read(server, reply).error))


def test_the_newer_name_of_the_limit_is_tried_where_it_is_asked_for(server):
    """By OpenAI's reasoning models; here of three requests at a time."""
    refusal = {"message": "Unsupported parameter: 'max_tokens'. Use 'max_completion_tokens' instead.", "code": "x"}
    for question in "abc":
        server.replies[question] = [Reply(status=400, body=body(refusal)), Reply()]
    server.barrier = threading.Barrier(3)
    traces = ask(server, *"abc", max_new_tokens=7, concurrency=3)
    assert [trace.error for trace in traces.values()] == [None] * 3
    assert [request.get("max_completion_tokens") for request in server.asked] == [None] * 3 + [7] * 3
    assert ["max_tokens" in request for request in server.asked] == [True] * 3 + [False] * 3


@pytest.mark.parametrize("kind", ["code", "type"])
def test_an_empty_account_ends_the_run_and_is_not_tried_again(server, kind):
    said = {"message": "You exceeded your current quota", kind: "insufficient_quota"}
    server.replies["q"] = [Reply(status=429, body=body(said))]
    with pytest.raises(ConnectionError, match="refuses 'm'.*You exceeded your current quota.*What is finished is kept"):
        ask(server, "q", max_retries=3)
    assert server.questions == ["q"]


def test_the_same_error_ten_times_in_a_row_ends_the_run_which_can_be_resumed(server, tmp_path):
    for question in range(30):
        server.replies[str(question)] = [Reply(status=403)] if question >= 5 else [Reply()]
    pool = Dataset.from_dict({"question": [str(i) for i in range(30)]})
    source = Endpoint(server.url, "m", concurrency=1, max_retries=0)
    with pytest.raises(ConnectionError, match=r"the same error 10 times in a row: PermissionDeniedError.*retry_err"):
        generate_traces(pool, source, tmp_path)
    assert 15 <= len(server.asked) <= 17
    server.replies.clear()
    rows = generate_traces(pool, source, tmp_path, retry_errors=True)
    assert list(rows["attempt"]) == ["Answer: 1"] * 30
    assert not {"0", "1", "2", "3", "4"} & set(server.questions[17:])


def test_errors_that_differ_or_come_between_traces_do_not_end_it(server):
    for i in range(24):
        server.replies[f"{i} differs"] = [Reply(status=400, body=body({"message": f"{i} tokens are too many"}))]
        server.replies[f"{i} same"] = [Reply(status=400)] if i % 2 else [Reply()]
    traces = ask(server, *server.replies, concurrency=1)
    assert len(traces) == 48


@pytest.mark.parametrize(
    "reply",
    [
        *(Reply(body=body) for body in (b"<html>busy</html>", b"{}", b'{"choices": []}', b'{"choices": [null]}', b"")),
        Reply({"content": ""}),
        Reply({"content": "I may not say."}, finish_reason="content_filter"),
    ],
    ids=["html", "no choices", "empty choices", "null choice", "nothing", "empty", "filtered"],
)
def test_a_reply_that_says_nothing_is_an_error_of_its_row_alone(server, reply):
    server.replies["q"] = [reply]
    traces = ask(server, "q", "other")
    assert (traces["q"].ended, traces["q"].attempt) == ("error", "")
    assert traces["q"].error
    assert traces["other"].attempt == "Answer: 1"


@pytest.mark.parametrize(("status", "name"), [(400, "BadRequest"), (429, "RateLimit"), (503, "InternalServer")])
def test_a_refusal_that_lasts_is_an_error_of_its_row_that_names_it(server, status, name):
    server.replies["q"] = [Reply(status=status)]
    traces = ask(server, "q", "other")
    assert traces["q"].error.startswith(f"{name}Error: ")
    assert traces["other"].error is None


@pytest.mark.parametrize("first", [Reply(status=429, headers={"Retry-After": "0.05"}), Reply(status=500)])
def test_rate_limits_and_server_errors_are_tried_again(server, first):
    server.replies["q"] = [first, Reply()]
    assert ask(server, "q", max_retries=1)["q"].attempt == "Answer: 1"
    assert server.questions == ["q", "q"]


def test_the_wait_before_a_retry_is_the_one_that_the_endpoint_asks_for(server, monkeypatch):
    waits = []
    monkeypatch.setattr("time.sleep", waits.append)
    server.replies["q"] = [Reply(status=429, headers={"Retry-After": "17"}), Reply()]
    assert ask(server, "q", max_retries=1)["q"].error is None
    assert 17.0 in waits


def test_a_reply_that_does_not_come_is_an_error_of_its_row_alone(server):
    server.replies["q"] = [Reply(wait_s=2.0)]
    traces = ask(server, "q", "other", timeout_s=0.4)
    assert traces["q"].error.startswith("APITimeoutError")
    assert traces["other"].error is None


def test_a_connection_that_is_dropped_every_time_is_an_error_of_its_row_alone(server):
    server.replies["q"] = [Reply(drop=True)]
    traces = ask(server, "q", "other", max_retries=1)
    assert traces["q"].error == "APIConnectionError: Server disconnected without sending a response."
    assert traces["other"].error is None and server.questions.count("q") == 2


@pytest.mark.parametrize("status", [400, 401])
def test_a_key_that_the_endpoint_repeats_is_in_no_error(server, status):
    server.replies["q"] = [Reply(status=status, body=b'{"error": {"message": "no such key: sk-1234"}}')]
    source = Endpoint(server.url, "m", api_key="sk-1234")
    try:
        (((_, trace),),) = source.traces([Ask("q")], lambda rows: None)
        said = str(trace.error)
    except ConnectionError as error:
        said = str(error)
    assert "no such key: ***" in said and "1234" not in said


@pytest.mark.parametrize("status", [401, 402, 404])
def test_what_concerns_all_rows_ends_the_run(server, status):
    server.replies["q"] = [Reply(status=status)]
    with pytest.raises(ConnectionError, match=r"refuses 'm'.*What is finished is kept"):
        ask(server, "q")


def test_an_endpoint_that_is_not_there_ends_the_run():
    with pytest.raises(ConnectionError, match="http://127.0.0.1:9/v1 cannot be reached"):
        list(Endpoint("http://127.0.0.1:9/v1", "m", max_retries=0).traces([Ask("q")], lambda rows: None))


def test_what_came_before_the_end_of_the_run_is_kept(server, tmp_path):
    server.replies["b"] = [Reply(status=401), Reply()]
    pool = Dataset.from_dict({"question": ["a", "b", "c"]})
    source = Endpoint(server.url, "m", concurrency=1)
    with pytest.raises(ConnectionError):
        generate_traces(pool, source, tmp_path)
    before = len(server.asked)
    rows = generate_traces(pool, source, tmp_path)
    assert "a" not in server.questions[before:]
    assert list(rows["attempt"]) == ["Answer: 1"] * 3


def test_so_many_requests_are_made_at_a_time(server):
    """No request is answered before three are there."""
    server.barrier = threading.Barrier(3)
    traces = ask(server, *"abcdef", concurrency=3, timeout_s=30)
    assert [trace.error for trace in traces.values()] == [None] * 6
    assert server.most == 3


def test_requests_are_spaced_evenly_over_the_minute(monkeypatch):
    clock, slept = [100.0], []
    monkeypatch.setattr(endpoint.time, "monotonic", lambda: clock[0])
    monkeypatch.setattr(endpoint.time, "sleep", slept.append)
    pace = endpoint._Pace(30)
    for _ in range(3):
        pace.wait(None)
    clock[0] += 60.0
    pace.wait(None)
    assert slept == [0.0, 2.0, 4.0, 0.0]


def test_requests_that_are_tried_again_are_paced_too(server, monkeypatch):
    paced = []
    monkeypatch.setattr(endpoint._Pace, "wait", lambda self, request: paced.append(str(request.url)))
    server.replies["q"] = [Reply(status=429, headers={"Retry-After": "0.01"}), Reply()]
    ask(server, "q", max_retries=1, requests_per_minute=60)
    assert paced == [f"{server.url}/chat/completions"] * 2


def test_only_what_was_given_is_sent(server):
    ask(server, "q")
    source = Endpoint(server.url, "m", temperature=0.5, top_p=0.9, max_new_tokens=7, seed=3, system_prompt="Briefly.")
    list(source.traces([Ask("q", 2)], lambda rows: None))
    first, second = server.asked
    assert first == {"model": "m", "messages": [{"role": "user", "content": "q"}]}
    assert {name: second[name] for name in ("temperature", "top_p", "max_tokens", "seed")} == {
        "temperature": 0.5,
        "top_p": 0.9,
        "max_tokens": 7,
        "seed": 5,  # of sample 2
    }
    assert second["messages"][0] == {"role": "system", "content": "Briefly."}


def test_the_key_is_the_environments_unless_one_is_given(server, monkeypatch):
    ask(server, "q")
    monkeypatch.setenv("OPENAI_API_KEY", "from-outside")
    ask(server, "q")
    ask(server, "q", api_key="mine")
    assert server.keys == {"Bearer none", "Bearer from-outside", "Bearer mine"}


def test_the_key_and_the_address_are_no_settings(server):
    assert "secret" not in str(Endpoint(server.url, "m", api_key="secret").settings)
    assert Endpoint(server.url, "m").settings == Endpoint("https://elsewhere/v1", "m").settings


def test_text_that_is_no_unicode_can_be_written(server, tmp_path):
    server.replies["q"] = [Reply({"reasoning": "a \ud800 b", "content": "Answer: \udfff"})]
    rows = generate_traces(Dataset.from_dict({"question": ["q"]}), Endpoint(server.url, "m"), tmp_path)
    assert rows[0]["thinking_trajectories"] == ["a ? b"]


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"base_url": "localhost:8000"}, "`base_url` has to be an address such as"),
        ({"model": ""}, "`model` has to be the name of a model"),
        ({"temperature": -0.1}, "`temperature` has to be from 0 to 2, but is -0.1"),
        ({"top_p": 0.0}, "`top_p` has to be above 0 and at most 1, but is 0.0"),
        ({"max_new_tokens": 0}, "`max_new_tokens` has to be positive, but is 0"),
        ({"concurrency": 0}, "`concurrency` has to be positive, but is 0"),
        ({"requests_per_minute": 0.0}, "`requests_per_minute` has to be positive"),
        ({"timeout_s": 0.0}, "`timeout_s` has to be positive"),
        ({"max_retries": -1}, "`max_retries` has to be 0 or more, but is -1"),
    ],
)
def test_a_setting_out_of_range_is_refused(settings, message):
    with pytest.raises(ValueError, match=message):
        Endpoint(**{"base_url": "http://x/v1", "model": "m", **settings})


@pytest.mark.parametrize("key", ["EMPTY", "none", "test"])
def test_what_the_model_wrote_stays_as_it_is_under_a_key_that_is_a_word(server, key):
    text = f"The latest test: {key}, http://user:password@host/?api_key=1."
    trace = read(server, Reply({"reasoning": text, "content": text}), api_key=key)
    assert (trace.thinking, trace.attempt) == (text, text)


def test_a_real_key_is_taken_out_of_what_the_model_wrote(server):
    trace = read(server, Reply({"reasoning": "sk-0123456789abcdef", "content": "a"}), api_key="sk-0123456789abcdef")
    assert (trace.thinking, trace.attempt) == ("***", "a")
