"""Recipes of reinforcement: read, checked and refused before weights are loaded."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

pytest.importorskip("trl")
pytest.importorskip("datasets")

from s1_hf.finding import RECIPES
from s1_hf.rl.fields import RL, budgets_of
from s1_hf.rl.job import REINFORCEMENT
from s1_hf.sft.checking import check
from s1_hf.sft.recipe import read_recipe
from s1_hf.sft.run import Refused, start

NAMES = sorted(path.stem for path in RECIPES.glob("grpo*.yaml"))
TOY = ("--use_cpu", "true")


def refused(folder: Path, *fields: str, recipe: str = "grpo_embedded") -> str:
    with pytest.raises(Refused) as error:
        start(recipe, ["--output_dir", str(folder / "run"), *fields], job=REINFORCEMENT)
    assert not (folder / "run").exists()
    return str(error.value)


@pytest.mark.parametrize("name", NAMES)
def test_recipes_are_read_without_unknown_fields_and_build(name, tmp_path):
    recipe = read_recipe(name, [*TOY, "--output_dir", str(tmp_path)], RL)
    data, args, model_args = REINFORCEMENT.checks.build(recipe, 1)
    assert args.per_device_train_batch_size * args.gradient_accumulation_steps == data.global_batch_size
    assert args.steps_per_generation == args.gradient_accumulation_steps
    assert args.generation_batch_size == data.global_batch_size and model_args.model_name_or_path
    assert budgets_of(data).largest.has_cap


def test_a_recipe_of_fine_tuning_is_none_of_reinforcement():
    with pytest.raises(
        ValueError, match="'sft_embedded' is a recipe of another command: this one takes .*grpo_embedded"
    ):
        read_recipe("sft_embedded", (), RL)


def test_a_dry_run_loads_no_weights(tmp_path, caplog):
    given = ["--output_dir", str(tmp_path / "run"), "--dry_run", "true", "--max_thinking_tokens", "8-32"]
    start("grpo_embedded", given, job=REINFORCEMENT)
    assert "1,000 problems" in caplog.text and "`max_thinking_tokens` 8-32" in caplog.text
    assert "Dry run" in caplog.text and not (tmp_path / "run").exists()


def test_a_dry_run_for_more_processes_counts_their_batches(tmp_path):
    given = [*TOY, "--output_dir", str(tmp_path), "--per_device_train_batch_size", "4", "--dry_run", "true"]
    run = check(read_recipe("grpo_embedded", given, RL), 4, REINFORCEMENT.checks)
    assert run.args.gradient_accumulation_steps == run.args.steps_per_generation == 2


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        (["--max_thinking_tokens", "lots"], "`max_thinking_tokens` has to be a number, or from-to"),
        (["--max_thinking_tokens", "96-16"], "from where to where"),
        (["--max_thinking_tokens", "128"], "leaves no room for an answer after 128 thinking tokens"),
        (["--max_thinking_tokens", "none", "--rewards", "correct,l1_max"], "l1_max need `max_thinking_tokens`"),
        (["--rewards", "right"], "`rewards` has to be some of correct, l1_exact"),
        (["--rewards", "correct,l1_max", "--reward_weights", "1"], "`reward_weights` has to have 2 numbers"),
        (["--max_steps", "-1"], "`max_steps` has to be at least 1"),
        (["--num_train_epochs", "2"], "Leave out `num_train_epochs`"),
        (["--use_vllm", "true"], "Leave out `use_vllm`: it is not supported: TRL starts vLLM without the processor"),
        (["--steps_per_generation", "2"], "Leave out `steps_per_generation`"),
        (["--global_batch_size", "12", "--per_device_train_batch_size", "4"], "a multiple of `num_generations` 8"),
        (["--global_batch_size", "40"], "has to be a multiple of `per_device_train_batch_size` 32"),
        (["--num_iterations", "3"], "`save_steps` has to be a multiple of `num_iterations` 3"),
        (["--temperature", "0"], "`temperature` has to be above 0"),
        (["--tolerance", "1"], "`tolerance` has to be at least 0 and below 1"),
        (["--max_completion_length", "9000"], "but the model's context is"),
        (["--padding_token", "<|nothing|>"], "`padding_token` has to be a token in the tokenizer's vocabulary"),
        (["--padding_token", "<|im_end|>"], "pads with the end of turn"),
        (["--thinking_format", "gpt"], "gpt"),
        (["--dataset_path", "nowhere.jsonl"], "There is no file nowhere.jsonl"),
        (["--question_column", "nothing"], "has no column 'nothing'"),
        (["--max_thinkng_tokens", "8"], "did you mean `max_thinking_tokens`"),
        (["--learning_rate", "nan"], "`learning_rate` has to be more than 0"),
        (["--num_ignores", "1", "--max_thinking_tokens", "none", "--wait_text", "<|im_end|>"], "`wait_text` has to be"),
    ],
)
def test_what_would_be_wasted_is_refused_before_weights_are_loaded(tmp_path, fields, message, monkeypatch):
    monkeypatch.setattr("s1_hf.rl.job.GRPOTrainer.__init__", lambda *args, **kwargs: pytest.fail("weights were loaded"))
    assert message in refused(tmp_path, *fields)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "no column with a usual name for the question"),
        ('{"question": "2+2?"}\n', "no column with a usual name for the answer"),
        ('{"question": "", "answer": "4"}\n', "row 1"),
        ('{"question": "2+2?", "answer": null}\n', "row 1"),
    ],
)
def test_data_that_holds_no_problems_is_refused(tmp_path, content, message):
    file = tmp_path / "data.jsonl"
    file.write_text(content)
    assert message in refused(tmp_path, "--dataset_path", str(file))


def test_odd_columns_do_not_reach_the_trainer(tmp_path):
    """Those that a rollout gives to rewards, and TRL's own."""
    row = {"problem": "2+2?", "gold": 4, "ended": "x", "thinking": "y", "prompt_ids": [1], "images": "z"}
    (tmp_path / "data.jsonl").write_text(json.dumps(row) + "\n")
    given = [*TOY, "--output_dir", str(tmp_path / "run"), "--dataset_path", str(tmp_path / "data.jsonl")]
    run = check(read_recipe("grpo_embedded", given, RL), 1, REINFORCEMENT.checks)
    assert run.prepared.rows.column_names == ["prompt", "solution", "kind"]
    assert run.prepared.rows[0]["prompt"] == [{"role": "user", "content": "2+2?"}]
