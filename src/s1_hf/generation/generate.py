"""Budget forcing in one line: the arguments for `model.generate`, and a helper from prompts to completions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from transformers import GenerationConfig, LogitsProcessorList, StoppingCriteriaList

from s1_hf.forcing.budget import Budget, check_effect
from s1_hf.forcing.collect import collect_budget
from s1_hf.forcing.formats import ThinkingFormat, resolve_format
from s1_hf.generation.cautions import warn_about_arguments
from s1_hf.generation.chats import Completion, Prompt, as_list, completion_of, left_padded, prompt_ids
from s1_hf.generation.config import (
    as_drawn,
    check_generation_config,
    has_length_limit,
    inside,
    merged_config,
    missing_ids,
    rows_per_prompt,
)
from s1_hf.generation.context import context_of, known_context_of
from s1_hf.generation.criteria import (
    AnswerLengthCriteria,
    AnswerStopStrings,
    BudgetedAnswerLength,
    SequenceObserver,
)
from s1_hf.generation.guards import check_generate_arguments, check_model, decoding_rule
from s1_hf.generation.processor import BudgetForcingLogitsProcessor
from s1_hf.generation.streaming import ThinkingStreamer

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase
    from transformers.generation.streamers import BaseStreamer
    from typing_extensions import Unpack

    from s1_hf.forcing.draws import SeededDraws
    from s1_hf.generation.keywords import GenerateKeywords

# Of `generate`'s arguments, those that are not settings of its configuration.
_NOT_SETTINGS = frozenset(
    ("logits_processor", "stopping_criteria", "streamer", "assistant_model", "tokenizer", "assistant_tokenizer")
)


def budget_forcing(
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    *,
    budget: Budget | None = None,
    format: ThinkingFormat | str | None = None,
    max_answer_tokens: int | None = None,
    answer_stop_strings: str | Sequence[str] | None = None,
    generation_config: GenerationConfig | None = None,
    draws: SeededDraws | None = None,
    cuda_graph: bool = False,
    **keywords: Unpack[GenerateKeywords],
) -> dict[str, Any]:
    """The arguments for `model.generate` that give exact budget forcing in the decoding mode they say.

    Args:
        model ([`PreTrainedModel`]): a decoder-only language model; its `generation_config` fills what is not given.
        budget ([`Budget`], *optional*): how long the model thinks; or its fields as single keywords, such as
            `max_thinking_tokens=500`.
        format ([`ThinkingFormat`] or `str`, *optional*): the delimiters; detected from the tokenizer if absent.
        max_answer_tokens (`int`, *optional*): see [`AnswerLengthCriteria`].
        answer_stop_strings (`str` or `Sequence[str]`, *optional*): like `stop_strings`, but only what the model itself
            writes as its answer is looked at; `stop_strings` can also end thinking. Not in beam search.
        generation_config ([`GenerationConfig`], *optional*) and **keywords: what `generate` takes. Processors and
            criteria of your own are kept, and come before ours. Without any length limit generation may fill the
            model's context, instead of `generate`'s default of 20 tokens.
        draws ([`SeededDraws`], *optional*): for sampling: draw each row by its own seed.
        cuda_graph (`bool`, *optional*, defaults to `False`): see [`BudgetForcingLogitsProcessor`].

    Returns:
        `dict`: for `model.generate(**inputs, **kwargs)`. The processor is the last of `kwargs["logits_processor"]`;
        its `reports()` needs the outputs of `generate` only for beam search. Under sampling the processor draws, so
        `kwargs` tell `generate` to take the only token that is possible: settings of sampling are given here, and
        refused beside them; `output_scores` shows which token that was, and `output_logits` the model's own scores.

    Raises:
        ValueError: a setting is out of range, the tokenizer lacks the delimiters, or the model or decoding mode is not
            supported. TypeError: an argument is not of its type.

    Example:

    ```python
    >>> from s1_hf import budget_forcing, embedded
    >>> model, tokenizer = embedded.load()
    >>> chat = [{"role": "user", "content": embedded.Problem(2, 7, 3, 8).question}]
    >>> inputs = tokenizer.apply_chat_template(chat, add_generation_prompt=True, return_tensors="pt", return_dict=True)
    >>> kwargs = budget_forcing(model, tokenizer, max_thinking_tokens=16, do_sample=True, max_new_tokens=100)
    >>> out = model.generate(**inputs, **kwargs)
    >>> kwargs["logits_processor"][-1].reports()[0].thinking_tokens
    16

    ```
    """
    kwargs: dict[str, Any] = dict(keywords)
    budget = collect_budget(budget, kwargs)
    check_effect([budget])
    return forcing_arguments(
        model,
        tokenizer,
        budget,
        format=format,
        max_answer_tokens=max_answer_tokens,
        answer_stop_strings=answer_stop_strings,
        generation_config=generation_config,
        draws=draws,
        cuda_graph=cuda_graph,
        **kwargs,
    )


def forcing_arguments(
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    budget: Budget,
    *,
    format: ThinkingFormat | str | None = None,
    max_answer_tokens: int | None = None,
    answer_stop_strings: str | Sequence[str] | None = None,
    generation_config: GenerationConfig | None = None,
    draws: SeededDraws | None = None,
    cuda_graph: bool = False,
    **kwargs: Any,
) -> dict[str, Any]:
    """[`budget_forcing`] for a budget that may be one of several, some of which use what this one does not."""
    # 1. What was given.
    check_model(model)
    check_generate_arguments(kwargs)
    check_generation_config(generation_config)
    format = resolve_format(tokenizer, format)

    # 2. What is to be done, and what `generate` has to be told besides.
    settings = {name: value for name, value in kwargs.items() if name not in _NOT_SETTINGS}
    config = merged_config(model, generation_config, settings)
    if not has_length_limit(kwargs, generation_config, model.generation_config):
        kwargs["max_length"] = config.max_length = known_context_of(model.config)
    for name in missing_ids(config, tokenizer):
        kwargs[name] = getattr(tokenizer, name)
        setattr(config, name, kwargs[name])
    drawn = as_drawn(config, decoding_rule(config))
    kwargs |= drawn
    if generation_config is not None:  # `generate` wants a configuration or arguments, not both
        kwargs = inside(generation_config, kwargs, is_drawn=bool(drawn))

    # 3. Our processor, after those that were given, and our criteria around them.
    processor = BudgetForcingLogitsProcessor(
        tokenizer,
        budget=budget,
        format=format,
        generation_config=config,
        context=context_of(model.config),
        draws=draws,
        cuda_graph=cuda_graph,
    )
    processor.check_vocabulary(model.config.get_text_config().vocab_size)
    processors = [*(kwargs.get("logits_processor") or []), processor]
    if draws is not None and processor.rule != "sample":
        raise ValueError("`seeds` are for sampling. Set `do_sample=True`, or leave them out.")
    criteria = list(kwargs.get("stopping_criteria") or [])
    if max_answer_tokens is not None and processor.rule == "beam":
        criteria.append(AnswerLengthCriteria(max_answer_tokens, tokenizer, format=processor.format))
        processor.max_answer_tokens = max_answer_tokens
    elif max_answer_tokens is not None:
        criteria.append(BudgetedAnswerLength(max_answer_tokens, processor))
    if answer_stop_strings is not None and processor.rule == "beam":
        raise ValueError("`answer_stop_strings` does not work with beam search. Leave it out, or use `stop_strings`.")
    if answer_stop_strings is not None:
        criteria.append(AnswerStopStrings(answer_stop_strings, tokenizer, processor))
    warn_about_arguments({**config.to_dict(), **kwargs}, budget)
    kwargs["logits_processor"] = LogitsProcessorList(processors)
    kwargs["stopping_criteria"] = StoppingCriteriaList([SequenceObserver(processor, criteria)])
    return kwargs


def processor_in(kwargs: Mapping[str, Any]) -> BudgetForcingLogitsProcessor:
    """The processor among what [`budget_forcing`] returned."""
    (found,) = (one for one in kwargs["logits_processor"] if isinstance(one, BudgetForcingLogitsProcessor))
    return found


def generate(
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    prompts: Prompt | Sequence[Prompt],
    *,
    budget: Budget | None = None,
    format: ThinkingFormat | str | None = None,
    max_answer_tokens: int | None = None,
    answer_stop_strings: str | Sequence[str] | None = None,
    generation_config: GenerationConfig | None = None,
    streamer: BaseStreamer | None = None,
    chat_template_kwargs: Mapping[str, Any] | None = None,
    cuda_graph: bool = False,
    **keywords: Unpack[GenerateKeywords],
) -> list[Completion]:
    """Generate from prompts under a budget, as one batch padded on the left.

    Args:
        prompts: a text, a chat (a list of messages with `role` and `content`), or a list of these. A text becomes a
            user message if the tokenizer has a chat template. A chat that ends with an assistant message is continued.
        budget, format, max_answer_tokens, answer_stop_strings, generation_config, cuda_graph: see [`budget_forcing`],
            as for **keywords.
        streamer ([`BaseStreamer`], *optional*): for a single prompt; an ignored end never reaches it.
            A [`ThinkingStreamer`] tells thinking, forced text and answer apart; [`stream`] lets you iterate over them.
        chat_template_kwargs (`dict`, *optional*): for the chat template, such as `{"enable_thinking": False}`.

    Returns:
        `list[Completion]`: one per prompt, or `num_return_sequences` per prompt, one prompt after the other.

    Raises:
        ValueError, TypeError: as [`budget_forcing`], or a prompt is not one.

    Example:

    ```python
    >>> from s1_hf import embedded, generate
    >>> model, tokenizer = embedded.load()
    >>> completion, = generate(model, tokenizer, embedded.Problem(2, 7, 3, 8).question, max_thinking_tokens=16)
    >>> completion.report.ended, completion.answer.startswith("Final Answer:")
    ('cut', True)

    ```
    """
    check_model(model)
    fmt = resolve_format(tokenizer, format)
    rows = [prompt_ids(tokenizer, fmt, prompt, chat_template_kwargs or {}) for prompt in as_list(prompts)]
    kwargs = budget_forcing(
        model,
        tokenizer,
        budget=budget,
        format=fmt,
        max_answer_tokens=max_answer_tokens,
        answer_stop_strings=answer_stop_strings,
        generation_config=generation_config,
        cuda_graph=cuda_graph,
        **keywords,
    )
    processor = processor_in(kwargs)
    config = processor.generation_config
    assert config is not None
    count = len(rows) * rows_per_prompt(config)
    if streamer is not None and count > 1:
        why = f"{len(rows)} prompts" if len(rows) > 1 else "`num_beams` or `num_return_sequences`"
        raise ValueError(
            f"Text can be streamed of a single prompt and a single row, but {why} make {count} rows. Ask one by "
            "one, or without streaming."
        )
    if isinstance(streamer, ThinkingStreamer):
        streamer.follow(processor)
    processor.check_prompts(rows)  # before the model is run
    inputs = left_padded(rows, 0 if config.pad_token_id is None else config.pad_token_id)
    inputs = {name: tensor.to(model.device) for name, tensor in inputs.items()}
    if config.stop_strings:
        kwargs["tokenizer"] = tokenizer
    outputs = model.generate(**inputs, streamer=streamer, **kwargs)  # type: ignore[operator]
    outputs = getattr(outputs, "sequences", outputs)
    reports = processor.reports(outputs)
    copies = len(reports) // len(rows)
    generated = outputs[:, inputs["input_ids"].shape[1] :].tolist()
    completions = []
    for r, report in enumerate(reports):
        ids = generated[r][: len(report.forced)]
        completions.append(completion_of(tokenizer, processor.automaton, rows[r // copies], ids, report))
    return completions
