"""A web service that streams what a model writes, with thinking, forced text and answer told apart:

    python examples/web_service.py                       # the embedded toy; or a model's name: Qwen/Qwen3-8B
    curl -N localhost:8080/ask -H 'Content-Type: application/json' -d '{"question": "...", "num_ignores": 1}'

Each line of the reply is a piece, `{"kind": "thinking", "text": "51 = 51"}`; the last one is the report. A client that
hangs up stops its generation. For an endpoint with OpenAI's interface, keys and all checks: `s1-hf serve`.

Needs: pip install 's1-hf[serve]'
"""

import json
import sys
import threading
from collections.abc import AsyncIterator, Iterator
from dataclasses import asdict

import uvicorn
from fastapi import FastAPI, HTTPException
from fastapi.responses import StreamingResponse
from pydantic import BaseModel
from starlette.concurrency import iterate_in_threadpool
from transformers import AutoModelForCausalLM, AutoTokenizer, PreTrainedModel, PreTrainedTokenizerBase

from s1_hf import Budget, embedded, stream


class Question(BaseModel, extra="forbid", strict=True):
    """What a client asks; `None`: no cap, and as many tokens as fit into the model's context."""

    question: str
    max_thinking_tokens: int | None = None
    num_ignores: int = 0
    max_new_tokens: int | None = None


def service(model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase) -> FastAPI:
    """The application. Requests are answered one after the other; `s1-hf serve --engine vllm` makes batches of them."""
    app, one_at_a_time = FastAPI(), threading.Lock()

    @app.post("/ask")
    def ask(asked: Question) -> StreamingResponse:
        try:  # what is wrong with a budget is said before anything is sent
            budget = Budget(max_thinking_tokens=asked.max_thinking_tokens, num_ignores=asked.num_ignores)
        except ValueError as error:
            raise HTTPException(400, str(error)) from error
        return StreamingResponse(lines(asked, budget), media_type="application/x-ndjson")

    async def lines(asked: Question, budget: Budget) -> AsyncIterator[str]:
        written = answer(asked, budget)
        try:
            async for line in iterate_in_threadpool(written):
                yield line
        finally:  # also where the client has hung up
            written.close()

    def answer(asked: Question, budget: Budget) -> Iterator[str]:
        with one_at_a_time:
            length = {} if asked.max_new_tokens is None else {"max_new_tokens": asked.max_new_tokens}
            try:
                with stream(model, tokenizer, asked.question, budget=budget, **length) as pieces:
                    for text, kind in pieces:
                        yield json.dumps({"kind": kind, "text": text}) + "\n"
            except ValueError as error:  # only the prompt could tell: it is too long, for example
                yield json.dumps({"kind": "error", "text": str(error)}) + "\n"
                return
            report = asdict(pieces.completion.report)
            yield json.dumps({"kind": "report", **report, "forced": sum(report["forced"])}) + "\n"

    return app


if __name__ == "__main__":
    name = sys.argv[1] if len(sys.argv) > 1 else embedded.MODEL_PATH
    app = service(AutoModelForCausalLM.from_pretrained(name), AutoTokenizer.from_pretrained(name))
    uvicorn.run(app, host="127.0.0.1", port=8080)
