"""What is asked, what comes back, and what a source of traces is."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Protocol


@dataclass(frozen=True)
class Ask:
    """A trace that is wanted: of `question`, sample number `sample`, from 0."""

    question: str
    sample: int = 0


@dataclass(frozen=True)
class Trace:
    """One answer to a question, or why there is none.

    Args:
        thinking (`str`): the trace, without delimiters.
        attempt (`str`): what stands after it; empty if thinking never ended.
        thinking_tokens, answer_tokens (`int`, *optional*): `None` if an endpoint does not tell.
        ended (`str`): how thinking ended, as in [`Report`]: `"natural"`, `"cut"`, `"looped"`, `"handed_over"`,
            `"unfinished"` or `"never_started"`; or `"error"`.
        error (`str`, *optional*): what went wrong, in words.
        answer_cut (`bool`): whether a limit on the length ended the answer.
    """

    thinking: str
    attempt: str
    thinking_tokens: int | None
    answer_tokens: int | None
    ended: str
    error: str | None = None
    answer_cut: bool = False

    @classmethod
    def failed(cls, error: str) -> "Trace":
        """No answer."""
        return cls("", "", 0, 0, "error", error)


class Source(Protocol):
    """Where traces come from."""

    @property
    def settings(self) -> dict[str, Any]:
        """All that decides what is written, as JSON types: a folder takes traces of only one set of settings."""

    @property
    def draws(self) -> bool:
        """Whether two samples of a question can differ."""

    def traces(self, asked: Sequence[Ask], on_step: Callable[[int], None]) -> Iterator[list[tuple[Ask, Trace]]]:
        """All that is asked, in lists that belong together, each as soon as it is finished.

        A row is an error only if others may do better; what concerns all of them is raised. `on_step`, if the source
        can tell, is called with the number of rows that have one more token.
        """
