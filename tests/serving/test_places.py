"""A budget that stands where no server would look for it is refused, under whatever name; what is no budget passes."""

from __future__ import annotations

import pytest

from s1_hf.serving.places import MOST_NAMES, check_places


@pytest.mark.parametrize("name", ["max_thinking_tokens", "num_ignores", "max_answer_tokens"])
def test_a_budget_beside_its_place_is_refused(name):
    with pytest.raises(ValueError, match=rf"`{name}` has to stand in the request's `vllm_xargs`"):
        check_places({"model": "a", name: 5})
    with pytest.raises(ValueError, match=rf"`{name}` has to stand in .*`vllm_xargs`, but stands in `reasoning`"):
        check_places({"reasoning": {name: 5}})
    with pytest.raises(ValueError, match="Did you mean"):
        check_places({"max_thinking_tokns": 5})
    check_places({"vllm_xargs": {name: 5}, "generation_config": {name: 5}, "reasoning": {"effort": "low"}})


@pytest.mark.parametrize(
    "body",
    [
        {"thinking_budget": 5},
        {"thinkingLevel": "low"},
        {"effort": "low"},
        {"budget_tokens": 5},
        {"reasoning": {"max_tokens": 5}},
    ],
    ids=str,
)
def test_what_other_servers_call_a_cap_is_answered_with_our_name_for_it(body):
    with pytest.raises(
        ValueError, match="is not read here. A cap of thinking is `max_thinking_tokens` in `vllm_xargs`"
    ):
        check_places(body)


def test_what_the_client_takes_apart_is_not_sent_as_it_is():
    with pytest.raises(ValueError, match="`vllm_xargs` has to stand at the top of the request, but stands in `extra_b"):
        check_places({"extra_body": {"vllm_xargs": {"num_ignores": 1}}})


def test_fields_of_the_apis_are_no_misspelt_budgets():
    openai = pytest.importorskip("openai.types.chat.completion_create_params")
    more = ["thinking_token_budget", "min_tokens", "stop_token_ids", "truncate_prompt_tokens", "ignore_eos", "min_p"]
    check_places(dict.fromkeys([*openai.CompletionCreateParamsBase.__annotations__, *more, "max_output_tokens"]))


ASKED = {"role": "user", "content": "Hi"}


@pytest.mark.parametrize("name", ["max_thinking_tokens", "thinking_budget", "vllm_xargs", "reasoning_effort", "effort"])
@pytest.mark.parametrize(
    "place",
    [
        lambda name: {"messages": [{**ASKED, name: 5}]},
        lambda name: {"messages": [{"role": "user", "content": [{"type": "text", "text": "Hi", name: 5}]}]},
        lambda name: {"input": [{"type": "message", **ASKED, name: 5}]},
        lambda name: {"system": [{"type": "text", "text": "Hi", "cache_control": {name: 5}}]},
        lambda name: {"metadata": {name: "5"}},
        lambda name: {"chat_template_kwargs": {name: 5}},
        lambda name: {"chat_template_kwargs": {"more": [{name: 5}]}},
        lambda name: {"extra_body": {"google": {"thinking_config": {name: 5}}}},
    ],
    ids=["message", "part", "input", "system", "metadata", "template", "deep in the template", "extra_body"],
)
def test_however_deep_it_stands_it_is_refused(place, name):
    with pytest.raises(ValueError, match=f"`.*{name}` (is not read here|has to stand)"):
        check_places(place(name), "{{ messages }}")


OF_CLIENTS = {
    "tools": [{"function": {"name": "plan", "parameters": {"properties": {"thinking_budget": {"type": "integer"}}}}}],
    "response_format": {"json_schema": {"schema": {"properties": {"effort": {}}}}},
    "text": {"format": {"schema": {"properties": {"max_thinking_tokens": {}}}}},
    "logit_bias": {str(i): 1 for i in range(2 * MOST_NAMES)},
    "messages": [
        {"role": "assistant", "tool_calls": [{"function": {"name": "plan", "arguments": {"thinking_budget": 5}}}]},
        {"role": "assistant", "content": [{"type": "tool_use", "name": "plan", "input": {"effort": 5}}]},
        {"role": "user", "content": [{"type": "text", "text": "Hi", "alt_text": "a", "cache_control": {"ttl": "5m"}}]},
        {"role": "assistant", "reasoning_content": "So.", "reasoning": "So.", "content": "Hi", "refusal": None},
        *[ASKED] * MOST_NAMES,
    ],
    "reasoning": {"effort": "low", "summary": "auto"},
    "output_config": {"effort": "low"},
    "stream_options": {"include_usage": True},
    "include_reasoning": True,
}


@pytest.mark.parametrize("name", OF_CLIENTS)
def test_names_of_functions_and_formats_are_the_clients(name):
    check_places({name: OF_CLIENTS[name]})


def test_a_variable_of_the_chat_template_is_read():
    body = {"chat_template_kwargs": {"thinking_budget": 512, "reasoning_effort": "low", "enable_thinking": False}}
    check_places(body, "{% if thinking_budget %}{{ reasoning_effort }}{% endif %}")
    for template in ("{{ reasoning_effort }}", "{{ my_thinking_budget_too }} {{ reasoning_effort }}"):
        with pytest.raises(ValueError, match="`chat_template_kwargs.thinking_budget` is not read here"):
            check_places(body, template)
    with pytest.raises(ValueError, match="`max_thinking_tokens` has to stand in"):  # which is ours
        check_places({"chat_template_kwargs": {"max_thinking_tokens": 5}}, "{{ max_thinking_tokens }}")


def test_a_route_may_read_a_budget_of_its_own():
    body = {"thinking": {"type": "enabled", "budget_tokens": 2000}}
    check_places(body, own=("thinking",))
    with pytest.raises(ValueError, match="`thinking.budget_tokens` is not read here"):
        check_places(body)


def test_names_without_end_are_refused():
    names = {f"a{i}": 1 for i in range(MOST_NAMES + 1)}
    for body in (names, {"chat_template_kwargs": names}, {"messages": [{name: 1} for name in names]}):
        with pytest.raises(ValueError, match="at most 1,000 different names of fields"):
            check_places(body)


def test_nesting_is_followed_to_any_depth():
    deep: dict = {"num_ignores": 1}
    for _ in range(5000):
        deep = {"a": [deep]}
    with pytest.raises(ValueError, match="`num_ignores` has to stand"):
        check_places({"messages": [deep]})
