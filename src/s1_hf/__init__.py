"""Budget forcing for Hugging Face transformers, after "s1: Simple test-time scaling" (https://arxiv.org/abs/2501.19393).

The public names below are imported from their modules on first use, so that `import s1_hf` stays light: it loads
neither torch nor transformers.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

# Public name -> the module that defines it. No module may bear a public name: importing it would shadow the name.
_MODULE_OF = {
    "AnswerLengthCriteria": "criteria",
    "Budget": "budget",
    "BudgetForcingLogitsProcessor": "processor",
    "Completion": "generation",
    "LoopGuard": "budget",
    "Report": "report",
    "ThinkingEndCriteria": "criteria",
    "ThinkingFormat": "formats",
    "budget_forcing": "generation",
    "export_custom_generate": "export",
    "generate": "generation",
    "load_s1k": "s1k",
    "sweep": "sweeps",
    "to_conversation": "conversation",
}

if TYPE_CHECKING:  # the same names again, for type checkers and editors; tests/test_import.py keeps the two in step
    from s1_hf.budget import Budget as Budget
    from s1_hf.budget import LoopGuard as LoopGuard
    from s1_hf.conversation import to_conversation as to_conversation
    from s1_hf.criteria import AnswerLengthCriteria as AnswerLengthCriteria
    from s1_hf.criteria import ThinkingEndCriteria as ThinkingEndCriteria
    from s1_hf.export import export_custom_generate as export_custom_generate
    from s1_hf.formats import ThinkingFormat as ThinkingFormat
    from s1_hf.generation import Completion as Completion
    from s1_hf.generation import budget_forcing as budget_forcing
    from s1_hf.generation import generate as generate
    from s1_hf.processor import BudgetForcingLogitsProcessor as BudgetForcingLogitsProcessor
    from s1_hf.report import Report as Report
    from s1_hf.s1k import load_s1k as load_s1k
    from s1_hf.sweeps import sweep as sweep

__all__ = ["__version__", *_MODULE_OF]


if not TYPE_CHECKING:  # a type checker that saw it would let every misspelt name pass

    def __getattr__(name: str) -> Any:
        if name not in _MODULE_OF:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        value = getattr(import_module(f"{__name__}.{_MODULE_OF[name]}"), name)
        globals()[name] = value  # found directly from now on
        return value


def __dir__() -> list[str]:
    return sorted(__all__)
