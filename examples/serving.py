"""Thinking budgets by OpenAI's own client, from a server that `s1-hf serve` has started, whichever its engine:

    s1-hf serve embedded                        # or Qwen/Qwen3-8B, ...; with --engine vllm in vLLM
    python examples/serving.py                  # or with the server's address: http://127.0.0.1:8000/v1

Needs: pip install openai
"""

import os
import sys
from typing import Any

from openai import BadRequestError, OpenAI

ADDRESS = "http://127.0.0.1:8000/v1"
QUESTION = (
    "Lamp A flashes at second 2 and then every 7 seconds. Lamp B flashes at second 3 and then every 8 seconds. When do "
    "they first flash together?"
)


def main(address: str = ADDRESS) -> None:
    client = OpenAI(base_url=address, api_key=os.environ.get("S1_HF_API_KEY", "none"))
    model = client.models.list().data[0].id
    chat: Any = [{"role": "user", "content": QUESTION}]

    def ask(**wishes: Any) -> Any:
        return client.chat.completions.create(model=model, messages=chat, temperature=0, **wishes)

    # 1. Every request has its own budget. What became of it stands beside the answer.
    for budget in ({"max_thinking_tokens": 16}, {"num_ignores": 0}, {"num_ignores": 2}):
        choice = ask(extra_body={"vllm_xargs": budget}).choices[0]
        print(budget, "->", last_line(choice.message.content), "|", counts(choice.s1_hf))

    # 2. Streamed: an ignored end never shows, and the report comes with the last piece.
    stream = ask(extra_body={"vllm_xargs": {"max_thinking_tokens": 30, "num_ignores": 1}}, stream=True)
    for chunk in stream:
        for choice in chunk.choices:
            print(choice.delta.content or "", end="", flush=True)
            if choice.finish_reason is not None:
                print("\n|", counts(choice.s1_hf))

    # 3. Names of efforts, as OpenAI's API has them.
    for effort in ("none", "low", "high"):
        answer = ask(reasoning_effort=effort, max_tokens=300)
        print(effort, "->", answer.usage.completion_tokens_details.reasoning_tokens, "tokens of thinking")

    # 4. What cannot be is refused, and never ignored.
    try:
        ask(extra_body={"vllm_xargs": {"max_thinking_tokens": -1}})
    except BadRequestError as error:
        print("refused:", error.message)


def last_line(text: str) -> str:
    return text.strip().splitlines()[-1]


def counts(report: dict[str, Any]) -> str:
    return f"{report['thinking_tokens']} tokens of thinking, {report['ended']}, {report['ends_ignored']} ends ignored"


if __name__ == "__main__":
    main(*sys.argv[1:2])
