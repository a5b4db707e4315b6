"""Everything that a run needs besides the weights, loaded and checked."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import TYPE_CHECKING, Any

from datasets import Dataset
from transformers import AutoTokenizer, PreTrainedTokenizerBase

from s1_hf.engines.plain_config import ends_of, plain_config
from s1_hf.engines.request import Request, Sampling
from s1_hf.finding import config_of_model
from s1_hf.forcing.budget import NO_LIMIT
from s1_hf.forcing.formats import ThinkingFormat, resolve_format
from s1_hf.generation.context import context_of
from s1_hf.generation.processor import BudgetForcingLogitsProcessor
from s1_hf.rl.fields import BudgetArguments, budgets_of, reward_names
from s1_hf.rl.rollout import FIELDS, check_budget
from s1_hf.sft import guards
from s1_hf.sft.prepare import Prepared, disk_needed, quantised_faults, set_padding
from s1_hf.tasks.own import OwnColumns, task_of_file
from s1_hf.visible import visible

if TYPE_CHECKING:
    from trl import GRPOConfig, ModelConfig

    from s1_hf.tasks.task import Task

logger = logging.getLogger(__name__)

_ABOUT = """trained by GRPO ([arXiv 2402.03300](https://arxiv.org/abs/2402.03300)) on {rows:,} problems
under thinking budgets ({budgets}) with [s1-hf](https://pypi.org/project/s1-hf);
tokens that it did not choose were kept out of the loss."""
_UNMASKED = "tokens that it did not choose were kept out of the loss"


def prepare(data: BudgetArguments, args: GRPOConfig, model_args: ModelConfig) -> Prepared:
    """Load tokenizer and problems, and apply all guards. No weights are loaded.

    Raises:
        ValueError: the guards refuse the run; the message lists all reasons.
    """
    name = model_args.model_name_or_path
    if name is None:
        raise ValueError("Set `model_name_or_path` to the name of a model on the Hub, or to a local folder.")
    if data.dataset_path is None:
        raise ValueError("Set `dataset_path` to a file of questions and right answers.")
    where = {"revision": model_args.model_revision, "trust_remote_code": args.trust_remote_code}
    config = config_of_model(name, **where)
    tokenizer = AutoTokenizer.from_pretrained(name, padding_side="left", truncation_side="left", **where)
    set_padding(tokenizer, data.padding_token)
    thinking_format = resolve_format(tokenizer, data.thinking_format)
    with args.main_process_first(desc="preparing the data"):
        task = task_of_file(data.dataset_path, OwnColumns(question=data.question_column, answer=data.answer_column))
    rows = problems_of(task)
    prompts = [_ids(tokenizer, row["prompt"], args.chat_template_kwargs or {}) for row in rows]
    longest = max(map(len, prompts))
    faults = _budget_faults(data, args, tokenizer, thinking_format, prompts[0])
    context = context_of(config)
    if context is not None and longest + args.max_completion_length > context:
        faults.append(
            f"The longest prompt has {longest:,} tokens and `max_completion_length` is {args.max_completion_length:,}, "
            f"but the model's context is {context:,}."
        )
    guards.refuse(
        faults
        + quantised_faults(config, model_args)
        + guards.padding_faults(tokenizer)
        + guards.disk_faults(Path(args.output_dir), disk_needed(config, data, args, model_args))
    )
    budgets = _in_words(data)
    if args.process_index == 0:
        logger.info(
            "%s problems, prompts of up to %s tokens; %s steps of %s completions, %s of each problem; %s",
            f"{len(rows):,}",
            f"{longest:,}",
            f"{args.max_steps:,}",
            data.global_batch_size,
            args.num_generations,
            budgets,
        )
        logger.info("Problem 0: %s", visible(str(tokenizer.decode(prompts[0]))))
    about = _ABOUT.format(rows=len(rows), budgets=budgets)
    if not data.mask_forced:
        about = about.replace(_UNMASKED, "also tokens that it did not choose were in the loss")
    source = {"file": data.dataset_path, "rows": len(rows), "question": task.source["question"]}
    return Prepared(rows, tokenizer, thinking_format, source, args.max_steps, about)


def problems_of(task: Task) -> Dataset:
    """The rows that the trainer sees: `prompt` (a chat), `solution` and `kind`."""
    rows = []
    for problem in task.problems:
        asked: Any = problem.prompt
        if isinstance(asked, str):
            asked = [{"role": "user", "content": asked}]
        chat = [{"role": str(one["role"]), "content": one["content"]} for one in asked]
        rows.append({"prompt": chat, "solution": problem.gold, "kind": problem.kind})
    assert not set(rows[0]) & set(FIELDS)
    return Dataset.from_list(rows)


def _budget_faults(
    data: BudgetArguments,
    args: GRPOConfig,
    tokenizer: PreTrainedTokenizerBase,
    thinking_format: ThinkingFormat,
    prompt: list[int],
) -> list[str]:
    """Whether the largest budget can act and be followed, and leaves room for an answer."""
    budgets = budgets_of(data)
    budget = budgets.largest
    check_budget(budget)
    sampling = Sampling(temperature=args.temperature, top_p=args.top_p, top_k=args.top_k or 0, min_p=args.min_p)
    request = Request(prompt=tuple(prompt), max_new_tokens=args.max_completion_length, budget=budget, sampling=sampling)
    processor = BudgetForcingLogitsProcessor(
        tokenizer,
        budget=budget,
        format=thinking_format,
        generation_config=plain_config(request, tokenizer, ends_of(tokenizer)),
    )
    (cap,) = budget.column("max_thinking_tokens", 1)
    faults = []
    needs_cap = [name for name in reward_names(data.rewards) if name != "correct"]
    if cap >= NO_LIMIT and needs_cap:
        faults.append(f"The rewards {', '.join(needs_cap)} need `max_thinking_tokens`.")
    around = len(thinking_format.start) + processor.automaton.max_closing
    if cap < NO_LIMIT and cap + around >= args.max_completion_length:
        faults.append(
            f"`max_completion_length` {args.max_completion_length:,} leaves no room for an answer after "
            f"{cap:,} thinking tokens, whose opening and closing take up to {around}: raise it, or lower "
            "`max_thinking_tokens`."
        )
    return faults


def _ids(tokenizer: PreTrainedTokenizerBase, chat: list[dict[str, str]], options: dict[str, Any]) -> list[int]:
    encoded: Any = tokenizer.apply_chat_template(
        chat, add_generation_prompt=True, tokenize=True, return_dict=True, **options
    )
    return list(encoded["input_ids"])


def _in_words(data: BudgetArguments) -> str:
    names = ("max_thinking_tokens", "min_thinking_tokens", "num_ignores")
    said = [f"`{name}` {getattr(data, name)}" for name in names if getattr(data, name) is not None]
    return ", ".join(said) or "no budget"
