"""One pass over a grid of budgets gives what one run a setting gives."""

import copy
import functools
import random
from collections import Counter

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from scipy.stats import chi2
from transformers import StoppingCriteria

from s1_hf import Budget, LoopGuard, ThinkingFormat, embedded, generate, sweep
from s1_hf.embedded.problems import held_out_sample
from s1_hf.generation.grids import curve
from sweep_models import Pushed, random_model

FAMILIES = ("s1", "think", "opened", "harmony", "magistral", "seed")
common = {"deadline": None, "derandomize": True, "database": None, "suppress_health_check": list(HealthCheck)}


CUTS = ("cut_text", "cut_window", "cut_at")  # what has no effect without a cap


def options_of(rng: random.Random, fmt: ThinkingFormat) -> dict:
    return {
        "max_new_tokens": rng.choice([1, 4, 12, 30, 60]),
        "wait_text": rng.choice(["Wait", None, ["Wait", "Hmm"]]),
        "answer_prefix": rng.choice(["Final Answer:", None]),
        "max_answer_tokens": rng.choice([None, 1, 5]),
        "loop_guard": rng.choice([None, None, LoopGuard(max_period=2, repeats=2, min_tokens=4)]),
        "logits_processor": [Pushed(fmt.ends, 200.0)],
    }


def assert_equal_to_separate_runs(model, tokenizer, prompts, grid, options, batch_size=None):
    result = sweep(model, tokenizer, prompts, **grid, **options, batch_size=batch_size)
    assert len(result.settings) == len(grid["max_thinking_tokens"]) * len(grid["num_ignores"])
    for setting, completions in zip(result.settings, result.completions, strict=True):
        budget = {"max_thinking_tokens": setting.max_thinking_tokens, "num_ignores": setting.num_ignores}
        acting = {name: value for name, value in options.items() if name not in CUTS or budget["max_thinking_tokens"]}
        assert list(completions) == generate(model, tokenizer, prompts, **budget, **acting), setting


@given(st.integers(0, 2**32))
@settings(max_examples=40, **common)
def test_a_sweep_equals_separate_runs_on_random_models_formats_batches_and_grids(seed):
    """Token for token, reports and masks of forced tokens included."""
    rng = random.Random(seed)
    model, tokenizer, fmt = random_model(rng.choice(FAMILIES), rng.randrange(4))
    if tokenizer.chat_template:
        prompts = [
            [{"role": "user", "content": rng.choice(["ab", "c", "xyz\n"])}]
            + ([{"role": "assistant", "content": fmt.start_text + "ab"}] if rng.random() < 0.3 else [])
            for _ in range(rng.choice([1, 2, 5]))
        ]
    else:
        prompts = [rng.choice(["ab", "c", "hello"]) for _ in range(rng.choice([1, 2, 5]))]
    grid = {
        "max_thinking_tokens": rng.sample([None, 0, 1, 3, 7, 20, 40], rng.choice([1, 2, 4])),
        "num_ignores": rng.sample([0, 1, 2, 5], rng.choice([1, 2, 3])),
    }
    options = options_of(rng, fmt)
    if rng.random() < 0.5 and any(cap is not None and cap >= 3 for cap in grid["max_thinking_tokens"]):
        options["cut_text"] = rng.choice(["ab", "x\n", "a\nx", None])
        options |= rng.choice([{}, {"cut_window": 2}, {"cut_window": 9}, {"cut_window": 9, "cut_at": "sentence"}])
        grid["max_thinking_tokens"] = [cap for cap in grid["max_thinking_tokens"] if cap is None or cap >= 3]
    size = rng.choice([None, None, 2])
    if size is not None:  # separate runs in the same batches: "longest prompt" sets what fits under `max_length` alone
        prompts = prompts[:4]
    assert_equal_to_separate_runs(model, tokenizer, prompts, grid, options, size)


@given(st.integers(0, 2**32))
@settings(max_examples=3, **common)
def test_a_sweep_equals_separate_runs_on_the_embedded_model(seed):
    rng = random.Random(seed)
    model, tokenizer = embedded_in_float64()
    prompts = [p.question for p in held_out_sample(rng.choice([1, 4]), seed=rng.randrange(10**6))]
    grid = {"max_thinking_tokens": rng.sample([None, 16, 33, 80], 2), "num_ignores": rng.sample([0, 1, 2], 2)}
    options = {"max_new_tokens": rng.choice([60, 150]), "max_answer_tokens": 12}
    assert_equal_to_separate_runs(model, tokenizer, prompts, grid, options)


@functools.cache
def embedded_in_float64():
    model, tokenizer = embedded.load()
    return model.double(), tokenizer


def test_prompts_of_different_lengths_under_a_total_length():
    model, tokenizer, _ = random_model("s1", 0)
    prompts = ["a", "a longer prompt than that"]
    grid = {"max_thinking_tokens": [2, 9, None], "num_ignores": [0, 2]}
    assert_equal_to_separate_runs(model, tokenizer, prompts, grid, {"max_length": 70})


def draws(complete, model, tokenizer, count: int, seed: int) -> Counter:
    """How thinking ended, how long it was, ends ignored, and the last token modulo 4; over `count` samples."""
    torch.manual_seed(seed)
    return Counter(
        (c.report.ended, c.report.thinking_tokens, c.report.ends_ignored, c.token_ids[-1] % 4)
        for c in complete(model, tokenizer, ["ab"] * count)
    )


@pytest.mark.parametrize(("cap", "ignores"), [(3, 0), (5, 1), (None, 0)])
def test_every_setting_has_the_law_of_its_own_runs(cap, ignores):
    """Two-sample chi-square over outcomes; a false alarm in 10^6 runs."""
    model, tokenizer, fmt = random_model("opened", 1)
    options = {"do_sample": True, "temperature": 4.0, "top_k": 40, "max_new_tokens": 20}
    options["logits_processor"] = [Pushed(fmt.ends, 8.0)]

    def of_sweep(model, tokenizer, prompts):
        result = sweep(model, tokenizer, prompts, max_thinking_tokens=[3, 5, None], num_ignores=[0, 1], **options)
        return next(
            c
            for s, c in zip(result.settings, result.completions, strict=True)
            if (s.max_thinking_tokens, s.num_ignores) == (cap, ignores)
        )

    def of_run(model, tokenizer, prompts):
        return generate(model, tokenizer, prompts, max_thinking_tokens=cap, num_ignores=ignores, **options)

    one, other = draws(of_sweep, model, tokenizer, 700, 1), draws(of_run, model, tokenizer, 700, 2)
    common = [key for key in one | other if one[key] + other[key] >= 10]
    pairs = [(one[key], other[key]) for key in common]
    pairs.append((700 - sum(a for a, _ in pairs), 700 - sum(b for _, b in pairs)))
    statistic = sum((a - b) ** 2 / (a + b) for a, b in pairs if a + b)
    assert len(common) >= 4
    assert statistic < chi2.ppf(1 - 1e-6, df=len(pairs) - 1)


def test_sampled_settings_share_the_draws_of_their_common_thinking():
    model, tokenizer, fmt = random_model("s1", 2)
    torch.manual_seed(0)
    options = {"do_sample": True, "max_new_tokens": 30, "logits_processor": [Pushed(fmt.ends, 20.0)]}
    result = sweep(model, tokenizer, ["ab"] * 20, max_thinking_tokens=[4, None], num_ignores=[0, 2], **options)
    largest = result.completions[3]
    for completions in result.completions:
        for short, long in zip(completions, largest, strict=True):
            count = short.report.thinking_tokens
            opened = len(fmt.start)
            assert short.token_ids[: opened + count] == long.token_ids[: opened + count]


def test_with_seeds_each_sampled_row_is_what_a_run_of_its_own_draws():
    """In whatever batch, wherever torch's own random numbers stand; 3 x 3 settings and 12 rows."""
    model, tokenizer, fmt = random_model("s1", 2)
    options = {"do_sample": True, "temperature": 1.5, "top_k": 20, "max_new_tokens": 30, "max_answer_tokens": 6}
    options["logits_processor"] = [Pushed(fmt.ends, 20.0)]
    seeds, prompts = list(range(100, 112)), ["ab", "c", "a longer one"] * 4
    grid = {"max_thinking_tokens": [3, 8, None], "num_ignores": [0, 1, 3]}
    result = sweep(model, tokenizer, prompts, **grid, **options, seeds=seeds)
    torch.manual_seed(9)
    assert (
        result.completions == sweep(model, tokenizer, prompts, **grid, **options, seeds=seeds, batch_size=5).completions
    )
    for setting, completions in zip(result.settings, result.completions, strict=True):
        budget = {"max_thinking_tokens": setting.max_thinking_tokens, "num_ignores": setting.num_ignores}
        for prompt, seed, completion in list(zip(prompts, seeds, completions, strict=True))[::3]:
            alone = sweep(model, tokenizer, prompt, **{k: [v] for k, v in budget.items()}, **options, seeds=[seed])
            assert alone.completions[0][0] == completion
    assert len({c.token_ids for c in result.completions[-1]}) > 6


def test_single_points_in_place_of_a_grid():
    model, tokenizer, fmt = random_model("s1", 1)
    options = {"max_new_tokens": 40, "logits_processor": [Pushed(fmt.ends, 200.0)]}
    points = curve([3, 9], [1, 4])
    assert points == [
        Budget(max_thinking_tokens=3, num_ignores=0),
        Budget(max_thinking_tokens=9, num_ignores=0),
        Budget(max_thinking_tokens=None, num_ignores=0),
        Budget(max_thinking_tokens=None, num_ignores=1),
        Budget(max_thinking_tokens=None, num_ignores=4),
    ]
    result = sweep(model, tokenizer, ["ab", "xyz"], settings=points, **options)
    assert list(result.settings) == points
    for setting, completions in zip(points, result.completions, strict=True):
        budget = {"max_thinking_tokens": setting.max_thinking_tokens, "num_ignores": setting.num_ignores}
        assert list(completions) == generate(model, tokenizer, ["ab", "xyz"], **budget, **options)


def test_costs_are_counted_and_less_than_those_of_separate_runs():
    model, tokenizer = embedded_in_float64()
    prompts = [p.question for p in held_out_sample(4, seed=1)]
    caps, ignores = [16, 32, 48, 64, 96, 128, None], [0]
    result = sweep(model, tokenizer, prompts, max_thinking_tokens=caps, num_ignores=ignores, max_new_tokens=200)
    lengths = [len(tokenizer.apply_chat_template(chat(p), add_generation_prompt=True)["input_ids"]) for p in prompts]
    separate = 0
    for cap in caps:
        done = generate(model, tokenizer, prompts, max_thinking_tokens=cap, max_new_tokens=200)
        lengths = [
            len(tokenizer.apply_chat_template(chat(p), add_generation_prompt=True)["input_ids"]) for p in prompts
        ]
        separate += sum(lengths) + sum(len(c.token_ids) - 1 for c in done)
    assert result.cost.separate_tokens == separate
    assert result.cost.trace_tokens + result.cost.answer_tokens < separate / 3
    assert result.cost.saved == separate / (result.cost.trace_tokens + result.cost.answer_tokens)


def chat(question: str) -> list[dict]:
    return [{"role": "user", "content": question}]


def test_settings_that_do_not_bind_cost_nothing():
    model, tokenizer = embedded_in_float64()
    question = held_out_sample(1, seed=1)[0].question
    options = {"max_new_tokens": 200}
    result = sweep(model, tokenizer, question, max_thinking_tokens=[500, 600, None], **options)
    assert result.cost.answer_tokens == 0
    assert len(set(result.completions)) == 1


def test_progress_is_told_and_batches_change_nothing():
    model, tokenizer = embedded_in_float64()
    prompts = [p.question for p in held_out_sample(5, seed=2)]
    grid = {"max_thinking_tokens": [20, None], "num_ignores": [0, 1], "max_new_tokens": 160}
    told: list[int] = []
    whole = sweep(model, tokenizer, prompts, **grid)
    parts = sweep(model, tokenizer, prompts, **grid, batch_size=2, progress=told.append)
    assert told == [2, 2, 1]
    assert parts.completions == whole.completions


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"max_thinking_tokens": []}, "`max_thinking_tokens` has to be a sequence of different numbers"),
        ({"max_thinking_tokens": 500}, "`max_thinking_tokens` has to be a sequence of different numbers"),
        ({"max_thinking_tokens": [5, 5]}, "`max_thinking_tokens` has to be a sequence of different numbers"),
        ({"max_thinking_tokens": ["auto"]}, "has to be made of numbers and None, but has 'auto'"),
        ({"max_thinking_tokens": [-1]}, "`max_thinking_tokens` has to be an integer of at least 0"),
        ({"num_ignores": [1.5]}, "`num_ignores` has to be an integer of at least 0"),
        ({"cache_implementation": "static"}, "has to be 'dynamic', 'offloaded', 'quantized' or left out in a sweep"),
        ({"num_beams": 2}, "A sweep cannot have `num_beams`"),
        ({"num_return_sequences": 2}, "A sweep cannot have `num_return_sequences`"),
        ({"min_thinking_tokens": 2}, "A sweep cannot have `min_thinking_tokens`"),
        (
            {"settings": [Budget(max_thinking_tokens=3)], "num_ignores": [1]},
            "`settings` has to stand alone",
        ),
        ({"settings": []}, "`settings` has to hold different settings"),
        ({"settings": [3]}, "`settings` has to hold different settings"),
        ({"batch_size": 0}, "`batch_size` has to be an integer of at least 1, or None, but is 0"),
        ({"batch_size": -2}, "`batch_size` has to be an integer of at least 1"),
        ({"settings": [Budget(num_ignores=1), Budget(wait_text="Hmm")]}, "have to differ only in"),
        ({"settings": [Budget(max_thinking_tokens=[3])]}, "has to have single values, not one per prompt"),
        ({"seeds": [1]}, "`seeds` are for sampling"),
        ({"seeds": [1, 2]}, "`seeds` has to hold one seed per prompt, 1, but holds 2"),
    ],
)
def test_what_a_sweep_cannot_do_is_refused(options, message):
    model, tokenizer, _ = random_model("s1", 0)
    with pytest.raises((ValueError, TypeError), match=message):
        sweep(model, tokenizer, "ab", max_new_tokens=5, **options)


class StopsAt(StoppingCriteria):
    """Ends rows, thinking or not, with every fifth id."""

    def __call__(self, input_ids, scores, **kwargs):
        return input_ids[:, -1] % 5 == 0


def test_rows_that_a_criterion_ends_while_they_think_are_not_cut_afterwards():
    """They stay in the batch for a while, where padding must not count."""
    model, tokenizer, _ = random_model("opened", 1)
    grid = {"max_thinking_tokens": [4, 8, 16, None], "num_ignores": [0]}
    options = {"max_new_tokens": 30, "stopping_criteria": [StopsAt()]}
    assert_equal_to_separate_runs(model, tokenizer, ["ab", "c", "xyz", "hello", "d", "ef", "g"], grid, options)


def test_a_static_cache_of_the_models_own_configuration_is_not_meant(monkeypatch):
    """Older checkpoints name one there."""
    model, tokenizer, fmt = random_model("s1", 0)
    model = copy.deepcopy(model)
    model.generation_config.cache_implementation = "static"
    monkeypatch.setattr(type(model), "_prepare_static_cache", None)
    options = {"max_new_tokens": 20, "logits_processor": [Pushed(fmt.ends, 200.0)]}
    result = sweep(model, tokenizer, "ab", max_thinking_tokens=[3, None], **options)
    assert result.completions[0] != result.completions[1]


def test_a_quantised_cache_works():
    """8-bit floats, the one backend of transformers that needs no other package."""
    model, tokenizer, fmt = random_model("opened", 1)
    options = {"max_new_tokens": 30, "logits_processor": [Pushed(fmt.ends, 200.0)]}
    options |= {"cache_implementation": "quantized", "cache_config": {"backend": "fp8"}}
    grid = {"max_thinking_tokens": [3, 9, None], "num_ignores": [0, 1]}
    assert_equal_to_separate_runs(copy.deepcopy(model).float(), tokenizer, ["ab", "xyz"], grid, options)
