"""A budget that goes with a model's folder, so that stock commands and pipelines keep it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, fields
from pathlib import Path
from pprint import pformat
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

from transformers import AutoTokenizer

from s1_hf.forcing.budget import Budget, LoopGuard
from s1_hf.forcing.formats import ThinkingFormat
from s1_hf.generation.generate import budget_forcing
from s1_hf.generation.processor import BudgetForcingLogitsProcessor

if TYPE_CHECKING:
    import torch
    from transformers import GenerationConfig, PreTrainedModel, PreTrainedTokenizerBase

FILE = Path("custom_generate") / "generate.py"
_SETTINGS = {field.name for field in fields(Budget)} | {"format", "max_answer_tokens"}
_SOURCE = '''\
"""Budget forcing in every `generate` of this model; written by s1-hf {version}. Needs: pip install s1-hf

    model = AutoModelForCausalLM.from_pretrained(FOLDER, trust_remote_code=True)
    model.generate(**inputs)                           # thinks as SETTINGS say
    model.generate(**inputs, max_thinking_tokens=500)  # or as this call says
"""

from s1_hf.generation.export import generate_with

SETTINGS = {settings}


def generate(*args, model, **kwargs):
    """`model.generate` with the budget of SETTINGS."""
    return generate_with(SETTINGS, model, *args, **kwargs)
'''


def export_custom_generate(
    model_dir: str | Path,
    *,
    format: ThinkingFormat | str | None = None,
    max_answer_tokens: int | None = None,
    **budget: Any,
) -> Path:
    """Write `custom_generate/generate.py` into a model's folder: who loads it with `trust_remote_code=True` gets the
    budget in `model.generate`, pipelines, and `lighteval accelerate "model_name=FOLDER,trust_remote_code=True" ...`.

    s1-hf has to be installed there. The folder's other files are left as they are, and the folder may be pushed to the
    Hub, where the file works as well. lighteval's backend keeps its answers under the folder's name, blind to the
    budget: give another budget another folder, or `cache_dir=...` among lighteval's model arguments.

    Args:
        model_dir (`str` or `Path`): the folder of a model with its tokenizer; a file of an earlier export is replaced.
        format, max_answer_tokens, **budget: see [`budget_forcing`]: `max_thinking_tokens`, `num_ignores`, ...; one
            value each, not one per prompt. A `format` that is detected is written down.

    Returns:
        `Path`: the file.

    Raises:
        ValueError: the folder is no model's, a setting is out of range or unknown, or the tokenizer lacks the format.

    Example:

    ```python
    >>> import shutil, tempfile
    >>> from transformers import AutoModelForCausalLM, AutoTokenizer
    >>> from s1_hf import embedded, export_custom_generate
    >>> folder = tempfile.TemporaryDirectory()
    >>> path = shutil.copytree(embedded.MODEL_PATH, folder.name + "/model")
    >>> export_custom_generate(path, max_thinking_tokens=16).name
    'generate.py'
    >>> model = AutoModelForCausalLM.from_pretrained(path, trust_remote_code=True)
    >>> tokenizer = AutoTokenizer.from_pretrained(path)
    >>> chat = [{"role": "user", "content": embedded.Problem(2, 7, 3, 8).question}]
    >>> inputs = tokenizer.apply_chat_template(chat, add_generation_prompt=True, return_tensors="pt", return_dict=True)
    >>> "Final Answer:" in tokenizer.decode(model.generate(**inputs)[0])
    True
    >>> folder.cleanup()

    ```
    """
    from s1_hf import __version__

    folder = Path(model_dir)
    if not (folder / "config.json").is_file():
        raise ValueError(f"`model_dir` has to be the folder of a model, but {folder} has no config.json.")
    unknown = sorted(budget.keys() - _SETTINGS)
    if unknown:
        raise ValueError(f"The budget has to be made of {', '.join(sorted(_SETTINGS))}, but has {', '.join(unknown)}.")
    if Budget(**budget).num_prompts:
        raise ValueError("The budget of a folder has to be one value each, not one per prompt.")
    tokenizer = AutoTokenizer.from_pretrained(folder)
    checked = {**budget, "max_thinking_tokens": None} if budget.get("max_thinking_tokens") == "auto" else budget
    found = BudgetForcingLogitsProcessor(tokenizer, format=format, **checked).format
    settings = budget | {"format": found.name if format is None else format, "max_answer_tokens": max_answer_tokens}
    text = _SOURCE.format(version=__version__, settings=pformat(_as_literals(settings), width=110, sort_dicts=False))
    path = folder / FILE
    path.parent.mkdir(exist_ok=True)
    path.write_text(text, encoding="utf-8")
    return path


def generate_with(
    settings: Mapping[str, Any],
    model: PreTrainedModel,
    inputs: torch.Tensor | None = None,
    generation_config: GenerationConfig | None = None,
    **kwargs: Any,
) -> Any:
    """What an exported file calls: `model.generate(...)` under `settings`, or those among `kwargs`.

    The tokenizer is `kwargs["tokenizer"]`, or the one in the model's own folder, read once a model.

    Raises:
        ValueError, TypeError: as [`budget_forcing`].
    """
    chosen = _from_literals(settings) | {name: kwargs.pop(name) for name in _SETTINGS & kwargs.keys()}
    given = {name: value for name, value in kwargs.items() if value is not None}
    given |= {} if generation_config is None else {"generation_config": generation_config}
    tokenizer = given.get("tokenizer") or _tokenizer_of(model)
    arguments = budget_forcing(model, tokenizer, **chosen, **given)
    if arguments.get("stop_strings"):
        arguments.setdefault("tokenizer", tokenizer)
    stock: Any = type(model).generate  # type: ignore[attr-defined]  # the model's own attribute is the exported one
    return stock(model, inputs, **arguments)


_tokenizers: WeakKeyDictionary[PreTrainedModel, PreTrainedTokenizerBase] = WeakKeyDictionary()


def _tokenizer_of(model: PreTrainedModel) -> PreTrainedTokenizerBase:
    if model not in _tokenizers:
        commit = getattr(model.config, "_commit_hash", None)  # of a model on the Hub
        _tokenizers[model] = AutoTokenizer.from_pretrained(model.name_or_path, revision=commit or "main")
    return _tokenizers[model]


def _as_literals(settings: Mapping[str, Any]) -> dict[str, Any]:
    classes = (LoopGuard, ThinkingFormat)
    return {name: asdict(value) if isinstance(value, classes) else value for name, value in settings.items()}


def _from_literals(settings: Mapping[str, Any]) -> dict[str, Any]:
    classes = {"loop_guard": LoopGuard, "format": ThinkingFormat}
    return {name: classes[name](**v) if isinstance(v, dict) else v for name, v in settings.items()}
