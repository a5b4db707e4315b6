"""`s1-hf formats`: what a model's tokenizer resolves to."""

import json
from pathlib import Path

import pytest

pytest.importorskip("typer")

from transformers import GenerationConfig, Qwen2Config
from typer.testing import CliRunner

from s1_hf.cli import app
from s1_hf.forcing.formats import FAMILIES
from toys import CHATML, HARMONY, byte_tokenizer, toy_tokenizer


def formats(*arguments: str):
    return CliRunner().invoke(app, ["formats", *arguments])


def saved(folder: Path, tokenizer) -> str:
    """A model's folder without weights."""
    tokenizer.save_pretrained(folder)
    Qwen2Config(vocab_size=len(tokenizer)).save_pretrained(folder)
    return str(folder)


@pytest.mark.parametrize(
    ("family", "name", "opened_by", "can_ignore_ends"),
    [
        ("s1", "s1", "forced tokens", True),
        ("think", "think", "the model", True),
        ("opened", "think", "the chat template", True),
        ("plain", "think", "the chat template", False),
        ("harmony", "harmony", "the model", True),
        ("magistral", "magistral", "the model", True),
    ],
)
def test_a_family_is_resolved(family, name, opened_by, can_ignore_ends, tmp_path):
    tokenizer = toy_tokenizer(family)
    found = json.loads(formats(saved(tmp_path, tokenizer), "--json").stdout)
    assert (found["name"], found["opened_by"], found["can_ignore_ends"]) == (name, opened_by, can_ignore_ends)
    close = FAMILIES[name].close
    assert found["close"] == {"text": close, "ids": tokenizer.encode(close, add_special_tokens=False)}
    assert found["wait"] == {"text": "Wait", "ids": [tokenizer.convert_tokens_to_ids("Wait")]}
    asked = [{"role": "user", "content": "1+1?"}]
    assert found["prompt"] == tokenizer.apply_chat_template(asked, add_generation_prompt=True, tokenize=False)


def test_all_ends_of_sequence_of_the_model_are_known(tmp_path):
    tokenizer = toy_tokenizer("think")
    folder = saved(tmp_path, tokenizer)
    pad, end = tokenizer.pad_token_id, tokenizer.eos_token_id
    GenerationConfig(eos_token_id=[pad, end]).save_pretrained(folder)
    found = json.loads(formats(folder, "--json").stdout)
    assert [token["ids"] for token in found["ends_of_sequence"]] == [[pad], [end]]


def test_a_format_and_a_wait_can_be_said(tmp_path):
    folder = saved(tmp_path, toy_tokenizer("think"))
    found = json.loads(formats(folder, "--thinking-format", "s1", "--wait-text", "No", "--json").stdout)
    assert found["name"] == "s1" and len(found["wait"]["ids"]) == 2


def test_the_embedded_model_is_shown_as_lines():
    done = formats("embedded")
    assert done.exit_code == 0
    assert "'<|im_start|>answer', 2 tokens: 430 358" in done.stdout
    assert "<|im_start|>user" in done.stdout


def test_a_tokenizer_without_delimiters_is_told_its_options(tmp_path):
    tokenizer = byte_tokenizer(["</s>"], eos="</s>", template=None)
    done = formats(saved(tmp_path, tokenizer))
    said = " ".join(done.stderr.split())
    assert done.exit_code == 2 and not done.stdout
    assert "has the delimiters of none" in said and "magistral: [THINK] [/THINK]" in said
    assert "ThinkingFormat.from_delimiters" in said


def test_without_a_model_all_known_formats_are_listed():
    listed = formats().stdout
    for name, family in FAMILIES.items():
        assert name in listed and family.close in listed and family.models in listed  # a file's lines are not wrapped
    known = json.loads(formats("--json").stdout)
    assert known.keys() == FAMILIES.keys()
    assert known["gemma4"]["start"] == "<|channel>thought\n" and "Qwen3" in known["think"]["models"]


SWITCHED = (
    "{% if reasoning_effort == 'none' %}{{ raise_exception('no \x1b[31mnone') }}{% endif %}"
    + CHATML
    + "{% if add_generation_prompt %}{% if thinking is defined and thinking %}<think>\n"
    "{% elif thinking is defined %}<think>\n\n</think>\n\n{% endif %}"
    "{% if messages | length > 1 %}{{ 'So' }}{% endif %}{% endif %}"
)


@pytest.fixture
def switched(tmp_path) -> str:
    """A model whose chat template opens thinking, closes it, or refuses, as its arguments ask."""
    tokenizer = toy_tokenizer("think")
    tokenizer.chat_template = SWITCHED
    return saved(tmp_path, tokenizer)


def test_each_way_to_call_the_template_has_its_state(switched):
    """By both turns of a chat, with what the template writes behind the question; or its refusal."""
    found = json.loads(formats(switched, "--json").stdout)
    assert found["switches"] == {"thinking": [True, False], "reasoning_effort": ["low", "high", "none"]}
    said = "<|im_end|>\n<|im_start|>assistant\n"
    states = [(mode["arguments"], mode["first_turn"], mode["second_turn"]["state"]) for mode in found["modes"][:3]]
    assert states == [
        ({}, {"state": "before", "behind_question": said}, "before"),
        ({"thinking": True}, {"state": "thinking", "behind_question": said + "<think>\n"}, "thinking"),
        ({"thinking": False}, {"state": "closed", "behind_question": said + "<think>\n\n</think>\n\n"}, "closed"),
    ]
    refused = found["modes"][-1]
    assert refused["arguments"] == {"reasoning_effort": "none"}
    assert refused["first_turn"] == refused["second_turn"] == {"refused": "TemplateError: no \x1b[31mnone"}
    assert found["opened_by"] == "the model; with thinking=True the chat template"


def test_modes_are_lines_and_no_text_controls_the_terminal(switched):
    done = formats(switched)
    assert "\x1b" not in done.stdout and "TemplateError: no ⟨U+001B⟩[31mnone" in done.stdout
    lines = [" ".join(line.split()) for line in done.stdout.splitlines()]
    assert "thinking=True thinking thinking '<|im_end|>\\n<|im_start|>assistant\\n<think>\\n'" in lines
    assert "2nd: '<|im_end|>\\n<|im_start|>assistant\\n<think>\\nSo'" in lines
    at = lines.index("nothing before before '<|im_end|>\\n<|im_start|>assistant\\n'")
    assert lines[at + 1].startswith("reasoning_effort='low' 2nd: ")
    assert "\x1b" not in formats(switched, "--json").stdout


def test_an_errors_text_does_not_control_the_terminal(tmp_path):
    tokenizer = toy_tokenizer("think")
    tokenizer.chat_template = "{{ raise_exception('no \x1b[31m') }}"
    done = formats(saved(tmp_path, tokenizer))
    assert done.exit_code == 2 and "no ⟨U+001B⟩[31m" in done.stderr and "\x1b" not in done.stderr


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        ([], "whole tokens of the vocabulary"),
        (["--force-start"], "whole tokens of the vocabulary"),
        (["--thinking-format", "think"], "named by the caller"),
        (["--thinking-format", "think", "--force-start"], "named by the caller"),
        (["--thinking-start", "<r>", "--thinking-close", "</r>"], "delimiters that the caller has named"),
    ],
)
def test_it_is_said_by_what_a_format_was_found(options, reason, tmp_path):
    found = json.loads(formats(saved(tmp_path, toy_tokenizer("think")), *options, "--json").stdout)
    assert found["found_by"] == reason
    assert found["opened_by"] == ("forced tokens" if "--force-start" in options else "the model")


def test_turns_answer_blocks_ends_and_handovers_are_shown(tmp_path):
    """The text and ids of all that the format holds; a handover is no end of thinking."""
    special = ["<|start|>", "<|end|>", "<|channel|>", "<|message|>", "<|return|>", "<|call|>"]
    tokenizer = byte_tokenizer(special, eos="<|return|>", template=HARMONY)
    folder = saved(tmp_path, tokenizer)
    call, end = tokenizer.convert_tokens_to_ids("<|call|>"), tokenizer.convert_tokens_to_ids("<|return|>")
    GenerationConfig(eos_token_id=[call, end]).save_pretrained(folder)
    found = json.loads(formats(folder, "--json").stdout)
    assert found["answer_start"]["text"] == "<|start|>assistant<|channel|>final<|message|>"
    assert found["handovers"] == [{"text": "<|call|>", "ids": [call]}]
    assert [token["text"] for token in found["ends"]] == ["<|end|>", "<|return|>"]
    assert found["assistant_turn"]["text"] == "<|start|>assistant" and "<|start|>user" in found["user_turn"]
    assert found["interleaved"] is True


def test_a_tokenizer_without_a_template_has_no_modes(tmp_path):
    tokenizer = byte_tokenizer(["</s>"], added=["<think>", "</think>"], eos="</s>", template=None)
    folder = saved(tmp_path, tokenizer)
    found = json.loads(formats(folder, "--json").stdout)
    assert (found["modes"], found["assistant_turn"], found["user_turn"]) == ([], None, None)
    assert formats(folder).exit_code == 0
