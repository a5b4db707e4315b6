"""Tokens that a run adds to a model's vocabulary: which, with which rows to begin with, and that they are trained.

A new row begins as the mean of the rows of the text's own pieces, in the input and in the output embeddings: for
`<think>` those of `<`, `think` and `>` ("Fast Vocabulary Transfer for Language Model Compression",
https://arxiv.org/abs/2402.09977, section 3). The mean of the whole vocabulary (https://nlp.stanford.edu/~johnhew/vocab-expansion.html)
would give `<think>` and `</think>` the same row. What that article asks for holds here as well: a mean of logits is at
most their largest, so that no new token is likelier than the likeliest of its pieces, and the others keep their shares.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import torch
from accelerate import PartialState
from transformers import AddedToken, AutoModelForCausalLM
from transformers.integrations.deepspeed import is_deepspeed_zero3_enabled
from transformers.integrations.fsdp import is_fsdp_enabled
from trl import get_peft_config

from s1_hf.forcing.vocabulary import encode

if TYPE_CHECKING:
    from peft import PeftConfig
    from transformers import PreTrainedConfig, PreTrainedModel, PreTrainedTokenizerBase
    from trl import ModelConfig

logger = logging.getLogger(__name__)

_PARTS = re.compile(r"[^\W_]+|[\W_]+")
_MULTIPLE = 64  # of rows where embeddings grow, which matrix units like and published models have


@dataclass(frozen=True)
class NewTokens:
    """The tokens whose rows begin as means of others.

    Args:
        pieces (`dict[int, tuple[int, ...]]`): by the id of a new token, the ids of what its text was before.
        rows (`int`, *optional*): rows that the embeddings grow to; `None` where they have room already.
        known (`int`): tokens that the vocabulary had before.
    """

    pieces: dict[int, tuple[int, ...]] = field(default_factory=dict)
    rows: int | None = None
    known: int = 0

    @property
    def ids(self) -> list[int]:
        """Their ids, in order."""
        return sorted(self.pieces)


def add_tokens(tokenizer: PreTrainedTokenizerBase, texts: Iterable[str], config: PreTrainedConfig) -> NewTokens:
    """Add texts to a vocabulary, and say what becomes of the model's rows; those that lack a row are counted as well.

    `<|x|>` becomes a special token, which decoding can leave out; other texts, such as `<think>`, are kept.
    """
    rows, known = _rows(config), len(tokenizer)
    pieces = {text: _pieces(tokenizer, text) for text in texts}
    for text in pieces:
        is_special = text.startswith("<|") and text.endswith("|>")
        tokenizer.add_tokens([AddedToken(text, special=is_special, normalized=False)], special_tokens=is_special)
    pieces |= {text: _pieces(tokenizer, text) for text in without_rows(tokenizer, config) if text not in pieces}
    if not pieces:
        return NewTokens()
    by_id = {tokenizer.get_vocab()[text]: found for text, found in pieces.items()}
    unknown = {tokenizer.unk_token_id, *by_id}
    by_id = {i: tuple(p for p in found if p not in unknown and p < rows) for i, found in by_id.items()}
    last = max(by_id)
    grown = None if last < rows else -(-(last + 1) // _MULTIPLE) * _MULTIPLE
    return NewTokens(by_id, grown, min(known, rows))


def without_rows(tokenizer: PreTrainedTokenizerBase, config: PreTrainedConfig) -> list[str]:
    """The tokens of a vocabulary for which the model has no row in its embeddings."""
    rows = _rows(config)
    return [text for text, i in sorted(tokenizer.get_vocab().items(), key=lambda entry: entry[1]) if i >= rows]


def say(new: NewTokens, tokenizer: PreTrainedTokenizerBase, config: PreTrainedConfig) -> None:
    """Log what is added, and whether the embeddings grow."""
    if not new.pieces:
        logger.info("`missing_tokens: add` has nothing to add: the vocabulary has all tokens that the run needs.")
        return
    added = ", ".join(f"{tokenizer.convert_ids_to_tokens(i)!r} ({i})" for i in new.ids)
    rows = _rows(config)
    room = f"have {rows:,} rows already, and stay as they are"
    if new.rows is not None:
        room = f"grow from {rows:,} to {new.rows:,} rows"
    logger.info("New tokens: %s. The embeddings %s. New rows begin as the mean of their text's pieces.", added, room)


def grown(config: PreTrainedConfig, new: NewTokens) -> PreTrainedConfig:
    """The config of the model that is trained."""
    if new.rows is None:
        return config
    copy = type(config).from_dict(config.to_dict())
    copy.get_text_config(decoder=True).vocab_size = new.rows
    return copy


def skeleton(config: PreTrainedConfig) -> PreTrainedModel:
    """The model without weights."""
    with torch.device("meta"):
        model = AutoModelForCausalLM.from_config(config)
    model.tie_weights()  # transformers 5.0 does not do it on this device
    return model


def vocabulary_faults(new: NewTokens, config: PreTrainedConfig, model_args: ModelConfig, merge: bool) -> list[str]:
    """What would leave new rows without values or untrained."""
    if not new.pieces:
        return []
    model, rows, faults = skeleton(config), _rows(config), []
    embeddings = {id(weight) for weight in _embeddings(model)}
    others = [
        name
        for name, weight in model.named_parameters()
        if len(weight) == rows and weight.dim() > 1 and id(weight) not in embeddings
    ]
    if others and new.rows is not None:
        faults.append(
            f"The model keeps more rows of each token than its embeddings ({', '.join(others[:3])}), which cannot grow "
            "here. Choose delimiters that its vocabulary has."
        )
    if not model_args.use_peft:
        return faults
    if new.rows is not None and not merge:
        faults.append(
            f"The embeddings have to grow from {rows:,} to {new.rows:,} rows, and an adapter alone would not fit its "
            "base any more: set `merge_adapter`, and use the result in `merged/`."
        )
    if getattr(model.get_output_embeddings(), "bias", None) is not None:
        faults.append(
            "The output embeddings have a bias, and an adapter cannot train that of new tokens: leave out `use_peft`, "
            "or choose delimiters that the vocabulary has."
        )
    targets = model_args.lora_target_modules or []
    targets = [targets] if isinstance(targets, str) else targets
    saved = model_args.lora_modules_to_save or []
    places = _places(model)
    twice = [place for place in places if _named(place, targets)]
    if twice:
        faults.append(
            f"Leave {', '.join(twice)} out of `lora_target_modules`: the rows of the new tokens are trained themselves."
        )
    if len(places) == 1 and (tied := [name for name in saved if _named(name, _tied_names(model))]):
        faults.append(
            f"Leave {', '.join(tied)} out of `lora_modules_to_save`: input and output embeddings are one here, of "
            "which the rows of the new tokens are trained."
        )
    return faults


def peft_config_for(model: PreTrainedModel, model_args: ModelConfig, new: NewTokens) -> PeftConfig | None:
    """TRL's adapter, which also trains the rows of new tokens, in the input and in the output embeddings."""
    config: Any = get_peft_config(model_args)
    if config is None or not new.pieces:
        return config
    saved = config.modules_to_save or []
    places = [place for place in _places(model) if not _named(place, saved)]  # which are trained as a whole
    if places:
        config.trainable_token_indices = {place: new.ids for place in places}
    return config


def refuse_spread() -> None:
    """Raise a `ValueError` where weights are spread over processes while they are loaded."""
    if is_deepspeed_zero3_enabled():
        raise ValueError(
            "`missing_tokens: add` is not supported with DeepSpeed ZeRO-3, whose weights are spread before they can "
            "grow. Use FSDP, as the machines of s1-hf do."
        )


@torch.no_grad()
def give_rows(model: PreTrainedModel, new: NewTokens) -> None:
    """Grow a model's embeddings if they have to, and set the rows of new tokens.

    With FSDP only one process of a machine holds weights, and the others are sent them later.

    Raises:
        ValueError: a new row is not finite, because the rows of its pieces are not.
    """
    if new.rows is not None:
        model.resize_token_embeddings(new.rows, mean_resizing=False)
    is_held = not is_fsdp_enabled() or PartialState().is_local_main_process
    for weight in _embeddings(model):
        whole = weight[: new.known].mean(0, dtype=torch.float32)
        for i, pieces in new.pieces.items():
            row = weight[list(pieces)].mean(0, dtype=torch.float32) if pieces else whole
            if is_held and not torch.isfinite(row).all():
                raise ValueError(
                    f"The row of the new token {i} would not be finite, because those of its pieces {list(pieces)} in "
                    f"the weights of {model.name_or_path} are not. Check these weights."
                )
            weight[i] = row.to(weight.dtype)
        if new.rows is not None:  # nobody's, up to the multiple
            weight[max(new.ids) + 1 :] = whole.to(weight.dtype)


def _rows(config: PreTrainedConfig) -> int:
    return int(config.get_text_config(decoder=True).vocab_size)


def _pieces(tokenizer: PreTrainedTokenizerBase, text: str) -> tuple[int, ...]:
    """The tokens of a text's words and of what is between them, through which byte-pair encoding might cut."""
    return tuple(i for part in _PARTS.findall(text) for i in encode(tokenizer, part))


def _embeddings(model: PreTrainedModel) -> list[torch.Tensor]:
    """What has a row for each token: one tensor where input and output are tied, and the output's bias, if any."""
    inputs: Any = model.get_input_embeddings()
    outputs: Any = model.get_output_embeddings()
    found = [inputs.weight]
    if outputs is not None:
        found += [outputs.weight] if outputs.weight is not inputs.weight else []
        found += [outputs.bias] if getattr(outputs, "bias", None) is not None else []
    return found


def _places(model: PreTrainedModel) -> list[str]:
    """The names of the embeddings that have weights of their own."""
    inputs, outputs = model.get_input_embeddings(), model.get_output_embeddings()
    own = [inputs] if outputs is None or outputs.weight is inputs.weight else [inputs, outputs]
    return [name for name, module in model.named_modules() if any(module is one for one in own)]


def _tied_names(model: PreTrainedModel) -> list[str]:
    both = (model.get_input_embeddings(), model.get_output_embeddings())
    return [name for name, module in model.named_modules() if any(module is one for one in both)]


def _named(place: str, names: Sequence[str]) -> bool:
    """Whether one of some names, as PEFT matches them, is that of a module."""
    return any(place == name or place.endswith(f".{name}") or name.endswith(f".{place}") for name in names)
