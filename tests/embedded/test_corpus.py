"""The text that the base was pre-trained on (`training/embedded/corpus.py`)."""

import importlib.util
import re
import sys
from pathlib import Path
from types import ModuleType

import pytest

from s1_hf.embedded.problems import (
    Problem,
    compare,
    is_held_out,
)

CORPUS_FILE = Path(__file__).parents[2] / "training/embedded/corpus.py"


@pytest.fixture(scope="module")
def corpus() -> ModuleType:
    spec = importlib.util.spec_from_file_location("embedded_corpus", CORPUS_FILE)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


def test_no_held_out_problem_is_in_the_pretraining_text(corpus: ModuleType) -> None:
    """All numbers and steps in a document belong to a problem that training may use."""
    forms = r"A from (\d+) by (\d+), B from (\d+) by (\d+)|second (\d+) .*?every (\d+) .*?second (\d+) .*?every (\d+) "
    seen = 0
    for document in corpus.documents(5000, seed=3):
        for match in re.finditer(forms, document):
            a, p, b, q = (int(number) for number in match.groups() if number)
            problem = Problem((a - 1) % p + 1, p, (b - 1) % q + 1, q)  # a run may begin in the middle of a search
            assert problem.a == problem.b or not is_held_out(problem), document
            seen += 1
    assert seen > 3000


def test_the_pretraining_text_is_not_in_the_thinking_format(corpus: ModuleType) -> None:
    for document in corpus.documents(2000, seed=4):
        assert "<|im_start|>think" not in document and "<|im_start|>answer" not in document


def test_every_sum_and_comparison_of_the_pretraining_text_is_right(corpus: ModuleType) -> None:
    for document in corpus.documents(2000, seed=5):
        for x, y, z in re.findall(r"(\d+) \+ (\d+) = (\d+)", document):
            assert int(x) + int(y) == int(z)
        for x, sign, y in re.findall(r"^(\d+) ([<>=]) (\d+)", document, re.MULTILINE):
            assert compare(int(x), int(y)) == f"{x} {sign} {y}"


def test_the_corpus_is_the_same_for_a_seed(corpus: ModuleType) -> None:
    first = list(corpus.documents(50, seed=1))
    assert first == list(corpus.documents(50, seed=1)) != list(corpus.documents(50, seed=2))
