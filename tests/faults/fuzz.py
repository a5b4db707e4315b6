"""A coverage-guided fuzzer over everything that reads what others have written; not part of the test run.

    pip install atheris
    python tests/faults/fuzz.py rows -max_total_time=600

Nothing may come of any bytes but a result, or an error that names the cause: a ValueError, an OSError, or of the
library that reads the format. What is found is left in `crash-...`, which the same command takes as an argument. The
bytes are the file; or they say what to change in a good one, so that what stands behind the parser is reached, too.
Pools are left out: what reads them does not survive a fuzzer's signals.
"""

from __future__ import annotations

import atexit
import json
import shutil
import sys
import tempfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import atheris
import yaml

with atheris.instrument_imports(include=["s1_hf"]):
    from s1_hf import embedded
    from s1_hf.curate.recipe import read_recipe as read_curate_recipe
    from s1_hf.engines.continuing import Continuing
    from s1_hf.engines.engine import check_completion, completion_from, completion_to_dict
    from s1_hf.engines.ledger import Ledger
    from s1_hf.forcing.automaton import Automaton
    from s1_hf.forcing.budget import Budget
    from s1_hf.forcing.families import FAMILIES
    from s1_hf.forcing.formats import resolve_format
    from s1_hf.forcing.prompts import read_prompt, split_output
    from s1_hf.generation.chats import Completion, prompt_ids
    from s1_hf.grading.extraction import extract_answer
    from s1_hf.grading.judge import _load as read_verdicts
    from s1_hf.memory.machine_file import machine_from_accelerate, zero_from_deepspeed
    from s1_hf.records import read_json
    from s1_hf.reporting import load_about
    from s1_hf.results.rows import Row, load_rows, save_rows
    from s1_hf.sft.journal import Journal
    from s1_hf.sft.recipe import read_recipe as read_sft_recipe
    from s1_hf.traces.folder import Folder
    from s1_hf.tracking.kept import read_kept

PLACE = Path(tempfile.mkdtemp())
atexit.register(shutil.rmtree, PLACE, ignore_errors=True)
CLEAR = (ValueError, OSError)

TOKENIZER = embedded.load()[1]
FORMAT = resolve_format(TOKENIZER, None)
AUTOMATON = Automaton.of(TOKENIZER, FORMAT, Budget(num_ignores=1, max_thinking_tokens=9))


def file_with(name: str, data: bytes) -> Path:
    file = PLACE / name
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(data)
    return file


def rows(data: bytes) -> None:
    found = load_rows(file_with("rows.jsonl", data))
    save_rows(found, PLACE / "again.jsonl")
    for row, again in zip(found, load_rows(PLACE / "again.jsonl"), strict=True):
        assert again == replace(row, transcript=list(row.transcript))


def ledger(data: bytes) -> None:
    file_with("ledger/finished.jsonl", data)
    found = Ledger(PLACE / "ledger").read()
    assert found == Ledger(PLACE / "ledger").find(found)
    for entry in found.values():
        whole = Continuing(Ledger(PLACE / "ledger")).whole(entry, "the entry")
        check_completion(whole, "the entry")
        completion_from(whole)


def traces(data: bytes) -> None:
    file_with("traces/finished.jsonl", data)
    Folder(PLACE / "traces").finished()


def settings(data: bytes) -> None:
    shutil.rmtree(PLACE / "claimed", ignore_errors=True)
    file_with("claimed/settings.json", data)
    Folder(PLACE / "claimed").claim({"model": "embedded", "seed": 0})


def about(data: bytes) -> None:
    file_with("about/about.json", data)
    load_about(PLACE / "about")


def verdicts(data: bytes) -> None:
    read_verdicts(file_with("verdicts.jsonl", data))


def journal(data: bytes) -> None:
    Journal(file_with("run/s1_run.json", data).parent).check_data({"rows": 1})


def tracked_runs(data: bytes) -> None:
    read_kept(file_with("tracked/tracked.json", data).parent)


def curate_recipes(data: bytes) -> None:
    read_curate_recipe(file_with("curate.yaml", data))


def machines(data: bytes) -> None:
    machine_from_accelerate(file_with("1x8-h100.yaml", data))


def deepspeeds(data: bytes) -> None:
    zero_from_deepspeed(read_json(file_with("zero.json", data)), "zero.json")


def sft_recipes(data: bytes) -> None:
    read_sft_recipe(str(file_with("sft.yaml", data)), [])


def chats(data: bytes) -> None:
    """What a user's JSON file may hold as a chat, and where it leaves the turn."""
    ids = prompt_ids(TOKENIZER, FORMAT, json.loads(data), {})
    read_prompt(AUTOMATON, ids)


def outputs(data: bytes) -> None:
    """Tokens in any order, as a prompt and as an output; and the answer in any text."""
    drawn = atheris.FuzzedDataProvider(data)
    tokens = [drawn.ConsumeIntInRange(0, len(TOKENIZER) - 1) for _ in range(drawn.ConsumeIntInRange(0, 60))]
    split_output(AUTOMATON, tokens[:20], tokens[20:])
    for kind in ("math", "choice"):
        extract_answer(drawn.ConsumeUnicode(400), kind)  # type: ignore[arg-type]


READERS: dict[str, Callable[[bytes], None]] = {
    one.__name__: one
    for one in (
        rows, ledger, traces, settings, about, verdicts, journal, tracked_runs, curate_recipes, sft_recipes, machines,
        deepspeeds, chats, outputs,
    )
}  # fmt: skip


def _examples() -> dict[str, list[Any]]:
    """Whole files to begin with, as their texts."""
    first = completion_to_dict(embedded_completion()) | {"state": [0] * 7}
    second = first | {"after": "key", "shared": [3, 0, 9], "token_ids": [5], "forced": [0]}
    row = Row("m", "s", "t", "1", 0, 3, 2, True, "natural", transcript=[{"text": "a", "forced": True}])
    save_rows([row, row], PLACE / "seed.jsonl")
    trace = {"question": "a", "sample": 0, "thinking": "b", "answer": "c", "ended": "natural"}
    recipes = Path(__file__).parents[2] / "recipes"
    return {
        "rows": [(PLACE / "seed.jsonl").read_text()],
        "ledger": [json.dumps({"key": first}) + "\n" + json.dumps({"next": second}) + "\n"],
        "traces": [json.dumps({"key": trace}) + "\n"],
        "settings": [json.dumps({"model": "embedded", "seed": 0})],
        "about": [json.dumps({"command": "s1-hf sweep", "versions": {"torch": "2"}})],
        "verdicts": [json.dumps({"model": "m", "question": "q", "gold": "1", "attempt": "2", "verdict": True}) + "\n"],
        "journal": [json.dumps({"settings": {}, "data": {"rows": 1}, "finished": False})],
        "tracked_runs": [json.dumps({"runs": {"k": {"tracker": "wandb", "id": "1", "name": "r", "logged": None}}})],
        "curate_recipes": [path.read_text() for path in recipes.glob("curate*.yaml")],
        "sft_recipes": [path.read_text() for path in recipes.glob("sft*.yaml")],
        "machines": [path.read_text() for path in recipes.glob("accelerate/*.yaml")],
        "deepspeeds": [json.dumps({"zero_optimization": {"stage": 3, "offload_param": {"device": "cpu"}}})],
        "chats": [json.dumps([{"role": "user", "content": "a<think>"}, {"role": "assistant", "content": "b"}])],
        "outputs": ["".join(family.start + "a" + family.close + "\\boxed{1}" for family in FAMILIES.values())],
    }


def embedded_completion() -> Completion:
    from s1_hf.forcing.report import Report

    report = Report(thinking_tokens=1, ended="natural", ends_ignored=0, forced=(False, True), answer_tokens=1)
    return Completion("a", "b", "a b", (1, 2), (False, True), report)


ODD = [None, True, -1, 0, 2**53 + 1, 10**400, 1e308, float("nan"), float("inf"), "", "natural", "\ud800", "\x1b[2J"]
ODD += [[], {}, [[]], {"": 0}, ["a"], "a" * 5000]


def changed(value: Any, drawn: atheris.FuzzedDataProvider, depth: int = 0) -> Any:
    """A value of JSON types with some of it replaced, left out or added."""
    choice = drawn.ConsumeIntInRange(0, 9)
    if choice == 0:
        return drawn.PickValueInList(ODD)
    if choice == 1:
        return drawn.ConsumeUnicode(9)
    if choice == 2 and depth:
        return [value]
    if isinstance(value, dict):
        kept = {name: one for name, one in value.items() if drawn.ConsumeIntInRange(0, 15)}
        return {name: changed(one, drawn, depth + 1) for name, one in kept.items()} | (
            {"odd": 1} if choice == 3 else {}
        )
    if isinstance(value, list):
        return [changed(one, drawn, depth + 1) for one in value] * (2 if choice == 3 else 1)
    return value


def file_of(example: str, data: bytes) -> bytes:
    """A file like the example, changed as the data say; YAML becomes JSON, which is YAML."""
    drawn = atheris.FuzzedDataProvider(data)
    try:
        lines = [json.loads(line) for line in example.splitlines()]
    except ValueError:
        lines = [yaml.safe_load(example)]
    return "\n".join(json.dumps(changed(line, drawn)) for line in lines).encode() + b"\n"


def main() -> None:
    name, *options = sys.argv[1:] or ["--help"]
    if name not in READERS:
        sys.exit(f"{__doc__}\nReaders: {', '.join(READERS)}")
    reader = READERS[name]
    corpus = PLACE / "corpus"
    examples = _examples()[name]
    for number, text in enumerate(examples):
        file_with(f"corpus/{number}", b"\xff" + text.encode())

    def one(data: bytes) -> None:
        how, data = data[:1], data[1:]
        number = int.from_bytes(how, "big")
        if name != "outputs" and number < 128:
            data = file_of(examples[number % len(examples)], data)
        try:
            reader(data)
        except CLEAR as error:
            assert str(error), "An error without a message."

    atheris.Setup([sys.argv[0], str(corpus), *options], one)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
