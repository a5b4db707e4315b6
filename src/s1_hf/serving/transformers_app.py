"""The middleware of `transformers serve`: budgets in, reports out, and keys, which that server does not have."""

from __future__ import annotations

import asyncio
import json
import traceback
import uuid
from collections import OrderedDict
from collections.abc import Mapping, MutableMapping
from concurrent.futures import Future
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from transformers import AutoConfig, AutoTokenizer, GenerationConfig

from s1_hf.generation.context import context_of
from s1_hf.generation.exported import KEY, Expected, Told, expecting
from s1_hf.serving.answers import Edited, Thinking, as_fields
from s1_hf.serving.asgi import (
    NOT_JSON,
    READING,
    STRANGER,
    App,
    Receive,
    Send,
    error_of,
    has_key,
    is_json,
    not_served,
    read_object,
    refuse,
    replaying,
    send_json,
    with_length,
)
from s1_hf.serving.bounds import ANYTHING, Bounds
from s1_hf.serving.reports import ROUTE, wanted_in
from s1_hf.serving.terms import Terms
from s1_hf.serving.transformers_request import Asked, Reader
from s1_hf.serving.transformers_shape import CHAT, PLAIN, RESPONSES, checked

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

    from s1_hf.forcing.effort import Effort

MOST_TOKENS = 1_000_000
"""Of requests whose reports wait to be fetched: some 60 MB. The oldest go first."""

_Name = tuple[str, tuple[int, ...]]  # of a report: the key of a client, which may use it again, and the tokens

_GENERATING = (CHAT, PLAIN, RESPONSES)
_FIXED = ("/load_model", "/reset")  # with them a client could have code of any repository run, or stop the others
_TELLS_WITHIN_S = 60.0  # what became of a call is known as soon as it has ended


@dataclass(frozen=True)
class Served:
    """What a server has to know to judge a request.

    Args:
        name (`str`): of the model, as clients call it.
        tokenizer ([`PreTrainedTokenizerBase`]): the model's.
        reader ([`Reader`]): of requests.
        context (`int`, *optional*): how many tokens prompt and output may have together.
        keys (`tuple[str, ...]`): one of which every request has to bear, if there are any.
        bounds ([`Bounds`]): of a prompt.
    """

    name: str
    tokenizer: PreTrainedTokenizerBase
    reader: Reader
    context: int | None
    keys: tuple[str, ...] = ()
    bounds: Bounds = ANYTHING

    @classmethod
    def of(
        cls, folder: Path, name: str, settings: Mapping[str, Any], effort: Effort | None, keys: tuple[str, ...] = ()
    ) -> Served:
        """That of an exported folder.

        Args:
            settings (`Mapping`): those that it was exported with.
        """
        tokenizer = AutoTokenizer.from_pretrained(folder)
        context = context_of(AutoConfig.from_pretrained(folder))
        try:
            config = GenerationConfig.from_pretrained(folder)
        except OSError:
            config = GenerationConfig()
        terms = Terms.of(settings["budget"], settings["max_answer_tokens"], effort)
        reader = Reader(tokenizer, settings["format"], config, context, terms)
        return cls(name, tokenizer, reader, context, keys, Bounds.of(tokenizer, context))


class TransformersMiddleware:
    """Around the application of `transformers serve`.

    Args:
        app: the application.
        served ([`Served`]): its model.
    """

    def __init__(self, app: App, served: Served) -> None:
        self._app, self._served = app, served
        self._told: OrderedDict[_Name, Told] = OrderedDict()
        self._tokens = 0  # of them

    async def __call__(self, scope: MutableMapping[str, Any], receive: Receive, send: Send) -> None:
        """A request."""
        if scope["type"] == "websocket":  # none is known here
            return await send({"type": "websocket.close", "code": 1008})
        if scope["type"] != "http":
            return await self._app(scope, receive, send)
        path = scope["path"]
        refused = self._refused(scope)
        if refused is not None:
            return await refuse(send, *refused)
        if scope["method"] in READING:
            if path == "/v1/models":
                return await send_json(send, 200, self._models())
            return await self._app(scope, receive, send)
        if scope["method"] != "POST" or path not in (*_GENERATING, ROUTE):
            return await refuse(send, *not_served(path, _GENERATING))
        return await self._post(scope, receive, send)

    async def _post(self, scope: MutableMapping[str, Any], receive: Receive, send: Send) -> None:
        """A request to generate, or for reports."""
        path = scope["path"]
        if not is_json(scope):
            return await refuse(send, *NOT_JSON)
        try:
            found = await read_object(receive, send)
            if found is None:
                return None
            if path == ROUTE:
                wanted = await asyncio.to_thread(wanted_in, found)
                return await send_json(send, 200, self._reports(wanted, bool(found.get("states"))))
            asked = await asyncio.to_thread(self._read, found, path)
        except (ValueError, TypeError) as error:
            return await refuse(send, 400, str(error))
        return await self._generate(scope, receive, send, asked)

    def _read(self, body: dict[str, Any], path: str) -> Asked:
        self._served.bounds.check(body)
        return self._served.reader.read(checked(body, path), path)

    def _refused(self, scope: MutableMapping[str, Any]) -> tuple[int, str] | None:
        """With which status, and why, a request is not even read."""
        if self._served.keys and scope["path"] != "/health" and not has_key(scope, self._served.keys):
            return STRANGER
        if scope["method"] == "OPTIONS":  # at which the application would fail
            return 405, "This server answers no OPTIONS. For pages of other origins, start it with `--enable-cors`."
        if scope["path"] in _FIXED:
            return 403, f"This server serves {self._served.name} only."
        return None

    async def _generate(self, scope: MutableMapping[str, Any], receive: Receive, send: Send, asked: Asked) -> None:
        key = uuid.uuid4().hex
        call = Expected(asked.seed, asked.start, asked.steps, asked.criterion, told=Future())
        asked.config[KEY] = key
        body = json.dumps({**asked.body, "generation_config": json.dumps(asked.config)}).encode()
        edited = Edited(send, _Answer(self, asked, call))
        with expecting(key, call):
            try:
                await self._app(with_length(scope, body), replaying(body, receive), edited)
            except Exception as error:
                if not _is_of_template(error):
                    raise
                await refuse(send, 400, self._said_of_template(error))

    def _said_of_template(self, error: Exception) -> str:
        if self._served.tokenizer.chat_template is None:
            return f"{self._served.name} has no chat template. Ask it by {PLAIN}, with a text as `prompt`."
        return f"The chat template of {self._served.name} does not take this request: {error}"

    def _models(self) -> dict[str, Any]:
        one = {"id": self._served.name, "object": "model", "created": 0, "owned_by": "s1-hf", "root": self._served.name}
        return {"object": "list", "data": [{**one, "max_model_len": self._served.context}]}

    # -- what became of requests --------------------------------------------------------------------------------

    def keep(self, key: str, told: Told) -> None:
        """What became of a request whose client will ask for it."""
        name = key, tuple(told.token_ids)
        self._forget(name)
        self._told[name] = told
        self._tokens += len(told.token_ids)
        while self._tokens > MOST_TOKENS:
            self._forget(next(iter(self._told)))

    def _forget(self, name: _Name) -> None:
        told = self._told.pop(name, None)
        self._tokens -= 0 if told is None else len(told.token_ids)

    def _reports(self, wanted: list[tuple[str, list[int]]], with_states: bool) -> dict[str, Any]:
        found: list[dict[str, Any]] = []
        for key, ids in wanted:
            told = self._told.get((key, tuple(ids)))
            if told is None:
                found.append({"error": f"The report of request {key!r} and these {len(ids)} tokens is not known."})
                continue
            self._forget((key, tuple(ids)))
            fields = as_fields(told.report)
            if with_states:
                fields["states"] = told.states.tolist()
            found.append(fields)
        return {"reports": found}

    @property
    def served(self) -> Served:
        """What it serves."""
        return self._served


def _is_of_template(error: Exception) -> bool:
    """Whether it was raised while a chat template was applied, which is before anything of an answer is sent."""
    frames = traceback.walk_tb(error.__traceback__)
    return any(frame.f_code.co_name == "apply_chat_template" for frame, _ in frames)


class _Answer:
    """The answer to one request."""

    def __init__(self, app: TransformersMiddleware, asked: Asked, call: Expected) -> None:
        self._app, self._asked, self._call = app, asked, call

    async def whole(self, status: int, answer: dict[str, Any]) -> tuple[int, dict[str, Any]]:
        """See [`Editor`]."""
        if "detail" in answer:  # an error, in a form that OpenAI's clients do not read
            return status, error_of(str(answer["detail"]), status)
        return status, await self._with_report(answer)

    async def event(self, event: dict[str, Any]) -> dict[str, Any]:
        """See [`Editor`]."""
        if "error" in event and isinstance(event["error"], str):
            return error_of(event["error"])
        return await self._with_report(event)

    async def _with_report(self, answer: dict[str, Any]) -> dict[str, Any]:
        served, asked = self._app.served, self._asked
        if "model" in answer:
            answer["model"] = served.name
        choices = answer.get("choices") or []
        if not choices or choices[0].get("finish_reason") is None:
            return answer
        assert self._call.told is not None
        told = await asyncio.wait_for(asyncio.wrap_future(self._call.told), _TELLS_WITHIN_S)
        choice, fields = choices[0], as_fields(told.report)
        total = (answer.get("usage") or {}).get("total_tokens", 0)
        if served.context is not None and total >= served.context and choice["finish_reason"] == "stop":
            choice["finish_reason"] = "length"  # which this server says of a limit in the request only
        if asked.key is not None:
            self._app.keep(asked.key, told)
        else:
            choice["s1_hf"] = fields
        if asked.returns_ids:
            choice["token_ids"] = told.token_ids
        if not asked.skips_special and "text" in choice:
            ends = told.token_ids[-1:] == [served.tokenizer.eos_token_id]
            choice["text"] = served.tokenizer.decode(told.token_ids[:-1] if ends else told.token_ids)
        Thinking().count(answer, [fields])
        return answer
