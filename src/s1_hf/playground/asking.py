"""From what a visitor has set to requests; whatever is wrong with it is said before anything is computed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from s1_hf.engines.engine import under
from s1_hf.engines.request import Request, Sampling
from s1_hf.forcing.budget import Budget
from s1_hf.forcing.values import is_count
from s1_hf.generation.chats import prompt_ids
from s1_hf.generation.context import check_fits
from s1_hf.generation.grids import curve, grid
from s1_hf.visible import shortened

if TYPE_CHECKING:
    from s1_hf.engines.engine import Engine


@dataclass(frozen=True, kw_only=True)
class Most:
    """How much a visitor may ask for at a time.

    Args:
        new_tokens (`int`): of thinking and answer together.
        characters (`int`): of a question.
        budgets (`int`): in a comparison, and on a curve.
        problems (`int`): of a curve.

    Raises:
        ValueError: one of them is less than 2.
    """

    new_tokens: int = 2048
    characters: int = 20_000
    budgets: int = 8
    problems: int = 100

    def __post_init__(self) -> None:
        for name, value in vars(self).items():
            if not is_count(value) or value < 2:
                raise ValueError(f"`{name}` has to be an integer of at least 2, but is {value!r}.")


def request_of(
    engine: Engine,
    most: Most,
    question: Any,
    budget: Budget,
    *,
    max_new_tokens: int,
    temperature: float = 0.0,
    seed: int = 0,
) -> Request:
    """One answer to a question.

    Raises:
        ValueError: there is no question, it is too long, or more is wanted than a visitor may have.
    """
    if not isinstance(question, str) or not question.strip():
        raise ValueError("The question is empty. Type one.")
    if len(question) > most.characters:
        raise ValueError(
            f"The question may have {most.characters:,} characters, but has {len(question):,}. Shorten it."
        )
    if not 1 <= max_new_tokens <= most.new_tokens:
        raise ValueError(f"`max_new_tokens` has to be from 1 to {most.new_tokens:,} here, but is {max_new_tokens:,}.")
    if not 0 <= seed < 2**63:
        raise ValueError(f"The random seed has to be from 0 to 2^63 - 1, but is {seed}.")
    prompt = prompt_ids(engine.tokenizer, engine.format, question.strip(), {})
    check_fits(len(prompt), max_new_tokens, engine.context, prompt="The question")
    return Request(
        prompt=tuple(prompt),
        budget=budget,
        max_new_tokens=max_new_tokens,
        sampling=Sampling(temperature=temperature) if temperature else None,
        seed=seed,
        task="playground",
        problem=shortened(question, 60),
    )


def check(engine: Engine, request: Request, settings: Sequence[Budget] = ()) -> None:
    """Raises a `ValueError` if the engine cannot run this, alone or under all of `settings`."""
    engine.check([under(request, setting) for setting in settings] or [request])
    if len(settings) > 1:
        engine.check_sweep(settings)


def compared(caps: str, ignores: str, shared: Budget, most: Most) -> list[Budget]:
    """Every combination of caps and ignores, which are written as in `16, 32, none`.

    Raises:
        ValueError: they are not, or there are too many, or fewer than two.
    """
    settings = grid(_numbers(caps, "caps", none=True), _numbers(ignores, "ignores"), shared)
    return _some(settings, most)


def curved(caps: str, ignores: str, shared: Budget, most: Most) -> list[Budget]:
    """The points of a curve: caps, no intervention, and ignores; see [`curve`].

    Raises:
        ValueError: as [`compared`].
    """
    counts = [count for count in _numbers(ignores, "ignores") if count]
    limits: list[Any] = [cap for cap in _numbers(caps, "caps", none=True) if cap is not None]
    return _some(curve(limits, counts, shared), most)


def _some(settings: list[Budget], most: Most) -> list[Budget]:
    if not 2 <= len(settings) <= most.budgets:
        raise ValueError(f"There have to be from 2 to {most.budgets} budgets here, but there are {len(settings)}.")
    return settings


def _numbers(text: str, name: str, none: bool = False) -> list[Any]:
    """The whole numbers in a list that somebody has typed; `none` says whether that word is one."""
    found: list[Any] = []
    for word in str(text).replace(";", ",").split(","):
        said = word.strip().lower()
        if said == "none" and none:
            found.append(None)
        elif said.isascii() and said.isdecimal() and len(said) < 10:
            found.append(int(said))
        else:
            example = "16, 32, none" if none else "0, 1, 2"
            raise ValueError(
                f"The {name} have to be whole numbers with commas between them, such as {example}, but one is "
                f"{shortened(word, 30)!r}."
            )
    return found
