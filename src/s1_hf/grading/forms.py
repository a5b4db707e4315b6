"""The normal form of an answer: read once, compared often."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

from s1_hf.grading import notation, quantities
from s1_hf.grading.quantities import Based, Clock, Cycles, Number
from s1_hf.grading.units import Unit


@dataclass(frozen=True)
class Form:
    """What an answer is, as far as it can be told from its text.

    Args:
        text (`str`): for comparison as text.
        lettered (`Number`, *optional*): `10 m`, should `m` be a unit: beside an answer that has one.
        formula (`str`): for math-verify, without a known unit.
        unreadable (`str`, *optional*): why math-verify must not be asked about it.
    """

    text: str
    words: bool
    number: Number | None
    lettered: Number | None
    number_list: bool
    scale: bool
    based: Based | None
    clock: Clock | None
    half: bool
    cycles: Cycles | None
    unit: Unit | None
    formula: str
    unreadable: str | None


@lru_cache(maxsize=4096)  # samples of one question repeat themselves
def form(answer: str) -> Form:
    """The normal form of `answer`."""
    tidied = notation.tidy(answer)
    text = notation.plain_text(tidied)
    bare, unit = quantities.last_unit(tidied)
    return Form(
        text=text,
        words=notation.is_words(tidied),
        number=quantities.number(tidied),
        lettered=quantities.lettered(tidied),
        number_list=quantities.is_number_list(tidied),
        scale=quantities.has_scale(tidied),
        based=quantities.based(text),
        clock=quantities.clock(text),
        half=quantities.names_half(text),
        cycles=quantities.cycles(tidied),
        unit=unit,
        formula=notation.formula(bare),
        unreadable=notation.unreadable(bare),
    )
