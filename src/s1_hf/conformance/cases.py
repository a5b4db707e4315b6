"""Random cases of budget forcing, each from one seed, and what the reference makes of them."""

from __future__ import annotations

import functools
import itertools
import random
from collections.abc import Callable, Sequence
from typing import Any

import torch

from s1_hf.conformance.reference import Delimiters, Row, stop_and_reprompt
from s1_hf.conformance.toys import FORMATS, ends_of_sequence, toy_format, toy_model, toy_tokenizer
from s1_hf.forcing.budget import Budget
from s1_hf.forcing.families import CALL_ENDS, TOOL_RESULTS, Family
from s1_hf.forcing.families import FAMILIES as FAMILY_TABLE
from s1_hf.forcing.vocabulary import Vocabulary, encode

UNLIMITED = 10**9

Case = dict[str, Any]


@functools.cache
def setting(family: Any) -> Any:
    """Tokenizer, format and the reference's delimiters of a family of toys, by name, or of whoever says them itself."""
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
    for opening, closing in TOOL_RESULTS:
        results.append((list(encode(tokenizer, opening)), list(encode(tokenizer, closing))))
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


def random_prompt(rng: random.Random, family: str) -> list[int]:
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


def case_of(seed: int) -> Case:
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
        prompts=[random_prompt(rng, family) for _ in range(rows)],
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
    """Prompts as one batch, padded on the left."""
    width = max(map(len, prompts))
    return {
        "input_ids": torch.tensor([[pad] * (width - len(p)) + p for p in prompts]),
        "attention_mask": torch.tensor([[0] * (width - len(p)) + [1] * len(p) for p in prompts]),
    }


def budgets_of(case: Case) -> dict[str, Any]:
    """The budgets of all rows of a case, and its format, as keywords."""
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


def budget_of(case: Case, row: int) -> Budget:
    """The budget of one row of a case, with nothing in it that cannot act."""
    most = case["most"][row]
    has_cap = most < UNLIMITED
    return Budget(
        max_thinking_tokens=most if has_cap else None,
        min_thinking_tokens=case["least"][row],
        num_ignores=case["ignores"][row],
        wait_text=case["waits"] or None,
        answer_prefix=case["prefix"],
        cut_text=case["message"] if has_cap else None,
        cut_window=case["window"] if has_cap else 0,
        cut_at="sentence" if has_cap and case["sentence"] and case["window"] else "line",
    )


def expected(case: Case, row: int) -> Row:
    """What the reference makes of one row of a case."""
    tokenizer, _, delimiters = setting(case["family"])
    return reference_row(
        case["model"].next_logits,
        case["prompts"][row],
        delimiters,
        tokenizer,
        budget_of(case, row),
        max_new_tokens=case["max_new_tokens"],
    )


def reference_row(
    logits: Callable[[list[int]], torch.Tensor],
    prompt: Sequence[int],
    delimiters: Delimiters,
    tokenizer: Any,
    budget: Budget,
    **options: Any,
) -> Row:
    """What the reference makes of a prompt under a [`Budget`] of one value for each field.

    Args:
        **options: `max_new_tokens` and `choose` of [`stop_and_reprompt`].
    """
    return stop_and_reprompt(
        logits,
        list(prompt),
        delimiters,
        lambda text: list(encode(tokenizer, text)),
        cap=float("inf") if budget.max_thinking_tokens is None else float(budget.max_thinking_tokens),  # type: ignore[arg-type]
        least=budget.min_thinking_tokens,  # type: ignore[arg-type]
        ignores=budget.num_ignores,  # type: ignore[arg-type]
        waits=budget.waits,
        prefix=budget.answer_prefix,
        message=budget.cut_text,
        window=budget.cut_window,
        sentence=budget.cut_at == "sentence",
        **options,
    )
