"""Models with few words, their sampled rows, and the exact law of these by the slow reference."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

from cases import setting
from s1_hf import Budget, Report
from s1_hf.conformance.laws import exact_law
from s1_hf.conformance.reference import stop_and_reprompt
from s1_hf.engines.engine import Finished
from s1_hf.engines.request import Request, Sampling
from s1_hf.engines.transformers_engine import TransformersEngine
from s1_hf.forcing.vocabulary import encode
from s1_hf.generation.chats import Completion
from toys import toy_model

LAWS: dict[str, dict[str, Any]] = {
    "plain": {},
    "cold": {"temperature": 0.6},
    "top_k": {"top_k": 3},
    "all": {"temperature": 0.8, "top_k": 4, "top_p": 0.9, "min_p": 0.05},
}
# As the reference takes them, beside what Budget calls them.
BUDGETS: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "none": ({}, {}),
    "cap": ({"cap": 2}, {"max_thinking_tokens": 2}),
    "cap 0": ({"cap": 0}, {"max_thinking_tokens": 0}),
    "one ignore": ({"ignores": 1}, {"num_ignores": 1}),
    "two ignores, cap": ({"ignores": 2, "cap": 3}, {"num_ignores": 2, "max_thinking_tokens": 3}),
    "minimum": ({"least": 2, "cap": 3}, {"min_thinking_tokens": 2, "max_thinking_tokens": 3}),
    "minimum, no Wait": ({"least": 2, "waits": ()}, {"min_thinking_tokens": 2, "wait_text": None}),
    "two tokens": ({"ignores": 1, "waits": ("a Wait",)}, {"num_ignores": 1, "wait_text": "a Wait"}),
}
NEW_TOKENS = 4


class Scene:
    """A model that knows two words and the ends of a family, with one prompt.

    Args:
        ends: how likely these are.
        one_end: whether it ends its thinking by the closing delimiter alone.
    """

    def __init__(
        self, seed: int, budget: str = "none", family: str = "opened", ends: float = 0.5, one_end: bool = False
    ) -> None:
        self.tokenizer, self.format, self.delimiters = setting(family)
        only = [encode(self.tokenizer, t)[0] for t in ("a", "Wait")]
        only += [i for i in self.format.ends if i == self.format.close[0] or not one_end] + [*self.format.call_ends]
        self.model = toy_model(len(self.delimiters.texts) + 2, seed, {i: ends for i in self.format.ends}, only)
        self.model.bias.data -= 1e4
        self.model.bias.data[only] += 1e4
        chat = [{"role": "user", "content": "b"}]
        text = self.tokenizer.apply_chat_template(chat, tokenize=False, add_generation_prompt=True)
        self.prompt = tuple(encode(self.tokenizer, text))
        self._asked, given = BUDGETS[budget]
        self.budget = Budget(**given, answer_prefix="x")
        self.engine = TransformersEngine(self.model, self.tokenizer, format=self.format, batch_size=64)

    def request(self, number: int = 0, law: str = "plain") -> Request:
        return Request(
            prompt=self.prompt,
            max_new_tokens=NEW_TOKENS,
            budget=self.budget,
            sampling=Sampling(**LAWS[law]),
            seed=number,
            problem=str(number),
        )

    def drawn(self, count: int, law: str = "plain") -> list[Finished]:
        """Rows of the engine, in the order of their seeds."""
        requests = [self.request(i, law) for i in range(count)]
        finished = [one for batch in self.engine.run(requests, lambda rows: None) for one in batch]
        return sorted(finished, key=lambda one: int(one.request.problem))

    def exact(self, law: str = "plain") -> dict[tuple, float]:
        """Every row that can come, as ids, what is forced of them and the rest of its report, with its probability."""
        known = functools.cache(lambda ids: self.model.next_logits(list(ids)))

        def run(choose: Callable) -> tuple:
            row = stop_and_reprompt(
                lambda ids: known(tuple(ids)),
                list(self.prompt),
                self.delimiters,
                lambda text: list(encode(self.tokenizer, text)),
                max_new_tokens=NEW_TOKENS,
                prefix="x",
                choose=choose,
                **self._asked,
            )
            return (
                tuple(row.new),
                tuple(row.forced),
                row.thinking_tokens,
                row.ended,
                row.answer_tokens(self.delimiters.eos),
            )

        return exact_law(run, {"top_k": 0, **LAWS[law]})

    def chances(self, law: str = "plain") -> dict[tuple, float]:
        """The same by ids and what is forced of them alone."""
        found: dict[tuple, float] = {}
        for key, probability in self.exact(law).items():
            found[key[:2]] = found.get(key[:2], 0.0) + probability
        return found

    def every(self) -> list[tuple[Finished, float]]:
        """Every row that can come, as if the engine had given it, with its probability."""
        rows = []
        for (ids, forced, thinking, ended, answer), probability in self.exact().items():
            report = Report(thinking, ended, 0, forced, answer)
            completion = Completion("", "", "", ids, forced, report)
            rows.append((Finished(self.request(), completion), probability))
        return rows
