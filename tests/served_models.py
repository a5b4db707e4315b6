"""The embedded model behind vLLM's completions API: the plug-in's own rows decide, and faults are made.

`python served_models.py PORT` serves it from a process of its own.
"""

from __future__ import annotations

import json
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import SimpleNamespace
from typing import Any

import torch

from s1_hf import embedded
from s1_hf.engines.checkpoint import Checkpoint
from s1_hf.engines.plain_config import ends_of
from s1_hf.forcing.formats import resolve_format
from s1_hf.vllm.refusals import check_request
from s1_hf.vllm.requests import Requests
from s1_hf.vllm.settings import asks_for_budget, settings_of
from s1_hf.vllm.setup import Setup

Fault = Callable[["Handler"], None]
"""Does something else in place of an answer."""

NAME = "lamps"
MISSING = object()


@dataclass
class Lamps:
    """The model, and one decoding at a time."""

    has_plugin: bool = True
    context: int = 1024
    format: Any = None
    processed_logprobs: bool = False
    takes_ids: bool = True
    tells_ids: bool = True
    lock: Any = field(default_factory=threading.Lock)

    def __post_init__(self) -> None:
        checkpoint = Checkpoint.find(str(embedded.MODEL_PATH))
        self.model = checkpoint.load(torch.device("cpu"), dtype="float32")
        self.tokenizer = checkpoint.tokenizer
        ends = tuple(ends_of(self.tokenizer, checkpoint.generation_config))
        self.setup = Setup(self.tokenizer, resolve_format(self.tokenizer, self.format), ends, self.context)
        self.requests = Requests(self.setup, torch.device("cpu"), 8)

    @torch.inference_mode()
    def complete(self, body: dict[str, Any]) -> dict[str, Any]:
        params = SimpleNamespace(**{**PARAMS, **{name: body[name] for name in PARAMS if name in body}})
        params.extra_args = dict(body.get("vllm_xargs") or {}) if self.has_plugin else {}
        check_request(params)
        prompt, ids = body["prompt"], []
        if isinstance(prompt, str):
            prompt = self.tokenizer.encode(prompt, add_special_tokens=False)
        elif not self.takes_ids:
            raise ValueError("prompt must be a string.")
        row = None
        with self.lock:
            if asks_for_budget(params):
                row = self.requests.enter(settings_of(params, {}), prompt, ids)
            return self._decoded(body, params, prompt, ids, row)

    def _decoded(self, body: dict[str, Any], params: Any, prompt: list[int], ids: list[int], row: Any) -> dict:
        cache, given = None, torch.tensor([prompt])
        bias = {int(token): value for token, value in (body.get("logit_bias") or {}).items()}
        draws = torch.Generator().manual_seed((body.get("seed") or 0) % 2**63)
        stops = {*self.setup.eos, *(body.get("stop_token_ids") or ())}
        if not self.tells_ids:
            stops = {*self.setup.eos, *(self.tokenizer.convert_tokens_to_ids(text) for text in body.get("stop") or ())}
        own, tops, finish = [], [], "length"
        most = min(body["max_tokens"], self.context - len(prompt))
        while len(ids) < most:
            out = self.model(given, past_key_values=cache, use_cache=True)
            cache, scores = out.past_key_values, out.logits[:, -1].float()
            raw = scores.clone()
            for token, value in bias.items():
                scores[0, token] += value
            if row is not None:
                last = torch.tensor([ids[-1] if ids else 0])
                self.requests.decide([row], [len(ids)], last, scores)
            if row is None and params.temperature > 0:
                weights = torch.softmax(scores[0] / params.temperature, -1)
                token = int(torch.multinomial(weights, 1, generator=draws))
            else:
                token = int(scores[0].argmax())
            told = torch.log_softmax(scores if self.processed_logprobs else raw, -1)[0]
            own.append(float(told[token].clamp(min=-9999)))
            tops.append({f"token_id:{int(told.argmax())}": float(told.max()), f"token_id:{token}": own[-1]})
            ids.append(token)
            given = torch.tensor([[token]])
            if self.tells_ids and any(text in self.tokenizer.decode(ids) for text in body.get("stop") or ()):
                finish = "stop"
                break
            if token in stops:
                finish = "stop"
                break
        if row is not None:
            self.requests.leave(row, True)
        shown = ids[:-1] if ids[-1] in stops else ids
        choice = {"index": 0, "text": self.tokenizer.decode(shown), "finish_reason": finish, "stop_reason": None}
        if body.get("return_token_ids") and self.tells_ids:
            choice["token_ids"] = list(ids)
        if body.get("logprobs") is not None:
            choice["logprobs"] = {"token_logprobs": own, "top_logprobs": tops, "tokens": [], "text_offset": []}
        usage = {"prompt_tokens": len(prompt), "completion_tokens": len(ids), "total_tokens": len(prompt) + len(ids)}
        return {"id": "1", "object": "text_completion", "model": body["model"], "choices": [choice], "usage": usage}


PARAMS: dict[str, Any] = {
    "max_tokens": 16, "temperature": 1.0, "top_k": 0, "top_p": 1.0, "min_p": 0.0, "seed": None, "n": 1,
    "presence_penalty": 0.0, "frequency_penalty": 0.0, "repetition_penalty": 1.0, "structured_outputs": None,
    "thinking_token_budget": None, "ignore_eos": False, "stop": None, "stop_token_ids": None,
}  # fmt: skip


class LampServer(ThreadingHTTPServer):
    """vLLM's server, as far as it is asked here.

    Args:
        faults (`list[Fault]`): made in turn, in place of the next answers.
        changes (`Callable`): makes something else of a completion before it is sent.
    """

    daemon_threads = True
    allow_reuse_address = True

    def __init__(self, lamps: Lamps, port: int = 0, *, key: str | None = None, name: str = NAME) -> None:
        super().__init__(("127.0.0.1", port), Handler)
        self.lamps, self.key, self.name, self.version = lamps, key, name, "0.32.0"
        self.has_reports = True
        self.faults: list[Fault] = []
        self.changes: Callable[[dict[str, Any]], Any] = lambda reply: reply
        self.asked: list[dict[str, Any]] = []
        self.answered: Counter[str] = Counter()  # by prompt, those with budgets
        self.now = self.most = 0
        self.told, self.pause_s = 0, 0.0  # events of streams, and the seconds between them
        self.counting = threading.Lock()
        self.connections: set[Any] = set()
        threading.Thread(target=self.serve_forever, args=(0.01,), daemon=True).start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}/v1"

    def process_request(self, request: Any, client_address: Any) -> None:
        self.connections.add(request)
        super().process_request(request, client_address)

    def kill(self) -> None:
        """As `kill -9`: whatever is under way is cut."""
        self.shutdown()
        self.server_close()
        for connection in list(self.connections):
            with suppress(OSError):
                connection.shutdown(2)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that gave up is no error here."""


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: LampServer

    def do_GET(self) -> None:
        if self.path == "/version":
            return self.say({"version": self.server.version})
        if self.path != "/v1/models":
            return self.say({"detail": "Not Found"}, 404)
        if not self.may_ask():
            return
        context = self.server.lamps.context
        self.say({"data": [{"id": self.server.name, "root": "/models/lamps", "max_model_len": context}]})

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        if not self.may_ask():
            return
        if self.path == "/v1/s1_hf/reports" and self.server.has_reports:
            return self.report(body)
        if self.path != "/v1/completions":
            return self.say({"detail": "Not Found"}, 404)
        if body["model"] != self.server.name:
            return self.say({"error": {"message": f"The model `{body['model']}` does not exist."}}, 404)
        with self.server.counting:
            self.server.asked.append(body)
            self.server.now += 1
            self.server.most = max(self.server.most, self.server.now)
            fault = self.server.faults.pop(0) if self.server.faults else None
        try:
            if fault is not None:
                return fault(self)
            reply = self.server.lamps.complete(body)
            with self.server.counting:
                self.server.answered[json.dumps([body["prompt"], body.get("vllm_xargs", {}).get("s1_hf_seed")])] += 1
            reply = self.server.changes(reply)
            if body.get("stream"):
                self.tell(reply)
            else:
                self.say(reply)
        except ValueError as error:
            self.say({"error": {"message": str(error), "type": "BadRequestError"}}, 400)
        finally:
            with self.server.counting:
                self.server.now -= 1

    def tell(self, reply: dict[str, Any]) -> None:
        """A completion as events of a few tokens each, as vLLM's `stream` has them."""
        (choice,) = reply["choices"]
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.send_header("Connection", "close")
        self.end_headers()
        ids = choice["token_ids"]
        for begin in range(0, len(ids), 3):
            part = slice(begin, begin + 3)
            event = {"index": 0, "text": "x", "token_ids": ids[part], "finish_reason": None}
            if "logprobs" in choice:
                event["logprobs"] = {n: choice["logprobs"][n][part] for n in ("token_logprobs", "top_logprobs")}
            self.wfile.write(f"data: {json.dumps({**reply, 'choices': [event]})}\n\n".encode())
            self.server.told += 1
            time.sleep(self.server.pause_s)
        self.wfile.write(b"data: [DONE]\n\n")
        self.close_connection = True

    def may_ask(self) -> bool:
        key = self.server.key
        if key is None or self.headers["Authorization"] == f"Bearer {key}":
            return True
        self.say({"error": f"Unauthorized: {self.headers['Authorization']}"}, 401)
        return False

    def report(self, body: dict[str, Any]) -> None:
        told = []
        for one in body["reports"]:
            try:
                with self.server.lamps.lock:
                    found = self.server.lamps.requests.told(one["key"], one["token_ids"])
            except RuntimeError as error:
                told.append({"error": str(error)})
                continue
            fields = asdict(found.report)
            if found.measured is not None:
                fields["measured"] = list(found.measured)
            if found.paused is not None:
                fields["paused"] = [int(value) for value in found.paused]
            fields["forced"] = [i for i, forced in enumerate(found.report.forced) if forced]
            fields["tokens"] = len(found.report.forced)
            if body.get("states"):
                fields["states"] = [[int(value) for value in state] for state in found.states]
            told.append(fields)
        self.say({"reports": told})

    def say(self, reply: Any, status: int = 200, headers: dict[str, str] | None = None) -> None:
        data = reply if isinstance(reply, bytes) else json.dumps(reply).encode()
        self.send_response(status)
        sent = {"Content-Type": "application/json", "Content-Length": str(len(data)), **(headers or {})}
        for name, value in sent.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(data)

    def cut(self) -> None:
        self.close_connection = True
        self.connection.shutdown(2)

    def log_message(self, *args: object) -> None:
        pass


def status(code: int, headers: dict[str, str] | None = None) -> Fault:
    return lambda handler: handler.say({"error": {"message": "so it is told"}}, code, headers)


def garbage(data: bytes) -> Fault:
    return lambda handler: handler.say(data)


def late(seconds: float) -> Fault:
    def wait(handler: Handler) -> None:
        time.sleep(seconds)
        handler.cut()

    return wait


if __name__ == "__main__":
    LampServer(Lamps(), int(sys.argv[1]))
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    threading.Event().wait()
