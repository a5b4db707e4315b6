"""A model for lighteval: transformers with budget forcing."""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from dataclasses import replace
from itertools import groupby
from typing import TYPE_CHECKING, Any

from lighteval.models.abstract_model import LightevalModel
from lighteval.tasks.prompt_manager import PromptManager

from s1_hf.engines.engine import Finished
from s1_hf.engines.progress import Progress
from s1_hf.evaluation.lighteval.config import BudgetForcingConfig
from s1_hf.evaluation.lighteval.statistics import Response
from s1_hf.evaluation.model import ModelOnTasks
from s1_hf.forcing.report import UNCLOSED
from s1_hf.results.rows import Problem
from s1_hf.tasks.task import Task

if TYPE_CHECKING:
    from lighteval.models.model_output import ModelResponse
    from lighteval.tasks.requests import Doc
    from transformers import PreTrainedTokenizerBase

    from s1_hf.engines.request import Request
    from s1_hf.evaluation.model import Completions
    from s1_hf.forcing.budget import Budget
    from s1_hf.generation.chats import Completion


class BudgetForcingModel(LightevalModel):
    """A model that lighteval's `Pipeline(model=...)` takes.

    Metrics see only the answer: it is `ModelResponse.text`, empty if thinking never closed. The thinking is in
    `reasonings`, every generated id in `output_tokens`, the messages in `input`, and what budget forcing did in
    `samples`, one [`Finished`] each, which [`thinking_metric`] reads.

    What it does besides talking to lighteval is [`ModelOnTasks`]'s, and so is what it checks and when.

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
        # lighteval writes the system prompt into the prompts itself.
        self.on_tasks = ModelOnTasks(replace(config.settings, system_prompt=None), progress=progress)
        self._cache = _NoCache()
        self._known: Completions | None = None  # what needs neither engine nor ledger

    def under(self, budget: Budget, known: Completions) -> BudgetForcingModel:
        """The same model under another budget that shares all texts, with what is `known` of its answers."""
        other = copy.copy(self)
        other.config = self.config.model_copy(update={"budget": budget})
        other.on_tasks, other._known = self.on_tasks.under(budget), known
        return other

    @property
    def tokenizer(self) -> PreTrainedTokenizerBase:
        """As it was saved: its padding and its special tokens stay unchanged."""
        return self.on_tasks.tokenizer

    @property
    def add_special_tokens(self) -> bool:
        """Of a chat: the template has written them."""
        return not self.tokenizer.chat_template

    @property
    def max_length(self) -> int:
        """Tokens of prompt and output together."""
        return self.on_tasks.context

    @property
    def disable_tqdm(self) -> bool:
        """Whether this is not the main process."""
        return not self.on_tasks.launch.is_main

    def greedy_until(self, docs: list[Doc]) -> list[ModelResponse]:
        """Generate, greedily or by sampling, as the settings say; one response per doc, in their order.

        Raises:
            ValueError: a prompt and the budget do not fit into the context, or several samples are wanted of greedy
                decoding.
        """
        requests = self.on_tasks.requests(self.tasks(docs))
        completions = self.on_tasks.complete(requests) if self._known is None else self._known
        responses, first = [], 0
        for doc in docs:
            responses.append(self._response(doc, requests[first : first + doc.num_samples], completions))
            first += doc.num_samples
        return responses

    def loglikelihood(self, docs: list[Doc]) -> list[ModelResponse]:
        """Not supported: a log-likelihood has no thinking."""
        raise ValueError(
            "Budget forcing is for tasks in which the model writes; log-likelihoods have no thinking. Run "
            f"{', '.join(sorted({doc.task_name for doc in docs}))} with `lighteval accelerate`."
        )

    loglikelihood_rolling = loglikelihood

    def cleanup(self) -> None:
        """Forget the weights."""
        self.on_tasks.engine.forget_weights()

    def tasks(self, docs: list[Doc]) -> list[Task]:
        """The docs as tasks."""
        found = []
        for name, group in groupby(docs, lambda doc: doc.task_name):
            of_task = list(group)
            plain = name.removesuffix("|0")
            sizes = [doc.generation_size for doc in of_task if doc.generation_size]
            problems = [Problem(doc.id, self._input(doc), "", plain) for doc in of_task]
            samples = max(doc.num_samples for doc in of_task)
            found.append(Task(plain, problems, samples, min(sizes, default=None)))
        return found

    def _input(self, doc: Doc) -> Any:
        """The messages, or without a chat template the text."""
        if doc.images:
            raise ValueError(f"{doc.task_name} asks about images, which are not supported. Leave it out.")
        chat = bool(self.tokenizer.chat_template)
        prompts = PromptManager(chat, self.tokenizer, self.config.system_prompt)
        return prompts.prepare_prompt_api(doc) if chat else prompts.prepare_prompt(doc)

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
