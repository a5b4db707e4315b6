"""An engine in front of another one, which keeps what is finished in a ledger."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from s1_hf.engines.engine import Engine, Finished, Recorded, Step, SweptBatch, under
from s1_hf.generation.sweep import Cost

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

    from s1_hf.engines.ledger import Ledger
    from s1_hf.engines.request import Request
    from s1_hf.forcing.budget import Budget
    from s1_hf.forcing.formats import ThinkingFormat


class NotKept(Exception):
    """A completion is not in the ledger."""


class Kept:
    """An [`Engine`] that hands over what a ledger holds, and has the rest generated and kept.

    Args:
        engine ([`Engine`]): generates.
        ledger ([`Ledger`]): keeps.
        generates (`bool`, defaults to `True`): if not, a completion that is not there raises [`NotKept`].
    """

    def __init__(self, engine: Engine, ledger: Ledger, generates: bool = True) -> None:
        self._engine, self._recorded = engine, Recorded(engine, ledger)
        self.ledger, self.generates = ledger, generates

    @property
    def tokenizer(self) -> PreTrainedTokenizerBase:
        """See [`Engine`]."""
        return self._engine.tokenizer

    @property
    def format(self) -> ThinkingFormat:
        """See [`Engine`]."""
        return self._engine.format

    @property
    def context(self) -> int | None:
        """See [`Engine`]."""
        return self._engine.context

    @property
    def identity(self) -> dict[str, Any]:
        """See [`Engine`]."""
        return self._engine.identity

    def check(self, requests: Sequence[Request]) -> None:
        """See [`Engine`]."""
        self._engine.check(requests)

    def check_sweep(self, settings: Sequence[Budget]) -> None:
        """See [`Engine`]."""
        self._engine.check_sweep(settings)

    def plan(self, requests: Sequence[Request]) -> list[list[Request]]:
        """See [`Engine`]; of what is not in the ledger."""
        found = {finished.request.key for finished in self._recorded.found(requests)}
        return self._engine.plan([request for request in requests if request.key not in found])

    def run(self, requests: Sequence[Request], on_step: Step) -> Iterator[list[Finished]]:
        """First what the ledger holds, then the rest as it is finished."""
        if self.generates:
            yield from self._recorded.run(requests, on_step)
            return
        found = self._recorded.found(requests)
        if len(found) < len(requests):
            raise NotKept
        yield found

    def sweep(self, requests: Sequence[Request], settings: Sequence[Budget], on_step: Step) -> Iterator[SweptBatch]:
        """First what the ledger holds, of some settings perhaps less than of others, then batch after batch."""
        found = [self._recorded.found([under(request, setting) for request in requests]) for setting in settings]
        is_whole = all(len(of_setting) == len(requests) for of_setting in found)
        if not is_whole and not self.generates:
            raise NotKept
        yield SweptBatch(found, Cost(0, 0, 0, 0.0))
        if not is_whole:
            yield from self._recorded.sweep(requests, settings, on_step)
