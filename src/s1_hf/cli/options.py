"""Options that several commands have, each declared once."""

import math
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from s1_hf.files import refuse_links
from s1_hf.records import parse

if TYPE_CHECKING:
    from s1_hf.evaluation import Settings

_BUDGET, _DECODING, _SAVING = ({"rich_help_panel": name} for name in ("Budget", "Decoding", "Saving"))

Model = Annotated[
    str,
    typer.Argument(help="A folder or a name on the Hub: a model or a LoRA adapter; 'embedded' is the built-in toy."),
]

MaxAnswerTokens = Annotated[int | None, typer.Option(help="Maximum answer tokens.", min=1, **_BUDGET)]
ThinkingFormat = Annotated[
    str | None,
    typer.Option(help="s1, think, harmony, ...; detected by default. `s1-hf formats` lists all.", **_BUDGET),
]
ThinkingStart = Annotated[
    str | None, typer.Option(help="Instead of a format: what opens thinking; with --thinking-close.", **_BUDGET)
]
ThinkingClose = Annotated[
    str | None, typer.Option(help="Instead of a format: what closes thinking; with --thinking-start.", **_BUDGET)
]
ForceStart = Annotated[
    bool,
    typer.Option("--force-start", help="Open thinking by force where the prompt has not opened it.", **_BUDGET),
]
FORMAT = ("thinking_format", "thinking_start", "thinking_close", "force_start")
"""The parameters of a command that say what its thinking format is, in the order of [`chosen_format`]."""

Temperature = Annotated[float, typer.Option(help="Sampling temperature; 0 decodes greedily.", min=0, **_DECODING)]
TopP = Annotated[float | None, typer.Option(help="Top-p; 1 by default.", min=0, max=1, **_DECODING)]
TopK = Annotated[int | None, typer.Option(help="Top-k; all tokens by default.", min=1, **_DECODING)]
MinP = Annotated[float | None, typer.Option(help="Min-p; 0 by default.", min=0, max=1, **_DECODING)]
Seed = Annotated[int, typer.Option(help="Random seed for sampling.", **_DECODING)]
Dtype = Annotated[
    Literal["auto", "float32", "bfloat16", "float16"],
    typer.Option(help="Of the weights; auto keeps that of the saved ones.", **_DECODING),
]
SystemPrompt = Annotated[str | None, typer.Option(help="System prompt for every question.", **_DECODING)]
NoChatTemplate = Annotated[
    bool, typer.Option("--no-chat-template", help="Ask in bare text, without the model's chat template.", **_DECODING)
]
ChatTemplateKwargs = Annotated[
    str | None,
    typer.Option(help="""For the chat template, as JSON: '{"enable_thinking": true}'.""", **_DECODING),
]
Revision = Annotated[str, typer.Option(help="Revision of a model on the Hub.", **_DECODING)]
TrustRemoteCode = Annotated[
    bool, typer.Option("--trust-remote-code", help="Run code that comes with the model.", **_DECODING)
]

Tasks = Annotated[
    str,
    typer.Option(
        help="Separated by commas: s1:aime24, s1:math500; files of questions and answers (.jsonl, .json, .csv, "
        ".parquet); or lighteval's own tasks."
    ),
]
_FILES = {"rich_help_panel": "Tasks in files"}
QuestionColumn = Annotated[str | None, typer.Option(help="What is asked; by default a usual name.", **_FILES)]
AnswerColumn = Annotated[str | None, typer.Option(help="Right answers; by default a usual name.", **_FILES)]
ChoicesColumn = Annotated[str | None, typer.Option(help="Lists of choices; by default a usual name.", **_FILES)]
AnswerKind = Annotated[
    Literal["math", "choice"] | None,
    typer.Option(help="Of the right answers; by default choice where there are choices.", **_FILES),
]
Samples = Annotated[
    int | None, typer.Option(help="Answers to each question, for votes; needs a temperature.", min=2, **_FILES)
]
OF_FILES = ("question_column", "answer_column", "choices_column", "answer_kind", "samples")
"""Parameters that have a meaning only for tasks in files."""

MaxSamples = Annotated[int | None, typer.Option(help="Problems per task, for a trial.", min=1)]
CustomTasks = Annotated[
    str | None, typer.Option(help="A module or file with tasks for lighteval, beside its own and those of s1-hf.")
]
Host = Annotated[
    Literal["auto", "s1-hf", "lighteval"],
    typer.Option(help="What asks and grades; auto: s1-hf its own tasks, lighteval (an extra) if there are others."),
]
DataFolder = Annotated[str | None, typer.Option(help="Local data for the tasks s1:...")]
MaxNewTokens = Annotated[int | None, typer.Option(help="Instead of the tasks' own limits.", min=1, **_DECODING)]
BatchSize = Annotated[int, typer.Option(help="Rows per batch.", **_DECODING)]
MaxModelLen = Annotated[int | None, typer.Option(help="Context in tokens; the model's own by default.", **_DECODING)]
OutputDir = Annotated[Path, typer.Option(help="Folder for all results.", **_SAVING)]
PushEvalResults = Annotated[
    str | None,
    typer.Option(
        help="A model's repository on the Hub: open a pull request there with the entries in .eval_results/ of the "
        "output folder.",
        **_SAVING,
    ),
]
Track = Annotated[
    Literal["trackio", "wandb"] | None,
    typer.Option(help="Log settings, results and figures there, as training does: trackio or wandb.", **_SAVING),
]
SaveDetails = Annotated[
    bool, typer.Option(help="Save transcripts; with lighteval, its details: every answer, as Parquet.", **_SAVING)
]

AsJson = Annotated[bool, typer.Option("--json", help="For scripts: JSON on stdout, everything else on stderr.")]


def check_sampling(temperature: float, top_p: float | None, top_k: int | None, min_p: float | None) -> None:
    """Raises a `ValueError` for what greedy decoding would ignore, and for an infinite temperature."""
    if temperature == math.inf:
        raise ValueError("`--temperature` has to be a number from 0 up, but is inf.")
    given = {"--top-p": top_p, "--top-k": top_k, "--min-p": min_p}
    idle = [f"`{name}`" for name, value in given.items() if value is not None]
    if temperature == 0 and idle:
        raise ValueError(f"{' and '.join(idle)} need `--temperature` above 0: at 0 decoding is greedy.")


def chosen_format(
    thinking_format: str | None, thinking_start: str | None, thinking_close: str | None, force_start: bool
) -> str | dict[str, Any] | None:
    """What the options say about the thinking format, as [`format_of_settings`] takes it.

    Raises:
        ValueError: one delimiter was given without the other, or both with a format's name.
    """
    delimiters = {"--thinking-start": thinking_start, "--thinking-close": thinking_close}
    given = [name for name, text in delimiters.items() if text is not None]
    if given and thinking_format is not None:
        names = " and ".join(f"`{name}`" for name in given)
        raise ValueError(
            f"`--thinking-format` names a format, which has its own delimiters, but {names} came with it. Leave one "
            "of them out."
        )
    if len(given) == 1:
        (missing,) = delimiters.keys() - set(given)
        raise ValueError(f"`{given[0]}` needs `{missing}`: thinking has to be opened and closed by a text each.")
    if not given and not force_start:
        return thinking_format
    chosen: dict[str, Any] = {}
    if given:
        chosen |= {"start": thinking_start, "close": thinking_close}
    if thinking_format is not None:
        chosen["name"] = thinking_format
    if force_start:
        chosen["force_start"] = True
    return chosen


def template_arguments(given: str | None) -> dict[str, Any]:
    """What `--chat-template-kwargs` says.

    Raises:
        ValueError: it is no JSON object.
    """
    if given is None:
        return {}
    found = parse(given, "`--chat-template-kwargs`")
    if not isinstance(found, dict):
        raise ValueError(f'`--chat-template-kwargs` has to be a JSON object, such as {{"a": true}}, but is {given!r}.')
    return found


def evaluation_settings(given: Mapping[str, Any]) -> "Settings":
    """The settings of an evaluation, from all options of a command that has those above, its `budget` among them.

    Raises:
        ValueError: an option is out of range.
    """
    from s1_hf.engines.request import Sampling
    from s1_hf.evaluation import Settings
    from s1_hf.forcing.confidence import Confidence

    temperature, top_p, top_k, min_p = drawing = [given[name] for name in ("temperature", "top_p", "top_k", "min_p")]
    check_sampling(*drawing)
    output_dir = given["output_dir"]
    if output_dir.exists() and not output_dir.is_dir():
        raise ValueError(f"`--output-dir` has to be a folder, but {output_dir} is a file.")
    refuse_links(output_dir, "generations")
    sampling = None
    if temperature:
        top_p = 1.0 if top_p is None else top_p
        sampling = Sampling(temperature=temperature, top_p=top_p, top_k=top_k or 0, min_p=min_p)
    return Settings(
        **{name: given[name] for name in _AS_THEY_ARE},
        max_length=given["max_model_len"],
        format=chosen_format(*(given[name] for name in FORMAT)),
        sampling=sampling,
        chat_template=not given["no_chat_template"],
        chat_template_kwargs=template_arguments(given["chat_template_kwargs"]),
        confidence=Confidence(top=1) if given.get("confidence") else None,
        cache_dir=str(output_dir / "generations"),
    )


_AS_THEY_ARE = (
    "model", "revision", "dtype", "trust_remote_code", "batch_size", "budget", "engine", "engine_options",
    "max_new_tokens", "max_answer_tokens", "seed", "system_prompt",
)  # fmt: skip
