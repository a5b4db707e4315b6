"""Options that several commands have, each declared once."""

from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

if TYPE_CHECKING:
    from s1_hf.budget import LoopGuard as Guard

_BUDGET, _DECODING = {"rich_help_panel": "Budget"}, {"rich_help_panel": "Decoding"}

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

Temperature = Annotated[float, typer.Option(help="0: greedy.", **_DECODING)]
TopP = Annotated[float | None, typer.Option(help="1 if not given.", **_DECODING)]
TopK = Annotated[int | None, typer.Option(help="All tokens if not given.", **_DECODING)]
MinP = Annotated[float | None, typer.Option(help="0 if not given.", **_DECODING)]
Seed = Annotated[int, typer.Option(help="Of sampling.", **_DECODING)]
Dtype = Annotated[Literal["auto", "float32", "bfloat16", "float16"], typer.Option(help="auto: as saved.", **_DECODING)]
SystemPrompt = Annotated[str | None, typer.Option(help="Before each question.", **_DECODING)]
Revision = Annotated[str, typer.Option(help="Of a model on the Hub.", **_DECODING)]
TrustRemoteCode = Annotated[
    bool, typer.Option("--trust-remote-code", help="Run code that comes with the model.", **_DECODING)
]

AsJson = Annotated[bool, typer.Option("--json", help="For scripts: JSON on stdout, all else on stderr.")]


def thinking_limit(given: str | None) -> Any:
    """What `--max-thinking-tokens` says: a number, or a word that the budget checks."""
    return int(given) if given and given.isdecimal() else given


def guard(wanted: bool) -> "Guard | None":
    """What `--loop-guard` says."""
    from s1_hf.budget import LoopGuard

    return LoopGuard() if wanted else None


def check_sampling(temperature: float, top_p: float | None, top_k: int | None, min_p: float | None) -> None:
    """Raises a `ValueError` for what greedy decoding would ignore."""
    given = {"--top-p": top_p, "--top-k": top_k, "--min-p": min_p}
    idle = [f"`{name}`" for name, value in given.items() if value is not None]
    if temperature == 0 and idle:
        raise ValueError(f"{' and '.join(idle)} need `--temperature` above 0: at 0 decoding is greedy.")
