"""Tokenizer and data are prepared and checked; the disk space is counted."""

import json
import shutil

import pytest

pytest.importorskip("trl")
pytest.importorskip("datasets")

from training_runs import arguments
from transformers import AutoTokenizer, Qwen2Config
from trl import ModelConfig, SFTConfig

from s1_hf import ThinkingFormat, embedded
from s1_hf.sft.checking import check
from s1_hf.sft.prepare import disk_needed, quantised_faults
from s1_hf.sft.recipe import DataArguments, read_recipe


def test_the_mask_is_shown_before_training(tmp_path, caplog):
    recipe, *overrides = arguments(tmp_path / "run")
    with caplog.at_level("INFO", logger="s1_hf"):
        check(read_recipe(recipe, overrides))
    assert "1,000 rows of 103 to 413 tokens (median 142" in caplog.text
    assert "loss on 72 tokens: '<|im_start|>think" in caplog.text


@pytest.mark.parametrize(("adapter", "faults"), [(False, 1), (True, 0)])
def test_weights_that_are_quantised_are_trained_by_adapters_only(adapter, faults):
    config = Qwen2Config(quantization_config={"quant_method": "gptq", "bits": 4})
    found = quantised_faults(config, ModelConfig("x", use_peft=adapter))
    assert len(found) == faults and all("quantised (gptq) and cannot be trained" in fault for fault in found)
    assert quantised_faults(Qwen2Config(), ModelConfig("x")) == []


def test_cut_rows_are_trained_on_if_requested(tmp_path):
    recipe, *overrides = arguments(tmp_path / "run", "--max_length", "300", "--allow_truncation", "true")
    run = check(read_recipe(recipe, overrides))
    assert max(len(ids) for ids in run.prepared.rows["input_ids"]) == 413  # the trainer cuts
    assert run.args.max_length == 300


def test_rows_whose_prompt_alone_fills_the_length_are_left_out_and_counted(tmp_path, caplog):
    """The trainer would drop them without a word, and take fewer steps than planned."""
    recipe, *overrides = arguments(tmp_path / "run", "--max_length", "64", "--allow_truncation", "true")
    overrides += ["--max_steps", "-1", "--num_train_epochs", "1"]
    prepared = check(read_recipe(recipe, overrides)).prepared
    assert 0 < len(prepared.rows) < 1000 and prepared.steps == -(-len(prepared.rows) // 16)
    assert f"{1000 - len(prepared.rows)} rows are left out, because their prompt alone" in caplog.text


def test_rows_that_the_trainer_drops_at_the_end_of_an_epoch_take_no_step(tmp_path):
    recipe, *overrides = arguments(tmp_path / "run", "--max_steps", "-1", "--num_train_epochs", "2")
    assert check(read_recipe(recipe, overrides)).prepared.steps == 126
    assert check(read_recipe(recipe, [*overrides, "--dataloader_drop_last", "true"])).prepared.steps == 124


def test_disk_of_a_run_is_weights_and_two_moments_a_checkpoint_and_the_result():
    config = Qwen2Config(
        vocab_size=100, hidden_size=8, intermediate_size=16, num_hidden_layers=2, num_attention_heads=2,
        num_key_value_heads=1, tie_word_embeddings=False,
    )  # fmt: skip
    attention = 8 * 8 + 8 + 2 * (8 * 4 + 4) + 8 * 8
    layer = attention + 3 * 8 * 16 + 2 * 8
    weights = 2 * 100 * 8 + 2 * layer + 8
    args = {"output_dir": "x", "use_cpu": True, "bf16": False}
    data = DataArguments()

    def needed(model_args=None, **more):
        return disk_needed(config, data, SFTConfig(**args, **more), model_args or ModelConfig())

    assert needed(save_strategy="no") == 2 * weights
    assert needed(save_total_limit=1) == (2 + 2 * 12) * weights
    assert needed(save_total_limit=1, save_only_model=True) == (2 + 2 * 4) * weights
    adapter = 2 * 4 * ((8 + 8) + (8 + 4))  # rank 4 on q_proj and v_proj, in two layers
    lora = ModelConfig(use_peft=True, lora_r=4, lora_target_modules=["q_proj", "v_proj"])
    assert needed(lora, save_strategy="no") == 4 * adapter
    assert needed(lora, save_total_limit=1) == (4 + 2 * 12) * adapter


@pytest.mark.parametrize(
    ("overrides", "said"),
    [
        (["--dataset", "s1K", "--dataset_path", "x"], "Set either `dataset` .* or `dataset_path` .*, not both"),
        (
            ["--padding_token", "<nothing>"],
            "`padding_token` has to be a token .*, but '<nothing>' is not",
        ),
        (
            ["--chat_template_path", "nowhere.jinja"],
            "`chat_template_path` .* but 'nowhere.jinja' is not a file",
        ),
        (["--eos_token", "<end>"], "`eos_token` has to be a token .*, but '<end>' is not. .*`missing_tokens: add`"),
        (["--chat_template_path", "phi3"], "writes '<\\|user\\|>', '<\\|end\\|>'.* not as one token each"),
        (["--columns", '{"question": "problem"}'], "lacks 'problem'; it has "),
    ],
)
def test_what_cannot_be_prepared_is_refused_with_its_field(tmp_path, overrides, said):
    recipe, *given = arguments(tmp_path / "run")
    with pytest.raises(ValueError, match=said):
        check(read_recipe(recipe, [*given, *overrides]))


def with_tags(folder):
    """The toy's base with two more tokens, as somebody with delimiters of their own has prepared it."""
    shutil.copytree(embedded.BASE_PATH, folder)
    tokenizer = AutoTokenizer.from_pretrained(folder)
    tokenizer.add_tokens(["<r>", "</r>"])
    tokenizer.save_pretrained(folder)
    return folder


def test_delimiters_of_ones_own_are_trained_and_signed(tmp_path):
    """Rows are written with them, the loss begins at them, and what is saved says so."""
    folder = with_tags(tmp_path / "base")
    own = ["--thinking_start", "<r>", "--thinking_close", "</r>"]
    refused, *fields = arguments(tmp_path / "run", "--model_name_or_path", str(folder), *own)
    with pytest.raises(ValueError, match="no row in its embeddings: <r>, </r>. Set `missing_tokens: add`"):
        check(read_recipe(refused, fields))
    own += ["--missing_tokens", "add"]
    recipe, *overrides = arguments(tmp_path / "run", "--model_name_or_path", str(folder), *own)
    prepared = check(read_recipe(recipe, overrides)).prepared
    fmt = prepared.thinking_format
    assert (fmt.start_text, fmt.close_text, fmt.plain) == ("<r>", "</r>", False)
    trained = [i for i in prepared.rows[0]["labels"] if i >= 0] if "labels" in prepared.rows.column_names else None
    text = prepared.tokenizer.decode(trained or prepared.rows[0]["input_ids"])
    assert "<r>\n" in text and "\n</r>\n\n" in text and "<|im_start|>think" not in text
    prepared.tokenizer.save_pretrained(tmp_path / "saved")
    found = ThinkingFormat.from_tokenizer(AutoTokenizer.from_pretrained(tmp_path / "saved"))
    assert (found.start_text, found.close_text, found.force_start) == ("<r>", "</r>", False)


@pytest.mark.parametrize(
    ("own", "message"),
    [
        (["--thinking_start", "<r>"], "`thinking_start` and `thinking_close` need each other"),
        (["--thinking_start", "<r>", "--thinking_close", "</r>"], "needs delimiters that are one token each"),
    ],
)
def test_delimiters_that_cannot_be_trained_are_refused(tmp_path, own, message):
    recipe, *overrides = arguments(tmp_path / "run", *own)
    with pytest.raises(ValueError, match=message):
        check(read_recipe(recipe, overrides))


def test_columns_of_other_names_are_read_and_recorded(tmp_path):
    """`reply` is taken apart into trace and answer; the names are part of the source, so that a resume has them."""
    rows = [{"problem": f"{i}+1?", "generation": f"<think>\nOne\n</think>\n\n{i + 1}"} for i in range(4)]
    (tmp_path / "rows.jsonl").write_text("\n".join(map(json.dumps, rows)))
    own = ["--dataset_path", str(tmp_path / "rows.jsonl"), "--global_batch_size", "4"]
    own += ["--per_device_train_batch_size", "4", "--columns", '{"question": "problem", "reply": "generation"}']
    recipe, *overrides = arguments(tmp_path / "run", *own)
    prepared = check(read_recipe(recipe, overrides)).prepared
    assert prepared.source["columns"] == {"question": "problem", "reply": "generation"}
    text = prepared.tokenizer.decode(prepared.rows[3]["input_ids"])
    assert "user\n3+1?<|im_end|>" in text and "<|im_start|>think\nOne\n<|im_start|>answer\nAnswer: 4<|im_end|>" in text


def test_tags_of_several_tokens_are_trained_if_requested_and_what_that_means_is_said(tmp_path, caplog):
    tags = ["--thinking_format", "think", "--missing_tokens", "split"]
    recipe, *overrides = arguments(tmp_path / "run", *tags)
    with caplog.at_level("INFO", logger="s1_hf"):
        prepared = check(read_recipe(recipe, overrides)).prepared
    assert prepared.thinking_format.plain and not prepared.new_tokens.pieces
    assert "'</think>' is several tokens here: the thinking of the trained model can be capped" in caplog.text
    prepared.tokenizer.save_pretrained(tmp_path / "saved")
    assert ThinkingFormat.from_tokenizer(AutoTokenizer.from_pretrained(tmp_path / "saved")).name == "think"


@pytest.mark.parametrize("name", ["magistral", "seed", "openthinker"])
def test_split_delimiters_of_a_family_are_found_again_in_the_saved_folder(tmp_path, name):
    split = ["--thinking_format", name, "--missing_tokens", "split"]
    recipe, *overrides = arguments(tmp_path / "run", *split)
    prepared = check(read_recipe(recipe, overrides)).prepared
    prepared.tokenizer.save_pretrained(tmp_path / "saved")
    found = ThinkingFormat.from_tokenizer(AutoTokenizer.from_pretrained(tmp_path / "saved"))
    assert found == prepared.thinking_format and found.name == name and found.plain


def test_delimiters_that_cannot_be_split_are_refused(tmp_path):
    """Those of gpt-oss begin with the same plain letters, and thinking may open again."""
    recipe, *overrides = arguments(tmp_path / "run", "--thinking_format", "harmony", "--missing_tokens", "split")
    with pytest.raises(ValueError, match="begin with the same token"):
        check(read_recipe(recipe, overrides))


def test_a_base_without_template_end_of_turn_and_padding_gets_them(tmp_path):
    model, tokenizer = embedded.load_base()
    tokenizer.chat_template, tokenizer.eos_token, tokenizer.pad_token = None, "<|endoftext|>", None
    tokenizer.bos_token = "<|endoftext|>"
    for part in (model, tokenizer):
        part.save_pretrained(tmp_path / "base")
    base = ["--model_name_or_path", str(tmp_path / "base")]
    recipe, *overrides = arguments(tmp_path / "run", *base)
    with pytest.raises(ValueError, match="has no chat template. Set `chat_template_path` to .*`chatml`"):
        check(read_recipe(recipe, overrides))
    overrides += ["--chat_template_path", "llama3", "--missing_tokens", "add", "--padding_token", "<|pad|>"]
    with pytest.raises(ValueError, match=r"the end of turn '.*, but ends .*: set `eos_token` to '<\|eot_id\|>'"):
        check(read_recipe(recipe, overrides))
    prepared = check(read_recipe(recipe, [*overrides, "--eos_token", "<|eot_id|>"])).prepared
    added = prepared.tokenizer.convert_ids_to_tokens(prepared.new_tokens.ids)
    assert added == ["<|pad|>", "<|eot_id|>", "<|start_header_id|>", "<|end_header_id|>"]
    assert (prepared.tokenizer.eos_token, prepared.tokenizer.pad_token) == ("<|eot_id|>", "<|pad|>")
    assert prepared.tokenizer.decode(prepared.rows[0]["input_ids"][-1:]) == "<|eot_id|>"
