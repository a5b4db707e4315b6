"""Load and check everything that a run needs besides the weights."""

from __future__ import annotations

import logging
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow.compute as pc
from transformers import AutoTokenizer, GenerationConfig, PreTrainedConfig, PreTrainedTokenizerBase
from trl import ModelConfig, SFTConfig, get_peft_config

from s1_hf.data.conversation import LengthSummary, check_delimiters, check_rows, family_of
from s1_hf.data.s1k import describe_source, load_s1k
from s1_hf.finding import config_of_model
from s1_hf.forcing.families import SIGN
from s1_hf.forcing.formats import ThinkingFormat, format_of_settings
from s1_hf.forcing.templates import template_of
from s1_hf.generation.context import context_of
from s1_hf.memory import checkpoint_bytes
from s1_hf.memory.shape import quantised
from s1_hf.sft import guards
from s1_hf.sft.data import IGNORED, show_mask, training_rows
from s1_hf.sft.recipe import ADD, SPLIT
from s1_hf.sft.templates import find_template, read_turn, tokens_of_template
from s1_hf.sft.vocabulary import NewTokens, add_tokens, grown, say, skeleton, vocabulary_faults, without_rows
from s1_hf.visible import visible

if TYPE_CHECKING:
    from datasets import Dataset

    from s1_hf.sft.recipe import DataArguments, RunArguments

logger = logging.getLogger(__name__)
_ABOUT = """fine-tuned on {rows:,} reasoning traces with [s1-hf](https://pypi.org/project/s1-hf), following
"s1: Simple test-time scaling" ([arXiv 2501.19393](https://arxiv.org/abs/2501.19393), section 4.1)."""
_PLAIN = (
    "%r is several tokens here: the thinking of the trained model can be capped, but attempts to end it cannot be "
    "ignored, because its end is known only once it is written. `missing_tokens: add` makes it one token."
)
_BYTES = {"bfloat16": 2, "float16": 2, "float32": 4}


@dataclass(frozen=True)
class Prepared:
    """Everything that a run needs besides the weights.

    Args:
        rows (`Dataset`): `input_ids` and `labels`.
        tokenizer (`PreTrainedTokenizerBase`): the model's tokenizer, with the recipe's padding token.
        thinking_format (`ThinkingFormat`): the delimiters to train.
        source (`dict[str, Any]`): where the data comes from.
        steps (`int`): optimizer steps of the run.
        about (`str`): a sentence for the model's card, which begins with what was done to the base.
        new_tokens ([`NewTokens`]): what the run adds to the vocabulary.
    """

    rows: Dataset
    tokenizer: PreTrainedTokenizerBase
    thinking_format: ThinkingFormat
    source: dict[str, Any]
    steps: int
    about: str
    new_tokens: NewTokens = field(default_factory=NewTokens)


def prepare(data: DataArguments, args: SFTConfig, model_args: ModelConfig) -> Prepared:
    """Load tokenizer and data, make the training rows and apply all guards. No weights are loaded.

    Raises:
        ValueError: the guards refuse the run; the message lists all reasons.
    """
    name = model_args.model_name_or_path
    if name is None:
        raise ValueError("Set `model_name_or_path` to the name of a model on the Hub, or to a local folder.")
    if (data.dataset is None) == (data.dataset_path is None):
        raise ValueError("Set either `dataset` (s1K, s1K-1.1, full59K) or `dataset_path` (local files), not both.")
    where = {"revision": model_args.model_revision, "trust_remote_code": args.trust_remote_code}
    config = config_of_model(name, **where)
    tokenizer = AutoTokenizer.from_pretrained(name, **where)
    written = written_format(data)
    new = set_tokens(tokenizer, data, args, config)
    thinking_format = format_of_settings(tokenizer, tokenizer.init_kwargs[SIGN])
    turn = read_turn(tokenizer, thinking_format, _ends(config, name, where), data.template_options)
    if thinking_format.plain and args.process_index == 0:
        logger.info(_PLAIN, thinking_format.close_text)
    with args.main_process_first(desc="preparing the data"):
        dataset = load_s1k(
            data.dataset,
            path=data.dataset_path,
            columns=data.own_columns,
            traces=data.dataset_traces,
            revision=data.dataset_revision,
        )
        check_rows(dataset, written)
        rows = training_rows(dataset, tokenizer, thinking_format, args.dataset_num_proc, turn)
    summary = _lengths(rows, args.max_length)
    if data.allow_truncation and args.max_length:
        rows = _with_loss(rows, args.max_length)
    seen = len(rows)
    if args.dataloader_drop_last:
        seen -= seen % (data.global_batch_size // args.gradient_accumulation_steps)
    steps = guards.total_steps(seen, data.global_batch_size, args.num_train_epochs, args.max_steps)
    guards.refuse(
        quantised_faults(config, model_args)
        + guards.length_faults(summary, context_of(config), data.allow_truncation)
        + guards.padding_faults(tokenizer)
        + guards.step_faults(steps, data.expected_steps, len(rows))
        + vocabulary_faults(new, config, model_args, data.merge_adapter)
        + guards.disk_faults(Path(args.output_dir), disk_needed(grown(config, new), data, args, model_args))
    )
    if args.process_index == 0:
        logger.info("%s\n%s optimizer steps of %s rows", summary, f"{steps:,}", data.global_batch_size)
        logger.info("Row 0:\n%s", visible(show_mask(rows[0], tokenizer)))
    about = _ABOUT.format(rows=len(rows))
    return Prepared(rows, tokenizer, thinking_format, asdict(describe_source(dataset)), steps, about, new)


def quantised_faults(config: PreTrainedConfig, model_args: ModelConfig) -> list[str]:
    """Whether weights are to be trained that are published quantised, as the trainer says once it has loaded them."""
    method = quantised(config)
    if method is None or model_args.use_peft:
        return []
    return [
        f"The weights of {model_args.model_name_or_path} are quantised ({method}) and cannot be trained: name those "
        "that they were made from, or train an adapter (`use_peft`)."
    ]


def _with_loss(rows: Dataset, max_length: int) -> Dataset:
    """Of rows that are cut, those that keep a token with loss: the trainer would drop the others without a word."""
    kept = rows.filter(lambda labels: any(i != IGNORED for i in labels[:max_length]), input_columns="labels")
    if len(kept) < len(rows):
        logger.warning(
            "%s rows are left out, because their prompt alone fills `max_length`.", f"{len(rows) - len(kept):,}"
        )
    return kept


def _lengths(rows: Dataset, max_length: int | None) -> LengthSummary:
    lengths = pc.list_value_length(rows.data.column("input_ids")).to_pylist()
    trained = pc.sum(pc.not_equal(pc.list_flatten(rows.data.column("labels")), IGNORED)).as_py()
    return LengthSummary(tuple(lengths), trained, max_length)


def disk_needed(config: PreTrainedConfig, data: RunArguments, args: Any, model_args: ModelConfig) -> int:
    """The most bytes that a run writes: checkpoints (weights and AdamW's two moments, in float32) and the result."""
    model: Any = skeleton(config)
    weights = model.num_parameters()
    trained, final = weights, weights * _BYTES[data.save_dtype]
    peft_config = get_peft_config(model_args)
    if peft_config is not None:
        from peft import get_peft_model

        model = get_peft_model(model, peft_config)
        trained = sum(p.numel() for p in model.parameters() if p.requires_grad)
        final = trained * 4 + data.merge_adapter * final
    if args.save_strategy == "no":
        return final
    kept = (args.save_total_limit or 5) + 1  # the new one is written before the oldest goes
    return final + kept * checkpoint_bytes(trained, model_only=args.save_only_model)


def written_format(data: DataArguments) -> str | tuple[str, str]:
    """How the rows of a recipe are written: a format's name, or delimiters of its own.

    Raises:
        ValueError: one delimiter stands without the other.
    """
    if data.thinking_start is None and data.thinking_close is None:
        return data.thinking_format
    if data.thinking_start is None or data.thinking_close is None:
        raise ValueError("`thinking_start` and `thinking_close` need each other: set both, or neither.")
    return data.thinking_start, data.thinking_close


def set_tokens(
    tokenizer: PreTrainedTokenizerBase, data: DataArguments, args: SFTConfig, config: PreTrainedConfig
) -> NewTokens:
    """Set chat template, end of turn and padding as the recipe asks, and add the tokens that the vocabulary lacks.

    And the sign by which whatever is saved with this tokenizer, checkpoints included, is known as of this format.

    Raises:
        ValueError: a token is lacking and is not to be added, or there is no such template.
    """
    written, has_template = written_format(data), args.chat_template_path is not None
    if args.chat_template_path is not None:
        tokenizer.chat_template = find_template(args.chat_template_path)
        args.chat_template_path = None  # the trainer would look for it on the Hub
    named = {"padding_token": data.padding_token, "eos_token": args.eos_token}
    delimiters = missing_delimiters(tokenizer, written, is_own=not has_template)
    wanted = [*delimiters, *(token for token in named.values() if token is not None)]
    if has_template:
        wanted += tokens_of_template(tokenizer, data.template_options)
    lacking = [token for token in dict.fromkeys(wanted) if token not in tokenizer.get_vocab()]
    new = NewTokens()
    if data.missing_tokens == ADD:
        new = add_tokens(tokenizer, lacking, config)
        if args.process_index == 0:
            say(new, tokenizer, config)
    else:
        _refuse_missing(tokenizer, data, named, lacking, config)
    set_padding(tokenizer, data.padding_token)
    _set_token(tokenizer, "eos_token", "eos_token", args.eos_token)
    tokenizer.init_kwargs[SIGN] = _sign(data, is_split=bool(delimiters) and data.missing_tokens == SPLIT)
    return new


def set_padding(tokenizer: PreTrainedTokenizerBase, token: str | None) -> None:
    """Pad with `token`, if a recipe names one; raises a `ValueError` if the vocabulary lacks it."""
    _set_token(tokenizer, "padding_token", "pad_token", token)


def _set_token(tokenizer: PreTrainedTokenizerBase, field: str, attribute: str, token: str | None) -> None:
    if token is None:
        return
    if token not in tokenizer.get_vocab():
        raise ValueError(f"`{field}` has to be a token in the tokenizer's vocabulary, but {token!r} is not.")
    setattr(tokenizer, attribute, token)


def _refuse_missing(
    tokenizer: PreTrainedTokenizerBase,
    data: DataArguments,
    named: dict[str, str | None],
    lacking: list[str],
    config: PreTrainedConfig,
) -> None:
    """What is lacking from a vocabulary and may neither be added nor, as far as it matters, be split."""
    for name, token in named.items():
        if token in lacking:
            raise ValueError(
                f"`{name}` has to be a token in the tokenizer's vocabulary, but {token!r} is not. Choose one of its "
                "tokens, or set `missing_tokens: add`."
            )
    if beyond := without_rows(tokenizer, config):
        raise ValueError(
            f"The tokenizer has tokens for which the model has no row in its embeddings: {', '.join(beyond[:5])}. Set "
            "`missing_tokens: add`, so that they grow."
        )
    if data.missing_tokens == SPLIT:
        return
    written = written_format(data)
    if not set(family_of(written).tokens).isdisjoint(lacking):
        check_delimiters(tokenizer, written)
    if lacking:
        raise ValueError(
            f"The chat template writes {', '.join(map(repr, lacking))}, which this vocabulary has not as one token "
            "each. Set `missing_tokens: add`, or `split` to train them as several tokens, or choose the model's own "
            "template."
        )


def missing_delimiters(
    tokenizer: PreTrainedTokenizerBase, written: str | tuple[str, str], is_own: bool = True
) -> list[str]:
    """The tokens of a format that the vocabulary lacks, unless the model itself writes them as several.

    A model does if its family does (`thought`), or if its own chat template names the tags that its vocabulary splits.
    """
    family, template = family_of(written), template_of(tokenizer)
    is_plain = isinstance(written, str) and set(family.tokens) <= {family.start, family.close}
    if is_plain and is_own and any(text in template for text in family.texts):
        return []
    return [token for token in family.tokens if token not in tokenizer.get_vocab()]


def _sign(data: DataArguments, is_split: bool) -> str | dict[str, Any]:
    """The format of a recipe, as the settings that a folder carries."""
    written = written_format(data)
    if not isinstance(written, str):
        return {"start": written[0], "close": written[1]}
    if not is_split or written == "think":
        return written
    family = family_of(written)
    settings = {"name": written, "start": family.start, "close": family.close, "answer_start": family.answer_start}
    return settings | {"force_start": family.force_start, "interleaved": family.interleaved}


def _ends(config: PreTrainedConfig, name: str, where: dict[str, Any]) -> set[int]:
    """The tokens at which the model stops, by its own settings."""
    where = {key: value for key, value in where.items() if key == "revision"}
    try:
        generation = GenerationConfig.from_pretrained(name, **where)
    except OSError:
        generation = GenerationConfig.from_model_config(config)
    found = generation.eos_token_id
    return set() if found is None else {found} if isinstance(found, int) else set(found)
