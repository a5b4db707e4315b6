"""Jobs in threads: each result once, errors raised, nothing begun after one."""

from __future__ import annotations

import threading

import pytest

from s1_hf.engines.endpoint.workers import as_they_end


def test_every_job_is_done_once_and_so_many_at_a_time():
    barrier, begun = threading.Barrier(3), []

    def work(job: int) -> int:
        begun.append(job)
        barrier.wait(timeout=20)
        return job * job

    done = dict(one for batch in as_they_end(work, range(9), 3) for one in batch)
    assert done == {i: i * i for i in range(9)} and sorted(begun) == list(range(9))


def test_what_is_done_at_once_comes_in_one_list():
    last = threading.Event()

    def work(job: int) -> int:
        if job == 3:
            last.set()
        return job

    batches = as_they_end(work, range(4), 1)
    first = next(batches)
    last.wait(timeout=20)
    rest = list(batches)
    assert sorted(place for batch in [first, *rest] for place, _ in batch) == [0, 1, 2, 3]


def test_an_error_comes_after_what_was_done_before_it_and_ends_the_rest():
    begun = []

    def work(job: int) -> int:
        begun.append(job)
        if job == 2:
            raise ConnectionError("it is gone")
        return job

    done = []
    with pytest.raises(ConnectionError, match="it is gone"):
        for batch in as_they_end(work, range(100), 1):
            done += batch
    assert [place for place, _ in done] == [0, 1]
    assert len(begun) < 100


def test_without_jobs_there_is_nothing():
    assert list(as_they_end(str, [], 4)) == []
