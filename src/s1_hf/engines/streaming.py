"""One row while it is written: by `generate` in this process, or by an engine that only tells its ids."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from s1_hf.engines.endpoint.replay import Mismatch, Replay
from s1_hf.forcing.automaton import Automaton
from s1_hf.generation.chats import Completion, completion_of, left_padded
from s1_hf.generation.streaming import PieceKind, Pieces, ThinkingStreamer

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

    from s1_hf.engines.engine import StreamingEngine, Write
    from s1_hf.generation.running import Call
    from s1_hf.vllm.asking import Asked
    from s1_hf.vllm.setup import Setup


def streamed(model: Any, tokenizer: PreTrainedTokenizerBase, prompt: list[int], call: Call, write: Write) -> Completion:
    """What `generate` makes of a prompt, told while it is written."""
    streamer = ThinkingStreamer(write)
    streamer.follow(call.processor)
    inputs = {name: tensor.to(model.device) for name, tensor in left_padded([prompt], 0).items()}
    generate: Any = type(model).generate  # a folder may have replaced the model's own
    try:
        sequences = generate(model, **inputs, **call.arguments, streamer=streamer)
    except Exception:
        streamer.end()  # what is written by now
        raise
    (report,) = call.processor.reports(sequences)
    ids = sequences[0, len(prompt) :].tolist()[: len(report.forced)]
    return completion_of(tokenizer, call.processor.automaton, prompt, ids, report)


class LiveRow:
    """A row that is decoded elsewhere, told while its ids come.

    What is forced is found by following the rules, which can be done as long as it is known what the model wanted, or
    no end was ignored. From there on forced text is called thinking or answer.

    Args:
        setup ([`Setup`]): of the model.
        asked ([`Asked`]): the request.
        write (`Callable`): told each piece of text.
    """

    def __init__(self, setup: Setup, asked: Asked, write: Write) -> None:
        automaton = setup.automaton(asked.budget, ())
        self._pieces = Pieces(automaton, automaton.eos, write, asked.prompt)
        self._replay: Replay | None = Replay(setup, asked)

    def take(self, ids: Sequence[int], picks: Sequence[int] | None = None) -> None:
        """The next tokens, and, if that is known, what the model wanted most at each place."""
        for token, pick in zip(ids, ids if picks is None else picks, strict=True):
            self._pieces.add(token, self._is_forced(token, pick))

    def end(self) -> None:
        """Nothing follows."""
        self._pieces.flush()

    def _is_forced(self, token: int, pick: int) -> bool:
        if self._replay is None:
            return False
        try:
            return self._replay.follow_one(token, pick)
        except Mismatch:
            self._replay = None
            return False


def pieces_of(engine: StreamingEngine, prompt: Sequence[int], completion: Completion) -> list[tuple[str, PieceKind]]:
    """A whole completion in pieces, neighbours of one kind as one.

    Example:

    ```python
    >>> from s1_hf import embedded, generate
    >>> from s1_hf.engines.streaming import pieces_of
    >>> from s1_hf.engines.transformers_engine import TransformersEngine
    >>> from s1_hf.generation.chats import prompt_ids
    >>> model, tokenizer = embedded.load()
    >>> question = embedded.Problem(2, 7, 3, 8).question
    >>> completion, = generate(model, tokenizer, question, max_thinking_tokens=16)
    >>> engine = TransformersEngine(model, tokenizer)
    >>> pieces = pieces_of(engine, prompt_ids(tokenizer, engine.format, question, {}), completion)
    >>> [kind for _, kind in pieces]
    ['forced', 'thinking', 'forced', 'answer']

    ```
    """
    found: list[tuple[str, PieceKind]] = []

    def write(text: str, kind: PieceKind) -> None:
        if found and found[-1][1] == kind:
            text = found.pop()[0] + text
        found.append((text, kind))

    automaton = Automaton.of(engine.tokenizer, engine.format, eos=engine.ends)
    pieces = Pieces(automaton, automaton.eos, write, prompt)
    for token, forced in zip(completion.token_ids, completion.forced, strict=False):
        pieces.add(token, forced)
    pieces.flush()
    return found
