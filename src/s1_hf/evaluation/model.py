"""A model on tasks: what has to be asked, and what it answers."""

from __future__ import annotations

import copy
import json
import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from functools import cached_property, reduce
from operator import add
from pathlib import Path
from typing import TYPE_CHECKING

from transformers import GenerationConfig

from s1_hf.engines.checkpoint import Checkpoint
from s1_hf.engines.engine import Finished, Recorded, under
from s1_hf.engines.ledger import Ledger
from s1_hf.engines.locking import exclusive
from s1_hf.engines.made import AnyEngine, engine_for
from s1_hf.engines.processes import Launch
from s1_hf.engines.progress import Progress, Watch
from s1_hf.engines.request import Request, digest, seed_of
from s1_hf.engines.room import check_room, room_for_thinking, wanted_context
from s1_hf.evaluation.cautions import warn_about_idle_thinking, warn_about_template
from s1_hf.files import inside
from s1_hf.forcing.formats import format_of_settings
from s1_hf.generation.chats import Prompt, behind_system, prompt_ids
from s1_hf.generation.guards import check_can_ignore
from s1_hf.generation.processor import BudgetForcingLogitsProcessor
from s1_hf.results.rows import versions

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

    from s1_hf.evaluation.settings import Settings
    from s1_hf.forcing.automaton import Automaton
    from s1_hf.forcing.budget import Budget
    from s1_hf.generation.chats import Completion
    from s1_hf.generation.sweep import Cost
    from s1_hf.tasks.task import Task

_LONGEST_NAME = 200  # bytes of a folder's name; file systems take 255

Completions = dict[str, "Completion"]
"""By the keys of their requests."""


class ModelOnTasks:
    """A model that answers the problems of tasks, and keeps what is finished in a ledger.

    Configuration, tokenizer, format and budgets are checked when it is built, lengths and sampling before the weights
    are read; these are read when the first sample is missing that no earlier run has finished. Under
    `accelerate launch` each process takes its share of the batches, and all of them return everything.

    Args:
        settings ([`Settings`]): model, budget and decoding.
        progress (`Callable`, *optional*): told how far the main process is, about twice a second.

    Raises:
        ValueError: the tokenizer has no thinking format, or budgets and format do not go together. OSError: there is
            no such model.
    """

    def __init__(self, settings: Settings, *, progress: Callable[[Progress], None] | None = None) -> None:
        self.settings = settings
        self.launch = Launch()
        self.checkpoint = Checkpoint.find(
            settings.model,
            revision=settings.revision,
            trust_remote_code=settings.trust_remote_code,
            chat_template=settings.chat_template,
        )
        self._watch = Watch(progress if self.launch.is_main else None)
        context = wanted_context(self.checkpoint.context, settings.max_length)
        self.engine = self._made_engine()
        self.context = min(context, self.engine.context or context)
        self._automaton = self._checked_automaton()
        if self.launch.is_main:
            warn_about_template(settings, self._automaton)
        self._prompts: dict[str, tuple[int, ...]] = {}

    def under(self, budget: Budget) -> ModelOnTasks:
        """The same model under another budget that shares all texts."""
        other = copy.copy(self)
        other.settings = self.settings.under(budget)
        check_can_ignore(self.engine.format, budget)
        return other

    @property
    def tokenizer(self) -> PreTrainedTokenizerBase:
        """As it was saved: its padding and its special tokens stay unchanged."""
        return self.checkpoint.tokenizer

    @cached_property
    def ledger(self) -> Ledger:
        """Where finished samples are kept: a folder for each set of weights and format, whatever the budgets."""
        identity = self.engine.identity
        name = re.sub(r"[^\w.-]+", "_", self.settings.place.strip("/."))
        name = name if len(name.encode()) <= _LONGEST_NAME else name[-(_LONGEST_NAME // 4) :]
        folder = inside(Path(self.settings.cache_dir).expanduser(), name, digest(identity)[:16], "_").parent
        about = {"settings": self.settings.to_dict(), **identity, "versions": versions()}
        return Ledger(folder, about, self.launch.number)

    @contextmanager
    def exclusive(self) -> Iterator[None]:
        """Keep other runs out of the ledger; all processes of a launch have to call this."""
        with exclusive(self.ledger.folder, self.launch.number, self.launch.gather):
            self.ledger.write_settings()
            yield

    # -- what is wanted -----------------------------------------------------------------------------------------

    def requests(self, tasks: Sequence[Task]) -> list[Request]:
        """What has to be generated: every sample of every problem, in order.

        Raises:
            ValueError: a prompt and the budget do not fit into the context, or several samples are wanted of greedy
                decoding.
        """
        wanted = []
        for task in tasks:
            prompts, limit = self._checked(task)
            one = Request(
                prompt=(),
                budget=self.settings.budget,
                max_new_tokens=limit,
                max_answer_tokens=self.settings.max_answer_tokens,
                sampling=self.settings.sampling,
                repetition_penalty=self.settings.repetition_penalty,
                confidence=self.settings.confidence,
                task=task.name,
            )
            for problem, prompt in zip(task.problems, prompts, strict=True):
                for i in range(task.samples or 1):
                    seed = seed_of(self.settings.seed, task.name, problem.id, i)
                    wanted.append(replace(one, prompt=prompt, problem=problem.id, sample=i, seed=seed))
        return wanted

    def check(self, tasks: Sequence[Task]) -> None:
        """Refuse what [`requests`] refuses."""
        for task in tasks:
            self._checked(task)

    def room_for_thinking(self, tasks: Sequence[Task]) -> int:
        """The largest cap that leaves room for an answer to every problem; see [`requests`] for what is refused.

        Raises:
            ValueError: there is none.
        """
        rooms = {}
        for task in tasks:
            prompts, limit = self._checked(task)
            rooms[task.name] = room_for_thinking(
                self._automaton, self.settings.budget, max(prompts, key=len), limit, self.settings.max_answer_tokens
            )
        name = min(rooms, key=rooms.__getitem__)
        if rooms[name] < 0:
            raise ValueError(
                f"{name}: no cap leaves room for an answer: {-rooms[name]:,} tokens are missing. Raise "
                "`max_new_tokens`, or lower `max_answer_tokens`."
            )
        return rooms[name]

    def prompt(self, asked: Prompt) -> tuple[int, ...]:
        """The ids of what is asked, behind the system prompt if there is one."""
        asked = behind_system(self.tokenizer, asked, self.settings.system_prompt)
        key = json.dumps(asked)
        if key not in self._prompts:
            ids = prompt_ids(self.tokenizer, self.engine.format, asked, self.settings.chat_template_kwargs)
            self._prompts[key] = tuple(ids)
        return self._prompts[key]

    def _checked(self, task: Task) -> tuple[list[tuple[int, ...]], int]:
        """A task's prompts, and what may be generated for each of them."""
        if (task.samples or 1) > 1 and self.settings.sampling is None:
            raise ValueError(
                f"{task.name} wants {task.samples} samples of each problem, which greedy decoding makes all the same. "
                "Set a `temperature` above 0 (s1's is 1), or choose the task with one sample."
            )
        prompts = [self.prompt(problem.prompt) for problem in task.problems]
        return prompts, self._max_new_tokens(task, max(prompts, key=len))

    def _max_new_tokens(self, task: Task, longest: tuple[int, ...]) -> int:
        room = self.context - len(longest)
        said = self.settings.max_new_tokens
        limit = said if said is not None else min(room, task.max_new_tokens or room)
        if limit > room or limit < 1:
            raise ValueError(
                f"{task.name}: its longest prompt of {len(longest):,} tokens and `max_new_tokens` of {limit:,} are "
                f"{len(longest) + limit - self.context:,} tokens beyond the context of {self.context:,}. Lower it."
            )
        allowed = (
            f"the context of {self.context:,} leaves behind its longest prompt of {len(longest):,}"
            if limit == room
            else "`max_new_tokens` allows (without it, the task's own limit)"
        )
        check_room(
            self._automaton,
            self.settings.budget,
            longest,
            limit,
            self.settings.max_answer_tokens,
            what=task.name,
            allowed=allowed,
        )
        return limit

    # -- getting it ---------------------------------------------------------------------------------------------

    def complete(self, requests: Sequence[Request]) -> Completions:
        """A completion for each request: from the disk where there is one."""
        new: list[Finished] = []
        with self.exclusive():
            batches = Recorded(self.engine, self.ledger, self.launch.wait).run(requests, self._watch.step)
            found = next(batches)
            known = {finished.request.key for finished in found}
            missing = [request for request in requests if request.key not in known]
            self._watch.begin(len(found), len(found) + self._share(missing))
            for batch in batches:
                new += batch
                self._watch.finish(len(batch), sum(len(finished.completion.token_ids) for finished in batch))
        everything = [*found, *self.launch.gather(new)]
        self._look_at(everything)
        return {finished.request.key: finished.completion for finished in everything}

    def sweep(self, requests: Sequence[Request], budgets: Sequence[Budget]) -> tuple[Completions, Cost | None]:
        """A completion for each request under each budget, and what this process generated of it cost."""
        self.engine.check_sweep(budgets)
        with self.exclusive():
            recorded = Recorded(self.engine, self.ledger, self.launch.wait)
            missing = recorded.missing(requests, budgets)
            found = len(requests) - len(missing)
            self._watch.begin(found, found + self._share(missing))
            costs = []
            for batch in recorded.sweep(requests, budgets, self._watch.step):
                costs.append(batch.cost)
                self._watch.finish(len(batch.of_settings[0]), batch.cost.trace_tokens + batch.cost.answer_tokens)
            self.engine.forget_weights()
            self.launch.wait()  # all have written before anyone reads
            everything: list[Request] = []
            for budget in budgets:
                everything += [under(request, budget) for request in requests]
            done = recorded.found(everything)
        self._look_at(done)
        completions = {finished.request.key: finished.completion for finished in done}
        return completions, reduce(add, costs) if costs else None

    def _look_at(self, done: Sequence[Finished]) -> None:
        """Say what looks wrong about them."""
        if self.launch.is_main:
            requests, completions = [one.request for one in done], [one.completion for one in done]
            warn_about_idle_thinking(self.settings, self._automaton, requests, completions)

    def _share(self, missing: Sequence[Request]) -> int:
        """How many of them are this process's."""
        return sum(map(len, self.engine.plan(missing)))

    def _made_engine(self) -> AnyEngine:
        settings, launch = self.settings, self.launch
        return engine_for(
            self.checkpoint,
            settings.engine,
            format=format_of_settings(self.tokenizer, settings.format),
            batch_size=settings.batch_size,
            dtype=settings.dtype,
            max_length=settings.max_length,
            options=settings.engine_options,
            share=(launch.number, launch.count),
            loading={
                "device": launch.device,
                "processes": launch.count,
                "device_map": settings.device_map,
                "attn_implementation": settings.attn_implementation,
            },
        )

    def _checked_automaton(self) -> Automaton:
        """For the lengths of what is forced; building it checks budget, format and vocabulary together."""
        config = GenerationConfig(max_new_tokens=self.context)
        processor = BudgetForcingLogitsProcessor(
            self.tokenizer, budget=self.settings.budget, format=self.engine.format, generation_config=config
        )
        processor.check_vocabulary(self.checkpoint.config.get_text_config().vocab_size)
        return processor.automaton
