"""math-verify in processes of its own, which end themselves when a comparison takes too long.

math-verify limits its time by `signal.alarm`, which works only in the main thread and cannot interrupt one long
instruction (`9^{9^{9}}`). Here a watchdog thread in C ends the whole process; the next comparison gets a new one.
"""

from __future__ import annotations

import ast
import atexit
import contextlib
import faulthandler
import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from functools import lru_cache
from importlib.util import find_spec
from typing import Any, Literal

from s1_hf._lazy import require
from s1_hf.isolation import without_working_folder

TIME_LIMIT_S = 5.0  # for one comparison
MEMORY_LIMIT_BYTES = 4 << 30  # of address space, where the system keeps to it (Linux)
PRECISION = 1e-6  # relative; math-verify's is absolute, so that all very small numbers would be equal
MATH_VERIFYS_OWN_LIMIT_S = 86_400  # never reached, so that there is one limit

Verdict = Literal["equal", "different", "unparsed", "ended"]

# Found as the caller finds it, and not by `multiprocessing`: that would run the caller's script again.
# `-I` keeps the working folder out of the first imports, and the path that follows has been freed of it.
_START = "import json, sys; sys.path[:] = json.loads(sys.argv[1]); from s1_hf.grading.worker import serve; serve()"
_idle: list[subprocess.Popen[str]] = []  # grows to the number of callers at one time


@lru_cache(maxsize=4096)  # samples of one question repeat themselves
def verify(gold: str, answer: str) -> Verdict:
    """Whether math-verify takes two LaTeX expressions for equal; safe to call from any thread.

    `"unparsed"`: one of them cannot be read. `"ended"`: the process was ended before it had an answer, by its time
    limit of 5 seconds or for its memory.

    Raises:
        ModuleNotFoundError: math-verify is not installed.
        RuntimeError: it does not start; the message holds its own error.
    """
    process = _take()
    verdict: Verdict | None = None
    try:
        verdict = _ask(process, gold, answer)
    finally:
        if verdict is None:
            _end(process)
        else:
            _idle.append(process)
    return verdict or "ended"


def _take() -> subprocess.Popen[str]:
    while _idle:
        process = _idle.pop()
        if process.poll() is None:
            return process
        _end(process)
    if find_spec("math_verify") is None:
        require("math_verify", "grade")  # says what to install
    process = subprocess.Popen(
        [sys.executable, "-I", "-c", _START, json.dumps(without_working_folder(sys.path))],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        encoding="ascii",
        errors="replace",
    )
    assert process.stdout and process.stderr
    if not process.stdout.readline():
        _, said = process.communicate()
        raise RuntimeError(f"The process for math-verify did not start: {said.strip() or 'it was ended'}")
    process.stderr.close()  # from here on it is silent
    return process


def _ask(process: subprocess.Popen[str], gold: str, answer: str) -> Verdict | None:
    assert process.stdin and process.stdout  # as it was started
    try:
        process.stdin.write(json.dumps([gold, answer, TIME_LIMIT_S]) + "\n")
        process.stdin.flush()
    except OSError:  # a broken pipe, which Windows calls an invalid argument
        return None
    reply = process.stdout.readline()
    return json.loads(reply) if reply.endswith("\n") else None


def _end(process: subprocess.Popen[str]) -> None:
    process.kill()
    with contextlib.suppress(OSError):  # of what it had not read
        process.communicate()


@atexit.register
def _end_all() -> None:
    while _idle:
        _end(_idle.pop())


if hasattr(os, "register_at_fork"):  # a forked child must not talk on its parent's pipes
    os.register_at_fork(after_in_child=_idle.clear)


# -- in the worker ------------------------------------------------------------------------------------------------


def serve() -> None:
    """Answer one JSON line [gold, answer, time limit in seconds] after the other, until there are no more."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # ended by its caller, not by Ctrl-C
    replies = os.fdopen(os.dup(sys.stdout.fileno()), "w", encoding="ascii")
    silence = os.open(os.devnull, os.O_WRONLY)
    os.dup2(silence, sys.stdout.fileno())  # math-verify prints
    _limit_memory()
    compare = _comparison()
    os.dup2(silence, sys.stderr.fileno())
    replies.write("ready\n")
    replies.flush()
    for line in sys.stdin:
        gold, answer, limit = json.loads(line)
        faulthandler.dump_traceback_later(limit, exit=True)
        verdict = compare(gold, answer)
        faulthandler.cancel_dump_traceback_later()
        replies.write(json.dumps(verdict) + "\n")
        replies.flush()


def _limit_memory() -> None:
    with contextlib.suppress(ImportError, OSError, ValueError):  # not on Windows; macOS may refuse
        import resource

        resource.setrlimit(resource.RLIMIT_AS, (MEMORY_LIMIT_BYTES, MEMORY_LIMIT_BYTES))


def _numbers_and_symbols_only(evaluate: Callable[..., Any]) -> Callable[..., Any]:
    """sympy's one way from text to `eval`, for the little that is needed of it."""

    def eval_expr(code: str, *scopes: Any) -> Any:
        nodes = list(ast.walk(ast.parse(code.strip(), mode="eval")))
        names = {node.id for node in nodes if isinstance(node, ast.Name)}
        if not names <= {"Integer", "Float", "Symbol"} or any(isinstance(node, ast.Attribute) for node in nodes):
            raise ValueError(f"`{code}` is more than numbers and symbols.")
        return evaluate(code, *scopes)

    return eval_expr


def _comparison() -> Callable[[str, str], Verdict]:
    import math_verify
    import sympy
    import sympy.physics.units  # which `simplify` imports, and which evaluates names of its own
    from sympy.parsing import sympy_parser

    sympy_parser.eval_expr = _numbers_and_symbols_only(sympy_parser.eval_expr)
    latex = [math_verify.LatexExtractionConfig(boxed_match_priority=0)]

    @lru_cache(maxsize=256)
    def parse(text: str) -> Any:
        # In a box, so that the whole text is the formula; with no fallback to its numbers or to pieces of text.
        parsed = math_verify.parse(
            f"\\boxed{{{text}}}",
            extraction_config=latex,
            fallback_mode="no_fallback",
            extraction_mode="first_match",
            parsing_timeout=MATH_VERIFYS_OWN_LIMIT_S,
        )
        return _value(parsed[0]) if parsed else None

    def _value(expression: Any) -> Any:
        if isinstance(expression, sympy.Eq) and isinstance(expression.rhs, (sympy.Set, sympy.Tuple)):
            expression = expression.rhs  # n = {1, 2}: math-verify 0.5 takes all such equations for equal
        meaningless = isinstance(expression, sympy.Basic) and expression.has(sympy.zoo, sympy.nan)
        return None if meaningless else expression  # 12:00 is read as 12/0

    def _far_apart(first: Any, second: Any) -> bool:
        if not all(isinstance(value, sympy.Expr) and value.is_number for value in (first, second)):
            return False
        apart, size = abs(sympy.N(first - second)), abs(sympy.N(first))
        return bool(apart.is_comparable and size.is_comparable and apart > PRECISION * size)

    def compare(gold: str, answer: str) -> Verdict:
        first, second = parse(gold), parse(answer)
        if first is None or second is None:
            return "unparsed"
        if isinstance(first, sympy.Set):  # math-verify knows an inequality for the gold of a set, not the reverse
            second, first = first, second
        equal = math_verify.verify(first, second, timeout_seconds=MATH_VERIFYS_OWN_LIMIT_S)
        return "equal" if equal and not _far_apart(first, second) else "different"

    return compare
