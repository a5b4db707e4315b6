"""Which files go: those of the result, none of a run under way, none from elsewhere, none with a key in it."""

from __future__ import annotations

import pytest

from s1_hf.publishing.files import check_no_secrets, files_of
from s1_hf.publishing.folders import MODEL, RESULTS

TOKEN = "hf_" + "Ab1" * 11 + "x"


def test_of_results_only_files_of_runs_go_and_each_other_has_its_reason(results):
    found = files_of(results, RESULTS)
    assert found.go.keys() == {".eval_results/s1_math500.yaml", "about.json", "results.json", "rows.parquet"}
    assert found.bytes == sum((results / name).stat().st_size for name in found.go)
    assert found.stay == {
        "_lock": "of a run: a lock, or not whole",
        "_lock.guard": "of a run: a lock, or not whole",
        ".env": "hidden",
        "finished.jsonl": "the ledger of a run",
        "generations/": "the ledger of a run",
        "model.ckpt": "not of a run",
        "tracked.json": "a tracker's own files",
    }


def test_of_training_neither_checkpoints_nor_states_nor_keys_go(trained):
    stays = {
        "optimizer.pt", "rng_state_0.pth", "training_args.bin", "s1_run.json", "hf_token.txt", "id.pem", "_a.part",
    }  # fmt: skip
    for name in stays:
        (trained / name).write_text("")
    for folder in ("wandb", "_incomplete-checkpoint-2", ".cache", "my-results"):
        (trained / folder).mkdir()
        (trained / folder / "rows.jsonl").write_text("")
    found = files_of(trained, MODEL)
    folders = {"checkpoint-4/", "wandb/", "_incomplete-checkpoint-2/", ".cache/", "my-results/"}
    assert found.stay.keys() == stays | folders
    assert {"model.safetensors", "tokenizer_config.json", "chat_template.jinja"} <= found.go.keys()


def test_no_link_is_followed(results, tmp_path):
    (tmp_path / "private.json").write_text("private")
    (tmp_path / "private").mkdir()
    (tmp_path / "private" / "more.json").write_text("private")
    (results / "a.json").symlink_to(tmp_path / "private.json")
    (results / "b").symlink_to(tmp_path / "private")
    found = files_of(results, RESULTS)
    assert (found.stay["a.json"], found.stay["b/"]) == ("a link", "a link")
    assert not [name for name in found.go if name.startswith(("a.", "b"))]


@pytest.mark.parametrize("secret", ["sk-of-the-environment", TOKEN, "the-token-itself-0123"])
def test_a_file_with_a_key_in_it_is_refused_by_name(secret, results, monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", "sk-of-the-environment")
    check_no_secrets(results, files_of(results, RESULTS), "the-token-itself-0123")
    (results / "results.json").write_text(f'{{"said": "{secret}"}}')
    with pytest.raises(ValueError, match=r"results\.json holds a key or a token") as caught:
        check_no_secrets(results, files_of(results, RESULTS), "the-token-itself-0123")
    assert secret not in str(caught.value)
