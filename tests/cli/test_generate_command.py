"""`s1-hf generate`, on the embedded model."""

import io
import json
import sys

import pytest

pytest.importorskip("typer")

from rich.console import Console
from typer.testing import CliRunner

from s1_hf import embedded, generate
from s1_hf.cli import app
from s1_hf.engines.checkpoint import Checkpoint

QUESTION = embedded.Problem(2, 7, 3, 8).question


def run(*arguments: str, **options):
    return CliRunner().invoke(app, ["generate", *arguments], **options)


CUT = ("--max-thinking-tokens", "9")


@pytest.fixture(scope="module")
def cut():
    """What the library gives for the question with that cap."""
    (completion,) = generate(*embedded.load(), QUESTION, max_thinking_tokens=9)
    return completion


def test_stdout_is_the_text_and_stderr_the_report():
    (expected,) = generate(*embedded.load(), QUESTION, num_ignores=1)
    done = run("embedded", QUESTION, "--num-ignores", "1")
    assert done.exit_code == 0
    assert done.stdout == expected.text + "\n"
    report = expected.report
    assert f"thinking: {report.thinking_tokens} tokens, ended natural, 1 end ignored; answer: 6 tokens" in done.stderr


def test_a_question_may_come_from_stdin(cut):
    assert run("embedded", "-", *CUT, input=QUESTION + "\n").stdout == cut.text + "\n"


def test_a_chat_may_come_from_a_file(cut, tmp_path):
    (tmp_path / "chat.json").write_text(json.dumps([{"role": "user", "content": QUESTION}]))
    done = run("embedded", "--chat", str(tmp_path / "chat.json"), *CUT)
    assert done.stdout == cut.text + "\n"


def test_json_is_one_line_with_all_that_is_known():
    done = run("embedded", QUESTION, *CUT, "--json", "--system-prompt", "Be brief.")
    (line,) = done.stdout.splitlines()
    found = json.loads(line)
    chat = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": QUESTION}]
    (answered,) = generate(*embedded.load(), chat, max_thinking_tokens=9)
    assert found["prompt"] == chat
    assert (found["thinking"], found["answer"], found["output"]) == (answered.thinking, answered.answer, answered.text)
    assert tuple(found["token_ids"]) == answered.token_ids
    assert found["report"]["forced"] == [i for i, forced in enumerate(answered.forced) if forced]
    assert found["report"]["thinking_tokens"] == found["settings"]["max_thinking_tokens"] == 9
    assert set(found["versions"]) == {"s1_hf", "torch", "transformers"}


def test_options_reach_the_model():
    limits = ["--max-thinking-tokens", "16", "--max-answer-tokens", "3", "--answer-prefix", "Answer:"]
    found = json.loads(run("embedded", QUESTION, "--json", "--loop-guard", *limits).stdout)
    assert found["report"]["thinking_tokens"] == 16 and found["report"]["ended"] == "cut"
    assert found["answer"].startswith("Answer:") and found["report"]["answer_tokens"] == 3
    assert found["settings"]["loop_guard"] == {"max_period": 64, "repeats": 4, "min_tokens": 64}


def test_a_seed_says_what_is_drawn():
    def drawn(seed: str) -> str:
        return run("embedded", QUESTION, "--temperature", "2", "--seed", seed, "--max-new-tokens", "40").stdout

    assert drawn("1") == drawn("1")
    assert drawn("1") != drawn("2")


def test_on_a_terminal_thinking_is_dim_forced_text_red_and_the_answer_plain(monkeypatch):
    screen = io.StringIO()
    terminal = Console(file=screen, force_terminal=True, color_system="standard", no_color=False)
    monkeypatch.setattr(sys.modules["s1_hf.cli.generate"], "console", terminal)
    assert run("embedded", QUESTION, *CUT).exit_code == 0
    shown = screen.getvalue()
    assert shown.startswith("\x1b[1;31m<|im_start|>\x1b[0m\x1b[1;31mthink\x1b[0m\n\x1b[2mA\x1b[0m")
    assert "\x1b[1;31m:\x1b[0m 20" in shown


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "Give a question, '-' to read it from stdin, or `--chat`"),
        (["q", "--chat", __file__], "Give a question, '-' to read it from stdin, or `--chat`"),
        ([" "], "The question has to be a text, but is empty"),
        (["--chat", __file__], "test_generate_command.py is not JSON"),
        (["q", "--max-thinking-tokens", "some"], "`max_thinking_tokens` has to be an integer of at least 0"),
        (["q", "--num-ignores", "-1"], "`num_ignores` has to be an integer of at least 0"),
        (["q", "--wait-text", "<|im_end|>"], "`wait_text` has to be free of delimiters"),
        (["q", "--thinking-format", "harmony"], "as single tokens"),
        (["q", "--top-p", "0.5"], "`--top-p` need `--temperature` above 0"),
        (["q", "--temperature", "inf"], "`--temperature` has to be a number from 0 up, but is inf"),
        (["q", "--max-new-tokens", "1024"], "have to fit into the model's context of 1,024"),
        (["q", "--max-new-tokens", "50", "--max-thinking-tokens", "auto"], '`max_thinking_tokens="auto"` has to leave'),
    ],
)
def test_bad_input_is_named_before_weights_are_read(arguments, message, monkeypatch):
    monkeypatch.setattr(Checkpoint, "load", lambda *args, **options: pytest.fail("the weights were read"))
    done = run("embedded", *arguments)
    assert done.exit_code == 2
    assert message in " ".join(done.stderr.split()) and not done.stdout


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ({"role": "user"}, "has to hold a list of messages"),
        ([{"role": "user"}], "has to have a `content`"),
        ([{"role": "system", "content": "a"}, {"role": "user", "content": "b"}], "has a system message"),
    ],
)
def test_a_chat_that_is_none_is_refused(content, message, tmp_path):
    (tmp_path / "chat.json").write_text(json.dumps(content))
    done = run("embedded", "--chat", str(tmp_path / "chat.json"), "--system-prompt", "s")
    assert done.exit_code == 2 and message in " ".join(done.stderr.split())


def test_a_model_that_is_not_there_is_named():
    done = run("./no/model", "q")
    assert done.exit_code == 2 and "./no/model is no model: there is no such folder" in done.stderr
