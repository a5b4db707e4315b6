"""What every method is tried on: a model, problems, and how answers are generated."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from numbers import Real
from typing import TYPE_CHECKING, Any, NamedTuple

from s1_hf.engines.progress import Progress, Watch
from s1_hf.forcing.budget import Budget, LoopGuard, is_count
from s1_hf.forcing.formats import ThinkingFormat, resolve_format
from s1_hf.generation.chats import Completion, Prompt, prompt_ids
from s1_hf.generation.config import context_of
from s1_hf.generation.criteria import StepListener
from s1_hf.generation.guards import check_model
from s1_hf.generation.sweep import SweepBatch, check_cache
from s1_hf.grading.equality import checked_gold
from s1_hf.results.rows import Problem

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

NO_INTERVENTION = Budget(max_thinking_tokens=None, num_ignores=0)


class Answer(NamedTuple):
    """A completion, and what it is of."""

    setting: Budget
    problem: Problem
    sample: int
    completion: Completion


@dataclass(frozen=True, kw_only=True)
class Bench:
    """A model, problems, and how answers are generated; the same for all methods that are to be compared.

    Nothing is left to the model's own `generation_config` but its ends of sequence and padding. Draws of a sampled
    answer follow from `seed`, the problem's task and id, and the number of the sample or try alone: neither batches nor
    other problems change them, up to the rounding of scores.

    Args:
        model ([`PreTrainedModel`]), tokenizer ([`PreTrainedTokenizerBase`]): what answers.
        problems (`Sequence[Problem]`): see [`problems_of`]; task and id together name each once.
        max_new_tokens (`int`): of thinking and answer together.
        max_answer_tokens (`int`, *optional*): see [`AnswerLengthCriteria`].
        samples (`int`, *optional*): how often each problem is answered, sampled. By default once, greedily. Methods
            that vote say themselves how often.
        temperature, top_p (`float`, default to 1), top_k (`int`, defaults to 0, all), min_p (`float`, *optional*): of
            whatever is sampled.
        seed (`int`, defaults to 0): of all draws.
        batch_size (`int`, defaults to 8): rows generated at a time.
        format, answer_prefix, loop_guard, chat_template_kwargs: as in [`generate`].
        progress (`Callable`, *optional*): told a [`Progress`], whose samples are problems under methods.

    Raises:
        ValueError: a value is out of range, a problem is there twice or has no gold answer, a prompt with
            `max_new_tokens` does not fit into the model's context. TypeError: an argument is not of its type.

    Example:

    ```python
    >>> from s1_hf import embedded
    >>> from s1_hf.methods import Bench, BudgetForcing, problems_of
    >>> model, tokenizer = embedded.load()
    >>> bench = Bench(model=model, tokenizer=tokenizer, problems=problems_of("s1:embedded", max_samples=2),
    ...               max_new_tokens=100, max_answer_tokens=12)
    >>> rows = BudgetForcing(max_thinking_tokens=[16, 32]).run(bench)
    >>> [(row.setting, row.problem, row.thinking_tokens) for row in rows]
    [('cap 16', '0', 16), ('cap 16', '1', 16), ('cap 32', '0', 32), ('cap 32', '1', 32)]

    ```
    """

    model: PreTrainedModel
    tokenizer: PreTrainedTokenizerBase
    problems: Sequence[Problem]
    max_new_tokens: int
    max_answer_tokens: int | None = None
    samples: int | None = None
    temperature: float = 1.0
    top_p: float = 1.0
    top_k: int = 0
    min_p: float | None = None
    seed: int = 0
    batch_size: int = 8
    format: ThinkingFormat | str | None = None
    answer_prefix: str | None = "Final Answer:"
    loop_guard: LoopGuard | None = None
    chat_template_kwargs: Mapping[str, Any] | None = None
    progress: Callable[[Progress], Any] | None = None

    def __post_init__(self) -> None:
        check_model(self.model)
        Budget(answer_prefix=self.answer_prefix, loop_guard=self.loop_guard)
        bad = [*self._bad_numbers(), *self._bad_problems()]
        if bad:
            raise ValueError(" ".join(bad))
        for problem in self.problems:
            self.encode(problem.prompt)

    @cached_property
    def thinking_format(self) -> ThinkingFormat:
        """`format`, resolved on the tokenizer."""
        return resolve_format(self.tokenizer, self.format)

    @cached_property
    def watch(self) -> Watch:
        """Tells `progress`."""
        return Watch(self.progress)

    @property
    def options(self) -> dict[str, Any]:
        """All that decides how a prompt is answered, as JSON types."""
        names = ["max_new_tokens", "max_answer_tokens", "samples", "temperature", "top_p", "top_k", "min_p", "seed"]
        values = {n: getattr(self, n) for n in [*names, "batch_size", "answer_prefix"]}
        guard = None if self.loop_guard is None else vars(self.loop_guard)
        fmt = self.thinking_format
        values["chat_template_kwargs"] = dict(self.chat_template_kwargs or {})
        return values | {"loop_guard": guard, "format": [fmt.name, fmt.start_text, fmt.close_text]}

    def encode(self, prompt: Prompt) -> list[int]:
        """A prompt's ids.

        Raises:
            ValueError: it does not fit into the context together with `max_new_tokens`.
        """
        ids = prompt_ids(self.tokenizer, self.thinking_format, prompt, self.chat_template_kwargs or {})
        context = context_of(self.model)
        if context is not None and len(ids) + self.max_new_tokens > context:
            raise ValueError(
                f"`max_new_tokens` ({self.max_new_tokens}) and the prompt ({len(ids)} tokens) have to fit into the "
                f"model's context of {context}, but do not for {str(prompt)!r:.60}. Lower `max_new_tokens`."
            )
        return ids

    def seed_of(self, problem: Problem, sample: int, attempt: int = 0) -> int:
        """Of the draws of one try for one sample of one problem: 63 bits."""
        name = json.dumps([self.seed, problem.task, problem.id, sample, attempt])
        return int(hashlib.sha256(name.encode()).hexdigest()[:16], 16) >> 1

    def answers(
        self,
        problems: Sequence[Problem],
        settings: Sequence[Budget] = (NO_INTERVENTION,),
        *,
        prompt: Callable[[Problem], Prompt] = lambda problem: problem.prompt,
        samples: int | None = None,
        **options: Any,
    ) -> Iterator[Answer]:
        """Every problem, `samples` (else the bench's own number of) times, under every setting: settings outermost.

        Args:
            prompt (`Callable`): what a problem is asked with.
            **options: as for `complete`.
        """
        count = self.samples if samples is None else samples
        asked = [(problem, sample) for problem in problems for sample in range(count or 1)]
        seeds = [self.seed_of(*which) for which in asked] if count else None
        prompts = [prompt(problem) for problem, _ in asked]
        done = self.complete(prompts, settings, seeds, **options)
        for setting, completions in zip(settings, done, strict=True):
            for (problem, sample), completion in zip(asked, completions, strict=True):
                yield Answer(setting, problem, sample, completion)

    def complete(
        self,
        prompts: Sequence[Prompt],
        settings: Sequence[Budget] = (NO_INTERVENTION,),
        seeds: Sequence[int] | None = None,
        **options: Any,
    ) -> list[list[Completion]]:
        """`completions[s][p]`: prompt `p` under `settings[s]`, all settings from one trace (see [`sweep`]).

        Args:
            seeds (`Sequence[int]`, *optional*): one a prompt: sample; by default decode greedily.
            **options: more for [`budget_forcing`], such as `wait_text`.
        """
        if len(settings) > 1:
            check_cache(self.model.config)
        rows = [self.encode(prompt) for prompt in prompts]
        done: list[list[Completion]] = [[] for _ in settings]
        for first in range(0, len(rows), self.batch_size):
            part = slice(first, first + self.batch_size)
            arguments = self.arguments(sampled=seeds is not None, **options)
            own = None if seeds is None else seeds[part]
            batch = SweepBatch(self.model, self.tokenizer, rows[part], list(settings), arguments, own)
            for all_of_setting, new in zip(done, batch.run(), strict=True):
                all_of_setting += new
            read = sum(len(row) - 1 for row in rows[part])  # through the model went all but each row's last token
            self.watch.finish(0, batch.cost.trace_tokens + batch.cost.answer_tokens - read)
        return done

    def arguments(self, *, sampled: bool, **options: Any) -> dict[str, Any]:
        """For [`budget_forcing`], without budgets."""
        criteria = [*options.pop("stopping_criteria", ()), StepListener(self.watch.step)]
        return {
            "format": self.thinking_format,
            "answer_prefix": self.answer_prefix,
            "loop_guard": self.loop_guard,
            "max_answer_tokens": self.max_answer_tokens,
            "stopping_criteria": criteria,
            **self._decoding(sampled),
            **options,
        }

    def _decoding(self, sampled: bool) -> dict[str, Any]:
        common = {"max_new_tokens": self.max_new_tokens, "repetition_penalty": 1.0}
        if not sampled:
            return common | {"do_sample": False}
        given: dict[str, Any] = {"do_sample": True, "temperature": float(self.temperature), "top_p": float(self.top_p)}
        return common | given | {"top_k": self.top_k, "min_p": self.min_p}

    def _bad_numbers(self) -> list[str]:
        least = {"max_new_tokens": 1, "max_answer_tokens": 1, "samples": 1, "top_k": 0, "seed": 0, "batch_size": 1}
        optional = ("max_answer_tokens", "samples")
        bad = [
            f"`{name}` has to be an integer of at least {low}, but is {getattr(self, name)!r}."
            for name, low in least.items()
            if not (name in optional and getattr(self, name) is None)
            and not (is_count(getattr(self, name)) and getattr(self, name) >= low)
        ]
        if not _is_number(self.temperature) or not 0 < self.temperature < math.inf:
            said = f"`temperature` has to be a number above 0, but is {self.temperature!r}."
            bad.append(f"{said} For greedy answers leave `samples` out.")
        if not _is_number(self.top_p) or not 0 < self.top_p <= 1:
            bad.append(f"`top_p` has to be a number above 0 and at most 1, but is {self.top_p!r}.")
        if self.min_p is not None and not (_is_number(self.min_p) and 0 <= self.min_p <= 1):
            bad.append(f"`min_p` has to be a number from 0 to 1, or None, but is {self.min_p!r}.")
        return bad

    def _bad_problems(self) -> list[str]:
        problems = self.problems
        if not isinstance(problems, Sequence) or not problems or not all(isinstance(p, Problem) for p in problems):
            return [
                "`problems` has to be a sequence of `s1_hf.results.rows.Problem` with at least one, but is "
                f"{problems!r:.80}. `problems_of` gives those of a task."
            ]
        for problem in problems:
            if not all(isinstance(text, str) for text in (problem.id, problem.task, problem.gold)):
                return [f"`id`, `task` and `gold` of a problem have to be texts, but are not in {problem!r:.200}."]
            checked_gold(problem.gold, problem.kind)
        names = [(p.task, p.id) for p in problems]
        twice = sorted({name for name in names if names.count(name) > 1}) if len(set(names)) < len(names) else []
        return [f"`problems` has to name each once, but has {twice[:3]} more than once."] if twice else []


def _is_number(value: object) -> bool:
    return isinstance(value, Real) and not isinstance(value, bool)
