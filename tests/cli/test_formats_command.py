"""`s1-hf formats`: what a model's tokenizer resolves to."""

import json
from pathlib import Path

import pytest

pytest.importorskip("typer")

from transformers import GenerationConfig, Qwen2Config
from typer.testing import CliRunner

from s1_hf.cli import app
from s1_hf.forcing.formats import FAMILIES
from toys import byte_tokenizer, toy_tokenizer


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
        assert name in listed and family.close in listed  # a file's lines are not wrapped
    assert json.loads(formats("--json").stdout).keys() == FAMILIES.keys()
