"""A server that says in texts what it generates: they are read as tokens here, as well as that can be done."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from s1_hf.engines.endpoint.server import Reply, Server, TextReply, text_reply_of
from s1_hf.forcing.vocabulary import encode

if TYPE_CHECKING:
    from s1_hf.vllm.setup import Setup

_MOST_STOPS = 4  # of OpenAI's interface

INEXACT = (
    "{shown} says in texts, and not in tokens, what it generates. They are read with the tokenizer here: counts, and "
    "where a cap falls, are exact only as far as the model writes tokens as its tokenizer does, and delimiters that "
    "the server leaves out of its texts are not seen."
)


class TextServer:
    """In the place of a [`Server`].

    Args:
        server ([`Server`]): to be asked.
        setup ([`Setup`]): of the model.
        takes_ids (`bool`): whether it takes prompts of token ids.
    """

    def __init__(self, server: Server, setup: Setup, takes_ids: bool) -> None:
        self._server, self._setup, self._takes_ids = server, setup, takes_ids
        self.connection = server.connection

    def complete(self, body: Mapping[str, Any], *, returns: bool = True) -> Reply:
        """See [`Server.complete`]."""
        tokenizer, prompt = self._setup.tokenizer, body["prompt"]
        stops = {str(tokenizer.decode([i])): i for i in body.get("stop_token_ids", self._setup.eos)}
        sent: dict[str, Any] = {**body, "stop": list(stops)[:_MOST_STOPS]}
        if not self._takes_ids:
            sent |= {"prompt": str(tokenizer.decode(prompt)), "add_special_tokens": False}
        reply: TextReply = self._server.read(sent, lambda said: text_reply_of(said, body["model"]), returns)
        if reply.read is not None and reply.read != len(prompt):
            raise ValueError(
                f"{self.connection.shown} counts {reply.read} tokens in a prompt of {len(prompt)}: it has another "
                "tokenizer, or adds tokens of its own. Name the model that it serves."
            )
        ids = list(encode(tokenizer, reply.text))[: body["max_tokens"]]
        if reply.ended and len(ids) < body["max_tokens"]:
            ids.append(self._end_of(reply, stops))
        if not ids:
            raise ValueError(f"{self.connection.shown} wrote nothing, and did not end.")
        return Reply(ids, reply.text, None, len(prompt), reply.cached)

    def _end_of(self, reply: TextReply, stops: Mapping[str, int]) -> int:
        """What ended a text; of several that it may have been the end of sequence, which is one wherever it stands."""
        if isinstance(reply.end, str) and reply.end in stops:
            return stops[reply.end]
        if isinstance(reply.end, int) and reply.end in stops.values():
            return reply.end
        return self._setup.eos[0]
