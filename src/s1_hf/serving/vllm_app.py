"""The middleware of `vllm serve --middleware ...`: requests are judged before vLLM sees them, and reports
are put into the answers.

It knows no module of vLLM: what it needs hangs on the application.
"""

from __future__ import annotations

import asyncio
import json
import os
import re
import uuid
from collections.abc import Mapping, MutableMapping
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from s1_hf.forcing.budget import NAMES
from s1_hf.forcing.values import is_count
from s1_hf.records import as_json, read_text
from s1_hf.serving.answers import Edited, Thinking
from s1_hf.serving.asgi import (
    READING,
    STRANGER,
    App,
    Receive,
    Send,
    error_of,
    has_key,
    not_served,
    read_body,
    read_object,
    refuse,
    replaying,
    send_json,
    with_length,
)  # fmt: skip
from s1_hf.serving.bounds import Bounds
from s1_hf.serving.places import check_places, template_of
from s1_hf.serving.reports import ROUTE, wanted_in
from s1_hf.serving.terms import PLACE, SECTION, Terms, check_texts
from s1_hf.vllm.options import PROCESSOR
from s1_hf.vllm.refusals import STRUCTURE, check_engine, check_names, check_request
from s1_hf.vllm.settings import CHECKED, KEY, OURS, settings_of
from s1_hf.vllm.setup import Setup

_GENERATING = ("/v1/chat/completions", "/v1/completions", "/v1/responses", "/v1/messages")
_OTHERS = re.compile(
    "/detokenize|/ping|/v1/responses/[^/]+/cancel|/v1/(un)?load_lora_adapter"
    "|/(start|stop)_profile|/sleep|/wake_up|/reset_(prefix|mm|encoder)_cache"
)
"""Routes that change or work out something, and generate nothing. vLLM has more that generate than are judged here,
some without its key (`/invocations`), and plug-ins add theirs: what is not known to be harmless does not pass."""
_OPEN = ("/health", "/ping", "/version", "/load", "/metrics")
"""Routes that need no key: they say how the server is."""
_WITH_THINKING = "/v1/messages"
"""The route of Anthropic's API, on which vLLM reads `thinking.budget_tokens` itself."""
_COUNTING = ("/tokenize", _WITH_THINKING + "/count_tokens")
"""Routes that read a prompt, and generate nothing."""
_LIMITS = ("max_completion_tokens", "max_tokens", "max_output_tokens")


class VllmMiddleware:
    """Around the application of `vllm serve`.

    Raises:
        ValueError: when the server starts, if it was started without the plug-in.
    """

    def __init__(self, app: App) -> None:
        self._app = app
        self._setup: Setup | None = None
        self._bounds: Bounds
        self._terms = Terms()

    async def __call__(self, scope: MutableMapping[str, Any], receive: Receive, send: Send) -> None:
        """A request, or the start of the server."""
        if scope["type"] == "websocket":  # they generate, and no budget comes with them
            return await send({"type": "websocket.close", "code": 1008})
        state = scope["app"].state
        if self._setup is None:
            self._prepare(state.vllm_config, getattr(state.args, "chat_template", None))
        if scope["type"] == "lifespan" or scope["method"] == "OPTIONS":  # browsers ask without a key
            return await self._app(scope, receive, send)
        path = scope["path"].removeprefix(scope.get("root_path", ""))
        if path not in _OPEN and not _may_ask(scope, state.args):
            return await refuse(send, *STRANGER)
        if scope["method"] in READING:
            return await self._app(scope, receive, send)
        if _OTHERS.fullmatch(path):
            body = await read_body(receive, send)
            return None if body is None else await self._app(scope, replaying(body, receive), send)
        if scope["method"] != "POST" or path not in (*_GENERATING, *_COUNTING, ROUTE):
            return await refuse(send, *not_served(path, _GENERATING))
        return await self._judge(scope, path, receive, send)

    async def _judge(self, scope: MutableMapping[str, Any], path: str, receive: Receive, send: Send) -> None:
        """A request to generate, to count, or for reports."""
        state = scope["app"].state
        try:
            found = await read_object(receive, send)
            if found is None:
                return None
            if path == ROUTE:
                wanted = await asyncio.to_thread(wanted_in, found)
                reports = await reports_from(state.engine_client, wanted, bool(found.get("states")))
                return await send_json(send, 200, {"reports": reports})
            asked = await asyncio.to_thread(self.read, found, path)
        except (ValueError, TypeError) as error:
            return await refuse(send, 400, str(error))
        editor = None
        if asked and path in ("/v1/chat/completions", "/v1/completions"):
            editor = _Answer.of(state.engine_client, found)
        body = json.dumps(found).encode()
        edited = send if editor is None else Edited(send, editor)
        return await self._app(with_length(scope, body), replaying(body, receive), edited)

    def _prepare(self, vllm_config: Any, template: str | None) -> None:
        """Look at the engine; `template` is a chat template of the server's own, or its file."""
        check_engine(vllm_config, PROCESSOR)
        self._setup = Setup.of(vllm_config)
        self._bounds = Bounds.of(self._setup.tokenizer, self._setup.context)
        terms = Terms.from_dict((vllm_config.additional_config or {}).get(SECTION, {}))
        self._template = _text_at(template) if template else template_of(self._setup.tokenizer)
        self._terms = replace(terms, texts=self._setup.defaults)

    def read(self, body: dict[str, Any], path: str) -> bool:
        """Judge a request, and put into it what the server has to say about its budget; whether it has one.

        Raises:
            ValueError: its budget is wrong, or cannot be had.
        """
        assert self._setup is not None
        self._bounds.check(body)
        if path in _COUNTING:
            return False
        check_places(body, self._template, own=("thinking",) if path == _WITH_THINKING else ())
        config = body.get("generation_config")
        if config is not None and any(name in str(config) for name in NAMES):
            raise ValueError("`generation_config` is not read by vLLM. Put budgets into `vllm_xargs`.")
        xargs = body.get(PLACE)
        if xargs is not None and not isinstance(xargs, dict):
            raise ValueError(f"`{PLACE}` has to be a JSON object, but is {as_json(xargs)}.")
        check_names(xargs or {})
        check_texts(xargs or {}, self._setup.tokenizer, self._setup.context)
        return self._has_budget(body, xargs or {})

    def _has_budget(self, body: dict[str, Any], xargs: dict[str, Any]) -> bool:
        """The same, for a request whose `xargs` are of the right shape."""
        assert self._setup is not None
        effort = self._terms.effort_in(body)
        asked = self._terms.asked(xargs, body)
        if not asked and not any(name in OURS for name in xargs):
            return False
        if body.get("use_beam_search"):
            raise ValueError("`use_beam_search` cannot be combined with a thinking budget, which vLLM drops there.")
        _check_structure(body)
        given = {**xargs, **asked, CHECKED: True}
        body["vllm_xargs"] = {name: value for name, value in given.items() if value is not None}
        with self._terms.naming(effort):
            self._check(body)
        return True

    def _check(self, body: Mapping[str, Any]) -> None:
        """Raises a `ValueError` for what vLLM would say in the middle of a stream, or not at all."""
        assert self._setup is not None
        params = _params_of(body)
        check_request(params)
        prompt = body.get("prompt")
        is_ids = isinstance(prompt, list) and bool(prompt) and all(map(is_count, prompt))
        self._setup.row_budgets(settings_of(params, self._setup.defaults), len(prompt) if is_ids and prompt else 1)


_NUMBERS = {
    "n": 1, "presence_penalty": 0.0, "frequency_penalty": 0.0, "repetition_penalty": 1.0, "temperature": 1.0,
    "top_k": 0, "top_p": 1.0, "min_p": 0.0,
}  # fmt: skip


def _params_of(body: Mapping[str, Any]) -> SimpleNamespace:
    """The `SamplingParams` that vLLM will make of a request, as far as they are looked at; it judges types itself."""
    found: dict[str, Any] = {}
    for name, default in _NUMBERS.items():
        value = body.get(name)
        found[name] = value if isinstance(value, (int, float)) and not isinstance(value, bool) else default
    limits = [body[name] for name in _LIMITS if is_count(body.get(name)) and body[name] > 0]
    stops = body.get("stop_token_ids")
    return SimpleNamespace(
        **found,
        extra_args=body["vllm_xargs"],
        max_tokens=limits[0] if limits else None,
        seed=None,
        stop=body.get("stop"),
        stop_token_ids=stops if isinstance(stops, list) and all(map(is_count, stops)) else None,
        structured_outputs=body.get("structured_outputs"),
        thinking_token_budget=body.get("thinking_token_budget"),
        ignore_eos=bool(body.get("ignore_eos")),
    )


def _check_structure(body: Mapping[str, Any]) -> None:
    """Raises a `ValueError` for what vLLM turns into parameters that cannot be had with a budget, by the client's name
    for it."""
    choice = body.get("tool_choice")
    kind = choice.get("type") if isinstance(choice, dict) else choice
    if body.get("tools") and kind not in (None, "auto", "none"):
        raise ValueError(f'`tool_choice` {as_json(choice)} cannot be combined with a thinking budget. Give "auto".')
    for holder, name in (("response_format", None), ("text", "format"), ("output_config", "format")):
        wanted = body.get(holder)
        if name is not None:
            wanted = wanted.get(name) if isinstance(wanted, dict) else None
        if isinstance(wanted, dict) and wanted.get("type", "text") != "text":
            said = holder if name is None else f"{holder}.{name}"
            raise ValueError(f"`{said}` cannot be combined with a thinking budget. {STRUCTURE}")
    thinking = body.get("thinking")
    if isinstance(thinking, dict) and thinking.get("budget_tokens") is not None:
        raise ValueError(
            "`thinking.budget_tokens` cannot be combined with a thinking budget. Give `max_thinking_tokens` in "
            f"`{PLACE}` in its place, which does the same and more."
        )


def _text_at(template: str) -> str:
    """A chat template, as vLLM takes it: a file, or itself."""
    try:
        return read_text(Path(template))
    except OSError:
        return template


def _may_ask(scope: MutableMapping[str, Any], arguments: Any) -> bool:
    keys = [key for key in (arguments.api_key or [os.environ.get("VLLM_API_KEY")]) if key]
    return not keys or has_key(scope, keys)


async def reports_from(
    engine: Any, wanted: list[tuple[str, list[int]]], with_states: bool = False
) -> list[dict[str, Any]]:
    """What became of requests, from the workers of an engine, or of its copies, of which one has decided each."""
    client = engine.engine_core
    arguments = ("s1_hf_reports", None, (wanted, with_states), None)
    if len(client.core_engines) > 1:
        engines = await client.call_utility_all_async("collective_rpc", *arguments)
    else:
        engines = [await client.call_utility_async("collective_rpc", *arguments)]
    workers = [answers for of_engine in engines for answers in of_engine if answers is not None]
    found = []
    for answers in zip(*workers, strict=True):
        found.append(next((one for one in answers if "error" not in one), answers[0]))
    return found


class _Answer:
    """The answer to one request, whose tokens the server has to say, so that their report is found."""

    def __init__(self, engine: Any, key: str, keeps_ids: bool) -> None:
        self._engine, self._key, self._keeps_ids = engine, key, keeps_ids
        self._ids: dict[int, list[int]] = {}  # by choice
        self._thinking = Thinking()

    @classmethod
    def of(cls, engine: Any, body: dict[str, Any]) -> _Answer | None:
        """That to this request; `None` where its client will ask for the report, or ids would be the prompt's, too."""
        if body["vllm_xargs"].get(KEY) is not None or body.get("echo"):
            return None
        key = body["vllm_xargs"][KEY] = uuid.uuid4().hex
        keeps_ids = bool(body.get("return_token_ids"))
        body["return_token_ids"] = True
        return cls(engine, key, keeps_ids)

    async def whole(self, status: int, answer: dict[str, Any]) -> tuple[int, dict[str, Any]]:
        """See [`Editor`]."""
        changed = await self.event(answer)
        return (400 if status == 200 and "error" in changed else status), changed

    async def event(self, event: dict[str, Any]) -> dict[str, Any]:
        """See [`Editor`]."""
        ended, reports = [], []
        for choice in event.get("choices") or []:
            self._ids.setdefault(choice["index"], []).extend(choice.get("token_ids") or [])
            if choice.get("finish_reason") is not None:
                ended.append(choice)
        if ended and all(self._ids[choice["index"]] for choice in ended):
            wanted = [(self._key, self._ids[choice["index"]]) for choice in ended]
            reports = await reports_from(self._engine, wanted)
            for choice, report in zip(ended, reports, strict=True):
                if "error" in report:
                    return error_of(report["error"])
                choice["s1_hf"] = report
        self._thinking.count(event, reports)
        if not self._keeps_ids:
            self._hide(event)
        return event

    def _hide(self, event: dict[str, Any]) -> None:
        """Take out the ids, for which the client has not asked."""
        event.pop("prompt_token_ids", None)
        for choice in event.get("choices") or []:
            choice.pop("token_ids", None)
            choice.pop("prompt_token_ids", None)
