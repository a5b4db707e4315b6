"""Traces from an OpenAI-compatible endpoint that returns its reasoning."""

from __future__ import annotations

import logging
import os
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from s1_hf._lazy import require
from s1_hf.engines.endpoint.options import wrong_address
from s1_hf.engines.endpoint.workers import as_they_end
from s1_hf.finding import model_named
from s1_hf.records import parse
from s1_hf.secrets import login_of, secrets_in, shown_address, without_login, without_own_secrets, without_secrets
from s1_hf.traces.trace import Ask, Trace

logger = logging.getLogger(__name__)

_REASONING = ("reasoning_content", "reasoning")  # DeepSeek's and older vLLM's name; OpenRouter's and newer vLLM's
_DROPPED = ("RemoteProtocolError", "ReadError", "WriteError")  # httpx's, of a connection that stood
_FOR_ALL = (401, 402, 404)  # wrong key, no credit, no such model: no row will do better
_ALIKE = 10  # errors in a row with the same words, after which the rest would most likely say the same


class Endpoint:
    """A model behind an OpenAI-compatible address, such as `vllm serve`'s or DeepSeek's.

    The trace is the reply's `reasoning_content` or `reasoning`, the texts of its `reasoning_details`, or the parts of
    its `content` that are thinking; without these, what stands between a known format's delimiters in its `content`
    ([`split_thinking`]). Rate limits, server errors, also those with status 200, and timeouts are tried again by the
    library `openai`, which waits as long as `Retry-After` says, up to a minute or two, else 0.5 seconds and twice as
    long each time, up to 8. What then still fails is an error of that row, and so is a connection that is dropped every
    time. A refused connection, a wrong key, no credit and an unknown model end the run, and so do ten errors in a row
    with the same words. Keys and passwords stand in no error and in no trace.

    Args:
        base_url (`str`): for example `"http://localhost:8000/v1"`, or with a login, `"http://user:password@host/v1"`,
            which is sent instead of a key. It may change between runs into one folder.
        model (`str`): the model's name there.
        api_key (`str`, *optional*): by default the environment variable `OPENAI_API_KEY`, if there is one.
        temperature, top_p (`float`), max_new_tokens (`int`), seed (`int`), *optional*: sent if given; `seed` plus the
            sample's number, so that samples differ.
        system_prompt (`str`, *optional*): put before each question.
        tokenizer (`str`, *optional*): a folder or name on the Hub, to count tokens with; by default the counts are the
            reply's own, if it tells how many tokens were reasoning.
        concurrency (`int`, defaults to 8): requests at a time.
        requests_per_minute (`float`, *optional*): evenly spaced, those tried again included; no limit by default.
        timeout_s (`float`, defaults to 1800): without any byte of a reply.
        max_retries (`int`, defaults to 6): of each request.

    Raises:
        ValueError: an argument is out of its range. ModuleNotFoundError: the library `openai` is not installed.
    """

    draws = True

    def __init__(
        self,
        base_url: str,
        model: str,
        *,
        api_key: str | None = None,
        temperature: float | None = None,
        top_p: float | None = None,
        max_new_tokens: int | None = None,
        seed: int | None = None,
        system_prompt: str | None = None,
        tokenizer: str | None = None,
        concurrency: int = 8,
        requests_per_minute: float | None = None,
        timeout_s: float = 1800.0,
        max_retries: int = 6,
    ) -> None:
        shown = shown_address(str(base_url))
        rules = {
            f"`model` has to be the name of a model, but is {model!r}.": bool(model),
            f"`temperature` has to be from 0 to 2, but is {temperature}.": 0 <= (temperature or 0) <= 2,
            f"`top_p` has to be above 0 and at most 1, but is {top_p}.": top_p is None or 0 < top_p <= 1,
            f"`max_new_tokens` has to be positive, but is {max_new_tokens}.": max_new_tokens is None
            or max_new_tokens > 0,
            f"`concurrency` has to be positive, but is {concurrency}.": concurrency > 0,
            f"`requests_per_minute` has to be positive, but is {requests_per_minute}.": requests_per_minute is None
            or requests_per_minute > 0,
            f"`timeout_s` has to be positive, but is {timeout_s}.": timeout_s > 0,
            f"`max_retries` has to be 0 or more, but is {max_retries}.": max_retries >= 0,
        }
        broken = [*wrong_address(base_url), *(message for message, kept in rules.items() if not kept)]
        if broken:
            raise ValueError("\n".join(broken))
        self._openai = require("openai", "eval")
        self.base_url, self.model, self._concurrency = shown, model, concurrency
        sent = {"temperature": temperature, "top_p": top_p, "max_tokens": max_new_tokens, "seed": seed}
        self._sent = {name: value for name, value in sent.items() if value is not None}
        self._hides_thinking = False
        self._system = [] if system_prompt is None else [{"role": "system", "content": system_prompt}]
        self.settings = {"model": model, **sent, "system_prompt": system_prompt, "tokenizer": tokenizer}
        self._tokenizer: Any = None
        if tokenizer:
            auto = require("transformers", "eval").AutoTokenizer
            self._tokenizer = auto.from_pretrained(model_named(tokenizer))
        hooks: dict[str, list[Any]] = {"response": [_give_status]}
        if requests_per_minute:
            hooks["request"] = [_Pace(requests_per_minute).wait]
        key, login = api_key or os.environ.get("OPENAI_API_KEY"), login_of(base_url)
        self._secrets = [key, *secrets_in(base_url)]
        self._client = self._openai.OpenAI(
            base_url=without_login(base_url),  # which libraries log
            api_key=key or "none",  # local servers ask for none
            timeout=timeout_s,
            max_retries=max_retries,
            http_client=self._openai.DefaultHttpxClient(event_hooks=hooks, auth=login),
        )

    def traces(self, asked: Sequence[Ask], on_step: Callable[[int], None]) -> Iterator[list[tuple[Ask, Trace]]]:
        """In the order in which replies come.

        Raises:
            ConnectionError: the endpoint cannot be reached, refuses all requests, or repeats itself in its errors.
        """
        alike, last = 0, None
        for batch in as_they_end(self._trace, asked, self._concurrency):
            yield [(asked[place], trace) for place, trace in batch]
            for _, trace in batch:
                alike = alike + 1 if trace.error == last else 1
                last = trace.error
                if last is not None and alike >= _ALIKE:
                    raise ConnectionError(
                        f"{self.base_url} has given the same error {alike} times in a row: {last}. What is finished "
                        "is kept, and so are these errors: fix that, and rerun the same, with retry_errors "
                        "(--retry-errors), to resume"
                    )

    def _trace(self, ask: Ask) -> Trace:
        openai = self._openai
        try:
            return self._read(self._reply(ask))
        except openai.APIStatusError as error:
            said = f"{type(error).__name__}: {_with_message(error)}"
            if error.status_code in _FOR_ALL or _is_out_of_quota(error.response):
                raise ConnectionError(
                    f"{self.base_url} refuses {self.model!r}: {self._shown(said)}. {_RESUME}"
                ) from None
            return self._failed(said)
        except openai.APITimeoutError as error:
            return self._failed(f"{type(error).__name__}: {error}")
        except openai.APIConnectionError as error:
            if type(error.__cause__).__name__ not in _DROPPED:
                said = self._shown(error.__cause__)
                raise ConnectionError(f"{self.base_url} cannot be reached: {said}. {_RESUME}") from None
            return self._failed(f"{type(error).__name__}: {error.__cause__}")
        except (openai.OpenAIError, AttributeError, IndexError, TypeError, ValueError) as error:
            return self._failed(f"no reply that can be read ({type(error).__name__}: {error})")

    def _reply(self, ask: Ask) -> Any:
        sent = self._sent | ({"seed": self._sent["seed"] + ask.sample} if "seed" in self._sent else {})
        messages = [*self._system, {"role": "user", "content": ask.question}]
        try:
            return self._client.chat.completions.create(model=self.model, messages=messages, **sent)
        except self._openai.BadRequestError as error:
            if "max_tokens" not in sent or "max_completion_tokens" not in str(error):
                raise
            # OpenAI's reasoning models know the limit by its newer name alone.
            self._sent = {_NEWER.get(name, name): value for name, value in self._sent.items()}
            return self._reply(ask)

    def _failed(self, error: str) -> Trace:
        return Trace.failed(self._shown(error))

    def _shown(self, said: object) -> str:
        """Some servers repeat what they were sent."""
        return without_secrets(_clean(str(said)), self._secrets)

    def _written(self, text: str) -> str:
        """Of the model: kept as it is, but for the key itself."""
        return without_own_secrets(_clean(text), self._secrets)

    def _read(self, reply: Any) -> Trace:
        choice = reply.choices[0]
        thinking, answer = _split(choice.message)
        thinking, answer = self._written(thinking).strip(), self._written(answer).strip()
        if choice.finish_reason == "content_filter" or not (thinking or answer):
            return self._failed(f"an empty reply (finish_reason {choice.finish_reason!r})")
        tokens = self._count(thinking, answer, reply.usage)
        if not thinking and tokens[0]:
            self._say_hidden()
        ended = "never_started" if not (thinking or tokens[0]) else "natural" if answer else "unfinished"
        answer_cut = bool(answer) and choice.finish_reason == "length"
        return Trace(thinking, answer, *tokens, ended, answer_cut=answer_cut)

    def _say_hidden(self) -> None:
        if not self._hides_thinking:
            self._hides_thinking = True
            logger.warning("%s counts tokens of thinking, but does not show them: its traces are empty.", self.model)

    def _count(self, thinking: str, answer: str, usage: Any) -> tuple[int | None, int | None]:
        """Tokens of thinking and of answer; `None` if not known."""
        details = getattr(usage, "completion_tokens_details", None)
        of_thinking = getattr(details, "reasoning_tokens", None) or None  # 0 is said where it is not counted
        is_hidden = not thinking and of_thinking is not None
        if self._tokenizer and not is_hidden:
            first, second = self._tokenizer([thinking, answer], add_special_tokens=False)["input_ids"]
            return len(first), len(second)
        if not thinking and not is_hidden:
            of_thinking = 0
        if usage is None or of_thinking is None:
            return of_thinking, None
        return of_thinking, usage.completion_tokens - of_thinking


_NEWER = {"max_tokens": "max_completion_tokens"}
_RESUME = "What is finished is kept: fix that, and rerun the same to resume"


class _Pace:
    """So many requests a minute, of all threads together."""

    def __init__(self, per_minute: float) -> None:
        self._gap, self._next, self._lock = 60 / per_minute, 0.0, threading.Lock()

    def wait(self, request: Any) -> None:
        with self._lock:
            now = time.monotonic()
            begin = max(now, self._next)
            self._next = begin + self._gap
        time.sleep(begin - now)


def _give_status(response: Any) -> None:
    """Of a reply, as soon as it is there: an error with status 200 gets its own status, by which it is tried again."""
    response.read()
    if response.status_code == 200 and (error := _error_in(response)) is not None:
        code = str(error.get("code"))
        response.status_code = int(code) if code.isdecimal() and 400 <= int(code) < 600 else 502
    if _is_out_of_quota(response):
        response.headers["x-should-retry"] = "false"


def _error_in(response: Any) -> dict[str, Any] | None:
    """The error object of a reply, if it is one, wherever it stands."""
    try:
        body = parse(response.content, "the reply", strict=False)
    except ValueError:
        return None  # which whoever reads it will say
    found = body.get("error") if isinstance(body, dict) else None
    choices = body.get("choices") if isinstance(body, dict) else None
    if isinstance(choices, list) and choices and isinstance(choices[0], dict):
        if response.status_code == 200 and choices[0].get("finish_reason") != "error":
            return None
        found = choices[0].get("error") or found or {}
    if found is None or isinstance(found, dict):
        return found
    return {"message": str(found)}


def _with_message(error: Any) -> str:
    """The library's words; and the server's, where the library has not found them."""
    message = str((_error_in(error.response) or {}).get("message") or "")
    return str(error) if message in str(error) else f"{error} - {message}"


def _is_out_of_quota(response: Any) -> bool:
    """Status 429 is for requests that come too fast; with this code, waiting does not help."""
    error = (_error_in(response) or {}) if response.status_code == 429 else {}
    return "insufficient_quota" in (error.get("code"), error.get("type"))


def _split(message: Any) -> tuple[str, str]:
    """Thinking and answer, in whatever shape a server returns them."""
    from s1_hf.grading import split_thinking

    thinking, content = _texts_of(message.content)
    named = next((text for name in _REASONING if (text := getattr(message, name, None))), None)
    thinking = named or _details_of(message) or thinking
    before, answer = split_thinking(content)
    if not thinking:
        return before, answer or ""
    is_repeated = before.strip() == thinking.strip()  # as some of vLLM's parsers do
    return thinking, (answer or "") if is_repeated else content


def _texts_of(content: Any) -> tuple[str, str]:
    """Mistral's models return a list of parts."""
    if not isinstance(content, list):
        return "", content or ""
    thinking: list[str] = []
    answer: list[str] = []
    for part in content:
        if part.get("type") == "thinking":
            inner = part.get("thinking")
            thinking += [inner] if isinstance(inner, str) else [text.get("text") or "" for text in inner or []]
        else:
            answer.append(part.get("text") or "")
    return "".join(thinking), "".join(answer)


def _details_of(message: Any) -> str:
    """OpenRouter's list, whose parts are texts, summaries, or encrypted."""
    details = getattr(message, "reasoning_details", None) or []
    return "".join(part.get("text") or part.get("summary") or "" for part in details)


def _clean(text: str) -> str:
    """Without lone surrogates, which JSON can carry and Parquet cannot."""
    return text.encode("utf-8", "replace").decode("utf-8")
