"""What a folder is; what is none, or not whole, is refused with what to do."""

from __future__ import annotations

import json
import shutil

import pytest

from s1_hf.publishing import folders
from s1_hf.publishing.folders import kind_of


def made(folder, *files: str):
    for name in files:
        file = folder / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text("{}")
    return folder


@pytest.mark.parametrize(
    ("files", "kind"),
    [
        (["pack.json", "chain.jsonl", "data/rows.parquet"], folders.PACK),
        (["report.json", "dropped.parquet", "data/train-0.parquet"], folders.CURATION),
        (["settings.json", "finished.jsonl", "data/train-0.parquet"], folders.TRACES),
        (["data/train-0.parquet"], folders.DATA),
        (["rows.jsonl"], folders.RESULTS),
        (["report.html", "one/rows.jsonl", "two/rows.parquet"], folders.RESULTS),
    ],
)
def test_data_and_results(files, kind, tmp_path):
    assert kind_of(made(tmp_path, *files)) is kind


@pytest.mark.parametrize(
    ("files", "said"),
    [
        (["chain.jsonl"], "holds a pack that is not whole: pack.json is missing"),
        (["settings.json", "finished.jsonl", "data/_train-0.parquet.part"], "holds traces that are not finished"),
        (["generations/m/finished.jsonl"], "holds a run that has not finished"),
        (["config.json"], "has the configuration of a model, but no weights"),
        (["one/rows.jsonl"], "is nothing that can be pushed"),  # a home folder may hold one somewhere
        (["notes.txt"], "is nothing that can be pushed"),
        ([], "is nothing that can be pushed"),
    ],
)
def test_what_is_none_or_not_whole(files, said, tmp_path):
    with pytest.raises(ValueError, match=said):
        kind_of(made(tmp_path, *files))


def test_a_file_and_nothing_are_no_folder(tmp_path):
    with pytest.raises(ValueError, match="has to be a folder, but does not exist"):
        kind_of(tmp_path / "gone")
    with pytest.raises(ValueError, match="has to be a folder, but is a file"):
        kind_of(made(tmp_path, "a") / "a")


def test_a_trained_model_once_it_is_finished(trained):
    assert kind_of(trained) is folders.MODEL
    (trained / "s1_run.json").write_text(json.dumps({"finished": False}))
    with pytest.raises(ValueError, match=r"has not finished\. .* s1-hf push .*checkpoint-4 REPO --checkpoint"):
        kind_of(trained)


def test_a_checkpoint_only_if_it_is_asked_for(trained):
    (trained / "optimizer.pt").write_bytes(b"")
    with pytest.raises(ValueError, match="is a checkpoint of a training run, not its result.*--checkpoint"):
        kind_of(trained)
    assert kind_of(trained, checkpoint=True) is folders.CHECKPOINT


def test_an_adapter(trained):
    made(trained, "adapter_config.json")
    shutil.copy(trained / "model.safetensors", trained / "adapter_model.safetensors")
    assert kind_of(trained) is folders.ADAPTER


def test_weights_have_to_be_whole_and_in_the_folder(trained, tmp_path):
    weights = trained / "model.safetensors"
    content = weights.read_bytes()
    weights.write_bytes(content[:-1])
    with pytest.raises(ValueError, match=r"model\.safetensors is not as long as its header says"):
        kind_of(trained)
    weights.unlink()
    (tmp_path / "elsewhere").write_bytes(content)
    weights.symlink_to(tmp_path / "elsewhere")
    with pytest.raises(ValueError, match=r"are links to another folder .*--copy"):
        kind_of(trained)
    weights.unlink()
    weights.write_bytes(content)
    index = trained / "model.safetensors.index.json"
    index.write_text(json.dumps({"weight_map": {"a": weights.name, "b": "model-2.safetensors"}}))
    with pytest.raises(ValueError, match=r"are not whole: .* names model-2\.safetensors\."):
        kind_of(trained)
