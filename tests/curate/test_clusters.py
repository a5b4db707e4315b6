"""Clusters of questions find topics and are the same on every machine."""

import subprocess
import sys

import pytest

pytest.importorskip("datasets")

from curation_pools import TOPICS, topic_questions

from s1_hf import embedded
from s1_hf.curate.clusters import cluster


def test_clusters_find_topics():
    labels = cluster(topic_questions(150), 3, seed=0)
    assert len(set(labels)) == 3
    assert all(labels[n] == labels[n % 3] for n in range(150))


def test_a_cluster_is_named_by_its_words():
    names = cluster(topic_questions(150), 3, seed=0)
    assert set(names[0].split(" ", 1)[1].split(", ")) <= set(TOPICS["geometry"].split())


def test_clusters_are_the_same_in_another_process_with_other_threads():
    code = f"from s1_hf.curate.clusters import cluster; print(cluster({topic_questions(60)!r}, 7, 1))"
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        check=True,
        env={"PYTHONPATH": ":".join(sys.path), "PYTHONHASHSEED": "7", "OPENBLAS_NUM_THREADS": "2"},
    )
    assert done.stdout.strip() == str(cluster(topic_questions(60), 7, 1))


def test_more_clusters_than_questions_are_as_many_as_questions():
    assert len(set(cluster(["one triangle", "two primes"], 50, 0))) == 2


def test_questions_without_words_are_a_cluster_too():
    assert len(cluster(["1 + 1", "2 + 2", "a triangle"], 2, 0)) == 3


def test_a_local_models_embeddings_cluster():
    questions = ["Lamp A flashes at second 2."] * 3 + ["9999999999999999"] * 3
    labels = cluster(questions, 2, 1, model=str(embedded.MODEL_PATH))
    assert len(set(labels[:3])) == 1 and len(set(labels[3:])) == 1
