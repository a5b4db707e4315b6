"""What an engine of ours asks of vLLM for one answer."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from s1_hf.forcing.budget import Budget
from s1_hf.forcing.decisions import first_state
from s1_hf.forcing.flat import flat
from s1_hf.forcing.prompts import start_of
from s1_hf.vllm.settings import (
    ANSWER,
    CHECKED,
    CONFIDENCE,
    GIVE_UP,
    SEED,
    SEPARATOR,
    START,
    STEP_TOKENS,
    STEPS,
    RequestSettings,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

    from s1_hf.forcing.confidence import Confidence
    from s1_hf.forcing.pauses import Pause
    from s1_hf.vllm.setup import Setup


@dataclass(frozen=True, kw_only=True)
class Asked:
    """One answer that is wanted, in vLLM's words.

    Args:
        prompt (`tuple[int, ...]`): token ids.
        max_tokens (`int`): of thinking and answer together.
        budget ([`Budget`]): one value for each of its fields.
        sampling (`Mapping`): `temperature`, `top_k`, `top_p` and `min_p` of `SamplingParams`; greedy if empty.
        seed (`int`): of the draws.
        max_answer_tokens, give_up_after (`int`, *optional*): limits besides the budget.
        pause ([`Pause`], *optional*): where it pauses.
        confidence ([`Confidence`], *optional*): how it is measured how sure the model is.
        start (`tuple[int, ...]`, *optional*): the state it starts in; by default its prompt is read.
        steps (`int`): how many tokens it has drawn before.
    """

    prompt: tuple[int, ...]
    max_tokens: int
    budget: Budget
    sampling: Mapping[str, Any]
    seed: int
    max_answer_tokens: int | None = None
    give_up_after: int | None = None
    pause: Pause | None = None
    confidence: Confidence | None = None
    start: tuple[int, ...] | None = None
    steps: int = 0

    @property
    def extra_args(self) -> dict[str, Any]:
        """For `SamplingParams`."""
        given: dict[str, Any] = {**flat(self.budget), CHECKED: True}
        if self.sampling:
            given[SEED] = self.seed
        limits: dict[str, Any] = {ANSWER: self.max_answer_tokens, GIVE_UP: self.give_up_after}
        if self.pause is not None:
            limits |= {SEPARATOR: self.pause.separator, STEP_TOKENS: self.pause.tokens}
        if self.confidence is not None:
            one = self.confidence
            limits[CONFIDENCE] = [one.top or 0] if one.window is None else [one.top or 0, one.window, one.below]
        given |= {name: value for name, value in limits.items() if value is not None}
        if self.start is not None:
            given |= {START: list(self.start), STEPS: self.steps}
        return given

    def computed(self, written: int) -> int:
        """How many tokens go through the model to write so many, if none are in the cache: all but the last."""
        return len(self.prompt) + max(written - 1, 0)

    def check(self, setup: Setup) -> None:
        """Raises a `ValueError` if the budget cannot be met; what cannot act is warned about."""
        settings = RequestSettings(budget=self.budget, max_tokens=self.max_tokens)
        budgets = setup.row_budgets(settings, len(self.prompt))
        start = first_state([start_of(setup.automaton(self.budget, ()), self.prompt)])
        budgets.limits(start, len(self.prompt), [self.prompt])

    def going_on(self, written: list[int], start: tuple[int, ...], budget: Budget) -> Asked:
        """The same after tokens that were `written`, which led to the state `start`."""
        return replace(
            self,
            prompt=(*self.prompt, *written),
            max_tokens=self.max_tokens - len(written),
            budget=budget,
            start=start,
            steps=len(written),
        )


def asked_for(request: Any) -> Asked:
    """What a `Request` of an engine asks for; of one that goes on, behind what it has got."""
    sampling: dict[str, Any] = {}
    if request.sampling is not None:
        one = request.sampling
        sampling = {"temperature": one.temperature, "top_p": one.top_p, "top_k": one.top_k, "min_p": one.min_p or 0.0}
    asked = Asked(
        prompt=request.prompt,
        max_tokens=request.max_new_tokens,
        budget=request.budget,
        sampling=sampling,
        seed=request.seed,
        max_answer_tokens=request.max_answer_tokens,
        give_up_after=request.give_up_after,
        pause=request.pause,
        confidence=request.confidence,
    )
    if request.begun is None:
        return asked
    return asked.going_on(list(request.begun.ids), request.begun.state, request.budget)
