"""A budget in the model's folder: stock `generate` and pipelines keep it; `tests/evaluation` tests lighteval."""

from __future__ import annotations

import shutil

import pytest
from transformers import AutoModelForCausalLM, AutoTokenizer, pipeline

from s1_hf import LoopGuard, ThinkingFormat, budget_forcing, embedded, export_custom_generate, generate, sweep
from s1_hf.embedded.problems import held_out_sample

(QUESTION,) = (problem.question for problem in held_out_sample(1, seed=5))


@pytest.fixture
def folder(tmp_path):
    return shutil.copytree(embedded.MODEL_PATH, tmp_path / "model")


def load(folder):
    return AutoModelForCausalLM.from_pretrained(folder, trust_remote_code=True, dtype="float32")


def ask(tokenizer, question: str) -> dict:
    chat = [{"role": "user", "content": question}]
    return tokenizer.apply_chat_template(chat, add_generation_prompt=True, return_tensors="pt", return_dict=True)


def test_stock_generate_has_the_budget(folder):
    export_custom_generate(folder, max_thinking_tokens=20, num_ignores=1)
    model, tokenizer = load(folder), AutoTokenizer.from_pretrained(folder)
    inputs = ask(tokenizer, QUESTION)
    out = model.generate(**inputs, max_new_tokens=200)[0, inputs["input_ids"].shape[1] :]
    (expected,) = generate(*embedded.load(), QUESTION, max_thinking_tokens=20, num_ignores=1, max_new_tokens=200)
    assert out.tolist() == list(expected.token_ids)
    assert "Final Answer:" in tokenizer.decode(out)


def test_a_call_may_say_otherwise(folder):
    export_custom_generate(folder, max_thinking_tokens=20)
    model, tokenizer = load(folder), AutoTokenizer.from_pretrained(folder)
    inputs = ask(tokenizer, QUESTION)
    out = model.generate(inputs["input_ids"], max_thinking_tokens=None, num_ignores=1, max_new_tokens=300)
    (expected,) = generate(*embedded.load(), QUESTION, num_ignores=1, max_new_tokens=300)
    assert out[0, inputs["input_ids"].shape[1] :].tolist() == list(expected.token_ids)


def test_a_model_that_did_not_trust_the_folder_can_name_it(folder):
    export_custom_generate(folder, max_thinking_tokens=20)
    model, tokenizer = embedded.load()
    inputs = ask(tokenizer, QUESTION)
    out = model.generate(**inputs, custom_generate=str(folder), trust_remote_code=True, max_new_tokens=200)
    assert "Final Answer:" in tokenizer.decode(out[0])
    assert "Final Answer:" not in tokenizer.decode(model.generate(**inputs, max_new_tokens=200)[0])


def test_pipelines_have_the_budget(folder):
    export_custom_generate(folder, max_thinking_tokens=20)
    pipe = pipeline("text-generation", str(folder), trust_remote_code=True, dtype="float32", device="cpu")
    (out,) = pipe([{"role": "user", "content": QUESTION}], max_new_tokens=200)
    assert "Final Answer:" in out["generated_text"][-1]["content"]


def test_formats_and_guards_are_written_down(folder):
    tokenizer = AutoTokenizer.from_pretrained(folder)
    own = ThinkingFormat.from_delimiters(tokenizer, start="<|im_start|>think", close="<|im_start|>answer")
    export_custom_generate(folder, format=own, loop_guard=LoopGuard(max_period=4), max_thinking_tokens="auto")
    model, inputs = load(folder), ask(tokenizer, QUESTION)
    assert "<|im_start|>answer" in tokenizer.decode(model.generate(**inputs, max_new_tokens=300)[0])


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"max_thinking_tokns": 5}, "`max_thinking_tokns` is not an argument. Did you mean `max_thinking_tokens`"),
        ({"max_thinking_tokens": [5, 6]}, "one value each, not one per prompt"),
        ({"num_ignores": -1}, "`num_ignores` has to be an integer of at least 0"),
        ({"format": "harmony"}, "as single tokens"),
    ],
)
def test_bad_settings_write_nothing(folder, settings, message):
    with pytest.raises(ValueError, match=message):
        export_custom_generate(folder, **settings)
    assert not (folder / "custom_generate").exists()


def test_a_folder_without_a_model_is_refused(tmp_path):
    with pytest.raises(ValueError, match="has no config.json"):
        export_custom_generate(tmp_path)


def test_a_call_with_a_budget_of_its_own_is_not_overridden_by_the_folders(folder):
    export_custom_generate(folder, max_thinking_tokens=20)
    model, tokenizer = AutoModelForCausalLM.from_pretrained(folder, trust_remote_code=True), embedded.load()[1]
    plain = embedded.load()[0]
    question = embedded.Problem(2, 7, 3, 8).question
    options = {"num_ignores": 1, "max_new_tokens": 300}
    assert generate(model, tokenizer, question, **options) == generate(plain, tokenizer, question, **options)
    grid = {"max_thinking_tokens": [16, None], "max_new_tokens": 300}
    one, other = (sweep(each, tokenizer, question, **grid).completions for each in (model, plain))
    assert one == other
    chat = [{"role": "user", "content": question}]
    inputs = tokenizer.apply_chat_template(chat, add_generation_prompt=True, return_tensors="pt", return_dict=True)
    outputs = [each.generate(**inputs, **budget_forcing(each, tokenizer, **options)) for each in (model, plain)]
    assert outputs[0].equal(outputs[1])
