"""A model for lighteval: transformers with budget forcing."""

from __future__ import annotations

import copy
import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import timedelta
from functools import cached_property
from importlib.metadata import version
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, Any

from accelerate import Accelerator, InitProcessGroupKwargs
from accelerate.utils import gather_object
from lighteval.models.abstract_model import LightevalModel
from lighteval.tasks.prompt_manager import PromptManager
from transformers import GenerationConfig

from s1_hf.engines.checkpoint import Checkpoint
from s1_hf.engines.engine import Finished, Recorded
from s1_hf.engines.ledger import Ledger
from s1_hf.engines.locking import exclusive
from s1_hf.engines.processes import check_together
from s1_hf.engines.progress import Progress, Watch
from s1_hf.engines.request import Request, digest, seed_of
from s1_hf.engines.room import check_room, room_for_thinking, wanted_context
from s1_hf.engines.transformers_engine import TransformersEngine
from s1_hf.engines.vllm_engine import VllmEngine
from s1_hf.evaluation.config import BudgetForcingConfig
from s1_hf.evaluation.statistics import Response
from s1_hf.files import inside
from s1_hf.forcing.formats import format_of_settings
from s1_hf.forcing.report import UNCLOSED
from s1_hf.generation.chats import prompt_ids
from s1_hf.generation.guards import check_can_ignore
from s1_hf.generation.processor import BudgetForcingLogitsProcessor
from s1_hf.vllm.installed import installed_version

if TYPE_CHECKING:
    from lighteval.models.model_output import ModelResponse
    from lighteval.tasks.requests import Doc
    from transformers import PreTrainedTokenizerBase

    from s1_hf.forcing.automaton import Automaton
    from s1_hf.forcing.budget import Budget
    from s1_hf.generation.chats import Completion

_LONGEST_NAME = 200  # bytes of a folder's name; file systems take 255
_ANY_TIME = timedelta(days=30)  # a process may wait that long for the slowest one


class BudgetForcingModel(LightevalModel):
    """A model that lighteval's `Pipeline(model=...)` takes.

    Metrics see only the answer: it is `ModelResponse.text`, empty if thinking never closed. The thinking is in
    `reasonings`, every generated id in `output_tokens`, the messages in `input`, and what budget forcing did in
    `samples`, one [`Finished`] each, which [`thinking_metric`] reads.

    Configuration, tokenizer, format and budgets are checked when it is built, lengths and sampling before the weights
    are read; these are read when the first sample is missing that no earlier run has finished. Under
    `accelerate launch` each process takes its share of the batches, and all of them return everything.

    Args:
        config ([`BudgetForcingConfig`]): the settings.
        progress (`Callable`, *optional*): told how far the main process is, about twice a second.

    Raises:
        ValueError: the tokenizer has no thinking format, or budgets and format do not go together. OSError: there is
            no such model.

    Example:

    ```python
    >>> from tempfile import TemporaryDirectory
    >>> from lighteval.tasks.requests import Doc
    >>> from s1_hf import embedded
    >>> from s1_hf.evaluation import BudgetForcingConfig, BudgetForcingModel
    >>> question = embedded.Problem(2, 7, 3, 8).question
    >>> doc = Doc(query=question, choices=["51"], gold_index=0, id="0", task_name="lamps|0", generation_size=200)
    >>> with TemporaryDirectory() as folder:
    ...     config = BudgetForcingConfig(model_name=str(embedded.MODEL_PATH), max_thinking_tokens=16, cache_dir=folder)
    ...     response, = BudgetForcingModel(config).greedy_until([doc])
    >>> response.samples[0].completion.report.ended, response.text[0].startswith("Final Answer:")
    ('cut', True)

    ```
    """

    def __init__(self, config: BudgetForcingConfig, *, progress: Callable[[Progress], None] | None = None) -> None:
        self.config = config
        self._accelerator = Accelerator(kwargs_handlers=[InitProcessGroupKwargs(timeout=_ANY_TIME)])
        check_together(self._accelerator.num_processes)
        self.checkpoint = Checkpoint.find(
            config.model_name, revision=config.revision, trust_remote_code=config.trust_remote_code
        )
        self._context = wanted_context(self.checkpoint.context, config.max_length)
        self._watch = Watch(progress if self._accelerator.is_main_process else None)
        self._cache = _NoCache()
        self.engine = self._made_engine()
        self._automaton = self._checked_automaton()
        self._prompts: dict[int, tuple[int, ...]] = {}  # by the identity of the doc
        self._known: dict[str, Completion] = {}  # by the request's key; what needs neither engine nor ledger

    def under(self, setting: Budget, known: Sequence[Finished] = ()) -> BudgetForcingModel:
        """The same model under another budget that shares all texts, with what is `known` of its answers."""
        other = copy.copy(self)
        other.config = self.config.model_copy(update={"budget": setting})
        other._known = {finished.request.key: finished.completion for finished in known}
        check_can_ignore(self.engine.format, setting)
        return other

    @property
    def tokenizer(self) -> PreTrainedTokenizerBase:
        """As it was saved: its padding and its special tokens stay unchanged."""
        return self.checkpoint.tokenizer

    @property
    def add_special_tokens(self) -> bool:
        """Of a chat: the template has written them."""
        return not self.tokenizer.chat_template

    @property
    def max_length(self) -> int:
        """Tokens of prompt and output together."""
        return self._context

    @property
    def disable_tqdm(self) -> bool:
        """Whether this is not the main process."""
        return not self._accelerator.is_main_process

    @cached_property
    def ledger(self) -> Ledger:
        """Where finished samples are kept: a folder for each set of weights and format, whatever the budgets."""
        identity = self.engine.identity
        name = re.sub(r"[^\w.-]+", "_", self.config.model_name.strip("/."))
        name = name if len(name.encode()) <= _LONGEST_NAME else name[-(_LONGEST_NAME // 4) :]
        folder = inside(Path(self.config.cache_dir).expanduser(), name, digest(identity)[:16], "_").parent
        versions = {library: version(library) for library in ("torch", "transformers", "lighteval")}
        if self.config.engine == "vllm":
            versions["vllm"] = installed_version()
        about = {"config": self.config.model_dump(mode="json"), **identity, "versions": versions}
        return Ledger(folder, about, self._accelerator.process_index)

    def greedy_until(self, docs: list[Doc]) -> list[ModelResponse]:
        """Generate, greedily or by sampling, as the settings say; one response per doc, in their order.

        Raises:
            ValueError: a prompt and the budget do not fit into the context, or several samples are wanted of greedy
                decoding.
        """
        wanted = list(self.requests(docs))
        requests = [request for _, requests in wanted for request in requests]
        completions = self._known or self._completions(requests)
        return [self._response(doc, requests, completions) for doc, requests in wanted]

    def loglikelihood(self, docs: list[Doc]) -> list[ModelResponse]:
        """Not supported: a log-likelihood has no thinking."""
        raise ValueError(
            "Budget forcing is for tasks in which the model writes; log-likelihoods have no thinking. Run "
            f"{', '.join(sorted({doc.task_name for doc in docs}))} with `lighteval accelerate`."
        )

    loglikelihood_rolling = loglikelihood

    @contextmanager
    def exclusive(self) -> Iterator[None]:
        """Keep other runs out of the ledger; all processes of a launch have to call this."""
        with exclusive(self.ledger.folder, self._accelerator.process_index, gather_object):
            self.ledger.write_settings()
            yield

    def wait_for_everyone(self) -> None:
        """Continue when all processes of the launch have come here."""
        self._accelerator.wait_for_everyone()

    def cleanup(self) -> None:
        """Forget the weights."""
        self.engine.forget_weights()

    # -- what is wanted -----------------------------------------------------------------------------------------

    def check(self, docs: list[Doc]) -> None:
        """Refuse what [`greedy_until`] refuses."""
        for _ in self._by_task(docs):
            pass

    def room_for_thinking(self, docs: list[Doc]) -> int:
        """The largest cap that leaves room for an answer to every doc; see [`greedy_until`] for what is refused.

        Raises:
            ValueError: there is none.
        """
        rooms = {}
        for task, _, prompts, limit in self._by_task(docs):
            longest = max(prompts, key=len)
            rooms[task] = room_for_thinking(
                self._automaton, self.config.budget, longest, limit, self.config.max_answer_tokens
            )
        task = min(rooms, key=rooms.__getitem__)
        if rooms[task] < 0:
            raise ValueError(
                f"{task}: no cap leaves room for an answer: {-rooms[task]:,} tokens are missing. Raise "
                "`max_new_tokens`, or lower `max_answer_tokens`."
            )
        return rooms[task]

    def requests(self, docs: list[Doc]) -> Iterator[tuple[Doc, list[Request]]]:
        """What has to be generated for each doc; see [`greedy_until`] for what is refused."""
        for task, of_task, prompts, limit in self._by_task(docs):
            plain = task.removesuffix("|0")
            one = Request(
                prompt=(),
                budget=self.config.budget,
                max_new_tokens=limit,
                max_answer_tokens=self.config.max_answer_tokens,
                sampling=self.config.sampling,
                repetition_penalty=self.config.generation_parameters.repetition_penalty or 1.0,
                task=plain,
            )
            for doc, prompt in zip(of_task, prompts, strict=True):
                of_doc = []
                for i in range(doc.num_samples):
                    seed = seed_of(self.config.seed, plain, doc.id, i)
                    of_doc.append(replace(one, prompt=prompt, problem=doc.id, sample=i, seed=seed))
                yield doc, of_doc

    def _by_task(self, docs: list[Doc]) -> Iterator[tuple[str, list[Doc], list[tuple[int, ...]], int]]:
        """Each task with its docs, their prompts, and what may be generated for each of them; checked."""
        for task, group in groupby(docs, lambda doc: doc.task_name):
            of_task = list(group)
            self._check_samples(task, max(doc.num_samples for doc in of_task))
            prompts = [self._prompt(doc) for doc in of_task]
            yield task, of_task, prompts, self._max_new_tokens(task, of_task, max(prompts, key=len))

    def _prompt(self, doc: Doc) -> tuple[int, ...]:
        if id(doc) not in self._prompts:
            ids = prompt_ids(self.tokenizer, self.engine.format, self._input(doc), self.config.chat_template_kwargs)
            self._prompts[id(doc)] = tuple(ids)
        return self._prompts[id(doc)]

    def _input(self, doc: Doc) -> Any:
        """The messages, or without a chat template the text."""
        if doc.images:
            raise ValueError(f"{doc.task_name} asks about images, which are not supported. Leave it out.")
        chat = bool(self.tokenizer.chat_template)
        prompts = PromptManager(chat, self.tokenizer, self.config.system_prompt)
        return prompts.prepare_prompt_api(doc) if chat else prompts.prepare_prompt(doc)

    def _check_samples(self, task: str, count: int) -> None:
        if count > 1 and self.config.sampling is None:
            raise ValueError(
                f"{task} wants {count} samples of each problem, which greedy decoding makes all the same. Set a "
                "`temperature` above 0 (s1's is 1), or choose the task with one sample."
            )

    def _max_new_tokens(self, task: str, docs: list[Doc], longest: tuple[int, ...]) -> int:
        """What may be generated for each problem of `task`."""
        room = self._context - len(longest)
        said = self.config.generation_parameters.max_new_tokens
        sizes = [doc.generation_size for doc in docs if doc.generation_size]
        limit = said if said is not None else min([room, *sizes])
        if limit > room or limit < 1:
            raise ValueError(
                f"{task}: its longest prompt of {len(longest):,} tokens and `max_new_tokens` of {limit:,} are "
                f"{len(longest) + limit - self._context:,} tokens beyond the context of {self._context:,}. Lower it."
            )
        allowed = (
            f"the context of {self._context:,} leaves behind its longest prompt of {len(longest):,}"
            if limit == room
            else "`max_new_tokens` allows (without it, the task's own limit)"
        )
        check_room(
            self._automaton,
            self.config.budget,
            longest,
            limit,
            self.config.max_answer_tokens,
            what=task,
            allowed=allowed,
        )
        return limit

    # -- getting it ---------------------------------------------------------------------------------------------

    def _completions(self, requests: Sequence[Request]) -> dict[str, Completion]:
        """A completion for each request, by its key: from the disk where there is one."""
        new: list[Finished] = []
        with self.exclusive():
            batches = Recorded(self.engine, self.ledger, self.wait_for_everyone).run(requests, self._watch.step)
            found = next(batches)
            known = {finished.request.key for finished in found}
            missing = [request for request in requests if request.key not in known]
            share = sum(map(len, self.engine.plan(missing)))
            self._watch.begin(len(found), len(found) + share)
            for batch in batches:
                new += batch
                self._watch.finish(len(batch), sum(len(finished.completion.token_ids) for finished in batch))
        return {finished.request.key: finished.completion for finished in [*found, *gather_object(new)]}

    def _made_engine(self) -> TransformersEngine | VllmEngine:
        config, processes = self.config, self._accelerator.num_processes
        format = format_of_settings(self.tokenizer, config.format)
        if config.engine == "transformers":
            return TransformersEngine.from_checkpoint(
                self.checkpoint,
                format=format,
                batch_size=config.batch_size,
                share=(self._accelerator.process_index, processes),
                loading={
                    "device": self._accelerator.device,
                    "processes": processes,
                    "dtype": config.dtype,
                    "device_map": config.device_map,
                    "attn_implementation": config.attn_implementation,
                },
            )
        if processes > 1:
            raise ValueError(
                f"vLLM starts its own processes, but this is one of {processes}. Run it without a launcher, with "
                "`--tensor-parallel-size` or `--data-parallel-size`."
            )
        return VllmEngine(
            self.checkpoint,
            format=format,
            batch_size=config.batch_size,
            dtype=config.dtype,
            max_length=config.max_length,
            options=config.engine_options,
        )

    def _checked_automaton(self) -> Automaton:
        """For the lengths of what is forced; building it checks budget, format and vocabulary together."""
        config = GenerationConfig(max_new_tokens=self._context)
        processor = BudgetForcingLogitsProcessor(
            self.tokenizer, budget=self.config.budget, format=self.engine.format, generation_config=config
        )
        processor.check_vocabulary(self.checkpoint.config.get_text_config().vocab_size)
        return processor.automaton

    def _response(self, doc: Doc, requests: Sequence[Request], completions: dict[str, Completion]) -> ModelResponse:
        mine = [Finished(request, completions[request.key]) for request in requests]
        prompt = self._input(doc)
        response = Response(
            # a list also for a text: graders take a text that ends in an opening delimiter for a prompt whose
            # thinking stands in the output
            input=[prompt] if isinstance(prompt, str) else prompt,
            input_tokens=list(requests[0].prompt),
            text=[self._answer(doc, sample.completion) for sample in mine],
            output_tokens=[list(sample.completion.token_ids) for sample in mine],
            reasonings=[sample.completion.thinking for sample in mine],
        )
        response.samples = mine
        return response

    def _answer(self, doc: Doc, completion: Completion) -> str:
        """Empty if thinking never closed; without a chat template up to a stop sequence, which ends only answers."""
        answer = "" if completion.report.ended in UNCLOSED else completion.answer
        stops = () if self.tokenizer.chat_template else doc.stop_sequences or ()
        return min((answer.split(stop)[0] for stop in stops if stop), key=len, default=answer)


class _NoCache:
    """In the place of lighteval's cache, which the pipeline hands its registry."""

    def _init_registry(self, registry: Any) -> None:
        pass
