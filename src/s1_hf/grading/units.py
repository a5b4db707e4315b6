"""Units of quantities: two that are known to differ in kind, or in size, keep two answers apart."""

from __future__ import annotations

import re
from fractions import Fraction
from typing import NamedTuple

# kind -> names -> how many of the kind's first unit one of them is
_TABLE: dict[str, dict[str, str]] = {
    "length": {
        **{"m meter meters metre metres": "1", "cm centimeter centimeters centimetre centimetres": "1/100"},
        **{"mm millimeter millimeters millimetre millimetres": "1/1000", "in inch inches": "0.0254"},
        **{"km kilometer kilometers kilometre kilometres": "1000", "ft foot feet": "0.3048"},
        **{"yd yard yards": "0.9144", "mi mile miles": "1609.344"},
    },
    "mass": {
        **{"g gram grams": "1", "kg kilogram kilograms": "1000", "mg milligram milligrams": "1/1000"},
        **{"lb lbs pound pounds": "453.59237", "oz ounce ounces": "28.349523125"},
    },
    "time": {
        **{"s sec secs second seconds": "1", "min mins minute minutes": "60", "h hr hrs hour hours": "3600"},
        **{"ms millisecond milliseconds": "1/1000", "day days": "86400", "week weeks": "604800"},
    },
    "months": {"month months": "1", "yr year years": "12"},
    "angle": {"deg degree degrees": "1"},
    "radians": {"rad radian radians": "1"},
    "celsius": {"c celsius": "1"},
    "fahrenheit": {"f fahrenheit": "1"},
    "kelvin": {"k kelvin": "1"},
    "money": {"dollar dollars usd": "1", "cent cents": "1/100"},
    "euros": {"euro euros eur": "1"},
    "volume": {"l liter liters litre litres": "1", "ml milliliter milliliters": "1/1000"},
    "cups": {"cup cups": "1"},
    "gallons": {"gallon gallons gal": "1"},
    "current": {"a ampere amperes amps": "1"},
    "voltage": {"v volt volts": "1"},
    "power": {"w watt watts": "1", "kw kilowatt kilowatts": "1000"},
    "energy": {"j joule joules": "1", "kj kilojoule kilojoules": "1000"},
    "force": {"n newton newtons": "1"},
    "frequency": {"hz hertz": "1"},
}
_UNITS: dict[str, tuple[str, Fraction]] = {}
for _kind, _sizes in _TABLE.items():
    for _names, _size in _sizes.items():
        _UNITS.update(dict.fromkeys(_names.split(), (_kind, Fraction(_size))))
LETTERS = "mgshlcfkavwjn"  # single letters that are units, if written upright
_PER = re.compile(r"\s?/\s?|\sper\s")
_POWER_WORD = re.compile(r"(?P<before>(?:square|sq\.?|cubic|cu\.?)\s)?(?P<name>[a-z]+)\.?(?:\s?\^?\s?(?P<power>-?\d))?")
_POWERS = {"sq": 2, "cu": 3}


class Unit(NamedTuple):
    """A known unit: its kind, such as length times length, and its size."""

    kind: tuple[tuple[str, int], ...]
    size: Fraction


def unit(words: str, power: int = 1) -> Unit | None:
    """The unit that `words` name, to a power; `None` if it is not known: `square feet`, `km/h`, `miles per hour`."""
    kinds: dict[str, int] = {}
    size = Fraction(1)
    for index, part in enumerate(_PER.split(words.strip().lower().removeprefix("degrees ") or "?")):
        found = _POWER_WORD.fullmatch(part.strip())
        if not found or found["name"] not in _UNITS:
            return _known_speed(words)
        exponent = int(found["power"] or _POWERS.get((found["before"] or "")[:2], 1)) * power * (-1 if index else 1)
        kind, one = _UNITS[found["name"]]
        kinds[kind] = kinds.get(kind, 0) + exponent
        size *= one**exponent
    return Unit(tuple(sorted(kinds.items())), size)


def _known_speed(words: str) -> Unit | None:
    speeds = {"mph": "mi/h", "kmh": "km/h", "kph": "km/h", "mps": "m/s"}
    spelt = speeds.get(words.strip().lower())
    return unit(spelt) if spelt else None
