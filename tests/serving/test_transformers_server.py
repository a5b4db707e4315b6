"""`s1-hf serve` with transformers: the real server, asked by OpenAI's own client."""

from __future__ import annotations

import json

import pytest
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
from servers import CHAT, MODEL, QUESTION, client_of, counted, streamed

from s1_hf import Budget, embedded, generate


@pytest.fixture(scope="module")
def expected():
    """What `generate` gives under a budget."""
    model, tokenizer = embedded.load()
    return lambda **budget: generate(model, tokenizer, QUESTION, **budget)[0]


def ask(client, budget: dict | None = None, **more):
    body = more.pop("extra_body", {})
    if budget is not None:
        body["generation_config"] = json.dumps(budget)
    return client.chat.completions.create(model=MODEL, messages=CHAT, extra_body=body, **more)


BUDGETS = [
    {"num_ignores": 0},
    {"num_ignores": 2},
    {"max_thinking_tokens": 16, "num_ignores": 0},
    {"max_thinking_tokens": None, "num_ignores": 1, "wait_text": ["Hmm", "Wait"]},
    {"max_thinking_tokens": 20, "answer_prefix": None, "num_ignores": 0},
    {"loop_guard": True, "num_ignores": 0},
]


@pytest.mark.parametrize("budget", BUDGETS, ids=json.dumps)
@pytest.mark.parametrize("dialect", ["generation_config", "vllm_xargs"])
def test_a_request_has_the_budget_that_it_asks_for(client, expected, budget, dialect):
    if dialect == "generation_config":
        answer = ask(client, budget)
    else:
        answer = ask(client, extra_body={"vllm_xargs": {n: "" if v is None else v for n, v in budget.items()}})
    same = expected(**Budget(**{**budget, "loop_guard": None}).to_dict())
    (choice,) = answer.choices
    assert choice.s1_hf["thinking_tokens"] == same.report.thinking_tokens
    assert counted(choice.s1_hf) == counted(vars(same.report))
    assert choice.s1_hf["forced"] == [i for i, forced in enumerate(same.forced) if forced]
    text = embedded.load()[1].decode(same.token_ids).removesuffix("<|im_end|>")
    assert choice.message.content == text and choice.finish_reason == "stop"
    assert answer.usage.completion_tokens == len(same.token_ids)
    assert answer.usage.completion_tokens_details.reasoning_tokens == same.report.thinking_tokens


def test_requests_that_do_not_say_have_the_servers_budget(client, expected):
    assert counted(ask(client).choices[0].s1_hf) == counted(vars(expected(num_ignores=1).report))
    answer = ask(client, {"max_thinking_tokens": 100})
    assert counted(answer.choices[0].s1_hf) == counted(vars(expected(num_ignores=1, max_thinking_tokens=100).report))


def test_a_stream_says_the_same_as_a_whole_answer(client):
    whole = ask(client, {"max_thinking_tokens": 16}).choices[0]
    text, last, usage = streamed(ask(client, {"max_thinking_tokens": 16}, stream=True))
    assert text == whole.message.content
    assert last.s1_hf == whole.s1_hf and last.finish_reason == "stop"
    assert usage.completion_tokens_details.reasoning_tokens == 16


WRONG = [
    ({"max_thinking_tokens": -1}, "`max_thinking_tokens` has to be an integer of at least 0"),
    ({"max_thinking_tokens": True}, "`max_thinking_tokens` has to be an integer of at least 0"),
    ({"max_thinking_tokens": 1.5}, "`max_thinking_tokens` has to be an integer of at least 0"),
    ({"max_thinking_tokens": "5"}, "`max_thinking_tokens` has to be an integer of at least 0"),
    ({"max_thinking_tokens": [5]}, "`max_thinking_tokens` has to be one number for a request"),
    ({"max_thinking_tokens": {"a": 1}}, "`max_thinking_tokens` has to be an integer of at least 0"),
    ({"max_thinking_tokns": 5}, "Did you mean `max_thinking_tokens`?"),
    ({"thinking_budget": 5}, "`thinking_budget` is no setting of `generation_config`"),
    ({"num_ignores": None}, "`num_ignores` has to be an integer of at least 0"),
    ({"wait_text": 5}, "`wait_text` has to be a text"),
    ({"wait_text": 'say "a"\n<|im_end|>'}, "`wait_text` has to be free of delimiters and ends of sequence"),
    ({"cut_text": "stop"}, "`cut_text` has no effect without `max_thinking_tokens`"),
    ({"cut_text": "Time is up. " * 9, "max_thinking_tokens": 2}, "has to be at least the length of `cut_text`"),
    ({"min_thinking_tokens": 5000}, "`min_thinking_tokens` has to fit"),
    ({"min_thinking_tokens": 9, "max_thinking_tokens": 8}, "but 9 > 8"),
    ({"max_thinking_tokens": "auto", "max_new_tokens": 20}, "has to leave room for delimiters"),
    ({"max_answer_tokens": 0}, "`max_answer_tokens` has to be an integer of at least 1"),
    ({"loop_guard": "maybe"}, "`loop_guard` has to be true"),
    ({"max_new_tokens": 5000}, "`max_new_tokens` has to leave room for the prompt"),
    ({"num_beams": "many"}, "`num_beams` has to be an integer from 1 to 8"),
    ({"num_beams": 1000}, "`num_beams` has to be an integer from 1 to 8"),
    ({"max_time": "soon"}, "`max_time` has to be a number above 0"),
    ({"eos_token_id": None}, "`eos_token_id` has to be the id of a token"),
    ({"eos_token_id": "end"}, "`eos_token_id` has to be the id of a token"),
    ({"penalty_alpha": 0.6}, "`penalty_alpha` is no setting of `generation_config`"),
    ({"_from_model_config": True, "max_thinking_tokens": 5}, "`_from_model_config` is no setting"),
    ({"return_dict_in_generate": True}, "`return_dict_in_generate` is no setting"),
    ({"is_assistant": True}, "`is_assistant` is no setting"),
    ({"sequence_bias": []}, "`sequence_bias` is no setting"),
    ({"cache_implementation": "static"}, "`cache_implementation` is no setting"),
]


@pytest.mark.parametrize(("budget", "message"), WRONG, ids=[json.dumps(budget) for budget, _ in WRONG])
@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
def test_a_wrong_budget_is_refused_with_what_is_wrong(client, budget, message, stream):
    check_refused(ask, client, budget, message, stream)


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ({"max_thinking_tokens": 5}, "has to stand in the request's `vllm_xargs`, but stands beside it"),
        ({"generation_config": "{"}, "`generation_config` is not JSON"),
        ({"generation_config": [5]}, "`generation_config` has to be a JSON object"),
        ({"messages": [{**CHAT[0], "max_thinking_tokens": 5}]}, "but stands in `messages`"),
        ({"chat_template_kwargs": {"thinking_budget": 5}}, "`chat_template_kwargs.thinking_budget` is not read here"),
        ({"messages": [{"role": "user", "content": "x " * 50_000}]}, "The prompt has to fit into the context of 1,024"),
        ({"vllm_xargs": [5]}, "`vllm_xargs` has to be a JSON object"),
        ({"vllm_xargs": {"other": 5}}, "`other` is no argument of this server"),
        ({"vllm_xargs": {"num_ignores": 1}, "generation_config": {"num_ignores": 1}}, "Leave one of them out"),
        ({"generation_config": {"s1_hf_key": "a"}}, "`s1_hf_key` is no setting"),
        ({"reasoning_effort": "huge"}, "There is no effort 'huge'"),
        ({"reasoning_effort": "low", "generation_config": {"max_thinking_tokens": 5}}, "has to stand alone"),
        ({"temperature": "hot"}, "`temperature` has to be a number"),
        ({"max_tokens": 0}, "`max_tokens` has to be an integer of at least 1"),
        ({"n": 2}, "one answer to a request"),
        ({"chat_template_kwargs": {"chat_template": "{{ 1 }}"}}, "do without a `chat_template`"),
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
    text = ask(client, {"answer_prefix": "So:"}, reasoning_effort="none").choices[0].message.content
    assert "So:" in text


def test_a_temperature_means_sampling_and_a_seed_repeats_it(client):
    def text(**more):
        return ask(client, {"num_ignores": 0}, **more).choices[0].message.content

    assert text(temperature=1.5, seed=3) == text(temperature=1.5, seed=3)
    assert len({text(temperature=1.5, seed=seed) for seed in range(4)}) > 1
    assert text(temperature=0) == text(temperature=0, seed=4) == text()


def test_stop_strings_reach_the_tokenizer(client):
    choice = ask(client, {"max_thinking_tokens": 16}, stop=["Final Answer"]).choices[0]
    assert choice.message.content.endswith("Final Answer")


def test_a_limit_is_told_from_an_end(client):
    assert ask(client, {"min_thinking_tokens": 900}).choices[0].finish_reason == "length"  # the context is full
    assert ask(client, max_tokens=10).choices[0].finish_reason == "length"


def test_clients_at_once_have_their_own_budgets(client):
    """With a client each, and twelve requests under way at any time."""
    check_own_budgets(ask, client, requests=24, at_once=12)


def test_a_client_that_hangs_up_disturbs_nobody(client):
    check_hanging_up(ask, client)


def test_completions_take_ids_and_give_ids_as_in_vllm(client, expected):
    _, tokenizer = embedded.load()
    prompt = tokenizer.apply_chat_template(CHAT, add_generation_prompt=True, return_dict=True)["input_ids"]
    same = expected(max_thinking_tokens=16)
    body = {"return_token_ids": True, "vllm_xargs": {"max_thinking_tokens": 16, "num_ignores": 0}}
    (choice,) = client.completions.create(model=MODEL, prompt=prompt, extra_body=body).choices
    assert choice.token_ids == list(same.token_ids)
    assert choice.s1_hf["thinking_tokens"] == 16
    text = tokenizer.decode(prompt)
    assert client.completions.create(model=MODEL, prompt=text, extra_body=body).choices[0].text == choice.text


def test_a_report_is_told_once_and_only_to_who_knows_the_key_and_the_tokens(client):
    check_report_told_once(ask, client)


def test_without_the_key_nothing_is_told(server):
    import openai

    with client_of(server, "another-key") as stranger:
        for call in (
            lambda: stranger.models.list(),
            lambda: ask(stranger),
            lambda: stranger.post("/s1_hf/reports", body={"reports": []}, cast_to=object),
        ):
            with pytest.raises(openai.AuthenticationError, match="wants a key"):
                call()


@pytest.mark.parametrize("method", ["OPTIONS", "GET", "PUT", "HEAD"])
def test_the_key_holds_for_all_methods_and_there_are_no_options(client, method):
    import httpx

    for route in ("chat/completions", "models", "../reset", "nowhere"):
        url = f"{client.base_url}{route}"
        assert httpx.request(method, url).status_code == 401
        status = httpx.request(method, url, headers={"authorization": f"Bearer {client.api_key}"}).status_code
        assert status == 405 if method == "OPTIONS" else status < 500


def test_no_client_loads_another_model_or_unloads_this_one(client):
    """With another model could come its code."""
    import openai

    for route in ("../load_model", "../reset"):
        with pytest.raises(openai.PermissionDeniedError, match="serves embedded only"):
            client.post(route, body={"model": "somebody/else"}, cast_to=object)
    with pytest.raises(openai.BadRequestError, match="pinned to 'embedded'"):
        client.chat.completions.create(model="somebody/else", messages=CHAT)


def test_the_model_is_named_as_it_was_asked_for(client):
    (model,) = client.models.list().data
    assert model.id == MODEL and model.max_model_len == 1024
    assert ask(client).model == MODEL


def test_responses_have_budgets_too(client):
    body = {"generation_config": json.dumps({"max_thinking_tokens": 16})}
    answer = client.responses.create(model=MODEL, input=QUESTION, extra_body=body)
    assert "Final Answer:" in answer.output_text
    answer = client.responses.create(model=MODEL, input=QUESTION, reasoning={"effort": "none"})
    assert answer.usage.output_tokens < 20


def test_the_server_outlives_nonsense(client):
    import httpx

    headers = {"authorization": f"Bearer {client.api_key}", "content-type": "application/json"}
    for content in (b"{nonsense", b"[1]", b'"text"', b"", b"\xff\xfe", b"[" * 5000):
        answer = httpx.post(f"{client.base_url}chat/completions", content=content, headers=headers)
        assert answer.status_code == 400 and "request" in answer.json()["error"]["message"], answer.text
    assert ask(client, {"max_thinking_tokens": 4}).choices[0].s1_hf["ended"] == "cut"


@pytest.mark.parametrize(
    ("route", "body"),
    [
        ("chat/completions", {}),
        ("chat/completions", {"messages": [{}]}),
        ("chat/completions", {"messages": CHAT, "stop": []}),
        ("chat/completions", {"messages": CHAT, "chat_template_kwargs": {"tokenize": False}}),
        ("completions", {"prompt": ""}),
        ("responses", {"input": [{}]}),
    ],
    ids=json.dumps,
)
def test_another_shape_is_refused_by_what_is_asked(client, route, body):
    import openai

    with pytest.raises(openai.BadRequestError, match="lacks|has to|surrogate"):
        client.post(f"/{route}", body={"model": MODEL, **body}, cast_to=object)


def test_a_body_without_end_is_refused(client):
    import openai

    with pytest.raises((openai.APIStatusError, openai.APIConnectionError)) as caught:
        ask(client, {"wait_text": "a" * 16_000_000})
    assert getattr(caught.value, "status_code", 413) == 413  # else the client was still writing when it was told


def test_a_bias_makes_a_token_likely(client):
    token = embedded.load()[1].convert_tokens_to_ids("Lamp")
    for route, body in (("chat/completions", {"messages": CHAT}), ("completions", {"prompt": QUESTION})):
        more = {"model": MODEL, "logit_bias": {str(token): 100}, "max_tokens": 5, "return_token_ids": True}
        none = {"generation_config": {"num_ignores": 0}}
        (choice,) = client.post(f"/{route}", body={**body, **more, **none}, cast_to=object)["choices"]
        assert choice["token_ids"][-3:] == [token] * 3  # the first ones can be forced


def test_the_example_runs(server, monkeypatch, capsys):
    check_example(server, monkeypatch, capsys)
