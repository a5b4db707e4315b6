"""Budget forcing for Hugging Face transformers, after "s1: Simple test-time scaling" (https://arxiv.org/abs/2501.19393).

The public names below are imported from their modules on first use, so that `import s1_hf` stays light: it loads
neither torch nor transformers.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

# Public name -> the module that defines it. No module may bear a public name: importing it would shadow the name.
_MODULE_OF = {
    "AnswerLengthCriteria": "generation.criteria",
    "Budget": "forcing.budget",
    "BudgetForcingLogitsProcessor": "generation.processor",
    "BudgetWarning": "forcing.budget",
    "Completion": "generation.chats",
    "Effort": "forcing.effort",
    "LoopGuard": "forcing.loops",
    "Report": "forcing.report",
    "ThinkingEndCriteria": "generation.criteria",
    "ThinkingFormat": "forcing.formats",
    "ThinkingStreamer": "generation.streaming",
    "budget_forcing": "generation.generate",
    "export_custom_generate": "generation.export",
    "generate": "generation.generate",
    "load_s1k": "data.s1k",
    "stream": "generation.threaded",
    "sweep": "generation.sweep",
    "to_conversation": "data.conversation",
}

if TYPE_CHECKING:  # the same names again, for type checkers and editors; tests/test_import.py keeps the two in step
    from s1_hf.data.conversation import to_conversation as to_conversation
    from s1_hf.data.s1k import load_s1k as load_s1k
    from s1_hf.forcing.budget import Budget as Budget
    from s1_hf.forcing.budget import BudgetWarning as BudgetWarning
    from s1_hf.forcing.effort import Effort as Effort
    from s1_hf.forcing.formats import ThinkingFormat as ThinkingFormat
    from s1_hf.forcing.loops import LoopGuard as LoopGuard
    from s1_hf.forcing.report import Report as Report
    from s1_hf.generation.chats import Completion as Completion
    from s1_hf.generation.criteria import AnswerLengthCriteria as AnswerLengthCriteria
    from s1_hf.generation.criteria import ThinkingEndCriteria as ThinkingEndCriteria
    from s1_hf.generation.export import export_custom_generate as export_custom_generate
    from s1_hf.generation.generate import budget_forcing as budget_forcing
    from s1_hf.generation.generate import generate as generate
    from s1_hf.generation.processor import BudgetForcingLogitsProcessor as BudgetForcingLogitsProcessor
    from s1_hf.generation.streaming import ThinkingStreamer as ThinkingStreamer
    from s1_hf.generation.sweep import sweep as sweep
    from s1_hf.generation.threaded import stream as stream

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
