"""Every reader, given any bytes or any change to a valid file: what it reads, or an error that names the file.

A reader that is not here has to be added: everything that parses JSON or YAML uses `s1_hf.records`.
"""

import json
import re
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

SOURCE = Path(__file__).parents[1] / "src" / "s1_hf"

ROW = {
    "method": "m", "setting": "s", "task": "t", "problem": "1", "sample": 0, "thinking_tokens": 9, "answer_tokens": 3,
    "correct": True, "ended": "natural", "extracted": None, "num_ignores": 1, "wait_text": "Wait",
    "thinking_share": 0.5, "request": "{}", "transcript": [{"text": "a", "forced": False}],
}  # fmt: skip
COMPLETION = {
    "task": "t", "problem": "p", "sample": 0, "thinking": "a", "answer": "b", "output": "ab", "token_ids": [1, 2, 3],
    "forced": [1], "thinking_tokens": 1, "ended": "natural", "ends_ignored": 0, "answer_tokens": 1,
}  # fmt: skip
TRACE = {
    "question": "q", "sample": 0, "thinking": "t", "attempt": "a", "thinking_tokens": None, "answer_tokens": 3,
    "ended": "natural", "error": None, "answer_cut": False,
}  # fmt: skip
VERDICT = {"model": "m", "question": "q", "gold": "1", "attempt": "1", "verdict": None, "reply": "?"}
CHAINED = {"row": "0a", "of": ["t", "m", "s", "1", 0], "link": "1b"}
PACK = {
    "format": 1, "rows": 1, "runs": {"": {"model": "m"}}, "settings": [], "versions": {"torch": "2"}, "tables": {},
    "figures": {}, "head": "2c",
}  # fmt: skip
OWN = {"question": "q", "choices": ["a", "b"], "answer": "b"}
DEEPSPEED_MACHINE = {
    "distributed_type": "DEEPSPEED", "num_processes": 8, "parallelism_config": {"sp_size": 2},
    "deepspeed_config": {"zero_stage": 3, "offload_param_device": "cpu"},
}  # fmt: skip
CONFIG = {"distributed_type": "FSDP", "num_processes": 8, "fsdp_config": {"fsdp_version": 2}, "num_machines": 1}


def rows(file: Path) -> Any:
    from s1_hf.results.rows import load_rows

    return load_rows(file)


def completions(file: Path) -> Any:
    from s1_hf.engines.continuing import Continuing
    from s1_hf.engines.engine import check_completion, completion_from
    from s1_hf.engines.ledger import Ledger

    ledger, found = Ledger(file.parent), []
    for key, entry in ledger.read().items():
        whole = Continuing(ledger).whole(entry, ledger.where(key))
        check_completion(whole, ledger.where(key))
        found.append(completion_from(whole))
    return found


def own_task(file: Path) -> Any:
    from s1_hf.tasks.own import task_of_file

    return task_of_file(file)


def traces(file: Path) -> Any:
    from s1_hf.traces.folder import Folder

    return Folder(file.parent).finished()


def settings_of_traces(file: Path) -> Any:
    from s1_hf.traces.folder import Folder

    return Folder(file.parent).claim(read_json_or_nothing(file))


def read_json_or_nothing(file: Path) -> dict:
    try:
        found = json.loads(file.read_bytes())
        return found if isinstance(found, dict) and all(json.dumps(found, allow_nan=False)) else {}
    except (ValueError, RecursionError):
        return {}


def verdicts(file: Path) -> Any:
    from s1_hf.grading.judge import _load

    return _load(file)


def domains(file: Path) -> Any:
    from s1_hf.curate.domains import _read

    return _read(file, "m")


def about(file: Path) -> Any:
    from s1_hf.reporting.report import load_about

    return load_about(file.parent)


def journal(file: Path) -> Any:
    pytest.importorskip("trl")
    from s1_hf.sft.journal import Journal

    return Journal(file.parent)._read()


def tracked_runs(file: Path) -> Any:
    from s1_hf.tracking.kept import read_kept

    return read_kept(file.parent)


def weights_index(file: Path) -> Any:
    """Beside a model's configuration and one file of weights."""
    from s1_hf.publishing.folders import kind_of

    header = b"{}      "
    (file.parent / "model.safetensors").write_bytes(len(header).to_bytes(8, "little") + header)
    if not (file.parent / "config.json").exists():
        (file.parent / "config.json").write_text("{}")
    return kind_of(file.parent)


def chat(file: Path) -> Any:
    from s1_hf.cli.generate import _prompt

    return _prompt(None, file, None)


def curation(file: Path) -> Any:
    from s1_hf.curate.recipe import read_recipe

    return read_recipe(file)


def machine(file: Path) -> Any:
    from s1_hf.memory.machine_file import machine_from_accelerate

    return machine_from_accelerate(file, memory=2**30)


def deepspeed(file: Path) -> Any:
    from s1_hf.memory.machine_file import zero_from_deepspeed
    from s1_hf.records import read_json

    return zero_from_deepspeed(read_json(file), str(file))


def data_rows(file: Path) -> Any:
    from s1_hf.data.s1k_builder import _typed, column_names, read_rows

    column_names(str(file))
    found = list(read_rows(str(file), ["question", "thinking_trajectories", "attempt", "solution"]))
    return _typed(found, ["question", "thinking_trajectories", "attempt", "solution"], {}, str(file), 0)


def models(file: Path) -> Any:
    pytest.importorskip("matplotlib")
    from s1_hf.reporting.models import load_models

    return load_models(file)


def pack(file: Path) -> Any:
    """Beside it the other file of a pack, and its rows."""
    pytest.importorskip("matplotlib")
    from s1_hf.packs.chain import Link
    from s1_hf.packs.replaying import read_pack
    from s1_hf.results.rows import Row, save_rows

    pytest.importorskip("pyarrow")
    save_rows([Row(**ROW)], file.parent / "data" / "rows.parquet")
    for name, text in (("chain.jsonl", lines(CHAINED)), ("pack.json", json.dumps(PACK))):
        if name != file.name:
            (file.parent / name).write_text(text)
    facts, links, rows = read_pack(file.parent)
    assert all(isinstance(link, Link) for link in links)
    return faults_of(rows, links, facts)


def faults_of(rows: Any, links: Any, facts: dict) -> Any:
    from s1_hf.packs.chain import faults

    return faults(rows, links, facts, facts.pop("head"))


def efforts(file: Path) -> Any:
    from s1_hf import Effort

    return Effort.read(file)


def lines(*values: Any) -> str:
    return "".join(json.dumps(value) + "\n" for value in values)


DATA_ROW = {"question": "q", "thinking_trajectories": ["t"], "attempt": "a", "solution": None}
READERS: dict[str, tuple[Callable[[Path], Any], str]] = {
    "rows.jsonl": (rows, lines(ROW, ROW)),
    "finished.jsonl": (completions, lines({"k": COMPLETION}, {"l": COMPLETION, "m": COMPLETION})),
    "finished_1.jsonl": (traces, lines({"k": TRACE}, {"l": TRACE})),
    "settings.json": (settings_of_traces, json.dumps({"model": "m", "budget": {"num_ignores": 1}})),
    "verdicts.jsonl": (verdicts, lines(VERDICT, VERDICT)),
    "domains.jsonl": (domains, lines({"model": "m", "question": "q", "domain": "d"})),
    "pack.json": (pack, json.dumps(PACK)),
    "chain.jsonl": (pack, lines(CHAINED, CHAINED)),
    "about.json": (about, json.dumps({"model": "m", "cost": {"saved": 1.5}, "settings": [{"a": None}]})),
    "s1_run.json": (journal, json.dumps({"settings": {"seed": 1}, "data": {}, "finished": False})),
    "tracked.json": (
        tracked_runs,
        json.dumps({"runs": {"k": {"tracker": "trackio", "id": "1", "name": "r-1", "logged": None}}}),
    ),
    "model.safetensors.index.json": (weights_index, json.dumps({"weight_map": {"a": "model.safetensors"}})),
    "chat.json": (chat, json.dumps([{"role": "user", "content": "q"}, {"role": "assistant", "content": None}])),
    "curate.yaml": (curation, "seed: 3\nquality: {min_thinking_tokens: 5}\ndiversity: {method: random, n: 4}\n"),
    "machine-h100.yaml": (machine, json.dumps(CONFIG)),
    "machine-h200.yaml": (machine, json.dumps(DEEPSPEED_MACHINE)),
    "zero.json": (deepspeed, json.dumps({"zero_optimization": {"stage": 3, "sub_group_size": 1e9}})),
    "data.jsonl": (data_rows, lines(DATA_ROW, DATA_ROW)),
    "data.json": (data_rows, json.dumps([DATA_ROW])),
    "data.csv": (data_rows, 'question,thinking_trajectories,attempt\nq,"[""t""]",a\n'),
    "mine.jsonl": (own_task, lines(OWN, OWN)),
    "mine.csv": (own_task, 'question,choices,answer\nq,"[""a"", ""b""]",b\n'),
    "effort.yaml": (
        efforts,
        "none: {max_thinking_tokens: 0}\nhigh: {max_thinking_tokens: auto, thinking_share: 0.5}\n",
    ),
    "effort.json": (efforts, json.dumps({"low": {"max_thinking_tokens": 9, "loop_guard": {"max_period": 3}}})),
    "models.csv": (models, "name,examples,accuracy,low,high\ns1,1000,93,90,95\n"),
}

HOSTILE = [
    b"", b"\x00", b"\xff", b"\xef\xbb\xbf", b"[]", b"{}", b"null", b"[" * 100_000, b'{"a":' * 100_000, b"9" * 5000,
    str(10**400).encode(), b"-1", b"NaN", b"1e999", b'"\\ud800"', b"true", b"\n", b"\r", b'"', b"&a [*a]",
    b"2001-99-99", b"!!int ''", b'{"a":1,"a":2}', "\u2028".encode(), b"\x1b[31m",
    b"\x1f\x8b", b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\x03{}",
]  # fmt: skip


@st.composite
def changed(draw: st.DrawFn, valid: bytes) -> bytes:
    """A valid file in which a few places are replaced, doubled or cut; or any bytes."""
    content = valid
    for _ in range(draw(st.integers(1, 3))):
        begin = draw(st.integers(0, len(content)))
        end = draw(st.integers(begin, min(len(content), begin + 40)))
        put = draw(st.sampled_from(HOSTILE) | st.binary(max_size=8) | st.just(content[begin:end] * 2))
        content = content[:begin] + put + content[end:]
    return draw(st.sampled_from([content, content, content, draw(st.binary(max_size=60))]))


@st.composite
def other_values(draw: st.DrawFn, valid: bytes) -> bytes:
    """A valid file with one of its values replaced by any other."""
    text = valid.decode()
    places = list(re.finditer(r'(?<=: )("[^"]*"|[\w.]+|\[[^\[\]]*\])|(?<=,)\w+', text))
    place = draw(st.sampled_from(places))
    put = draw(st.sampled_from(HOSTILE)).decode(errors="replace")
    put = draw(
        st.just(put)
        | st.recursive(
            st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=4), st.lists, max_leaves=4
        ).map(json.dumps)
    )
    return (text[: place.start()] + put + text[place.end() :]).encode()


def check_reader(name: str, content: bytes) -> None:
    read, _ = READERS[name]
    with TemporaryDirectory() as folder:
        file = Path(folder) / name
        file.write_bytes(content)
        try:
            read(file)
        except (ValueError, OSError) as error:
            assert name in str(error) and not re.search(r"[\x00-\x08\x0b-\x1f\x7f]", str(error).replace("\r", ""))


@pytest.mark.parametrize("name", READERS)
def test_valid_files_are_read(tmp_path, name):
    read, valid = READERS[name]
    (tmp_path / name).write_text(valid)
    read(tmp_path / name)


@pytest.mark.parametrize("name", READERS)
@pytest.mark.parametrize("content", HOSTILE, ids=range(len(HOSTILE)))
def test_a_file_of_one_hostile_value_is_read_or_named(name, content):
    check_reader(name, content)


@pytest.mark.parametrize("name", READERS)
@settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_any_change_of_a_file_gives_what_it_holds_or_an_error_that_names_it(name, data):
    valid = READERS[name][1].encode()
    check_reader(name, data.draw(changed(valid) | other_values(valid)))


def test_a_folder_where_a_file_should_be_is_named(tmp_path):
    for number, (name, (read, _)) in enumerate(READERS.items()):
        file = tmp_path / str(number) / name
        file.mkdir(parents=True)
        with pytest.raises((ValueError, OSError), match=name):
            read(file)


def test_nothing_else_parses_files():
    """What is allowed here reads what this process has written itself."""
    allowed = {"records.py", "grading/worker.py", "traces/folder.py", "sft/journal.py", "data/s1k_builder.py"}
    allowed |= {"vllm/setup.py", "vllm/options.py"}
    found = set()
    for file in SOURCE.rglob("*.py"):
        if re.search(r"json\.loads?\(|yaml\.(safe_)?load\(|safe_load", file.read_text(encoding="utf-8")):
            found.add(file.relative_to(SOURCE).as_posix())
    assert found <= allowed
