"""Traces from an OpenAI-compatible endpoint that returns its reasoning."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from s1_hf._lazy import require
from s1_hf.engines.endpoint.options import wrong_address
from s1_hf.engines.endpoint.workers import as_they_end
from s1_hf.finding import model_named
from s1_hf.secrets import login_of, secrets_in, shown_address, without_login, without_own_secrets, without_secrets
from s1_hf.traces.trace import Ask, Trace

_REASONING = ("reasoning_content", "reasoning")  # DeepSeek's and older vLLM's name; OpenRouter's and newer vLLM's
_DROPPED = ("RemoteProtocolError", "ReadError", "WriteError")  # httpx's, of a connection that stood
_FOR_ALL = (401, 402, 404)  # wrong key, no credit, no such model: no row will do better


class Endpoint:
    """A model behind an OpenAI-compatible address, such as `vllm serve`'s or DeepSeek's.

    The trace is the reply's `reasoning_content` or `reasoning`; without these, what stands between a known format's
    delimiters in its `content` ([`split_thinking`]). Rate limits, server errors and timeouts are tried again by the
    library `openai`, which waits as long as `Retry-After` says, up to a minute or two, else 0.5 seconds and twice as
    long each time, up to 8. What then still fails is an error of that row, and so is a connection that is dropped every
    time. A refused connection, a wrong key, no credit and an unknown model end the run. Keys and passwords
    stand in no error and in no trace.

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
        self._system = [] if system_prompt is None else [{"role": "system", "content": system_prompt}]
        self.settings = {"model": model, **sent, "system_prompt": system_prompt, "tokenizer": tokenizer}
        self._tokenizer: Any = None
        if tokenizer:
            auto = require("transformers", "eval").AutoTokenizer
            self._tokenizer = auto.from_pretrained(model_named(tokenizer))
        hooks = {"request": [_Pace(requests_per_minute).wait]} if requests_per_minute else {}
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
            ConnectionError: the endpoint cannot be reached, or refuses all requests.
        """
        for batch in as_they_end(self._trace, asked, self._concurrency):
            yield [(asked[place], trace) for place, trace in batch]

    def _trace(self, ask: Ask) -> Trace:
        openai = self._openai
        more = self._sent | ({"seed": self._sent["seed"] + ask.sample} if "seed" in self._sent else {})
        messages = [*self._system, {"role": "user", "content": ask.question}]
        try:
            reply = self._client.chat.completions.create(model=self.model, messages=messages, **more)
            return self._read(reply)
        except openai.APIStatusError as error:
            if error.status_code in _FOR_ALL:
                said = self._shown(error)
                raise ConnectionError(f"{self.base_url} refuses {self.model!r}: {said}. {_RESUME}") from None
            return self._failed(f"{type(error).__name__}: {error}")
        except openai.APITimeoutError as error:
            return self._failed(f"{type(error).__name__}: {error}")
        except openai.APIConnectionError as error:
            if type(error.__cause__).__name__ not in _DROPPED:
                said = self._shown(error.__cause__)
                raise ConnectionError(f"{self.base_url} cannot be reached: {said}. {_RESUME}") from None
            return self._failed(f"{type(error).__name__}: {error.__cause__}")
        except (openai.OpenAIError, AttributeError, IndexError, TypeError, ValueError) as error:
            return self._failed(f"no reply that can be read ({type(error).__name__}: {error})")

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
        content = choice.message.content or ""
        thinking = next((text for name in _REASONING if (text := getattr(choice.message, name, None))), None)
        if thinking is None:
            from s1_hf.grading import split_thinking

            thinking, answer = split_thinking(content)
        else:
            answer = content or None
        thinking, answer = self._written(thinking).strip(), self._written(answer or "").strip()
        if choice.finish_reason == "content_filter" or not (thinking or answer):
            return self._failed(f"an empty reply (finish_reason {choice.finish_reason!r})")
        ended = "never_started" if not thinking else "natural" if answer else "unfinished"
        answer_cut = bool(answer) and choice.finish_reason == "length"
        tokens = self._count(thinking, answer, reply.usage)
        return Trace(thinking, answer, *tokens, ended, answer_cut=answer_cut)

    def _count(self, thinking: str, answer: str, usage: Any) -> tuple[int | None, int | None]:
        """Tokens of thinking and of answer; `None` if not known."""
        if self._tokenizer:
            first, second = self._tokenizer([thinking, answer], add_special_tokens=False)["input_ids"]
            return len(first), len(second)
        details = getattr(usage, "completion_tokens_details", None)
        of_thinking = getattr(details, "reasoning_tokens", None) or None  # 0 is said where it is not counted
        if not thinking:
            of_thinking = 0
        if usage is None or of_thinking is None:
            return of_thinking, None
        return of_thinking, usage.completion_tokens - of_thinking


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


def _clean(text: str) -> str:
    """Without lone surrogates, which JSON can carry and Parquet cannot."""
    return text.encode("utf-8", "replace").decode("utf-8")
