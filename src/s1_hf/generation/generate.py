"""Budget forcing in one line: the arguments for `model.generate`, and a helper from prompts to completions."""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import torch
from transformers import GenerationConfig, GenerationMixin, LogitsProcessorList, StoppingCriteriaList

from s1_hf.forcing.budget import LoopGuard
from s1_hf.forcing.decisions import first_state
from s1_hf.forcing.formats import ThinkingFormat
from s1_hf.forcing.report import Report
from s1_hf.generation.criteria import AnswerLengthCriteria, BudgetedAnswerLength, SequenceObserver
from s1_hf.generation.processor import BudgetForcingLogitsProcessor, resolve_format
from s1_hf.generation.streaming import ThinkingStreamer

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase
    from transformers.generation.streamers import BaseStreamer

Message = Mapping[str, Any]
Prompt = str | Sequence[Message]


@dataclass(frozen=True)
class Completion:
    """One generated row.

    Args:
        thinking (`str`): the generated text between the delimiters, without the space around it; empty if none;
            several blocks of an interleaved format stand on lines of their own.
        answer (`str`): the text behind the closing delimiter, likewise; everything if the model never thought.
        text (`str`): everything that was generated, delimiters included, without the end of sequence.
        token_ids (`tuple[int, ...]`): all generated ids, the end of sequence included, padding not.
        forced (`tuple[bool, ...]`): for each of these, whether it was forced.
        report ([`Report`]): what budget forcing did.
    """

    thinking: str
    answer: str
    text: str
    token_ids: tuple[int, ...]
    forced: tuple[bool, ...]
    report: Report


def budget_forcing(
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    *,
    format: ThinkingFormat | str | None = None,
    max_thinking_tokens: int | Literal["auto"] | None | Sequence[int | None] = None,
    min_thinking_tokens: int | Sequence[int] = 0,
    num_ignores: int | Sequence[int] = 0,
    wait_text: str | Sequence[str] | None = "Wait",
    answer_prefix: str | None = "Final Answer:",
    loop_guard: LoopGuard | None = None,
    max_answer_tokens: int | None = None,
    generation_config: GenerationConfig | None = None,
    **generate_kwargs: Any,
) -> dict[str, Any]:
    """The arguments for `model.generate` that give exact budget forcing in the decoding mode they say.

    Args:
        model ([`PreTrainedModel`]): a decoder-only language model; its `generation_config` fills what is not given.
        format, max_thinking_tokens, min_thinking_tokens, num_ignores, wait_text, answer_prefix, loop_guard: see
            [`BudgetForcingLogitsProcessor`].
        max_answer_tokens (`int`, *optional*): see [`AnswerLengthCriteria`].
        generation_config ([`GenerationConfig`], *optional*) and **generate_kwargs: what `generate` takes. Processors
            and criteria of your own are kept, and come before ours. Without any length limit generation may fill the
            model's context, instead of `generate`'s default of 20 tokens.

    Returns:
        `dict`: for `model.generate(**inputs, **kwargs)`. The processor is `kwargs["logits_processor"][-1]`; its
        `reports()` needs the outputs of `generate` for beam search alone.

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
    check_model(model)
    _check_mode(generate_kwargs)
    if generation_config is not None and not isinstance(generation_config, GenerationConfig):
        raise TypeError(f"`generation_config` has to be a GenerationConfig, but is {generation_config!r}.")
    format = resolve_format(tokenizer, format)
    kwargs = dict(generate_kwargs)
    own = {"logits_processor", "stopping_criteria", "streamer", "assistant_model", "tokenizer", "assistant_tokenizer"}
    settings = {k: v for k, v in kwargs.items() if k not in own}
    config = _configuration(model, generation_config, settings)
    if not _has_length(kwargs, generation_config, model.generation_config):
        kwargs["max_length"] = config.max_length = _context(model)
    for name in ("eos_token_id", "pad_token_id"):
        if getattr(config, name) is None and getattr(tokenizer, name) is not None:
            kwargs[name] = getattr(tokenizer, name)
            setattr(config, name, kwargs[name])
    if generation_config is not None:  # `generate` wants a configuration or arguments, not both
        merged = copy.deepcopy(generation_config)
        kwargs = merged.update(**kwargs) | {"generation_config": merged}
    processor = BudgetForcingLogitsProcessor(
        tokenizer,
        format=format,
        max_thinking_tokens=max_thinking_tokens,
        min_thinking_tokens=min_thinking_tokens,
        num_ignores=num_ignores,
        wait_text=wait_text,
        answer_prefix=answer_prefix,
        loop_guard=loop_guard,
        generation_config=config,
    )
    processor.context = context_of(model)
    processor.check_vocabulary(model.config.get_text_config().vocab_size)
    criteria = list(kwargs.get("stopping_criteria") or [])
    if max_answer_tokens is not None:
        criteria.append(
            AnswerLengthCriteria(max_answer_tokens, tokenizer, format=processor.format)  # asked of candidates as well
            if processor.rule == "beam"
            else BudgetedAnswerLength(max_answer_tokens, processor)
        )
    kwargs["logits_processor"] = LogitsProcessorList([*(kwargs.get("logits_processor") or []), processor])
    kwargs["stopping_criteria"] = StoppingCriteriaList([SequenceObserver(processor, criteria)])
    return kwargs


def generate(
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    prompts: Prompt | Sequence[Prompt],
    *,
    streamer: BaseStreamer | None = None,
    chat_template_kwargs: Mapping[str, Any] | None = None,
    **budgets_and_generate_kwargs: Any,
) -> list[Completion]:
    """Generate from prompts under a budget, as one batch padded on the left.

    Args:
        prompts: a text, a chat (a list of messages with `role` and `content`), or a list of these. A text becomes a
            user message if the tokenizer has a chat template. A chat that ends with an assistant message is continued.
        streamer ([`BaseStreamer`], *optional*): for a single prompt; an ignored end never reaches it.
            A [`s1_hf.generation.streaming.ThinkingStreamer`] tells thinking, forced text and answer apart.
        chat_template_kwargs (`dict`, *optional*): for the chat template, such as `{"enable_thinking": False}`.
        **budgets_and_generate_kwargs: see [`budget_forcing`].

    Returns:
        `list[Completion]`: one per prompt, or `num_return_sequences` per prompt, one prompt after the other.

    Raises:
        ValueError, TypeError: as [`budget_forcing`], or a prompt is none.

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
    fmt = resolve_format(tokenizer, budgets_and_generate_kwargs.pop("format", None))
    rows = [prompt_ids(tokenizer, fmt, prompt, chat_template_kwargs or {}) for prompt in as_list(prompts)]
    kwargs = budget_forcing(model, tokenizer, format=fmt, **budgets_and_generate_kwargs)
    processor = kwargs["logits_processor"][-1]
    config = processor.generation_config
    count = len(rows) * max(config.num_return_sequences or 1, config.num_beams or 1)
    if streamer is not None and count > 1:
        raise ValueError(f"`streamer` has to have a single prompt, as in `generate`, but there are {count} rows.")
    if isinstance(streamer, ThinkingStreamer):
        streamer.follow(processor)
    places = [processor.automaton.enter(row) for row in rows for _ in range(count // len(rows))]
    processor.lay_out(first_state(places), max(map(len, rows)))  # raises before the model is run
    inputs = left_padded(rows, 0 if config.pad_token_id is None else config.pad_token_id)
    inputs = {k: v.to(model.device) for k, v in inputs.items()}
    if config.stop_strings:
        kwargs["tokenizer"] = tokenizer
    outputs = model.generate(**inputs, streamer=streamer, **kwargs)  # type: ignore[operator]
    outputs = getattr(outputs, "sequences", outputs)
    reports = processor.reports(outputs)
    copies = len(reports) // len(rows)
    generated = outputs[:, inputs["input_ids"].shape[1] :].tolist()
    return [
        completion_of(tokenizer, processor, rows[r // copies], generated[r][: len(report.forced)], report)
        for r, report in enumerate(reports)
    ]


def _configuration(
    model: PreTrainedModel, given: GenerationConfig | None, settings: dict[str, Any]
) -> GenerationConfig:
    """What `generate` will make of a configuration and single settings, of which it wants one or the other."""
    prepare: Any = model._prepare_generation_config
    if given is None:
        return prepare(None, **settings)[0]
    merged = copy.deepcopy(given)
    merged.update(**settings)
    return prepare(merged)[0]


def completion_of(
    tokenizer: PreTrainedTokenizerBase,
    processor: BudgetForcingLogitsProcessor,
    prompt: list[int],
    ids: list[int],
    report: Report,
) -> Completion:
    """The completion of one row, from the `ids` generated behind its `prompt`."""
    body = ids[:-1] if ids and ids[-1] in processor.eos_token_ids else ids
    spans, answer = processor.automaton.split(prompt, body)
    thinking = [str(tokenizer.decode(body[begin:end], skip_special_tokens=False)).strip() for begin, end in spans]
    return Completion(
        thinking="\n".join(thinking),
        answer=str(tokenizer.decode(body[answer:], skip_special_tokens=True)).strip(),
        text=str(tokenizer.decode(body, skip_special_tokens=False)),
        token_ids=tuple(ids),
        forced=report.forced,
        report=report,
    )


def as_list(prompts: Prompt | Sequence[Prompt]) -> list[Prompt]:
    """One prompt or several, as a list; raises a `ValueError` if there is none."""
    if isinstance(prompts, str) or (isinstance(prompts, Sequence) and prompts and isinstance(prompts[0], Mapping)):
        return [prompts]  # type: ignore[list-item]
    if not isinstance(prompts, Sequence) or not prompts:
        raise ValueError(
            f"`prompts` has to be a text, a chat, or a list of these with at least one, but is {prompts!r}."
        )
    return list(prompts)  # type: ignore[arg-type]


def prompt_ids(
    tokenizer: PreTrainedTokenizerBase, fmt: ThinkingFormat, prompt: Prompt, options: Mapping[str, Any]
) -> list[int]:
    """A prompt as ids, by the chat template if there is one; raises a `ValueError` if it is none."""
    if isinstance(prompt, str) and not tokenizer.chat_template:
        ids = list(tokenizer(prompt)["input_ids"])  # with its BOS, which a chat template would have written
    else:
        chat = [{"role": "user", "content": prompt}] if isinstance(prompt, str) else prompt
        _check_chat(chat)
        if not tokenizer.chat_template:
            raise ValueError("A chat needs a chat template, which this tokenizer does not have. Pass texts instead.")
        ids = list(tokenizer.encode(_render(tokenizer, fmt, chat, options), add_special_tokens=False))
    if not ids:
        raise ValueError(f"A prompt has to be at least one token, but {prompt!r} is none.")
    return ids


def _check_chat(chat: Any) -> None:
    if not isinstance(chat, Sequence) or not chat or not all(isinstance(m, Mapping) and "role" in m for m in chat):
        raise ValueError(
            "A prompt has to be a text or a chat, a list of messages such as {'role': 'user', 'content': '...'}, "
            f"but is {chat!r}."
        )
    asked = [m for m in chat if m["role"] in ("user", "system")] + [chat[-1]]
    if not all(isinstance(m.get("content"), (str, list)) for m in asked):
        raise ValueError(f"Every user and system message has to have a `content`, but the chat is {chat!r}.")


def _render(
    tokenizer: PreTrainedTokenizerBase, fmt: ThinkingFormat, chat: Sequence[Message], options: Mapping[str, Any]
) -> str:
    """The chat as text, up to where the model goes on; what the assistant has begun stays as it is written.

    Templates rewrite assistant messages (Qwen3's closes thinking before them), so that a begun one is put behind the
    generation prompt instead.
    """
    own = chat[-1]["content"] if chat[-1]["role"] == "assistant" and len(chat) > 1 else ""
    messages = [dict(m) for m in (chat[:-1] if own else chat)]
    text = str(tokenizer.apply_chat_template(messages, tokenize=False, add_generation_prompt=True, **options))
    if own and str(own).lstrip().startswith(fmt.start_text) and text.rstrip().endswith(fmt.start_text):
        text = text.rstrip()[: -len(fmt.start_text)]
    return text + str(own)


def left_padded(rows: list[list[int]], pad: int) -> dict[str, torch.Tensor]:
    """`input_ids` and `attention_mask` of shape `(batch_size, width)`."""
    width = max(map(len, rows))
    return {
        "input_ids": torch.tensor([[pad] * (width - len(row)) + row for row in rows]),
        "attention_mask": torch.tensor([[0] * (width - len(row)) + [1] * len(row) for row in rows]),
    }


def check_model(model: Any) -> None:
    """Raises a `TypeError` or `ValueError` for what cannot be budget forced."""
    adapted = isinstance(getattr(model, "base_model", None), torch.nn.Module) and hasattr(model, "generate")  # PEFT
    if not (isinstance(model, GenerationMixin) or adapted):
        raise TypeError(
            f"`model` has to be a transformers model that can generate, but is {type(model).__name__}. Load it with "
            "`AutoModelForCausalLM.from_pretrained(...)`."
        )
    if model.config.is_encoder_decoder:
        raise ValueError(
            f"`model` has to be decoder-only, but {type(model).__name__} is an encoder-decoder model: its thinking is "
            "not in the prompt that budget forcing reads."
        )


def _check_mode(kwargs: Mapping[str, Any]) -> None:
    constrained = [name for name in ("constraints", "force_words_ids") if kwargs.get(name) is not None]
    if constrained:
        raise ValueError(
            f"Of the decoding modes not supported is constrained beam search ({', '.join(constrained)}). Leave it out."
        )
    if kwargs.get("custom_generate") is not None:
        raise ValueError("Budget forcing does not know what `custom_generate` does with the scores. Leave it out.")
    if kwargs.get("cache_implementation") == "paged" or kwargs.get("continuous_batching"):
        raise ValueError(
            "Budget forcing has to see whole sequences, which continuous batching does not hand over (transformers "
            "builds its processors from the generation config alone). Use `generate` without it."
        )


def _has_length(kwargs: Mapping[str, Any], given: GenerationConfig | None, saved: GenerationConfig) -> bool:
    """Whether a length limit was given, and not left to `generate`'s default of 20 tokens, which old models save."""
    default = GenerationConfig().max_length
    said = [kwargs.get("max_length"), kwargs.get("max_new_tokens"), saved.max_new_tokens]
    said += [given.max_new_tokens, given.max_length if given.max_length != default else None] if given else []
    return any(n is not None for n in said) or saved.max_length not in (None, 20)


def context_of(model: PreTrainedModel) -> int | None:
    """How many positions the model was made for, if its configuration says so."""
    return getattr(model.config.get_text_config(), "max_position_embeddings", None)


def _context(model: PreTrainedModel) -> int:
    context = context_of(model)
    if context is None:
        raise ValueError("`max_new_tokens` has to be given: this model's configuration does not say its context size.")
    return int(context)
