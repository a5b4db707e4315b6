"""Options that several commands share: what is said about the thinking format."""

import json

import pytest

pytest.importorskip("typer")

from typer.testing import CliRunner

from s1_hf import embedded
from s1_hf.cli import app
from s1_hf.cli.options import chosen_format

QUESTION = embedded.Problem(2, 7, 3, 8).question
DELIMITERS = ("--thinking-start", "<|im_start|>think", "--thinking-close", "<|im_start|>answer")
COMMANDS = [
    ("generate", "embedded", QUESTION),
    ("eval", "embedded", "--tasks", "s1:embedded"),
    ("sweep", "embedded", "--tasks", "s1:embedded"),
    ("data", "traces", "embedded", "--input", "pool.jsonl", "--output-dir", "out"),
    ("formats", "embedded"),
]


def run(*arguments: str):
    return CliRunner().invoke(app, list(arguments))


@pytest.mark.parametrize(
    ("given", "chosen"),
    [
        ((None, None, None, False), None),
        (("think", None, None, False), "think"),
        (("think", None, None, True), {"name": "think", "force_start": True}),
        ((None, None, None, True), {"force_start": True}),
        ((None, "<r>", "</r>", False), {"start": "<r>", "close": "</r>"}),
        ((None, "<r>", "</r>", True), {"start": "<r>", "close": "</r>", "force_start": True}),
    ],
)
def test_the_options_become_a_name_or_settings(given, chosen):
    assert chosen_format(*given) == chosen


@pytest.mark.parametrize("command", COMMANDS, ids=lambda command: command[0])
@pytest.mark.parametrize(
    ("options", "message"),
    [
        (DELIMITERS[:2], "`--thinking-start` needs `--thinking-close`"),
        (DELIMITERS[2:], "`--thinking-close` needs `--thinking-start`"),
        (
            (*DELIMITERS, "--thinking-format", "s1"),
            "which has its own delimiters, but `--thinking-start` and `--thinking-close` came with it",
        ),
        (("--thinking-start", " ", "--thinking-close", "</r>"), "`start` has to be a text such as '<think>'"),
    ],
)
def test_delimiters_that_make_no_format_are_refused_by_every_command(command, options, message, tmp_path, monkeypatch):
    if command[0] in ("eval", "sweep"):
        pytest.importorskip("lighteval")
    monkeypatch.chdir(tmp_path)
    (tmp_path / "pool.jsonl").write_text('{"question": "1+1?"}\n')
    done = run(*command, *options)
    assert done.exit_code == 2
    assert message in " ".join(done.output.split())


def commands(command, path=()):
    """All commands under one, by their paths, with their options."""
    for name, own in getattr(command, "commands", {}).items():
        yield from commands(own, (*path, name))
    if not hasattr(command, "commands"):
        yield path, {option for parameter in command.params for option in parameter.opts}


def test_every_command_that_takes_a_format_takes_delimiters():
    from typer.main import get_command

    taking = {path: options for path, options in commands(get_command(app)) if "--thinking-format" in options}
    assert len(taking) >= 9
    assert [path for path, own in taking.items() if not {"--thinking-start", "--thinking-close"} <= own] == []
    asking = [path for path, own in taking.items() if "--system-prompt" in own]
    assert [path for path in asking if not {"--no-chat-template", "--chat-template-kwargs"} <= taking[path]] == []


def test_the_chat_template_gets_its_arguments_and_can_be_left_out():
    chat = json.loads(run("generate", "embedded", QUESTION, "--max-new-tokens", "9", "--json").stdout)
    bare = json.loads(
        run("generate", "embedded", QUESTION, "--max-new-tokens", "9", "--no-chat-template", "--json").stdout
    )
    assert bare["settings"]["chat_template"] is False and bare["token_ids"] != chat["token_ids"]
    given = run("generate", "embedded", QUESTION, "--chat-template-kwargs", '{"add_generation_prompt": false}')
    assert "has to be without add_generation_prompt, which is set here" in " ".join(given.output.split())


def test_a_model_answers_between_delimiters_of_ones_own():
    """The embedded model's are given by hand; started by force it thinks as in its own format."""
    found = json.loads(run("generate", "embedded", QUESTION, *DELIMITERS, "--force-start", "--json").stdout)
    own = json.loads(run("generate", "embedded", QUESTION, "--json").stdout)
    start, close = DELIMITERS[1], DELIMITERS[3]
    assert found["settings"]["format"] == {"start": start, "close": close, "force_start": True}
    assert own["settings"]["format"] is None
    assert {**found, "settings": 0, "seconds": 0} == {**own, "settings": 0, "seconds": 0}


def test_a_model_that_may_answer_at_once_is_made_to_think():
    """A pair of plain tags that the embedded model never writes, opened by force and closed by the cap."""
    tags = ("--thinking-start", "<r>", "--thinking-close", "</r>", "--max-thinking-tokens", "3")
    free, forced = (
        json.loads(run("generate", "embedded", QUESTION, *tags, *more, "--max-new-tokens", "30", "--json").stdout)
        for more in ((), ("--force-start",))
    )
    assert (free["report"]["ended"], free["report"]["thinking_tokens"]) == ("never_started", 0)
    assert (forced["report"]["ended"], forced["report"]["thinking_tokens"]) == ("cut", 3)
    assert forced["output"].startswith("<r>") and "</r>" in forced["output"]


def test_a_detected_format_can_be_started_by_force():
    found = json.loads(
        run("generate", "embedded", QUESTION, "--force-start", "--max-thinking-tokens", "2", "--json").stdout
    )
    assert found["settings"]["format"] == {"force_start": True}
    assert found["report"]["thinking_tokens"] == 2


@pytest.mark.parametrize("command", COMMANDS[1:4], ids=lambda command: command[0])
def test_options_of_vllm_need_its_engine(command):
    """What is no option of ours is passed on to vLLM, and without it to nobody."""
    done = run(*command, "--tensor-parallel-size", "8")
    assert done.exit_code == 2 and "No such option: --tensor-parallel-size" in done.stderr
    assert "need `--engine vllm`" in " ".join(done.stderr.split())
    misspelt = run(*command, "--max-thinking-token", "8")
    assert misspelt.exit_code == 2 and "Did you mean --max-thinking-tokens?" in " ".join(misspelt.stderr.split())
    assert run(*command, "more").exit_code == 2
