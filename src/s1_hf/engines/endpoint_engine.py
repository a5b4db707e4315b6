"""The endpoint engine: requests to a server that runs the model."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from s1_hf.embedded import MODEL_PATH
from s1_hf.engines.endpoint.budgeted import Budgeted
from s1_hf.engines.endpoint.connection import RESUME, Connection, Patience
from s1_hf.engines.endpoint.options import key_in
from s1_hf.engines.endpoint.ran import Ran, Spent
from s1_hf.engines.endpoint.rounds import Rounds
from s1_hf.engines.endpoint.server import NoIds, Server
from s1_hf.engines.endpoint.workers import as_they_end
from s1_hf.engines.engine import Finished, Step, SweptBatch, Write, under
from s1_hf.engines.in_vllm import check_budget, check_fits, check_supported, swept_batch, whole_completion
from s1_hf.engines.plain_config import ends_of
from s1_hf.engines.request import Request, check_streamed
from s1_hf.forcing.budget import check_effect
from s1_hf.forcing.formats import ThinkingFormat, resolve_format
from s1_hf.forcing.values import is_count
from s1_hf.forcing.vocabulary import Vocabulary
from s1_hf.generation.grids import chosen_settings, largest_setting
from s1_hf.vllm.asking import Asked, asked_for
from s1_hf.vllm.setup import Setup

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

    from s1_hf.engines.checkpoint import Checkpoint
    from s1_hf.forcing.budget import Budget
    from s1_hf.generation.chats import Completion

SWEPT_AT_ONCE = 256
"""Requests of a sweep whose traces are made before their branches: so many are kept, or lost by a kill, at once."""


class EndpointEngine:
    """An [`Engine`] that has a model run by a server at an address, which may be on another machine.

    The server is vLLM's with our plug-in, to which requests bring their budgets, or with `rounds` any that completes
    token ids as vLLM's does. That it does so, with the tokenizer that is named here, is proved when the engine is
    built, and again whenever a connection was lost. Prompts and completions are token ids. When sampling, each request
    is drawn by its own seed, in vLLM's order of warpings. It has no repetition penalty, and cannot be steered by
    processors of transformers.

    Args:
        checkpoint ([`Checkpoint`]): the model; its configuration and tokenizer are read, its weights are not.
        base_url (`str`): such as `"http://127.0.0.1:8000/v1"`, perhaps with a login. It may change between a run and
            its resumption.
        format ([`ThinkingFormat`] or `str`, *optional*): detected from the tokenizer if absent.
        max_length (`int`, *optional*): tokens of prompt and output together; the server's context by default.
        served_name (`str`, *optional*): the model's name there; by default the only one, or the checkpoint's.
        rounds (`bool`, defaults to `False`): force budgets from here, asking again after every stop.
        concurrency (`int`, defaults to 32): requests at a time.
        timeout_s (`float`), max_retries (`int`), *optional*: see [`Patience`].
        api_key (`str`, *optional*): by default that in the environment.
        api_key_env (`str`, *optional*): the variable that holds it; `OPENAI_API_KEY` by default.

    Raises:
        ValueError: the server does not take budgets, or has another tokenizer or no such model, or an argument is out
            of its range. ConnectionError: it cannot be reached, or refuses the key.
    """

    def __init__(
        self,
        checkpoint: Checkpoint,
        base_url: str,
        *,
        format: ThinkingFormat | str | None = None,
        max_length: int | None = None,
        served_name: str | None = None,
        rounds: bool = False,
        concurrency: int = 32,
        timeout_s: float = Patience.timeout_s,
        max_retries: int = Patience.max_retries,
        api_key: str | None = None,
        api_key_env: str | None = None,
    ) -> None:
        if not is_count(concurrency) or concurrency < 1:
            raise ValueError(f"`concurrency` has to be an integer of at least 1, but is {concurrency!r}.")
        self._checkpoint, self._wanted, self._rounds = checkpoint, served_name, rounds
        self.format = resolve_format(checkpoint.tokenizer, format)
        self._concurrency = concurrency
        self.spent = Spent()
        patience = Patience(timeout_s, max_retries)
        key = api_key or key_in(api_key_env)
        self._connection = Connection(base_url, api_key=key, patience=patience, connections=concurrency)
        self._server = Server(self._connection, len(Vocabulary.of(checkpoint.tokenizer).texts))
        with self._connection.used():
            self._served = self._server.served(served_name, _names_of(checkpoint))
            self._setup = self._made_setup(max_length)
            way = Rounds if rounds else Budgeted
            self._way: Budgeted | Rounds = way(self._server, self._served, self._setup)
            self._prove()
        self._connection.on_return = self._see_that_it_is_the_same

    def _made_setup(self, max_length: int | None) -> Setup:
        own = [one for one in (max_length, self._served.context, self._checkpoint.context) if one]
        ends = tuple(ends_of(self.tokenizer, self._checkpoint.generation_config))
        return Setup(self.tokenizer, self.format, ends, min(own, default=2**30))

    @property
    def tokenizer(self) -> PreTrainedTokenizerBase:
        """See [`Engine`]."""
        return self._checkpoint.tokenizer

    @property
    def context(self) -> int | None:
        """See [`Engine`]."""
        return None if self._setup.context == 2**30 else self._setup.context

    @property
    def ends(self) -> list[int]:
        """The ids that end a sequence: the model's own, and the tokenizer's."""
        return list(self._setup.eos)

    @property
    def is_exact(self) -> bool:
        """Whether tokens, and not texts, come from the server, so that reports are exact."""
        return isinstance(self._way, Budgeted) or self._way.is_exact

    def forget_weights(self) -> None:
        """Let the server's connections go; it keeps the weights."""
        self._connection.close()

    @property
    def identity(self) -> dict[str, Any]:
        """See [`Engine`]: what the server says of itself, and what is known of the model here."""
        return {
            "engine": "endpoint",
            "weights": self._checkpoint.fingerprint,
            "format": asdict(self.format),
            "served": asdict(self._served),
            "rounds": self._rounds and ("tokens" if self.is_exact else "texts"),
            "s1_hf": version("s1-hf"),
        }

    # -- the server ---------------------------------------------------------------------------------------------

    def _prove(self, returns: bool = True) -> None:
        try:
            self._way.prove(returns=returns)
        except NoIds:
            raise ValueError(
                f"{self._connection.shown} does not say which tokens it generates, without which nothing can be exact. "
                "vLLM 0.10.2 and later do (`return_token_ids`)."
            ) from None

    def _see_that_it_is_the_same(self) -> None:
        """After a loss: the server may have been started anew, with something else."""
        served = self._server.served(self._served.name, returns=False)
        if served != self._served:
            raise ConnectionError(
                f"{self._connection.shown} is not the server that it was when this run began: it said {self._served}, "
                f"and says {served}. {RESUME}"
            )
        self._prove(returns=False)

    # -- checks -------------------------------------------------------------------------------------------------

    def check(self, requests: Sequence[Request]) -> None:
        """See [`Engine`]."""
        check_effect([request.budget for request in requests])
        for request in requests:
            check_supported(request, "a server")
            check_budget(request, self._setup)
            check_fits(request, self._setup.context, "server")
        with self._connection.used():
            for request in requests:
                self._way.check(asked_for(request))

    def check_sweep(self, settings: Sequence[Budget]) -> None:
        """See [`Engine`]."""
        chosen_settings(settings)
        for setting in settings:
            self._setup.automaton(setting, ())

    # -- running ------------------------------------------------------------------------------------------------

    def plan(self, requests: Sequence[Request]) -> list[list[Request]]:
        """See [`Engine`]: the server makes its own batches."""
        return [list(requests)] if requests else []

    def run(self, requests: Sequence[Request], on_step: Step) -> Iterator[list[Finished]]:
        """See [`Engine`]: whatever is done by the time that it is asked for, in one list."""
        asked = []
        with self._connection.used():
            for request in requests:
                check_supported(request, "a server")
                asked.append(asked_for(request))
                self._way.check(asked[-1])
        for batch in self._completed(asked, False, on_step):
            finished = []
            for place, ran in batch:
                completion = whole_completion(requests[place], self._setup, ran.completion, ran.paused)
                finished.append(Finished(requests[place], completion))
            yield finished

    def stream(self, request: Request, write: Write, on_step: Step) -> Completion:
        """See [`StreamingEngine`]: a step is whatever the server sends at a time, with `rounds` a round."""
        check_supported(request, "a server")
        check_streamed(request)
        asked = asked_for(request)
        self._way.check(asked)
        with self._connection.used():
            ran = self._way.stream(asked, write, on_step)
        self.spent.add(ran.spent)
        return ran.completion

    def sweep(self, requests: Sequence[Request], settings: Sequence[Budget], on_step: Step) -> Iterator[SweptBatch]:
        """See [`Engine`]: each setting's answer is a request whose prompt is what it keeps of the trace."""
        for begin in range(0, len(requests), SWEPT_AT_ONCE):
            batch = list(requests[begin : begin + SWEPT_AT_ONCE])
            yield self._sweep(batch, settings, on_step)

    def _sweep(self, batch: list[Request], settings: Sequence[Budget], on_step: Step) -> SweptBatch:
        largest = largest_setting(settings)
        asked = [asked_for(under(request, largest)) for request in batch]
        for one in asked:
            self._way.check(one)
        return swept_batch(partial(self._one_by_one, on_step), self._setup, asked, batch, settings)[0]

    def _one_by_one(self, on_step: Step, asked: Sequence[Asked], with_states: bool) -> Iterator[tuple[int, Ran]]:
        for batch in self._completed(asked, with_states, on_step):
            yield from batch

    def _completed(self, asked: Sequence[Asked], with_states: bool, on_step: Step) -> Iterator[list[tuple[int, Ran]]]:
        work = partial(self._way.run, with_states=with_states)
        with self._connection.used():
            for batch in as_they_end(work, asked, self._concurrency):
                for _, ran in batch:
                    on_step(len(ran.completion.token_ids))
                    self.spent.add(ran.spent)
                yield batch


def _names_of(checkpoint: Checkpoint) -> list[str]:
    """What a server may call a model."""
    names = [checkpoint.base, Path(checkpoint.base).name]
    return ["embedded", *names] if checkpoint.base == str(MODEL_PATH) else names
