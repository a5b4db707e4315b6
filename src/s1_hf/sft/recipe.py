"""A recipe: one YAML file with the fields of a config of TRL's, of its `ModelConfig`, and of our own.

Those of fine-tuning are `SFTConfig` and `DataArguments`; other rooms say by a [`RecipeKind`] what theirs are.
"""

import difflib
import json
from argparse import ArgumentParser, Namespace
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any, NamedTuple, NoReturn

from trl import ModelConfig, SFTConfig, TrlParser

from s1_hf.finding import RECIPES, find, in_package
from s1_hf.forcing.families import FAMILIES
from s1_hf.records import parse, read_yaml

ADD, SPLIT = "add", "split"
"""What can be done with tokens that a vocabulary lacks; without either, the run is refused."""


@dataclass
class RunArguments:
    """The fields that we add to TRL's for every kind of training."""

    global_batch_size: int = field(
        default=16,
        metadata={"help": "Rows per optimizer step, over all processes; it determines gradient accumulation."},
    )
    padding_token: str | None = field(
        default=None, metadata={"help": "Token of the vocabulary to pad with (default: the tokenizer's)."}
    )
    save_dtype: str = field(
        default="bfloat16",
        metadata={"help": "dtype of the saved weights.", "choices": ["bfloat16", "float16", "float32"]},
    )
    merge_adapter: bool = field(
        default=False, metadata={"help": "Also save the model with its LoRA adapter merged, in `merged/`."}
    )
    dry_run: bool = field(default=False, metadata={"help": "Run all checks, load no weights, train nothing."})


@dataclass
class DataArguments(RunArguments):
    """The fields of fine-tuning: what to train on, and what to check before training."""

    dataset: str | None = field(
        default=None, metadata={"help": "s1K, s1K-1.1 or full59K, from the Hub. Alternatively set `dataset_path`."}
    )
    dataset_path: str | None = field(
        default=None,
        metadata={"help": "Local data: a folder in the Hub's format, or a parquet, json, jsonl or csv file."},
    )
    dataset_traces: str | None = field(
        default=None, metadata={"help": "Which traces of s1K-1.1 to use: gemini or deepseek (default: deepseek)."}
    )
    dataset_revision: str | None = field(
        default=None, metadata={"help": "Branch, tag or commit of the dataset on the Hub."}
    )
    columns: dict[str, Any] | str | None = field(
        default=None,
        metadata={
            "help": "The names that columns of local data have, ours to yours: question: problem, or reply: generation "
            'for one that holds thinking and answer. On the command line as JSON: \'{"question": "problem"}\'.'
        },
    )
    thinking_format: str = field(
        default="s1",
        metadata={"help": "Delimiters to train: a family of docs/families.md.", "choices": list(FAMILIES)},
    )
    thinking_start: str | None = field(
        default=None, metadata={"help": "Delimiters of your own: what opens thinking, one token of the vocabulary."}
    )
    thinking_close: str | None = field(default=None, metadata={"help": "And what closes it, likewise."})
    missing_tokens: str | None = field(
        default=None,
        metadata={
            "help": "Tokens that the vocabulary lacks, of the delimiters, `eos_token`, `padding_token` and a chosen "
            "chat template: add them, or train them split, as several. By default the run is refused.",
            "choices": [ADD, SPLIT],
        },
    )
    chat_template_kwargs: dict[str, Any] | str | None = field(
        default=None,
        metadata={"help": "What the chat template is given besides the messages, such as enable_thinking: true."},
    )
    expected_steps: int | None = field(
        default=None, metadata={"help": "Refuse to start unless the run has exactly this many optimizer steps."}
    )
    allow_truncation: bool = field(
        default=False, metadata={"help": "Train on rows cut at `max_length` instead of refusing to start."}
    )

    def __post_init__(self) -> None:
        self.columns = _mapping("columns", self.columns)
        self.chat_template_kwargs = _mapping("chat_template_kwargs", self.chat_template_kwargs)

    @property
    def template_options(self) -> dict[str, Any]:
        """`chat_template_kwargs`, which are a mapping once they are read."""
        return dict(self.chat_template_kwargs) if isinstance(self.chat_template_kwargs, dict) else {}

    @property
    def own_columns(self) -> dict[str, str]:
        """`columns`, likewise."""
        return dict(self.columns) if isinstance(self.columns, dict) else {}


class RecipeKind(NamedTuple):
    """What a recipe is for.

    Args:
        data (`type`): a dataclass derived from [`RunArguments`].
        training (`type`): TRL's config.
        module (`str`): what runs it: `python -m MODULE RECIPE`.
        names (`str`): a pattern of the names of the package's own.
        named_by (`tuple[str, ...]`): the fields that name the data.
        of_data (`tuple[str, ...]`): further fields that belong to them.
    """

    data: type
    training: type
    module: str
    names: str
    named_by: tuple[str, ...]
    of_data: tuple[str, ...]


SFT = RecipeKind(
    DataArguments,
    SFTConfig,
    "s1_hf.sft",
    "sft*",
    ("dataset", "dataset_path"),
    ("dataset_traces", "dataset_revision", "columns"),
)
"""Fine-tuning."""


def _mapping(name: str, value: str | dict[str, Any] | None) -> dict[str, Any] | None:
    """A field that is a mapping, which the command line has as a text."""
    try:
        found = parse(value, f"`{name}`") if isinstance(value, str) else value
    except ValueError as error:
        raise ValueError(f'{error} Write it as JSON, such as --{name} \'{{"question": "problem"}}\'.') from None
    if not isinstance(found, (dict, type(None))) or not all(isinstance(key, str) for key in found or ()):
        raise ValueError(f"`{name}` has to be a mapping of names to values, but is {value!r}.")
    return found


class _Parser(TrlParser):
    def error(self, message: str) -> NoReturn:
        raise ValueError(f"The recipe's fields could not be read: {message}. `--help` lists them all.")


@dataclass(frozen=True)
class Recipe:
    """A recipe that has been read and type-checked; building its parts checks their values.

    Args:
        path (`Path`): its file.
        values (`dict[str, Any]`): all fields, defaults included.
        given (`dict[str, Any]`): only the fields set by the file or the command line.
        kind ([`RecipeKind`]): what it is for.
    """

    path: Path
    values: dict[str, Any]
    given: dict[str, Any]
    kind: RecipeKind = SFT

    def build(self) -> tuple[Any, Any, ModelConfig]:
        """Build the three parts: the kind's data and training, and the model's.

        TRL's config inspects the machine, so call this in the training process.
        """
        return self._part(self.kind.data), self._training(), self._part(ModelConfig)

    def _training(self) -> Any:
        """A dry run of a bf16 recipe also works on a machine without a GPU."""
        import torch

        values = self.values
        elsewhere = values["dry_run"] and values["bf16"] is not False and not torch.cuda.is_available()
        here = replace(self, values=values | {"use_cpu": True}) if elsewhere else self
        return here._part(self.kind.training)

    def _part(self, kind: type) -> Any:
        return kind(**{f.name: self.values[f.name] for f in fields(kind) if f.init})


def read_recipe(source: str | Path, overrides: Iterable[str] = (), kind: RecipeKind = SFT) -> Recipe:
    """Read a recipe. Fields on the command line (`["--learning_rate", "2e-5"]`) override those in the file.

    A value `package://x` is a file inside this package. `null` sets a field to `None`. Data named on the command line
    take the place of the file's, with all fields that belong to these.

    Raises:
        ValueError: the recipe does not exist or is not a YAML mapping; a field, in the file or in `overrides`, is
            unknown or has a value of the wrong type.
    """
    path = find(source, RECIPES, "recipe", kind.names)
    given = read_yaml(path)
    if not isinstance(given, dict):
        raise ValueError(f"{path} has to be a mapping of fields to values, but is a {type(given).__name__}.")
    parser = _Parser(
        [kind.data, kind.training, ModelConfig], prog=f"python -m {kind.module} RECIPE", allow_abbrev=False
    )
    known = {action.dest: action for action in parser._actions}
    _check_names(path, given, known, kind)
    overrides = list(overrides)
    from_file = [text for name, value in given.items() for text in _as_arguments(name, value, known[name].default)]
    namespace = _parse(parser, str(path), from_file, Namespace(), kind)
    namespace = _parse(parser, "the command line", overrides, namespace, kind)
    names = [text.split("=")[0] for text in overrides if text.startswith("--")]
    values = {name: in_package(value) for name, value in vars(namespace).items()}
    ours = {item.name for item in fields(kind.data) if item.default is None}
    values |= {name: None for name in ours if values[name] == "none"}
    typed = {parser._option_string_actions[name].dest for name in names}
    if any(name in typed and values[name] is not None for name in kind.named_by):
        values |= {name: None for name in (*kind.named_by, *kind.of_data) if name not in typed}
    said = {*given, *typed}
    return Recipe(path, values, {name: value for name, value in values.items() if name in said}, kind)


def recipe_and_fields(arguments: Sequence[str]) -> tuple[str | None, list[str]]:
    """The recipe and the fields of a command line: `RECIPE --field value`, or TRL's `--config RECIPE --field value`.

    Example:

    ```python
    >>> recipe_and_fields(["--config", "sft", "--seed", "1"])
    ('sft', ['--seed', '1'])

    ```
    """
    parser = ArgumentParser(add_help=False, allow_abbrev=False)
    parser.add_argument("--config")
    named, rest = parser.parse_known_args(list(arguments))
    if named.config is None and rest and not rest[0].startswith("--"):
        return rest[0], rest[1:]
    return named.config, rest


def _parse(parser: _Parser, where: str, arguments: list[str], namespace: Namespace, kind: RecipeKind) -> Namespace:
    namespace, rest = parser.parse_known_args(arguments, namespace)
    unknown = [text.split("=")[0].removeprefix("--") for text in rest if text.startswith("--")]
    if unknown:
        raise ValueError(_unknown(where, unknown, {action.dest for action in parser._actions}, kind))
    if rest:
        raise ValueError(f"Every field except a list takes one value, but {where} also has {' '.join(rest)!r}.")
    return namespace


def _check_names(path: Path, given: dict[Any, Any], known: dict[str, Any], kind: RecipeKind) -> None:
    unknown = [str(name) for name in given if name not in known or name == "help"]
    if unknown:
        raise ValueError(_unknown(str(path), unknown, known, kind))


_LAUNCHER = "is no field: give it to `s1-hf sft ... --machine`, or to `accelerate launch` before its `-m s1_hf.sft`"
_OF_TRL = "is a field of `trl sft`: set `dataset` to one of s1's data sets, or `dataset_path` to local files"
_ELSEWHERE = {
    **dict.fromkeys(("machine", "machine_rank", "main_process_ip", "main_process_port", "num_processes"), _LAUNCHER),
    **dict.fromkeys(("config_file", "num_machines", "accelerate_config"), _LAUNCHER),
    **dict.fromkeys(("dataset_name", "dataset_config", "datasets"), _OF_TRL),
    **dict.fromkeys(("dataset_train_split", "dataset_test_split", "dataset_streaming"), _OF_TRL),
    "config": "names the recipe, and has to come once, instead of it",
}


def _unknown(where: str, names: Sequence[str], known: Iterable[str], kind: RecipeKind) -> str:
    hints = []
    for name in names:
        if name in _ELSEWHERE:
            hints.append(f"`{name}` ({_ELSEWHERE[name]})")
            continue
        close = difflib.get_close_matches(name, list(known), 1)
        hints.append(f"`{name}`" + (f" (did you mean `{close[0]}`?)" if close else ""))
    return (
        f"Unknown fields in {where}: {', '.join(hints)}. A recipe has the fields of the installed TRL's "
        f"{kind.training.__name__} and ModelConfig, and of {kind.data.__module__}.{kind.data.__name__}; "
        f"`python -m {kind.module} --help` lists them."
    )


def _as_arguments(name: str, value: object, default: object) -> list[str]:
    """A YAML value as command-line arguments, so that file and command line are parsed in the same way."""
    if value is None:
        return [] if default is None else [f"--{name}", "none"]
    if isinstance(value, list):
        return [f"--{name}", *map(str, value)]
    return [f"--{name}", json.dumps(value) if isinstance(value, (dict, bool)) else str(value)]
