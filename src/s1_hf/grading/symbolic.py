"""What math-verify says of two formulas, in a process of its own (see `worker`), with its mistakes repaired.

Equality is math-verify's. What is wrong there, as of math-verify 0.5.2 and latex2sympy2_extended 1.0.6, is repaired
here and nowhere else (what it must not be asked at all: `notation.unreadable`); each repair names the
function upstream, so that it can go when that is right
(https://github.com/huggingface/Math-Verify, https://github.com/huggingface/latex2sympy2_extended):

| upstream | what is wrong | here |
|---|---|---|
| `_Latex2Sympy.convert_postfix_list` | `2(3)` and `(12)(34)` are added, as if mixed numbers | `_multiplied` |
| `_Latex2Sympy.convert_interval` | `(15,-29]` is the empty set, so that all such are equal | `_value` |
| `grader.sympy_expr_eq` | `n = \\{1,2\\}` equals `n = \\{2,3\\}` | `_value` |
| `grader.sympy_expr_eq` | only a gold inequality is a set; none is a union; `zip` drops parts of chains | `_as_set` |
| `grader.sympy_expr_eq` | not symmetric: equations, tuples and intervals count differently as gold | `compare` |
| `grader.sympy_numeric_eq` | its six decimals make all small numbers equal, and `0.666666` not 2/3 | `_close` |
| `grader.sympy_compare_relational` | an equation and a multiple of it are different | `_same_line` |
| `sympy.parsing.sympy_parser.eval_expr` | it evaluates code | `_numbers_and_symbols_only` |
"""

from __future__ import annotations

import ast
import re
from collections.abc import Callable
from functools import lru_cache
from typing import Any, NamedTuple

import math_verify.grader
import sympy
import sympy.physics.units  # which `simplify` imports, and which evaluates names of its own
from latex2sympy2_extended.latex2sympy2 import _Latex2Sympy
from sympy.core.function import AppliedUndef
from sympy.core.relational import Relational
from sympy.logic.boolalg import And
from sympy.parsing import sympy_parser

OWN_LIMIT_S = 86_400  # math-verify's, never reached, so that there is one limit
PRECISION = sympy.Rational(1_000_001, 10**12)  # the last 1 lets in 0.333333, which is off by just 1e-6 of 1/3
Features = tuple[float, float, float]  # real and imaginary part, and the size of what was added up

_LATEX = [math_verify.LatexExtractionConfig(boxed_match_priority=0)]
_JOINT = re.compile(r" \\(land|lor) ")


class Meaning(NamedTuple):
    """A formula's value; of a set that was written as an inequality also its variable."""

    value: Any
    variable: Any = None


def prepare() -> None:
    """Repair what has to be repaired in upstream's classes."""
    sympy_parser.eval_expr = _numbers_and_symbols_only(sympy_parser.eval_expr)
    _Latex2Sympy.convert_postfix_list = _multiplied(_Latex2Sympy.convert_postfix_list)


def read(text: str) -> dict[str, Any] | None:
    """Features of a formula, such that equal formulas have close ones; `None` if it cannot be read.

    `"equation"`: whether it is one. `"value"`: [`Features`] of its value. `"ratio"`: of an equation, its two sides'
    difference at one point divided by that at another. Each may be `None`: unknown.
    """
    meaning = _meaning(text)
    if meaning is None:
        return None
    value = math_verify.grader.unwrap_fcs(meaning.value)  # f(x) as a variable
    equation = isinstance(value, sympy.Eq)
    return {
        "equation": equation,
        "value": _quietly(_features, value.rhs if equation else value, 0),
        "ratio": _quietly(_ratio, value) if equation else None,
    }


def compare(first: str, second: str) -> bool:
    """Whether two formulas, both of which can be read, are equal; in either order."""
    one, other = sorted((_meaning(first), _meaning(second)), key=_rank)
    assert one and other
    if one.variable is not None and other.variable is not None and one.variable != other.variable:
        return False
    gold, answer = one.value, other.value
    if isinstance(gold, sympy.Eq) != isinstance(answer, sympy.Eq):
        equation = gold if isinstance(gold, sympy.Eq) else answer
        if not math_verify.grader.is_assignment_relation(equation):
            return False  # x = 5 is 5; x + 2y - 3 = 0 is not 0
        gold, answer = (part.rhs if isinstance(part, sympy.Eq) else part for part in (gold, answer))
    elif isinstance(gold, sympy.Eq) and _same_line(gold, answer):
        return True
    numbers = all(isinstance(part, sympy.Expr) and part.is_number for part in (gold, answer))
    if numbers and (gold.has(sympy.Float) or answer.has(sympy.Float)):
        return _close(gold, answer)
    return bool(math_verify.verify(gold, answer, timeout_seconds=OWN_LIMIT_S))


def _rank(meaning: Meaning | None) -> tuple[int, str]:
    """The order in which math-verify is given two values: what is ordered counts as gold."""
    value = meaning.value if meaning else None
    kinds = [sympy.Rel, (sympy.Tuple, sympy.Interval), sympy.Set]
    rank = next((i for i, kind in enumerate(kinds) if isinstance(value, kind)), len(kinds))
    return rank, str(value)


@lru_cache(maxsize=4096)
def _meaning(text: str) -> Meaning | None:
    pieces = _JOINT.split(text)
    meanings = [_value(piece) for piece in pieces[::2]]
    if len(meanings) == 1 or None in meanings:
        return meanings[0] if len(meanings) == 1 else None
    sets = [meaning.value for meaning in meanings if meaning and isinstance(meaning.value, sympy.Set)]
    variables = {meaning.variable for meaning in meanings if meaning}
    if len(sets) < len(meanings) or len(variables) > 1:
        return None
    if "lor" in pieces:
        return Meaning(sympy.Union(*sets), variables.pop())
    return Meaning(sympy.Intersection(*sets), variables.pop())


def _value(text: str) -> Meaning | None:
    # In a box, so that the whole text is the formula; with no fallback to its numbers or to pieces of text.
    parsed = math_verify.parse(
        f"\\boxed{{{text}}}",
        extraction_config=_LATEX,
        fallback_mode="no_fallback",
        extraction_mode="first_match",
        parsing_timeout=OWN_LIMIT_S,
    )
    value = parsed[0] if parsed else None
    variable = None
    if isinstance(value, sympy.Eq) and isinstance(value.rhs, (sympy.Set, sympy.Tuple)):
        variable = value.lhs if value.lhs.is_Symbol and value.lhs.name.islower() else None  # D = (0, 1) is any set
        value = value.rhs
    if isinstance(value, sympy.Basic) and value.has(sympy.zoo, sympy.nan):
        return None  # 12:00 is read as 12/0
    if value is sympy.S.EmptySet and re.search(r"\d", text):
        return None
    if value is None:
        return None
    meaning = _quietly(_as_set, value) or Meaning(value)
    return meaning if variable is None else Meaning(meaning.value, variable)


def _as_set(value: Any) -> Meaning | None:
    """Inequalities of one variable, and unions, as the set that they are."""
    if isinstance(value, (sympy.Union, sympy.Intersection, sympy.Complement)):
        return Meaning(value.doit())
    if isinstance(value, sympy.FiniteSet):
        if all(isinstance(part, sympy.Interval) for part in value.args) and not all(
            part.start.is_finite and part.end.is_finite for part in value.args
        ):
            return Meaning(sympy.Union(*value.args))
        meanings = [_as_set(part) if _is_inequality(part) else None for part in value.args]
        variables = {meaning.variable for meaning in meanings if meaning}
        if None in meanings or len(variables) != 1:
            return None
        sets = [meaning.value for meaning in meanings if meaning]
        both = sympy.Intersection(*sets)  # "x < 1, x > 2", in which nothing is both, means either
        return Meaning(sympy.Union(*sets) if both is sympy.S.EmptySet else both, variables.pop())
    if _is_inequality(value):
        value = math_verify.grader.unwrap_fcs(value)  # f(x) as a variable
        return Meaning(value.as_set(), next(iter(value.free_symbols))) if len(value.free_symbols) == 1 else None
    return None


def _is_inequality(value: Any) -> bool:
    if isinstance(value, And):
        return all(_is_inequality(part) for part in value.args)
    return isinstance(value, Relational) and not isinstance(value, sympy.Eq)


def _same_line(first: Any, second: Any) -> bool:
    """Whether one equation is a multiple of the other."""
    with_sides = all(isinstance(side, sympy.Expr) for side in (*first.args, *second.args))
    if not with_sides or first.free_symbols != second.free_symbols or not first.free_symbols:
        return False
    ratio = sympy.simplify((first.lhs - first.rhs) / (second.lhs - second.rhs))
    return bool(ratio.is_number and ratio.is_finite and ratio.is_nonzero)


def _close(first: Any, second: Any) -> bool:
    """A decimal is what differs from it by at most one in the sixth decimal, and in the sixth digit."""
    first, second = (sympy.nsimplify(value.doit(), rational=True) for value in (first, second))
    apart, size = sympy.N(abs(first - second), 30), sympy.N(sympy.Max(abs(first), abs(second)), 30)
    return bool(apart.is_comparable and size.is_comparable and apart <= PRECISION * min(1, size))


# -- features ---------------------------------------------------------------------------------------------------


def _features(value: Any, point: int) -> Features | None:
    if isinstance(value, sympy.Interval):
        return _sum([value.start, value.end], point)
    if isinstance(value, (sympy.FiniteSet, sympy.Tuple, sympy.MatrixBase)):
        return _sum([part.rhs if isinstance(part, sympy.Eq) else part for part in _parts(value)], point)
    if isinstance(value, sympy.Set):
        boundary = value.boundary
        return _features(boundary, point) if isinstance(boundary, sympy.FiniteSet) or not boundary.args else None
    if value in (sympy.oo, -sympy.oo):
        return (0.0, 0.0, 0.0)
    if not isinstance(value, sympy.Expr) or value.has(AppliedUndef, sympy.MatrixExpr):
        return None
    number = complex(value.xreplace({symbol: _at(symbol.name, point) for symbol in value.free_symbols}).evalf(15))
    return number.real, number.imag, abs(number)


def _parts(value: Any) -> list[Any]:
    return value.flat() if isinstance(value, sympy.MatrixBase) else list(value.args)


def _sum(parts: list[Any], point: int) -> Features | None:
    found = [_features(part, point) for part in parts]
    known = [features for features in found if features]
    if len(known) < len(found):
        return None
    return sum(f[0] for f in known), sum(f[1] for f in known), sum(f[2] for f in known)


def _ratio(equation: Any) -> tuple[float, float] | None:
    there, here = (_features(equation.lhs - equation.rhs, point) for point in (1, 0))
    if not there or not here or here[2] < 1e-6:
        return None
    ratio = complex(*there[:2]) / complex(*here[:2])
    return ratio.real, ratio.imag


def _at(name: str, point: int) -> Any:
    """A symbol's value at a point: that of its letters' product, as math-verify takes `abc` for `a b c`."""
    value = sympy.Integer(1)
    for letter in name.lower():
        step = (ord(letter) * (37 + 16 * point)) % 101
        value *= sympy.E if letter == "e" else sympy.Rational(105 + step, 150)
    return value


def _quietly(function: Callable[..., Any], *args: Any) -> Any:
    """What `function` returns, or `None` where sympy cannot."""
    try:
        return function(*args)
    except Exception:  # of any kind, from deep inside sympy
        return None


# -- repairs of upstream's classes ------------------------------------------------------------------------------


def _numbers_and_symbols_only(evaluate: Callable[..., Any]) -> Callable[..., Any]:
    """sympy's one way from text to `eval`, for the little that is needed of it."""

    def eval_expr(code: str, *scopes: Any) -> Any:
        nodes = list(ast.walk(ast.parse(code.strip(), mode="eval")))
        names = {node.id for node in nodes if isinstance(node, ast.Name)}
        if not names <= {"Integer", "Float", "Symbol"} or any(isinstance(node, ast.Attribute) for node in nodes):
            raise ValueError(f"`{code}` is more than numbers and symbols.")
        return evaluate(code, *scopes)

    return eval_expr


def _multiplied(convert: Callable[..., Any]) -> Callable[..., Any]:
    """What stands beside each other is multiplied, except a whole number and a proper fraction: `3\\frac{1}{2}`."""

    def convert_postfix_list(self: Any, factors: list[Any], start: int = 0) -> Any:
        head = factors[start].getText() if start < len(factors) else ""
        if start + 1 >= len(factors) or not re.fullmatch(r"[({]*\d+[)}]*", head):
            return convert(self, factors, start)
        first = convert(self, factors[start : start + 1])
        rest = self.convert_postfix_list(factors, start + 1)
        if head.isdigit() and factors[start + 1].getText().startswith("\\frac") and rest.is_Rational and 0 < rest < 1:
            return first + rest
        flat = self.mat_mul_flat if getattr(rest, "is_Matrix", False) else self.mul_flat
        return flat(first, rest)

    return convert_postfix_list
