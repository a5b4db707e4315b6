"""What the fields of a recipe need besides the extra `train`: told before the weights are loaded, also by a dry run."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

from transformers import Trainer
from transformers.integrations.integration_utils import get_reporting_integration_callbacks

if TYPE_CHECKING:
    from trl import ModelConfig, SFTConfig

# Module and package. transformers' own checks also ask for a GPU, which a machine for a dry run need not have.
_ATTENTION = {
    "flash_attention_2": ("flash_attn", "flash-attn"),
    "flash_attention_3": ("flash_attn_interface", "flash-attn-3"),
    "flash_attention_4": ("flash_attn", "flash-attn-4"),
}


def package_faults(args: SFTConfig, model_args: ModelConfig) -> list[str]:
    """The fields whose packages are not installed, each with the command that installs it."""
    return [*_missing(args, model_args), *_optimizer(args), *_reports(args)]


def machine_faults(machine: Mapping[str, Any]) -> list[str]:
    """The same of a machine's file (an accelerate config)."""
    if machine.get("distributed_type") == "DEEPSPEED" and find_spec("deepspeed") is None:
        return ["The machine is one with DeepSpeed, which is not installed: pip install deepspeed"]
    return []


def _missing(args: SFTConfig, model_args: ModelConfig) -> Iterator[str]:
    wanted = []
    attention = model_args.attn_implementation or ""
    if attention in _ATTENTION and find_spec("kernels") is None:  # from which transformers takes it as well
        wanted.append((f"attn_implementation: {attention}", *_ATTENTION[attention]))
    if "/" in attention:
        wanted.append((f"attn_implementation: {attention}", "kernels", "kernels"))
    if args.use_liger_kernel:
        wanted.append(("use_liger_kernel", "liger_kernel", "liger-kernel"))
    wanted += [
        (name, "bitsandbytes", "bitsandbytes") for name in ("load_in_4bit", "load_in_8bit") if getattr(model_args, name)
    ]
    for field, module, package in wanted:
        if find_spec(module) is None:
            yield f"`{field}` needs {module}, which is not installed: pip install {package}"


def _optimizer(args: SFTConfig) -> Iterator[str]:
    try:
        Trainer.get_optimizer_cls_and_kwargs(args)
    except (ImportError, ValueError) as error:
        # Whatever else it wants, such as the model, it gets later.
        if "install" in str(error):
            yield f"`optim: {args.optim.value}` needs a package that is not installed: {error}"


def _reports(args: SFTConfig) -> Iterator[str]:
    for name, callback in zip(args.report_to, get_reporting_integration_callbacks(args.report_to), strict=True):
        try:
            callback()
        except (ImportError, RuntimeError) as error:
            yield f"`report_to: {name}` needs a package that is not installed: {error}"
