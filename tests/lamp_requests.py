"""Problems of the embedded model as requests, and its engine in float32."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from s1_hf import embedded
from s1_hf.embedded.problems import held_out_sample
from s1_hf.engines.checkpoint import Checkpoint
from s1_hf.engines.request import Request, Sampling, seed_of
from s1_hf.engines.transformers_engine import TransformersEngine
from s1_hf.forcing.budget import Budget
from s1_hf.forcing.pauses import Pause
from s1_hf.generation.chats import prompt_ids


def lamp_engine(model: str = str(embedded.MODEL_PATH), **options: Any) -> TransformersEngine:
    return TransformersEngine.from_checkpoint(Checkpoint.find(model), loading={"dtype": "float32"}, **options)


def lamp_requests(
    engine: TransformersEngine, count: int, *, samples: int = 1, temperature: float = 0.0, seed: int = 0, **fields: Any
) -> list[Request]:
    """Held-out problems, always the same; fields of a budget among `fields` make its budget."""
    budget = {name: fields.pop(name) for name in vars(Budget()) if name in fields}
    fields = {"max_new_tokens": 400, "task": "lamps", "budget": Budget(**budget)} | fields
    if temperature:
        fields["sampling"] = Sampling(temperature=temperature)
    requests = []
    for i, problem in enumerate(held_out_sample(count, seed=5)):
        prompt = tuple(prompt_ids(engine.tokenizer, engine.format, problem.question, {}))
        for sample in range(samples):
            own = seed_of(seed, "lamps", str(i), sample)
            requests.append(Request(prompt=prompt, problem=str(i), sample=sample, seed=own, **fields))
    return requests


def run_all(engine: Any, requests: list[Request]) -> list[Any]:
    """The completions, in the order of the requests."""
    done = {}
    for batch in engine.run(requests, lambda rows: None):
        done.update({finished.request.key: finished.completion for finished in batch})
    return [done[request.key] for request in requests]


def in_steps(engine: Any, requests: list[Request], pause: Pause) -> tuple[list[Any], int]:
    """All completions, each of whose rows goes on from pause to pause; and how many pauses there were."""
    done, pauses = {}, 0
    asked = [replace(request, pause=pause) for request in requests]
    while asked:
        again = []
        for batch in engine.run(asked, lambda rows: None):
            for request, completion in batch:
                if completion.begun is None:
                    done[request.problem] = completion
                else:
                    again.append(replace(request, begun=completion.begun))
        pauses += len(again)
        asked = again
    return [done[request.problem] for request in requests], pauses


@dataclass(frozen=True)
class Steers:
    """Stands for what steers a row by a processor of transformers."""


class NeverAsked:
    """An engine that must not be asked for anything."""

    def __init__(self, engine) -> None:
        self.identity = engine.identity

    def run(self, requests, on_step):
        assert not requests
        return iter(())
