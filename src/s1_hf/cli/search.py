"""`s1-hf search`."""

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any

import typer

from s1_hf.cli import options as o
from s1_hf.cli import stopping as s
from s1_hf.cli.budgets import takes_budget
from s1_hf.cli.choosing import NAMES, WITH_SCORER, made_of, refuse_idle
from s1_hf.cli.engines import Engine, given_in
from s1_hf.cli.hosts import refuse_columns, say_what_is_replaced, settings_of, tasks_in
from s1_hf.cli.progress import progress_bar
from s1_hf.cli.tables import show_summaries
from s1_hf.cli.terminal import messages, plain_errors
from s1_hf.engines.processes import launched
from s1_hf.forcing.budget import PER_PROMPT, Budget
from s1_hf.records import parse

_SEARCH = {"rich_help_panel": "Search"}


@takes_budget(without=[name for name in PER_PROMPT if name == "min_thinking_tokens"])
def search(
    context: typer.Context,
    model: o.Model,
    tasks: o.Tasks,
    *,
    methods: Annotated[
        str, typer.Option(help=f"Which are compared, separated by commas: {', '.join(NAMES)}.", **_SEARCH)
    ] = "rebase,majority,steps",
    scorer: Annotated[
        str | None,
        typer.Option(
            help="A reward model, by folder or name; 'embedded-reward' is the built-in one of the toy; 'oracle' knows "
            "the right answers.",
            **_SEARCH,
        ),
    ] = None,
    scorer_convention: Annotated[
        str | None, typer.Option(help="How the reward model is asked, if its configuration does not say.", **_SEARCH)
    ] = None,
    widths: Annotated[
        str, typer.Option(help="Rows of a search and voters of a vote, separated by commas.", **_SEARCH)
    ] = "1,2,4,8,16",
    separator: Annotated[
        str | None,
        typer.Option(help=r"What ends a step; \n is a line break. By default the reward model's, or \n\n.", **_SEARCH),
    ] = None,
    max_step_tokens: Annotated[int | None, typer.Option(help="A longer step ends here.", min=1, **_SEARCH)] = None,
    max_steps: Annotated[
        int | None, typer.Option(help="Rows with so many steps go to their ends as they are.", min=1, **_SEARCH)
    ] = None,
    aggregation: Annotated[
        str, typer.Option(help="Of a row's numbers: last, min, product or mean.", **_SEARCH)
    ] = "last",
    balance: Annotated[float, typer.Option(help="Temperature of REBASE's balance.", **_SEARCH)] = 0.2,
    expand: Annotated[int, typer.Option(help="How many times beam search continues a row.", min=1, **_SEARCH)] = 4,
    eta: Annotated[
        float, typer.Option(help="Of DeepConf: the percentage of samples that are sure enough to vote.", **_SEARCH)
    ] = 10,
    window: Annotated[
        int, typer.Option(help="Of DeepConf: tokens over which it looks at how sure the model is.", min=1, **_SEARCH)
    ] = 2048,
    measure: Annotated[
        str, typer.Option(help="Of deepconf: what makes a sample sure: average, lowest, bottom or tail.", **_SEARCH)
    ] = "bottom",
    warmup: Annotated[
        int, typer.Option(help="Of deepconf-online: samples before any is given up.", min=1, **_SEARCH)
    ] = 16,
    consensus: Annotated[
        float, typer.Option(help="Of deepconf-online: it ends when so large a share votes for one answer.", **_SEARCH)
    ] = 0.95,
    power: Annotated[
        float, typer.Option(help="Of certainty: by which power Borda votes fall with their ranks.", **_SEARCH)
    ] = 0.5,
    steps: Annotated[
        str, typer.Option(help="Of the method steps: the numbers that prompts name.", **_SEARCH)
    ] = "16,32,64,128,256",
    force_steps: Annotated[
        bool,
        typer.Option(
            "--force-steps", help="Also with the count of steps written in, as s1's model knows it.", **_SEARCH
        ),
    ] = False,
    ignores: Annotated[
        str, typer.Option(help="Of the method forcing: how many ends of thinking are ignored.", **_SEARCH)
    ] = "0,1,2,4",
    vote_rule: s.VoteRule = "beta",
    vote_threshold: s.VoteThreshold = 0.95,
    round_size: s.RoundSize = None,
    first: s.First = 1,
    every: s.Every = 256,
    stable: s.Stable = "2,3",
    confident: s.Confident = "none",
    levels: s.Levels = 8,
    totals: s.Totals = None,
    engine: Engine = "transformers",
    budget: Budget,
    max_answer_tokens: o.MaxAnswerTokens = None,
    thinking_format: o.ThinkingFormat = None,
    thinking_start: o.ThinkingStart = None,
    thinking_close: o.ThinkingClose = None,
    force_start: o.ForceStart = False,
    temperature: o.Temperature = 1.0,
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
    data_folder: o.DataFolder = None,
    question_column: o.QuestionColumn = None,
    answer_column: o.AnswerColumn = None,
    choices_column: o.ChoicesColumn = None,
    answer_kind: o.AnswerKind = None,
    as_json: o.AsJson = False,
    output_dir: o.OutputDir = Path("results"),
) -> None:
    """Search with a reward model, and compare that with votes and longer thinking. Rerun the same command to resume.

    Every token counts: of rows that were given up, and of the reward model. All answers are in rows.jsonl of the output
    folder; `s1-hf plot` draws accuracy over tokens from it, as in the paper's figure 7.

    Examples:

    s1-hf search embedded --tasks s1:embedded --max-samples 100 --scorer embedded-reward --widths 1,2,4,8 --steps 4,8,16

    s1-hf search my-model --tasks s1:aime24 --scorer Qwen/Qwen2.5-Math-PRM-7B --methods rebase,weighted,majority
    """
    given = {**locals(), "said": given_in(context)}
    with plain_errors(resumes=True):
        wanted = _listed(methods)
        refuse_idle(wanted, given["said"])
        _check(wanted, scorer, temperature)
        refuse_columns(given)
        if budget.max_thinking_tokens == "auto":
            raise ValueError(
                '`--max-thinking-tokens` has to be a number here: "auto" depends on a batch, and rows of a search come '
                "and go."
            )
        settings = settings_of(given)
        found = tasks_in({**given, "samples": None})
        from s1_hf.evaluation.model import ModelOnTasks
        from s1_hf.generation.chats import behind_system
        from s1_hf.methods import Bench, run_methods
        from s1_hf.methods.run import check_methods

        asked = ModelOnTasks(settings)
        limit = min(request.max_new_tokens for request in asked.requests(found))
        problems = []
        for task in found:
            for one in task.problems:
                prompt = behind_system(asked.tokenizer, one.prompt, system_prompt)
                problems.append(replace(one, prompt=prompt))
        sampling = settings.sampling
        assert sampling is not None
        with progress_bar() as show:
            bench = Bench(
                problems=problems, max_new_tokens=limit, engine=asked.engine, max_answer_tokens=max_answer_tokens,
                temperature=sampling.temperature, top_p=sampling.top_p, top_k=sampling.top_k, min_p=sampling.min_p,
                seed=seed, batch_size=batch_size, budget=budget.shared(),
                chat_template_kwargs=settings.chat_template_kwargs, progress=show,
            )  # fmt: skip
            about: dict[str, Any] = {"model": model, "revision": revision, "dtype": dtype}
            about["asked"] = {
                "system_prompt": system_prompt,
                "chat_template_kwargs": dict(settings.chat_template_kwargs),
                "format": settings.format,
            }
            made = made_of(wanted, given, bench)
            facts = {**about, "seed": seed, "methods": [method.settings for method in made]}
            check_methods(made, bench)
            say_what_is_replaced(output_dir / "rows.jsonl", dict(parse(json.dumps(facts), "about.json")))
            rows = run_methods(made, bench, output_dir, about=about)
        show_summaries(rows, as_json)
        messages.print(
            f"All answers are in {output_dir / 'rows.jsonl'}. Draw them: s1-hf plot {output_dir}", soft_wrap=True
        )


def _listed(methods: str) -> list[str]:
    names = [name.strip() for name in methods.split(",")]
    if not set(names) <= set(NAMES) or len(set(names)) < len(names):
        raise ValueError(f"`--methods` has to be different ones of {', '.join(NAMES)}, but is {methods!r}.")
    return names


def _check(names: Sequence[str], scorer: str | None, temperature: float) -> None:
    need = [name for name in names if name in WITH_SCORER]
    if need and scorer is None:
        raise ValueError(f"`--scorer` has to name a reward model for {', '.join(need)}. Other methods need none.")
    if not temperature:
        raise ValueError("`--temperature` has to be above 0: searches and votes sample. The paper's is 1.")
    if launched() > 1:
        raise ValueError(f"`s1-hf search` runs in one process, but this is one of {launched()}. Start it by itself.")
