"""`s1-hf serve` with vLLM: the real server, asked by OpenAI's own client. Run by `make test-vllm`."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

pytest.importorskip("vllm.sampling_params", reason="vLLM is not installed: make test-vllm")
pytest.importorskip("typer")

from examples_of_serving import check_example
from same_on_both import (
    check_body_refused,
    check_efforts,
    check_hanging_up,
    check_no_limit_of_the_answer,
    check_numbers_beyond_all,
    check_own_budgets,
    check_refused,
    check_report_told_once,
)
from servers import CHAT, KEY, MODEL, QUESTION, client_of, counted, running, streamed

from lamp_requests import in_steps, lamp_engine, lamp_requests, run_all
from s1_hf import embedded, generate
from s1_hf.engines.checkpoint import Checkpoint
from s1_hf.engines.endpoint_engine import EndpointEngine
from s1_hf.forcing.pauses import Pause


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    """Its address; requests that do not say have one ignored end, and wait with another word."""
    place = tmp_path_factory.mktemp("server")
    budget = ["--num-ignores", "1", "--wait-text", "Hmm"]
    options = ["--max-num-seqs", "8", "--enforce-eager", "--dtype", "float32"]
    with running(
        ["s1_hf", "serve", "embedded", "--engine", "vllm", *budget, *options], place, S1_HF_API_KEY=KEY
    ) as url:
        yield url


@pytest.fixture
def client(server):
    with client_of(server) as one:
        yield one


@pytest.fixture(scope="module")
def expected():
    model, tokenizer = embedded.load()
    return lambda **budget: generate(model, tokenizer, QUESTION, **budget)[0]


def ask(client, budget: dict | None = None, **more):
    body = more.pop("extra_body", {})
    if budget is not None:
        body["vllm_xargs"] = budget
    return client.chat.completions.create(model=MODEL, messages=CHAT, extra_body=body, **{"temperature": 0, **more})


BUDGETS = [
    {"num_ignores": 0, "wait_text": "Wait"},
    {"num_ignores": 2, "wait_text": "Wait"},
    {"max_thinking_tokens": 16, "num_ignores": 0},
    {"max_thinking_tokens": None, "num_ignores": 1, "wait_text": ["Hmm", "Wait"]},
    {"max_thinking_tokens": 20, "answer_prefix": "", "num_ignores": 0},
]


@pytest.mark.parametrize("budget", BUDGETS, ids=json.dumps)
def test_a_request_has_the_budget_that_it_asks_for(client, expected, budget):
    answer = ask(client, budget)
    same = expected(**{name: None if value == "" else value for name, value in budget.items()})
    (choice,) = answer.choices
    assert counted(choice.s1_hf) == counted(vars(same.report))
    assert choice.s1_hf["forced"] == [i for i, forced in enumerate(same.forced) if forced]
    assert choice.message.content.endswith(same.answer) and choice.finish_reason == "stop"
    assert answer.usage.completion_tokens == len(same.token_ids)
    assert answer.usage.completion_tokens_details.reasoning_tokens == same.report.thinking_tokens
    assert getattr(choice, "token_ids", None) is None and getattr(answer, "prompt_token_ids", None) is None


def test_requests_that_do_not_say_have_the_servers_budget(client, expected):
    assert counted(ask(client).choices[0].s1_hf) == counted(vars(expected(num_ignores=1, wait_text="Hmm").report))
    report = ask(client, {"max_thinking_tokens": 100}).choices[0].s1_hf
    assert counted(report) == counted(vars(expected(num_ignores=1, wait_text="Hmm", max_thinking_tokens=100).report))


def test_a_stream_says_the_same_as_a_whole_answer(client):
    whole = ask(client, {"max_thinking_tokens": 16}).choices[0]
    stream = ask(client, {"max_thinking_tokens": 16}, stream=True, stream_options={"include_usage": True})
    text, last, usage = streamed(stream)
    assert text == whole.message.content and last.s1_hf == whole.s1_hf
    assert usage.completion_tokens_details.reasoning_tokens == 16


def test_every_output_has_its_report(client):
    answer = ask(client, {"max_thinking_tokens": 30}, n=3, temperature=1.0, seed=1)
    assert [choice.s1_hf["thinking_tokens"] <= 30 for choice in answer.choices] == [True] * 3
    assert answer.usage.completion_tokens == sum(choice.s1_hf["tokens"] for choice in answer.choices)
    stream = ask(client, {"max_thinking_tokens": 30}, n=2, temperature=1.0, stream=True)
    ended = [choice for chunk in stream for choice in chunk.choices if choice.finish_reason]
    assert len(ended) == 2 and all(choice.s1_hf["thinking_tokens"] <= 30 for choice in ended)


WRONG = [
    ({"max_thinking_tokens": -1}, "`max_thinking_tokens` has to be an integer of at least 0"),
    ({"max_thinking_tokens": True}, "`max_thinking_tokens` has to be an integer of at least 0"),
    ({"max_thinking_tokens": [5]}, "`max_thinking_tokens` has to be one number for a request"),
    ({"max_thinking_tokns": 5}, "Did you mean `max_thinking_tokens`?"),
    ({"wait_text": 'say "a"\n<|im_end|>'}, "`wait_text` has to be free of delimiters and ends of sequence"),
    ({"cut_text": "Time is up. " * 9, "max_thinking_tokens": 2}, "has to be at least the length of `cut_text`"),
    ({"cut_text": "stop"}, "`cut_text` has no effect without `max_thinking_tokens`"),
    ({"min_thinking_tokens": 5000}, "`min_thinking_tokens` has to fit"),
    ({"min_thinking_tokens": 960}, "`min_thinking_tokens` has to fit"),
    ({"s1_hf_unknown": 1}, "`s1_hf_unknown` is not an argument"),
    ({"max_answer_tokens": 0}, "`max_answer_tokens` has to be an integer of at least 1"),
]


@pytest.mark.parametrize(("budget", "message"), WRONG, ids=[json.dumps(budget) for budget, _ in WRONG])
@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
def test_a_wrong_budget_is_refused_with_what_is_wrong(client, budget, message, stream):
    check_refused(ask, client, budget, message, stream)


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ({"max_thinking_tokens": 5}, "has to stand in the request's `vllm_xargs`, but stands beside it"),
        ({"generation_config": '{"num_ignores": 1}'}, "`generation_config` is not read by vLLM"),
        ({"messages": [{**CHAT[0], "max_thinking_tokens": 5}]}, "but stands in `messages`"),
        ({"chat_template_kwargs": {"thinking_budget": 5}}, "`chat_template_kwargs.thinking_budget` is not read here"),
        ({"messages": [{"role": "user", "content": "x " * 50_000}]}, "The prompt has to fit into the context of 1,024"),
        ({"vllm_xargs": {"thinking_budget": 5}}, "`thinking_budget` is not an argument"),
        ({"vllm_xargs": [5]}, "`vllm_xargs` has to be a JSON object"),
        ({"use_beam_search": True, "n": 2}, "`use_beam_search` cannot be combined with a thinking budget"),
        ({"presence_penalty": 0.5}, "`presence_penalty` cannot be combined with a thinking budget"),
        ({"reasoning_effort": "huge"}, "There is no effort 'huge'"),
        ({"reasoning_effort": "low", "vllm_xargs": {"max_thinking_tokens": 5}}, "has to stand alone"),
        ({"max_tokens": 20, "vllm_xargs": {"max_thinking_tokens": "auto"}}, "has to leave room for delimiters"),
    ],
    ids=lambda value: json.dumps(value)[:80],
)
def test_what_nobody_would_read_is_refused(client, body, message):
    check_body_refused(client, body, message)


def test_a_cap_beyond_all_numbers_is_none(client):
    check_numbers_beyond_all(ask, client)


def test_an_answer_without_a_limit_has_none(client):
    check_no_limit_of_the_answer(ask, client)


def test_efforts_are_budgets(client):
    check_efforts(ask, client)


def test_many_clients_at_once_have_their_own_budgets(client):
    """More than the engine runs at once, so that some wait."""
    check_own_budgets(ask, client, requests=48, at_once=24)


def test_a_client_that_hangs_up_disturbs_nobody(client):
    check_hanging_up(ask, client)


def test_a_report_is_told_once_and_only_to_who_knows_the_key_and_the_tokens(client):
    check_report_told_once(ask, client)


@pytest.mark.parametrize(
    "end", [{"stop": ["Final"]}, {"max_tokens": 10}, {"extra_body": {"stop_token_ids": [5]}}], ids=str
)
@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
def test_whatever_ends_a_request_it_has_its_report(client, end, stream):
    """Stop strings are found some tokens late."""
    if stream:
        choice = streamed(ask(client, {"num_ignores": 0}, stream=True, **end))[1]
    else:
        (choice,) = ask(client, {"num_ignores": 0}, **end).choices
    assert choice.s1_hf["tokens"] > 0 and choice.finish_reason == ("length" if "max_tokens" in end else "stop")


def test_without_the_key_nothing_is_told_or_judged(server):
    import openai

    with client_of(server, "another-key") as stranger:
        for call in (
            lambda: stranger.models.list(),
            lambda: ask(stranger, {"max_thinking_tokens": -1}),
            lambda: stranger.post("/s1_hf/reports", body={"reports": []}, cast_to=object),
        ):
            with pytest.raises(openai.AuthenticationError):
                call()


def test_nothing_generates_past_the_budgets(client):
    """Every route of the server that takes a body, but those that are judged, or known to generate nothing."""
    import httpx

    root = str(client.base_url).removesuffix("/v1/")
    headers = {"authorization": f"Bearer {KEY}"}
    paths = httpx.get(f"{root}/openapi.json", headers=headers).json()["paths"]
    posts = {path for path, methods in paths.items() if methods.keys() - {"get", "head", "options"}}
    assert {"/invocations", "/v1/chat/completions/batch"} < posts
    judged = {"/v1/chat/completions", "/v1/completions", "/v1/responses", "/v1/messages"}
    harmless = {"/tokenize", "/detokenize", "/ping", "/v1/messages/count_tokens", "/v1/responses/{response_id}/cancel"}
    assert judged | harmless < posts
    for path in posts - judged - harmless:
        body = {"model": MODEL, "messages": CHAT}
        answer = httpx.post(root + path, json=body, headers=headers)
        assert answer.status_code == 403 and "is not served here" in answer.json()["error"]["message"], path
    for path in posts - {"/ping"}:
        assert httpx.post(root + path, json=body).status_code == 401
    for path in ("/openapi.json", "/v1/models"):
        assert httpx.get(root + path).status_code == 401
    prompt = {"model": MODEL, "prompt": QUESTION}
    assert httpx.post(f"{root}/tokenize", json=prompt, headers=headers).status_code == 200


def test_the_model_is_named_as_it_was_asked_for(client):
    (model,) = client.models.list().data
    assert model.id == MODEL and model.max_model_len == 1024


def test_responses_have_budgets_too(client):
    body = {"vllm_xargs": {"max_thinking_tokens": 16}}
    answer = client.responses.create(model=MODEL, input=QUESTION, extra_body=body, temperature=0)
    assert "Final Answer:" in answer.output_text
    answer = client.responses.create(model=MODEL, input=QUESTION, reasoning={"effort": "none"}, temperature=0)
    assert answer.usage.output_tokens < 20


def test_anthropics_api_has_efforts(client):
    """And what vLLM reads as a switch for the template is a cap."""
    import httpx

    def tokens(**more):
        body = {"model": MODEL, "messages": CHAT, "max_tokens": 300, "temperature": 0, **more}
        answer = httpx.post(f"{client.base_url}messages", json=body, headers={"authorization": f"Bearer {KEY}"})
        return answer.json()["usage"]["output_tokens"]

    assert tokens(thinking={"type": "disabled"}) < 20
    assert 38 < tokens(output_config={"effort": "low"}) < tokens()


def test_the_server_outlives_nonsense(client):
    import httpx

    headers = {"authorization": f"Bearer {client.api_key}", "content-type": "application/json"}
    for content in (b"{nonsense", b"[1]", b'"text"', b"", b"\xff\xfe", b"[" * 5000):
        answer = httpx.post(f"{client.base_url}chat/completions", content=content, headers=headers)
        assert answer.status_code == 400 and "request" in answer.json()["error"]["message"], answer.text
    assert ask(client, {"max_thinking_tokens": 4}).choices[0].s1_hf["ended"] == "cut"


def test_rows_pause_at_its_address_as_in_transformers(server):
    """Sampled ones, whose reports come by the route; from pause to pause."""
    engine, other = EndpointEngine(Checkpoint.find("embedded"), server, api_key=KEY), lamp_engine()
    requests = lamp_requests(other, 3, temperature=1.0, max_new_tokens=200)
    for pause in (Pause("\n"), Pause(tokens=12)):
        engine.check([replace(one, pause=pause) for one in requests])
        done, pauses = in_steps(engine, requests, pause)
        assert done == run_all(other, requests) and pauses > 6
    engine.forget_weights()


def test_the_example_runs(server, monkeypatch, capsys):
    check_example(server, monkeypatch, capsys)
