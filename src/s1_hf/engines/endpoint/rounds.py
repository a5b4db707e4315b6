"""Budget forcing by asking again, for servers that know nothing of it: stop, edit, prompt with all of it, continue."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from s1_hf.engines.endpoint.budgeted import body_of
from s1_hf.engines.endpoint.ran import Became, Ran, Spent, ran_of
from s1_hf.engines.endpoint.replay import Replay
from s1_hf.engines.endpoint.server import NoIds
from s1_hf.engines.endpoint.texts import INEXACT, TextServer
from s1_hf.engines.request import digest
from s1_hf.forcing.budget import NO_INTERVENTION
from s1_hf.generation.cautions import warn
from s1_hf.generation.chats import prompt_ids
from s1_hf.generation.streaming import Pieces
from s1_hf.vllm.asking import Asked

if TYPE_CHECKING:
    from s1_hf.engines.endpoint.server import Reply, Served, Server
    from s1_hf.engines.engine import Step, Write
    from s1_hf.vllm.setup import Setup

_NEVER = -100.0
"""A bias under which a token does not come: the least that OpenAI's interface allows."""

_QUESTION = "1+1?"


class Rounds:
    """A server to which budgets mean nothing.

    Each round asks it to continue the prompt and all that stands there by now, up to the next token by which thinking
    could end, or the next separator where rows pause; the rules are applied here, token by token, and what is forced is
    appended. Its law is that of the contract, rule by rule; what it costs is counted in [`Spent`].

    Args:
        server ([`Server`]): to be asked.
        served ([`Served`]): its model.
        setup ([`Setup`]): of the model, as it is known here.
    """

    def __init__(self, server: Server, served: Served, setup: Setup) -> None:
        self._ids, self._served, self._setup = server, served, setup
        self._server: Server | TextServer = server

    @property
    def is_exact(self) -> bool:
        """Whether tokens, and not texts, come from the server."""
        return self._server is self._ids

    def prove(self, *, returns: bool = True) -> None:
        """Have the server write a few tokens, or if it does not say which, a text.

        Raises:
            ValueError: its tokens are not those of the tokenizer here.
        """
        tokenizer = self._setup.tokenizer
        prompt = tuple(prompt_ids(tokenizer, self._setup.format, _QUESTION, {}))
        asked = Asked(prompt=prompt, max_tokens=8, budget=NO_INTERVENTION, sampling={}, seed=0)
        body = body_of(self._served, asked)
        try:
            reply = self._ids.complete(body, returns=returns)
        except NoIds:
            return self._prove_texts(body, True, returns)
        except ValueError:  # perhaps it takes no ids
            return self._prove_texts(body, False, returns)
        self._server = self._ids
        ids = reply.ids[:-1] if reply.ids[-1] in self._setup.eos else reply.ids
        if str(tokenizer.decode(ids)).strip("\ufffd ") != reply.text.strip("\ufffd "):
            raise ValueError(
                f"{self._ids.connection.shown} has another tokenizer: the tokens {ids} are {reply.text!r} to it, and "
                f"{tokenizer.decode(ids)!r} here. Name the model that it serves."
            )

    def _prove_texts(self, body: dict[str, Any], takes_ids: bool, returns: bool) -> None:
        self._server = TextServer(self._ids, self._setup, takes_ids)
        self._server.complete(body, returns=returns)
        warn(INEXACT.format(shown=self._ids.connection.shown))

    def check(self, asked: Asked) -> None:
        """Raises a `ValueError` for rows that are to be measured, which nobody does, and for those that pause where
        tokens are not known, so that none could go on from there."""
        if asked.confidence is not None:
            raise ValueError(
                "How sure the model is of its tokens is not told where budgets are forced by `rounds`. Serve the model "
                "with `s1-hf serve MODEL --engine vllm`, or leave `confidence` out."
            )
        if not self.is_exact and (asked.pause is not None or asked.start is not None):
            raise ValueError(
                f"{self._ids.connection.shown} says in texts, and not in tokens, what it generates, so that a row "
                "cannot go on from exactly where it has paused. Searches by steps need a server that returns token "
                "ids, as vLLM's does; votes and best-of-N do not."
            )

    def stream(self, asked: Asked, write: Write, on_step: Step) -> Ran:
        """The same, told round by round; see [`StreamingEngine`]."""
        automaton = self._setup.automaton(asked.budget, ())
        pieces, begin = Pieces(automaton, automaton.eos, write, asked.prompt), 0

        def tell(replay: Replay) -> None:
            nonlocal begin
            forced = replay.told().report.forced
            for token, is_forced in zip(replay.ids[begin:], forced[begin:], strict=False):
                pieces.add(token, is_forced)
            begin = len(replay.ids)
            on_step(1)

        ran = self.run(asked, on_round=tell)
        pieces.flush()
        return ran

    def run(
        self, asked: Asked, with_states: bool = False, on_round: Callable[[Replay], Any] = lambda replay: None
    ) -> Ran:
        """Have a request answered, in as many rounds as it takes; `on_round` is told after each of them."""
        replay, spent = Replay(self._setup, asked), Spent()
        while not replay.is_over:
            forced = replay.look().token
            if forced is None:
                self._round(asked, replay, spent)
            else:
                replay.take(forced)
            on_round(replay)
        told = replay.told()
        states = [[int(value) for value in state] for state in told.states] if with_states else []
        return ran_of(self._setup, asked, replay.ids, Became(told.report, states, replay.paused), spent)

    def _round(self, asked: Asked, replay: Replay, spent: Spent) -> None:
        """The row gets what the model wants, up to where the rules want something else."""
        banned = replay.banned
        ids = self._continued(asked, replay, spent, banned, self._length(asked, replay, bool(banned)))
        for place, token in enumerate(ids):
            if replay.is_over or replay.banned != banned:
                spent.dropped += len(ids) - place
                return
            looked = replay.look(token)
            if looked.token != token:
                spent.dropped += len(ids) - place
                if looked.token is None:  # an end that is skipped: the next best comes
                    (instead,) = self._continued(asked, replay, spent, looked.excluded, 1)
                    replay.take(instead)
                else:
                    replay.take(looked.token)
                return
            replay.take(token)

    def _continued(self, asked: Asked, replay: Replay, spent: Spent, without: frozenset[int], most: int) -> list[int]:
        """What the model writes behind all that stands there."""
        whole = replace(asked, prompt=(*asked.prompt, *replay.ids), max_tokens=most)
        body: dict[str, Any] = body_of(self._served, whole)
        body["stop_token_ids"] = replay.stops
        if replay.separator is not None:  # whether a step has ended there is seen here; without it more is dropped
            body |= {"stop": [replay.separator], "include_stop_str_in_output": True}
        if without:
            body["logit_bias"] = {str(token): _NEVER for token in sorted(without)}
        if asked.sampling:  # the same in every run; of the two draws of one step, which differ, the second knows it
            body["seed"] = int(digest([asked.seed, asked.steps + len(replay.ids), sorted(without)])[:16], 16) >> 1
        reply: Reply = self._server.complete(body)
        if reply.ids[0] in without:
            raise ValueError(
                f"{self._server.connection.shown} does not heed `logit_bias`, without which ends cannot be ignored."
            )
        spent.add(Spent(1, reply.read, reply.cached, len(reply.ids)))
        return reply.ids

    def _length(self, asked: Asked, replay: Replay, is_banned: bool) -> int:
        """How many tokens may be of use: no more than its limits leave."""
        most = [replay.room]
        if replay.is_thinking:
            most.append(replay.thinking_left)
            if is_banned:  # of one token
                most.append(1)
            if asked.give_up_after is not None:
                most.append(asked.give_up_after + 1 - replay.thought)
        elif asked.max_answer_tokens is not None:
            most.append(asked.max_answer_tokens - replay.answered)
        return max(min(most), 1)
