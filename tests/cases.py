"""The random cases of the conformance suite, under the name that tests know them by, and what tests do with them."""

from __future__ import annotations

import torch
from hypothesis import HealthCheck
from hypothesis import strategies as st
from transformers import Qwen2Config, Qwen2ForCausalLM

from s1_hf import BudgetForcingLogitsProcessor
from s1_hf.conformance.cases import (
    UNLIMITED,
    budget_of,
    budgets_of,
    case_of,
    delimiters_of,
    expected,
    padded,
    setting,
)

__all__ = [
    "EXAMPLES",
    "SEEDS",
    "UNLIMITED",
    "budget_of",
    "budgets_of",
    "case_of",
    "check_case",
    "delimiters_of",
    "expected",
    "one_row",
    "options_of",
    "padded",
    "processor_for",
    "qwen2_like",
    "run_case",
    "setting",
]

SEEDS = st.integers(0, 2**63)
EXAMPLES = {
    "deadline": None,
    "derandomize": True,
    "database": None,
    "suppress_health_check": [HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.filter_too_much],
}


def check_case(case: dict, processor: BudgetForcingLogitsProcessor, out: torch.Tensor) -> None:
    width = max(map(len, case["prompts"]))
    reports = processor.reports()
    assert reports == processor.reports(out)
    for r, report in enumerate(reports):
        row = expected(case, r)
        assert out[r, width : width + len(row.new)].tolist() == row.new
        assert list(report.forced) == row.forced
        got = (report.thinking_tokens, report.ended, report.ends_ignored, report.answer_tokens)
        eos = setting(case["family"])[2].eos
        assert got == (row.thinking_tokens, row.ended, row.ends_ignored, row.answer_tokens(eos))


def processor_for(case: dict, **options) -> BudgetForcingLogitsProcessor:
    tokenizer, _, _ = setting(case["family"])
    return BudgetForcingLogitsProcessor(tokenizer, **budgets_of(case), **options)


def run_case(case: dict, processor: BudgetForcingLogitsProcessor) -> torch.Tensor:
    tokenizer, _, d = setting(case["family"])
    return case["model"].generate(
        **padded(case["prompts"], tokenizer.pad_token_id),
        max_new_tokens=case["max_new_tokens"],
        eos_token_id=d.eos,
        pad_token_id=tokenizer.pad_token_id,
        logits_processor=[processor],
    )


def one_row(seed: int) -> dict:
    """A random case with a single prompt, for the modes that take no batch."""
    case = case_of(seed)
    case |= {name: case[name][:1] for name in ("prompts", "most", "least", "ignores")}
    if case["most"] == [UNLIMITED]:
        case |= {"message": None, "window": 0}  # which have no effect without a cap
    return case


def options_of(case: dict) -> dict:
    tokenizer, _, d = setting(case["family"])
    return {
        "max_new_tokens": case["max_new_tokens"],
        "eos_token_id": d.eos,
        "pad_token_id": tokenizer.pad_token_id,
    }


def qwen2_like(case: dict, seed: int, initializer_range: float = 1.0) -> Qwen2ForCausalLM:
    """A random transformer with a real KV cache, biased as the case's toy model is."""
    config = Qwen2Config(
        vocab_size=case["model"].config.vocab_size,
        hidden_size=16,
        intermediate_size=16,
        num_hidden_layers=2,
        num_attention_heads=2,
        num_key_value_heads=1,
        initializer_range=initializer_range,
    )
    generator_state = torch.get_rng_state()
    torch.manual_seed(seed)
    model = Qwen2ForCausalLM(config).eval().requires_grad_(False)
    torch.set_rng_state(generator_state)
    model.lm_head.bias = torch.nn.Parameter(case["model"].bias.data * 4, requires_grad=False)
    return model
