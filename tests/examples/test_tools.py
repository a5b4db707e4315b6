"""The example of an agent, run on its stand-in."""

import importlib
from pathlib import Path

import pytest

EXAMPLES = Path(__file__).parents[2] / "examples"


@pytest.fixture
def example(monkeypatch):
    """The modules `tools` and `stand_in` of the examples, as one that runs them finds them."""
    monkeypatch.syspath_prepend(str(EXAMPLES))
    return importlib.import_module("tools"), importlib.import_module("stand_in")


def test_the_agent_has_a_budget_for_each_turn_and_its_calls_come_out_whole(example, capsys):
    tools, stand_in = example
    completions = tools.run(*stand_in.scripted(), tools.BUDGETS)
    assert [one.report.ended for one in completions] == ["natural", "cut", "natural"]
    assert [one.report.ends_ignored for one in completions] == [0, 0, 1]
    assert completions[1].report.thinking_tokens == 100
    assert [tools.calls_of(one) for one in completions] == [
        [{"name": "get_temperature", "arguments": {"city": "Oslo"}}],
        [{"name": "get_temperature", "arguments": {"city": "Rome"}}],
        [],
    ]
    assert completions[2].answer == "It is warmer in Rome."
    printed = capsys.readouterr().out
    for part in ("--- turn 3", "thinking: 4 is less than 17.Wait", "-> 17", "Report(thinking_tokens=100", "answer: It"):
        assert part in printed


def test_a_call_that_was_torn_or_only_thought_of_is_not_made(example):
    tools, _ = example
    report = lambda ended: type("", (), {"ended": ended})()  # noqa: E731
    torn = type("", (), {"thinking": "a<tool_call>{", "answer": "b</tool_call>", "report": report("cut")})()
    thought = type("", (), {"thinking": "<tool_call>{}</tool_call>", "answer": "b", "report": report("natural")})()
    called = type("", (), {"thinking": "<tool_call>{}</tool_call>", "answer": "", "report": report("handed_over")})()
    assert [tools.calls_of(one) for one in (torn, thought, called)] == [[], [], [{}]]
