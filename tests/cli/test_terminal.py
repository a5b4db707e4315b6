"""What others have written controls no terminal: a row for every command, with hostile text in all that it reads."""

from __future__ import annotations

import importlib
import io
import json
import logging
import os
import shutil
import subprocess
import sys
import threading
import warnings
from dataclasses import replace
from pathlib import Path

import pytest

pytest.importorskip("typer")
pytest.importorskip("datasets")
pytest.importorskip("openai")
pytest.importorskip("pty", reason="Windows has no such terminal, and no such file names")

from endpoints import FakeEndpoint, Reply
from rich.console import Console
from terminals import commands
from tqdm import tqdm

from hostile import hostile_rows
from s1_hf import embedded
from s1_hf.__main__ import main
from s1_hf.cli import terminal
from s1_hf.cli.progress import progress_bar
from s1_hf.engines.progress import Progress
from s1_hf.results.rows import Row, save_rows
from s1_hf.visible import VisibleStream, guard_terminal

generating = importlib.import_module("s1_hf.cli.generate")  # the package's name for the command hides it

# A title, colours, an erased screen, the 8-bit form of the same, a text turned around, markup that makes a link.
HOSTILE = "\x1b]0;PWNED\x07\x1b[38;5;77m\x1b[2J\x9b35m\u202e[link=http:pwned]PWNED[/link][/red]"
RAW = [text.encode() for text in ("\x1b]", "\x07", "\x1b[38;5;77m", "\x1b[2J", "\x9b", "\u202e")]


class Screen:
    """A terminal in the place of stdout and stderr, while the block lasts; `shown` is everything that came to it."""

    def __enter__(self) -> Screen:
        self.shown = b""
        self._main, self.side = os.openpty()
        self._thread = threading.Thread(target=self._read, daemon=True)
        self._thread.start()
        self._before = sys.stdout, sys.stderr
        sys.stdout, sys.stderr = self._streams = self._stream(), self._stream()
        return self

    def _stream(self) -> io.TextIOWrapper:
        return io.TextIOWrapper(os.fdopen(os.dup(self.side), "wb", 0), encoding="utf-8", write_through=True)

    def _read(self) -> None:
        while True:
            try:
                found = os.read(self._main, 1 << 16)
            except OSError:  # its last writer is gone
                return
            if not found:
                return
            self.shown += found

    def __exit__(self, *error: object) -> None:
        sys.stdout, sys.stderr = self._before
        for stream in self._streams:
            stream.close()
        os.close(self.side)
        self._thread.join(timeout=20)
        os.close(self._main)


@pytest.fixture(autouse=True)
def xterm(monkeypatch):
    for name in ("NO_COLOR", "FORCE_COLOR", "TTY_COMPATIBLE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.setenv("COLUMNS", "150")


@pytest.fixture
def server():
    with FakeEndpoint() as endpoint:
        threading.Thread(target=endpoint.serve_forever, args=(0.02,), daemon=True).start()
        yield endpoint
        endpoint.shutdown()


def hostile(folder: Path, name: str, text: str = "") -> str:
    """A file of a hostile name."""
    file = folder / f"{HOSTILE.replace('/', '')}{name}"
    file.write_text(text, encoding="utf-8")
    return str(file)


def of_generate(folder: Path, server: FakeEndpoint) -> list[list[str]]:
    chat = hostile(folder, ".json", json.dumps([{"role": HOSTILE, "content": HOSTILE}]))
    return [
        ["embedded", HOSTILE, "--json", "--max-new-tokens", "8"],
        ["embedded", "q", "--thinking-format", HOSTILE],
        ["embedded", "--chat", chat, "--max-new-tokens", "8"],
        ["embedded", "--chat", hostile(folder, "no.json", "{")],
        [str(folder / HOSTILE.replace("/", "")), "q"],
    ]


def of_tasks(folder: Path, server: FakeEndpoint) -> list[list[str]]:
    tasks = hostile(folder, ".py", f"raise ValueError({HOSTILE!r})")
    file = hostile(folder, ".jsonl", json.dumps({HOSTILE: 1, "question": HOSTILE, "answer": HOSTILE}) + "\n")
    output = ["--output-dir", str(folder / "out"), "--max-samples", "1"]
    server.models = [HOSTILE, "another"]
    return [
        ["embedded", "--tasks", f"s1:{HOSTILE}", *output],
        ["embedded", "--tasks", "s1:embedded", "--custom-tasks", tasks, *output],
        ["embedded", "--tasks", file, *output],
        ["embedded", "--tasks", file, "--question-column", HOSTILE, *output],
        ["embedded", "--tasks", "s1:math500", "--data-folder", str(folder / HOSTILE.replace("/", "")), *output],
        ["embedded", "--tasks", "s1:embedded", "--engine", HOSTILE, *output],
        ["embedded", "--tasks", "s1:embedded", "--engine", server.url, *output],
    ]


def of_serve(folder: Path, server: FakeEndpoint) -> list[list[str]]:
    table = hostile(folder, ".yaml", json.dumps({HOSTILE: {HOSTILE: 1}}))
    return [
        [str(folder / HOSTILE.replace("/", ""))],
        ["embedded", f"--{HOSTILE}", "--show-command"],
        ["embedded", "--thinking-format", HOSTILE],
        ["embedded", "--effort-table", table],
        ["embedded", "--host", HOSTILE, "--show-command"],
        ["embedded", "--engine", "vllm", "--wait-text", HOSTILE, "--show-command"],
    ]


def of_playground(folder: Path, server: FakeEndpoint) -> list[list[str]]:
    (folder / "taken").mkdir()
    (folder / "taken" / "app.py").write_text(HOSTILE)
    return [
        [str(folder / HOSTILE.replace("/", ""))],
        ["embedded", "--thinking-format", HOSTILE],
        ["embedded", "--engine", f"http://{HOSTILE}"],
        ["embedded", "--space", str(folder / "taken")],
        [HOSTILE, "--space", str(folder / HOSTILE.replace("/", "") / "space")],
    ]


def of_export(folder: Path, server: FakeEndpoint) -> list[list[str]]:
    model = folder / HOSTILE.replace("/", "")
    shutil.copytree(embedded.MODEL_PATH, model)
    (model / "custom_generate").mkdir()
    (model / "custom_generate" / "generate.py").write_text(HOSTILE)
    return [
        ["embedded", str(folder / f"out{HOSTILE.replace('/', '')}"), "--num-ignores", "1"],
        [str(model), str(folder / "out"), "--thinking-format", HOSTILE],
        ["embedded", str(model)],
        ["embedded", hostile(folder, "a file")],
    ]


def of_effort(folder: Path, server: FakeEndpoint) -> list[list[str]]:
    short = ["embedded", "--tasks", "s1:embedded", "--max-samples", "20", "--max-answer-tokens", "12"]
    short += ["--max-thinking-tokens", "64", "--output-dir", str(folder / HOSTILE.replace("/", ""))]
    name = HOSTILE.replace("/", "").replace("=", "")
    return [*of_tasks(folder, server), [*short, "--keep", f"{name}=50"], [*short, "--keep", HOSTILE], short]


def of_search(folder: Path, server: FakeEndpoint) -> list[list[str]]:
    task = ["embedded", "--tasks", "s1:embedded", "--max-samples", "1", "--output-dir", str(folder / "out")]
    return [
        ["embedded", "--tasks", f"s1:{HOSTILE}", "--scorer", "oracle"],
        [*task, "--methods", HOSTILE],
        [*task, "--scorer", str(folder / HOSTILE.replace("/", ""))],
        [*task, "--scorer", "embedded-reward", "--scorer-convention", HOSTILE],
        [*task, "--scorer", "embedded-reward", "--aggregation", HOSTILE],
        [*task, "--scorer", "embedded-reward", "--widths", HOSTILE],
    ]


def of_demo(folder: Path, server: FakeEndpoint) -> list[list[str]]:
    return [[str(folder / HOSTILE.replace("/", ""))]]


def of_plot(folder: Path, server: FakeEndpoint) -> list[list[str]]:
    rows = folder / HOSTILE.replace("/", "")
    save_rows(hostile_rows(), rows / "rows.jsonl")
    (rows / "about.json").write_text(json.dumps({"model": HOSTILE, "command": HOSTILE}))
    wrong = hostile(folder, ".jsonl", json.dumps({HOSTILE: HOSTILE}) + "\n")
    csv = hostile(folder, ".csv", f"name,examples,accuracy\n{HOSTILE},3,40\n")
    svg = ["--formats", "svg"]
    return [[str(rows), *svg], [str(rows), "--json", *svg], [wrong], [csv, *svg], [csv, "--formats", HOSTILE]]


def of_rows(folder: Path, server: FakeEndpoint) -> list[list[str]]:
    rows = folder / HOSTILE.replace("/", "")
    save_rows(hostile_rows(), rows / "rows.jsonl")
    wrong = hostile(folder, ".jsonl", json.dumps({HOSTILE: HOSTILE}) + "\n")
    gain = ["--gain", "20"]
    given = [[str(rows), HOSTILE, "b"], [str(rows), "a", HOSTILE], [str(rows), HOSTILE, "b", *gain], [wrong, "a", "b"]]
    return [*given, [str(rows), *gain], [str(rows), *gain, "--json"], [wrong, *gain]]


def of_early(folder: Path, server: FakeEndpoint) -> list[list[str]]:
    rows = folder / HOSTILE.replace("/", "")
    save_rows(hostile_rows(), rows / "rows.jsonl")
    wrong = hostile(folder, ".jsonl", json.dumps({HOSTILE: HOSTILE}) + "\n")
    rule = ["--stable", "2"]
    return [[str(rows), *rule], [str(rows), "--confident", HOSTILE], [str(rows), "--stable", HOSTILE], [wrong, *rule]]


def of_spend(folder: Path, server: FakeEndpoint) -> list[list[str]]:
    rows = folder / HOSTILE.replace("/", "")
    save_rows(hostile_rows(), rows / "rows.jsonl")
    wrong = hostile(folder, ".jsonl", json.dumps({HOSTILE: HOSTILE}) + "\n")
    output = ["--output-dir", str(folder / f"out{HOSTILE}".replace("/", ""))]
    given = [[str(rows)], [wrong], [str(rows), "--policies", HOSTILE], [str(rows), "--totals", HOSTILE]]
    return [[*one, *output] for one in [*given, [str(rows), "--formats", HOSTILE]]]


def of_pack(folder: Path, server: FakeEndpoint) -> list[list[str]]:
    rows, output = folder / HOSTILE.replace("/", ""), ["--output-dir", str(folder / f"out{HOSTILE}".replace("/", ""))]
    save_rows(hostile_rows(), rows / "rows.jsonl")
    (rows / "about.json").write_text(json.dumps({"model": HOSTILE, "command": HOSTILE}))
    wrong = hostile(folder, ".jsonl", json.dumps({HOSTILE: HOSTILE}) + "\n")
    return [
        [str(rows), *output],
        [wrong, *output],
        [str(rows), "--output-dir", str(rows)],
    ]


def of_replay(folder: Path, server: FakeEndpoint) -> list[list[str]]:
    """A pack that was changed everywhere: rows, chain, facts; and one of a model that is not there."""
    from s1_hf.packs import pack
    from s1_hf.packs.chain import Link

    save_rows([a_hostile_request(row) for row in hostile_rows()], folder / "rows" / "rows.jsonl")
    about = {"model": f"/{HOSTILE}", "command": HOSTILE, "asked": {}, "versions": {HOSTILE: HOSTILE, "torch": HOSTILE}}
    (folder / "rows" / "about.json").write_text(json.dumps(about))
    packed = pack(folder / "rows", folder / HOSTILE.replace("/", "")).folder
    changed, broken = folder / f"changed{HOSTILE.replace('/', '')}", folder / "broken"
    shutil.copytree(packed, changed)
    shutil.copytree(packed, broken)
    facts = json.loads((changed / "pack.json").read_text())
    facts |= {"tables": {HOSTILE: HOSTILE}, "figures": {HOSTILE: HOSTILE}}
    (changed / "pack.json").write_text(json.dumps(facts))
    with (changed / "chain.jsonl").open("a") as file:
        file.write(json.dumps(Link(HOSTILE, [HOSTILE] * 5, HOSTILE)._asdict()) + "\n")
    (broken / "pack.json").write_text(json.dumps({HOSTILE: HOSTILE}))
    output = ["--output-dir", str(folder / f"out{HOSTILE}".replace("/", ""))]
    return [
        [str(packed), *output],
        [str(changed), *output, "--rows", "0"],
        [str(broken), *output],
        [str(packed), *output, "--dtype", HOSTILE],
    ]


def a_hostile_request(row: Row) -> Row:
    return replace(row, request=json.dumps({HOSTILE: HOSTILE}), digest=HOSTILE, num_ignores=0)


def recipes(folder: Path) -> list[list[str]]:
    key = hostile(folder, "key.yaml", json.dumps({HOSTILE: 1}))
    value = hostile(folder, "value.yaml", json.dumps({"learning_rate": HOSTILE}))
    broken = hostile(folder, "broken.yaml", "a: [\n")
    return [[key], [value], [broken], [HOSTILE], ["sft_embedded", f"--{HOSTILE}", "1"], ["sft", "--machine", HOSTILE]]


def of_plan(folder: Path, server: FakeEndpoint) -> list[list[str]]:
    model = ["--model_name_or_path", str(folder / HOSTILE.replace("/", ""))]
    shutil.copytree(embedded.MODEL_PATH, folder / HOSTILE.replace("/", ""))
    given = [(recipe if "--machine" in recipe else [*recipe, "--machine", "cpu"]) for recipe in recipes(folder)]
    return [*given, ["sft_embedded", "--machine", "1x8-h100", *model]]


def of_sft(folder: Path, server: FakeEndpoint) -> list[list[str]]:
    return recipes(folder)


def of_grpo(folder: Path, server: FakeEndpoint) -> list[list[str]]:
    key, value, broken = (one[0] for one in recipes(folder)[:3])
    data = hostile(folder, ".jsonl", json.dumps({"question": HOSTILE, HOSTILE: 1}) + "\n")
    column = ["grpo_embedded", "--dataset_path", data, "--answer_column", HOSTILE]
    ranges = ["grpo_embedded", "--max_thinking_tokens", HOSTILE]
    return [[key], [value], [broken], [HOSTILE], ["grpo_embedded", f"--{HOSTILE}", "1"], column, ranges]


def of_traces(folder: Path, server: FakeEndpoint) -> list[list[str]]:
    pool = hostile(folder, ".csv", f"question,{HOSTILE}\nrefused,1\nbroken,2\nspoken,3\n")
    said = json.dumps({"error": {"message": HOSTILE}}).encode()
    server.replies["refused"] = [Reply(status=400, body=said)]
    server.replies["broken"] = [Reply(finish_reason=HOSTILE, message={"content": ""})]
    server.replies["spoken"] = [Reply(message={"content": HOSTILE, "reasoning_content": HOSTILE})]
    server.replies["unknown"] = [Reply(status=404, body=said)]
    unknown = folder / "unknown.csv"
    unknown.write_text("question\nunknown\n")
    common = ["m", "--endpoint", server.url, "--max-retries", "0", "--input"]
    return [
        [*common, pool, "--output-dir", str(folder / "out")],
        [*common, pool, "--output-dir", str(folder / "more"), "--question-column", HOSTILE + "?"],
        [*common, str(unknown), "--output-dir", str(folder / "none")],
        [*common, hostile(folder, ".xyz"), "--output-dir", str(folder / "none")],
    ]


def of_show(folder: Path, server: FakeEndpoint) -> list[list[str]]:
    row = {"question": HOSTILE, "thinking_trajectories": [HOSTILE], "attempt": HOSTILE, HOSTILE: HOSTILE}
    rows = hostile(folder, ".jsonl", json.dumps(row) + "\n")
    named = ["--column", f"question={HOSTILE}"]
    more = ([], ["--json"], ["--thinking-format", HOSTILE], ["--tokenizer", HOSTILE], named, [*named, "--json"])
    return [[rows, *options] for options in more]


def of_pool(folder: Path, server: FakeEndpoint) -> list[list[str]]:
    return [["--output-dir", hostile(folder, "a file")], ["--output-dir", str(folder / "new" / HOSTILE)]]


def of_curate(folder: Path, server: FakeEndpoint) -> list[list[str]]:
    row = {"question": HOSTILE, "thinking_trajectories": [HOSTILE], "attempt": HOSTILE, "source_type": HOSTILE}
    lines = [json.dumps(row | {"question": f"{HOSTILE} {i}", "cot_type": HOSTILE, HOSTILE: i}) for i in range(30)]
    pool = hostile(folder, ".jsonl", "\n".join(lines))
    good = hostile(folder, "good.yaml", "diversity: {n: 1, method: random}\n")
    more = ["--input", pool, "--output-dir"]
    key = hostile(folder, "key.yaml", json.dumps({HOSTILE: 1}))
    column = hostile(folder, "column.yaml", json.dumps({"domains": {"column": HOSTILE + "?"}}))
    return [
        [good, *more, str(folder / f"out{HOSTILE.replace('/', '')}")],
        [good, *more, str(folder / "json"), "--json"],
        [key, *more, str(folder / "more")],
        [column, *more, str(folder / "more")],
        [good, *more, str(folder / "named"), "--column", f"question={HOSTILE}"],
        [good, *more, str(folder / "unknown"), "--column", f"{HOSTILE}={HOSTILE}", "--compare", HOSTILE],
    ]


def of_push(folder: Path, server: FakeEndpoint) -> list[list[str]]:
    results = folder / f"results{HOSTILE.replace('/', '')}"
    save_rows(hostile_rows(), results / "rows.jsonl")
    (results / f"{HOSTILE.replace('/', '')}.png").write_text("")
    model = folder / "model"
    model.mkdir()
    (model / "config.json").write_text("{}")
    (model / "model.safetensors.index.json").write_text(json.dumps({"weight_map": {"a": HOSTILE}}))
    (model / "model.safetensors").write_text("")
    return [
        [str(results), "me/x", "--dry-run"],
        [str(results), HOSTILE, "--dry-run"],
        [str(results), "me/x", "--dry-run", "--eval-results-to", HOSTILE],
        [str(model), "me/x", "--dry-run"],
        [str(folder / HOSTILE.replace("/", "")), "me/x"],
    ]


def of_formats(folder: Path, server: FakeEndpoint) -> list[list[str]]:
    model = folder / HOSTILE.replace("/", "")
    shutil.copytree(embedded.MODEL_PATH, model)
    refuses = f"{{% if messages|length > 1 %}}{{{{ raise_exception({HOSTILE!r}) }}}}{{% endif %}}"
    (model / "chat_template.jinja").write_text(HOSTILE + refuses)
    own = ["--thinking-start", HOSTILE, "--thinking-close", HOSTILE]
    return [[str(model)], [str(model), "--json"], ["embedded", *own], ["embedded", "--thinking-format", HOSTILE]]


def of_check(folder: Path, server: FakeEndpoint) -> list[list[str]]:
    return [
        [str(folder / HOSTILE.replace("/", ""))],
        ["embedded", "--thinking-format", HOSTILE],
        ["--device", HOSTILE],
        ["--engine", HOSTILE],
        [f"--{HOSTILE}"],
    ]


ROWS = {
    "generate": of_generate,
    "eval": of_tasks,
    "sweep": of_tasks,
    "search": of_search,
    "serve": of_serve,
    "playground": of_playground,
    "export": of_export,
    "effort": of_effort,
    "demo": of_demo,
    "plot": of_plot,
    "compare": of_rows,
    "power": of_rows,
    "early": of_early,
    "spend": of_spend,
    "pack": of_pack,
    "replay": of_replay,
    "push": of_push,
    "plan": of_plan,
    "sft": of_sft,
    "grpo": of_grpo,
    "data traces": of_traces,
    "data show": of_show,
    "data embedded": of_pool,
    "curate": of_curate,
    "formats": of_formats,
    "check": of_check,
}


def run(command: list[str]) -> None:
    """In this process; a crash and warnings are shown as Python would."""
    sys.argv = ["s1-hf", *command]
    try:
        main()
    except SystemExit:
        pass
    except Exception:
        sys.excepthook(*sys.exc_info())  # type: ignore[arg-type]


def show_warning(message, category, file, line, *_) -> None:
    sys.stderr.write(warnings.formatwarning(message, category, file, line))


def check(shown: bytes) -> None:
    raw = [text for text in RAW if text in shown]
    assert not raw, (raw, shown)
    assert b"PWNED" in shown, shown


def test_every_command_has_its_row():
    assert {" ".join(command) for command in commands()} == ROWS.keys()


@pytest.mark.parametrize("command", ROWS)
def test_no_hostile_text_controls_the_terminal(command, tmp_path, server, monkeypatch):
    if command in ("eval", "sweep", "effort"):
        pytest.importorskip("lighteval")
    if command in ("plan", "sft", "grpo"):
        pytest.importorskip("trl")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", [])
    monkeypatch.setattr(sys, "excepthook", sys.__excepthook__)
    monkeypatch.setattr(warnings, "showwarning", show_warning)
    given = [*ROWS[command](tmp_path, server), [f"--{HOSTILE}"], ["--seed", HOSTILE], [HOSTILE] * 5]
    with warnings.catch_warnings(), Screen() as screen:
        warnings.simplefilter("default")
        for arguments in given:
            run([*command.split(), *arguments])
    check(screen.shown)


def test_the_table_above_sees_a_raw_sequence():
    with Screen() as screen:
        sys.stdout.write(HOSTILE)
    with pytest.raises(AssertionError):
        check(screen.shown)


def test_a_training_process_shows_hostile_rows(tmp_path):
    """Logs of ours, and what a library says of the data."""
    pytest.importorskip("trl")
    row = {"question": HOSTILE, "thinking_trajectories": [HOSTILE], "attempt": HOSTILE}
    (tmp_path / "rows.jsonl").write_text(json.dumps(row) + "\n")
    fields = ["--dataset_path", str(tmp_path / "rows.jsonl"), "--expected_steps", "none", "--dry_run", "true"]
    command = [sys.executable, "-m", "s1_hf.sft", "sft_embedded", *fields, "--output_dir", str(tmp_path / "run")]
    environment = os.environ | {"HF_HUB_OFFLINE": "1", "PYTHONPATH": os.pathsep.join(sys.path)}
    with Screen() as screen:
        subprocess.run(command, stdout=screen.side, stderr=screen.side, env=environment)
    check(screen.shown)


def test_a_models_text_is_shown_wherever_it_is_cut(monkeypatch):
    text = f"a {HOSTILE} thought"
    with Screen() as screen:
        guard_terminal()
        monkeypatch.setattr(generating, "console", terminal.VisibleConsole())  # it has a look at the terminal first
        with generating._stream() as write:
            for character in text:
                write(character, "thinking")
            write(text, "forced")
    check(screen.shown)
    assert b"\x1b[2ma\x1b[0m" in screen.shown and b"\x1b[1;31ma " in screen.shown  # our styles stay


def test_a_models_text_is_shown_on_any_console(monkeypatch):
    out = io.StringIO()
    monkeypatch.setattr(generating, "console", Console(file=out, force_terminal=True))
    with generating._stream() as write:
        write(HOSTILE, "answer")
    check(out.getvalue().encode())


def test_a_pipe_gets_a_models_text_as_it_is(capsys):
    with generating._stream() as write:
        write(HOSTILE, "answer")
    assert capsys.readouterr().out == HOSTILE + "\n"


def test_everything_else_that_writes_to_a_terminal_is_guarded_also_beside_a_progress_bar(monkeypatch):
    monkeypatch.setattr(warnings, "showwarning", show_warning)
    with warnings.catch_warnings(), Screen() as screen:
        warnings.simplefilter("always")
        guard_terminal()
        logger = logging.Logger("of a library")
        logger.addHandler(logging.StreamHandler())

        def speak() -> None:
            print(HOSTILE)  # noqa: T201
            sys.stdout.buffer.write(HOSTILE.encode() + b"\n")
            sys.stderr.writelines([HOSTILE, "\n"])
            warnings.warn(HOSTILE, UserWarning, stacklevel=2)
            logger.warning(HOSTILE)
            Console().print(HOSTILE, markup=False)
            terminal.console.print(HOSTILE)
            for _ in tqdm([1, 2], desc=HOSTILE):
                pass

        speak()
        with progress_bar() as tell:
            tell(Progress(found=0, done=1, total=3, tokens=1, seconds=1.0))
            assert isinstance(sys.stdout, VisibleStream) and isinstance(sys.stderr, VisibleStream)
            speak()
        speak()
    check(screen.shown)
    assert b"\x1b[?25l" in screen.shown  # the bar itself still moves


def test_help_keeps_its_colours(monkeypatch):
    monkeypatch.setattr(sys, "argv", [])
    with Screen() as screen:
        run(["--help"])
    assert b"\x1b[1m" in screen.shown
