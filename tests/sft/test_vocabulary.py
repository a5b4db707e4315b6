"""Tokens that a run adds: which, what their rows begin with, and what would leave them untrained."""

import json
import shutil
from pathlib import Path

import pytest

pytest.importorskip("trl")
pytest.importorskip("peft")
pytest.importorskip("datasets")

import torch
from training_runs import arguments, largest_difference, weights
from transformers import (
    AutoConfig,
    AutoModelForCausalLM,
    AutoTokenizer,
    LlamaConfig,
    LlamaForCausalLM,
    PhiConfig,
    PhiForCausalLM,
)
from trl import ModelConfig

from s1_hf import ThinkingFormat, embedded
from s1_hf.sft import vocabulary
from s1_hf.sft.checking import check
from s1_hf.sft.recipe import read_recipe
from s1_hf.sft.run import Refused, train
from s1_hf.sft.run import start as command
from s1_hf.sft.vocabulary import (
    NewTokens,
    add_tokens,
    give_rows,
    grown,
    peft_config_for,
    refuse_spread,
    vocabulary_faults,
)
from shared_data import SHARED, needs_shared, qwen
from toys import byte_tokenizer

SHAPE = {"hidden_size": 8, "intermediate_size": 8, "num_hidden_layers": 1, "num_attention_heads": 1}


def llama(tokenizer, rows: int | None = None, tied: bool = False) -> LlamaForCausalLM:
    torch.manual_seed(0)
    config = LlamaConfig(vocab_size=rows or len(tokenizer), num_key_value_heads=1, tie_word_embeddings=tied, **SHAPE)
    return LlamaForCausalLM(config)


@pytest.fixture
def tokenizer():
    return byte_tokenizer(["<|im_end|>"])


def pieces(tokenizer, text: str) -> list[int]:
    return tokenizer.encode(text, add_special_tokens=False)


@pytest.mark.parametrize("tied", [True, False])
def test_a_new_row_is_the_mean_of_its_texts_pieces_in_both_embeddings(tokenizer, tied):
    opening, closing = pieces(tokenizer, "<think>"), pieces(tokenizer, "</think>")
    model = llama(tokenizer, tied=tied)
    inputs, outputs = model.get_input_embeddings().weight.clone(), model.get_output_embeddings().weight.clone()
    rows = len(tokenizer)
    new = add_tokens(tokenizer, ["<think>", "</think>"], model.config)
    assert new.pieces == {rows: tuple(opening), rows + 1: tuple(closing)} and new.rows == -(-(rows + 2) // 64) * 64
    give_rows(model, new)
    for before, now in ((inputs, model.get_input_embeddings()), (outputs, model.get_output_embeddings())):
        torch.testing.assert_close(now.weight[:rows], before)
        torch.testing.assert_close(now.weight[rows], before[opening].mean(0))
        torch.testing.assert_close(now.weight[rows + 1], before[closing].mean(0))
        torch.testing.assert_close(now.weight[rows + 2 :], before.mean(0).expand(new.rows - rows - 2, -1))
    assert (model.get_output_embeddings().weight is model.get_input_embeddings().weight) is tied
    assert model.config.vocab_size == new.rows
    assert grown(LlamaConfig(vocab_size=rows), new).vocab_size == new.rows


def test_rows_that_are_there_already_are_used_and_nothing_grows(tokenizer, caplog):
    model = llama(tokenizer, rows=len(tokenizer) + 9)
    new = add_tokens(tokenizer, ["<think>"], model.config)
    with caplog.at_level("INFO", logger="s1_hf"):
        vocabulary.say(new, tokenizer, model.config)
    assert new.rows is None and grown(model.config, new) is model.config
    assert f"have {model.config.vocab_size} rows already, and stay as they are" in caplog.text
    before = model.get_input_embeddings().weight.clone()
    give_rows(model, new)
    (i,) = new.ids
    changed = (model.get_input_embeddings().weight != before).any(1).nonzero().flatten().tolist()
    assert changed == [i]


def test_the_bias_of_the_output_has_an_entry_too(tokenizer):
    model = PhiForCausalLM(PhiConfig(vocab_size=len(tokenizer), **SHAPE))
    torch.nn.init.normal_(model.lm_head.bias)
    bias, found = model.lm_head.bias.clone(), pieces(tokenizer, "<r>")
    new = add_tokens(tokenizer, ["<r>"], model.config)
    give_rows(model, new)
    torch.testing.assert_close(model.lm_head.bias[new.ids[0]], bias[found].mean())


def test_bars_make_a_special_token(tokenizer):
    add_tokens(tokenizer, ["<think>", "<|im_start|>"], LlamaConfig(vocab_size=len(tokenizer)))
    ids = tokenizer.convert_tokens_to_ids(["<think>", "<|im_start|>"])
    assert tokenizer.decode(ids, skip_special_tokens=True) == "<think>"
    assert tokenizer.encode("a<think>\n<|im_start|>", add_special_tokens=False)[1::2] == ids


def test_tokens_that_somebody_added_without_rows_are_new_as_well(tokenizer):
    rows = len(tokenizer)
    tokenizer.add_tokens(["<r>"])
    new = add_tokens(tokenizer, [], LlamaConfig(vocab_size=rows))
    assert new.pieces == {rows: tuple(pieces(tokenizer, "<") + pieces(tokenizer, "r") + pieces(tokenizer, ">"))}
    assert new.rows is not None


def test_a_tag_is_taken_apart_into_words(tokenizer):
    """Byte-pair encoding would cut through them: `<t`, `h`, ..."""
    ours = byte_tokenizer(["<|im_end|>"], words=["<t", "think"])
    assert ours.decode(pieces(ours, "<think>")[:1]) == "<t"
    new = add_tokens(ours, ["<think>"], LlamaConfig(vocab_size=len(ours)))
    assert [ours.decode([i]) for i in new.pieces[new.ids[0]]] == ["<", "think", ">"]


def test_pieces_that_are_unknown_are_left_out_and_without_any_the_mean_of_all_is_taken(tokenizer):
    model = llama(tokenizer)
    tokenizer.unk_token = "<|pad|>"
    weight = model.get_input_embeddings().weight.clone()
    give_rows(model, NewTokens({len(tokenizer): ()}, 512, len(tokenizer)))
    torch.testing.assert_close(model.get_input_embeddings().weight[len(tokenizer)], weight.mean(0))


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16])
def test_a_row_that_would_not_be_finite_is_refused(tokenizer, dtype):
    model = llama(tokenizer).to(dtype)
    new = add_tokens(tokenizer, ["<think>"], model.config)
    model.get_output_embeddings().weight.data[new.pieces[new.ids[0]][0], 3] = float("nan")
    with pytest.raises(ValueError, match=r"row of the new token \d+ would not be finite, because those of its pieces"):
        give_rows(model, new)


def test_a_process_that_is_sent_its_weights_later_judges_none(tokenizer, monkeypatch):
    """With FSDP, only one process of a machine has read them."""
    model = llama(tokenizer)
    model.get_input_embeddings().weight.data.fill_(float("nan"))
    new = add_tokens(tokenizer, ["<think>"], model.config)
    monkeypatch.setattr(vocabulary, "is_fsdp_enabled", lambda: True)
    monkeypatch.setattr(vocabulary, "PartialState", lambda: type("Second", (), {"is_local_main_process": False}))
    give_rows(model, new)
    assert model.config.vocab_size == new.rows


def test_weights_that_are_spread_while_they_are_loaded_are_refused(monkeypatch):
    refuse_spread()
    monkeypatch.setattr(vocabulary, "is_deepspeed_zero3_enabled", lambda: True)
    with pytest.raises(ValueError, match="not supported with DeepSpeed ZeRO-3"):
        refuse_spread()


def adapter(**fields) -> ModelConfig:
    return ModelConfig(**{"use_peft": True, "lora_r": 2, "lora_target_modules": ["q_proj"]} | fields)


def faults(config, model_args, rows: int | None = 448, merge: bool = True) -> list[str]:
    return vocabulary_faults(NewTokens({440: (1,)}, rows, 440), config, model_args, merge)


def config(tied: bool = False, **more) -> LlamaConfig:
    return LlamaConfig(vocab_size=440, num_key_value_heads=1, tie_word_embeddings=tied, **SHAPE | more)


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"merge": False}, "an adapter alone would not fit its base any more: set `merge_adapter`"),
        (
            {"model_args": ModelConfig(use_peft=True, lora_target_modules=["q_proj", "embed_tokens"])},
            "Leave model.embed",
        ),
        (
            {"config": config(tied=True), "model_args": adapter(lora_modules_to_save=["lm_head"])},
            "Leave lm_head out of",
        ),
        ({"config": PhiConfig(vocab_size=440, **SHAPE)}, "The output embeddings have a bias"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_adapters_that_would_not_train_new_rows_are_refused(given, said):
    good = {"config": config(), "model_args": adapter()}
    assert faults(**good) == faults(**good, rows=None, merge=False) == []
    (fault,) = faults(**good | given)
    assert said in fault


def test_rows_elsewhere_in_a_model_cannot_grow(monkeypatch):
    """As Gemma 3n has them, for each layer."""
    model = LlamaForCausalLM(config())
    model.model.embed_tokens_per_layer = torch.nn.Embedding(440, 3)
    monkeypatch.setattr(vocabulary, "skeleton", lambda config: model)
    (fault,) = faults(config(), ModelConfig())
    assert "keeps more rows of each token than its embeddings (model.embed_tokens_per_layer.weight)" in fault
    assert faults(config(), ModelConfig(), rows=None) == []


@pytest.mark.parametrize(
    ("tied", "saved", "places"),
    [
        (True, None, ["model.embed_tokens"]),
        (False, None, ["model.embed_tokens", "lm_head"]),
        (False, ["lm_head"], ["model.embed_tokens"]),
    ],
)
def test_an_adapter_trains_the_new_rows_wherever_they_are(tokenizer, tied, saved, places):
    model = llama(tokenizer, tied=tied)
    new = add_tokens(tokenizer, ["<think>"], model.config)
    give_rows(model, new)
    found = peft_config_for(model, adapter(lora_modules_to_save=saved), new)
    assert found.trainable_token_indices == {place: new.ids for place in places}
    assert peft_config_for(model, adapter(), NewTokens()).trainable_token_indices is None
    assert peft_config_for(model, ModelConfig(), new) is None


@needs_shared
def test_qwens_padded_rows_suffice_for_think_tags():
    """151,665 tokens in 152,064 rows."""
    ours = qwen("qwen2.5-instruct")
    ours = type(ours).from_pretrained(SHARED / "tokenizers/qwen2.5-instruct")
    new = add_tokens(ours, ["<think>", "</think>"], AutoConfig.from_pretrained(SHARED / "tokenizers/qwen2.5-instruct"))
    assert new.rows is None and new.ids == [151665, 151666]
    assert [ours.convert_ids_to_tokens(list(found)) for found in new.pieces.values()] == [
        ["<", "think", ">"],
        ["</", "think", ">"],
    ]


ADDED = ["--thinking_format", "think", "--missing_tokens", "add"]


@pytest.fixture(scope="module")
def rows(tmp_path_factory) -> str:
    """Eight short rows."""
    text = (embedded.BASE_PATH.parent / "train.jsonl").read_text().splitlines()
    file = tmp_path_factory.mktemp("rows") / "rows.jsonl"
    file.write_text("\n".join(sorted(text, key=len)[:8]))
    return str(file)


def few(folder: Path, rows: str, *more: str) -> list[str]:
    """Two steps of two rows, with tags that the vocabulary lacks."""
    steps = ["--max_steps", "2", "--save_steps", "1", "--global_batch_size", "2", "--per_device_train_batch_size", "2"]
    return [*arguments(folder, *steps, "--dataset_path", rows, "--warmup_steps", "0", *ADDED), *more]


def run(folder: Path, rows: str, *more: str) -> Path:
    recipe, *overrides = few(folder, rows, *more)
    train(check(read_recipe(recipe, overrides)))
    return folder


@pytest.fixture(scope="module")
def grown_run(tmp_path_factory, rows) -> Path:
    """The folder of a finished run."""
    return run(tmp_path_factory.mktemp("grown") / "run", rows)


def test_the_saved_folder_has_tokens_rows_and_format(grown_run):
    base, _ = embedded.load_base()
    for folder in (grown_run, grown_run / "checkpoint-1"):
        model, ours = AutoModelForCausalLM.from_pretrained(folder), AutoTokenizer.from_pretrained(folder)
        found = ThinkingFormat.from_tokenizer(ours)
        assert (found.name, found.start, found.close) == ("think", (432,), (433,)) and not found.plain
        assert model.get_input_embeddings().weight.shape == (448, base.config.hidden_size)
        assert model.get_output_embeddings().weight is model.get_input_embeddings().weight
        assert model.config.vocab_size == 448 and len(ours) == 434


def test_a_run_that_was_killed_after_it_had_grown_resumes_to_the_same_weights(grown_run, rows, tmp_path):
    folder = tmp_path / "run"
    shutil.copytree(grown_run, folder, ignore=shutil.ignore_patterns("_lock*", "checkpoint-2"))
    (folder / "model.safetensors").unlink()
    journal = json.loads((folder / "s1_run.json").read_text())
    (folder / "s1_run.json").write_text(json.dumps(journal | {"finished": False}))
    run(folder, rows)
    assert largest_difference(weights(folder), weights(grown_run)) == 0


def test_a_run_that_was_killed_while_it_grew_starts_again(grown_run, rows, tmp_path, monkeypatch):
    """Nothing has been written by then that would be taken for anything."""

    def kill(*args):
        raise KeyboardInterrupt

    with monkeypatch.context() as patched, pytest.raises(KeyboardInterrupt):
        patched.setattr("s1_hf.sft.run.give_rows", kill)
        run(tmp_path / "run", rows)
    run(tmp_path / "run", rows)
    assert largest_difference(weights(tmp_path / "run"), weights(grown_run)) == 0


def test_what_was_trained_is_trained_on_with_nothing_to_add(grown_run, rows, tmp_path, caplog):
    more = ["--model_name_or_path", str(grown_run), "--dry_run", "true"]
    recipe, *overrides = few(tmp_path / "run", rows, *more)
    with caplog.at_level("INFO", logger="s1_hf"):
        assert check(read_recipe(recipe, overrides)).prepared.new_tokens == NewTokens()
    assert "has nothing to add" in caplog.text


def test_a_base_whose_pieces_are_not_finite_is_refused_before_training(rows, tmp_path):
    model, ours = embedded.load_base()
    model.get_input_embeddings().weight.data[ours.encode("think")[0]] = float("nan")
    for part in (model, ours):
        part.save_pretrained(tmp_path / "base")
    recipe, *overrides = few(tmp_path / "run", rows, "--model_name_or_path", str(tmp_path / "base"))
    with pytest.raises(Refused, match="row of the new token 432 would not be finite"):
        command(recipe, overrides)
    assert not list((tmp_path / "run").glob("checkpoint-*"))


LORA = ["--use_peft", "true", "--lora_r", "2", "--lora_target_modules", "q_proj", "v_proj"]


def padded(folder: Path, tied: bool) -> str:
    """The base with rows to spare, as published models have them; they hold nothing that was trained."""
    model, ours = embedded.load_base()
    model.resize_token_embeddings(448, mean_resizing=False)
    if not tied:
        model.config.tie_word_embeddings = False
        model.lm_head.weight = torch.nn.Parameter(model.lm_head.weight.detach().clone())
    for part in (model, ours):
        part.save_pretrained(folder)
    return str(folder)


@pytest.mark.parametrize("tied", [True, False])
def test_an_adapter_trains_and_keeps_the_new_rows_and_no_others(rows, tmp_path, tied):
    base = padded(tmp_path / "base", tied)
    folder = run(tmp_path / "run", rows, *LORA, "--model_name_or_path", base, "--learning_rate", "0.01")
    before, now = AutoModelForCausalLM.from_pretrained(base), AutoModelForCausalLM.from_pretrained(folder)
    assert ThinkingFormat.from_tokenizer(AutoTokenizer.from_pretrained(folder)).start == (432,)
    begun = AutoModelForCausalLM.from_pretrained(base)
    give_rows(begun, check(read_recipe(*_as_read(few(tmp_path / "other", rows)))).prepared.new_tokens)
    for part in ("get_input_embeddings", "get_output_embeddings"):
        old, first, trained = (getattr(model, part)().weight for model in (before, begun, now))
        changed = (trained != old).any(1).nonzero().flatten().tolist()
        assert changed == [432, 433] and (trained[432:434] != first[432:434]).any(1).all()
    resumed = shutil.copytree(folder, tmp_path / "resumed", ignore=shutil.ignore_patterns("_lock*", "checkpoint-2"))
    journal = json.loads((resumed / "s1_run.json").read_text())
    (resumed / "s1_run.json").write_text(json.dumps(journal | {"finished": False}))
    run(resumed, rows, *LORA, "--model_name_or_path", base, "--learning_rate", "0.01")
    ends = [(path / "adapter_model.safetensors").read_bytes() for path in (folder, resumed)]
    assert ends[0] == ends[1]


def _as_read(words: list[str]) -> tuple[str, list[str]]:
    return words[0], words[1:]


def test_an_adapter_of_a_grown_model_is_merged_into_one_that_loads(rows, tmp_path):
    more = [*LORA, "--merge_adapter", "true", "--save_strategy", "no", "--learning_rate", "0.01"]
    folder = run(tmp_path / "run", rows, *more) / "merged"
    model, ours = AutoModelForCausalLM.from_pretrained(folder), AutoTokenizer.from_pretrained(folder)
    assert ThinkingFormat.from_tokenizer(ours).start == (432,)
    weight = model.get_input_embeddings().weight
    assert weight.shape[0] == 448 and weight is model.get_output_embeddings().weight
    assert (weight[432] != weight[433]).any() and torch.equal(weight[434], weight[447])
