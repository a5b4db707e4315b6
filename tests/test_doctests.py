"""Every example in a docstring of the package runs and gives what it says."""

import doctest
import importlib
from pathlib import Path

import pytest

import s1_hf

ROOT = Path(s1_hf.__file__).parent
MODULES = sorted(".".join(("s1_hf", *path.relative_to(ROOT).with_suffix("").parts)) for path in ROOT.rglob("*.py"))
LIGHTEVALS = ["__main__", "inspecting", "mended", "scoring", "table"]  # modules of s1_hf.tasks that are its adapters
VLLMS = ["completing", "extension", "loading", "processor", "streaming"]  # modules of s1_hf.vllm that need vLLM
NEEDS = {
    "s1_hf.cli": ["typer"],
    "s1_hf.curate": ["datasets"],
    "s1_hf.evaluation.lighteval": ["lighteval"],
    "s1_hf.evaluation.bench": ["math_verify"],
    "s1_hf.grading": ["math_verify"],
    "s1_hf.methods.adaptive": ["math_verify"],
    "s1_hf.methods.exits": ["math_verify"],
    "s1_hf.methods.parallel": ["math_verify"],
    "s1_hf.methods.spending": ["math_verify"],
    "s1_hf.playground": ["gradio"],
    "s1_hf.plots": ["matplotlib"],
    "s1_hf.data.s1k": ["datasets"],
    "s1_hf.sft": ["trl"],
    "s1_hf.rl.fields": ["trl"],
    "s1_hf.rl.job": ["trl"],
    "s1_hf.rl.prepare": ["trl"],
    "s1_hf.tasks.inspect_tasks": ["inspect_ai"],
    "s1_hf.tasks.own": ["datasets"],
    **{f"s1_hf.tasks.{name}": ["lighteval"] for name in LIGHTEVALS},
    "s1_hf.traces": ["datasets", "math_verify"],
    **{f"s1_hf.vllm.{name}": ["vllm.sampling_params"] for name in VLLMS},
}


@pytest.mark.parametrize("name", [name.removesuffix(".__init__") for name in MODULES])
def test_examples_of(name):
    for module, libraries in NEEDS.items():
        if name.startswith(module):
            for library in libraries:
                pytest.importorskip(library)
    result = doctest.testmod(importlib.import_module(name))
    assert result.failed == 0


def test_the_public_classes_have_examples():
    modules = ("processor", "criteria", "generate")
    finder = doctest.DocTestFinder()
    tests = [t for m in modules for t in finder.find(importlib.import_module(f"s1_hf.generation.{m}")) if t.examples]
    public = {
        "BudgetForcingLogitsProcessor",
        "ThinkingEndCriteria",
        "AnswerLengthCriteria",
        "budget_forcing",
        "generate",
    }
    assert public <= {test.name.rsplit(".", 1)[-1] for test in tests}
