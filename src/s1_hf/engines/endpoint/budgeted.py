"""Requests with budgets, to a server that runs our plug-in for vLLM."""

from __future__ import annotations

import uuid
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from s1_hf.engines.endpoint.connection import RESUME, Missing
from s1_hf.engines.endpoint.kept import broken_in
from s1_hf.engines.endpoint.ran import Ran, Spent, ran_of
from s1_hf.engines.endpoint.replay import Mismatch, Replay
from s1_hf.engines.endpoint.server import Reply
from s1_hf.engines.streaming import LiveRow
from s1_hf.forcing.budget import Budget
from s1_hf.forcing.decisions import Field
from s1_hf.forcing.report import ENDED_NAMES, Report
from s1_hf.generation.chats import prompt_ids
from s1_hf.records import COUNT, LIST, TEXT, Schema, check, counts_below, one_of
from s1_hf.vllm.asking import Asked
from s1_hf.vllm.settings import KEY

if TYPE_CHECKING:
    from s1_hf.engines.endpoint.server import Served, Server
    from s1_hf.engines.engine import Step, Write
    from s1_hf.vllm.setup import Setup

REPORTS = "s1_hf/reports"
"""The route, below the server's address, that tells what became of requests."""

_REPORT: Schema = {
    "thinking_tokens": COUNT, "ended": one_of(ENDED_NAMES), "ends_ignored": COUNT, "answer_tokens": COUNT,
    "forced": counts_below(2**31), "tokens": COUNT,
}  # fmt: skip

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
        """Raises a `ValueError` for a request whose report could not be exact."""
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
                report, states = self._became_of(asked, key, reply, with_states)
            except (NotKnown, Missing) as error:  # it may have been started anew, after it had answered
                why = str(error)
                continue
            spent = Spent(1, reply.read, reply.cached, len(reply.ids))
            return ran_of(self._setup, asked, reply.ids, report, states, spent)
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
            report, states = self._became_of(asked, key, reply, False)
        except (NotKnown, Missing) as error:
            raise ConnectionError(
                f"{self._server.connection.shown} does not tell what became of it: {error}."
            ) from None
        return ran_of(self._setup, asked, ids, report, states, Spent(1, reply.read, 0, len(ids)))

    def _ids_suffice(self, asked: Asked) -> bool:
        """Whether what was written tells by itself what became of it: all ways to end thinking look alike."""
        return not asked.budget.ignores_ends and not self._setup.format.plain

    def _became_of(self, asked: Asked, key: str, reply: Reply, with_states: bool) -> tuple[Report, list[list[int]]]:
        """The report of a request, and the states in which its tokens were taken."""
        if not self.has_reports:
            return self._replayed(asked, reply)
        told = self._told(key, reply, with_states)
        positions = set(told["forced"])
        forced = tuple(i in positions for i in range(told["tokens"]))
        report = Report(**{name: told[name] for name in _COUNTED}, forced=forced)
        self._check_kept(asked, reply, report)
        return report, told.get("states", [])

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
            REPORTS, wanted, read=lambda said: _report_of(said, len(reply.ids), with_states), returns=returns
        )
        if "error" in told:
            raise NotKnown(told["error"])
        return told

    def _check_kept(self, asked: Asked, reply: Reply, report: Report) -> None:
        """Raises a `ConnectionError` for what cannot be under the budget that was asked for."""
        replay = Replay(self._setup, asked)
        broken = broken_in(report, replay.terms)
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

    def _replayed(self, asked: Asked, reply: Reply) -> tuple[Report, list[list[int]]]:
        replay = Replay(self._setup, asked)
        try:
            replay.follow(reply.ids, reply.picks)
        except Mismatch as mismatch:
            written = self._setup.tokenizer.decode(reply.ids)
            raise ConnectionError(
                f"{self._server.connection.shown} does not keep to budgets: of {written!r:.500} {mismatch}. {HOW}."
            ) from None
        told = replay.told()
        return told.report, [[int(value) for value in state] for state in told.states]


def _report_of(said: Any, written: int, with_states: bool) -> dict[str, Any]:
    """The one report of a reply, or its `error`."""
    check(said, {"reports": LIST}, "it")
    if len(said["reports"]) != 1:
        raise ValueError(f"it has to have one report, but has {len(said['reports'])}")
    (told,) = said["reports"]
    if isinstance(told, dict) and "error" in told:
        check(told, {"error": TEXT}, "its report")
        return told
    check(told, _REPORT, "its report")
    if not written - 1 <= told["tokens"] <= written or max(told["forced"], default=-1) >= told["tokens"]:
        raise ValueError(f"its report is of other tokens than the {written} that were generated")
    if with_states:
        check(told, {"states": LIST}, "its report")
        counts = counts_below(2**53)
        of_states = [counts.fits(one) and len(one) == len(Field) for one in told["states"]]
        if len(of_states) != told["tokens"] or not all(of_states):
            raise ValueError("the states of its report are none")
    return told
