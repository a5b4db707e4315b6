"""Text as it is generated, and what each piece of it is: thinking, forced, or answer."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from typing import TYPE_CHECKING, Any, Literal

from transformers.generation.streamers import BaseStreamer

from s1_hf.forcing.prompts import read_prompt
from s1_hf.forcing.report import Ended

if TYPE_CHECKING:
    import torch

    from s1_hf.forcing.automaton import Automaton
    from s1_hf.generation.processor import BudgetForcingLogitsProcessor

PieceKind = Literal["thinking", "forced", "answer"]


class Pieces:
    """The text of one row, token by token, in pieces of one kind each; see [`ThinkingStreamer`].

    Args:
        automaton ([`Automaton`]): of the row's format.
        ends (`Collection[int]`): ids that end a sequence, whose texts are left out.
        write (`Callable`): called with a piece and its kind.
        prompt (`Sequence[int]`): ids.
    """

    def __init__(
        self,
        automaton: Automaton,
        ends: Collection[int],
        write: Callable[[str, PieceKind], Any],
        prompt: Sequence[int],
    ) -> None:
        self._automaton, self._ends, self._write = automaton, ends, write
        self._state = read_prompt(automaton, prompt)
        self._kind: PieceKind = "answer"  # of the pending tokens
        self._ids: list[int] = []
        self._from = self._to = 0  # ids before `_to` are written; those from `_from` on are decoded with what follows

    def add(self, token: int, forced: bool) -> None:
        """The next token, and whether it was forced."""
        before, after = self._state, self._automaton.run([token], self._state)
        thinks = Ended.UNFINISHED in (before.ended, after.ended)
        kind: PieceKind = "forced" if forced else "thinking" if thinks else "answer"
        self._state = after
        if token in self._ends:
            return
        if kind != self._kind:
            self.flush()
        self._kind = kind
        self._ids.append(token)
        self._tell(self._pending())

    def flush(self) -> None:
        """What is left, although its last character is not complete."""
        self._tell(self._pending(), complete=True)

    def _tell(self, text: str, complete: bool = False) -> None:
        """Write the pending text, unless more bytes may follow that belong to its last character."""
        if text and (complete or not text.endswith("\ufffd")):
            self._from, self._to = self._to, len(self._ids)
            self._write(text, self._kind)

    def _pending(self) -> str:
        """The text of the tokens that are not written yet, as it stands after those before them."""
        return self._decode(self._from, len(self._ids))[len(self._decode(self._from, self._to)) :]

    def _decode(self, begin: int, end: int) -> str:
        options = {"skip_special_tokens": False, "clean_up_tokenization_spaces": False}
        return str(self._automaton.tokenizer.decode(self._ids[begin:end], **options))


class ThinkingStreamer(BaseStreamer):
    """
    Hands over each piece of text as soon as its last character is complete. Joined, the pieces are [`Completion.text`]:
    delimiters are included, the prompt and the end of sequence are not. For one row, like every streamer. To iterate
    over the pieces instead, see [`stream`].

    Args:
        write (`Callable`): called with a piece and its kind: `"forced"`, as in [`Completion`] (a closing delimiter is
            forced even where the model wanted to end); of the model's own text `"thinking"`, from its opening
            delimiter on, and else `"answer"`.

    Raises:
        TypeError: `write` is no function.

    Example:

    ```python
    >>> from s1_hf import ThinkingStreamer, embedded, generate
    >>> model, tokenizer = embedded.load()
    >>> pieces = []
    >>> streamer = ThinkingStreamer(lambda text, kind: pieces.append((text, kind)))
    >>> completion, = generate(model, tokenizer, embedded.Problem(2, 7, 3, 8).question, streamer=streamer)
    >>> pieces[0]
    ('<|im_start|>', 'forced')
    >>> "".join(text for text, kind in pieces) == completion.text
    True

    ```
    """

    def __init__(self, write: Callable[[str, PieceKind], Any]) -> None:
        if not callable(write):
            raise TypeError(f"`write` has to be a function of a text and its kind, but is {write!r}.")
        self._write = write
        self._processor: BudgetForcingLogitsProcessor | None = None
        self._begin()

    def _begin(self) -> None:
        self._pieces: Pieces | None = None  # None: the prompt has not come yet
        self._position = 0  # of the next token in the sequence

    def follow(self, processor: BudgetForcingLogitsProcessor) -> None:
        """The next call of `generate` is under this processor; [`generate`] says so by itself."""
        self._processor = processor
        self._begin()

    def put(self, value: torch.Tensor) -> None:
        """The prompt's ids, of shape `(1, length)`; after that new ones, each time they are generated."""
        processor = self._processor
        if processor is None:
            raise RuntimeError(
                "Say first which processor forces tokens: `streamer.follow(kwargs['logits_processor'][-1])`."
            )
        ids = value.flatten().tolist()
        if self._pieces is None:
            self._pieces = Pieces(processor.automaton, processor.eos_token_ids, self._write, ids)
            self._position = len(ids)
            return
        for token in ids:
            self._pieces.add(token, bool(processor.forced_at(self._position)[0]))
            self._position += 1

    def end(self) -> None:
        """What is left, although its last character is not complete."""
        if self._pieces is not None:
            self._pieces.flush()
        self._begin()
