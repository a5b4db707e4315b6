"""What every method is tried on: an engine, problems, and how answers are generated."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, fields, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any, NamedTuple

from s1_hf.engines.engine import under
from s1_hf.engines.progress import Progress, Watch
from s1_hf.engines.request import Request, Sampling, seed_of
from s1_hf.engines.transformers_engine import TransformersEngine
from s1_hf.forcing.automaton import Automaton
from s1_hf.forcing.budget import NO_INTERVENTION, PER_PROMPT, Budget, without_idle
from s1_hf.forcing.collect import collect_budget
from s1_hf.forcing.confidence import Confidence
from s1_hf.forcing.formats import ThinkingFormat, resolve_format
from s1_hf.forcing.values import bad_counts
from s1_hf.generation.chats import Completion, Prompt, prompt_ids
from s1_hf.generation.config import eos_ids
from s1_hf.grading.equality import checked_gold
from s1_hf.results.rows import Problem

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

    from s1_hf.engines.engine import Engine
    from s1_hf.engines.request import Steering

_NO_OPTIONS = ("model", "tokenizer", "engine", "problems", "progress")
"""Fields of a bench that are no settings of how it answers."""


class Answer(NamedTuple):
    """A completion, and what it is of."""

    point: Budget
    problem: Problem
    request: Request
    completion: Completion


@dataclass(frozen=True, kw_only=True)
class _Fields:
    """Of [`Bench`], which collects its budget."""

    problems: Sequence[Problem]
    max_new_tokens: int
    model: PreTrainedModel | None = None
    tokenizer: PreTrainedTokenizerBase | None = None
    engine: Engine | None = None
    max_answer_tokens: int | None = None
    samples: int | None = None
    temperature: float = 1.0
    top_p: float = 1.0
    top_k: int = 0
    min_p: float | None = None
    seed: int = 0
    batch_size: int = 8
    format: ThinkingFormat | str | None = None
    budget: Budget = NO_INTERVENTION
    confidence: Confidence | None = None
    chat_template_kwargs: Mapping[str, Any] | None = None
    progress: Callable[[Progress], Any] | None = None


def at_points(budget: Budget, points: Sequence[Budget]) -> list[Budget]:
    """`budget` with the caps, minimums and ignores of each point."""
    return [replace(budget, **{name: getattr(point, name) for name in PER_PROMPT}) for point in points]


def new_tokens(request: Request, completion: Completion) -> int:
    """How many were generated for this request; the others are what it goes on from."""
    return len(completion.token_ids) - len(request.got)


class Bench(_Fields):
    """An engine, problems, and how answers are generated; the same for all methods that are to be compared.

    Nothing is left to the model's own `generation_config` but its ends of sequence. Draws of a sampled answer follow
    from `seed`, the problem's task and id, and the numbers of the sample and the try ([`seed_of`]): neither batches nor
    other problems change them, up to the rounding of scores.

    Args:
        problems (`Sequence[Problem]`): see [`problems_of`]; task and id together name each once.
        max_new_tokens (`int`): of thinking and answer together.
        model ([`PreTrainedModel`]), tokenizer ([`PreTrainedTokenizerBase`]): what answers, by a [`TransformersEngine`].
        engine ([`Engine`], *optional*): answers in place of a model.
        max_answer_tokens (`int`, *optional*): see [`AnswerLengthCriteria`].
        samples (`int`, *optional*): how many times each problem is answered, sampled. By default once, greedily.
            Methods that vote have a number of their own.
        temperature, top_p, top_k, min_p (*optional*): see [`Sampling`]; of whatever is sampled.
        seed (`int`, defaults to 0): random seed for sampling.
        batch_size (`int`, defaults to 8): rows generated at a time; an `engine` is asked for as many as fill batches of
            this size.
        format ([`ThinkingFormat`] or `str`, *optional*): detected from the tokenizer if absent.
        budget ([`Budget`], *optional*): what all methods share, such as `answer_prefix`, `loop_guard` and `wait_text`;
            or these as single keywords. Caps, minimums and ignores belong to the methods; what has no effect under a
            method's, such as `cut_text` without a cap, is left out there.
        confidence ([`Confidence`], *optional*): measure how sure the model is of every token of every answer. With
            `top=1` rows have a `confidence`, their answers'. Methods that need another have it measured in its place.
        chat_template_kwargs (`dict`, *optional*): as in [`generate`].
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

    def __init__(self, *, budget: Budget | None = None, **options: Any) -> None:
        shared = collect_budget(budget, options)
        super().__init__(budget=shared, **options)
        bad = [*self._bad_answerer(), *self._bad_budget(), *self._bad_confidence(), *self._bad_numbers()]
        bad += self._bad_problems()
        if bad:
            raise ValueError(" ".join(bad))
        self.check(self.problems)

    @cached_property
    def runner(self) -> Engine:
        """What answers: `engine`, or one that is made for `model`."""
        if self.engine is not None:
            return self.engine
        model: Any = self.model
        tokenizer: Any = self.tokenizer
        return TransformersEngine(model, tokenizer, format=self.format, batch_size=self.batch_size)

    @property
    def thinking_format(self) -> ThinkingFormat:
        """How the model opens and closes its thinking."""
        return self.runner.format

    @cached_property
    def automaton(self) -> Automaton:
        """Reads what the model has written."""
        tokenizer = self.runner.tokenizer
        return Automaton.of(tokenizer, self.thinking_format, eos=eos_ids(None, tokenizer))

    @cached_property
    def sampling(self) -> Sampling:
        """How tokens are drawn, where they are."""
        return Sampling(temperature=self.temperature, top_p=self.top_p, top_k=self.top_k, min_p=self.min_p)

    @cached_property
    def watch(self) -> Watch:
        """Tells `progress`."""
        return Watch(self.progress)

    @property
    def options(self) -> dict[str, Any]:
        """All settings of how prompts are answered, as JSON types."""
        values = {one.name: getattr(self, one.name) for one in fields(self) if one.name not in _NO_OPTIONS}
        values["budget"] = self.budget.to_dict()
        values["confidence"] = self.confidence and asdict(self.confidence)
        values["chat_template_kwargs"] = dict(self.chat_template_kwargs or {})
        values["format"] = asdict(self.thinking_format)
        return values

    def encode(self, prompt: Prompt) -> list[int]:
        """A prompt's ids."""
        return prompt_ids(self.runner.tokenizer, self.thinking_format, prompt, self.chat_template_kwargs or {})

    def budgets(self, points: Sequence[Budget], budget: Budget | None = None) -> list[Budget]:
        """Each point with all else from `budget`, or the bench's, except for what has no effect under any of them."""
        return without_idle(at_points(self.budget if budget is None else budget, points))

    def request(
        self,
        problem: Problem,
        *,
        prompt: Prompt | None = None,
        budget: Budget | None = None,
        sample: int = 0,
        attempt: int = 0,
        sampled: bool = False,
        give_up_after: int | None = None,
        steering: Steering | None = None,
        confidence: Confidence | None = None,
    ) -> Request:
        """What the engine is asked for one answer to a problem.

        Args:
            prompt (*optional*): in place of the problem's own.
            budget ([`Budget`], *optional*): in place of the bench's.
            confidence ([`Confidence`], *optional*): in place of the bench's.
            sampled (`bool`): draw tokens; by default decode greedily.
            sample, attempt, give_up_after, steering: see [`Request`].
        """
        return Request(
            prompt=tuple(self.encode(problem.prompt if prompt is None else prompt)),
            max_new_tokens=self.max_new_tokens,
            budget=self.budget if budget is None else budget,
            max_answer_tokens=self.max_answer_tokens,
            give_up_after=give_up_after,
            sampling=self.sampling if sampled else None,
            seed=seed_of(self.seed, problem.task, problem.id, sample, attempt),
            steering=steering,
            confidence=self.confidence if confidence is None else confidence,
            task=problem.task,
            problem=problem.id,
            sample=sample,
            attempt=attempt,
        )

    def check(
        self,
        problems: Sequence[Problem],
        points: Sequence[Budget] = (NO_INTERVENTION,),
        *,
        budget: Budget | None = None,
        prompt: Callable[[Problem], Prompt] = lambda problem: problem.prompt,
        steering: Steering | None = None,
        confidence: Confidence | None = None,
    ) -> None:
        """Raises the `ValueError` that [`answers`] would raise, before any compute; arguments as there."""
        settings = self.budgets(points, budget)
        requests: list[Request] = []
        for problem in problems:
            request = self.request(
                problem, prompt=prompt(problem), budget=settings[0], steering=steering, confidence=confidence
            )
            requests += [under(request, setting) for setting in settings]
        self.runner.check(requests)
        if len(settings) > 1:
            self.runner.check_sweep(settings)

    def answers(
        self,
        problems: Sequence[Problem],
        points: Sequence[Budget] = (NO_INTERVENTION,),
        *,
        budget: Budget | None = None,
        prompt: Callable[[Problem], Prompt] = lambda problem: problem.prompt,
        samples: int | None = None,
        steering: Steering | None = None,
        confidence: Confidence | None = None,
    ) -> Iterator[Answer]:
        """Every problem, `samples` (else the bench's own number of) times, under every point: points outermost.

        Args:
            points (`Sequence[Budget]`): caps and ignores; several share one trace (see [`sweep`]).
            budget ([`Budget`], *optional*): what they share, in place of the bench's.
            prompt (`Callable`): what a problem is asked with.
            steering ([`Steering`], *optional*): see [`Request`].
            confidence ([`Confidence`], *optional*): in place of the bench's.
        """
        # 1. What is asked.
        settings = self.budgets(points, budget)
        count = self.samples if samples is None else samples
        asked: list[tuple[Problem, Request]] = []
        for problem in problems:
            text = prompt(problem)
            for sample in range(count or 1):
                request = self.request(
                    problem, prompt=text, budget=settings[0], sample=sample, sampled=bool(count), steering=steering,
                    confidence=confidence,
                )  # fmt: skip
                asked.append((problem, request))
        # 2. The answers, which come in the engine's order.
        done = self.complete([request for _, request in asked], settings)
        # 3. In ours.
        for point, setting in zip(points, settings, strict=True):
            for problem, request in asked:
                of_setting = under(request, setting)
                yield Answer(point, problem, of_setting, done[of_setting.key])

    def complete(self, requests: Sequence[Request], settings: Sequence[Budget] = ()) -> dict[str, Completion]:
        """The completions by the keys of their requests; with several `settings` under each of these."""
        done: dict[str, Completion] = {}
        steps = 0  # since the last batch: one without any was not generated now

        def on_step(rows: int) -> None:
            nonlocal steps
            steps += 1
            self.watch.step(rows)

        if len(settings) > 1:
            for swept in self.runner.sweep(requests, settings, on_step):
                for of_setting in swept.of_settings:
                    done.update((request.key, completion) for request, completion in of_setting)
                # Through the model went the prompts, too, and all but the last token of each row.
                read = sum(len(request.prompt) - 1 for request, _ in swept.of_settings[0])
                generated = swept.cost.trace_tokens + swept.cost.answer_tokens - read
                self.watch.finish(0, generated if steps else 0)
                steps = 0
            return done
        for batch in self.runner.run(requests, on_step):
            done.update((request.key, completion) for request, completion in batch)
            self.watch.finish(0, sum(map(new_tokens, *zip(*batch, strict=True))) if steps else 0)
            steps = 0
        return done

    def _bad_answerer(self) -> list[str]:
        if (self.model is None) == (self.engine is None):
            return ["Either `model` and `tokenizer` have to be given, or only `engine`."]
        if self.engine is None:
            return []
        bad = []
        if self.tokenizer is not None and self.tokenizer is not self.engine.tokenizer:
            bad.append("`tokenizer` has to be the engine's own. Leave it out.")
        if self.format is not None and resolve_format(self.engine.tokenizer, self.format) != self.engine.format:
            bad.append(f"`format` has to be the engine's, {self.engine.format.name!r}, but is {self.format!r}.")
        return bad

    def _bad_confidence(self) -> list[str]:
        if self.confidence is None or isinstance(self.confidence, Confidence):
            return []
        return [f"`confidence` has to be a Confidence, such as `Confidence(1)`, or None, but is {self.confidence!r}."]

    def _bad_budget(self) -> list[str]:
        if self.budget == self.budget.shared():
            return []
        names = ", ".join(f"`{name}`" for name in PER_PROMPT)
        return [f"A bench's budget has to leave {names} to the methods, but is {self.budget}."]

    def _bad_numbers(self) -> list[str]:
        optional = ("max_answer_tokens", "samples")
        least = {"max_new_tokens": 1, "max_answer_tokens": 1, "samples": 1, "seed": 0, "batch_size": 1}
        bad = bad_counts(self, least, optional)
        try:
            self.sampling  # noqa: B018
        except ValueError as error:
            hint = " For greedy answers leave `samples` out." if "`temperature`" in str(error) else ""
            bad.append(f"{error}{hint}")
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
