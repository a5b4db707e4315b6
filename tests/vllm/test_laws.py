"""Sampling under a budget has the law of stop-and-reprompt in plain vLLM, whose own sampler draws there."""

from __future__ import annotations

from collections import Counter

import pytest

pytest.importorskip("vllm.sampling_params", reason="vLLM is not installed: make test-vllm")

from scipy.stats import chi2_contingency
from toy_logits import known_model, toy_engine

from cases import setting
from s1_hf import Budget
from s1_hf.forcing.vocabulary import encode
from s1_hf.vllm.completing import run, setup_of, with_budget
from toys import toy_model
from vllm import SamplingParams

DRAWS = 2_000
CAP = 5


@pytest.fixture(scope="module")
def engine(tmp_path_factory):
    with toy_engine("think", tmp_path_factory.mktemp("toy"), seed=5) as llm:
        tokenizer, fmt, _ = setting("think")
        words = [encode(tokenizer, text)[0] for text in ("a", "b", "x", "Wait")]
        likely = dict.fromkeys(fmt.ends, 1.0)
        known_model("law", toy_model(len(tokenizer), 3, likely, [*words, *fmt.ends]))
        yield llm


def reprompted(llm, prompt: list[int], warping: dict) -> list[tuple]:
    """The thinking of `DRAWS` rows: generate until an end, strip it, append the Wait, generate on."""
    tokenizer, fmt, _ = setting("think")
    (wait,) = encode(tokenizer, "Wait")
    rows = [{"thinking": [], "used": 0, "bans": []} for _ in range(DRAWS)]
    done: list[tuple] = []
    while rows:
        params = []
        for row in rows:  # the token right after a Wait is never an end
            length = 1 if row["bans"] else CAP - len(row["thinking"])
            own = {"stop_token_ids": list(fmt.ends), "max_tokens": length}
            extra = {"case": "law", "banned": row["bans"]}
            params.append(SamplingParams(**warping, **own, extra_args=extra, detokenize=False))
        prompts = [{"prompt_token_ids": [*prompt, *row["thinking"]]} for row in rows]
        left = []
        for row, output in zip(rows, llm.generate(prompts, params, use_tqdm=False), strict=True):
            tokens, row["bans"] = list(output.outputs[0].token_ids), []
            ends = tokens[-1] in fmt.ends
            row["thinking"] += tokens[:-1] if ends else tokens
            if ends and row["used"] == 0 and len(row["thinking"]) + 1 < CAP:
                row["thinking"].append(wait)
                row["used"], row["bans"] = 1, list(fmt.ends)
            elif ends or len(row["thinking"]) == CAP:
                done.append((*row["thinking"], "natural" if ends else "cut"))
                continue
            left.append(row)
        rows = left
    return done


def budgeted(llm, prompt: list[int], warping: dict) -> list[tuple]:
    budget = Budget(max_thinking_tokens=CAP, num_ignores=1)
    plain = SamplingParams(**warping, max_tokens=CAP + 20, extra_args={"case": "law"}, detokenize=False)
    outputs = run(llm, setup_of(llm), [prompt] * DRAWS, [with_budget(plain, budget) for _ in range(DRAWS)])
    found = []
    for (one,) in outputs:
        found.append((*one.token_ids[: one.report.thinking_tokens], one.report.ended))
    return found


WARPINGS = [
    {"temperature": 1.3},
    {"temperature": 1.3, "top_k": 3},
    {"temperature": 1.5, "top_p": 0.6},
    {"temperature": 1.5, "min_p": 0.3},
    {"temperature": 1.2, "top_k": 4, "top_p": 0.8, "min_p": 0.1},
]


@pytest.mark.parametrize("warping", WARPINGS, ids=str)
def test_the_law_is_that_of_stop_and_reprompt(engine, warping):
    """Chi-square over whole thinkings, 2,000 draws a side; false alarm below 1e-5 for each of five settings."""
    prompt = list(encode(setting("think")[0], "<|im_start|>assistant\n<think>"))
    ours, theirs = Counter(budgeted(engine, prompt, warping)), Counter(reprompted(engine, prompt, warping))
    often = [key for key, count in (ours + theirs).items() if count >= 20]
    table = [[counts[key] for key in often] for counts in (ours, theirs)]
    for row, counts in zip(table, (ours, theirs), strict=True):
        row.append(counts.total() - sum(row))
    if table[0][-1] + table[1][-1] < 20:
        table = [row[:-1] for row in table]
    assert len(table[0]) > 3
    assert chi2_contingency(table).pvalue > 1e-5
