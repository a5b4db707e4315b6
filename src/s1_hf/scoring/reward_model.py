"""Reward models of transformers as scorers: batched, and never run twice on the same prefix."""

from __future__ import annotations

import hashlib
import inspect
import math
from collections.abc import Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any, NamedTuple

import torch
from transformers import AutoModelForCausalLM, AutoModelForSequenceClassification, AutoModelForTokenClassification

from s1_hf.engines.batches import in_halves
from s1_hf.engines.checkpoint import Checkpoint, accelerator
from s1_hf.engines.fingerprint import weights_in_memory
from s1_hf.forcing.values import is_count
from s1_hf.generation.context import context_of
from s1_hf.scoring.conventions import Convention, as_json
from s1_hf.scoring.detection import convention_of
from s1_hf.scoring.heads import OURS
from s1_hf.scoring.marking import Encoded
from s1_hf.scoring.scorer import Candidate, Scores, ScoringCost, check_finished

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

KEPT = 1 << 20
"""Scores that are kept; of more, the oldest are forgotten, and computed again if they are asked for."""

_TRIAL = Candidate("What is 1 + 1?", ["One more than 1."], "It is 2.")

_AUTO: dict[str, Any] = {
    "tokens": AutoModelForTokenClassification,
    "causal": AutoModelForCausalLM,
    "sequence": AutoModelForSequenceClassification,
}
_ENDINGS = {
    "tokens": ("ForTokenClassification", "ForProcessRewardModel"),
    "value": ("ForPrmModel",),
    "causal": ("ForCausalLM", "LMHeadModel"),
    "sequence": ("ForSequenceClassification",),
}


class _Run(NamedTuple):
    """What goes through the model: token ids, of which some are read, and under which keys that is kept."""

    ids: list[int]
    reads: list[int]
    keys: list[bytes]


class RewardModel:
    """A [`Scorer`]: a process or outcome reward model.

    A number depends only on the tokens before the place at which it is read, so it is kept under these: a step that
    was scored before, behind the same steps of the same question, is not scored again, and nothing behind the last
    place that is read goes through the model. Candidates of one call that begin alike share the run of the longest of
    them, if they are wholly part of it. The model's own cache of keys and values is not kept: a new step costs the
    tokens of the steps before it again, which [`ScoringCost`] says.

    Numbers are the same for the same calls in the same order; batched otherwise, they may differ by rounding.

    Args:
        model ([`PreTrainedModel`]): in evaluation mode, see [`RewardModel.load`].
        tokenizer ([`PreTrainedTokenizerBase`]): the reward model's, not that of the model that is scored.
        convention ([`Convention`] or `str`, *optional*): how it is asked and read, or its name; by its configuration
            if absent.
        batch_size (`int`, defaults to 8): rows of a batch. One that does not fit into a GPU's memory is halved.

    Raises:
        ValueError: the convention is not known, or does not fit the model or the tokenizer.

    Example:

    ```python
    >>> from s1_hf.scoring import Candidate, RewardModel
    >>> from s1_hf.embedded import Problem
    >>> scorer = RewardModel.load("embedded-reward")
    >>> lines = ["A from 2 by 7, B from 3 by 8.", "2 < 3", "9 > 3", "9 < 11"]
    >>> question = Problem(2, 7, 3, 8).question
    >>> early = Candidate(question, [*lines, "Not yet."], "Answer: 11")
    >>> whole = Candidate(question, [*lines, "16 > 11", "16 < 19", "23 > 19", "23 < 27", "30 > 27", "30 < 35",
    ...                              "37 > 35", "37 < 43", "44 > 43", "44 < 51", "51 = 51"], "Answer: 51")
    >>> scores = scorer.scores([early, whole])
    >>> scores.values[0][-1] < scores.values[1][-1]
    True

    ```
    """

    def __init__(
        self,
        model: PreTrainedModel,
        tokenizer: PreTrainedTokenizerBase,
        convention: Convention | str | None = None,
        *,
        batch_size: int = 8,
    ) -> None:
        if not is_count(batch_size) or batch_size < 1:
            raise ValueError(f"`batch_size` has to be an integer of at least 1, but is {batch_size!r}.")
        if model.training:
            raise ValueError(
                "The reward model is in training mode, in which dropout changes scores. Call `model.eval()`."
            )
        self.convention = convention_of(model.config, convention)
        _check_head(model, self.convention)
        self.model, self.tokenizer, self.batch_size = model, tokenizer, batch_size
        self._columns = self.convention.columns(tokenizer)
        self.convention.encode(tokenizer, _TRIAL)  # what the tokenizer cannot do shows before anything is scored
        self._arguments = set(inspect.signature(model.forward).parameters)
        self._kept: dict[bytes, float] = {}
        if self.convention.head == "sequence" and model.config.get_text_config().pad_token_id is None:
            self.batch_size = 1  # the model finds the end of a row by its padding

    @classmethod
    def load(
        cls,
        name: str,
        convention: Convention | str | None = None,
        *,
        batch_size: int = 8,
        revision: str = "main",
        dtype: str = "auto",
        device: torch.device | None = None,
        device_map: str | None = None,
    ) -> RewardModel:
        """A reward model by its name. No code that comes with a model is run.

        Args:
            name (`str`): a folder, a name on the Hub, or `"embedded-reward"`, the one in this package.
            convention, batch_size: as for the class.
            revision, dtype, device_map: for `from_pretrained`.
            device (`torch.device`, *optional*): the accelerator by default, or the CPU if there is none.

        Raises:
            OSError: there is no such model.
            ValueError: as the class; or it is an adapter, or the weights lack what the convention reads.
        """
        found = Checkpoint.find(name, revision=revision)
        if found.adapter:
            raise ValueError(f"{name} is an adapter. Merge it into its base, and load that.")
        convention = convention_of(found.config, convention)
        architecture = (found.config.architectures or [""])[0]
        auto: Any = OURS.get(architecture) or _AUTO.get(convention.head)
        if auto is None:
            raise ValueError(
                f"The convention {convention.name!r} reads a head that {architecture!r} does not have. It is for "
                f"{', '.join(OURS)}."
            )
        model, info = auto.from_pretrained(
            found.base, revision=revision, dtype=dtype, device_map=device_map, output_loading_info=True
        )
        if missing := sorted(info["missing_keys"]):
            raise ValueError(
                f"{name} lacks {', '.join(missing[:4])}, which the convention {convention.name!r} reads. It is no "
                "reward model of that kind."
            )
        if device_map is None:
            model = model.to(device or accelerator())
        return cls(model.eval(), found.tokenizer, convention, batch_size=batch_size)

    @property
    def of_steps(self) -> bool:
        """See [`Scorer`]."""
        return self.convention.head != "sequence"

    @cached_property
    def identity(self) -> dict[str, Any]:
        """See [`Scorer`]."""
        tokenizer: Any = self.tokenizer
        spelled = f"{tokenizer.backend_tokenizer.to_str()}{tokenizer.chat_template}"
        return {
            "scorer": "reward model",
            "convention": as_json(self.convention),
            "weights": weights_in_memory(self.model)[:16],
            "tokenizer": hashlib.sha256(spelled.encode()).hexdigest()[:16],
        }

    def scores(self, candidates: Sequence[Candidate]) -> Scores:
        """See [`Scorer`].

        Raises:
            ValueError: a candidate does not fit into the model's context, is not finished but is to be scored by its
                answer, or cannot be tokenized as the convention wants it.
            FloatingPointError: the model gives numbers that are not finite.
        """
        if not self.of_steps:
            check_finished(candidates, "An outcome reward model")
        encoded = [self.convention.encode(self.tokenizer, one) for one in candidates]
        self._check_context(encoded)
        keys = [prefix_keys(one) for one in encoded]
        needed = {key: self._kept[key] for of_one in keys for key in of_one if key in self._kept}
        runs = _planned(encoded, keys, needed)
        cost = ScoringCost(
            tokens=sum(len(run.ids) for run in runs),
            uncached_tokens=sum(one.reads[-1] + 1 for one in encoded),
        )
        for first in range(0, len(runs), self.batch_size):
            batch = runs[first : first + self.batch_size]
            for padding, found in in_halves(lambda rows: [self._run(rows)], batch):
                needed |= found
                cost += ScoringCost(padding_tokens=padding)
        self._keep(needed)
        return Scores([tuple(needed[key] for key in of_one) for of_one in keys], cost)

    def _check_context(self, encoded: Sequence[Encoded]) -> None:
        context = context_of(self.model.config)
        longest = max((one.reads[-1] + 1 for one in encoded), default=0)
        if context is not None and longest > context:
            raise ValueError(
                f"A candidate takes {longest:,} tokens, but the reward model has a context of {context:,}. Score "
                "shorter ones, or use a reward model with a longer context."
            )

    def _run(self, batch: list[_Run]) -> tuple[int, dict[bytes, float]]:
        """How many tokens of padding a batch had, and its numbers by their keys."""
        width = max(len(row.ids) for row in batch)
        pad = self.model.config.get_text_config().pad_token_id or 0
        ids = torch.full((len(batch), width), pad)
        mask = torch.zeros_like(ids)
        for r, row in enumerate(batch):
            ids[r, : len(row.ids)] = torch.tensor(row.ids)
            mask[r, : len(row.ids)] = 1
        logits = self._logits(ids, mask, batch)  # (numbers of the batch, labels)
        values = self.convention.read(logits.float()).tolist()
        if not all(map(math.isfinite, values)):
            raise FloatingPointError(
                f"The reward model in {self.model.dtype} gives numbers that are not finite. Load it with another "
                "`dtype`."
            )
        keys = [key for row in batch for key in row.keys]
        return ids.numel() - int(mask.sum()), dict(zip(keys, values, strict=True))

    @torch.inference_mode()
    def _logits(self, ids: torch.Tensor, mask: torch.Tensor, batch: list[_Run]) -> torch.Tensor:
        """What the model says at the places that are read, row after row."""
        device = self.model.device
        arguments: dict[str, Any] = {"input_ids": ids.to(device), "attention_mask": mask.to(device)}
        if "use_cache" in self._arguments:
            arguments["use_cache"] = False
        rows = [r for r, row in enumerate(batch) for _ in row.reads]
        places = [place for row in batch for place in row.reads]
        if self.convention.head == "sequence":
            return self.model(**arguments).logits
        if self.convention.head == "causal" and "logits_to_keep" in self._arguments:
            kept = sorted(set(places))  # a vocabulary of logits for these alone
            arguments["logits_to_keep"] = torch.tensor(kept, device=device)
            index_of = {place: index for index, place in enumerate(kept)}
            places = [index_of[place] for place in places]
        logits = self.model(**arguments).logits[rows, places]
        return logits if self._columns is None else logits[:, self._columns]

    def _keep(self, found: dict[bytes, float]) -> None:
        for key, value in found.items():
            self._kept.pop(key, None)  # the newest stand last
            self._kept[key] = value
        for key in list(self._kept)[: max(0, len(self._kept) - KEPT)]:
            del self._kept[key]


def prefix_keys(encoded: Encoded) -> list[bytes]:
    """Of each place that is read what tells the ids up to it from all others."""
    hashed, begin, keys = hashlib.sha256(), 0, []
    for place in encoded.reads:
        for token in encoded.ids[begin : place + 1]:
            hashed.update(token.to_bytes(4, "little"))
        begin = place + 1
        keys.append(hashed.copy().digest())
    return keys


def _planned(encoded: Sequence[Encoded], keys: Sequence[list[bytes]], known: dict[bytes, float]) -> list[_Run]:
    """What has to be run for all that is not known, longest first, each up to the last place that it is needed for."""
    runs, covered = [], set(known)
    order = sorted(range(len(encoded)), key=lambda i: -len(encoded[i].ids))
    for i in order:
        missing = [n for n, key in enumerate(keys[i]) if key not in covered]
        if not missing:
            continue
        reads = [encoded[i].reads[n] for n in missing]
        runs.append(_Run(encoded[i].ids[: reads[-1] + 1], reads, [keys[i][n] for n in missing]))
        covered.update(keys[i])
    return sorted(runs, key=lambda run: -len(run.ids))


def _check_head(model: PreTrainedModel, convention: Convention) -> None:
    """Whether the model has what the convention reads, and does not look ahead."""
    endings = _ENDINGS[convention.head]
    name = type(model).__name__
    if not any(cls.__name__.endswith(endings) for cls in type(model).__mro__):
        raise ValueError(
            f"The convention {convention.name!r} is for models like {' or '.join(f'…{end}' for end in endings)}, but "
            f"this one is a {name}."
        )
    labels = {"tokens": 2, "sequence": 1}.get(convention.head)
    if name not in OURS and labels is not None and model.config.num_labels != labels:
        raise ValueError(
            f"The convention {convention.name!r} reads models with {labels} label{'s' * (labels > 1)}, but this one "
            f"has {model.config.num_labels}."
        )
    ahead = [module for module in model.modules() if getattr(module, "is_causal", None) is False]
    if convention.head != "sequence" and ahead:
        raise ValueError(
            f"A {name} looks at later tokens, so the number of a step would change with the steps after it. A process "
            "reward model has to be causal."
        )
