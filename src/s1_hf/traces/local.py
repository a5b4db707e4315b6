"""Traces from a model on this machine, under a budget."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict
from functools import cached_property
from typing import TYPE_CHECKING, Any

from s1_hf.forcing.budget import Budget
from s1_hf.forcing.collect import collect_budget
from s1_hf.forcing.report import UNCLOSED
from s1_hf.forcing.values import is_count
from s1_hf.traces.trace import Ask, Trace

if TYPE_CHECKING:
    from typing_extensions import Unpack

    from s1_hf.engines.request import Request
    from s1_hf.forcing.formats import ThinkingFormat
    from s1_hf.forcing.keywords import BudgetKeywords
    from s1_hf.generation.chats import Completion

TASK = "traces"
"""What seeds take for the task of a trace."""

_DTYPES = ("auto", "float32", "bfloat16", "float16")


class LocalModel:
    """A model in a folder or on the Hub, or a LoRA adapter, on a [`TransformersEngine`], [`VllmEngine`] or
    [`EndpointEngine`].

    Greedy by default. When sampling, the draws of a row follow only from `seed`, its question and its sample
    ([`seed_of`]): neither the batch nor the other rows of the pool change them. (Scores are rounded in other ways in
    other batches, which in bfloat16 changes a token now and then.) A question whose prompt leaves no room for
    `max_new_tokens` is an error of that row.

    Args:
        model (`str`): the folder or name; or `"embedded"`.
        budget ([`Budget`], *optional*): how long the model thinks; or its fields as single keywords.
        max_new_tokens (`int`, *optional*): of thinking and answer together; half of the model's context by default.
        max_answer_tokens (`int`, *optional*): see [`AnswerLengthCriteria`].
        temperature (`float`, defaults to 0): 0 is greedy decoding.
        top_p, top_k, min_p (*optional*): see [`Sampling`]; only with a temperature above 0. What is not given is off.
        repetition_penalty (`float`, defaults to 1): as in `generate`.
        seed (`int`, defaults to 0): random seed for sampling.
        batch_size (`int`, defaults to 8): rows of a batch. One that does not fit into a GPU's memory is halved.
        format ([`ThinkingFormat`], `str` or `dict`, *optional*): the thinking format or its name, or its settings, see
            [`s1_hf.forcing.formats.format_of_settings`]; detected from the tokenizer if absent.
        system_prompt (`str`, *optional*): put before each question.
        chat_template (`bool`, defaults to `True`): if not, questions are asked as bare text.
        chat_template_kwargs (`dict`, *optional*): for the chat template, such as `{"enable_thinking": True}`.
        max_length (`int`, *optional*): tokens of prompt and output together; the model's context by default.
        revision (`str`, defaults to `"main"`): of a model on the Hub.
        trust_remote_code (`bool`, defaults to `False`), dtype (`str`, defaults to `"auto"`), device_map,
            attn_implementation (`str`, *optional*): for `from_pretrained`. In float32 greedy answers do not depend on
            the batch size.
        engine (`str`, defaults to `"transformers"`): or `"vllm"`, which takes no adapter, `repetition_penalty`,
            `device_map` or `attn_implementation`; or the address of a server that runs the model, such as
            `"http://localhost:8000/v1"`, see [`EndpointEngine`], which takes no `dtype` either.
        engine_options (`dict`, *optional*): for vLLM, such as `{"tensor_parallel_size": 8}`, or for a server, such as
            `{"concurrency": 64}`.

    Raises:
        ValueError: a setting is unknown or out of range, or the tokenizer has no thinking format. OSError: there is no
            such model.

    Example:

    ```python
    >>> from s1_hf import embedded
    >>> from s1_hf.traces import Ask, LocalModel
    >>> model = LocalModel("embedded", max_thinking_tokens=16, max_new_tokens=200)
    >>> ((ask, trace),), = model.traces([Ask(embedded.Problem(2, 7, 3, 8).question)], lambda rows: None)
    >>> trace.ended, trace.attempt.startswith("Final Answer:")
    ('cut', True)

    ```
    """

    def __init__(
        self,
        model: str,
        *,
        budget: Budget | None = None,
        max_new_tokens: int | None = None,
        max_answer_tokens: int | None = None,
        temperature: float = 0.0,
        top_p: float | None = None,
        top_k: int | None = None,
        min_p: float | None = None,
        repetition_penalty: float = 1.0,
        seed: int = 0,
        batch_size: int = 8,
        format: ThinkingFormat | str | dict[str, Any] | None = None,
        system_prompt: str | None = None,
        chat_template: bool = True,
        chat_template_kwargs: Mapping[str, Any] | None = None,
        max_length: int | None = None,
        revision: str = "main",
        trust_remote_code: bool = False,
        dtype: str = "auto",
        device_map: str | None = None,
        attn_implementation: str | None = None,
        engine: str = "transformers",
        engine_options: Mapping[str, Any] | None = None,
        **keywords: Unpack[BudgetKeywords],
    ) -> None:
        from s1_hf.engines.checkpoint import Checkpoint  # takes seconds, as all that loads transformers
        from s1_hf.engines.endpoint.options import check_options, is_address
        from s1_hf.engines.made import engine_for
        from s1_hf.engines.request import Request, Sampling
        from s1_hf.engines.room import wanted_context
        from s1_hf.forcing.formats import format_of_settings

        # 1. What needs no model to be checked.
        self._budget = collect_budget(budget, dict(keywords), nothing_else=type(self).__name__)
        counts = {"max_answer_tokens": max_answer_tokens, "batch_size": batch_size, "max_length": max_length}
        _check_settings(counts, self._budget, dtype=dtype, repetition_penalty=repetition_penalty, seed=seed)
        drawing: dict[str, Any] = {"top_p": top_p, "top_k": top_k, "min_p": min_p}
        drawing = {name: value for name, value in drawing.items() if value is not None}
        if temperature == 0 and drawing:
            names = ", ".join(f"`{name}`" for name in drawing)
            raise ValueError(f"{names} need a `temperature` above 0. Set it (the paper's is 1), or leave them out.")
        self._sampling = None if temperature == 0 else Sampling(temperature=temperature, **drawing)
        self._name, self._seed, self._penalty = model, seed, repetition_penalty
        self._answer_limit, self._max_length, self._dtype = max_answer_tokens, max_length, dtype
        self._system, self._template = system_prompt, dict(chat_template_kwargs or {})

        # 2. The model, but for its weights.
        self._bare = not chat_template
        self._checkpoint = Checkpoint.find(
            model, revision=revision, trust_remote_code=trust_remote_code, chat_template=chat_template
        )
        if engine != "transformers" and (device_map or attn_implementation):
            raise ValueError("`device_map` and `attn_implementation` are for transformers. Use `engine_options`.")
        if is_address(engine):
            if dtype != "auto":
                raise ValueError(f"`dtype` is the server's business, but is {dtype!r}. Leave it out.")
            check_options(engine_options or {})
        elif engine != "vllm" and (engine != "transformers" or engine_options):
            raise ValueError(
                "`engine` has to be 'transformers', without `engine_options`, or 'vllm', or an address such as "
                f"'http://localhost:8000/v1', but is {engine!r} with {engine_options!r}."
            )
        self._engine = engine_for(
            self._checkpoint,
            engine,
            format=format_of_settings(self._checkpoint.tokenizer, format),
            batch_size=batch_size,
            dtype=dtype,
            max_length=max_length,
            options=engine_options,
            loading={"device_map": device_map, "attn_implementation": attn_implementation},
        )

        # 3. How much it may write.
        self._context = wanted_context(self._engine.context, max_length)
        self._limit: int = self._context // 2 if max_new_tokens is None else max_new_tokens
        if not is_count(self._limit) or not 0 < self._limit < self._context:
            raise ValueError(
                f"`max_new_tokens` has to be positive and less than the context of {self._context:,} tokens, which "
                f"prompt and output share, but is {max_new_tokens!r}."
            )
        self._engine.check([Request(prompt=(), max_new_tokens=self._limit, budget=self._budget)])

    @property
    def draws(self) -> bool:
        """Whether two samples of a question can differ: not when decoding is greedy."""
        return self._sampling is not None

    @cached_property
    def settings(self) -> dict[str, Any]:
        """All that decides what is written, the weights included."""
        identity, other = self._engine.identity, {}
        if identity["engine"] != "transformers":  # folders from before there was another engine do not name theirs
            other = {name: said for name, said in identity.items() if name not in ("weights", "format")}
        if self._bare:  # nor do folders from before that could be said
            other["chat_template"] = False
        return {
            **other,
            "model": self._name,
            "weights": self._checkpoint.fingerprint,
            "dtype": self._dtype,
            "format": asdict(self._engine.format),
            "budget": self._budget.to_dict(),
            "max_new_tokens": self._limit,
            "max_answer_tokens": self._answer_limit,
            "max_length": self._max_length,
            "sampling": None if self._sampling is None else asdict(self._sampling),
            "seed": None if self._sampling is None else self._seed,
            "repetition_penalty": self._penalty,
            "system_prompt": self._system,
            "chat_template_kwargs": self._template,
        }

    def traces(self, asked: Sequence[Ask], on_step: Callable[[int], None]) -> Iterator[list[tuple[Ask, Trace]]]:
        """First the errors, then batches, longest prompts first; the weights are read if there is any batch.

        Raises:
            ValueError: the budget does not fit into `max_new_tokens`.
        """
        from s1_hf.engines.room import check_room
        from s1_hf.forcing.automaton import Automaton

        # 1. What fits into the context.
        fitting: list[Request] = []
        errors = []
        for ask in asked:
            request = self._request(ask)
            if len(request.prompt) + self._limit <= self._context:
                fitting.append(request)
            else:
                errors.append((ask, self._too_long(len(request.prompt))))
        # 2. Whether the budget does, before anything is generated.
        engine = self._engine
        if fitting:
            check_room(
                Automaton.of(engine.tokenizer, engine.format, self._budget),
                self._budget,
                fitting[0].prompt,
                self._limit,
                self._answer_limit,
                what="These traces",
                allowed="`max_new_tokens` allows",
            )
        # 3. The traces.
        if errors:
            yield errors
        for batch in engine.run(fitting, on_step):
            yield [(Ask(request.problem, request.sample), self._trace(completion)) for request, completion in batch]

    def _request(self, ask: Ask) -> Request:
        from s1_hf.engines.request import Request, seed_of
        from s1_hf.generation.chats import behind_system, prompt_ids

        tokenizer = self._engine.tokenizer
        prompt = behind_system(tokenizer, ask.question, self._system)
        return Request(
            prompt=tuple(prompt_ids(tokenizer, self._engine.format, prompt, self._template)),
            max_new_tokens=self._limit,
            budget=self._budget,
            max_answer_tokens=self._answer_limit,
            sampling=self._sampling,
            seed=seed_of(self._seed, TASK, ask.question, ask.sample),
            repetition_penalty=self._penalty,
            task=TASK,
            problem=ask.question,
            sample=ask.sample,
        )

    def _trace(self, completion: Completion) -> Trace:
        report = completion.report
        unclosed = report.ended in UNCLOSED
        return Trace(
            thinking=completion.thinking,
            attempt="" if unclosed else completion.answer,
            thinking_tokens=report.thinking_tokens,
            answer_tokens=report.answer_tokens,
            ended=report.ended,
            answer_cut=not unclosed and completion.token_ids[-1] not in self._engine.ends,
        )

    def _too_long(self, length: int) -> Trace:
        return Trace.failed(
            f"the prompt of {length:,} tokens and `max_new_tokens` of {self._limit:,} are more than the context of "
            f"{self._context:,}"
        )


def _check_settings(counts: dict[str, Any], budget: Budget, *, dtype: Any, repetition_penalty: Any, seed: Any) -> None:
    """Everything that is wrong, at once."""
    bad = []
    for name, value in counts.items():
        if value is None and name != "batch_size":
            continue
        if not is_count(value) or value < 1:
            bad.append(f"`{name}` has to be an integer of at least 1, but is {value!r}.")
    if budget.num_prompts:
        bad.append(f"The budget has to have single values, not one per question, but is {budget}.")
    if dtype not in _DTYPES:
        bad.append(f"`dtype` has to be one of {', '.join(_DTYPES)}, but is {dtype!r}.")
    is_number = isinstance(repetition_penalty, (int, float)) and not isinstance(repetition_penalty, bool)
    if not is_number or not 0 < repetition_penalty < math.inf:
        bad.append(f"`repetition_penalty` has to be a number above 0, but is {repetition_penalty!r}.")
    if not is_count(seed) or seed < 0:
        bad.append(f"`seed` has to be an integer of at least 0, but is {seed!r}.")
    if bad:
        raise ValueError(" ".join(bad))
