"""A model by its name: configuration and tokenizer, read at once, and weights, read when needed."""

from __future__ import annotations

import hashlib
import os
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from transformers import AutoModelForCausalLM, AutoTokenizer, GenerationConfig
from transformers.utils.hub import cached_file
from transformers.utils.peft_utils import find_adapter_config_file

from s1_hf._lazy import require
from s1_hf.engines.fingerprint import weights_on_disk
from s1_hf.engines.plain_config import ends_of
from s1_hf.finding import config_of_model, model_named
from s1_hf.generation.context import context_of
from s1_hf.records import TEXT, check, read_json

if TYPE_CHECKING:
    from transformers import PretrainedConfig, PreTrainedModel, PreTrainedTokenizerBase


_SETTINGS = (
    "config.json", "generation_config.json", "tokenizer_config.json", "adapter_config.json", "special_tokens_map.json",
)  # fmt: skip
_OF_MODELS = (".safetensors", ".bin", ".json", ".jinja", ".model", ".txt")


@dataclass(frozen=True)
class Checkpoint:
    """A model, or an adapter on its base.

    Args:
        base (`str`): the folder or name of the weights.
        adapter (`str`, *optional*): the folder or name of the LoRA adapter that is merged into them.
        revision (`str`): of the adapter, or of the model if there is none.
        trust_remote_code (`bool`): whether code that comes with the model is run.
        config ([`PretrainedConfig`]): of `base`.
        tokenizer ([`PreTrainedTokenizerBase`]): the adapter's, if it has one.
    """

    base: str
    adapter: str | None
    revision: str
    trust_remote_code: bool
    config: PretrainedConfig
    tokenizer: PreTrainedTokenizerBase

    @classmethod
    def find(
        cls, name: str, *, revision: str = "main", trust_remote_code: bool = False, chat_template: bool = True
    ) -> Checkpoint:
        """Read configuration and tokenizer.

        Args:
            name (`str`): a folder, a name on the Hub, or `"embedded"`, the toy model in this package.
            chat_template (`bool`, defaults to `True`): if not, the tokenizer is left without one.

        Raises:
            OSError: there is no such model, or it is gated and nobody is logged in.

        Example:

        ```python
        >>> from s1_hf.engines.checkpoint import Checkpoint
        >>> Checkpoint.find("embedded").config.model_type
        'qwen2'

        ```
        """
        name = model_named(name)
        _check_folder(name)
        try:
            found = cls._read(name, revision, trust_remote_code)
        except OSError as error:
            raise OSError(f"{name} cannot be read. {error}") from error
        if not chat_template:
            found.tokenizer.chat_template = None
        return found

    @classmethod
    def _read(cls, name: str, revision: str, trust_remote_code: bool) -> Checkpoint:
        options: dict[str, Any] = {"trust_remote_code": trust_remote_code}
        found = find_adapter_config_file(name, revision=revision)
        if found is None:
            options["revision"] = revision
            config = config_of_model(name, **options)
            tokenizer = AutoTokenizer.from_pretrained(name, **options)
            return cls(name, None, revision, trust_remote_code, config, tokenizer)
        adapter = read_json(found, strict=False)
        check(adapter, {"base_model_name_or_path": TEXT}, str(found))
        base = adapter["base_model_name_or_path"]
        config = config_of_model(base, **options)
        try:
            file = cached_file(name, "tokenizer_config.json", revision=revision)
        except OSError:
            file = None
        if file:  # the adapter has a tokenizer of its own
            tokenizer = AutoTokenizer.from_pretrained(name, revision=revision, **options)
        else:
            tokenizer = AutoTokenizer.from_pretrained(base, **options)
        return cls(base, name, revision, trust_remote_code, config, tokenizer)

    @property
    def context(self) -> int | None:
        """Tokens of prompt and output together, if the configuration says."""
        return context_of(self.config)

    @cached_property
    def generation_config(self) -> GenerationConfig | None:
        """The model's own, if it has one."""
        try:
            return GenerationConfig.from_pretrained(self.base, revision="main" if self.adapter else self.revision)
        except OSError:
            return None

    @cached_property
    def fingerprint(self) -> str:
        """Tells these weights from others under the same name."""
        if self.adapter:
            found = weights_on_disk(self.base, "main") + weights_on_disk(self.adapter, self.revision)
        else:
            found = weights_on_disk(self.base, self.revision)
        return hashlib.sha256(found.encode()).hexdigest()[:16]

    def load(
        self,
        device: torch.device | None = None,
        *,
        processes: int = 1,
        dtype: str = "auto",
        device_map: str | None = None,
        attn_implementation: str | None = None,
    ) -> PreTrainedModel:
        """The weights, in evaluation mode.

        An adapter is merged. Of the folder's generation config only the ends of sequence are kept, the tokenizer's
        being one of them.

        Args:
            device (`torch.device`, *optional*): the accelerator by default, or the CPU if there is none. With one
                process and several GPUs all of these are used.
            processes (`int`, defaults to 1): how many processes load the model at once.
            dtype, device_map, attn_implementation: for `from_pretrained`.

        Raises:
            ValueError: the model writes no text.
        """
        _check_writes(self.base, self.config)
        if device_map is None and processes == 1 and torch.cuda.device_count() > 1:
            device_map = "auto"
        if device_map is not None:
            require("accelerate", "eval")
        options: dict[str, Any] = {"dtype": dtype, "trust_remote_code": self.trust_remote_code}
        options |= {"device_map": device_map, "attn_implementation": attn_implementation}
        if not self.adapter:
            options["revision"] = self.revision
        model: Any = AutoModelForCausalLM.from_pretrained(self.base, **options)
        if self.adapter:
            peft: Any = require("peft", "train")
            model = peft.PeftModel.from_pretrained(model, self.adapter, revision=self.revision).merge_and_unload()
        if device_map is None:
            model = model.to(device or accelerator())
        model.generation_config = GenerationConfig(eos_token_id=ends_of(self.tokenizer, model.generation_config))
        return model.eval()


def _check_writes(name: str, config: PretrainedConfig) -> None:
    """Raises a `ValueError` for a model with another head, in whose place transformers would put random numbers."""
    architecture = (config.architectures or [""])[0]
    if architecture.endswith(("ForTokenClassification", "ForSequenceClassification", "RewardModel")):
        raise ValueError(
            f"{name} is a {architecture}, which gives numbers to texts and writes none. Name a model that writes; as a "
            "reward model it is for `s1-hf search --scorer` (docs/scoring.md)."
        )


def _check_folder(name: str) -> None:
    path = Path(name)
    if not path.exists() and (name.startswith((".", "/", "~")) or name.count("/") > 1):
        raise OSError(f"{name} is no model: there is no such folder, and it is no name on the Hub.")
    if path.is_dir() and not any((path / f).is_file() for f in ("config.json", "adapter_config.json")):
        raise OSError(f"{name} is no model: the folder has neither a config.json nor an adapter_config.json.")
    for one in path.iterdir() if path.is_dir() else ():
        _refuse_link_to_nothing(one)
    for file in _SETTINGS if path.is_dir() else ():
        if (path / file).is_file():  # transformers trusts them
            check(read_json(path / file, strict=False), {}, str(path / file))
    if path.is_dir() and not list(path.glob("tokenizer*")) and not (path / "adapter_config.json").is_file():
        raise OSError(f"{name} is no model that can be run: the folder has no tokenizer files.")


def _refuse_link_to_nothing(file: Path) -> None:
    """Raises an `OSError` for a file that libraries would leave out, or not find, without saying why."""
    if file.suffix in _OF_MODELS and file.is_symlink() and not file.exists():
        raise OSError(
            f"{file} is a link to {os.readlink(file)}, where nothing is any more. `s1-hf export` makes such links to a "
            "model's weights: make the folder anew, with `--copy` if it is to outlive the model's own."
        )


def accelerator() -> torch.device:
    """The one that torch has, or the CPU."""
    if not torch.accelerator.is_available():
        return torch.device("cpu")
    return torch.accelerator.current_accelerator() or torch.device("cpu")
