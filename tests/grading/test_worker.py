"""math-verify in its own process: it ends, executes nothing, and the next comparison works."""

from __future__ import annotations

import sys
import threading

import pytest

pytest.importorskip("math_verify")

from ending import ENDS_S, ending

from s1_hf.grading import grade, is_equal, worker


@pytest.fixture
def one_second(monkeypatch):
    monkeypatch.setattr(worker, "TIME_LIMIT_S", 1.0)
    worker.read.cache_clear()
    worker._verdict.cache_clear()


@pytest.mark.parametrize(
    "formula",
    [
        "9^{9^{9^{9}}}",
        "99999999!",
        "(" * 300 + "1" + ")" * 300,
        r"\sum_{k=1}^{10^{12}} \frac{1}{k^2+k\sqrt{k}}",
        r"\operatorname{zeros}(100000,100000)",
        "(a+b+c+d+e+f+g)^{400}",
        r"1 \times 10^{99999999999999}",
        "\x00\ud800",
    ],
)
def test_a_catastrophic_formula_ends_and_is_wrong(formula, one_second):
    assert not ending(grade, f"\\boxed{{{formula}}}", "x^2+7y").correct


def test_a_comparison_that_takes_too_long_is_reported_and_the_next_one_works(one_second):
    assert ending(grade, r"\boxed{9^{9^{9^{9}}}}", "x+1").reason == "math-verify took too long or too much memory"
    assert ending(grade, r"\boxed{1+x}", "x+1").settled_by == "math_verify"


def test_a_worker_that_died_is_replaced():
    assert is_equal("x+1", "1+x")
    for process in worker._idle:
        process.kill()
        process.wait()
    assert is_equal("x+2", "2+x")


@pytest.mark.parametrize(
    "form", ["{}", "f({})", r"\text{{{}}}, 1", r"\operatorname{{gcd}}({}, 2)", r"\{{\text{{{}}}, 1\}}"]
)
@pytest.mark.parametrize("code", ["__import__('pathlib').Path('{}').touch()", "open('{}','w')"])
def test_an_answer_is_never_executed(form, code, tmp_path):
    trace = tmp_path / "executed"
    assert not grade(f"\\boxed{{{form.format(code.format(trace))}}}", "x").correct
    assert not trace.exists()


def test_many_threads_get_their_own_verdicts():
    verdicts: dict[int, bool] = {}
    threads = [
        threading.Thread(target=lambda n=n: verdicts.update({n: is_equal(f"x+{n}", f"{n}+x" if n % 2 else "x")}))
        for n in range(1, 5)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(ENDS_S)
    assert verdicts == {n: n % 2 == 1 for n in range(1, 5)}


def test_without_math_verify_the_extra_is_named_and_numbers_are_still_compared(monkeypatch):
    worker._end_all()
    monkeypatch.setattr(worker, "find_spec", lambda name: None)
    monkeypatch.setitem(sys.modules, "math_verify", None)
    assert is_equal("25", "025")
    with pytest.raises(ModuleNotFoundError, match=r"s1-hf\[grade\]"):
        is_equal("u+1", "1+u")


def test_a_math_verify_that_does_not_start_is_an_error_and_not_a_wrong_answer(tmp_path, monkeypatch):
    (tmp_path / "math_verify.py").write_text("raise ImportError('needs another antlr')\n")
    monkeypatch.syspath_prepend(tmp_path)
    worker._end_all()
    with pytest.raises(RuntimeError, match="did not start: (?s:.*)needs another antlr"):
        is_equal("v+1", "1+v")
