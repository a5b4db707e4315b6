"""math-verify in processes of its own, which end themselves when a comparison takes too long.

math-verify limits its time by `signal.alarm`, which works only in the main thread and cannot interrupt one long
instruction (`9^{9^{9}}`). Here a watchdog thread in C ends the whole process; the next comparison gets a new one.
"""

from __future__ import annotations

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
from typing import Any, Literal, NamedTuple

from s1_hf._lazy import require
from s1_hf.isolation import without_working_folder

TIME_LIMIT_S = 5.0  # for one question: what does a formula say, or are two equal?
MEMORY_LIMIT_BYTES = 4 << 30  # of address space, where the system keeps to it (Linux)
FAR_APART = 1e-5  # relative; features further apart are of different formulas

Verdict = Literal["equal", "different", "unparsed", "ended"]

# Found as the caller finds it, and not by `multiprocessing`: that would run the caller's script again.
# `-I` keeps the working folder out of the first imports, and the path that follows has been freed of it.
_START = "import json, sys; sys.path[:] = json.loads(sys.argv[1]); from s1_hf.grading.worker import serve; serve()"
_idle: list[subprocess.Popen[str]] = []  # grows to the number of callers at one time


class Reading(NamedTuple):
    """What math-verify reads in a formula: `features` of it (see `symbolic.read`), `None` if it cannot be read;
    `ended` if its process was ended before it knew."""

    features: dict[str, Any] | None
    ended: bool = False

    @property
    def value(self) -> list[float] | None:
        """The formula's value at a point, if it is known."""
        return self.features["value"] if self.features else None


@lru_cache(maxsize=4096)  # samples of one question repeat themselves; what took too long is not tried again
def read(formula: str) -> Reading:
    """What math-verify reads in a formula in LaTeX; safe to call from any thread.

    Raises:
        ModuleNotFoundError: math-verify is not installed.
        RuntimeError: it does not start; the message holds its own error.
    """
    reply = _ask("read", formula)
    return Reading(None, ended=True) if reply is None else Reading(reply[0])


def verify(first: str, second: str) -> Verdict:
    """Whether math-verify takes two formulas for equal, in either order; safe to call from any thread.

    `"unparsed"`: one of them cannot be read. `"ended"`: the process was ended before it had an answer, by its time
    limit of 5 seconds or for its memory. Raises what [`read`] raises.
    """
    readings = read(first), read(second)
    if any(reading.ended for reading in readings):
        return "ended"
    if any(reading.features is None for reading in readings):
        return "unparsed"
    if not could_be_equal(*readings):
        return "different"
    return _verdict(*sorted((first, second)))


def could_be_equal(first: Reading, second: Reading) -> bool:
    """Whether the features of two formulas leave it possible that they are equal."""
    one, other = first.features, second.features
    if one is None or other is None:
        return False
    name = "ratio" if one["equation"] and other["equation"] else "value"
    return one[name] is None or other[name] is None or _close(one[name], other[name])


def _close(first: list[float], second: list[float]) -> bool:
    """Whether two complex numbers, each with the size of what was added up to it, may be the same."""
    size = max(map(abs, (*first, *second)))
    return all(abs(one - other) <= FAR_APART * max(1.0, size) for one, other in zip(first[:2], second[:2], strict=True))


@lru_cache(maxsize=4096)
def _verdict(first: str, second: str) -> Verdict:
    reply = _ask("compare", first, second)
    if reply is None:
        return "ended"
    return "equal" if reply[0] else "different"


def _ask(question: str, *formulas: str) -> list[Any] | None:
    """The worker's reply, in a list; `None` if its process was ended."""
    process = _take()
    reply: list[Any] | None = None
    try:
        reply = _reply(process, [TIME_LIMIT_S, question, *formulas])
    finally:
        if reply is None:
            _end(process)
        else:
            _idle.append(process)
    return reply


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


def _reply(process: subprocess.Popen[str], request: list[Any]) -> list[Any] | None:
    assert process.stdin and process.stdout  # as it was started
    try:
        process.stdin.write(json.dumps(request) + "\n")
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
    """Answer one JSON line [time limit in seconds, question, formulas...] after the other, until there are no more."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # ended by its caller, not by Ctrl-C
    replies = os.fdopen(os.dup(sys.stdout.fileno()), "w", encoding="ascii")
    silence = os.open(os.devnull, os.O_WRONLY)
    os.dup2(silence, sys.stdout.fileno())  # math-verify prints
    _limit_memory()
    from s1_hf.grading import symbolic  # which imports math-verify

    symbolic.prepare()
    questions: dict[str, Callable[..., Any]] = {"read": symbolic.read, "compare": symbolic.compare}
    os.dup2(silence, sys.stderr.fileno())
    replies.write("ready\n")
    replies.flush()
    for line in sys.stdin:
        limit, question, *formulas = json.loads(line)
        faulthandler.dump_traceback_later(limit, exit=True)
        answer = questions[question](*formulas)
        faulthandler.cancel_dump_traceback_later()
        replies.write(json.dumps([answer]) + "\n")
        replies.flush()


def _limit_memory() -> None:
    with contextlib.suppress(ImportError, OSError, ValueError):  # not on Windows; macOS may refuse
        import resource

        resource.setrlimit(resource.RLIMIT_AS, (MEMORY_LIMIT_BYTES, MEMORY_LIMIT_BYTES))
