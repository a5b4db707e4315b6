"""The law of sampled budget forcing, by taking every choice of the reference in turn, and chi-square against it."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping, Sequence
from typing import Any

import torch

TRANSFORMERS = ("top_k", "top_p", "min_p")
VLLM = ("min_p", "top_k", "top_p")
"""The order in which a host narrows a distribution, after temperature."""

RARE = 10
"""Outcomes with fewer expected draws than this are counted together."""

_IMPOSSIBLE = 1e-12

Choose = Callable[[torch.Tensor], int]
Law = Mapping[Hashable, float]


def warped(scores: torch.Tensor, law: Mapping[str, Any], order: Sequence[str] = TRANSFORMERS) -> torch.Tensor:
    """Probabilities after temperature, top-k, top-p and min-p, from their definitions.

    Args:
        scores (`torch.Tensor` of shape `(vocab_size,)`): of one token.
        law (`Mapping`): `temperature`, `top_k` (0 is all), `top_p` and `min_p`; what is not given is off.
        order (`Sequence[str]`): in which the last three are applied.
    """
    p = (scores.double() / law.get("temperature", 1.0)).softmax(-1)
    for name in order:
        if name == "top_k" and law.get("top_k"):
            p[p < p.sort(descending=True).values[law["top_k"] - 1]] = 0
        elif name == "top_p" and law.get("top_p", 1.0) < 1.0:
            ranked = p.argsort(descending=True)
            kept = p[ranked].cumsum(0) - p[ranked] < law["top_p"]  # the smallest set that reaches top_p
            p[ranked[~kept]] = 0
        elif name == "min_p" and law.get("min_p"):
            p[p < law["min_p"] * p.max()] = 0
        p /= p.sum()
    return p


def exact_law(
    run: Callable[[Choose], Hashable], law: Mapping[str, Any], order: Sequence[str] = TRANSFORMERS
) -> dict[Hashable, float]:
    """Every outcome of `run` with its probability.

    Args:
        run (`Callable`): from a decoding rule to an outcome.
        law, order: see [`warped`].
    """
    outcomes: dict[Hashable, float] = {}
    todo: list[list[int]] = [[]]
    while todo:
        path = todo.pop()
        taken: list[int] = []
        probability = 1.0

        def choose(scores: torch.Tensor, path: list[int] = path, taken: list[int] = taken) -> int:
            nonlocal probability
            p = warped(scores, law, order)
            options = (p > _IMPOSSIBLE).nonzero()[:, 0].tolist()
            if len(taken) < len(path):
                take = path[len(taken)]
            else:  # the first option now, the others later
                take = 0
                todo.extend([*taken, other] for other in range(1, len(options)))
            taken.append(take)
            probability *= float(p[options[take]])
            return int(options[take])

        outcome = run(choose)
        outcomes[outcome] = outcomes.get(outcome, 0.0) + probability
    return outcomes


def chi_square(counts: Mapping[Any, int], law: Law, draws: int) -> float:
    """The probability that `draws` draws by `law` differ from it at least as much as `counts` do.

    0 if something was drawn that cannot be. Outcomes with fewer than [`RARE`] expected draws are counted together.

    Example:

    ```python
    >>> from s1_hf.conformance.laws import chi_square
    >>> round(chi_square({"heads": 60, "tails": 40}, {"heads": 0.5, "tails": 0.5}, 100), 4)
    0.0455

    ```
    """
    if not set(counts) <= set(law):
        return 0.0
    pairs = []
    rare_count, rare_expected = 0, 0.0
    for outcome, probability in law.items():
        seen, wanted = counts.get(outcome, 0), probability * draws
        if wanted >= RARE:
            pairs.append((seen, wanted))
        else:
            rare_count += seen
            rare_expected += wanted
    if rare_expected > 1:
        pairs.append((rare_count, rare_expected))
    statistic = sum((seen - wanted) ** 2 / wanted for seen, wanted in pairs)
    freedom = max(len(pairs) - 1, 1)
    half = torch.tensor([freedom / 2, statistic / 2], dtype=torch.float64)
    return float(torch.special.gammaincc(half[0], half[1]))
