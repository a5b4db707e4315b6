"""Entries of results for the Hub: whole benchmarks only, as its own reader takes them, pushed as a pull request."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
import yaml
from huggingface_hub import HfApi, parse_eval_result_entries

from s1_hf import Budget
from s1_hf.engines.request import Sampling
from s1_hf.evaluation.bench import Evaluated
from s1_hf.evaluation.hub import check_pushable, entries_of, propose, write_entries
from s1_hf.results.rows import Problem
from s1_hf.tasks.task import Task

COMMIT = "633f5ee89ab8ad4522a9f850766b73f62147ffdd"


def task(name, samples=None, revision=None):
    return Task(name, [Problem(str(i), "1+1?", "2", name) for i in range(3)], samples, source={"revision": revision})


@pytest.fixture
def files(settings, tmp_path):
    tasks = [
        task("s1:gpqa_diamond", revision=COMMIT),
        task("s1_agg8:aime24", 8, revision="main"),
        task("s1:math500").drawn(2),
        task("s1:embedded"),
        task("my.jsonl"),
    ]
    scores = [{"accuracy": 0.41234, "avg@8": 0.5, "thinking_tokens": 4321.4} for _ in tasks]
    results = [dict(zip([one.name for one in tasks], scores, strict=True))]
    evaluated = Evaluated([Budget(max_thinking_tokens=8000, num_ignores=1)], [], results)
    return write_entries(entries_of(evaluated, settings(sampling=Sampling(temperature=0.6)), tasks), tmp_path)


def test_whole_benchmarks_have_entries_that_the_hub_reads(files, tmp_path):
    assert [file.relative_to(tmp_path).as_posix() for file in files] == [
        ".eval_results/s1_gpqa_diamond.yaml",
        ".eval_results/s1_agg8_aime24.yaml",
    ]
    gpqa, aime = (parse_eval_result_entries(yaml.safe_load(file.read_text()))[0] for file in files)
    assert (gpqa.dataset_id, gpqa.task_id, gpqa.value) == ("Idavidrein/gpqa", "gpqa_diamond", 41.23)
    assert gpqa.dataset_revision == COMMIT and aime.dataset_revision is None
    assert (aime.dataset_id, aime.value) == ("simplescaling/aime24_nofigures", 50.0)
    assert "budget forcing: cap 8000, 1 ignore; 4,321 thinking tokens on average" in gpqa.notes
    assert "mean of 8 samples per problem; temperature 0.6" in aime.notes


def test_they_are_pushed_as_a_pull_request(files, monkeypatch):
    made = []

    def commit(self, repo, operations, **options):
        made.append((repo, [one.path_in_repo for one in operations], options["create_pr"]))
        return SimpleNamespace(pr_url="https://hub/pr/1")

    monkeypatch.setattr(HfApi, "create_commit", commit)
    assert propose(files, "me/model") == "https://hub/pr/1"
    ((repo, paths, is_proposal),) = made
    assert (repo, paths[0], is_proposal) == ("me/model", ".eval_results/s1_gpqa_diamond.yaml", True)


def test_what_has_no_entry_is_refused_before_anything_runs():
    with pytest.raises(ValueError, match="nothing to push: only whole benchmarks"):
        check_pushable([task("s1:embedded"), task("s1:math500").drawn(1)])
    check_pushable([task("s1:embedded"), task("s1:math500")])
