"""Every example in a docstring of the package runs and gives what it says."""

import doctest
import importlib
import pkgutil

import pytest

import s1_hf

MODULES = sorted(m.name for m in pkgutil.walk_packages(s1_hf.__path__, "s1_hf."))


@pytest.mark.parametrize("name", MODULES)
def test_examples_of(name):
    if name == "s1_hf.cli":
        pytest.importorskip("typer")
    result = doctest.testmod(importlib.import_module(name))
    assert result.failed == 0


def test_the_public_classes_have_examples():
    names = {t.name for m in MODULES for t in doctest.DocTestFinder().find(importlib.import_module(m)) if t.examples}
    public = {
        "BudgetForcingLogitsProcessor",
        "ThinkingEndCriteria",
        "AnswerLengthCriteria",
        "budget_forcing",
        "generate",
    }
    assert public <= {name.rsplit(".", 1)[-1] for name in names}
