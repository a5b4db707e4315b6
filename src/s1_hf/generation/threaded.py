"""`generate` in a thread of its own, for those who want to iterate over what it writes: web services, notebooks."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping
from queue import SimpleQueue
from typing import TYPE_CHECKING, Any

from s1_hf.generation.generate import generate
from s1_hf.generation.streaming import PieceKind, ThinkingStreamer

if TYPE_CHECKING:
    import torch
    from transformers import PreTrainedModel, PreTrainedTokenizerBase
    from typing_extensions import Self, Unpack

    from s1_hf.forcing.budget import Budget
    from s1_hf.forcing.formats import ThinkingFormat
    from s1_hf.generation.chats import Completion, Prompt
    from s1_hf.generation.keywords import GenerateKeywords


def stream(
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    prompt: Prompt,
    *,
    budget: Budget | None = None,
    format: ThinkingFormat | str | None = None,
    max_answer_tokens: int | None = None,
    chat_template_kwargs: Mapping[str, Any] | None = None,
    **keywords: Unpack[GenerateKeywords],
) -> Stream:
    """Generate from one prompt under a budget, in a thread, and iterate over the pieces while they are written.

    Args:
        prompt: a text or a chat, as in [`generate`], whose other arguments are taken as well.

    Returns:
        [`Stream`]: an iterator over `(text, kind)`, with `kind` as in [`ThinkingStreamer`]. In a `with` statement,
            generation stops at the next token when the block is left early.

    Raises:
        ValueError, TypeError: as [`generate`], before anything is generated; what goes wrong later is raised by the
            iteration.

    Example:

    ```python
    >>> from s1_hf import embedded, stream
    >>> model, tokenizer = embedded.load()
    >>> with stream(model, tokenizer, embedded.Problem(2, 7, 3, 8).question, max_thinking_tokens=16) as pieces:
    ...     answer = "".join(text for text, kind in pieces if kind == "answer")
    >>> pieces.completion.answer == "Final Answer:" + answer
    True

    ```
    """
    if "streamer" in keywords:
        raise ValueError(
            "`stream` makes its streamer itself. To have one of your own told the pieces: `generate(streamer=...)`."
        )
    given: dict[str, Any] = {"budget": budget, "format": format, "max_answer_tokens": max_answer_tokens}
    return Stream(model, tokenizer, prompt, {**given, "chat_template_kwargs": chat_template_kwargs, **keywords})


class Stream(Iterator[tuple[str, PieceKind]]):
    """What [`stream`] returns: the pieces of one completion, in order.

    Attributes:
        completion ([`Completion`], *optional*): what [`generate`] returned, with its report, when all pieces have come.
    """

    def __init__(
        self, model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, prompt: Prompt, settings: Mapping[str, Any]
    ) -> None:
        self.completion: Completion | None = None
        self._pieces: SimpleQueue[tuple[str, PieceKind] | None] = SimpleQueue()  # None: nothing more will come
        self._error: BaseException | None = None
        self._is_refused = False
        self._is_through = False
        self._feed = _Feed(lambda text, kind: self._pieces.put((text, kind)))
        self._thread = threading.Thread(target=self._run, args=(model, tokenizer, prompt, settings), daemon=True)
        self._thread.start()
        self._feed.has_begun.wait()  # all checks are behind us, or one has failed
        if self._is_refused:
            self.__next__()

    def _run(self, model: Any, tokenizer: Any, prompt: Any, settings: Mapping[str, Any]) -> None:
        try:
            (self.completion,) = generate(model, tokenizer, prompt, streamer=self._feed, **settings)
        except _Left:
            pass
        except BaseException as error:  # it belongs to whoever iterates
            self._error, self._is_refused = error, not self._feed.has_begun.is_set()
        finally:
            self._pieces.put(None)
            self._feed.has_begun.set()

    def __next__(self) -> tuple[str, PieceKind]:
        piece = None if self._is_through else self._pieces.get()
        if piece is not None:
            return piece
        self._is_through = True
        if self._error is not None:
            error, self._error = self._error, None
            raise error
        raise StopIteration

    def close(self) -> None:
        """Stop generating, at the next token. The pieces so far can still be read."""
        self._feed.is_left = True
        if self._thread is not threading.current_thread():  # whose garbage collection may close a forgotten stream
            self._thread.join()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class _Left(Exception):
    """Nobody listens any more."""


class _Feed(ThinkingStreamer):
    def __init__(self, write: Any) -> None:
        super().__init__(write)
        self.has_begun = threading.Event()
        self.is_left = False

    def put(self, value: torch.Tensor) -> None:
        if self.is_left:
            raise _Left
        super().put(value)
        self.has_begun.set()
