"""Every engine tells a row while it is written: the same text as its completion, in pieces that say what they are."""

from __future__ import annotations

import pytest

from lamp_requests import lamp_engine, lamp_requests
from s1_hf import Budget, embedded
from s1_hf.engines.checkpoint import Checkpoint
from s1_hf.engines.endpoint_engine import EndpointEngine
from s1_hf.engines.engine import Stopped
from s1_hf.engines.request import Sampling
from s1_hf.engines.streaming import pieces_of
from served_models import Lamps, LampServer

QUIET = lambda rows: None  # noqa: E731
LAMPS = lamp_engine()
WAYS = ["transformers", "reports", "no reports", "rounds"]


@pytest.fixture(scope="module")
def server():
    one = LampServer(Lamps())
    yield one
    one.kill()


@pytest.fixture
def engine(request, server):
    if request.param == "transformers":
        return LAMPS
    server.has_reports = request.param == "reports"
    checkpoint = Checkpoint.find(str(embedded.MODEL_PATH))
    return EndpointEngine(checkpoint, server.url, timeout_s=60.0, rounds=request.param == "rounds")


def told(engine, asked):
    """The pieces, neighbours of one kind joined, how many there were, and the completion."""
    pieces, count = [], 0

    def write(text, kind):
        nonlocal count
        count += 1
        if pieces and pieces[-1][1] == kind:
            text = pieces.pop()[0] + text
        pieces.append((text, kind))

    completion = engine.stream(asked, write, QUIET)
    return pieces, count, completion


def request_with(**fields):
    (asked,) = lamp_requests(LAMPS, 1, **{"max_new_tokens": 200} | fields)
    return asked


@pytest.mark.parametrize("engine", WAYS, indirect=True)
@pytest.mark.parametrize(
    "budget",
    [Budget(max_thinking_tokens=30, num_ignores=1), Budget(num_ignores=2), Budget()],
    ids=lambda budget: budget.name,
)
def test_greedy_the_pieces_are_those_of_the_completion_which_is_that_of_run(engine, budget):
    asked = request_with(budget=budget)
    pieces, count, completion = told(engine, asked)
    ((finished,),) = engine.run([asked], QUIET)
    assert completion == finished.completion
    assert pieces == pieces_of(engine, asked.prompt, completion)
    assert "".join(text for text, _ in pieces) == completion.text and count > 5


@pytest.mark.parametrize("engine", ["transformers", "reports"], indirect=True)
def test_sampled_the_text_is_told_too(engine):
    asked = request_with(budget=Budget(num_ignores=1), sampling=Sampling(), seed=7)
    pieces, _, completion = told(engine, asked)
    ((finished,),) = engine.run([asked], QUIET)
    assert completion == finished.completion and "".join(text for text, _ in pieces) == completion.text


@pytest.mark.parametrize("engine", WAYS, indirect=True)
def test_what_a_step_raises_ends_the_row_there(engine, server):
    server.pause_s, server.told = 0.02, 0
    steps = 0

    def stop(rows):
        nonlocal steps
        steps += 1
        if steps == 3:
            raise Stopped

    asked = request_with(budget=Budget(num_ignores=3))
    texts: list[str] = []
    with pytest.raises(Stopped):
        engine.stream(asked, lambda text, kind: texts.append(text), stop)
    server.pause_s = 0.0
    assert steps == 3
    ((finished,),) = engine.run([asked], QUIET)  # nothing is left behind
    assert texts and finished.completion.text.startswith("".join(texts)) and server.told < 12


@pytest.mark.parametrize("engine", ["reports"], indirect=True)
def test_a_stream_that_is_cut_is_one_sentence(engine, server):
    asked = request_with()
    server.faults.append(lambda handler: handler.say(b'data: {"error": {"message": "too long"}}\n\n'))
    with pytest.raises(ValueError, match="too long"):
        engine.stream(asked, lambda text, kind: None, QUIET)
    server.faults.append(lambda handler: handler.cut())
    with pytest.raises(ConnectionError, match="was lost"):
        engine.stream(asked, lambda text, kind: None, QUIET)
