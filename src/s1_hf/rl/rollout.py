"""Rollouts under thinking budgets, for TRL's `GRPOTrainer(rollout_func=...)`."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from contextlib import contextmanager
from random import Random
from typing import TYPE_CHECKING, Any

import torch
from transformers import PreTrainedTokenizerBase

from s1_hf.engines.plain_config import plain_config
from s1_hf.engines.request import Request, Sampling, seed_of
from s1_hf.engines.transformers_engine import TransformersEngine
from s1_hf.forcing.budget import NO_LIMIT, Budget
from s1_hf.forcing.formats import ThinkingFormat
from s1_hf.forcing.values import is_number
from s1_hf.generation.processor import BudgetForcingLogitsProcessor
from s1_hf.generation.sampling import Sampling as Warpers
from s1_hf.rl.law import TOLERANCE, Law, law_of
from s1_hf.rl.places import follow

if TYPE_CHECKING:
    from collections.abc import Iterator

    from trl import GRPOTrainer

    from s1_hf.engines.engine import Finished
    from s1_hf.rl.budgets import BudgetOf

SCORES_AT_ONCE = 2**28
"""Scores of rows that are computed together when the rows are looked at again: 1 GiB in float32."""

FIELDS = (
    "thinking", "final_answer", "thinking_tokens", "answer_tokens", "ended", "ends_ignored", "max_thinking_tokens",
    "min_thinking_tokens", "num_ignores",
)  # fmt: skip
"""What reward functions are given of each completion, besides the columns of the data."""


class BudgetRollout:
    r"""
    Generates the completions of a `GRPOTrainer` under thinking budgets, and keeps out of its loss what the model did
    not choose (TRL's `env_mask`): forced tokens, and places where the rules have changed the law that a token was drawn
    from ([`s1_hf.rl.law`] has the derivation).

    All completions of a prompt get the same budget, so that their rewards compare answers and not budgets. A budget
    that is drawn, and every token, follows from the trainer's seed, its step and the row: a run that is resumed from a
    checkpoint draws what an unbroken one draws. Where a completion was cut at `max_completion_length`, nothing is
    different: TRL's `mask_truncated_completions` works as usual.

    Args:
        budget ([`Budget`] or `Callable`): for every prompt; or a function that draws a prompt's from a
            `random.Random` of its own, such as [`s1_hf.rl.budgets.Drawn`].
        format ([`ThinkingFormat`] or `str`, *optional*): the delimiters; detected from the tokenizer if absent.
        batch_size (`int`, *optional*): rows that are generated at once; by default all that the trainer asks for.
        max_answer_tokens (`int`, *optional*): answers end after so many tokens.
        tolerance (`float`, *optional*, defaults to 0.01): see [`s1_hf.rl.law`].
        mask_forced (`bool`, *optional*, defaults to `True`): `False` leaves every token in the loss, to see what that
            does; nobody should want it.

    Raises:
        ValueError: a setting is out of range, or, when it is called, the trainer generates in a way in which the
            budget could not act.

    Example, in full in docs/reinforcement.md:
    `GRPOTrainer(model, rewards, args, dataset, rollout_func=BudgetRollout(Budget(max_thinking_tokens=500)))`.
    """

    def __init__(
        self,
        budget: Budget | BudgetOf,
        *,
        format: ThinkingFormat | str | None = None,
        batch_size: int | None = None,
        max_answer_tokens: int | None = None,
        tolerance: float = TOLERANCE,
        mask_forced: bool = True,
    ) -> None:
        if not isinstance(budget, Budget) and not callable(budget):
            raise TypeError(f"`budget` has to be a Budget, or a function that draws one, but is {budget!r}.")
        if not is_number(tolerance) or not 0 <= tolerance < 1:
            raise ValueError(f"`tolerance` has to be a number of at least 0 and below 1, but is {tolerance!r}.")
        self._budget_of: Callable[[Random], Budget] = (lambda random: budget) if isinstance(budget, Budget) else budget
        self._format, self._batch_size = format, batch_size
        self._max_answer_tokens, self._tolerance, self._mask_forced = max_answer_tokens, tolerance, mask_forced
        self._calls: tuple[str, int, int] = ("", -1, -1)  # mode, step, and how many rollouts came before in it
        if isinstance(budget, Budget):
            check_budget(budget)

    def __call__(self, prompts: list[Any], trainer: GRPOTrainer) -> dict[str, Any]:
        """One completion for each of `prompts`, in TRL's terms.

        Returns:
            `dict`: `prompt_ids`, `completion_ids` (lists of ids), `logprobs` (the log-probability with which each token
            was drawn; of forced ones 0), `env_mask` (1: in the loss), and one list for each of [`FIELDS`].
        """
        check_trainer(trainer)
        rows = prompt_ids(trainer, prompts)
        requests = self._requests(rows, trainer)
        with generating(trainer) as model:
            engine = TransformersEngine(
                model,
                trainer.processing_class,
                format=self._format,
                batch_size=self._batch_size or len(requests),
            )
            engine.check(requests)
            done: dict[str, Finished] = {}
            for batch in engine.run(requests, lambda rows: None):
                for one in batch:
                    done[one.request.problem] = one
            finished = [done[request.problem] for request in requests]
            laws = self._laws(engine, finished, trainer)
        return self._told(finished, laws)

    def _requests(self, rows: list[list[int]], trainer: GRPOTrainer) -> list[Request]:
        mode, step = "train" if trainer.model.training else "eval", trainer.state.global_step
        before = self._calls
        call = before[2] + 1 if before[:2] == (mode, step) else 0
        self._calls = (mode, step, call)
        copies = trainer.num_generations if mode == "train" else trainer.num_generations_eval
        first = trainer.accelerator.process_index * len(rows)
        sampling = Sampling(
            temperature=trainer.temperature, top_p=trainer.top_p, top_k=trainer.top_k or 0, min_p=trainer.min_p
        )
        requests = []
        for number, ids in enumerate(rows, first):
            if not ids:
                raise ValueError("A prompt has no tokens: leave the row out of the data.")
            where = f"{mode}, step {step}, rollout {call}"
            random = Random(seed_of(trainer.args.seed, where, f"prompt {number // copies}"))
            budget = self._budget_of(random)
            check_budget(budget)
            requests.append(
                Request(
                    prompt=tuple(ids),
                    max_new_tokens=trainer.max_completion_length,
                    max_answer_tokens=self._max_answer_tokens,
                    budget=budget,
                    sampling=sampling,
                    seed=seed_of(trainer.args.seed, where, f"row {number}"),
                    problem=f"row {number} of {where}",
                )
            )
        return requests

    def _laws(self, engine: TransformersEngine, finished: Sequence[Finished], trainer: GRPOTrainer) -> list[_RowLaw]:
        """Of every row, in their order."""
        kinds: dict[Any, list[int]] = {}
        for i, one in enumerate(finished):
            kinds.setdefault(one.request.batch_key, []).append(i)
        laws: list[_RowLaw | None] = [None] * len(finished)
        for kind in kinds.values():
            size = engine.config.get_text_config().vocab_size
            lengths = {i: len(finished[i].request.prompt) + len(finished[i].completion.token_ids) for i in kind}
            at_once = max(SCORES_AT_ONCE // (size * max(lengths.values())), 1)
            by_length = sorted(kind, key=lengths.__getitem__)
            for begin in range(0, len(by_length), at_once):
                part = by_length[begin : begin + at_once]
                found = law_of_rows(engine, [finished[i] for i in part], self._tolerance, trainer.accelerator.autocast)
                for r, i in enumerate(part):
                    laws[i] = _RowLaw(found, r, len(finished[i].completion.token_ids))
        return [law for law in laws if law is not None]

    def _told(self, finished: Sequence[Finished], laws: Sequence[_RowLaw]) -> dict[str, Any]:
        told: dict[str, Any] = {"prompt_ids": [list(one.request.prompt) for one in finished]}
        told["completion_ids"] = [list(one.completion.token_ids) for one in finished]
        told["logprobs"] = [law.logprobs for law in laws]
        told["env_mask"] = [law.mask if self._mask_forced else [1] * len(law.mask) for law in laws]
        rewarded = [fields_of(one) for one in finished]
        return told | {name: [row[name] for row in rewarded] for name in FIELDS}


class _RowLaw:
    """One row of a law, as lists."""

    def __init__(self, law: Law, row: int, length: int) -> None:
        self.logprobs: list[float] = law.logprobs[row, :length].tolist()
        self.mask: list[int] = law.kept[row, :length].long().tolist()


def law_of_rows(
    engine: TransformersEngine,
    finished: Sequence[Finished],
    tolerance: float = TOLERANCE,
    autocast: Callable[[], Any] | None = None,
) -> Law:
    """The law of rows of one kind that `engine` has generated, by one more pass of its model, without gradients."""
    first = finished[0].request
    config = plain_config(first, engine.tokenizer, engine.ends)
    processor = BudgetForcingLogitsProcessor(
        engine.tokenizer, budget=first.budget, format=engine.format, generation_config=config
    )
    places = follow(processor.automaton, finished)
    rows = [[*one.request.prompt, *one.completion.token_ids] for one in finished]
    longest, device = max(map(len, rows)), engine.model.device
    ids = torch.tensor([row + [0] * (longest - len(row)) for row in rows], device=device)
    mask = torch.tensor([[1] * len(row) + [0] * (longest - len(row)) for row in rows], device=device)
    with torch.no_grad(), autocast() if autocast else torch.no_grad():
        logits = engine.model(input_ids=ids, attention_mask=mask, use_cache=False).logits
    # The scores of a row's tokens, one place before each: (rows, length, vocab_size).
    begins = torch.tensor([len(one.request.prompt) - 1 for one in finished], device=device)
    at = (begins[:, None] + torch.arange(places.ids.shape[1], device=device)).clamp(max=longest - 1)
    scores = logits.gather(1, at[..., None].expand(-1, -1, logits.shape[-1]))
    return law_of(places, scores, Warpers(config), config.temperature or 1.0, tolerance)


def fields_of(one: Finished) -> dict[str, Any]:
    """What reward functions are given of a completion; see [`FIELDS`]."""
    budget, report = one.request.budget, one.completion.report
    (cap,), (least,), (ignores,) = (budget.column(name, 1) for name in FIELDS[-3:])
    return {
        "thinking": one.completion.thinking,
        "final_answer": one.completion.answer,
        "thinking_tokens": report.thinking_tokens,
        "answer_tokens": report.answer_tokens,
        "ended": report.ended,
        "ends_ignored": report.ends_ignored,
        "max_thinking_tokens": None if cap >= NO_LIMIT else cap,
        "min_thinking_tokens": least,
        "num_ignores": ignores,
    }


def prompt_ids(trainer: GRPOTrainer, prompts: Sequence[Any]) -> list[list[int]]:
    """As the trainer itself would have them: chats by the template, texts as they are."""
    tokenizer = trainer.processing_class
    if isinstance(prompts[0], str):
        return [list(ids) for ids in tokenizer(list(prompts))["input_ids"]]
    encoded = tokenizer.apply_chat_template(
        list(prompts),
        chat_template=trainer.chat_template,
        add_generation_prompt=True,
        tokenize=True,
        return_dict=True,
        **trainer.chat_template_kwargs,
    )
    return [list(ids) for ids in encoded["input_ids"]]


@contextmanager
def generating(trainer: GRPOTrainer) -> Iterator[Any]:
    """The trainer's model as one that generates, without dropout and gradients."""
    from trl.models import unwrap_model_for_generation

    args = trainer.args
    with (
        unwrap_model_for_generation(
            trainer.model_wrapped,
            trainer.accelerator,
            gather_deepspeed3_params=args.ds3_gather_for_generation,
            gradient_checkpointing_kwargs=args.gradient_checkpointing_kwargs,
        ) as model,
        torch.no_grad(),
    ):
        was_training = model.training
        model.eval()
        try:
            yield model
        finally:
            model.train(was_training)


def check_budget(budget: object) -> None:
    """Refuse what a rollout cannot follow.

    Raises:
        ValueError: the message says what to do.
    """
    if not isinstance(budget, Budget):
        raise TypeError(f"A budget has to be drawn, but {budget!r} was.")
    if budget.num_prompts:
        raise ValueError(
            "The budget of a rollout has to have one value for each field, but has one per prompt: the trainer chooses "
            "the prompts. Draw it: `BudgetRollout(Drawn(max_thinking_tokens=(100, 1000)))`."
        )
    if budget.max_thinking_tokens == "auto":
        raise ValueError("`max_thinking_tokens` has to be a number in a rollout, or None, but is 'auto'.")
    if budget.wait_text is None and budget.num_ignores:
        raise ValueError(
            "`wait_text` has to be a text in a rollout that ignores ends: without one, nothing tells which token came "
            "in place of an end."
        )


def check_trainer(trainer: GRPOTrainer) -> None:
    """Refuse a trainer in which budgets could not act, or not be followed.

    Raises:
        ValueError: the message lists everything that is wrong.
    """
    args, bad = trainer.args, []
    if not isinstance(trainer.processing_class, PreTrainedTokenizerBase):
        bad.append("The model has to be one of text: its processor is no tokenizer.")
    if args.use_vllm:
        bad.append(
            "`use_vllm` has to be off: TRL starts vLLM itself, without the processor that forces budgets, and has no "
            "setting to name one. Rollouts are generated by transformers."
        )
    if args.use_transformers_continuous_batching:
        bad.append("`use_transformers_continuous_batching` has to be off: it would not be used.")
    if trainer.is_fsdp_enabled:
        bad.append("FSDP is not supported: use one GPU, DDP or DeepSpeed.")
    if trainer.tools or trainer.environments is not None:
        bad.append("Tools and environments have to be left out: TRL would run them after the rollout, unbudgeted.")
    if args.generation_kwargs:
        bad.append(f"`generation_kwargs` has to be empty, but is {args.generation_kwargs}: it would not be used.")
    if not math.isclose(trainer.repetition_penalty, 1.0):
        bad.append(f"`repetition_penalty` has to be 1, but is {trainer.repetition_penalty}: the loss knows none.")
    taken = set(FIELDS).intersection(getattr(trainer.train_dataset, "column_names", None) or ())
    if taken:
        bad.append(f"The data has the columns {sorted(taken)}, which the rollout gives to rewards: rename them.")
    if bad:
        raise ValueError("The rollout was not started:\n" + "\n".join(f"- {fault}" for fault in bad))
