"""Load and check everything that a run needs besides the weights."""

from __future__ import annotations

import logging
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow.compute as pc
import torch
from transformers import AutoConfig, AutoModelForCausalLM, AutoTokenizer, PreTrainedConfig, PreTrainedTokenizerBase
from trl import ModelConfig, SFTConfig, get_peft_config

from s1_hf.data.conversation import LengthSummary, check_delimiters, check_rows
from s1_hf.data.s1k import describe_source, load_s1k
from s1_hf.forcing.families import SIGN
from s1_hf.forcing.formats import ThinkingFormat, format_of_settings
from s1_hf.generation.context import context_of
from s1_hf.memory import checkpoint_bytes
from s1_hf.records import read_text
from s1_hf.sft import guards
from s1_hf.sft.data import IGNORED, show_mask, training_rows
from s1_hf.visible import visible

if TYPE_CHECKING:
    from datasets import Dataset

    from s1_hf.sft.recipe import DataArguments, RunArguments

logger = logging.getLogger(__name__)
_ABOUT = """fine-tuned on {rows:,} reasoning traces with [s1-hf](https://pypi.org/project/s1-hf), following
"s1: Simple test-time scaling" ([arXiv 2501.19393](https://arxiv.org/abs/2501.19393), section 4.1)."""
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
    """

    rows: Dataset
    tokenizer: PreTrainedTokenizerBase
    thinking_format: ThinkingFormat
    source: dict[str, Any]
    steps: int
    about: str


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
    config = AutoConfig.from_pretrained(name, **where)
    tokenizer = AutoTokenizer.from_pretrained(name, **where)
    _set_tokens(tokenizer, data, args)
    written = written_format(data)
    check_delimiters(tokenizer, written)
    thinking_format = format_of_settings(tokenizer, _sign(data))
    with args.main_process_first(desc="preparing the data"):
        dataset = load_s1k(
            data.dataset, path=data.dataset_path, traces=data.dataset_traces, revision=data.dataset_revision
        )
        check_rows(dataset, written)
        rows = training_rows(dataset, tokenizer, thinking_format, args.dataset_num_proc)
    summary = _lengths(rows, args.max_length)
    if data.allow_truncation and args.max_length:
        rows = _with_loss(rows, args.max_length)
    seen = len(rows)
    if args.dataloader_drop_last:
        seen -= seen % (data.global_batch_size // args.gradient_accumulation_steps)
    steps = guards.total_steps(seen, data.global_batch_size, args.num_train_epochs, args.max_steps)
    guards.refuse(
        guards.length_faults(summary, context_of(config), data.allow_truncation)
        + guards.padding_faults(tokenizer)
        + guards.step_faults(steps, data.expected_steps, len(rows))
        + guards.disk_faults(Path(args.output_dir), disk_needed(config, data, args, model_args))
    )
    if args.process_index == 0:
        logger.info("%s\n%s optimizer steps of %s rows", summary, f"{steps:,}", data.global_batch_size)
        logger.info("Row 0:\n%s", visible(show_mask(rows[0], tokenizer)))
    return Prepared(
        rows, tokenizer, thinking_format, asdict(describe_source(dataset)), steps, _ABOUT.format(rows=len(rows))
    )


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
    with torch.device("meta"):
        model = AutoModelForCausalLM.from_config(config)
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


def _sign(data: DataArguments) -> str | dict[str, str]:
    """The format of a recipe, as the settings that a folder carries."""
    written = written_format(data)
    return written if isinstance(written, str) else {"start": written[0], "close": written[1]}


def _set_tokens(tokenizer: PreTrainedTokenizerBase, data: DataArguments, args: SFTConfig) -> None:
    """Set padding token, end of turn and chat template as the recipe asks, before the rows are made.

    And the sign by which whatever is saved with this tokenizer, checkpoints included, is known as of this format.
    """
    tokenizer.init_kwargs[SIGN] = _sign(data)
    template = args.chat_template_path
    if template is not None:
        if not Path(template).is_file():
            raise ValueError(f"`chat_template_path` has to be a Jinja file, but {template!r} is not a file.")
        tokenizer.chat_template = read_text(template)
    set_padding(tokenizer, data.padding_token)
    _set_token(tokenizer, "eos_token", "eos_token", args.eos_token)


def set_padding(tokenizer: PreTrainedTokenizerBase, token: str | None) -> None:
    """Pad with `token`, if a recipe names one; raises a `ValueError` if the vocabulary lacks it."""
    _set_token(tokenizer, "padding_token", "pad_token", token)


def _set_token(tokenizer: PreTrainedTokenizerBase, field: str, attribute: str, token: str | None) -> None:
    if token is None:
        return
    if token not in tokenizer.get_vocab():
        raise ValueError(f"`{field}` has to be a token in the tokenizer's vocabulary, but {token!r} is not.")
    setattr(tokenizer, attribute, token)
