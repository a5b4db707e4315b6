"""The criterion that stops rows where they pause; whole rows are tested beside the engine."""

from __future__ import annotations

from dataclasses import replace

import pytest

from lamp_requests import lamp_engine, lamp_requests, run_all
from s1_hf.forcing.pauses import Pause


def test_rows_that_join_a_running_batch_pause_where_they_do_alone():
    """Five rows in a batch of two: three take the places of those that have paused; steps are of different lengths."""
    engine = lamp_engine(batch_size=2)
    asked = [replace(one, pause=Pause("\n")) for one in lamp_requests(engine, 5, temperature=1.5)]
    together = run_all(engine, asked)
    assert len({len(one.token_ids) for one in together}) > 1
    assert together == [run_all(lamp_engine(batch_size=1), [one])[0] for one in asked]


@pytest.mark.parametrize("separator", ["\n", " by ", "yet"])
def test_rows_pause_with_the_token_that_completes_the_separator(separator):
    engine = lamp_engine(batch_size=4)
    asked = [replace(one, pause=Pause(separator)) for one in lamp_requests(engine, 4, max_new_tokens=80)]
    for one in run_all(engine, asked):
        if one.begun is None:
            continue
        thought = engine.tokenizer.decode(one.token_ids).removeprefix("<|im_start|>think").lstrip()
        before = engine.tokenizer.decode(one.token_ids[:-1]).removeprefix("<|im_start|>think").lstrip()
        assert separator in thought and separator not in before


def test_nothing_pauses_in_an_answer_or_where_a_text_is_being_forced():
    engine = lamp_engine(batch_size=4)
    requests = lamp_requests(engine, 4, num_ignores=1, wait_text="Wait,\nno.\n", max_new_tokens=160)
    for request in requests:
        asked, done = replace(request, pause=Pause("\n")), None
        while done is None or done.begun is not None:
            (done,) = run_all(engine, [asked])
            text = engine.tokenizer.decode(done.token_ids)
            if done.begun is not None:
                assert "<|im_start|>answer" not in text
                assert not text.endswith("Wait,\n")
                asked = replace(asked, begun=done.begun)
        assert "Wait,\nno.\n" in text and done.report.ends_ignored == 1


def test_after_so_many_thinking_tokens():
    engine = lamp_engine(batch_size=2)
    asked = [replace(one, pause=Pause(tokens=6)) for one in lamp_requests(engine, 2)]
    for one in run_all(engine, asked):
        assert one.begun is not None and one.report.thinking_tokens == one.begun.thinking_tokens == 6
