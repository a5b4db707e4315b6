"""An agent that thinks, calls a tool, reads the result and thinks on, with a budget for each of its turns.

    python examples/tools.py Qwen/Qwen3-4B    # any model that thinks and calls tools
    python examples/tools.py                  # a scripted stand-in: no download, a few seconds

Calls are read as JSON between `<tool_call>` and `</tool_call>`, as Qwen3, QwQ and Hermes write them. Other families
write them differently: put your own parser in place of `calls_of`, and see docs/tools.md for what holds in each.
"""

from __future__ import annotations

import json
import re
import sys
from typing import Any

from s1_hf import Budget, Completion, generate


def get_temperature(city: str) -> int:
    """
    The temperature in a city.

    Args:
        city: The name of the city.
    """
    return {"Oslo": 4, "Rome": 17}.get(city, 10)


TOOLS = {"get_temperature": get_temperature}
QUESTION = "Is it warmer in Oslo or in Rome?"
BUDGETS = [  # one for each turn; a prefix such as "Final Answer:" would keep a model from calling a tool after a cut
    Budget(max_thinking_tokens=300, answer_prefix=None),
    Budget(max_thinking_tokens=100, answer_prefix=None),
    Budget(max_thinking_tokens=300, num_ignores=1),
]


def calls_of(completion: Completion) -> list[dict[str, Any]]:
    """The tool calls of a turn.

    A call that ended the turn while the model was thinking stands in the thinking. Otherwise only what follows the
    thinking counts: a call inside it was a thought, or was torn by a cut.
    """
    text = completion.thinking if completion.report.ended == "handed_over" else completion.answer
    return [json.loads(call) for call in re.findall(r"<tool_call>(.*?)</tool_call>", text, flags=re.DOTALL)]


def run(model: Any, tokenizer: Any, budgets: list[Budget]) -> list[Completion]:
    chat: list[dict[str, Any]] = [{"role": "user", "content": QUESTION}]
    completions = []
    for turn, budget in enumerate(budgets, start=1):
        (completion,) = generate(
            model,
            tokenizer,
            chat,
            budget=budget,
            max_new_tokens=1000,
            chat_template_kwargs={"tools": list(TOOLS.values())},
        )
        completions.append(completion)
        print(f"--- turn {turn}\nthinking: {completion.thinking}\n{completion.report}")
        calls = calls_of(completion)
        if not calls:
            print(f"answer: {completion.answer}")
            break
        # What the model wrote goes back into the chat, in pieces, as chat templates want it; then the results.
        thinking, content = (t.split("<tool_call>")[0].strip() for t in (completion.thinking, completion.answer))
        tool_calls = [{"type": "function", "function": call} for call in calls]
        chat += [{"role": "assistant", "content": content, "reasoning_content": thinking, "tool_calls": tool_calls}]
        for call in calls:
            result = TOOLS[call["name"]](**call["arguments"])
            print(f"call: {call['name']}({call['arguments']}) -> {result}")
            chat += [{"role": "tool", "name": call["name"], "content": str(result)}]
    return completions


if __name__ == "__main__":
    if len(sys.argv) > 1:
        from transformers import AutoModelForCausalLM, AutoTokenizer

        model = AutoModelForCausalLM.from_pretrained(sys.argv[1], dtype="auto", device_map="auto")
        tokenizer = AutoTokenizer.from_pretrained(sys.argv[1])
    else:
        from stand_in import scripted

        model, tokenizer = scripted()
    run(model, tokenizer, BUDGETS)
