"""vLLM's middleware on a stand-in for its application and its engine; the real ones: `test_vllm_server.py`."""

from __future__ import annotations

import asyncio
import json
from types import SimpleNamespace

import pytest

from s1_hf import Budget, Effort, embedded
from s1_hf.serving.terms import SECTION, Terms
from s1_hf.serving.vllm_app import VllmMiddleware, reports_from
from s1_hf.vllm.options import PROCESSOR

REPORT = {"thinking_tokens": 3, "ended": "cut", "ends_ignored": 0, "forced": [1], "answer_tokens": 1, "tokens": 5}


class Engine:
    """Of vLLM: as many copies as given, each with the reports of its own requests, in two workers."""

    def __init__(self, *copies: dict[tuple, dict]) -> None:
        self.engine_core = self
        self.core_engines, self._copies = list(copies), copies
        self.wanted: list = []

    async def call_utility_all_async(self, method, name, timeout, args, kwargs):
        wanted, _ = args
        self.wanted += wanted
        own = lambda copy: [copy.get(tuple(ids), {"error": "not known"}) for _, ids in wanted]  # noqa: E731
        return [[None, own(copy)] for copy in self._copies]

    async def call_utility_async(self, *args):
        return (await self.call_utility_all_async(*args))[0]


class Server:
    """The application, which answers with what it is told to, behind the middleware."""

    def __init__(
        self, terms: Terms, engine: Engine, keys=None, answer=None, processors=(PROCESSOR,), texts=None
    ) -> None:
        model = SimpleNamespace(
            tokenizer=str(embedded.MODEL_PATH), tokenizer_revision=None, trust_remote_code=False, max_model_len=1024,
            runner_type="generate", logits_processors=list(processors), get_vocab_size=lambda: 432,
            try_get_generation_config=lambda: {"eos_token_id": 431},
        )  # fmt: skip
        config = SimpleNamespace(
            model_config=model,
            speculative_config=None,
            additional_config={SECTION: terms.to_dict(), "s1_hf": texts or {}},
        )
        self.state = SimpleNamespace(vllm_config=config, args=SimpleNamespace(api_key=keys), engine_client=engine)
        self.asked: list[dict] = []
        self._answer = answer or {"choices": []}
        self.app = VllmMiddleware(self._reply)

    async def _reply(self, scope, receive, send):
        body = (await receive())["body"]
        self.asked.append(json.loads(body) if body else {})
        text = json.dumps(self._answer).encode()
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"application/json")]})
        await send({"type": "http.response.body", "body": text})

    def post(
        self, body: dict, path: str = "/v1/chat/completions", key: str = "", method: str = "POST"
    ) -> tuple[int, dict]:
        sent: list[dict] = []

        async def receive():
            return {"type": "http.request", "body": json.dumps(body).encode(), "more_body": False}

        async def send(message):
            sent.append(message)

        headers = [(b"authorization", f"Bearer {key}".encode())]
        scope = {"type": "http", "method": method, "path": path, "headers": headers, "app": self}
        asyncio.run(self.app(scope, receive, send))
        return sent[0]["status"], json.loads(b"".join(message.get("body", b"") for message in sent[1:]))


def choice(ids: list[int], index: int = 0, **more) -> dict:
    return {"index": index, "finish_reason": "stop", "token_ids": ids, **more}


def test_a_request_without_a_budget_is_left_alone_where_the_server_has_none():
    server = Server(Terms(effort=Effort()), Engine({}))
    body = {"messages": [], "vllm_xargs": {"another_plug_in": 1}, "temperature": 0.5}
    assert server.post(body) == (200, {"choices": []})
    assert server.asked == [body]


def test_what_the_server_says_is_put_into_the_request_and_the_report_into_the_answer():
    engine = Engine({(5, 6): REPORT})
    answer = {"choices": [choice([5, 6])], "usage": {"total_tokens": 9}, "prompt_token_ids": [1]}
    server = Server(Terms.of(Budget(num_ignores=2)), engine, answer=answer)
    status, said = server.post({"vllm_xargs": {"max_thinking_tokens": None, "other": 3}})
    (asked,) = server.asked
    key = asked["vllm_xargs"].pop("s1_hf_key")
    own = {"num_ignores": 2, "max_thinking_tokens": "", "other": 3}
    assert asked["vllm_xargs"] == {**own, "s1_hf_checked": True}
    assert asked["return_token_ids"] and engine.wanted == [(key, [5, 6])]
    assert status == 200 and said["choices"] == [{"index": 0, "finish_reason": "stop", "s1_hf": REPORT}]
    assert said["usage"]["completion_tokens_details"] == {"reasoning_tokens": 3} and "prompt_token_ids" not in said


def test_what_an_engine_has_by_itself_makes_settings_of_a_request_act():
    server = Server(Terms(), Engine({}), texts={"loop_guard": True, "cut_window": 5})
    assert server.post({"vllm_xargs": {"answer_prefix": "So:"}})[0] == 200
    assert server.post({"vllm_xargs": {"cut_at": "sentence", "max_thinking_tokens": 9}})[0] == 200
    assert Server(Terms(), Engine({})).post({"vllm_xargs": {"answer_prefix": "So:"}})[0] == 400
    assert server.post({"messages": []})[0] == 200 and server.asked[-1] == {"messages": []}


def test_ids_stay_for_who_asks_for_them_and_reports_for_who_brings_a_key():
    answer = {"choices": [choice([5, 6])], "prompt_token_ids": [1]}
    server = Server(Terms(), Engine({(5, 6): REPORT}), answer=answer)
    _, said = server.post({"return_token_ids": True, "vllm_xargs": {"num_ignores": 1}})
    assert said["choices"][0]["token_ids"] == [5, 6] and said["prompt_token_ids"] == [1]
    _, said = server.post({"vllm_xargs": {"num_ignores": 1, "s1_hf_key": "mine"}})
    assert said == answer and "return_token_ids" not in server.asked[-1]


def test_what_was_refused_too_late_is_an_error_all_the_same():
    server = Server(Terms(), Engine({}), answer={"choices": [choice([5, 6])]})
    status, said = server.post({"vllm_xargs": {"num_ignores": 1}})
    assert (status, said["error"]["message"]) == (400, "not known")


def test_of_several_copies_of_a_model_one_knows_each_report():
    engine = Engine({(5,): REPORT}, {(6,): {**REPORT, "tokens": 9}})
    found = asyncio.run(reports_from(engine, [("a", [5]), ("b", [6]), ("c", [7])]))
    assert [one.get("tokens") for one in found] == [5, 9, None] and found[2] == {"error": "not known"}


def test_the_route_tells_reports():
    server = Server(Terms(), Engine({(5, 6): REPORT}))
    status, said = server.post({"reports": [{"key": "a", "token_ids": [5, 6]}]}, "/v1/s1_hf/reports")
    assert (status, said) == (200, {"reports": [REPORT]}) and server.asked == []


def test_who_lacks_the_key_is_refused():
    """Nothing is judged or told before, and nothing left to the server, which may read keys in another way."""
    server = Server(Terms(), Engine({(5,): REPORT}), keys=["right"])
    for path in ("/v1/chat/completions", "/v1/s1_hf/reports", "/invocations"):
        status, said = server.post({"max_thinking_tokens": 5}, path, key="wrong")
        assert status == 401 and "wants a key" in said["error"]["message"] and server.asked == []
    assert server.post({"max_thinking_tokens": 5}, key="right")[0] == 400


@pytest.mark.parametrize(
    "path",
    [
        "/v1/chat/completions/batch", "/invocations", "/inference/v1/generate", "/generative_scoring", "/v1/systemone",
        "/cohere/v2/chat", "/v1/audio/transcriptions", "/v1/chat/completions/", "//v1/completions", "/of/a/plug-in",
    ],
)  # fmt: skip
def test_what_would_generate_past_the_budgets_is_refused(path):
    server = Server(Terms(), Engine({}))
    status, said = server.post({"prompt": "a"}, path)
    assert status == 403 and f"'{path}' is not served here" in said["error"]["message"] and server.asked == []


@pytest.mark.parametrize("method", ["GET", "HEAD", "POST", "DELETE"])
@pytest.mark.parametrize("path", ["/tokenize", "/detokenize", "/sleep", "/server_info", "/openapi.json", "/v1/models"])
def test_whatever_could_do_harm_wants_the_key(path, method):
    server = Server(Terms(), Engine({}), keys=["right"])
    assert server.post({"prompt": "a"}, path, method=method)[0] == 401 and server.asked == []


@pytest.mark.parametrize("path", ["/health", "/ping", "/version", "/load", "/metrics"])
def test_how_the_server_is_may_be_asked_without_the_key(path):
    server = Server(Terms(), Engine({}), keys=["right"])
    assert server.post({}, path, method="GET")[0] == 200
    assert server.post({}, "/v1/models", method="OPTIONS")[0] == 200  # browsers ask whether they may send a key


@pytest.mark.parametrize("path", ["/tokenize", "/v1/completions", "/v1/messages/count_tokens"])
def test_a_prompt_that_cannot_fit_is_not_read_as_tokens(path):
    server = Server(Terms(), Engine({}))
    status, said = server.post({"prompt": "x " * 10_000}, path)
    assert status == 400 and "The prompt has to fit" in said["error"]["message"] and server.asked == []


@pytest.mark.parametrize("path", ["/tokenize", "/detokenize", "/sleep"])
def test_no_body_is_without_end(path, monkeypatch):
    monkeypatch.setattr("s1_hf.serving.asgi.MOST_BYTES", 50)
    server = Server(Terms(), Engine({}))
    assert server.post({"prompt": "a" * 50}, path)[0] == 413 and server.asked == []


@pytest.mark.parametrize("path", ["/tokenize", "/v1/messages/count_tokens", "/v1/responses/resp_1/cancel", "/sleep"])
def test_what_generates_nothing_passes(path):
    server = Server(Terms(), Engine({}))
    assert server.post({"prompt": "a"}, path) == (200, {"choices": []}) and server.asked == [{"prompt": "a"}]


def test_sockets_are_closed():
    server = Server(Terms(), Engine({}))
    sent: list[dict] = []

    async def send(message):
        sent.append(message)

    asyncio.run(server.app({"type": "websocket", "path": "/v1/realtime", "app": server}, None, send))
    assert sent == [{"type": "websocket.close", "code": 1008}]


def test_a_server_without_the_plug_in_does_not_start():
    with pytest.raises(ValueError, match="Budget forcing has to be named when the engine is built"):
        Server(Terms(), Engine({}), processors=()).post({})


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ({"vllm_xargs": {"max_thinking_tokens": True}}, "`max_thinking_tokens` has to be an integer"),
        ({"vllm_xargs": {"wait_text": "<|im_end|>", "num_ignores": 1}}, "free of delimiters"),
        ({"vllm_xargs": {"num_ignores": 1}, "use_beam_search": True}, "`use_beam_search` cannot be combined"),
        ({"vllm_xargs": {"num_ignores": 1}, "response_format": {"type": "json_object"}}, "`response_format` cannot"),
        ({"vllm_xargs": {"num_ignores": 1}, "text": {"format": {"type": "json_schema"}}}, "`text.format` cannot"),
        ({"vllm_xargs": {"num_ignores": 1}, "structured_outputs": {"regex": "a"}}, "`structured_outputs` cannot"),
        ({"vllm_xargs": {"num_ignores": 1}, "tools": [{}], "tool_choice": "required"}, '`tool_choice` "required" c'),
        ({"vllm_xargs": {"num_ignores": 1}, "tools": [{}], "tool_choice": {"type": "any"}}, "`tool_choice` {"),
        ({"vllm_xargs": {"num_ignores": 1}, "thinking": {"budget_tokens": 9}}, "`thinking.budget_tokens` is not read"),
        ({"vllm_xargs": {"num_ignores": 1, "wait_text": ["a"] * 17}}, "`wait_text` has to be at most 16 texts"),
        ({"vllm_xargs": {"num_ignores": 1, "wait_text": "a" * 4001}}, "at most 4,000 characters in all"),
        ({"vllm_xargs": {"num_ignores": 1, "s1_hf_key": "a" * 201}}, "of at most 200 characters"),
        ({"vllm_xargs": {"wait_text": "Hmm"}}, "`wait_text` has no effect without"),
        ({"thinking_budget": 5}, "A cap of thinking is `max_thinking_tokens`"),
        ({"extra_body": {"vllm_xargs": {"num_ignores": 9}}}, "has to stand at the top of the request"),
        ({"vllm_xargs": {"num_ignores": 1}, "thinking_token_budget": 5}, "`thinking_token_budget` cannot"),
        ({"vllm_xargs": {"min_thinking_tokens": 9}, "max_tokens": 5}, "`min_thinking_tokens` has to fit"),
        ({"vllm_xargs": {"num_ignoes": 9}}, "Did you mean `num_ignores`"),
        *(
            ({"vllm_xargs": {name: 5}}, f"`{name}` is not an argument. ")
            for name in (
                "thinking_budget",
                "thinking_token_budget",
                "reasoning_budget",
                "budget_tokens",
                "max_thinking",
                "max_reasoning_tokens",
                "MAX_THINKING_TOKENS",
                "effort",
                "reasoning_effort",
                "thinkingBudget",
            )
        ),
        ({"messages": [{"role": "user", "content": "Hi", "num_ignores": 1}]}, "has to stand in the request's"),
        ({"chat_template_kwargs": {"thinking_budget": 5}}, "`chat_template_kwargs.thinking_budget` is not read here"),
        ({"num_ignores": 9}, "has to stand in the request's `vllm_xargs`"),
        ({"generation_config": '{"num_ignores": 9}'}, "is not read by vLLM"),
    ],
    ids=json.dumps,
)
def test_what_is_wrong_never_reaches_the_engine(body, message):
    server = Server(Terms(), Engine({}))
    status, said = server.post(body)
    assert status == 400 and message in said["error"]["message"] and server.asked == []


def test_what_anthropics_api_calls_an_effort_is_one():
    server = Server(Terms(effort=Effort()), Engine({}))
    body = {"messages": [], "max_tokens": 500}
    assert server.post({**body, "output_config": {"effort": "low"}}, "/v1/messages")[0] == 200
    assert server.asked[-1]["vllm_xargs"]["thinking_share"] == 0.2
    assert server.post({**body, "thinking": {"type": "disabled"}}, "/v1/messages")[0] == 200
    assert server.asked[-1]["vllm_xargs"]["max_thinking_tokens"] == 0
    budget = {"type": "enabled", "budget_tokens": 2000}
    assert server.post({**body, "thinking": budget}, "/v1/messages")[0] == 200  # vLLM's to read, there
    status, said = server.post({**body, "thinking": budget, "vllm_xargs": {"num_ignores": 1}}, "/v1/messages")
    assert status == 400 and "`thinking.budget_tokens` cannot be combined" in said["error"]["message"]


def test_a_template_of_the_servers_own_says_which_variables_are_read(tmp_path):
    (tmp_path / "own.jinja").write_text("{{ thinking_budget }}")
    for template in ("{{ thinking_budget }}", str(tmp_path / "own.jinja")):
        server = Server(Terms(), Engine({}))
        server.state.args.chat_template = template
        assert server.post({"messages": [], "chat_template_kwargs": {"thinking_budget": 5}})[0] == 200


@pytest.mark.parametrize("choice", ["auto", "none", None, {"type": "auto"}], ids=str)
def test_tools_that_the_model_chooses_go_with_a_budget(choice):
    server = Server(Terms(), Engine({}))
    body = {
        "vllm_xargs": {"num_ignores": 1},
        "tools": [{}],
        "tool_choice": choice,
        "text": {"format": {"type": "text"}},
    }
    assert server.post(body)[0] == 200


def test_types_that_are_vllms_to_judge_are_left_to_it():
    server = Server(Terms(), Engine({}))
    body = {"vllm_xargs": {"num_ignores": 1}, "n": "two", "max_tokens": "many", "stop_token_ids": "a", "prompt": [[1]]}
    assert server.post(body, "/v1/completions")[0] == 200
