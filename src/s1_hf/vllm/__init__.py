"""Budget forcing in vLLM (https://docs.vllm.ai): a logits processor, its reports, and `generate`.

vLLM is not installed with s1-hf. What needs it is imported on first use, so that the modules that do not can be used,
and tested, without it.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

# Public name -> the module that defines it.
_MODULE_OF = {
    "BudgetForcing": "processor",
    "ReportsExtension": "extension",
    "engine_options": "options",
    "generate": "completing",
}

if TYPE_CHECKING:
    from s1_hf.vllm.completing import generate as generate
    from s1_hf.vllm.extension import ReportsExtension as ReportsExtension
    from s1_hf.vllm.options import engine_options as engine_options
    from s1_hf.vllm.processor import BudgetForcing as BudgetForcing

__all__ = [*_MODULE_OF]


if not TYPE_CHECKING:

    def __getattr__(name: str) -> Any:
        if name not in _MODULE_OF:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        from s1_hf.vllm.installed import check_installed

        check_installed()
        return getattr(import_module(f"{__name__}.{_MODULE_OF[name]}"), name)
