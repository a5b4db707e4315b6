"""Options that several commands have, each declared once."""

import math
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from s1_hf._lazy import require

if TYPE_CHECKING:
    from s1_hf.evaluation import BudgetForcingConfig
    from s1_hf.forcing.budget import LoopGuard as Guard

_BUDGET, _DECODING, _SAVING = ({"rich_help_panel": name} for name in ("Budget", "Decoding", "Saving"))

Model = Annotated[
    str, typer.Argument(help="A folder or a name on the Hub: a model, or a LoRA adapter. 'embedded': the toy in here.")
]

MaxThinkingTokens = Annotated[str | None, typer.Option(help="Thinking is cut there; 'auto': all that fits.", **_BUDGET)]
MinThinkingTokens = Annotated[int, typer.Option(help="Not ended before.", **_BUDGET)]
NumIgnores = Annotated[int, typer.Option(help="Attempts to end that are ignored.", **_BUDGET)]
WaitText = Annotated[str, typer.Option(help="In place of an ignored end; '' for none.", **_BUDGET)]
AnswerPrefix = Annotated[str, typer.Option(help="Behind a cut; '' for none.", **_BUDGET)]
LoopGuard = Annotated[bool, typer.Option("--loop-guard", help="End thinking that repeats.", **_BUDGET)]
MaxAnswerTokens = Annotated[int | None, typer.Option(help="Answers end there.", min=1, **_BUDGET)]
ThinkingFormat = Annotated[str | None, typer.Option(help="s1, think, harmony, ...; by default detected.", **_BUDGET)]

Temperature = Annotated[float, typer.Option(help="0: greedy.", min=0, **_DECODING)]
TopP = Annotated[float | None, typer.Option(help="1 if not given.", min=0, max=1, **_DECODING)]
TopK = Annotated[int | None, typer.Option(help="All tokens if not given.", min=1, **_DECODING)]
MinP = Annotated[float | None, typer.Option(help="0 if not given.", min=0, max=1, **_DECODING)]
Seed = Annotated[int, typer.Option(help="Of sampling.", **_DECODING)]
Dtype = Annotated[Literal["auto", "float32", "bfloat16", "float16"], typer.Option(help="auto: as saved.", **_DECODING)]
SystemPrompt = Annotated[str | None, typer.Option(help="Before each question.", **_DECODING)]
Revision = Annotated[str, typer.Option(help="Of a model on the Hub.", **_DECODING)]
TrustRemoteCode = Annotated[
    bool, typer.Option("--trust-remote-code", help="Run code that comes with the model.", **_DECODING)
]

Tasks = Annotated[str, typer.Option(help="Names, separated by commas: s1:aime24, s1:math500, or lighteval's own.")]
MaxSamples = Annotated[int | None, typer.Option(help="Problems of each task, for a trial.", min=1)]
CustomTasks = Annotated[str, typer.Option(help="A module or file with tasks.")]
DataFolder = Annotated[str | None, typer.Option(help="Local data for the tasks s1:...")]
MaxNewTokens = Annotated[int | None, typer.Option(help="In place of the tasks' own limits.", **_DECODING)]
BatchSize = Annotated[int, typer.Option(help="Rows of a batch.", **_DECODING)]
MaxLength = Annotated[int | None, typer.Option(help="Context, if less than the model's.", **_DECODING)]
OutputDir = Annotated[Path, typer.Option(help="Gets results/, details/ and generations/.", **_SAVING)]
SaveDetails = Annotated[bool, typer.Option(help="Every answer, as Parquet.", **_SAVING)]

AsJson = Annotated[bool, typer.Option("--json", help="For scripts: JSON on stdout, all else on stderr.")]


def thinking_limit(given: str | None) -> Any:
    """What `--max-thinking-tokens` says: a number, or a word that the budget checks."""
    return int(given) if given and given.isdecimal() else given


def guard(wanted: bool) -> "Guard | None":
    """What `--loop-guard` says."""
    from s1_hf.forcing.budget import LoopGuard

    return LoopGuard() if wanted else None


def check_sampling(temperature: float, top_p: float | None, top_k: int | None, min_p: float | None) -> None:
    """Raises a `ValueError` for what greedy decoding would ignore, and for an endless temperature."""
    if temperature == math.inf:
        raise ValueError("`--temperature` has to be a number from 0 up, but is inf.")
    given = {"--top-p": top_p, "--top-k": top_k, "--min-p": min_p}
    idle = [f"`{name}`" for name, value in given.items() if value is not None]
    if temperature == 0 and idle:
        raise ValueError(f"{' and '.join(idle)} need `--temperature` above 0: at 0 decoding is greedy.")


def evaluation_config(given: Mapping[str, Any], **budget: Any) -> "BudgetForcingConfig":
    """The settings of an evaluation, from all options of a command that has those above, and its `budget`.

    Raises:
        ValueError: an option is out of range. ModuleNotFoundError: the extra is missing.
    """
    require("lighteval", "eval")
    check_sampling(given["temperature"], given["top_p"], given["top_k"], given["min_p"])
    output_dir = given["output_dir"]
    if output_dir.exists() and not output_dir.is_dir():
        raise ValueError(f"`--output-dir` has to be a folder, but {output_dir} is a file.")
    from lighteval.models.model_input import GenerationParameters

    from s1_hf.evaluation import BudgetForcingConfig

    as_they_are = ("revision", "dtype", "trust_remote_code", "batch_size", "max_length", "max_answer_tokens")
    sampling = ("temperature", "top_p", "top_k", "min_p", "seed", "max_new_tokens")
    return BudgetForcingConfig(
        model_name=given["model"],
        **{name: given[name] for name in (*as_they_are, "system_prompt")},
        format=given["thinking_format"],
        wait_text=given["wait_text"] or None,
        answer_prefix=given["answer_prefix"] or None,
        loop_guard=guard(given["loop_guard"]),
        generation_parameters=GenerationParameters(**{name: given[name] for name in sampling}),
        cache_dir=str(output_dir / "generations"),
        **budget,
    )
