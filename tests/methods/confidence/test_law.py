"""DeepConf online on a model whose texts can all be enumerated: every outcome comes as often as its law says.

The law is computed here from the paper's rules, without any code of the method: over all texts of all samples.
"""

from __future__ import annotations

import itertools
import math
from collections import Counter, defaultdict

import numpy as np
import pytest
import torch
from scipy.stats import chi2

pytest.importorskip("math_verify")

from s1_hf.methods import Bench, DeepConfOnline
from s1_hf.results.rows import Problem
from toys import toy_model, toy_tokenizer

WINDOW, ETA, CONSENSUS, LENGTH = 2, 50, 0.9, 5
START, SEVEN, EIGHT, CLOSE = "start", "7", "8", "close"
LAWS = {  # of the next token, by the last one
    START: {SEVEN: 0.5, EIGHT: 0.4, CLOSE: 0.1},
    SEVEN: {SEVEN: 0.2, EIGHT: 0.5, CLOSE: 0.3},
    EIGHT: {SEVEN: 0.15, EIGHT: 0.1, CLOSE: 0.75},
    CLOSE: {SEVEN: 0.7, EIGHT: 0.3},
}


def the_model():
    """It sees the last token only."""
    tokenizer = toy_tokenizer("opened")
    model = toy_model(len(tokenizer))
    for table in (model.last, model.before, model.place):
        table.data.zero_()
    model.bias.data[:] = -torch.inf
    ids = {SEVEN: tokenizer.encode("7")[0], EIGHT: tokenizer.encode("8")[0], CLOSE: tokenizer.encode("</think>")[0]}
    for name, probability in LAWS[START].items():
        model.bias.data[ids[name]] = math.log(probability)
    for last in (SEVEN, EIGHT, CLOSE):
        for name in LAWS[START]:
            probability = LAWS[last].get(name, 0.0)
            logit = math.log(probability) if probability else -torch.inf
            model.last.data[ids[last], ids[name]] = logit - math.log(LAWS[START][name])
    return model, tokenizer


def texts() -> list[tuple[tuple[str, ...], float]]:
    """Every text that a sample can be, with its probability: it ends with one answer token, or with its length."""
    found, growing = [], [((), 1.0)]
    while growing:
        text, p = growing.pop()
        if len(text) == LENGTH or (len(text) >= 2 and text[-2] == CLOSE):
            found.append((text, p))
            continue
        for token, probability in LAWS[text[-1] if text else START].items():
            growing.append(((*text, token), p * probability))
    return found


def sure(text: tuple[str, ...]) -> list[float]:
    """-log of the most likely token's probability, at each token."""
    return [-math.log(max(LAWS[last].values())) for last in (START, *text)[: len(text)]]


def means(text: tuple[str, ...]) -> list[float]:
    values = sure(text)
    return [float(np.mean(values[i : i + WINDOW])) for i in range(len(values) - WINDOW + 1)]


def lowest(text: tuple[str, ...]) -> float:
    """Of its groups."""
    return min(means(text))


def answer(text: tuple[str, ...]) -> str | None:
    return text[-1] if len(text) >= 2 and text[-2] == CLOSE else None


def as_far(text: tuple[str, ...], least: float) -> tuple[str, ...]:
    """The text as far as it is written before it is given up."""
    thought = text.index(CLOSE) if CLOSE in text else len(text)
    for i, mean in enumerate(means(text[:thought])):
        if mean < least - 1e-9:
            return text[: i + WINDOW]
    return text


def voted(written: list[tuple[str, ...]], least: float) -> tuple[str | None, float]:
    """The answer, and its share of the vote."""
    votes = defaultdict(float)
    for text in written:
        if answer(text) and lowest(text) >= least - 1e-9:
            votes[answer(text)] += lowest(text)
    if not votes:
        for text in written:
            if answer(text):
                votes[answer(text)] += lowest(text)
    if not votes:
        return None, 0.0
    best = max(votes, key=votes.get)
    return best, votes[best] / sum(votes.values())


def the_law(samples: int) -> dict[tuple[str | None, int, int], float]:
    """The probability of each answer, with so many tokens and samples: two of a warm-up, then one after the other."""
    all_texts, law = texts(), defaultdict(float)
    for (one, p), (other, q) in itertools.product(all_texts, repeat=2):
        least = float(np.percentile([lowest(one), lowest(other)], 100 - ETA))
        growing = [([one, other], p * q)]
        while growing:
            written, probability = growing.pop()
            best, share = voted(written, least)
            if share >= CONSENSUS or len(written) == samples:
                law[best, sum(map(len, written)), len(written)] += probability
                continue
            further = defaultdict(float)
            for text, r in all_texts:
                further[as_far(text, least)] += r
            growing += [([*written, text], probability * r) for text, r in further.items()]
    return law


@pytest.mark.parametrize("batch_size", [7])
def test_every_outcome_comes_as_often_as_its_law_says(batch_size):
    """Chi-square over answers, tokens and samples; a false alarm once in 10,000."""
    law = the_law(3)
    assert sum(law.values()) == pytest.approx(1)
    model, tokenizer = the_model()
    count = 1500
    bench = Bench(
        model=model, tokenizer=tokenizer, problems=[Problem(str(i), "?", "7", "law") for i in range(count)],
        max_new_tokens=LENGTH, max_answer_tokens=1, batch_size=batch_size * 8,
    )  # fmt: skip
    rows = DeepConfOnline(
        widths=[3], eta=ETA, window=WINDOW, warmup=2, consensus=CONSENSUS, round_size=1, top=1
    ).run(bench)  # fmt: skip
    found = Counter((row.extracted, row.total_tokens, row.tries) for row in rows)
    assert set(found) <= set(law)
    assert any(row.tries == 2 for row in rows) and any(row.tries == 3 and row.total_tokens < 9 for row in rows)
    rare = {outcome for outcome, p in law.items() if p * count < 5}
    cells = [(found[one], law[one] * count) for one in law if one not in rare]
    cells.append((sum(found[one] for one in rare), sum(law[one] for one in rare) * count))
    statistic = sum((seen - expected) ** 2 / expected for seen, expected in cells if expected > 0)
    assert statistic < chi2.ppf(1 - 1e-4, len(cells) - 1), (statistic, len(cells))
