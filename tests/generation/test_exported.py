"""`generate` of an exported folder, called in every way that stock code does."""

from __future__ import annotations

import json
import shutil
from concurrent.futures import Future

import pytest
from transformers import AutoModelForCausalLM, GenerationConfig, LogitsProcessorList, pipeline

from s1_hf import Budget, embedded, export_custom_generate, generate
from s1_hf.generation import exported
from s1_hf.generation.exported import Expected, expecting, said_by

QUESTION = embedded.Problem(2, 7, 3, 8).question
SHORT = {"max_thinking_tokens": 16, "max_new_tokens": 200}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = shutil.copytree(embedded.MODEL_PATH, tmp_path_factory.mktemp("exported") / "model")
    export_custom_generate(folder, num_ignores=1)
    return folder


@pytest.fixture
def model(folder):
    return AutoModelForCausalLM.from_pretrained(folder, trust_remote_code=True, dtype="float32")


@pytest.fixture(scope="module")
def tokenizer():
    return embedded.load()[1]


@pytest.fixture(scope="module")
def inputs(tokenizer):
    chat = [{"role": "user", "content": QUESTION}]
    return tokenizer.apply_chat_template(chat, add_generation_prompt=True, return_tensors="pt", return_dict=True)


@pytest.fixture(scope="module")
def expected():
    model, tokenizer = embedded.load()
    return lambda **budget: list(generate(model, tokenizer, QUESTION, **budget)[0].token_ids)


def new(outputs, inputs) -> list[int]:
    return outputs[0, inputs["input_ids"].shape[1] :].tolist()


def test_a_budget_is_the_same_by_keyword_in_a_configuration_and_in_the_models_own(model, inputs, expected):
    same = expected(num_ignores=1, **SHORT)
    assert new(model.generate(**inputs, **SHORT), inputs) == same
    assert new(model.generate(**inputs, generation_config=GenerationConfig(**SHORT)), inputs) == same
    assert new(model.generate(inputs["input_ids"], GenerationConfig(**SHORT)), inputs) == same
    model.generation_config.max_thinking_tokens = 16
    assert new(model.generate(**inputs, max_new_tokens=200), inputs) == same
    assert new(model.generate(**inputs, generation_config=GenerationConfig(max_new_tokens=200)), inputs) == same


def test_keywords_count_before_the_configuration_and_this_before_the_models_own(model, inputs, expected):
    model.generation_config.max_thinking_tokens = 5
    config = GenerationConfig(max_thinking_tokens=7, num_ignores=0, max_new_tokens=200)
    assert new(model.generate(**inputs, generation_config=config), inputs) == expected(
        max_thinking_tokens=7, max_new_tokens=200
    )
    out = model.generate(**inputs, generation_config=config, max_thinking_tokens=16)
    assert new(out, inputs) == expected(**SHORT)
    out = model.generate(**inputs, generation_config=config, max_thinking_tokens=None)
    assert new(out, inputs) == expected(max_new_tokens=200)
    out = model.generate(**inputs, generation_config=config, budget=Budget(max_thinking_tokens=16))
    assert new(out, inputs) == expected(**SHORT)


def test_a_configuration_as_a_server_reads_it_may_say_none_by_an_empty_text(model, inputs, expected):
    config = GenerationConfig(max_thinking_tokens="", wait_text="", loop_guard=True, max_new_tokens=300)
    out = model.generate(**inputs, generation_config=config)
    assert new(out, inputs) == expected(num_ignores=1, wait_text=None, max_new_tokens=300)


def test_a_folders_setting_that_cannot_act_in_a_call_is_left_out(folder, tmp_path, inputs, expected):
    capped = shutil.copytree(folder, tmp_path / "capped")
    export_custom_generate(capped, max_thinking_tokens=16, cut_text="Time is up.\n")
    model = AutoModelForCausalLM.from_pretrained(capped, trust_remote_code=True, dtype="float32")
    out = model.generate(**inputs, max_thinking_tokens=None, max_new_tokens=200)
    assert new(out, inputs) == expected(max_new_tokens=200)
    with pytest.raises(ValueError, match="`cut_text` has no effect without"):
        model.generate(**inputs, max_thinking_tokens=None, cut_text="Now.")


@pytest.mark.parametrize("how", ["argument", "configuration", "the model's own"])
def test_stop_strings_find_their_tokenizer(model, tokenizer, inputs, how):
    if how == "argument":
        out = model.generate(**inputs, **SHORT, stop_strings=["Final"], tokenizer=tokenizer)
    elif how == "configuration":
        out = model.generate(**inputs, generation_config=GenerationConfig(**SHORT, stop_strings=["Final"]))
    else:
        model.generation_config.stop_strings = ["Final"]
        out = model.generate(**inputs, **SHORT)
    assert tokenizer.decode(new(out, inputs)).endswith("Final")


def test_arguments_may_stand_in_their_order(model, inputs, expected):

    out = model.generate(inputs["input_ids"], None, LogitsProcessorList([lambda ids, scores: scores]), **SHORT)
    assert new(out, inputs) == expected(num_ignores=1, **SHORT)


def test_a_processor_of_several_kinds_of_input_gives_its_tokenizer(model, tokenizer, inputs, expected):
    both = type("Processor", (), {"tokenizer": tokenizer})()
    assert new(model.generate(**inputs, **SHORT, tokenizer=both), inputs) == expected(num_ignores=1, **SHORT)


def test_a_pipeline_takes_budgets_as_keywords_and_in_a_configuration(folder):
    pipe = pipeline("text-generation", str(folder), trust_remote_code=True, dtype="float32", device="cpu")
    chat = [{"role": "user", "content": QUESTION}]
    (by_keyword,) = pipe(chat, **SHORT)
    (in_config,) = pipe(chat, generation_config=GenerationConfig(**SHORT))
    assert by_keyword == in_config and "Final Answer:" in by_keyword["generated_text"][-1]["content"]
    (stopped,) = pipe(chat, **SHORT, stop_strings=["Final"], tokenizer=pipe.tokenizer)
    assert stopped["generated_text"][-1]["content"].endswith("Final")


WRONG = [
    ({"max_thinking_tokns": 5}, "`max_thinking_tokns` is not an argument. Did you mean `max_thinking_tokens`"),
    ({"thinking_budget": 5}, "`thinking_budget` is no setting of `generation_config`"),
    ({"thinking_token_budget": 5}, "`thinking_token_budget` is no setting of `generation_config`"),
    ({"reasoning_effort": "low"}, "`reasoning_effort` is no setting of `generation_config`"),
    ({"max_thinking_tokens": -1}, "`max_thinking_tokens` has to be an integer of at least 0"),
    ({"max_thinking_tokens": [5, 6]}, "`max_thinking_tokens` has to be one number for a request"),
    ({"min_thinking_tokens": 500, "max_new_tokens": 100}, "`min_thinking_tokens` has to fit"),
    ({"max_thinking_tokens": "auto", "max_new_tokens": 20}, "has to leave room for delimiters"),
    ({"wait_text": "<|im_end|>"}, "has to be free of delimiters"),
]


@pytest.mark.parametrize(("said", "message"), WRONG, ids=str)
def test_what_is_wrong_in_a_configuration_is_refused_before_the_model_is_run(model, inputs, said, message, monkeypatch):
    monkeypatch.setattr(type(model), "forward", lambda *args, **kwargs: pytest.fail("The model was run."))
    with pytest.raises(ValueError, match=message):
        model.generate(**inputs, generation_config=GenerationConfig(**said))


@pytest.mark.parametrize("name", ["max_thinking_token", "thinking_budget", "reasoning_effort"])
def test_so_is_what_is_wrong_in_the_models_own(model, inputs, monkeypatch, name):
    monkeypatch.setattr(type(model), "forward", lambda *args, **kwargs: pytest.fail("The model was run."))
    setattr(model.generation_config, name, 5)
    for given in ({}, {"generation_config": GenerationConfig(**SHORT)}):
        with pytest.raises(ValueError, match=f"`{name}` is no"):
            model.generate(**inputs, **given)


OWN = [
    ({"max_thinking_token": 5}, "Did you mean `max_thinking_tokens`"),
    ({"thinking_budget": 5}, "`thinking_budget` is no setting of `generation_config`"),
    ({"max_thinking_tokens": "5"}, "`max_thinking_tokens` has to be an integer of at least 0"),
    ({"num_ignores": -1}, "`num_ignores` has to be"),
    ({"max_answer_tokens": 0}, "`max_answer_tokens` has to be"),
    ({"wait_text": 5}, "`wait_text`"),
]


@pytest.mark.parametrize(("said", "message"), OWN, ids=str)
def test_what_is_wrong_in_the_models_own_file_is_refused_with_the_file(tmp_path, said, message):
    (tmp_path / "generation_config.json").write_text(json.dumps(said))
    with pytest.raises(ValueError, match=rf"generation_config\.json: .*{message}"):
        said_by(tmp_path)


def test_what_is_right_there_is_read(tmp_path):
    assert said_by(tmp_path) == {}
    said = {"max_thinking_tokens": "auto", "answer_stop_strings": ["x"], "eos_token_id": 3, "loop_guard": True}
    (tmp_path / "generation_config.json").write_text(json.dumps(said))
    assert said_by(tmp_path) == {name: said[name] for name in said if name != "eos_token_id"}


def test_other_attributes_of_a_configuration_are_left_alone(model, inputs):
    config = GenerationConfig(max_new_tokens=5, user_token_id=3)
    assert model.generate(**inputs, generation_config=config).shape[1] == inputs["input_ids"].shape[1] + 5


def test_in_a_server_a_refusal_has_status_400_and_a_text_that_fits_into_quotation_marks(model, inputs, monkeypatch):
    exceptions = pytest.importorskip("starlette.exceptions")
    monkeypatch.setattr(exported, "_is_served", lambda: True)
    with pytest.raises(exceptions.HTTPException) as caught:
        model.generate(**inputs, wait_text='say "a"\n<|im_end|>')
    assert caught.value.status_code == 400 and "free of delimiters" in caught.value.detail
    assert '"' not in str(caught.value).replace('\\"', "") and "\n" not in str(caught.value)


def test_in_a_server_its_own_limit_gives_way_to_the_context(model, inputs, expected, monkeypatch):
    """Which it gives to requests that do not say: 1,024, as much as the toy has in all."""
    config = GenerationConfig(max_new_tokens=1024)
    with pytest.raises(ValueError, match="has to leave room for the prompt"):
        model.generate(**inputs, generation_config=config)
    monkeypatch.setattr(exported, "_is_served", lambda: True)
    assert new(model.generate(**inputs, generation_config=config), inputs) == expected(num_ignores=1)
    assert config.max_new_tokens == 1024


def test_a_server_is_told_what_became_of_the_call_that_it_expects(model, inputs, expected):
    call = Expected(told=Future())
    with expecting("its key", call):
        model.generate(**inputs, generation_config=GenerationConfig(**SHORT, s1_hf_key="another"))
        assert not call.told.done()
        model.generate(**inputs, generation_config=GenerationConfig(**SHORT, s1_hf_key="its key"))
    told = call.told.result(0)
    assert told.token_ids == expected(num_ignores=1, **SHORT)
    assert told.report.thinking_tokens == 16 and len(told.states) == len(told.token_ids)


def test_a_call_that_goes_on_in_a_state_gives_the_rest(model, inputs):
    """As a sweep's branches do."""
    config = {"max_thinking_tokens": 40, "num_ignores": 0, "max_new_tokens": 200}
    whole, rest = Expected(told=Future()), Expected(told=Future())
    with expecting("a", whole):
        out = model.generate(**inputs, generation_config=GenerationConfig(**config, s1_hf_key="a"))
    told = whole.told.result(0)
    begun = inputs["input_ids"].shape[1] + 10
    rest = Expected(start=tuple(told.states[10].tolist()), steps=10, told=Future())
    with expecting("b", rest):
        model.generate(out[:, :begun], generation_config=GenerationConfig(**config, s1_hf_key="b"))
    assert rest.told.result(0).token_ids == told.token_ids[10:]


def test_seeds_of_expected_calls_repeat_their_draws(model, inputs):
    def ids(seed: int) -> list[int]:
        call = Expected(seed=seed, told=Future())
        with expecting("a", call):
            config = GenerationConfig(do_sample=True, temperature=2.0, max_new_tokens=200, s1_hf_key="a")
            model.generate(**inputs, generation_config=config)
        return call.told.result(0).token_ids

    assert ids(3) == ids(3)
    assert len({tuple(ids(seed)) for seed in range(4)}) > 1
