"""Options of vLLM on the command line, and what looks like an option of ours."""

from __future__ import annotations

import sys
from types import SimpleNamespace

import pytest

from s1_hf.cli.engines import engine_options


def context(*arguments: str) -> SimpleNamespace:
    ours = [SimpleNamespace(opts=[name]) for name in ("--num-ignores", "--max-thinking-tokens")]
    return SimpleNamespace(args=list(arguments), params={}, command=SimpleNamespace(params=ours))


def refuse(arguments: list[str]) -> None:
    raise ValueError(f"vLLM says: unrecognized arguments: {' '.join(arguments)}")


@pytest.mark.parametrize(
    ("arguments", "hint"),
    [
        (["--num-ignore", "3"], r" Did you mean --num-ignores\?$"),
        (["--num-ignore=3"], r" Did you mean --num-ignores\?$"),
        (["--zzz", "3"], "unrecognized arguments: --zzz 3"),
    ],
)
def test_a_misspelt_option_is_recognised_with_every_engine(arguments, hint, monkeypatch):
    monkeypatch.setattr("s1_hf.vllm.installed.check_installed", lambda: None)
    monkeypatch.setenv("VLLM_LOGGING_LEVEL", "WARNING")
    monkeypatch.setitem(sys.modules, "s1_hf.vllm.loading", SimpleNamespace(options_from=refuse))
    with pytest.raises(ValueError, match=hint):
        engine_options(context(*arguments), "vllm")
    with pytest.raises(ValueError, match=f"No such option: {arguments[0].split('=')[0]}. .*need `--engine vllm`"):
        engine_options(context(*arguments), "transformers")


def test_a_stray_word_is_no_option():
    assert engine_options(context(), "transformers") == {}
    with pytest.raises(ValueError, match="Got an unexpected argument: word"):
        engine_options(context("word"), "transformers")
