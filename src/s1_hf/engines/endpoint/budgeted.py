"""Requests with budgets, to a server that runs our plug-in for vLLM."""

from __future__ import annotations

import uuid
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from s1_hf.engines.endpoint.connection import RESUME, Missing
from s1_hf.engines.endpoint.kept import broken_in
from s1_hf.engines.endpoint.ran import Became, Ran, Spent, ran_of
from s1_hf.engines.endpoint.replay import Mismatch, Replay
from s1_hf.engines.endpoint.reports import report_in
from s1_hf.engines.endpoint.server import Reply
from s1_hf.engines.streaming import LiveRow
from s1_hf.forcing.budget import Budget
from s1_hf.forcing.report import Report, forced_at
from s1_hf.generation.chats import prompt_ids
from s1_hf.vllm.asking import Asked
from s1_hf.vllm.settings import KEY

if TYPE_CHECKING:
    from s1_hf.engines.endpoint.server import Served, Server
    from s1_hf.engines.engine import Step, Write
    from s1_hf.vllm.setup import Setup

REPORTS = "s1_hf/reports"
"""The route, below the server's address, that tells what became of requests."""

_COUNTED = ("thinking_tokens", "ended", "ends_ignored", "answer_tokens")
_REPORTS_LOST = 3  # times that a request is asked anew because its report got lost

_QUESTION = "1+1?"
_STOPPED = Budget(max_thinking_tokens=0, answer_prefix="This server takes thinking budgets:")
_WISHES = {"logprobs": 1, "return_tokens_as_token_ids": True}

HOW = (
    "Serve the model with s1-hf's plug-in (`s1-hf serve MODEL --engine vllm`, docs/endpoint.md), or have budgets "
    "forced from here, by `--rounds`, which asks again after every stop"
)


class NotKnown(Exception):
    """The server has no report of a request."""


def body_of(served: Served, asked: Asked) -> dict[str, Any]:
    """What is posted for a request: everything, so that nothing is left to the server's own defaults."""
    how: dict[str, Any] = {"temperature": 0.0, "top_p": 1.0, "top_k": 0, "min_p": 0.0, **asked.sampling}
    return {
        "model": served.name,
        "prompt": list(asked.prompt),
        "max_tokens": asked.max_tokens,
        **how,
        "repetition_penalty": 1.0,
        "presence_penalty": 0.0,
        "frequency_penalty": 0.0,
        "return_token_ids": True,
        "skip_special_tokens": False,
        "spaces_between_special_tokens": False,
    }


class Budgeted:
    """A server to which requests bring their budgets.

    What it has done is read in the report that it gives. Without the route for reports it is found out from what it
    wrote: exactly as long as no end is ignored, and of greedy decoding always, for which the server has to say what the
    model wanted at each place.

    Args:
        server ([`Server`]): to be asked.
        served ([`Served`]): its model.
        setup ([`Setup`]): of the model, as it is known here.
    """

    def __init__(self, server: Server, served: Served, setup: Setup) -> None:
        self._server, self._served, self._setup = server, served, setup
        self.has_reports, self._tells_wishes = True, False
        self._known: set[str] = set()  # arguments that the server is known to know

    def prove(self, *, returns: bool = True) -> None:
        """Have the server close thinking at once, which one without the plug-in does not do.

        Raises:
            ValueError: it does not do it, or not as it is done here.
        """
        asked, expected = self._proof()
        self.has_reports = self._gives_reports(asked, expected, returns)
        if not self.has_reports:  # what is wished while all is forced shows whether wishes are told
            reply = self._server.complete(self._body(asked, uuid.uuid4().hex) | _WISHES, returns=returns)
            self._tells_wishes = reply.picks != reply.ids

    def _gives_reports(self, asked: Asked, expected: list[int], returns: bool) -> bool:
        """Whether the server writes what is `expected`, else this raises, and then gives the report of it."""
        for _ in range(_REPORTS_LOST):
            key = uuid.uuid4().hex
            reply = self._written(asked, key, expected, returns)
            try:
                self._told(key, reply, False, returns)
            except Missing:
                return False
            except NotKnown:  # a server gives a report once, and that may have been lost on the way
                continue
            return True
        return False

    def _written(self, asked: Asked, key: str, expected: list[int], returns: bool) -> Reply:
        """What the server writes, which has to be what is `expected`."""
        try:
            reply = self._server.complete(self._body(asked, key), returns=returns)
        except ValueError as error:
            raise ValueError(f"{error} That was the question whether it takes thinking budgets. {HOW}.") from None
        tokenizer, where = self._setup.tokenizer, self._server.connection.shown
        wanted = str(tokenizer.decode(expected))
        if reply.ids != expected:
            raise ValueError(
                f"{where} does not take thinking budgets as they are meant here: it was asked to stop thinking at "
                f"once, by {wanted!r}, and wrote {tokenizer.decode(reply.ids)!r}. {HOW}. If it has the plug-in, its "
                "model or thinking format is not the one that was named here."
            )
        if reply.text.strip() != wanted.strip():
            raise ValueError(
                f"{where} has another tokenizer: {wanted!r} is {reply.text!r} to it. Name the model that it serves."
            )
        return reply

    def check(self, asked: Asked) -> None:
        """Raises a `ValueError` for a request whose report could not be exact, or a server that cannot pause."""
        if asked.confidence is not None and not self.has_reports:
            raise ValueError(
                f"{self._server.connection.shown} has no route for reports, which say how sure the model is of its "
                "tokens. Serve the model with `s1-hf serve MODEL --engine vllm`, or leave `confidence` out."
            )
        if not self._known.issuperset(asked.extra_args):
            self._see_that_it_is_known(asked)
        if self.has_reports or self._ids_suffice(asked):
            return
        if asked.sampling:
            raise ValueError(
                f"{self._server.connection.shown} has no route for reports, without which it is not known where "
                "sampled thinking wanted to end. Serve the model with `s1-hf serve MODEL --engine vllm`."
            )
        if not self._tells_wishes:
            raise ValueError(
                f"{self._server.connection.shown} has no route for reports, and its log-probabilities are those after "
                "budgets. Serve the model with `s1-hf serve MODEL --engine vllm`, or without `--logprobs-mode`."
            )

    def _see_that_it_is_known(self, asked: Asked) -> None:
        """Ask for one token, which an earlier version of the plug-in refuses that knows no pauses, or no confidence."""
        if asked.pause is not None or asked.confidence is not None:
            proof = replace(self._proof()[0], max_tokens=1, pause=asked.pause, confidence=asked.confidence)
            try:
                self._server.complete(self._body(proof, uuid.uuid4().hex))
            except ValueError as error:
                raise ValueError(
                    f"{error} That was the question whether {self._server.connection.shown} pauses and measures rows. "
                    "Searches by steps, and methods that go by confidence, need that; votes and best-of-N do not. "
                    "Serve the model with this version of s1-hf, `s1-hf serve MODEL --engine vllm`."
                ) from None
        self._known.update(asked.extra_args)

    def run(self, asked: Asked, with_states: bool = False) -> Ran:
        """Have a request answered.

        Raises:
            ConnectionError: the server loses its reports, or does not keep to the budget.
        """
        why = ""
        for _ in range(_REPORTS_LOST):
            key = uuid.uuid4().hex
            body = self._body(asked, key)
            if not self.has_reports and not self._ids_suffice(asked):
                body |= _WISHES
            reply = self._server.complete(body)
            try:
                became = self._became_of(asked, key, reply, with_states)
            except (NotKnown, Missing) as error:  # it may have been started anew, after it had answered
                why = str(error)
                continue
            spent = Spent(1, reply.read, reply.cached, len(reply.ids))
            return ran_of(self._setup, asked, reply.ids, became, spent)
        raise ConnectionError(f"{self._server.connection.shown} does not tell what became of requests: {why}. {RESUME}")

    def stream(self, asked: Asked, write: Write, on_step: Step) -> Ran:
        """The same, asked for once, and told while it comes; see [`StreamingEngine`].

        Raises:
            ConnectionError: as [`run`], or the stream was cut.
        """
        key = uuid.uuid4().hex
        body = self._body(asked, key)
        if not asked.sampling:  # the most likely token is what the model wanted
            body |= _WISHES
        row = LiveRow(self._setup, asked, write)
        ids: list[int] = []
        picks: list[int] = []
        for part in self._server.stream(body):
            row.take(part.ids, part.picks)
            on_step(1)
            ids += part.ids
            picks += part.picks or []
        row.end()
        reply = Reply(ids, "", picks if len(picks) == len(ids) else None, len(asked.prompt), 0)
        try:
            became = self._became_of(asked, key, reply, False)
        except (NotKnown, Missing) as error:
            raise ConnectionError(
                f"{self._server.connection.shown} does not tell what became of it: {error}."
            ) from None
        spent = Spent(1, reply.read, 0, len(ids))
        return ran_of(self._setup, asked, ids, became, spent)

    def _ids_suffice(self, asked: Asked) -> bool:
        """Whether what was written tells by itself what became of it: all ways to end thinking look alike."""
        return not asked.budget.ignores_ends and not self._setup.format.plain

    def _became_of(self, asked: Asked, key: str, reply: Reply, with_states: bool) -> Became:
        """What became of a request."""
        if not self.has_reports:
            return self._replayed(asked, reply)
        told = self._told(key, reply, with_states)
        forced = forced_at(told["forced"], told["tokens"])
        report = Report(**{name: told[name] for name in _COUNTED}, forced=forced)
        became = Became(report, told.get("states", []), told.get("paused"), told.get("measured"))
        self._check_kept(asked, reply, became)
        if (asked.confidence is None) != (became.measured is None):
            raise ConnectionError(
                f"{self._server.connection.shown} does not tell how sure the model was, as it was asked to. {RESUME}"
            )
        return became

    def _body(self, asked: Asked, key: str) -> dict[str, Any]:
        return body_of(self._served, asked) | {"vllm_xargs": {**asked.extra_args, KEY: key}}

    def _proof(self) -> tuple[Asked, list[int]]:
        """A request that stops thinking at once, and the tokens that this takes."""
        tokenizer, format = self._setup.tokenizer, self._setup.format
        prompt = (*prompt_ids(tokenizer, format, _QUESTION, {}), *format.start)
        asked = Asked(prompt=prompt, max_tokens=1000, budget=_STOPPED, sampling={}, seed=0)
        replay = Replay(self._setup, asked)
        while (looked := replay.look()).token is not None:
            replay.take(looked.token)
        return replace(asked, max_tokens=len(replay.ids)), replay.ids

    def _told(self, key: str, reply: Reply, with_states: bool, returns: bool = True) -> dict[str, Any]:
        """The report of a request, as the server tells it.

        Raises:
            Missing: there is no such route. NotKnown: the server does not know the request, any more or at all.
        """
        wanted = {"reports": [{"key": key, "token_ids": reply.ids}], "states": with_states}
        told: dict[str, Any] = self._server.connection.ask(
            REPORTS, wanted, read=lambda said: report_in(said, len(reply.ids), with_states), returns=returns
        )
        if "error" in told:
            raise NotKnown(told["error"])
        return told

    def _check_kept(self, asked: Asked, reply: Reply, became: Became) -> None:
        """Raises a `ConnectionError` for what cannot be under the budget that was asked for."""
        replay, report = Replay(self._setup, asked), became.report
        has_paused = asked.pause is not None and became.paused is not None
        terms = replay.terms._replace(has_stopped=has_paused or became.has_lost(asked.confidence))
        broken = broken_in(report, terms)
        foreign = [token for token, forced in zip(reply.ids, report.forced, strict=False) if forced]
        if broken is None and not replay.forceable.issuperset(foreign):
            broken = (
                f"other texts were forced than those of this budget: {self._setup.tokenizer.decode(foreign)!r:.500}"
            )
        if broken is not None:
            raise ConnectionError(
                f"{self._server.connection.shown} does not keep to budgets: it was asked for {asked.budget.name}, and "
                f"by its report {broken}. {HOW}. {RESUME}"
            )

    def _replayed(self, asked: Asked, reply: Reply) -> Became:
        replay = Replay(self._setup, asked)
        try:
            replay.follow(reply.ids, reply.picks)
        except Mismatch as mismatch:
            written = self._setup.tokenizer.decode(reply.ids)
            raise ConnectionError(
                f"{self._server.connection.shown} does not keep to budgets: of {written!r:.500} {mismatch}. {HOW}."
            ) from None
        told, paused = replay.told(), replay.paused
        states = [[int(value) for value in state] for state in told.states]
        return Became(told.report, states, None if paused is None else list(paused))
