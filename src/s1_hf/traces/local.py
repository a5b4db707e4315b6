"""Traces from a model on this machine, under a budget, in the batches of an evaluation."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any

from s1_hf._lazy import require
from s1_hf.traces.trace import Ask, Trace

if TYPE_CHECKING:
    from s1_hf.evaluation import BudgetForcingModel
    from s1_hf.evaluation.batches import Request
    from s1_hf.evaluation.store import Sample

_DRAWING = ("temperature", "top_p", "top_k", "min_p", "repetition_penalty", "seed", "max_new_tokens")


class LocalModel:
    """A model in a folder or on the Hub, or a LoRA adapter.

    Greedy by default. When sampling, the draws of a row follow from `seed`, its question and its sample alone: neither
    the batch nor the other rows of the pool change them. (Scores are rounded in other ways in other batches, which in
    bfloat16 changes a token now and then.) A question whose prompt leaves no room for `max_new_tokens`
    is an error of that row.

    Args:
        model (`str`): the folder or name.
        max_new_tokens (`int`, *optional*): of thinking and answer together; half of the model's context by default.
        temperature (`float`, defaults to 0), top_p, top_k, min_p, repetition_penalty, seed (*optional*): as in
            lighteval's `GenerationParameters`; what is not given is off.
        **settings: all other fields of [`BudgetForcingConfig`]: the budget (`max_thinking_tokens`, `num_ignores`, ...),
            `batch_size`, `dtype`, `revision`, `format`, `system_prompt`, ...

    Raises:
        ValueError: a setting is unknown or out of range, or the tokenizer has no thinking format. OSError: there is no
            such model. ModuleNotFoundError: the extra `eval` is not installed.

    Example:

    ```python
    >>> from s1_hf import embedded
    >>> from s1_hf.traces import Ask, LocalModel
    >>> model = LocalModel(str(embedded.MODEL_PATH), max_thinking_tokens=16, max_new_tokens=200)
    >>> ((ask, trace),), = model.traces([Ask(embedded.Problem(2, 7, 3, 8).question)], lambda rows: None)
    >>> trace.ended, trace.attempt.startswith("Final Answer:")
    ('cut', True)

    ```
    """

    def __init__(self, model: str, *, temperature: float = 0.0, **settings: Any) -> None:
        require("lighteval", "eval")
        from lighteval.models.model_input import GenerationParameters

        from s1_hf.evaluation import BudgetForcingConfig, BudgetForcingModel  # takes seconds

        drawing = {name: settings.pop(name) for name in _DRAWING if name in settings} | {"temperature": temperature}
        self._config = BudgetForcingConfig(
            model_name=model, generation_parameters=GenerationParameters(**drawing), **settings
        )
        self._model: BudgetForcingModel = BudgetForcingModel(self._config)
        context = self._model.max_length
        said = self._config.generation_parameters.max_new_tokens
        self._limit: int = context // 2 if said is None else said
        if not 0 < self._limit < context:
            raise ValueError(
                f"`max_new_tokens` has to be positive and less than the context of {context:,} tokens, which prompt "
                f"and output share, but is {said}."
            )

    @property
    def draws(self) -> bool:
        """Whether two samples of a question can differ: not when decoding is greedy."""
        return self._config.samples

    @cached_property
    def settings(self) -> dict[str, Any]:
        """All that decides what is written, the weights included."""
        config = self._config
        more = ("model_name", "system_prompt", "chat_template_kwargs", "max_answer_tokens", "max_length")
        return {
            **config.deciding,
            **{name: getattr(config, name) for name in more},
            "max_new_tokens": self._limit,
            "weights": self._model.checkpoint.fingerprint,
        }

    def traces(self, asked: Sequence[Ask], on_step: Callable[[int], None]) -> Iterator[list[tuple[Ask, Trace]]]:
        """First the errors, then batches, longest prompts first; the weights are read if there is any batch.

        Raises:
            ValueError: the budget does not fit into `max_new_tokens`.
        """
        from s1_hf.evaluation.batches import plan

        room = self._model.max_length - self._limit
        fitting: dict[Request, Ask] = {}
        errors = []
        for ask in asked:
            request = self._request(ask)
            if len(request.prompt) <= room:
                fitting[request] = ask
            else:
                errors.append((ask, self._too_long(len(request.prompt))))
        if fitting:
            prompt = next(iter(fitting)).prompt
            self._model.check_room("These traces", prompt, self._limit, "`max_new_tokens` allows")
        if errors:
            yield errors
        if fitting:
            generator = self._model.generator(on_step)
            for batch in plan(fitting, self._config.batch_size):
                samples = generator.run(batch)
                traces = [_trace(sample, generator.ends) for sample in samples]
                yield [(fitting[request], trace) for request, trace in zip(batch, traces, strict=True)]

    def _request(self, ask: Ask) -> Request:
        from s1_hf.evaluation.batches import Request
        from s1_hf.generation.chats import prompt_ids

        model, config = self._model, self._config
        chat: Any = [{"role": "user", "content": ask.question}]
        if config.system_prompt is not None:
            chat = [{"role": "system", "content": config.system_prompt}, *chat]
        elif not model.tokenizer.chat_template:
            chat = ask.question
        prompt = tuple(prompt_ids(model.tokenizer, model.format, chat, config.chat_template_kwargs))
        return Request("traces", ask.question, ask.sample, prompt, self._limit, config.max_answer_tokens)

    def _too_long(self, length: int) -> Trace:
        return Trace.failed(
            f"the prompt of {length:,} tokens and `max_new_tokens` of {self._limit:,} are more than the context of "
            f"{self._model.max_length:,}"
        )


def _trace(sample: Sample, ends: Sequence[int]) -> Trace:
    answer_cut = sample.ended != "unfinished" and sample.token_ids[-1] not in ends
    tokens = sample.thinking_tokens, sample.answer_tokens
    return Trace(sample.thinking, sample.answer, *tokens, sample.ended, answer_cut=answer_cut)
