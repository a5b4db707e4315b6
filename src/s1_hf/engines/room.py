"""How many tokens there are, and whether a budget leaves room for an answer."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from s1_hf.forcing.prompts import read_prompt
from s1_hf.forcing.report import Ended

if TYPE_CHECKING:
    from s1_hf.forcing.automaton import Automaton
    from s1_hf.forcing.budget import Budget


def check_room(
    automaton: Automaton,
    budget: Budget,
    prompt: Sequence[int],
    max_new_tokens: int,
    max_answer_tokens: int | None = None,
    *,
    what: str,
    allowed: str,
) -> None:
    """Checks that thinking, delimiters and some answer fit into `max_new_tokens`.

    Args:
        automaton ([`Automaton`]): of the budget.
        prompt (`Sequence[int]`): token ids; it may have opened thinking.
        what, allowed (`str`): for the message: what is run, and what allows only so many tokens.

    Raises:
        ValueError: they do not. The message says what does.

    Example:

    ```python
    >>> from s1_hf import Budget, embedded
    >>> from s1_hf.engines.room import check_room
    >>> from s1_hf.forcing.automaton import Automaton
    >>> from s1_hf.forcing.formats import ThinkingFormat
    >>> _, tokenizer = embedded.load()
    >>> budget = Budget(max_thinking_tokens=150)
    >>> automaton = Automaton(tokenizer, ThinkingFormat.from_tokenizer(tokenizer), budget)
    >>> prompt = tokenizer.encode("<|im_start|>assistant")
    >>> check_room(automaton, budget, prompt, 300, what="This", allowed="the limit allows")
    >>> check_room(automaton, budget, prompt, 200, what="This", allowed="the limit allows")
    Traceback (most recent call last):
      ...
    ValueError: This: `max_thinking_tokens` of 150, 9 tokens of delimiters and answer prefix, and 100 for the answer are 59 more than the 200 tokens that the limit allows. Lower `max_thinking_tokens` to 91.

    ```
    """  # noqa: E501
    cap, least = budget.max_thinking_tokens, budget.column("min_thinking_tokens", 1)[0]
    if cap is None and not least:
        return
    thinking = cap if isinstance(cap, int) else least
    delimiters, reserve = _beside_thinking(automaton, budget, prompt, max_answer_tokens)
    excess = thinking + delimiters + reserve - max_new_tokens
    if excess <= 0:
        return
    name = "min_thinking_tokens" if cap is None else "max_thinking_tokens"
    said = f'`{name}` "auto"' if cap == "auto" else f"`{name}` of {thinking:,}"
    fits = f" Lower `{name}` to {thinking - excess:,}." if thinking >= excess else ""
    raise ValueError(
        f"{what}: {said}, {delimiters} tokens of delimiters and answer prefix, and {reserve} for the answer are "
        f"{excess:,} more than the {max_new_tokens:,} tokens that {allowed}.{fits}"
    )


def room_for_thinking(
    automaton: Automaton,
    budget: Budget,
    prompt: Sequence[int],
    max_new_tokens: int,
    max_answer_tokens: int | None = None,
) -> int:
    """The largest cap that [`check_room`] lets through; below 0 if none."""
    return max_new_tokens - sum(_beside_thinking(automaton, budget, prompt, max_answer_tokens))


def _beside_thinking(
    automaton: Automaton, budget: Budget, prompt: Sequence[int], max_answer_tokens: int | None
) -> tuple[int, int]:
    """Tokens of delimiters and answer prefix, and for the answer."""
    is_open = read_prompt(automaton, prompt).ended == Ended.UNFINISHED
    delimiters = automaton.max_closing + (0 if is_open else len(automaton.format.start))
    reserve = budget.answer_reserve
    if max_answer_tokens is not None:
        reserve = min(reserve, max_answer_tokens)
    return delimiters, reserve


def wanted_context(own: int | None, max_length: int | None) -> int:
    """Tokens of prompt and output together: the model's `own`, or as many of them as are wanted.

    Raises:
        ValueError: `max_length` is more than the model's context, or neither is known.
    """
    if own is None and max_length is None:
        raise ValueError("`max_length` has to be given: the model's configuration does not say its context size.")
    if own is not None and max_length is not None and max_length > own:
        raise ValueError(f"`max_length` has to be at most the model's context of {own} tokens, but is {max_length}.")
    return int(max_length or own or 0)
