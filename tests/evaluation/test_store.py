"""Finished samples on disk."""

from __future__ import annotations

import shutil
from dataclasses import replace

import pytest

pytest.importorskip("lighteval")

from documents import lamps

from s1_hf import embedded
from s1_hf.engines.checkpoint import Checkpoint
from s1_hf.evaluation import BudgetForcingModel
from s1_hf.evaluation.batches import Request, plan
from s1_hf.evaluation.store import Sample, Store

SAMPLE = Sample("k0", "t|0", "0", 0, "thought", "answer", "all", [1, 2, 3], [0], 1, "natural", 0, 1)


def samples(*names: str) -> list[Sample]:
    return [replace(SAMPLE, key=name) for name in names]


def test_what_was_appended_is_read_from_the_files_of_all_processes(tmp_path):
    for process in (0, 1):
        Store(tmp_path, {}, process).append(samples(f"a{process}", f"b{process}"), 1.0)
    found = Store(tmp_path, {}).read()
    assert found.keys() == {"a0", "b0", "a1", "b1"}
    assert found["a0"] == replace(SAMPLE, key="a0")


def test_a_line_that_is_no_batch_is_named(tmp_path):
    store = Store(tmp_path, {})
    for names in ("ab", "cd"):
        store.append(samples(*names), 1.0)
    store.file.write_bytes(store.file.read_bytes().replace(b'{"seconds"', b"garbage", 1))
    with pytest.raises(ValueError, match="Line 1 of .*samples_0.jsonl is not a batch of finished samples. Delete that"):
        Store(tmp_path, {}).read()


@pytest.mark.parametrize("cut", [1, 30, 200])
def test_a_batch_that_was_being_written_is_dropped_as_a_whole(tmp_path, cut):
    store = Store(tmp_path, {})
    for names in ("ab", "cd"):
        store.append(samples(*names), 1.0)
    store.file.write_bytes(store.file.read_bytes()[:-cut])
    assert Store(tmp_path, {}).read().keys() == {"a", "b"}
    Store(tmp_path, {}).append(samples("e", "f"), 1.0)
    assert Store(tmp_path, {}).read().keys() == {"a", "b", "e", "f"}
    assert store.file.read_bytes().count(b"\n") == 2


@pytest.mark.parametrize("kept", [[], [0], [1, 2], [0, 1, 2], [3], [0, 3]])
def test_what_is_missing_is_cut_into_the_same_batches(kept):
    """If whole batches are there, whichever they are."""
    requests = [Request("t|0", str(i), 0, (0,) * (i * 7 % 5 + 1), 10) for i in range(11)]
    batches = plan(requests, 3)
    done = {request.key for i in kept for request in batches[i]}
    assert plan([r for r in requests if r.key not in done], 3) == [b for i, b in enumerate(batches) if i not in kept]


def test_batches_are_of_one_task_and_their_prompts_alike():
    requests = [Request(task, str(i), 0, (0,) * (i % 7 + 1), 10) for task in ("a|0", "b|0") for i in range(20)]
    batches = plan(requests, 8)
    assert [{request.task for request in batch} for batch in batches] == [{"a|0"}] * 3 + [{"b|0"}] * 3
    padding = sum(len(batch[0].prompt) - len(request.prompt) for batch in batches for request in batch)
    assert padding < sum(7 - len(request.prompt) for request in requests) / 3


def test_a_finished_run_reads_no_weights(config, monkeypatch):
    first = BudgetForcingModel(config()).greedy_until(lamps(3))
    monkeypatch.setattr(Checkpoint, "load", lambda *args, **options: pytest.fail("the weights were read"))
    again = BudgetForcingModel(config(batch_size=2)).greedy_until(lamps(3))
    assert again == first


def test_more_problems_or_samples_take_over_what_is_there(config):
    settings = config(temperature=1.0, batch_size=2)
    BudgetForcingModel(settings).greedy_until(lamps(2, num_samples=2, generation_size=40))
    model = BudgetForcingModel(settings)
    before = model.store.read()
    model.greedy_until(lamps(3, num_samples=3, generation_size=40))
    after = model.store.read()
    assert len(before) == 4 and len(after) == 9
    assert before.items() <= after.items()


def test_other_weights_under_the_same_name_share_nothing(config, tmp_path):
    """lighteval's own cache would give the old answers."""
    folder = tmp_path / "folder"
    shutil.copytree(embedded.MODEL_PATH, folder)
    settings = config(model_name=str(folder))
    before = BudgetForcingModel(settings).store.folder
    assert BudgetForcingModel(settings).store.folder == before
    weights = (folder / "model.safetensors").read_bytes()
    middle = len(weights) // 2
    (folder / "model.safetensors").write_bytes(weights[:middle] + bytes([weights[middle] ^ 1]) + weights[middle + 1 :])
    assert BudgetForcingModel(settings).store.folder != before


def test_other_lengths_and_prompts_share_nothing():
    one = Request("t|0", "0", 0, (1, 2), 10)
    others = [replace(one, prompt=(1, 3)), replace(one, max_new_tokens=11), replace(one, index=1)]
    others += [replace(one, problem="1"), replace(one, task="t|1"), replace(one, max_answer_tokens=5)]
    assert len({request.key for request in [one, *others]}) == 7


def test_nothing_is_written_into_the_models_folder(config, tmp_path):
    """The trap: lighteval's cache of a model with an absolute path lies in that path."""
    shutil.copytree(embedded.MODEL_PATH, tmp_path / "folder")
    before = sorted((tmp_path / "folder").rglob("*"))
    BudgetForcingModel(config(model_name=str(tmp_path / "folder"))).greedy_until(lamps(1))
    assert sorted((tmp_path / "folder").rglob("*")) == before
