"""A budget that goes with a model's folder, so that stock commands and pipelines keep it."""

from __future__ import annotations

from dataclasses import asdict, replace
from importlib.metadata import version
from pathlib import Path
from pprint import pformat
from typing import TYPE_CHECKING

from transformers import AutoTokenizer

from s1_hf.files import inside, write_text
from s1_hf.forcing.budget import Budget, check_effect
from s1_hf.forcing.collect import collect_budget
from s1_hf.forcing.formats import ThinkingFormat
from s1_hf.generation.exported import generate_with as generate_with  # files call it by this module's name
from s1_hf.generation.exported import said_by
from s1_hf.generation.processor import BudgetForcingLogitsProcessor

if TYPE_CHECKING:
    from typing_extensions import Unpack

    from s1_hf.forcing.keywords import BudgetKeywords

FILE = Path("custom_generate") / "generate.py"
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
    budget: Budget | None = None,
    format: ThinkingFormat | str | None = None,
    max_answer_tokens: int | None = None,
    **keywords: Unpack[BudgetKeywords],
) -> Path:
    """Write `custom_generate/generate.py` into a model's folder: anyone who loads it with `trust_remote_code=True` gets
    the budget in `model.generate`, pipelines and `lighteval accelerate "model_name=FOLDER,trust_remote_code=True"`.

    s1-hf has to be installed there. The folder's other files are left as they are, and the folder may be pushed to the
    Hub, where the file works as well; `save_pretrained` of the loaded model does not write it. lighteval's backend
    keeps its answers under the folder's name, blind to the budget: give another budget another folder, or
    `cache_dir=...` among lighteval's model arguments.

    Args:
        model_dir (`str` or `Path`): the folder of a model with its tokenizer; a file of an earlier export is replaced.
        budget, format, max_answer_tokens, **keywords: see [`budget_forcing`]; one value for each budget, not one per
            prompt. A `format` that is detected is written down.

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
    folder = Path(model_dir)
    budget = collect_budget(budget, dict(keywords), nothing_else=export_custom_generate.__name__)
    check_effect([budget])
    text = source_of(folder, budget=budget, format=format, max_answer_tokens=max_answer_tokens)
    path = inside(folder, FILE)
    write_text(path, text)
    return path


def source_of(
    model_dir: Path,
    *,
    budget: Budget,
    format: ThinkingFormat | str | None = None,
    max_answer_tokens: int | None = None,
) -> str:
    """What [`export_custom_generate`] writes, with its arguments and errors; also for settings that only a call which
    says more makes act."""
    if not (model_dir / "config.json").is_file():
        raise ValueError(f"`model_dir` has to be the folder of a model, but {model_dir} has no config.json.")
    said_by(model_dir)  # which counts before these settings, and has to be right
    if budget.num_prompts:
        raise ValueError("The budget of a folder has to be one value each, not one per prompt.")
    tokenizer = AutoTokenizer.from_pretrained(model_dir)
    # How much "auto" leaves is known when something is generated.
    checked = replace(budget, max_thinking_tokens=None) if budget.max_thinking_tokens == "auto" else budget
    found = BudgetForcingLogitsProcessor(tokenizer, budget=checked, format=format).format
    settings = {
        "budget": budget.to_dict(),
        "format": asdict(format) if isinstance(format, ThinkingFormat) else found.name,
        "max_answer_tokens": max_answer_tokens,
    }
    return _SOURCE.format(version=version("s1-hf"), settings=pformat(settings, width=110, sort_dicts=False))
