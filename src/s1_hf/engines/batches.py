"""Which requests share a batch, and batches that do not fit into memory."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, TypeVar

import torch

from s1_hf.engines.request import Request

if TYPE_CHECKING:
    from s1_hf.engines.engine import Finished

R = TypeVar("R")
T = TypeVar("T")

logger = logging.getLogger(__name__)


def plan_batches(requests: Sequence[Request], batch_size: int) -> list[list[Request]]:
    """Batches of one kind each, longest prompts first, so that little is padded and a batch too big shows at once.

    If every batch of a plan is finished or missing as a whole, the plan of what is missing has the same batches: a
    sweep that was killed resumes with the batches of an unbroken one.

    Example:

    ```python
    >>> from s1_hf.engines.batches import plan_batches
    >>> from s1_hf.engines.request import Request
    >>> requests = [Request(prompt=(0,) * n, max_new_tokens=10, problem=str(i)) for i, n in enumerate((5, 9, 5, 7))]
    >>> [[request.problem for request in batch] for batch in plan_batches(requests, batch_size=3)]
    [['1', '3', '0'], ['2']]

    ```
    """
    groups: dict[Any, list[Request]] = {}
    for request in requests:
        groups.setdefault(request.batch_key, []).append(request)
    batches = []
    for group in groups.values():
        rows = sorted(group, key=lambda request: -len(request.prompt))
        batches += [rows[i : i + batch_size] for i in range(0, len(rows), batch_size)]
    return batches


def in_halves(run: Callable[[list[R]], list[T]], batch: list[R]) -> list[T]:
    """`run` on the batch, or on its halves if it does not fit into memory."""
    try:
        return run(batch)
    except torch.OutOfMemoryError:
        if len(batch) == 1:
            raise
    logger.warning("A batch of %d does not fit into memory and is halved. Lower `batch_size`.", len(batch))
    torch.cuda.empty_cache()
    half = (len(batch) + 1) // 2
    return in_halves(run, batch[:half]) + in_halves(run, batch[half:])


def fewer_at_once(
    run: Callable[[list[Request], int], Iterator[list[Finished]]], requests: Sequence[Request], at_once: int
) -> Iterator[list[Finished]]:
    """`run` with so many requests at once. If they do not fit into memory, those that have not ended begin again with
    half as many."""
    left = {id(request): request for request in requests}
    while left:
        try:
            for finished in run(list(left.values()), at_once):
                for request, _ in finished:
                    del left[id(request)]
                yield finished
            return
        except torch.OutOfMemoryError:
            at_once = min(at_once, len(left))
            if at_once == 1:
                raise
        fewer = (at_once + 1) // 2
        logger.warning(
            "A batch of %d does not fit into memory and begins again with %d. Lower `batch_size`.", at_once, fewer
        )
        at_once = fewer
        torch.cuda.empty_cache()
