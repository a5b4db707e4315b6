"""What a request that is measured comes to, and what a ledger keeps of it."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
import torch

from lamp_requests import NeverAsked, lamp_engine, lamp_requests, run_all
from s1_hf.engines.engine import Recorded, check_completion, completion_from, completion_to_dict
from s1_hf.engines.ledger import Ledger
from s1_hf.engines.request import request_as_text, request_from_text
from s1_hf.forcing.confidence import Confidence
from s1_hf.forcing.pauses import Begun, Pause

LOSING = Confidence(20, window=3, below=1e3)


def measured_requests(engine, count, confidence=LOSING, **fields):
    return [replace(one, confidence=confidence) for one in lamp_requests(engine, count, **fields)]


@pytest.mark.parametrize("confidence", [Confidence(), LOSING])
def test_from_a_ledger(tmp_path, confidence):
    """Half is there when the run is killed; the rest is generated; nothing is asked for again."""
    engine = lamp_engine(batch_size=2)
    requests = measured_requests(engine, 4, confidence)
    before = run_all(Recorded(engine, Ledger(tmp_path)), requests[:2])
    kept = run_all(Recorded(engine, Ledger(tmp_path)), requests)
    assert kept[:2] == before
    for one, other in zip(kept, run_all(engine, requests), strict=True):  # whose batches round otherwise
        assert replace(one, confidences=None) == replace(other, confidences=None)
        assert one.confidences == pytest.approx(other.confidences, abs=1e-3)
    assert run_all(Recorded(NeverAsked(engine), Ledger(tmp_path)), requests) == kept
    if confidence.window:
        assert {one.report.ended for one in kept} == {"unfinished"}


def test_rows_that_go_on_come_from_a_ledger_with_what_was_measured(tmp_path):
    engine = lamp_engine()
    for recorded in (Recorded(engine, Ledger(tmp_path)), Recorded(NeverAsked(engine), Ledger(tmp_path))):
        (one,) = (replace(one, pause=Pause("\n")) for one in measured_requests(engine, 1, Confidence(1)))
        while (done := run_all(recorded, [one])[0]).begun is not None:
            assert len(done.confidences) == len(done.token_ids) - len(one.got)
            one = replace(one, begun=done.begun)
        assert len(done.confidences) == len(done.token_ids) - len(one.got) < len(done.token_ids)


def test_a_completion_as_an_entry():
    engine = lamp_engine()
    (done,) = run_all(engine, measured_requests(engine, 1, Confidence(1)))
    entry = json.loads(json.dumps(completion_to_dict(done)))
    check_completion(entry, "here")
    assert completion_from(entry) == done
    assert all(len(str(value)) <= 8 for value in entry["confidences"])  # four decimals
    (plain,) = run_all(engine, lamp_requests(engine, 1))
    assert "confidences" not in completion_to_dict(plain)
    for wrong in (["1"], [-1.0], [True], 3, [None]):
        with pytest.raises(ValueError, match="`confidences` has to be a list of numbers of at least 0"):
            check_completion(entry | {"confidences": wrong}, "here")


@pytest.mark.parametrize("change", [lambda entry: entry.pop("confidences"), lambda entry: entry["confidences"].pop()])
def test_an_entry_that_lacks_confidences_is_refused(tmp_path, change):
    engine = lamp_engine()
    requests = measured_requests(engine, 1)
    run_all(Recorded(engine, Ledger(tmp_path)), requests)
    (file,) = tmp_path.glob("*.jsonl")
    line = json.loads(file.read_text())
    (entry,) = (value for value in line.values() if isinstance(value, dict))
    change(entry)
    file.write_text(json.dumps(line) + "\n")
    with pytest.raises(ValueError, match="does not hold the confidences of its 4? ?[0-9]* ?tokens"):
        run_all(Recorded(engine, Ledger(tmp_path)), requests)


def test_keys_differ_only_where_it_is_asked_for():
    (request,) = lamp_requests(lamp_engine(), 1)
    others = [Confidence(), Confidence(1), Confidence(20, 3, 1.0), Confidence(20, 3, 2.0), Confidence(20, 4, 2.0)]
    keys = {request.key} | {replace(request, confidence=one).key for one in others}
    assert len(keys) == 6
    # Old ledgers stay valid: the key of a request as versions before this one made it.
    assert "confidence" not in request_as_text(request)


def test_rows_of_other_thresholds_share_a_batch():
    (request,) = lamp_requests(lamp_engine(), 1)
    one, other = (replace(request, confidence=Confidence(20, 3, below)).batch_key for below in (1.0, 2.0))
    assert one == other
    for confidence in (None, Confidence(1), Confidence(1, 3, 1.0), Confidence(20, 4, 1.0)):
        assert replace(request, confidence=confidence).batch_key != one


def test_a_request_as_text():
    (request,) = lamp_requests(lamp_engine(), 1)
    for confidence in (None, Confidence(), Confidence(None), Confidence(1, 3, 2.5)):
        one = replace(request, confidence=confidence)
        more = {name: getattr(one, name) for name in ("prompt", "budget", "task", "problem")}
        again, key = request_from_text(request_as_text(one), "here", **more)
        assert again == one and key == one.key == again.key
    text = request_as_text(replace(request, confidence=Confidence()))
    with pytest.raises(ValueError, match="`top` has to be"):
        request_from_text(text.replace('"top": 20', '"top": "20"'), "here", prompt=request.prompt)


def test_what_is_refused():
    engine = lamp_engine()
    (request,) = measured_requests(engine, 1)
    with pytest.raises(ValueError, match="cannot be given up by its confidence"):
        engine.check([replace(request, pause=Pause("\n"))])
    with pytest.raises(ValueError, match="cannot be given up by its confidence"):
        engine.check([replace(request, begun=Begun((1,), (False,), (0,) * 7))])
    engine.check([replace(request, pause=Pause("\n"), confidence=Confidence(1))])
    with pytest.raises(ValueError, match="told while it is written is not measured"):
        engine.stream(request, lambda text, kind: None, lambda rows: None)


def test_logits_that_are_no_law_are_said(monkeypatch):
    """A model whose numbers overflow: an error names the token; without measuring nothing is looked at."""
    engine = lamp_engine()
    model, steps = engine.model, []
    stock = type(model).forward

    def forward(self, *args, **kwargs):
        outputs = stock(self, *args, **kwargs)
        steps.append(1)
        if len(steps) == 6:
            outputs.logits[:, -1, 5] = float("inf")
        return outputs

    monkeypatch.setattr(type(model), "forward", forward)
    with pytest.raises(ValueError, match="NaN or infinite at its generated token 5"):
        run_all(engine, measured_requests(engine, 1, Confidence(), max_new_tokens=20))


def test_tokens_that_the_model_masks_are_left_out(monkeypatch):
    engine = lamp_engine()
    stock = type(engine.model).forward
    for masked in (float("-inf"), torch.finfo(torch.float32).min, torch.finfo(torch.float16).min):

        def forward(self, *args, masked=masked, **kwargs):
            outputs = stock(self, *args, **kwargs)
            outputs.logits[..., 40:400] = masked
            return outputs

        monkeypatch.setattr(type(engine.model), "forward", forward)
        (done,) = run_all(engine, measured_requests(engine, 1, Confidence(None), max_new_tokens=20))
        assert 0 < max(done.confidences) < 100
