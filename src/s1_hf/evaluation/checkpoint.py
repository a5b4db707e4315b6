"""What is to be evaluated: a model's configuration and tokenizer, read at once, and its weights, read when needed."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from transformers import AutoConfig, AutoModelForCausalLM, AutoTokenizer, GenerationConfig
from transformers.utils.hub import cached_file, extract_commit_hash
from transformers.utils.peft_utils import find_adapter_config_file

from s1_hf._lazy import require

if TYPE_CHECKING:
    from transformers import PretrainedConfig, PreTrainedModel, PreTrainedTokenizerBase

    from s1_hf.evaluation.config import BudgetForcingConfig

BLOCK, BLOCKS = 1 << 16, 256  # bytes, and how many blocks of a file are read to know it again


@dataclass(frozen=True)
class Checkpoint:
    """A model, or an adapter on its base.

    Args:
        settings ([`BudgetForcingConfig`]): says which, and how it is loaded.
        base (`str`): the folder or name of the weights.
        adapter (`str`, *optional*): the folder or name of the LoRA adapter that is merged into them.
        config ([`PretrainedConfig`]): of `base`.
        tokenizer ([`PreTrainedTokenizerBase`]): the adapter's, if it has one.
    """

    settings: BudgetForcingConfig
    base: str
    adapter: str | None
    config: PretrainedConfig
    tokenizer: PreTrainedTokenizerBase

    @classmethod
    def find(cls, settings: BudgetForcingConfig) -> Checkpoint:
        """Read configuration and tokenizer.

        Raises:
            OSError: there is no such model, or it is gated and nobody is logged in.
        """
        name = settings.model_name
        options: dict[str, Any] = {"trust_remote_code": settings.trust_remote_code}
        path = Path(name)
        if not path.exists() and (name.startswith((".", "/", "~")) or name.count("/") > 1):
            raise OSError(f"{name} is no model: there is no such folder, and it is no name on the Hub.")
        if path.is_dir() and not any((path / f).is_file() for f in ("config.json", "adapter_config.json")):
            raise OSError(f"{name} is no model: the folder has neither a config.json nor an adapter_config.json.")
        if path.is_dir() and not list(path.glob("tokenizer*")) and not (path / "adapter_config.json").is_file():
            raise OSError(f"{name} is no model that can be run: the folder has no tokenizer files.")
        found = find_adapter_config_file(name, revision=settings.revision)
        if found is None:
            options["revision"] = settings.revision
            config = AutoConfig.from_pretrained(name, **options)
            return cls(settings, name, None, config, AutoTokenizer.from_pretrained(name, **options))
        base = json.loads(Path(found).read_text(encoding="utf-8"))["base_model_name_or_path"]
        config = AutoConfig.from_pretrained(base, **options)
        try:
            file = cached_file(name, "tokenizer_config.json", revision=settings.revision)
        except OSError:
            file = None
        own = {"revision": settings.revision} if file else {}
        return cls(settings, base, name, config, AutoTokenizer.from_pretrained(name if file else base, **options | own))

    @property
    def context(self) -> int:
        """Tokens of prompt and output together.

        Raises:
            ValueError: the configuration does not say, and the settings do not either.
        """
        own: int | None = getattr(self.config.get_text_config(), "max_position_embeddings", None)
        wanted = self.settings.max_length
        if own is None and wanted is None:
            raise ValueError("`max_length` has to be given: the model's configuration does not say its context size.")
        if own is not None and wanted is not None and wanted > own:
            raise ValueError(f"`max_length` has to be at most the model's context of {own} tokens, but is {wanted}.")
        return int(wanted or own or 0)

    @cached_property
    def fingerprint(self) -> str:
        """Tells these weights from others under the same name."""
        revisions = [(self.base, "main" if self.adapter else self.settings.revision)]
        revisions += [(self.adapter, self.settings.revision)] if self.adapter else []
        return hashlib.sha256("".join(_fingerprint(*which) for which in revisions).encode()).hexdigest()[:16]

    def load(self, device: torch.device, processes: int) -> PreTrainedModel:
        """The weights, on `device` or, with one process and several GPUs, on all of these, in evaluation mode.

        An adapter is merged. Of the folder's generation config only the ends of sequence are kept, the tokenizer's
        being one of them.
        """
        settings = self.settings
        device_map = settings.device_map
        if device_map is None and processes == 1 and torch.cuda.device_count() > 1:
            device_map = "auto"
        options: dict[str, Any] = {"dtype": settings.dtype, "trust_remote_code": settings.trust_remote_code}
        options |= {"device_map": device_map, "attn_implementation": settings.attn_implementation}
        options |= {} if self.adapter else {"revision": settings.revision}
        model: Any = AutoModelForCausalLM.from_pretrained(self.base, **options)
        if self.adapter:
            peft: Any = require("peft", "train")
            model = peft.PeftModel.from_pretrained(model, self.adapter, revision=settings.revision).merge_and_unload()
        if device_map is None:
            model = model.to(device)
        model.generation_config = GenerationConfig(eos_token_id=_ends(model, self.tokenizer))
        return model.eval()


def _ends(model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase) -> list[int]:
    own = model.generation_config.eos_token_id if model.generation_config else None
    ids = [*(own if isinstance(own, list) else [own]), tokenizer.eos_token_id]
    return list(dict.fromkeys(i for i in ids if i is not None))


def _fingerprint(name: str, revision: str) -> str:
    """Of a model on the Hub its commit; of a folder a hash of its files, of big ones of blocks throughout them."""
    folder = Path(name)
    if not folder.is_dir():
        for file in ("config.json", "adapter_config.json"):
            path = cached_file(name, file, revision=revision, _raise_exceptions_for_missing_entries=False)
            if path and (commit := extract_commit_hash(str(path), None)):
                return commit
        raise OSError(f"{name} has neither a config.json nor an adapter_config.json in its revision {revision}.")
    found = hashlib.sha256()
    for weights in sorted(p for p in folder.iterdir() if p.suffix in (".safetensors", ".bin", ".json")):
        size = weights.stat().st_size
        found.update(f"{weights.name} {size} ".encode())
        with weights.open("rb") as blocks:
            for i in range(min(BLOCKS, -(-size // BLOCK))):
                blocks.seek(i * BLOCK if size <= BLOCK * BLOCKS else i * (size - BLOCK) // (BLOCKS - 1))
                found.update(blocks.read(BLOCK))
    return found.hexdigest()
