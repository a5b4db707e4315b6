"""What holds on both servers. `ask` is of a test module: from a client, a budget and more to an answer."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from servers import CHAT, MODEL, client_of, counted, streamed


def check_refused(ask: Any, client: Any, budget: dict, message: str, stream: bool) -> None:
    """A wrong budget is refused with what is wrong; what only the prompt decides, in a stream as an event."""
    import openai

    with pytest.raises(openai.APIError) as caught:
        streamed(ask(client, budget, stream=True)) if stream else ask(client, budget)
    assert message in str(caught.value)
    assert isinstance(caught.value, openai.BadRequestError) or (stream and "has to fit" in message), caught.value


def check_body_refused(client: Any, body: dict, message: str) -> None:
    """So is what nobody would read."""
    import openai

    with pytest.raises(openai.BadRequestError) as caught:
        client.chat.completions.create(model=MODEL, messages=CHAT, extra_body=body)
    assert message in str(caught.value)


def check_numbers_beyond_all(ask: Any, client: Any) -> None:
    assert ask(client, {"max_thinking_tokens": 10**30, "num_ignores": 0}).choices[0].s1_hf["ended"] == "natural"


def check_no_limit_of_the_answer(ask: Any, client: Any) -> None:
    whole = counted(ask(client, {"num_ignores": 0}).choices[0].s1_hf)
    for none in ("", None, 2**63, 10**30):
        body = {"vllm_xargs": {"num_ignores": 0, "max_answer_tokens": none}}
        assert counted(ask(client, extra_body=body).choices[0].s1_hf) == whole


def check_efforts(ask: Any, client: Any) -> None:
    reports = {}
    for effort in ("none", "low", "max"):
        reports[effort] = ask(client, reasoning_effort=effort, max_tokens=300).choices[0].s1_hf
    assert reports["none"]["thinking_tokens"] == 0 and reports["none"]["ended"] == "cut"
    assert reports["low"]["thinking_tokens"] == 38 and reports["low"]["ended"] == "cut"  # a fifth of the room
    assert reports["max"]["ended"] == "natural" and reports["max"]["ends_ignored"] == 0  # not the server's 1


def check_own_budgets(ask: Any, client: Any, requests: int, at_once: int) -> None:
    """With a client each."""
    caps = [5 + i for i in range(requests)]

    def run(cap: int) -> Any:
        with client_of(str(client.base_url)) as own:
            if cap % 2:
                return streamed(ask(own, {"max_thinking_tokens": cap}, stream=True))[1].s1_hf
            return ask(own, {"max_thinking_tokens": cap}).choices[0].s1_hf

    with ThreadPoolExecutor(at_once) as pool:
        assert [report["thinking_tokens"] for report in pool.map(run, caps)] == caps


def check_hanging_up(ask: Any, client: Any) -> None:
    import openai

    for _ in range(3):
        chunks = ask(client, {"min_thinking_tokens": 900}, stream=True)
        for number, _ in enumerate(chunks):
            if number == 5:
                break
        chunks.close()
    with client_of(str(client.base_url)) as hurried, pytest.raises(openai.APITimeoutError):
        ask(hurried, {"min_thinking_tokens": 900}, timeout=0.05)
    assert ask(client, {"max_thinking_tokens": 7}).choices[0].s1_hf["thinking_tokens"] == 7


def check_report_told_once(ask: Any, client: Any) -> None:
    """And only to who knows the key and all of the tokens."""
    import openai

    body = {"return_token_ids": True, "vllm_xargs": {"max_thinking_tokens": 16, "s1_hf_key": "mine"}}
    (choice,) = ask(client, extra_body=body).choices
    assert not hasattr(choice, "s1_hf")

    def told(key: str, ids: list[int]) -> Any:
        wanted = {"reports": [{"key": key, "token_ids": ids}]}
        (report,) = client.post("/s1_hf/reports", body=wanted, cast_to=object)["reports"]
        return report

    ids = choice.token_ids
    assert "not known" in told("yours", ids)["error"]
    for others in ([5, 6, 7], [], ids[:1], ids[:-1], [*ids, 5]):
        assert "not known" in told("mine", others)["error"]
    assert told("mine", ids)["thinking_tokens"] == 16
    assert "not known" in told("mine", ids)["error"]
    with pytest.raises(openai.BadRequestError, match="lacks `token_ids`"):
        client.post("/s1_hf/reports", body={"reports": [{"key": "mine"}]}, cast_to=object)
