"""The engine at an address gives what the one on transformers gives, whatever happens on the way and to the server."""

from __future__ import annotations

import json
import threading
from dataclasses import replace
from types import SimpleNamespace

import pytest

from lamp_requests import Steers, in_steps, lamp_engine, lamp_requests, run_all
from s1_hf import Budget, BudgetWarning, embedded
from s1_hf.engines.checkpoint import Checkpoint
from s1_hf.engines.endpoint import connection as connections
from s1_hf.engines.endpoint_engine import EndpointEngine
from s1_hf.engines.engine import Recorded
from s1_hf.engines.ledger import Ledger
from s1_hf.forcing.confidence import Confidence
from s1_hf.forcing.formats import ThinkingFormat
from s1_hf.forcing.pauses import Begun, Pause
from s1_hf.generation.grids import grid
from served_models import Lamps, LampServer, garbage, late, status

QUIET = lambda rows: None  # noqa: E731
WAYS = ["reports", "no reports", "rounds"]


@pytest.fixture(scope="module")
def lamps():
    return Lamps()


@pytest.fixture(scope="module")
def other():
    return lamp_engine()


@pytest.fixture
def serve(lamps):
    """Starts servers of the same model, which end with the test."""
    servers = []

    def make(port: int = 0, **options) -> LampServer:
        servers.append(LampServer(options.pop("lamps", lamps), port, **options))
        return servers[-1]

    yield make
    for one in servers:
        one.kill()


@pytest.fixture
def engine_at():
    engines = []

    def make(server: LampServer, **options) -> EndpointEngine:
        checkpoint = Checkpoint.find(str(embedded.MODEL_PATH))
        engines.append(EndpointEngine(checkpoint, options.pop("url", server.url), **{"timeout_s": 60.0} | options))
        return engines[-1]

    yield make
    for one in engines:
        one.forget_weights()


@pytest.fixture
def quick(monkeypatch):
    """Waits between tries are short."""
    monkeypatch.setattr(connections, "_FIRST_WAIT_S", 0.01)


def engine_by(way: str, serve, engine_at) -> EndpointEngine:
    server = serve()
    server.has_reports = way == "reports"
    return engine_at(server, rounds=way == "rounds")


# -- the same rows --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize(
    "fields",
    [
        {"max_thinking_tokens": 30, "num_ignores": 1},
        {"num_ignores": 2, "max_answer_tokens": 3},
        {"max_thinking_tokens": 40, "cut_text": "So:\n", "cut_window": 9},
        {"min_thinking_tokens": 60, "wait_text": None},
        {"give_up_after": 40},
        {"max_new_tokens": 9},
    ],
    ids=str,
)
def test_completions_equal_those_of_transformers(serve, engine_at, other, way, fields):
    engine = engine_by(way, serve, engine_at)
    requests = lamp_requests(other, 4, **fields)
    engine.check(requests)
    assert run_all(engine, requests) == run_all(other, requests)


@pytest.mark.parametrize("fields", [{"num_ignores": 1}, {"samples": 2, "max_answer_tokens": 12}], ids=str)
def test_sampled_ones_too_where_there_are_reports(serve, engine_at, other, fields):
    """The same seeds draw the same tokens."""
    engine = engine_at(serve())
    requests = lamp_requests(other, 4, temperature=1.0, **fields)
    engine.check(requests)
    assert run_all(engine, requests) == run_all(other, requests)


def test_sampled_rounds_are_the_same_in_every_run(serve, engine_at, other):
    engine = engine_at(serve(), rounds=True)
    requests = lamp_requests(other, 3, temperature=1.0, samples=2, num_ignores=1)
    first = run_all(engine, requests)
    assert first == run_all(engine, requests)
    assert len({one.token_ids for one in first}) > 3 and all(one.report.ends_ignored == 1 for one in first)


@pytest.mark.parametrize("way", WAYS)
def test_a_sweep_equals_that_of_transformers(serve, engine_at, other, way):
    engine = engine_by(way, serve, engine_at)
    settings = grid([None, 20, 60], [0, 1, 2], Budget(cut_text="So:\n", cut_window=5))
    requests = lamp_requests(other, 3)
    engine.check_sweep(settings)
    (ours,) = engine.sweep(requests, settings, QUIET)
    theirs: dict = {}
    for batch in other.sweep(requests, settings, QUIET):
        for of_setting in batch.of_settings:
            theirs |= {one.request.key: one.completion for one in of_setting}
    for setting, of_setting in zip(settings, ours.of_settings, strict=True):
        assert [one.completion for one in of_setting] == [theirs[one.request.key] for one in of_setting]
        assert {one.request.budget for one in of_setting} == {setting}
    through = engine.spent.read + engine.spent.written - engine.spent.requests
    assert ours.cost.trace_tokens + ours.cost.answer_tokens == through


# -- rows that pause ------------------------------------------------------------------------------------------------


def steps_of(engine, other, requests, pause) -> int:
    """How many pauses there were; every completion on the way equals that of transformers."""
    asked, pauses = [replace(one, pause=pause) for one in requests], 0
    whole = dict(zip([one.problem for one in requests], run_all(other, requests), strict=True))
    while asked:
        engine.check(asked)
        ours = run_all(engine, asked)
        assert ours == run_all(other, asked)
        for one, done in zip(asked, ours, strict=True):
            assert done.begun is not None or done == whole[one.problem]
        pairs = zip(asked, ours, strict=True)
        asked = [replace(one, begun=done.begun) for one, done in pairs if done.begun is not None]
        pauses += len(asked)
    return pauses


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("pause", [Pause("\n"), Pause(" by ", tokens=9)], ids=str)
@pytest.mark.parametrize("fields", [{"num_ignores": 1, "max_answer_tokens": 3}, {"max_thinking_tokens": 30}], ids=str)
def test_rows_pause_and_go_on_as_in_transformers(serve, engine_at, other, way, pause, fields):
    assert steps_of(engine_by(way, serve, engine_at), other, lamp_requests(other, 2, **fields), pause) > 3


def test_sampled_ones_pause_alike_where_there_are_reports(serve, engine_at, other):
    requests = lamp_requests(other, 3, temperature=1.0, num_ignores=1)
    assert steps_of(engine_at(serve()), other, requests, Pause("\n")) > 12


def test_rounds_count_what_comes_behind_a_pause(serve, engine_at, other):
    """A server that knows `stop` writes nothing there; from one that does not it is dropped, and counted."""
    (request,) = lamp_requests(other, 1)
    spent = []
    for knows in (True, False):
        server = serve()
        engine = engine_at(server, rounds=True)
        if not knows:
            complete = server.lamps.complete
            server.lamps = SimpleNamespace(
                context=1024, complete=lambda body, complete=complete: complete({**body, "stop": None})
            )
        (done,) = run_all(engine, [replace(request, pause=Pause("\n"))])
        assert done.begun is not None
        chosen = len(done.forced) - sum(done.forced)
        assert engine.spent.written - engine.spent.dropped == chosen
        spent.append(engine.spent)
    assert spent[0].dropped == 0 < spent[1].dropped


def test_sampled_rounds_pause_in_every_run_alike(serve, engine_at, other):
    """By other numbers than rows that never paused: each round has a seed of its own."""
    engine = engine_at(serve(), rounds=True)
    requests = lamp_requests(other, 2, temperature=1.0, samples=2)
    first = [in_steps(engine, requests[i::2], Pause("\n")) for i in range(2)]
    assert first == [in_steps(engine, requests[i::2], Pause("\n")) for i in range(2)]
    assert all(pauses > 4 for _, pauses in first)


def test_a_server_that_only_tells_texts_cannot_pause(serve, engine_at, other):
    (request,) = lamp_requests(other, 1)
    with pytest.warns(BudgetWarning, match="says in texts"):
        engine = engine_at(serve(lamps=Lamps(has_plugin=False, tells_ids=False)), rounds=True)
    with pytest.raises(ValueError, match="cannot go on from exactly where it has paused. Searches by steps need"):
        engine.check([replace(request, pause=Pause("\n"))])


def test_a_server_that_does_not_know_pauses_is_refused_before_anything_is_generated(serve, engine_at, other):
    """It is asked once."""
    server = serve()
    engine = engine_at(server)
    asked = [replace(one, pause=Pause("\n")) for one in lamp_requests(other, 2)]
    server.faults = [status(400)]
    with pytest.raises(ValueError, match="so it is told.* That was the question whether .* pauses and measures"):
        engine.check(asked)
    before = len(server.asked)
    engine.check(asked)
    engine.check(asked)
    assert len(server.asked) == before + 1


@pytest.mark.parametrize("confidence", [Confidence(20), Confidence(1), Confidence(20, window=8, below=12.0)], ids=str)
def test_rows_are_measured_by_a_server_with_reports(serve, engine_at, other, confidence):
    engine = engine_at(serve())
    requests = lamp_requests(other, 3, confidence=confidence, num_ignores=1)
    engine.check(requests)
    for one, wanted in zip(run_all(engine, requests), run_all(other, requests), strict=True):
        assert replace(one, confidences=None) == replace(wanted, confidences=None)
        assert one.confidences == pytest.approx(wanted.confidences, abs=3e-4)


@pytest.mark.parametrize(("way", "message"), [("no reports", "has no route for reports"), ("rounds", "not told where")])
def test_where_nobody_measures_it_is_refused(serve, engine_at, other, way, message):
    engine = engine_by(way, serve, engine_at)
    with pytest.raises(ValueError, match=message):
        engine.check(lamp_requests(other, 1, confidence=Confidence(1)))


def test_a_server_that_does_not_say_what_it_measured_is_not_believed(serve, engine_at, other):
    engine = engine_at(serve())
    told = type(engine._way)._told
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(
            type(engine._way), "_told", lambda *args: {k: v for k, v in told(*args).items() if k != "measured"}
        )
        with pytest.raises(ConnectionError, match="does not tell how sure the model was"):
            run_all(engine, lamp_requests(other, 1, confidence=Confidence(1)))


def test_a_pause_that_was_not_asked_for_is_not_believed(serve, engine_at, other):
    engine = engine_at(serve())
    told = type(engine._way)._told

    def paused(self, *args, **options):
        fields = told(self, *args, **options)
        tokens = fields["tokens"] - 1
        forced = [i for i in fields["forced"] if i < tokens]
        return {**fields, "ended": "unfinished", "paused": [0] * 7, "tokens": tokens, "forced": forced}

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(type(engine._way), "_told", paused)
        with pytest.raises(ConnectionError, match="thinking was left open after"):
            run_all(engine, lamp_requests(other, 1))


def test_what_is_asked_leaves_nothing_to_the_server(serve, engine_at, other):
    """Not its own sampling, and not the model's."""
    server = serve()
    run_all(engine_at(server), lamp_requests(other, 1))
    sent = server.asked[-1]
    assert (sent["temperature"], sent["top_p"], sent["top_k"], sent["min_p"]) == (0.0, 1.0, 0, 0.0)
    assert (sent["repetition_penalty"], sent["presence_penalty"], sent["frequency_penalty"]) == (1.0, 0.0, 0.0)
    assert isinstance(sent["prompt"], list) and sent["return_token_ids"] and not sent["skip_special_tokens"]


def test_so_many_requests_are_in_flight(serve, engine_at, other, lamps):
    server = serve()
    engine = engine_at(server, concurrency=5)
    barrier = threading.Barrier(5)
    server.changes = lambda reply: (barrier.wait(timeout=60) and reply) or reply
    requests = lamp_requests(other, 10, max_new_tokens=5)
    assert len(run_all(engine, requests)) == 10
    assert server.most == 5


# -- servers that are not what they should be -----------------------------------------------------------------------


def test_a_server_without_the_plug_in_is_refused(serve, engine_at):
    server = serve(lamps=Lamps(has_plugin=False))
    with pytest.raises(ValueError, match="does not take thinking budgets as they are meant here") as raised:
        engine_at(server)
    assert "s1-hf serve MODEL --engine vllm" in str(raised.value) and "--rounds" in str(raised.value)


def test_rounds_need_no_plug_in(serve, engine_at, other):
    engine = engine_at(serve(lamps=Lamps(has_plugin=False)), rounds=True)
    requests = lamp_requests(other, 4, max_thinking_tokens=90, num_ignores=2)
    engine.check(requests)
    assert run_all(engine, requests) == run_all(other, requests)
    spent = engine.spent
    assert spent.requests > 4 and spent.read > sum(len(one.prompt) for one in requests)


def test_another_thinking_format_is_refused(serve, engine_at):
    _, tokenizer = embedded.load()
    other = ThinkingFormat.from_delimiters(tokenizer, start="think:", close="Final:")
    with pytest.raises(ValueError, match="If it has the plug-in, its model or thinking format is not the one"):
        engine_at(serve(lamps=Lamps(format=other)))


def test_another_tokenizer_is_refused(serve, engine_at):
    for rounds in (False, True):
        server = serve()
        server.changes = lambda reply: with_choice(reply, text="something else")
        with pytest.raises(ValueError, match="has another tokenizer: .* Name the model that it serves"):
            engine_at(server, rounds=rounds)


def test_a_server_that_tells_no_ids_is_refused(serve, engine_at):
    with pytest.raises(ValueError, match="does not say which tokens it generates"):
        engine_at(serve(lamps=Lamps(tells_ids=False)))


@pytest.mark.parametrize("takes_ids", [True, False])
def test_rounds_do_with_texts_and_say_so(serve, engine_at, other, takes_ids):
    """Here they give the same rows, because the model writes tokens as its tokenizer does."""
    server = serve(lamps=Lamps(has_plugin=False, tells_ids=False, takes_ids=takes_ids))
    with pytest.warns(UserWarning, match="says in texts, and not in tokens, what it generates"):
        engine = engine_at(server, rounds=True)
    assert not engine.is_exact and engine.identity["rounds"] == "texts"
    assert isinstance(server.asked[-1]["prompt"], list) == takes_ids
    for fields in ({"max_thinking_tokens": 90, "num_ignores": 2}, {"wait_text": None, "num_ignores": 1}):
        requests = lamp_requests(other, 3, **fields)
        assert run_all(engine, requests) == run_all(other, requests)


def test_texts_of_another_tokenizer_are_refused(serve, engine_at):
    server = serve(lamps=Lamps(tells_ids=False))
    server.changes = lambda reply: {**reply, "usage": {"prompt_tokens": reply["usage"]["prompt_tokens"] + 1}}
    with pytest.raises(ValueError, match="adds tokens of its own. Name the model that it serves"):
        engine_at(server, rounds=True)


def test_a_server_that_refuses_the_question_is_refused(serve, engine_at):
    server = serve()
    server.faults = [status(400)]
    with pytest.raises(ValueError, match="so it is told. That was the question whether it takes thinking budgets"):
        engine_at(server)


def test_what_is_no_openai_server_is_refused(serve, engine_at):
    server = serve()
    with pytest.raises(ValueError, match="has no /models: is that the address"):
        engine_at(server, url=server.url.removesuffix("/v1"))


def test_the_model_is_the_only_one_or_the_one_that_is_named(serve, engine_at):
    server = serve(name="someone/lamps")
    assert engine_at(server).identity["served"]["name"] == "someone/lamps"
    with pytest.raises(ValueError, match="has no model 'other', but someone/lamps. Name it: `--served-name`"):
        engine_at(server, served_name="other")


def test_keys_are_needed_where_the_server_has_one(serve, engine_at, monkeypatch):
    server = serve(key="sk-right-key-1")
    with pytest.raises(ConnectionError, match="status 401"):
        engine_at(server)
    monkeypatch.setenv("MINE", "sk-right-key-1")
    engine = engine_at(server, api_key_env="MINE")
    assert "sk-right-key-1" not in json.dumps(engine.identity) + repr(vars(engine))


def test_sampling_without_reports_is_refused_where_it_could_not_be_told(serve, engine_at, other):
    server = serve()
    server.has_reports = False
    engine = engine_at(server)
    engine.check(lamp_requests(other, 1, temperature=1.0, max_thinking_tokens=20))
    with pytest.raises(ValueError, match="has no route for reports"):
        engine.check(lamp_requests(other, 1, temperature=1.0, num_ignores=1))


def test_log_probabilities_after_budgets_are_not_taken_for_wishes(serve, engine_at, other):
    server = serve(lamps=Lamps(processed_logprobs=True))
    server.has_reports = False
    with pytest.raises(ValueError, match="its log-probabilities are those after budgets"):
        engine_at(server).check(lamp_requests(other, 1, num_ignores=1))


# -- faults ---------------------------------------------------------------------------------------------------------

FAULTS = {
    "429": status(429, {"Retry-After": "0.05"}),
    "500": status(500),
    "503": status(503),
    "cut": lambda handler: handler.cut(),
    "html": garbage(b"<html>busy</html>"),
    "torn": garbage(b'{"choices": [{"text": "'),
    "no choice": garbage(b'{"choices": []}'),
    "aborted": garbage(b'{"choices": [{"text": "", "token_ids": [], "finish_reason": "abort"}]}'),
    "another model": garbage(b'{"model": "x", "choices": [{"text": "a", "token_ids": [3], "finish_reason": "stop"}]}'),
    "strange ids": garbage(b'{"choices": [{"text": "a", "token_ids": [99999], "finish_reason": "stop"}]}'),
    "too many": garbage(
        json.dumps({"choices": [{"text": "a", "token_ids": [3] * 500, "finish_reason": "stop"}]}).encode()
    ),
    "late": late(1.5),
}


@pytest.mark.parametrize("way", ["reports", "rounds"])
@pytest.mark.parametrize("fault", FAULTS)
def test_every_row_comes_whatever_happens_on_the_way(serve, engine_at, other, quick, fault, way):
    server = serve()
    engine = engine_at(server, rounds=way == "rounds", concurrency=3, timeout_s=1.0 if fault == "late" else 60.0)
    requests = lamp_requests(other, 3, max_thinking_tokens=20, max_answer_tokens=8)
    server.faults = [FAULTS[fault], FAULTS[fault]]
    assert run_all(engine, requests) == run_all(other, requests)
    assert not server.faults


def test_what_does_not_get_better_ends_the_run_and_what_is_finished_is_kept(serve, engine_at, other, quick, tmp_path):
    server = serve()
    engine = engine_at(server, concurrency=1, max_retries=2)
    requests = lamp_requests(other, 6, max_new_tokens=9)
    server.changes = lambda reply: server.faults.extend([status(500)] * 9) or reply if len(server.asked) == 4 else reply
    with pytest.raises(ConnectionError, match="after 3 tries: status 500: so it is told. What is finished is kept"):
        for _ in Recorded(engine, Ledger(tmp_path)).run(requests, QUIET):
            pass
    server.faults, before = [], len(server.asked)
    again = Recorded(engine_at(server), Ledger(tmp_path))
    assert len(again.found(requests)) == 3
    done = {one.request.key: one.completion for batch in again.run(requests, QUIET) for one in batch}
    assert [done[one.key] for one in requests] == run_all(other, requests)
    assert len(server.asked) == before + 1 + 3  # the question, and what was missing


def test_a_model_that_went_away_ends_the_run(serve, engine_at, other):
    server = serve()
    engine = engine_at(server)
    server.name = "another"
    with pytest.raises(ConnectionError, match="completes nothing as 'lamps'"):
        run_all(engine, lamp_requests(other, 2))


def test_a_server_that_is_killed_and_started_again_is_waited_for(serve, engine_at, other, monkeypatch):
    monkeypatch.setattr(connections, "_FIRST_WAIT_S", 0.05)
    server = serve()
    engine = engine_at(server, concurrency=2, max_retries=12)
    requests = lamp_requests(other, 8, max_thinking_tokens=40, num_ignores=1)
    once, again = threading.Lock(), []

    def kill(reply):
        if len(server.asked) >= 4 and once.acquire(blocking=False):
            server.kill()
            threading.Timer(0.5, lambda: again.append(serve(server.server_port))).start()
        return reply

    server.changes = kill
    assert run_all(engine, requests) == run_all(other, requests)
    assert len(again[0].asked) >= 5  # it had to prove itself


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda server: setattr(server, "version", "0.33.0"), "is not the server that it was when this run began"),
        (lambda server: setattr(server, "lamps", Lamps(has_plugin=False)), "does not take thinking budgets"),
        (lambda server: setattr(server, "name", "lamps-2"), "has no model 'lamps'"),
    ],
    ids=["another version", "no plug-in", "another model"],
)
def test_a_server_that_comes_back_as_another_one_ends_the_run(serve, engine_at, other, quick, change, message):
    server = serve()
    engine = engine_at(server, concurrency=1)
    requests = lamp_requests(other, 3, max_new_tokens=9)

    def restart(handler):
        change(server)
        handler.cut()

    server.faults = [restart]
    with pytest.raises((ConnectionError, ValueError), match=message):
        run_all(engine, requests)


def test_a_budget_that_is_not_kept_ends_the_run(serve, engine_at, other):
    """A server may lose its plug-in without losing a connection; without reports the tokens themselves show it."""
    server = serve()
    server.has_reports = False
    engine = engine_at(server)
    server.lamps = Lamps(has_plugin=False)
    with pytest.raises(ConnectionError, match="does not keep to budgets"):
        run_all(engine, lamp_requests(other, 2, max_thinking_tokens=9))


@pytest.mark.parametrize(
    ("dropped", "message"),
    [
        ({"num_ignores": 0}, "asked for cap 90, 1 ignore, and by its report thinking ended by itself .* where 1 have"),
        ({"max_thinking_tokens": ""}, "thinking tokens, where 90 is the cap"),
        ({"wait_text": "Hm"}, "other texts were forced than those of this budget: '.*Hm"),
    ],
    ids=["ignores", "cap", "Wait"],
)
def test_nor_is_one_that_is_dropped_while_reports_go_on(serve, engine_at, other, dropped, message):
    """By a proxy, say: what the server tells is true, but of another budget."""
    honest = Lamps()
    engine = engine_at(serve(lamps=honest))
    complete = honest.complete
    honest.complete = lambda body: complete({**body, "vllm_xargs": {**body["vllm_xargs"], **dropped}})
    with pytest.raises(ConnectionError, match=f"does not keep to budgets: .*{message}"):
        run_all(engine, lamp_requests(other, 4, max_thinking_tokens=90, num_ignores=1))


def test_reports_that_are_garbled_on_the_way_cost_nothing_but_time(serve, engine_at, other, quick):
    """Those of the proof after each loss, too: a server without reports would be asked otherwise from then on."""
    server = serve()
    engine = engine_at(server, concurrency=1)
    say, told = server.RequestHandlerClass.say, []

    class Garbled(server.RequestHandlerClass):
        def say(self, reply, status=200, headers=None):
            if self.path.endswith("/reports"):
                told.append(reply)
                reply = b"<html>oops" if len(told) < 3 else reply
            say(self, reply, status, headers)

    server.RequestHandlerClass = Garbled
    requests = lamp_requests(other, 1, num_ignores=1)
    engine.forget_weights()
    assert run_all(engine, requests) == run_all(other, requests)
    assert len(told) == 6 and not any("logprobs" in body for body in server.asked)


def test_a_report_that_is_lost_is_no_row(serve, engine_at, other):
    server = serve()
    engine = engine_at(server)
    server.lamps = Lamps(has_plugin=False)
    with pytest.raises(ConnectionError, match="does not tell what became of requests"):
        run_all(engine, lamp_requests(other, 1))


def test_no_socket_is_left_open_when_nothing_is_asked(serve, engine_at, other):
    """However it ended: a command need not close its engine."""
    server = serve()
    engine = engine_at(server, concurrency=2)
    connection = engine._connection
    assert connection._opened is None
    list(engine.run(lamp_requests(other, 2, max_new_tokens=9), QUIET))
    assert connection._opened is None
    server.faults = [status(400)]
    with pytest.raises(ValueError, match="so it is told"):
        list(engine.run(lamp_requests(other, 1, max_new_tokens=9), QUIET))
    assert connection._opened is None
    with pytest.raises(ValueError, match="has no model"):
        engine_at(server, served_name="nobody")


# -- runs -----------------------------------------------------------------------------------------------------------


def test_identities_tell_servers_apart_but_not_addresses(serve, engine_at):
    first, second = serve(), serve()
    assert engine_at(first).identity == engine_at(second).identity
    second.version = "0.31.0"
    assert engine_at(first).identity != engine_at(second).identity
    assert engine_at(first).identity != engine_at(first, rounds=True).identity
    assert json.loads(json.dumps(engine_at(first).identity))["engine"] == "endpoint"


def test_the_smallest_context_counts(serve, engine_at, other):
    engine = engine_at(serve(lamps=Lamps(context=300)))
    assert engine.context == 300
    assert engine_at(serve(), max_length=200).context == 200
    with pytest.raises(ValueError, match="have to fit into the server's context of 300"):
        engine.check(lamp_requests(other, 1))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"repetition_penalty": 1.1}, "`repetition_penalty` cannot be combined with budgets"),
        ({"steering": Steers()}, "Steers steers rows by a processor of transformers, which a server cannot run"),
        ({"pause": Pause("-" * 65)}, "`separator` has to be at most 32 characters for a server"),
        ({"begun": Begun((1,), (False,), (0,) * 7)}, "paused under another format"),
        ({"budget": Budget(wait_text="<|im_start|>answer", num_ignores=1)}, "`wait_text` has to be free of delimiters"),
        ({"budget": Budget(min_thinking_tokens=500)}, "`min_thinking_tokens` has to fit"),
    ],
)
def test_what_it_cannot_do_is_refused_before_anything_is_asked(serve, engine_at, other, change, message):
    server = serve()
    engine = engine_at(server)
    asked = len(server.asked)
    (request,) = lamp_requests(other, 1)
    with pytest.raises(ValueError, match=message):
        engine.check([replace(request, **change)])
    assert len(server.asked) == asked


@pytest.mark.parametrize(("name", "value"), [("concurrency", 0), ("timeout_s", -1.0), ("max_retries", -1)])
def test_numbers_are_checked(serve, engine_at, name, value):
    with pytest.raises(ValueError, match=f"`{name}` has to be"):
        engine_at(serve(), **{name: value})


def with_choice(reply: dict, **fields) -> dict:
    return {**reply, "choices": [{**reply["choices"][0], **fields}]}
