"""Recipes parse against the installed libraries, and the paper's recipe has the paper's numbers."""

import pytest

pytest.importorskip("trl")


from s1_hf.finding import RECIPES
from s1_hf.sft.launch import MACHINES, find_machine
from s1_hf.sft.recipe import DataArguments, read_recipe, recipe_and_fields

NAMES = sorted(path.stem for path in RECIPES.glob("sft*.yaml"))


@pytest.mark.parametrize("name", NAMES)
def test_recipe_is_read_without_unknown_keys_and_builds(name, tmp_path):
    recipe = read_recipe(name, ["--use_cpu", "true", "--output_dir", str(tmp_path)])
    data, args, model_args = recipe.build()
    assert data.global_batch_size == 16
    assert args.output_dir == str(tmp_path)
    assert model_args.model_name_or_path


def test_the_recipes_of_the_readme_exist():
    assert {"sft", "sft_7b", "sft_embedded", "sft_lora", "sft_qlora", "sft_8b_think"} <= set(NAMES)


# Section 4.1 and the appendix "training details" of https://arxiv.org/abs/2501.19393, train/sft.sh of the original.
PAPER = {
    "model_name_or_path": "Qwen/Qwen2.5-32B-Instruct",
    "dataset": "s1K",
    "thinking_format": "s1",
    "num_train_epochs": 5,
    "global_batch_size": 16,
    "expected_steps": 315,
    "bf16": True,
    "dtype": "float32",
    "learning_rate": 1e-5,
    "warmup_steps": 16,
    "lr_scheduler_type": "cosine",
    "adam_beta1": 0.9,
    "adam_beta2": 0.95,
    "weight_decay": 1e-4,
    "max_length": 32768,
    "padding_token": "<|fim_pad|>",
    "allow_truncation": False,
    "use_peft": False,
    "packing": False,
    "label_smoothing_factor": 0.0,
}


@pytest.mark.parametrize("field", PAPER)
def test_the_papers_recipe_has_the_papers_value_of(field):
    assert read_recipe("sft").values[field] == PAPER[field]


def test_the_papers_recipe_has_the_papers_loss():
    """The mean negative log-likelihood; `None` is the default of TRL 1.14, which takes it in chunks."""
    assert read_recipe("sft").values["loss_type"] in ("nll", None)


def test_the_command_line_overrides_the_file():
    recipe = read_recipe("sft", ["--learning_rate", "2e-5", "--num-train-epochs=1", "--no_gradient_checkpointing"])
    assert recipe.values["learning_rate"] == 2e-5
    assert recipe.values["num_train_epochs"] == 1
    assert recipe.values["gradient_checkpointing"] is False
    assert recipe.given["num_train_epochs"] == 1


def test_only_fields_of_file_and_command_line_are_given():
    recipe = read_recipe("sft_embedded", ["--seed", "3"])
    assert recipe.given["seed"] == 3
    assert "adam_beta2" not in recipe.given and "adam_beta2" in recipe.values


def test_numbers_without_a_point_are_numbers(tmp_path):
    """YAML 1.1 reads 1e-5 as a text."""
    (tmp_path / "mine.yaml").write_text("learning_rate: 1e-5\n")
    assert read_recipe(tmp_path / "mine.yaml").values["learning_rate"] == 1e-5


def test_null_is_none(tmp_path):
    (tmp_path / "mine.yaml").write_text("max_length: null\nexpected_steps: null\ndataset_path: null\n")
    values = read_recipe(tmp_path / "mine.yaml").values
    assert values["max_length"] is None and values["expected_steps"] is None and values["dataset_path"] is None


def test_none_on_the_command_line_is_none():
    recipe = read_recipe("sft_embedded", ["--dataset_path", "none", "--dataset", "s1K", "--expected_steps", "none"])
    assert recipe.values["dataset_path"] is None and recipe.values["expected_steps"] is None


def test_data_on_the_command_line_take_the_place_of_the_recipes():
    own = read_recipe("sft_7b", ["--dataset_path", "mine.jsonl"])
    assert [own.values[name] for name in ("dataset", "dataset_path", "dataset_traces")] == [None, "mine.jsonl", None]
    assert own.given["dataset"] is None and own.given["dataset_path"] == "mine.jsonl"
    hub = read_recipe("sft_embedded", ["--dataset=s1K-1.1", "--dataset_traces", "gemini"]).values
    assert [hub[name] for name in ("dataset", "dataset_path", "dataset_traces")] == ["s1K-1.1", None, "gemini"]
    assert read_recipe("sft_7b", ["--dataset", "s1K"]).values["dataset_traces"] is None  # it has one trace a question
    assert read_recipe("sft_7b", ["--dataset_traces", "gemini"]).values["dataset"] == "s1K-1.1"
    assert read_recipe("sft_7b", ["--dataset_path", "none"]).values["dataset"] == "s1K-1.1"


@pytest.mark.parametrize(
    ("arguments", "found"),
    [
        (["sft", "--seed", "1"], ("sft", ["--seed", "1"])),
        (["--config", "sft", "--seed", "1"], ("sft", ["--seed", "1"])),
        (["--seed", "1", "--config=sft"], ("sft", ["--seed", "1"])),
        (["--seed", "1"], (None, ["--seed", "1"])),
        ([], (None, [])),
    ],
)
def test_a_recipe_comes_first_or_by_trls_own_option(arguments, found):
    assert recipe_and_fields(arguments) == found


def test_columns_are_a_mapping_in_the_file_and_json_on_the_command_line(tmp_path):
    (tmp_path / "mine.yaml").write_text("columns: {question: problem, reply: generation}\n")
    in_file = read_recipe(tmp_path / "mine.yaml", ["--dry_run", "true", "--output_dir", str(tmp_path)]).build()[0]
    assert in_file.columns == {"question": "problem", "reply": "generation"}
    said = read_recipe("sft_7b", ["--dataset_path", "mine.jsonl", "--columns", '{"question": "problem"}'])
    assert said._part(DataArguments).columns == {"question": "problem"}
    assert read_recipe(tmp_path / "mine.yaml", ["--dataset", "s1K"]).values["columns"] is None


@pytest.mark.parametrize("value", ["question=problem", "[1]", '"x"', "{", "1"])
def test_what_is_no_mapping_is_refused_with_an_example(value):
    with pytest.raises(ValueError, match="`columns`"):
        read_recipe("sft_7b", ["--dataset_path", "x", "--columns", value])._part(DataArguments)


def test_a_file_that_is_not_text_is_named(tmp_path):
    (tmp_path / "mine.yaml").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(ValueError, match="mine.yaml has to be text in UTF-8"):
        read_recipe(tmp_path / "mine.yaml")


def test_a_dry_run_needs_no_gpu(tmp_path):
    _, args, _ = read_recipe("sft", ["--dry_run", "true", "--output_dir", str(tmp_path)]).build()
    assert args.bf16


def test_files_of_the_package_are_found():
    values = read_recipe("sft_embedded").values
    assert values["model_name_or_path"].endswith("s1_hf/embedded/base")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("learning_rat: 1.0", r"Unknown fields in .*mine.yaml: `learning_rat` \(did you mean `learning_rate`\?\)"),
        ("seed: [1, 2]", "mine.yaml also has '2'"),
        ("seed: many", "argument --seed: invalid int value: 'many'"),
        ("thinking_format: thoughts", "invalid choice: 'thoughts'"),
        ("missing_tokens: maybe", "invalid choice: 'maybe'"),
        ("- a list", "has to be a mapping of fields to values, but is a list"),
        ("a: b: c", "is not a YAML file"),
        ("help: true", "Unknown fields"),
    ],
)
def test_a_bad_file_is_refused(content, message, tmp_path):
    (tmp_path / "mine.yaml").write_text(content)
    with pytest.raises(ValueError, match=message):
        read_recipe(tmp_path / "mine.yaml")


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (["--sed", "3"], r"Unknown fields in the command line: `sed` \(did you mean `seed`\?\)"),
        (["--learning", "3"], "Unknown fields in the command line"),
        (["--num_processes", "4"], "`num_processes` .is no field: give it to .* before its `-m s1_hf.sft`"),
        (["--dataset_name", "x"], "`dataset_name` .is a field of `trl sft`: set `dataset`"),
        (["loud"], "the command line also has 'loud'"),
        (["--bf16", "maybe"], "could not be read"),
    ],
)
def test_a_bad_command_line_is_refused(overrides, message):
    with pytest.raises(ValueError, match=message):
        read_recipe("sft", overrides)


def test_an_unknown_recipe_is_refused_with_the_existing_ones():
    with pytest.raises(ValueError, match="no recipe 'sft_lara'.*sft_7b, .*sft_embedded.*Did you mean 'sft_lora'"):
        read_recipe("sft_lara")


def test_a_recipe_of_another_command_is_called_so():
    with pytest.raises(ValueError, match="'grpo_embedded' is a recipe of another command: this one takes sft, sft_7b"):
        read_recipe("grpo_embedded")


def test_a_path_of_the_repository_finds_the_packages_recipe_anywhere(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert read_recipe("recipes/sft.yaml").path == RECIPES / "sft.yaml"
    assert find_machine("recipes/accelerate/cpu.yaml") == MACHINES / "cpu.yaml"


@pytest.mark.parametrize("name", [name for name in NAMES if name != "sft_embedded"])
def test_large_recipes_checkpoint_activations_where_machines_do_not(name):
    assert read_recipe(name).values["gradient_checkpointing"] is True
