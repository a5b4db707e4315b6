"""Tests stand where the modules that they test do, and share helpers, never each other."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

TESTS = Path(__file__).parent
SOURCE = TESTS.parent / "src" / "s1_hf"


@pytest.mark.parametrize("room", ["forcing", "generation"])
def test_every_module_of_the_core_has_its_tests(room):
    missing = []
    for module in sorted((SOURCE / room).glob("[a-z]*.py")):
        place = f"{room}/test_{module.stem}.py"
        if not (TESTS / place).is_file():
            missing.append(place)
    assert missing == []


def test_no_test_imports_another_test():
    found = []
    for path in sorted(TESTS.rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[-1].startswith("test_"):
                found.append(f"{path.name}: {node.module}")
    assert found == []
