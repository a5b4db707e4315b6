"""`load_s1k`: the same rows from the hub, local copies and your own files, and a record of where they came from."""

import gzip
import hashlib
import json
import os
import subprocess
import sys
from types import SimpleNamespace

import pytest

pytest.importorskip("datasets")

import datasets
import fsspec
import httpx
import huggingface_hub
from fsspec.registry import _registry
from s1k_files import COMMIT, KINDS, OWN_ROWS, S1K_1_1_ROWS, S1K_ROWS, write

from s1_hf.data.s1k import HUB, DataSource, describe_source, load_s1k
from s1_hf.data.s1k_builder import S1K_1_1_COLUMNS, S1K_COLUMNS
from s1_hf.embedded.problems import TRAIN_FILE, training_traces
from shared_data import REAL_ROWS, needs_shared


@pytest.fixture
def hub(tmp_path, monkeypatch):
    """A hub whose one commit has the files that a test writes; `asked` is what was asked of it."""
    state = SimpleNamespace(folder=tmp_path / "snapshots" / COMMIT, asked=[])

    def snapshot_download(repo_id, **options):
        state.asked.append((repo_id, options["revision"]))
        assert options["repo_type"] == "dataset"
        return str(state.folder)

    def dataset_info(api, repo_id, revision=None):
        state.asked.append((repo_id, revision))
        files = [file for file in state.folder.rglob("*") if file.is_file()]
        names = [SimpleNamespace(rfilename=file.relative_to(state.folder).as_posix()) for file in files]
        return SimpleNamespace(sha=COMMIT, siblings=names)

    class Files(fsspec.AbstractFileSystem):
        protocol = "hf"

        def open(self, path, mode="rb", **_):
            repo, name = self._strip_protocol(path).split(f"@{COMMIT}/")
            state.asked.append(repo)
            return (state.folder / name).open(mode)

    monkeypatch.setattr(huggingface_hub, "snapshot_download", snapshot_download)
    monkeypatch.setattr(huggingface_hub.HfApi, "dataset_info", dataset_info)
    monkeypatch.setitem(_registry, "hf", Files)
    return state


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(("traces", "whose"), [(None, "deepseek"), ("deepseek", "deepseek"), ("gemini", "gemini")])
def test_traces_of_s1k_1_1_become_the_training_columns_by_default_deepseeks(tmp_path, load, kind, traces, whose):
    rows = load(path=write(tmp_path / f"x.{kind}", S1K_1_1_ROWS), traces=traces)
    for row, original in zip(rows, S1K_1_1_ROWS, strict=True):
        assert row["thinking_trajectories"] == [original[f"{whose}_thinking_trajectory"]]
        assert row["attempt"] == original[f"{whose}_attempt"]
        assert {name: row[name] for name in S1K_1_1_COLUMNS} == original
    assert describe_source(rows).traces == whose


@pytest.mark.parametrize("streaming", [False, True])
@pytest.mark.parametrize(
    ("config", "rows", "columns"),
    [
        ("s1K", S1K_ROWS, S1K_COLUMNS),
        ("full59K", S1K_ROWS, S1K_COLUMNS),
        ("s1K-1.1", S1K_1_1_ROWS, (*S1K_1_1_COLUMNS, "thinking_trajectories", "attempt")),
    ],
)
def test_the_hubs_columns_are_strings_and_the_traces_lists(hub, load, config, rows, columns, streaming):
    write(hub.folder / "data/train-00000-of-00001.parquet", rows)
    loaded = load(config, streaming=streaming)
    text = datasets.Value("string")
    assert loaded.features == {c: datasets.List(text) if c == "thinking_trajectories" else text for c in columns}
    assert [row["question"] for row in loaded] == [row["question"] for row in rows]


def test_your_own_file_needs_no_solution_and_loses_other_columns(tmp_path, load):
    rows = load(path=write(tmp_path / "x.jsonl", [{**OWN_ROWS[0], "id": 7}]))
    assert list(rows) == [{**OWN_ROWS[0], "solution": None}]


def test_the_embedded_training_file_loads(load):
    assert list(load(path=TRAIN_FILE)) == [trace.row() for trace in training_traces()]


@needs_shared
def test_real_rows_load(load):
    rows = load(path=REAL_ROWS, traces="gemini")
    assert [len(row["thinking_trajectories"][0]) for row in rows] == [12085, 11162, 5520, 9374, 14230]
    assert rows[1]["solution"] == "128" and rows[1]["metadata"].startswith("{'ID': '1991-5'")


# What people have


@pytest.mark.parametrize("kind", ["jsonl", "json", "csv"])
@pytest.mark.parametrize("packed", [False, True], ids=["plain", "packed"])
@pytest.mark.parametrize("streaming", [False, True])
def test_packed_files_and_byte_order_marks_are_read(tmp_path, load, kind, packed, streaming):
    content = b"\xef\xbb\xbf" + write(tmp_path / f"plain.{kind}", OWN_ROWS).read_bytes()
    file = tmp_path / (f"x.{kind}.gz" if packed else f"x.{kind}")
    file.write_bytes(gzip.compress(content) if packed else content)
    assert list(load(path=file, streaming=streaming)) == [{**OWN_ROWS[0], "solution": None}]


def test_a_damaged_packed_file_is_named(tmp_path, load):
    (tmp_path / "x.jsonl.gz").write_bytes(gzip.compress(json.dumps(OWN_ROWS[0]).encode() * 2)[:-9])
    with pytest.raises(ValueError, match=r"x.jsonl.gz cannot be read as a \.jsonl file: .*ended"):
        load(path=tmp_path / "x.jsonl.gz")


@pytest.mark.parametrize("streaming", [False, True])
def test_a_folder_of_save_to_disk_is_read(tmp_path, load, streaming):
    datasets.Dataset.from_list(S1K_ROWS).save_to_disk(tmp_path / "saved", num_shards=2)
    rows = load(path=tmp_path / "saved", streaming=streaming)
    assert [row["question"] for row in rows] == ["q0?", "q1?", "q2?"]
    datasets.Dataset.from_list(S1K_ROWS[:1]).save_to_disk(tmp_path / "again", num_shards=1)
    stale = next((tmp_path / "saved").glob("*00001-of*.arrow"))
    stale.rename(tmp_path / "again" / stale.name)  # of an earlier save, which the folder does not list
    assert [row["question"] for row in load(path=tmp_path / "again", streaming=streaming)] == ["q0?"]


@pytest.mark.parametrize("kept", [0, 100, 0.5, 0.99], ids=str)
def test_a_damaged_file_of_a_folder_of_save_to_disk_is_named(tmp_path, load, kept):
    datasets.Dataset.from_list(S1K_ROWS).save_to_disk(tmp_path)
    file = next(tmp_path.glob("*.arrow"))
    content = file.read_bytes()
    file.write_bytes(content[: int(kept * len(content)) if kept < 1 else kept])
    with pytest.raises(ValueError, match=f"{file.name} cannot be read as a .arrow file"):
        load(path=tmp_path)


@pytest.mark.parametrize("splits", [{"train": 2, "test": 1}, {"mine": 2}], ids="+".join)
def test_of_several_splits_train_or_the_only_one_is_read(tmp_path, load, splits):
    parts = {name: datasets.Dataset.from_list(S1K_ROWS[:count]) for name, count in splits.items()}
    datasets.DatasetDict(parts).save_to_disk(tmp_path / "saved")
    assert len(load(path=tmp_path / "saved")) == 2


def test_splits_without_train_are_named(tmp_path, load):
    (tmp_path / "dataset_dict.json").write_text('{"splits": ["a", "b"]}')
    with pytest.raises(ValueError, match="has the splits a, b, and none called train. Give one's folder"):
        load(path=tmp_path)


REPLY = "<think>\nHm.\n</think>\n\nIt is 2."
READ = {"question": "1+1?", "thinking_trajectories": ["Hm."], "attempt": "It is 2.", "solution": None}
MESSAGES = [{"role": "user", "content": "1+1?"}, {"role": "assistant", "content": REPLY}]


@pytest.mark.parametrize("streaming", [False, True])
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    ("row", "columns"),
    [
        ({"messages": MESSAGES, "num_tokens": 9}, {}),
        ({"system": "s", "conversations": MESSAGES}, {}),
        ({"chat": MESSAGES, "question": "of what?"}, {"messages": "chat"}),
        ({"problem": "1+1?", "generation": REPLY}, {"question": "problem", "reply": "generation"}),
        ({"question": "1+1?", "attempt": REPLY, "thinking_trajectories": [REPLY]}, {"reply": "attempt"}),
    ],
    ids=["open-r1", "OpenThoughts", "asked", "reply", "reply in a column of ours"],
)
def test_messages_and_replies_are_taken_apart(tmp_path, load, kind, streaming, row, columns):
    assert list(load(path=write(tmp_path / f"x.{kind}", [row]), columns=columns, streaming=streaming)) == [READ]


def test_one_column_may_feed_two_fields_and_the_record_says_what_was_read(tmp_path, load):
    """LIMO keeps its trace in `solution`."""
    named = {"thinking_trajectories": "solution", "attempt": "answer", "solution": "answer"}
    path = write(tmp_path / "limo.jsonl", [{"question": "1+1?", "solution": "Hm.", "answer": "2"}])
    rows = load(path=path, columns=named)
    assert list(rows) == [{"question": "1+1?", "thinking_trajectories": ["Hm."], "attempt": "2", "solution": "2"}]
    assert describe_source(rows).columns == named
    del named["solution"]
    assert load(path=path, columns=named)[0]["solution"] is None  # not the trace


def test_errors_have_the_files_own_names(tmp_path, load):
    path = write(tmp_path / "x.jsonl", [{"problem": 3, "messages": MESSAGES[:1]}])
    with pytest.raises(ValueError, match="row 0: `messages` has to be one question of a user and one reply"):
        load(path=path)
    columns = {"question": "problem", "thinking_trajectories": "problem", "attempt": "problem"}
    with pytest.raises(ValueError, match="row 0: `problem` has to be a string, but is 3"):
        load(path=path, columns=columns)
    with pytest.raises(ValueError, match="lacks 'trace'; it has problem, messages"):
        load(path=path, columns=columns | {"thinking_trajectories": "trace"})


def test_what_could_be_read_is_offered(tmp_path, load):
    with pytest.raises(ValueError, match="'generation' holds thinking and answer in one text: named as `reply`"):
        load(path=write(tmp_path / "x.jsonl", [{"question": "q", "generation": REPLY}]))


# Folders


def test_a_local_copy_of_the_hubs_folder_is_read_in_order(tmp_path, load):
    for i in (1, 0, 2):
        write(tmp_path / f"copy/data/train-0000{i}-of-00003.parquet", S1K_ROWS[i : i + 1])
    assert [row["question"] for row in load(path=tmp_path / "copy")] == ["q0?", "q1?", "q2?"]


def test_only_the_training_split_of_a_folder_is_read(tmp_path, load):
    write(tmp_path / "copy/train.jsonl", S1K_ROWS[:1])
    write(tmp_path / "copy/test.jsonl", S1K_ROWS[1:])
    assert len(load(path=tmp_path / "copy")) == 1


def test_a_folder_with_files_of_several_kinds_is_refused(tmp_path, load):
    for kind in KINDS:
        write(tmp_path / f"copy/x.{kind}", OWN_ROWS)
    with pytest.raises(ValueError, match=r"one kind, but .*copy' has \.csv, \.json, \.jsonl, \.parquet"):
        load(path=tmp_path / "copy")


def test_the_licence_of_a_local_copy_is_what_its_readme_states(tmp_path, load):
    path = write(tmp_path / "copy/data/train.jsonl", OWN_ROWS)
    (tmp_path / "copy/README.md").write_text("---\nlicense: cc-by-4.0\n---\n# Data\n")
    assert describe_source(load(path=tmp_path / "copy")).licence == "cc-by-4.0"
    assert describe_source(load(path=path)).licence is None


# The hub


@pytest.mark.parametrize("streaming", [False, True])
@pytest.mark.parametrize("config", [*HUB, None])
def test_the_pinned_commit_is_asked_for_and_s1k_1_1_is_the_default(hub, load, config, streaming):
    write(hub.folder / "data/train-00000-of-00001.parquet", S1K_1_1_ROWS if config in (None, "s1K-1.1") else S1K_ROWS)
    load(config, streaming=streaming)
    pinned = HUB[config or "s1K-1.1"]
    assert len(pinned.revision) == 40
    assert hub.asked[0] == (pinned.repo, pinned.revision)


@pytest.mark.parametrize("streaming", [False, True])
def test_a_branch_is_resolved_to_the_commit_that_is_read(hub, load, streaming):
    write(hub.folder / "data/train-00000-of-00001.parquet", S1K_ROWS)
    rows = load("s1K", revision="main", streaming=streaming)
    assert [row["question"] for row in rows] == ["q0?", "q1?", "q2?"]
    assert hub.asked[0] == ("simplescaling/s1K", "main")
    assert describe_source(rows) == DataSource(
        "simplescaling/s1K", "s1K", None, COMMIT, None, "apache-2.0", None if streaming else 3
    )


def test_streaming_reads_the_hubs_files_at_the_commit_and_downloads_nothing(hub, load, monkeypatch):
    write(hub.folder / "data/train-00000-of-00001.parquet", S1K_ROWS)
    write(hub.folder / "data/test-00000-of-00001.parquet", OWN_ROWS)
    monkeypatch.delattr(huggingface_hub, "snapshot_download")
    assert len(list(load("s1K", streaming=True))) == 3
    assert hub.asked[1:] == ["datasets/simplescaling/s1K"]


def test_a_commit_without_data_files_is_refused(hub, load):
    hub.folder.mkdir(parents=True)
    with pytest.raises(ConnectionError, match="s1K at revision 'v2' has no files `data/train"):
        load("s1K", revision="v2")


@pytest.mark.parametrize("streaming", [False, True])
def test_offline_the_error_says_how_to_use_a_local_copy(tmp_path, load, monkeypatch, streaming):
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    with pytest.raises(ConnectionError, match=r"simplescaling/s1K at revision '278d72b.*use `load_s1k\(path=\.\.\.\)`"):
        load("s1K", streaming=streaming)


def test_an_unreachable_hub_gives_the_same_error(load, monkeypatch):
    def refuse(*_, **__):
        raise httpx.ConnectError("no route to host")

    monkeypatch.setattr(huggingface_hub.HfApi, "dataset_info", refuse)
    with pytest.raises(ConnectionError, match="ConnectError: no route to host"):
        load("s1K", streaming=True)


# The record of the source


def test_the_record_of_one_file_is_its_own_sha256(tmp_path, load):
    path = write(tmp_path / "x.jsonl", OWN_ROWS)
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    assert describe_source(load(path=path)) == DataSource(str(path), sha256=digest, rows=1)


@pytest.mark.skipif(sys.platform != "linux", reason="needs sha256sum")
def test_the_record_of_several_files_is_the_sha256_of_what_sha256sum_prints(tmp_path, load):
    for i in range(3):
        write(tmp_path / f"copy/{i}.jsonl", S1K_ROWS[i : i + 1])
    printed = subprocess.run("sha256sum *.jsonl", shell=True, cwd=tmp_path / "copy", capture_output=True, check=True)
    assert describe_source(load(path=tmp_path / "copy")).sha256 == hashlib.sha256(printed.stdout).hexdigest()


def test_the_record_survives_mapping_and_filtering_and_counts_the_rows_left(tmp_path, load):
    rows = load(path=write(tmp_path / "x.jsonl", S1K_ROWS))
    changed = rows.map(lambda row: {"text": row["attempt"]}, remove_columns=rows.column_names)
    changed = changed.filter(lambda row: row["text"] != "a1").shuffle(seed=0)
    before, after = describe_source(rows), describe_source(changed)
    assert (before.rows, after.rows) == (3, 2)
    assert after.sha256 == before.sha256
    assert describe_source(load(path=tmp_path / "x.jsonl", streaming=True).map(lambda row: row)).sha256 == before.sha256


def test_a_dataset_from_elsewhere_has_no_record():
    with pytest.raises(ValueError, match="`dataset` has to come from `load_s1k`"):
        describe_source(datasets.Dataset.from_list(OWN_ROWS))


def test_a_file_that_has_changed_is_read_again(tmp_path, load):
    path = write(tmp_path / "x.jsonl", OWN_ROWS)
    times = path.stat().st_atime_ns, path.stat().st_mtime_ns
    assert load(path=path)[0]["attempt"] == "2"
    write(path, [{**OWN_ROWS[0], "attempt": "3"}])
    os.utime(path, ns=times)
    assert load(path=path)[0]["attempt"] == "3"


# Errors


def test_all_wrong_arguments_are_named_at_once():
    with pytest.raises(ValueError) as caught:
        load_s1k("s1k", path="x", traces="claude", revision="main")
    text = str(caught.value)
    assert (
        "`config` has to be one of 's1K', 's1K-1.1', 'full59K', but is 's1k'. For local data use `path='s1k'`." in text
    )
    assert "`traces` has to be one of 'deepseek', 'gemini', but is 'claude'" in text
    assert "`config` has to be left out with `path`" in text and "`revision` has to be left out with `path`" in text


def test_columns_are_for_files_and_name_traces_once():
    with pytest.raises(ValueError, match="`columns` has to be left out without `path`"):
        load_s1k(columns={"question": "problem"})
    with pytest.raises(ValueError, match="`traces` has to be left out where `columns` says what the traces are"):
        load_s1k(path="x", columns={"reply": "generation"}, traces="gemini")
    with pytest.raises(ValueError, match="has to name some of question, .*, but names replies"):
        load_s1k(path="x", columns={"replies": "generation"})


@pytest.mark.parametrize("config", ["s1K", "full59K"])
def test_traces_do_not_apply_to_data_with_one_trace_per_question(config):
    with pytest.raises(ValueError, match="`traces` has to be left out for"):
        load_s1k(config, traces="gemini")


def test_traces_do_not_apply_to_a_file_without_them(tmp_path, load):
    with pytest.raises(ValueError, match="lacks 'gemini_thinking_trajectory', 'gemini_attempt'.*\n.*`traces=None`"):
        load(path=write(tmp_path / "x.jsonl", OWN_ROWS), traces="gemini")


def test_a_path_that_does_not_exist_is_refused(tmp_path, load):
    with pytest.raises(ValueError, match="`path` has to be a data file or a folder of data files, but .*not exist"):
        load(path=tmp_path / "nowhere")


@pytest.mark.parametrize("name", ["copy", "copy/x.txt"])
def test_a_path_without_data_of_a_known_kind_is_refused(tmp_path, load, name):
    write(tmp_path / "copy/x.jsonl", OWN_ROWS).rename(tmp_path / "copy/x.txt")
    with pytest.raises(ValueError, match=r"ends in \.parquet, \.json, \.jsonl, \.csv, \.arrow .*, or a folder"):
        load(path=tmp_path / name)


def test_missing_columns_are_named_with_those_found_in_every_file(tmp_path, load):
    write(tmp_path / "copy/0.jsonl", [{"question": "q", "answer": "a"}])
    write(tmp_path / "copy/1.jsonl", OWN_ROWS)
    write(tmp_path / "copy/2.jsonl", [{"thinking_trajectories": ["t"], "attempt": "a"}])
    with pytest.raises(ValueError) as caught:
        load(path=tmp_path / "copy")
    text = str(caught.value)
    assert "0.jsonl lacks 'thinking_trajectories', 'attempt'; it has question, answer." in text
    assert "2.jsonl lacks 'question'; it has thinking_trajectories, attempt." in text
    assert "1.jsonl" not in text


def test_a_copy_with_only_geminis_traces_is_recognised(tmp_path, load):
    rows = [{name: value for name, value in row.items() if "deepseek" not in name} for row in S1K_1_1_ROWS]
    with pytest.raises(ValueError, match="lacks 'deepseek_thinking_trajectory', 'deepseek_attempt'.*\n.*'gemini'"):
        load(path=write(tmp_path / "x.parquet", rows))


def test_without_datasets_the_extra_is_named():
    code = "import sys; sys.modules['datasets'] = None; import s1_hf; s1_hf.load_s1k"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert "pip install 's1-hf[data]'" in done.stderr
