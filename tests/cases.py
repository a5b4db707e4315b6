"""Random cases of budget forcing, each from one seed, and what the oracle expects of them."""

from __future__ import annotations

import functools
import itertools
import random
from collections.abc import Sequence
from typing import Any

import torch
from hypothesis import HealthCheck
from hypothesis import strategies as st
from transformers import Qwen2Config, Qwen2ForCausalLM

from oracle import Delimiters, Row, stop_and_reprompt
from s1_hf import BudgetForcingLogitsProcessor
from s1_hf.forcing.families import CALL_ENDS, TOOL_RESULTS, Family
from s1_hf.forcing.families import FAMILIES as FAMILY_TABLE
from s1_hf.forcing.vocabulary import Vocabulary, encode
from toys import FORMATS, ends_of_sequence, toy_format, toy_model, toy_tokenizer

UNLIMITED = 10**9
SEEDS = st.integers(0, 2**63)
EXAMPLES = {
    "deadline": None,
    "derandomize": True,
    "database": None,
    "suppress_health_check": [HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.filter_too_much],
}


@functools.cache
def setting(family: Any):
    """Tokenizer, format and the oracle's delimiters of a family of toys, by name, or of whoever says them itself."""
    if not isinstance(family, str):
        return family.setting()
    tokenizer = toy_tokenizer(family)
    fmt = toy_format(family)
    d = delimiters_of(
        tokenizer,
        FAMILY_TABLE[FORMATS[family]],
        turn=list(fmt.turn),
        eos=ends_of_sequence(family),
        handovers=[i for i in ends_of_sequence(family) if i != tokenizer.eos_token_id],
        plain=family == "plain",
        interleaved=family in ("interleaved", "harmony"),
    )
    return tokenizer, fmt, d


def delimiters_of(
    tokenizer: Any,
    family: Family,
    *,
    turn: Sequence[int],
    eos: Sequence[int],
    handovers: Sequence[int],
    plain: bool,
    interleaved: bool,
) -> Delimiters:
    """The contract's words for a family on a tokenizer, without what the package resolves."""
    start, close, answer = (
        list(encode(tokenizer, t)) if t else [] for t in (family.start, family.close, family.answer_start)
    )
    results = []
    for pair in TOOL_RESULTS:
        results.append(tuple(list(encode(tokenizer, text)) for text in pair))
    return Delimiters(
        start=start,
        close=close,
        ends=[*([] if plain else close[:1]), *(i for i in eos if i not in handovers)],
        turn=list(turn),
        eos=list(eos),
        force_start=family.force_start,
        texts=list(Vocabulary.of(tokenizer).texts),
        plain=plain,
        whole=Vocabulary.of(tokenizer).special,
        interleaved=interleaved,
        call_ends=[i for text, i in Vocabulary.of(tokenizer).single.items() if text in CALL_ENDS],
        answer_start=answer,
        handovers=list(handovers),
        results=results,
    )


def prompt_ids(rng: random.Random, family: str) -> list[int]:
    """A prompt: a chat with tags in the wrong places, and an assistant turn that may have begun to think or stopped."""
    tokenizer, fmt, _ = setting(family)
    user = rng.choice(["ab", "c", f"x{fmt.start_text}y", f"{fmt.start_text}a{fmt.close_text}", "\n"])
    chat = [{"role": "user", "content": user}]
    if rng.random() < 0.25:
        earlier = f"{fmt.start_text}b{fmt.close_text}c"
        chat = [{"role": "user", "content": "a"}, {"role": "assistant", "content": earlier}, *chat]
    if tokenizer.chat_template:
        text = tokenizer.apply_chat_template(chat, tokenize=False, add_generation_prompt=True)
    else:
        text = rng.choice(["ab", "c\n", "hello"])
    begun = {"": (), "start": fmt.start[: len(fmt.start) // 2], "close": fmt.close[: len(fmt.close) // 2]}
    own = rng.choice(["", "", "", "\n", "ab", "a\n", "abababab", "a" + fmt.close_text, fmt.close_text + "\n\n"])
    part: str = rng.choice(["", "", "", "close"])
    if family not in ("opened", "plain"):
        if rng.random() < 0.6:
            own = fmt.start_text + own
        elif rng.random() < 0.7:
            own, part = rng.choice(["", "ab"]), rng.choice(["", "", "start"])
    elif family == "plain":
        part = ""
    if family == "tools" and rng.random() < 0.3:
        own += "</tool_call>" + rng.choice(["", "\n", "a"])
    return [*encode(tokenizer, text), *encode(tokenizer, own), *begun[part]]


def case_of(seed: int) -> dict:
    """A random case: everything follows from the seed."""
    rng = random.Random(seed)
    family = rng.choice(list(FORMATS))
    tokenizer, fmt, _ = setting(family)
    rows = rng.randint(1, 4)
    most = [rng.choice([rng.randint(0, 14), rng.randint(5, 25), UNLIMITED]) for _ in range(rows)]
    least = [min(rng.choice([0, 0, 1, 3, 8]), m) for m in most]
    ignores = [rng.choice([0, 1, 2, 5]) for _ in most]
    if family == "plain":
        least, ignores = [0] * rows, [0] * rows
    pool = ["a", "b", "\n", "Wait", "W", "Hm", " ", "think", "answer", "x", "</", ">", ">\n", "ab", ".", "?) ", "\n\n"]
    structure = [*fmt.start, *fmt.close, *fmt.ends, *fmt.answer_start, *fmt.handovers, *fmt.call_ends]
    only = sorted({*itertools.chain(*(encode(tokenizer, t) for t in pool)), *structure})
    likely = {i: rng.choice([-30.0, -1.0, 0.0, 1.0, 2.5]) for i in dict.fromkeys(structure)}
    likely[tokenizer.eos_token_id] = rng.choice([-30.0, -2.0, 0.0, 1.0])
    if fmt.call_ends:
        likely |= dict.fromkeys(fmt.call_ends, rng.choice([0.0, 2.5])) | {
            tokenizer.eos_token_id: rng.choice([0.0, 2.5])
        }
    size = len(Vocabulary.of(tokenizer).texts)
    extra = rng.randint(0, 6)  # embedding rows beyond the tokenizer, which the model likes
    message = rng.choice([None, None, "ab", "x\n", "a b\nx"])
    shortest = len(encode(tokenizer, message)) if message else 0
    return dict(
        family=family,
        message=message if any(m < UNLIMITED for m in most) else None,
        prompts=[prompt_ids(rng, family) for _ in range(rows)],
        window=rng.choice([0, 0, 1, 2, 5, 30]) if any(m < UNLIMITED for m in most) else 0,
        sentence=rng.random() < 0.5,
        most=[max(m, shortest) for m in most],
        least=least,
        ignores=ignores,
        waits=rng.choice([("Wait",), ("Wait",), ("Hm Wait",), ("Wait", "a b c"), ()]),
        prefix=rng.choice(["Final Answer:", "x", None]),
        max_new_tokens=max(rng.choice([rng.randint(1, 10), rng.randint(10, 50)]), max(least) and max(least) + 9),
        model=toy_model(
            size + extra,
            rng.randrange(2**31),
            likely | {size + i: 1.0 for i in range(extra)},
            only + [size + i for i in range(extra)],
        ),
    )


def padded(prompts: list[list[int]], pad: int) -> dict[str, torch.Tensor]:
    width = max(map(len, prompts))
    return {
        "input_ids": torch.tensor([[pad] * (width - len(p)) + p for p in prompts]),
        "attention_mask": torch.tensor([[0] * (width - len(p)) + [1] * len(p) for p in prompts]),
    }


def expected(case: dict, r: int) -> Row:
    tokenizer, _, d = setting(case["family"])
    return stop_and_reprompt(
        case["model"].next_logits,
        case["prompts"][r],
        d,
        lambda text: list(encode(tokenizer, text)),
        max_new_tokens=case["max_new_tokens"],
        cap=case["most"][r],
        least=case["least"][r],
        ignores=case["ignores"][r],
        waits=case["waits"],
        prefix=case["prefix"],
        message=case["message"],
        window=case["window"],
        sentence=case["sentence"],
    )


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


def budgets_of(case: dict) -> dict:
    _, fmt, _ = setting(case["family"])
    return {
        "format": fmt,
        "max_thinking_tokens": [None if m == UNLIMITED else m for m in case["most"]],
        "min_thinking_tokens": case["least"],
        "num_ignores": case["ignores"],
        "wait_text": case["waits"] or None,
        "answer_prefix": case["prefix"],
        "cut_text": case["message"],
        "cut_window": case["window"],
        "cut_at": "sentence" if case["sentence"] and case["window"] else "line",
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
