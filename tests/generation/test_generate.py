"""`generate` and `budget_forcing`: prompts, defaults, lengths, and completions whose fields agree with each other."""

from __future__ import annotations

import copy
import logging

import pytest
import torch
from transformers import GenerationConfig, LogitsProcessor, LogitsProcessorList, StoppingCriteriaList
from transformers.generation.streamers import BaseStreamer
from transformers.utils import logging as transformers_logging

from misuse import MODEL, S1
from s1_hf import BudgetForcingLogitsProcessor, budget_forcing, generate
from s1_hf.forcing.vocabulary import encode
from toys import ToyConfig, Untouched, tiny_qwen2, toy_model, toy_tokenizer
from wishes import Until, babbler, chat, family_of, length, prompt_of, wanting

# -- prompts ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("family", ["s1", "think", "opened", "harmony", "magistral"])
def test_a_batch_is_what_its_prompts_are_alone(family):
    """Left padding, longer neighbours and their budgets change no row."""
    tokenizer, fmt = family_of(family)
    only = [*(encode(tokenizer, t)[0] for t in "abx"), *fmt.start, *fmt.close, *fmt.ends]
    model = toy_model(len(tokenizer), 3, {i: -1.0 for i in fmt.ends}, only)
    prompts = ["a", chat("abcdefgh"), chat("a", f"{fmt.start_text}x{fmt.close_text}y", "b"), "x" * 30]
    caps, ignores = [4, None, 0, 9], [1, 0, 3, 2]
    options = {"format": fmt, "max_new_tokens": 40}
    together = generate(model, tokenizer, prompts, max_thinking_tokens=caps, num_ignores=ignores, **options)
    alone = [
        generate(model, tokenizer, [prompt], max_thinking_tokens=cap, num_ignores=n, **options)[0]
        for prompt, cap, n in zip(prompts, caps, ignores, strict=True)
    ]
    assert together == alone
    assert len({c.text for c in together}) >= 3


def test_prompts_and_settings_are_left_as_they_were():
    """Chats, budgets, processors, criteria, configurations: nothing of the caller's is changed."""
    tokenizer = toy_tokenizer("s1")
    model = babbler(tokenizer)
    given = {
        "prompts": [chat("a", "<|im_start|>think b"), chat("c")],
        "max_thinking_tokens": [3, None],
        "logits_processor": LogitsProcessorList([Ban(5)]),
        "stopping_criteria": StoppingCriteriaList([Until(99)]),
        "generation_config": GenerationConfig(max_new_tokens=9),
        "chat_template_kwargs": {"deep": True},
    }
    before = {k: copy.deepcopy(v) for k, v in given.items() if k not in ("logits_processor", "stopping_criteria")}
    defaults = model.generation_config.to_dict()
    generate(model, tokenizer, given["prompts"], **{k: v for k, v in given.items() if k != "prompts"})
    for name, value in before.items():
        now = given[name]
        assert (now.to_dict() == value.to_dict()) if isinstance(now, GenerationConfig) else now == value
    assert (len(given["logits_processor"]), len(given["stopping_criteria"])) == (1, 1)
    assert model.generation_config.to_dict() == defaults


# -- several rows of a prompt -------------------------------------------------------------------------------------


@pytest.mark.parametrize("mode", [{"do_sample": True}, {"num_beams": 3}], ids=["sample", "beam"])
def test_num_return_sequences_come_prompt_by_prompt_with_their_prompts_budget(mode):
    tokenizer = toy_tokenizer("s1")
    model = babbler(tokenizer, ends=False)
    torch.manual_seed(0)
    options = {"max_thinking_tokens": [2, 7], "num_return_sequences": 3, "max_new_tokens": 24, **mode}
    completions = generate(model, tokenizer, ["a", "bcdef"], **options)
    assert [c.report.thinking_tokens for c in completions] == [2, 2, 2, 7, 7, 7]
    assert len({c.token_ids for c in completions}) >= 4


def test_the_same_seed_gives_the_same_completions_and_greedy_draws_nothing():
    """Sampling takes its randomness from torch's generator; greedy decoding leaves it alone."""
    tokenizer = toy_tokenizer("s1")
    model = babbler(tokenizer)
    options = {"num_ignores": 1, "max_new_tokens": 30, "do_sample": True, "num_return_sequences": 8}
    torch.manual_seed(3)
    first = generate(model, tokenizer, "a", **options)
    torch.manual_seed(3)
    assert generate(model, tokenizer, "a", **options) == first
    assert len({c.text for c in first}) > 1
    state = torch.get_rng_state()
    generate(model, tokenizer, "a", num_ignores=1, max_new_tokens=30)
    assert torch.equal(torch.get_rng_state(), state)


# -- budgets through generate -------------------------------------------------------------------------------------


def test_a_tokenizer_without_padding_takes_batches():
    tokenizer = toy_tokenizer("opened")
    tokenizer.pad_token = None
    wants = {prompt_of(tokenizer, "q"): "ab</think>x<|im_end|>", prompt_of(tokenizer, "rstu"): "a</think>xyz<|im_end|>"}
    completions = generate(wanting(tokenizer, wants), tokenizer, ["q", "rstu"], max_new_tokens=30)
    assert [c.text for c in completions] == ["ab</think>x", "a</think>xyz"]


# -- length limits ------------------------------------------------------------------------------------------------


def test_a_prompt_longer_than_the_context_is_refused():
    tokenizer = toy_tokenizer("s1")
    model = Untouched(ToyConfig(vocab_size=len(tokenizer), max_position_embeddings=24))
    with pytest.raises(ValueError, match="The prompt has to fit into the model's context of 24 tokens, .* has 41"):
        generate(model, tokenizer, "b" * 31, max_thinking_tokens=4)


# -- configurations -----------------------------------------------------------------------------------------------


class Ban(LogitsProcessor):
    """Makes one token impossible."""

    def __init__(self, token: int) -> None:
        self.token = token

    def __call__(self, input_ids, scores):
        return scores.index_fill(1, torch.tensor([self.token]), -torch.inf)


def test_processors_and_criteria_of_the_users_are_kept_before_ours():
    """A banned token stays away from what the model writes, forced texts are whole, a criterion stops."""
    tokenizer, _ = family_of("opened")
    a, w = encode(tokenizer, "a")[0], encode(tokenizer, "Wait")[0]
    model = babbler(tokenizer, likely={tokenizer.eos_token_id: -30.0})
    until = Until(length(tokenizer, prompt_of(tokenizer, "q")) + 33)
    own = {"logits_processor": [Ban(a), Ban(w)], "stopping_criteria": [until]}
    kwargs = budget_forcing(model, tokenizer, max_new_tokens=60, **own)
    assert kwargs["logits_processor"][:2] == own["logits_processor"] and len(kwargs["logits_processor"]) == 3
    assert isinstance(kwargs["logits_processor"][-1], BudgetForcingLogitsProcessor)
    options = {"num_ignores": 30, "max_thinking_tokens": 14, "answer_prefix": "Wait a", "max_new_tokens": 60}
    (completion,) = generate(model, tokenizer, "q", **options, **own)
    written = [i for i, f in zip(completion.token_ids, completion.forced, strict=True) if not f]
    assert len(completion.token_ids) == 33
    assert not {a, w} & set(written)
    assert "</think>\nWait a" in completion.text


def test_budget_forcings_arguments_give_what_generate_gives():
    """In one line with `model.generate`, and with scores and logits asked for."""
    tokenizer = toy_tokenizer("s1")
    model = babbler(tokenizer)
    options = {"max_thinking_tokens": 8, "num_ignores": 1, "max_new_tokens": 40}
    (completion,) = generate(model, tokenizer, "a", **options)
    ids = torch.tensor([encode(tokenizer, prompt_of(tokenizer, "a"))])
    for more in ({}, {"return_dict_in_generate": True, "output_scores": True, "output_logits": True}):
        kwargs = budget_forcing(model, tokenizer, **options, **more)
        out = model.generate(ids, **kwargs)
        sequences = getattr(out, "sequences", out)
        assert sequences[0, ids.shape[1] :].tolist() == list(completion.token_ids)
        processor = kwargs["logits_processor"][-1]
        assert processor.reports() == processor.reports(out) == [completion.report]
        assert generate(model, tokenizer, "a", **options, **more) == [completion]
    raw = torch.stack(out.logits)[:, 0]
    assert torch.isfinite(raw).all()  # the model's own logits, with nothing of ours in them


class Heard(logging.Handler):
    """Keeps transformers' warnings."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.said: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.said.append(record.getMessage())


@pytest.fixture
def heard():
    handler, logger = Heard(), logging.getLogger("transformers")
    transformers_logging.warning_once.cache_clear()
    logger.addHandler(handler)
    yield handler.said
    logger.removeHandler(handler)


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"max_new_tokens": 30},
        {"max_length": 50},
        {"max_new_tokens": 30, "do_sample": True, "temperature": 0.7, "top_p": 0.9, "top_k": 20},
        {"max_new_tokens": 30, "num_beams": 2},
        {"max_new_tokens": 30, "max_answer_tokens": 4},
        {"max_new_tokens": 150, "max_thinking_tokens": "auto"},
        {"generation_config": GenerationConfig()},
        {"generation_config": GenerationConfig(max_length=50)},
        {"generation_config": GenerationConfig(max_new_tokens=30)},
    ],
    ids=lambda options: " ".join(options) or "none",
)
def test_nothing_warns(options, heard):
    """Neither Python nor transformers' log has anything to say about correct use."""
    tokenizer = toy_tokenizer("s1")
    model = babbler(tokenizer, max_position_embeddings=200)
    generate(model, tokenizer, ["a", "bcd"], **({"max_thinking_tokens": 6} | options))
    assert heard == []


def test_the_check_for_warnings_can_fail(heard):
    tokenizer = toy_tokenizer("s1")
    generate(babbler(tokenizer), tokenizer, "a", max_new_tokens=9, max_length=50)
    assert any("max_new_tokens" in said for said in heard)


def test_stop_strings_work():
    tokenizer, _ = family_of("opened")
    model = wanting(tokenizer, {prompt_of(tokenizer, "q"): "ab</think>xyzxyz"})
    (completion,) = generate(model, tokenizer, "q", stop_strings=["yz"], max_new_tokens=20)
    assert completion.text == "ab</think>xyz"


def test_a_model_with_adapters_is_taken():
    """A LoRA fine-tune, as s1's own users train it."""
    peft = pytest.importorskip("peft")
    tokenizer = toy_tokenizer("s1")
    config = peft.LoraConfig(r=2, target_modules=["q_proj"], task_type="CAUSAL_LM")
    model = peft.get_peft_model(tiny_qwen2(tokenizer), config)
    (completion,) = generate(model, tokenizer, "a", max_thinking_tokens=2, max_new_tokens=20)
    assert completion.report.thinking_tokens <= 2


def test_generate_counts_prompts_and_budgets_before_the_model_is_run():
    with pytest.raises(ValueError, match="3 budgets were given"):
        generate(MODEL, S1, ["a", "b"], max_thinking_tokens=[1, 2, 3])


@pytest.mark.parametrize("name", ["thinking_limit", "thinking_budget"])
def test_a_misspelt_argument_is_no_silent_no_op(name):
    """What is no argument of ours goes to `generate`, which does not know it either, and says so before it runs."""
    model = tiny_qwen2(S1)
    model.model.forward = MODEL.forward
    with pytest.raises(ValueError, match=f"{name}.*typos in the generate arguments"):
        generate(model, S1, "a", **{name: 5})


class Silent(BaseStreamer):
    def put(self, value):
        pass

    def end(self):
        pass


@pytest.mark.parametrize(
    ("prompts", "options", "rows"),
    [(["a", "b"], {}, 2), ("a", {"do_sample": True, "num_return_sequences": 3}, 3)],
)
def test_a_streamer_takes_a_single_row(prompts, options, rows):
    with pytest.raises(ValueError, match="Text can be streamed of a single prompt and a single row, but "):
        generate(MODEL, S1, prompts, streamer=Silent(), **options)


def test_a_streamer_is_told_the_number_of_rows():
    with pytest.raises(ValueError) as error:
        generate(MODEL, S1, "a", streamer=Silent(), do_sample=True, num_return_sequences=3)
    assert "3 rows" in str(error.value)
