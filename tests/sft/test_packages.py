"""Packages that are missing are told before weights are loaded."""

import importlib.util

import pytest

pytest.importorskip("trl")

from trl import ModelConfig, SFTConfig

from s1_hf.sft import packages
from s1_hf.sft.packages import package_faults

PLAIN = {"output_dir": "x", "use_cpu": True, "bf16": False, "report_to": "none"}


@pytest.fixture
def installed(monkeypatch) -> set[str]:
    """The modules that are found, of those that the checks look for."""
    names: set[str] = set()
    monkeypatch.setattr(packages, "find_spec", lambda name: name if name in names else None)
    return names


@pytest.mark.parametrize(
    ("fields", "module", "package"),
    [
        ({"attn_implementation": "flash_attention_2"}, "flash_attn", "flash-attn"),
        ({"attn_implementation": "flash_attention_3"}, "flash_attn_interface", "flash-attn-3"),
        ({"attn_implementation": "flash_attention_2"}, "kernels", None),  # from which transformers takes it as well
        ({"attn_implementation": "kernels-community/flash-attn2"}, "kernels", "kernels"),
        ({"use_liger_kernel": True}, "liger_kernel", "liger-kernel"),
        ({"load_in_4bit": True}, "bitsandbytes", "bitsandbytes"),
        ({"load_in_8bit": True}, "bitsandbytes", "bitsandbytes"),
    ],
    ids=str,
)
def test_a_field_whose_package_is_missing_is_named_with_what_installs_it(installed, fields, module, package):
    ours = {name: value for name, value in fields.items() if name in SFTConfig.__dataclass_fields__}
    of_model = {name: value for name, value in fields.items() if name not in ours}
    args, model_args = SFTConfig(**PLAIN, **ours), ModelConfig(**of_model)
    (fault,) = package_faults(args, model_args)
    assert fault.startswith(f"`{next(iter(fields))}")
    assert package is None or f"needs {module}, which is not installed: pip install {package}" in fault
    installed.add(module)
    assert package_faults(args, model_args) == []


@pytest.mark.skipif(importlib.util.find_spec("bitsandbytes") is not None, reason="it is installed")
@pytest.mark.parametrize("optim", ["adamw_bnb_8bit", "paged_adamw_8bit", "lion_8bit"])
def test_an_optimizer_whose_package_is_missing_is_named(optim):
    (fault,) = package_faults(SFTConfig(**PLAIN, optim=optim), ModelConfig())
    assert fault.startswith(f"`optim: {optim}` needs a package that is not installed") and "bitsandbytes" in fault


@pytest.mark.parametrize("optim", ["adamw_torch", "adamw_torch_fused", "sgd", "adafactor"])
def test_nothing_is_missing_for_what_torch_and_transformers_have_themselves(optim):
    assert package_faults(SFTConfig(**PLAIN, optim=optim), ModelConfig(attn_implementation="sdpa")) == []


@pytest.mark.skipif(importlib.util.find_spec("clearml") is not None, reason="it is installed")
def test_a_logger_whose_package_is_missing_is_named():
    (fault,) = package_faults(SFTConfig(**PLAIN | {"report_to": ["clearml"]}), ModelConfig())
    assert fault.startswith("`report_to: clearml` needs a package") and "pip install clearml" in fault
