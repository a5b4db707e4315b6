"""`s1-hf effort`."""

import math
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import asdict
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich import box
from rich.table import Table

from s1_hf._lazy import require
from s1_hf.cli import options as o
from s1_hf.cli.budgets import takes_budget
from s1_hf.cli.engines import Engine
from s1_hf.cli.hosts import cost_of
from s1_hf.cli.sweep import numbers, say_what_it_took, sweep_with
from s1_hf.cli.terminal import console, messages, plain_errors, print_json, print_table
from s1_hf.forcing.budget import NO_INTERVENTION, PER_PROMPT, Budget
from s1_hf.forcing.effort import Effort
from s1_hf.visible import shortened

if TYPE_CHECKING:
    from s1_hf.evaluation.bench import Evaluated
    from s1_hf.results.efforts import Proposal

_BUDGET = {"rich_help_panel": "Budget"}
_OURS = ("none", "max")
_PER_OCTAVE, _OCTAVES = 3, 6  # of the default caps


@takes_budget(without=PER_PROMPT)
def effort(
    context: typer.Context,
    model: o.Model,
    tasks: o.Tasks,
    *,
    engine: Engine = "transformers",
    keep: Annotated[
        str, typer.Option(help="By effort, percent of the accuracy without a cap to keep.")
    ] = "low=90,medium=95,high=99",
    max_thinking_tokens: Annotated[
        str | None,
        typer.Option(
            help="Caps to try, separated by commas; by default 3 an octave, from all that fits down to 1/64, and 0.",
            **_BUDGET,
        ),
    ] = None,
    budget: Budget,
    max_answer_tokens: o.MaxAnswerTokens = None,
    thinking_format: o.ThinkingFormat = None,
    thinking_start: o.ThinkingStart = None,
    thinking_close: o.ThinkingClose = None,
    force_start: o.ForceStart = False,
    temperature: o.Temperature = 0.0,
    top_p: o.TopP = None,
    top_k: o.TopK = None,
    min_p: o.MinP = None,
    seed: o.Seed = 0,
    max_new_tokens: o.MaxNewTokens = None,
    dtype: o.Dtype = "auto",
    batch_size: o.BatchSize = 8,
    max_model_len: o.MaxModelLen = None,
    system_prompt: o.SystemPrompt = None,
    no_chat_template: o.NoChatTemplate = False,
    chat_template_kwargs: o.ChatTemplateKwargs = None,
    revision: o.Revision = "main",
    trust_remote_code: o.TrustRemoteCode = False,
    max_samples: o.MaxSamples = None,
    host: o.Host = "auto",
    custom_tasks: o.CustomTasks = None,
    data_folder: o.DataFolder = None,
    question_column: o.QuestionColumn = None,
    answer_column: o.AnswerColumn = None,
    choices_column: o.ChoicesColumn = None,
    answer_kind: o.AnswerKind = None,
    samples: o.Samples = None,
    as_json: o.AsJson = False,
    output_dir: o.OutputDir = Path("results"),
    save_details: o.SaveDetails = True,
    track: o.Track = None,
) -> None:
    """Propose a table of efforts for a model: the smallest caps that keep so much of its accuracy.

    All caps and no cap are evaluated in one pass, as by `s1-hf sweep`. A cap is proposed if the data show, with 95 %
    confidence, that it and all larger ones that were tried keep what is asked; if they do not, the effort is left out,
    and about how many problems it takes is said. effort.yaml of the output folder is the table, for --effort-table.
    Rerun the same command to resume.

    Examples:

    s1-hf effort embedded --tasks s1:embedded --max-samples 1000 --batch-size 64 --max-answer-tokens 16

    s1-hf effort Qwen/Qwen3-8B --tasks s1:math500 --keep low=80,medium=95 --output-dir qwen3

    s1-hf generate Qwen/Qwen3-8B "How many r are in strawberry?" --effort low --effort-table qwen3/effort.yaml
    """
    given = dict(locals())
    with plain_errors(resumes=True), ExitStack() as held:
        require("matplotlib", "plot")
        wanted = _wanted(keep)
        swept = sweep_with(given, _settings(max_thinking_tokens, budget), held)
        if swept is None:
            return  # the main process says it
        say_what_it_took(swept)
        if not swept.rows:
            raise ValueError("No efforts can be proposed: no answer to these tasks is called right or wrong.")
        from s1_hf.results.efforts import propose

        proposal = propose(swept.rows, wanted, seed)
        files = _save(proposal, budget, given)
    if as_json:
        _print_json(proposal, budget, swept, files)
    else:
        _show(proposal)
        console.print(*map(str, files), sep="\n", highlight=False, soft_wrap=True)


def _wanted(keep: str) -> dict[str, float]:
    """By effort, what it is to keep in percent."""
    wanted: dict[str, float] = {}
    for word in keep.split(","):
        name, _, number = (part.strip() for part in word.partition("="))
        try:
            percent = float(number.removesuffix("%"))
        except ValueError:
            percent = math.nan
        if not name or not 0 < percent < 100:
            raise ValueError(
                "`--keep` has to be efforts with the percent to keep, above 0 and below 100, such as low=90,high=99, "
                f"but is {keep!r}."
            )
        if name in wanted or name in _OURS:
            raise ValueError(
                f"`--keep` has {name!r} twice."
                if name in wanted
                else f"The table gives {name!r} itself: cap 0 and "
                "all that fits are `none` and `max`. Choose another name."
            )
        wanted[name] = percent
    Effort(dict.fromkeys(wanted, NO_INTERVENTION))  # refuses names that cannot be
    return wanted


def _settings(caps: str | None, budget: Budget) -> Callable[[int], list[Budget]]:
    """Makes the settings to sweep of the largest cap there is room for."""
    from s1_hf.generation import grids

    chosen = None if caps is None else [n for n in numbers("--max-thinking-tokens", caps) if n is not None]

    def settings(room: int) -> list[Budget]:
        return grids.grid([*(_default_caps(room) if chosen is None else chosen), None], [0], budget)

    return settings


def _default_caps(room: int) -> list[int]:
    """As many as fit, and smaller ones in equal ratios, the largest first, and 0."""
    ratios = [2 ** (-step / _PER_OCTAVE) for step in range(_PER_OCTAVE * _OCTAVES + 1)]
    return list(dict.fromkeys([*(round(room * ratio) for ratio in ratios), 0]))


def _save(proposal: "Proposal", budget: Budget, given: Mapping[str, Any]) -> list[Path]:
    """The table, and its picture."""
    from s1_hf.files import inside
    from s1_hf.plots import kept
    from s1_hf.plots.files import as_files, save
    from s1_hf.plots.style import forget_own_settings

    table = inside(given["output_dir"], "effort.yaml")
    proposal.effort(budget).write(table, _comment(proposal, given))
    forget_own_settings()
    figure = kept(proposal.caps, proposal.claims).figure
    return [table, *save(as_files(figure), given["output_dir"], "effort")]  # type: ignore[arg-type]


def _comment(proposal: "Proposal", given: Mapping[str, Any]) -> str:
    drawn = f"at temperature {given['temperature']:g}, seed {given['seed']}" if given["temperature"] else "greedy"
    lines = [
        f"Proposed by s1-hf {version('s1-hf')} for {given['model']} on {given['tasks']}: {_data(proposal)}, {drawn}.",
        *(f"{claim.name}, {claim.keeps:g} %: {claim.why.removesuffix('.')}." for claim in proposal.claims),
    ]
    return "\n".join(lines)


def _data(proposal: "Proposal") -> str:
    samples = f" with {proposal.samples} samples each" if proposal.samples > 1 else ""
    return (
        f"{proposal.problems:,} problems{samples}; without a cap {proposal.accuracy:.1f} % right, "
        f"{proposal.thinking_tokens:,.0f} thinking tokens"
    )


def _show(proposal: "Proposal") -> None:
    claims = Table(title=_data(proposal), title_justify="left", box=box.SIMPLE_HEAD, pad_edge=False)
    for name in ("effort", "keeps", "cap", "what the data show"):
        claims.add_column(name, justify="right" if name in ("keeps", "cap") else "left", no_wrap=name == "cap")
    for claim in proposal.claims:
        cap = "none" if claim.max_thinking_tokens is None else f"{claim.max_thinking_tokens:,}"
        claims.add_row(shortened(claim.name, 24), f"{claim.keeps:g} %", cap, claim.why)
    caps = Table(
        title="kept: in % of the accuracy without a cap; 90 % interval",
        title_justify="left",
        box=box.SIMPLE_HEAD,
        pad_edge=False,
    )
    for name in ("cap", "thinking", "cut %", "acc. %", "kept %", "90 %"):
        caps.add_column(name, justify="right", no_wrap=True)
    for one in proposal.caps:
        numbers = f"{one.thinking_tokens:,.0f}", f"{one.cut:.0f}", f"{one.accuracy:.1f}", f"{one.kept:.1f}"
        high = "∞" if math.isinf(one.high) else f"{one.high:.1f}"
        caps.add_row(f"{one.max_thinking_tokens:,}", *numbers, f"{one.low:.1f} to {high}")
    print_table(caps)
    print_table(claims)
    for claim in proposal.claims:
        if claim.max_thinking_tokens is None:
            messages.print(f"{claim.name} is left out of the table.", highlight=False, soft_wrap=True)


def _print_json(proposal: "Proposal", budget: Budget, swept: "Evaluated", files: list[Path]) -> None:
    found = asdict(proposal)
    for cap in found["caps"]:
        cap["high"] = None if math.isinf(cap["high"]) else cap["high"]
    table = {name: one.changed() for name, one in proposal.effort(budget).table.items()}
    print_json({"efforts": table, **found, "cost": cost_of(swept), "files": [str(file) for file in files]}, indent=1)
