"""The model behind lighteval: what metrics see, what decides an answer, what is checked before weights are read."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

import pytest
import torch
import yaml

pytest.importorskip("lighteval")

from documents import lamps, stories
from lighteval.models.model_input import GenerationParameters
from lighteval.models.transformers.transformers_model import TransformersModel, TransformersModelConfig
from lighteval.tasks.prompt_manager import PromptManager
from lighteval.tasks.requests import Doc
from lighteval.utils.cache_management import SampleCache
from transformers import Qwen2ForCausalLM

from s1_hf import ThinkingFormat, embedded, generate
from s1_hf.engines.checkpoint import Checkpoint
from s1_hf.evaluation import BudgetForcingConfig, BudgetForcingModel
from s1_hf.tasks.mended import mended_lighteval
from toys import toy_tokenizer


@pytest.fixture
def no_weights(monkeypatch):
    """Reading weights is an error."""
    monkeypatch.setattr(Checkpoint, "load", lambda *args, **options: pytest.fail("the weights were read"))


def test_metrics_see_the_answer_and_the_rest_is_kept(config):
    (response,) = BudgetForcingModel(config(num_ignores=1)).greedy_until(lamps(1))
    sample = response.samples[0].completion
    assert response.text == [sample.answer] and sample.answer.startswith("Answer: ")
    assert response[0].final_text == response.text  # some of lighteval's metrics take a single sample this way
    assert response.reasonings == [sample.thinking] and "Wait" in sample.thinking
    assert sample.text.startswith("<|im_start|>think") and "<|im_start|>answer" in sample.text
    tokenizer = embedded.load()[1]
    assert tokenizer.decode(response.output_tokens[0]) == sample.text + "<|im_end|>"
    assert response.input == [{"role": "user", "content": lamps(1)[0].query}]


def test_stock_lighteval_loses_the_delimiters(config, tmp_path):
    """The trap: it decodes with `config.skip_special_tokens or True`."""
    stock = _stock(tmp_path, skip_special_tokens=False)
    (response,) = stock.greedy_until(lamps(1))
    assert "<|im_start|>" not in response.text[0]


def test_answers_and_reports_are_those_of_generate(config):
    docs = lamps(3)
    responses = BudgetForcingModel(config(max_thinking_tokens=40, num_ignores=1)).greedy_until(docs)
    model, tokenizer = embedded.load()
    for doc, response in zip(docs, responses, strict=True):
        (one,) = generate(model, tokenizer, doc.query, max_thinking_tokens=40, num_ignores=1, max_new_tokens=400)
        assert response.samples[0].completion == one


def test_prompts_are_lightevals(config):
    docs = [*lamps(1), Doc("2+2?", ["4"], 0, "Add. ", task_name="a|1", fewshot_samples=[Doc("1+1?", ["2"], 0)])]
    model = BudgetForcingModel(config(system_prompt="Be brief."))
    manager = PromptManager(True, model.tokenizer, "Be brief.")
    for doc in docs:
        expected = model.tokenizer(manager.prepare_prompt(doc), add_special_tokens=False)["input_ids"]
        assert list(model.on_tasks.prompt(model._input(doc))) == expected


@pytest.mark.parametrize("which", ["embedded", "random"])
def test_batches_of_one_and_of_eight_give_the_same_answers(config, which, random_model, tmp_path):
    """Greedy, float32, prompts of 70 to 350 tokens in one batch."""
    path = {"embedded": str(embedded.MODEL_PATH), "random": str(random_model)}[which]
    settings = {"model_name": path, "num_ignores": 2, "max_thinking_tokens": 60}
    one, eight = (
        BudgetForcingModel(config(**settings, batch_size=n, cache_dir=str(tmp_path / str(n)))).greedy_until(stories(9))
        for n in (1, 8)
    )
    assert [r.output_tokens for r in one] == [r.output_tokens for r in eight]
    assert len({len(r.input_tokens) for r in one}) > 4
    assert len({tuple(r.output_tokens[0]) for r in one}) > 4


def test_no_scores_are_kept(config, monkeypatch):
    """The trap: lighteval always asks for `output_scores`, one [batch, vocabulary] tensor a step."""
    calls = _spy(monkeypatch)
    BudgetForcingModel(config()).greedy_until(lamps(1))
    (call,) = calls
    assert not {"output_scores", "output_logits", "return_dict_in_generate"} & call.keys()
    assert not call["generation_config"].output_scores


def test_the_tokenizer_stays_as_it_was_saved(config):
    """The trap: lighteval sets `pad_token = eos_token`."""
    model = BudgetForcingModel(config())
    model.greedy_until(lamps(1))
    assert model.tokenizer.pad_token_id == 429 != model.tokenizer.eos_token_id


def test_nothing_of_the_models_sampling_settings_is_taken(config, tmp_path, monkeypatch):
    """Qwen2.5's folder, for one, asks for a repetition penalty, in greedy decoding too."""
    model, tokenizer = embedded.load()
    model.generation_config.update(
        do_sample=True, temperature=0.7, top_k=20, repetition_penalty=2.0, no_repeat_ngram_size=2
    )
    for part in (model, tokenizer):
        part.save_pretrained(tmp_path / "folder")
    plain, tuned = (
        BudgetForcingModel(c).greedy_until(lamps(2)) for c in (config(), config(model_name=str(tmp_path / "folder")))
    )
    assert [r.text for r in plain] == [r.text for r in tuned]


def test_budgets_are_in_lightevals_cache_key(config):
    """The trap: two budgets shared their answers."""
    settings = ({}, {"num_ignores": 1}, {"max_thinking_tokens": 9}, {"format": "s1"}, {"wait_text": "Hmm"})
    with mended_lighteval():
        keys = [SampleCache(config(**setting)).model_hash for setting in settings]
    assert len(set(keys)) == len(keys)


def test_two_budgets_share_no_answers(config):
    short, long = (BudgetForcingModel(config(num_ignores=n)).greedy_until(lamps(2)) for n in (0, 2))
    assert all(a.output_tokens != b.output_tokens for a, b in zip(short, long, strict=True))


def test_several_samples_of_greedy_decoding_are_refused_before_the_weights_are_read(config, no_weights):
    """The trap: lighteval raises in the middle of the run, with the model loaded."""
    with pytest.raises(ValueError, match="lamps wants 4 samples .* Set a `temperature` above 0"):
        BudgetForcingModel(config()).greedy_until(lamps(2, num_samples=4))


@pytest.mark.parametrize(
    ("settings", "size", "message"),
    [
        ({"max_thinking_tokens": 1000}, None, r"of 1,000, 9 tokens of delim.* 100 for the answer are \d+ more than"),
        ({"max_thinking_tokens": 300}, 400, r"are 9 more than the 400 tokens that `max_new_tokens` allows.* to 291\."),
        ({"max_new_tokens": 1020}, None, r"`max_new_tokens` of 1,020 are \d+ tokens beyond the context of 1,024"),
        ({"max_thinking_tokens": "auto"}, 60, r'"auto", 9 tokens .* are 49 more than the 60'),
        ({"min_thinking_tokens": 300}, 400, r"`min_thinking_tokens` of 300, .* are 9 more than the 400"),
        ({"max_thinking_tokens": 300, "max_length": 400}, None, r"more than the \d+ tokens that the context of 400"),
    ],
)
def test_a_budget_beyond_the_context_is_refused_with_its_excess(config, no_weights, settings, size, message):
    with pytest.raises(ValueError, match=message):
        BudgetForcingModel(config(**settings)).greedy_until(lamps(1, generation_size=size))


def test_the_largest_budget_that_fits_is_taken(config):
    (response,) = BudgetForcingModel(config(max_thinking_tokens=291)).greedy_until(lamps(1))
    assert response.samples[0].completion.report.ended == "natural"


def test_a_model_without_the_delimiters_is_refused_before_the_weights_are_read(config, tmp_path, no_weights):
    toy_tokenizer("think").save_pretrained(tmp_path / "folder")
    embedded.load()[0].config.save_pretrained(tmp_path / "folder")
    settings = config(model_name=str(tmp_path / "folder"), format="harmony")
    with pytest.raises(ValueError, match="'harmony' needs '<.start.>' .* as single tokens"):
        BudgetForcingModel(settings)


def test_no_model_at_all_is_refused(config, tmp_path):
    with pytest.raises(OSError, match="is no model: the folder has neither a config.json"):
        BudgetForcingModel(config(model_name=str(tmp_path)))


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"max_thinking_tokens": 5, "min_thinking_tokens": 6}, "`min_thinking_tokens` has to be at most"),
        ({"num_ignores": -1}, "num_ignores"),
        ({"early_stopping": True}, "`generation_parameters` has to be made of .* but has early_stopping"),
        ({"max_thinking_tokns": 5}, "max_thinking_tokns"),
    ],
)
def test_bad_settings_are_refused_when_built(config, settings, message):
    with pytest.raises(ValueError, match=message):
        config(**settings)


def test_log_likelihoods_are_refused(config):
    with pytest.raises(ValueError, match="Run lamps.0 with `lighteval accelerate`"):
        BudgetForcingModel(config()).loglikelihood(lamps(1))


def test_a_limit_on_the_answer(config):
    (response,) = BudgetForcingModel(config(max_answer_tokens=2)).greedy_until(lamps(1))
    assert response.samples[0].completion.report.answer_tokens == 2


def test_thinking_that_never_closed_has_no_answer(config):
    (response,) = BudgetForcingModel(config(max_new_tokens=20)).greedy_until(lamps(1))
    assert response.samples[0].completion.report.ended == "unfinished"
    assert response.text == [""] and response.reasonings[0]


def test_without_a_chat_template_a_stop_sequence_ends_the_answer_and_no_thinking(config, tmp_path):
    model, tokenizer = embedded.load()
    prompt = lamps(1)[0]
    prompt.query = tokenizer.apply_chat_template(
        [{"role": "user", "content": prompt.query}], tokenize=False, add_generation_prompt=True
    )
    tokenizer.chat_template = None
    for part in (model, tokenizer):
        part.save_pretrained(tmp_path / "folder")
    prompt.stop_sequences = [":", "\n"]
    model = BudgetForcingModel(config(model_name=str(tmp_path / "folder"), num_ignores=1))
    (response,) = model.greedy_until([prompt])
    assert "\n" in response.reasonings[0]
    assert response.text == ["Answer"]


def test_a_batch_too_big_is_halved(config, monkeypatch):
    docs, stock = lamps(5), Qwen2ForCausalLM.generate
    whole = BudgetForcingModel(config(batch_size=5)).greedy_until(docs)
    sizes = []

    def small_memory(self, **kwargs):
        sizes.append(len(kwargs["input_ids"]))
        if sizes[-1] > 2:
            raise torch.OutOfMemoryError("too big")
        return stock(self, **kwargs)

    monkeypatch.setattr(Qwen2ForCausalLM, "generate", small_memory)
    halves = BudgetForcingModel(config(batch_size=5, cache_dir=config().cache_dir + "2")).greedy_until(docs)
    assert sizes[:3] == [5, 3, 2] and max(sizes[3:]) <= 2
    assert [r.output_tokens for r in halves] == [r.output_tokens for r in whole]


def test_other_dtypes_run(config):
    for dtype in ("auto", "float16"):
        (response,) = BudgetForcingModel(config(dtype=dtype, max_thinking_tokens=30)).greedy_until(lamps(1))
        assert response.samples[0].completion.report.ended == "cut"


def test_an_adapter_is_merged_into_its_base(config, tmp_path):
    peft = pytest.importorskip("peft")
    base, tokenizer = embedded.load()
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        lora = peft.LoraConfig(r=4, lora_alpha=64, target_modules=["q_proj", "v_proj"], init_lora_weights=False)
        adapted = peft.get_peft_model(base, lora)
    adapted.peft_config["default"].base_model_name_or_path = str(embedded.MODEL_PATH)
    adapted.save_pretrained(tmp_path / "adapter")
    docs = lamps(2)
    settings = config(model_name=str(tmp_path / "adapter"), max_thinking_tokens=30)
    responses = BudgetForcingModel(settings).greedy_until(docs)
    expected = generate(adapted, tokenizer, [d.query for d in docs], max_thinking_tokens=30, max_new_tokens=400)
    assert [r.output_tokens[0] for r in responses] == [list(c.token_ids) for c in expected]
    plain = BudgetForcingModel(config(max_thinking_tokens=30)).greedy_until(docs)
    assert [r.text for r in plain] != [r.text for r in responses]


def test_importing_evaluation_leaves_gradients_on():
    """The trap: `import lighteval.pipeline` switches them off for the whole process; conftest.py imports it by ours."""
    assert "lighteval.models.transformers.transformers_model" in sys.modules
    assert torch.is_grad_enabled()


def _stock(folder, **settings) -> TransformersModel:
    """lighteval's own backend on the embedded model."""
    settings = {"model_name": str(embedded.MODEL_PATH), "dtype": "float32", "batch_size": 2} | settings
    settings["cache_dir"] = str(folder / "stock")
    with mended_lighteval():  # otherwise it writes into the model's folder, which is the package's
        model = TransformersModel(TransformersModelConfig(**settings, generation_parameters=GenerationParameters()))
    model._cache = None
    return model


def _spy(monkeypatch) -> list[dict]:
    calls, stock = [], Qwen2ForCausalLM.generate

    def spy(self, **kwargs):
        calls.append(kwargs)
        return stock(self, **kwargs)

    monkeypatch.setattr(Qwen2ForCausalLM, "generate", spy)
    return calls


def test_results_stay_below_the_output_folder():
    """lighteval appends the model's name to it."""
    assert BudgetForcingConfig(model_name="../model").model_name == str(Path("../model").resolve())
    assert BudgetForcingConfig(model_name="models/mine").model_name == "models/mine"


# -- what is kept on the disk ---------------------------------------------------------------------------------------


def test_a_finished_run_reads_no_weights(config, monkeypatch):
    first = BudgetForcingModel(config()).greedy_until(lamps(3))
    monkeypatch.setattr(Checkpoint, "load", lambda *args, **options: pytest.fail("the weights were read"))
    again = BudgetForcingModel(config(batch_size=2)).greedy_until(lamps(3))
    assert again == first


def test_other_weights_under_the_same_name_share_nothing(config, tmp_path):
    """lighteval's own cache would give the old answers."""
    folder = tmp_path / "folder"
    shutil.copytree(embedded.MODEL_PATH, folder)
    settings = config(model_name=str(folder))
    before = BudgetForcingModel(settings).on_tasks.ledger.folder
    assert BudgetForcingModel(settings).on_tasks.ledger.folder == before
    weights = (folder / "model.safetensors").read_bytes()
    middle = len(weights) // 2
    (folder / "model.safetensors").write_bytes(weights[:middle] + bytes([weights[middle] ^ 1]) + weights[middle + 1 :])
    assert BudgetForcingModel(settings).on_tasks.ledger.folder != before


def test_nothing_is_written_into_the_models_folder(config, tmp_path):
    """The trap: lighteval's cache of a model with an absolute path lies in that path."""
    shutil.copytree(embedded.MODEL_PATH, tmp_path / "folder")
    before = sorted((tmp_path / "folder").rglob("*"))
    BudgetForcingModel(config(model_name=str(tmp_path / "folder"))).greedy_until(lamps(1))
    assert sorted((tmp_path / "folder").rglob("*")) == before


def test_a_configuration_file_may_hold_delimiters(config, tmp_path):
    """In lighteval's own kind of file; what the engine then has is what `from_delimiters` makes of them."""
    delimiters = {"start": "<r>", "close": "</r>", "force_start": True, "answer_start": "<a>", "turn": "<|im_start|>"}
    parameters = {**config().model_dump(mode="json"), "generation_parameters": {}, "format": delimiters}
    (tmp_path / "model.yaml").write_text(yaml.safe_dump({"model_parameters": parameters}))
    read = BudgetForcingConfig.from_path(str(tmp_path / "model.yaml"))
    _, tokenizer = embedded.load()
    assert BudgetForcingModel(read).on_tasks.engine.format == ThinkingFormat.from_delimiters(tokenizer, **delimiters)
    assert read.model_dump(mode="json")["format"] == delimiters


@pytest.mark.parametrize(
    ("format", "message"),
    [
        ({"start": "<r>", "close": "</r>", "forcestart": True}, "'forcestart' is none of .*did you mean 'force_start'"),
        ({"start": "<r>"}, "'start' needs 'close' beside it"),
    ],
)
def test_a_configuration_with_a_wrong_setting_of_the_format_is_refused(config, format, message):
    with pytest.raises(ValueError, match=message):
        config(format=format)
