"""The processor inside `generate`: budgets to the token, batches and budgets that fit, no waiting for the device."""

from __future__ import annotations

import threading

import numpy as np
import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode
from transformers import GenerationConfig, Qwen2Config, Qwen2ForCausalLM

from cases import case_of, padded, processor_for, setting
from misuse import IDS, S1, processor
from s1_hf import BudgetForcingLogitsProcessor, ThinkingFormat, budget_forcing, generate
from s1_hf.conformance.figures import Guarded
from s1_hf.forcing import decisions
from s1_hf.forcing.vocabulary import encode
from s1_hf.generation.criteria import SequenceObserver
from shared_data import needs_shared, qwen
from toys import ToyConfig, Untouched, byte_tokenizer, toy_model, toy_tokenizer
from waiting import NoWaiting
from wishes import FAMILIES, babbler, family_of, id_rows, length, opening, prompt_of, wanting


def test_a_plain_format_without_an_end_of_sequence_still_caps():
    """A tokenizer need not have an end of sequence; a cap needs none."""
    tokenizer = toy_tokenizer("plain")
    tokenizer.eos_token = None
    model = toy_model(len(tokenizer), 0, only=[encode(tokenizer, t)[0] for t in "abx"])
    (completion,) = generate(model, tokenizer, "a", max_thinking_tokens=2, max_new_tokens=9)
    assert completion.report.ended == "cut"


@pytest.mark.parametrize("rows", [1, 256])
def test_a_model_with_too_small_a_vocabulary_is_refused_before_it_is_run(rows):
    """Model and tokenizer do not belong together."""
    model = Untouched(ToyConfig(vocab_size=rows))
    with pytest.raises(ValueError, match="Tokenizer and model do not belong together"):
        budget_forcing(model, S1, max_thinking_tokens=4)


@pytest.mark.parametrize("missing", [1, 2, 50])
def test_scores_that_lack_the_formats_tokens_are_refused(missing):
    """Each of the format's ids has to be a column of the scores; more columns than tokens are fine."""
    last = max(*processor().format.start, *processor().format.close, *processor().format.ends)
    scores = torch.zeros(1, last + 1 - missing)
    with pytest.raises(ValueError, match=f"has to hold the format's token {last}, but has {last + 1 - missing} rows"):
        processor()(IDS, scores)
    processor()(IDS, torch.zeros(1, last + 1))
    processor()(IDS, torch.zeros(1, last + 99))


def test_scores_that_lack_a_forced_tokens_column_are_refused():
    """Where delimiters come first in the vocabulary (Mistral), the Wait may be what is missing."""
    tokenizer = byte_tokenizer(["<|im_start|>", "<|im_end|>"], added=["Moreover"], thinking_format="s1")
    p = BudgetForcingLogitsProcessor(tokenizer, wait_text="Moreover", num_ignores=1)
    (wait,) = encode(tokenizer, "Moreover")
    scores = torch.zeros(1, wait)
    scores[0, tokenizer.eos_token_id] = 9.0
    ids = torch.tensor([encode(tokenizer, "<|im_start|>assistant\n<|im_start|>think")])
    with pytest.raises(ValueError, match=f"token {wait}"):
        p(ids, scores)


@pytest.mark.parametrize(
    ("rows", "config", "match"),
    [
        (1, None, "2 budgets were given, but the batch has 1 rows, .* Give one budget for each row, 1 in all"),
        (3, None, "2 budgets were given, but the batch has 3 rows"),
        (4, None, "2 budgets were given, but the batch has 4 rows, which are not each prompt repeated side by side"),
        (2, {"num_beams": 2}, "2 budgets were given, but the batch has 2 rows"),
        (5, {"do_sample": True, "num_return_sequences": 3}, "2 budgets were given, .*`num_return_sequences`"),
    ],
)
def test_a_batch_that_does_not_fit_the_budgets_is_refused(rows, config, match):
    config = None if config is None else GenerationConfig(**config)
    p = processor(max_thinking_tokens=[4, 5], generation_config=config)
    ids = IDS.repeat(rows, 1)
    ids[1::2, -1] += 1  # the prompts take turns
    with pytest.raises(ValueError, match=match):
        p(ids, torch.zeros(rows, 320))


@pytest.mark.parametrize("config", [None, {}, {"num_return_sequences": 2, "do_sample": True}], ids=str)
def test_budgets_per_prompt_fit_where_a_trainer_repeats_prompts(config):
    """Four rows of each of two prompts, side by side, as GRPO has them: 8 rows, 2 budgets."""
    tokenizer, fmt = family_of("opened")
    model = wanting(tokenizer, {prompt_of(tokenizer, user): "ab" * 20 for user in ("q", "rs")})
    rows = [encode(tokenizer, prompt_of(tokenizer, user)) for user in ("q", "rs") for _ in range(4)]
    if config is not None:
        config = GenerationConfig(**config)
    processor = BudgetForcingLogitsProcessor(
        tokenizer, format=fmt, max_thinking_tokens=[2, 5], generation_config=config
    )
    inputs = padded([list(row) for row in rows], tokenizer.pad_token_id)
    if config is not None and config.num_return_sequences == 2:
        inputs = {name: tensor[::2] for name, tensor in inputs.items()}
    given = {} if config is None else {"generation_config": config}
    options = {"max_new_tokens": 30, "pad_token_id": tokenizer.pad_token_id, "eos_token_id": tokenizer.eos_token_id}
    model.generate(**inputs, **given, **options, logits_processor=[processor])
    assert [report.thinking_tokens for report in processor.reports()] == [2] * 4 + [5] * 4


def steps(processor: BudgetForcingLogitsProcessor, ids: torch.Tensor, model, count: int) -> torch.Tensor:
    for i in range(count):
        scores = model(ids).logits[:, -1].clone()
        if i == 0:
            scores = processor(ids, scores)  # the prompt is read on the host, once a call of `generate`
        else:
            with NoWaiting():
                scores = processor(ids, scores)
        ids = torch.cat([ids, scores.argmax(-1)[:, None]], 1)
    return ids


@pytest.mark.parametrize("seed", range(20))
@pytest.mark.parametrize("sample", [False, True])
def test_no_step_waits_for_the_device(seed, sample):
    case = case_of(seed)
    tokenizer, _, _ = setting(case["family"])
    config = GenerationConfig(do_sample=sample, top_k=20, top_p=0.9, temperature=0.7, min_p=0.01)
    processor = processor_for(case, generation_config=config)
    ids = padded(case["prompts"], tokenizer.pad_token_id)["input_ids"]
    steps(processor, ids, case["model"], 25)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
@pytest.mark.parametrize("sample", [False, True])
def test_no_step_waits_for_a_gpu(sample):
    """The same under CUDA's own check."""
    case = case_of(3)
    tokenizer, _, _ = setting(case["family"])
    config = GenerationConfig(do_sample=sample, top_k=20, top_p=0.9, temperature=0.7)
    processor = processor_for(case, generation_config=config)
    model = case["model"].cuda()
    ids = padded(case["prompts"], tokenizer.pad_token_id)["input_ids"].cuda()
    guarded = Guarded(processor)
    for _ in range(12):
        scores = guarded(ids, model(ids).logits[:, -1].clone())
        ids = torch.cat([ids, scores.argmax(-1)[:, None]], 1)


def test_the_check_for_waiting_can_fail():
    with pytest.raises(AssertionError, match="waits for the device"), NoWaiting():
        torch.ones(1).item()


ANSWER = "\nFinal Answer:"


def test_interleaved_blocks_share_one_budget():
    """Ignores and tokens of an earlier block are used up in the next; the cap holds for all together."""
    tokenizer, _ = family_of("think")
    fmt = ThinkingFormat.from_delimiters(tokenizer, start="<think>", close="</think>", interleaved=True)
    want = "<think>a</think>b</think>xy<think>cdefg"
    model = wanting(tokenizer, {prompt_of(tokenizer, "q"): want})
    options = {"num_ignores": 1, "max_thinking_tokens": 6, "answer_prefix": "So:", "max_new_tokens": 18}
    (completion,) = generate(model, tokenizer, "q", format=fmt, **options)
    # Thinking tokens: a, Wait, b, then c, d, e; ends ignored: the first alone.
    assert completion.text.startswith("<think>aWaitb</think>xy<think>cde\n</think>\nSo:")
    assert (completion.report.ends_ignored, completion.report.thinking_tokens) == (1, 6)


@FAMILIES
@pytest.mark.parametrize("prefix", ["Final Answer:", None])
def test_no_thinking_at_all_with_a_cap_of_0(family, prefix):
    """Closed at once behind the opening delimiter, on a line of its own, with the prefix on the next."""
    tokenizer, fmt = family_of(family)
    start = opening(family, fmt)
    model = wanting(tokenizer, {prompt_of(tokenizer, "q"): f"{start}xyz"})
    options = {"format": fmt, "max_thinking_tokens": 0, "answer_prefix": prefix, "max_new_tokens": 60}
    (completion,) = generate(model, tokenizer, "q", **options)
    line = "\n" if start and not start.endswith("\n") else ""  # the template's `<think>` has its newline already
    closing = [line, fmt.close_text, fmt.answer_start_text, ANSWER if prefix else ""]
    assert completion.text.startswith(start + "".join(closing))
    assert (completion.thinking, completion.report.ended, completion.report.thinking_tokens) == ("", "cut", 0)
    own, forced = length(tokenizer, start), sum(length(tokenizer, text) for text in closing)
    if fmt.force_start:
        own, forced = 0, own + forced
    assert (completion.forced.index(True), sum(completion.forced)) == (own, forced)


@FAMILIES
def test_a_single_new_token(family):
    """The smallest length there is: one token, and a report about it."""
    tokenizer, fmt = family_of(family)
    model = wanting(tokenizer, {prompt_of(tokenizer, "q"): "xyz"})
    (completion,) = generate(model, tokenizer, "q", format=fmt, max_thinking_tokens=0, max_new_tokens=1)
    forced = family in ("s1", "opened", "plain")
    assert (len(completion.token_ids), completion.forced) == (1, (forced,))
    assert completion.report.ended == ("cut" if family in ("opened", "plain") else "never_started")


def test_waits_are_used_in_turn_and_start_over():
    """Each prompt goes through them for itself."""
    tokenizer, _ = family_of("opened")
    users, waits = ["q", "rstu"], ["One.", "Two, and more.", "3"]
    model = wanting(
        tokenizer,
        {prompt_of(tokenizer, u): [*encode(tokenizer, "a"), *encode(tokenizer, "</think>") * 200] for u in users},
    )
    for token in encode(tokenizer, "b"):
        model.bias.data[token] = 1.0
    options = {"num_ignores": [4, 2], "wait_text": waits, "max_new_tokens": 80}
    four, two = generate(model, tokenizer, users, **options)
    texts = [c.text.split("</think>")[0] for c in (four, two)]
    for text, n in zip(texts, (4, 2), strict=True):
        at = 0
        for i in range(n):
            at = text.index(waits[i % 3], at) + 1
    assert (four.report.ends_ignored, two.report.ends_ignored) == (4, 2)
    assert texts[1].count("3") == 0 and texts[0].count("One.") == 2


def test_ends_ignored_below_the_minimum_take_their_turn_of_the_waits():
    """The i-th ignored end has the i-th Wait, whether the minimum or an ignore was the reason."""
    tokenizer, _ = family_of("opened")
    model = wanting(tokenizer, {prompt_of(tokenizer, "q"): "a</think>" + "b</think>" * 4 + "c"})
    waits = ["1", "2", "3"]
    options = {"min_thinking_tokens": 3, "num_ignores": 2, "wait_text": waits, "max_new_tokens": 12}
    (completion,) = generate(model, tokenizer, "q", **options)
    assert completion.text.startswith("a1b2b3b</think>")  # at 1 thinking token below the minimum, then two ignores
    assert completion.report.ends_ignored == 3


@pytest.mark.parametrize("cap", [3, 4, 12, 13, 14, 15])
def test_a_wait_that_does_not_fit_under_the_cap_is_not_begun(cap):
    """An end is ignored if the Wait and one more token fit: 1 thought and 12 of the Wait need a cap of 14."""
    tokenizer, _ = family_of("opened")
    wait = "Let me check"
    assert length(tokenizer, wait) == 12
    model = wanting(
        tokenizer, {prompt_of(tokenizer, "q"): [*encode(tokenizer, "a"), *encode(tokenizer, "</think>") * 60]}
    )
    options = {"num_ignores": 1, "wait_text": wait, "max_thinking_tokens": cap, "max_new_tokens": 40}
    (completion,) = generate(model, tokenizer, "q", **options)
    ignored = cap >= 14
    assert (wait in completion.thinking, completion.report.ends_ignored) == (ignored, int(ignored))
    assert completion.report.thinking_tokens == (14 if ignored else 1)


def test_any_end_of_sequence_of_the_model_is_an_end():
    """Several EOS ids, as most models have: each is an attempt to end, and never appears inside thinking."""
    tokenizer, _ = family_of("opened")
    model = wanting(tokenizer, {prompt_of(tokenizer, "q"): "a<|pad|>b<|im_end|>c</think>xyz<|pad|>"})
    model.generation_config.eos_token_id = [tokenizer.eos_token_id, tokenizer.pad_token_id]
    (natural,) = generate(model, tokenizer, "q", max_new_tokens=20)
    assert natural.text.startswith("a</think>")
    (longer,) = generate(model, tokenizer, "q", num_ignores=2, max_new_tokens=20)
    assert longer.text == "aWaitbWaitc</think>xyz"
    assert longer.token_ids[-1] == tokenizer.pad_token_id


def test_numpy_budgets_work():
    tokenizer = toy_tokenizer("s1")
    model = babbler(tokenizer, ends=False)
    caps = [np.int64(2), np.int32(5)]
    completions = generate(model, tokenizer, ["a", "b"], max_thinking_tokens=caps, max_new_tokens=np.int64(20))
    assert [c.report.thinking_tokens for c in completions] == [2, 5]


def test_a_processor_may_be_used_in_one_thread_after_another():
    """One call at a time is enough, in whichever threads (a streamer's call runs in its own)."""
    tokenizer, _ = family_of("opened")
    model = babbler(tokenizer, ends=False)
    processor = BudgetForcingLogitsProcessor(tokenizer, max_thinking_tokens=4)
    short = id_rows(tokenizer, prompt_of(tokenizer, "q"))

    def call(ids: torch.Tensor, new: int) -> None:
        model.generate(ids, logits_processor=[processor], max_new_tokens=new, pad_token_id=tokenizer.pad_token_id)

    call(short, 5)
    other = threading.Thread(target=call, args=(short, 3))
    other.start()
    other.join()
    call(torch.cat([short[:, :1], short[:, :4], short], 1), 3)
    assert processor.reports()[0].thinking_tokens == 3


def test_a_processor_of_budget_forcing_works_again_by_itself():
    """Its reports are about the last call, with or without the criteria that came with it."""
    tokenizer = toy_tokenizer("s1")
    model = babbler(tokenizer)
    kwargs = budget_forcing(model, tokenizer, max_thinking_tokens=4, max_new_tokens=30)
    (processor,) = kwargs["logits_processor"]
    model.generate(id_rows(tokenizer, prompt_of(tokenizer, "a")), **kwargs)
    del kwargs["stopping_criteria"]
    out = model.generate(id_rows(tokenizer, prompt_of(tokenizer, "bcd")), **kwargs)
    assert processor.reports() == processor.reports(out)


@needs_shared
@pytest.mark.parametrize(
    ("name", "rows"), [("qwen2.5-instruct", 152064), ("qwen2.5-instruct", 151936), ("qwen3", 151936)]
)
@pytest.mark.parametrize("mode", ["greedy", "sample", "beam"])
def test_no_id_beyond_a_real_tokenizer_is_left_possible(name, rows, mode):
    """Embedding rows that are no token get a score of -inf wherever a row stands, however likely they are."""
    tokenizer = qwen(name)
    config = {
        "greedy": GenerationConfig(),
        "sample": GenerationConfig(do_sample=True, top_k=0),
        "beam": GenerationConfig(num_beams=2),
    }[mode]
    fmt = ThinkingFormat.from_tokenizer(tokenizer, "s1" if name == "qwen2.5-instruct" else None)
    processor = BudgetForcingLogitsProcessor(tokenizer, format=fmt, generation_config=config)
    header = "<|im_start|>user\na<|im_end|>\n<|im_start|>assistant\n"
    owns = ["", fmt.start_text, fmt.start_text + "\nab", fmt.start_text + "a" + fmt.close_text + "b"]
    ids = [encode(tokenizer, header + own) for own in owns]
    width = max(map(len, ids))
    ids = torch.tensor([[tokenizer.pad_token_id] * (width - len(row)) + list(row) for row in ids])
    scores = torch.randn(len(owns), rows, generator=torch.Generator().manual_seed(2))
    scores[:, len(tokenizer) :] += 20
    out = processor(ids, scores)
    assert (out[:, len(tokenizer) :] == -torch.inf).all()
    assert (out[:, : len(tokenizer)] > -torch.inf).any(-1).all()
    assert (scores[:, len(tokenizer) :] > 0).all()


@needs_shared
@pytest.mark.parametrize("sample", [False, True])
def test_a_model_with_more_rows_than_tokens_generates_tokens_alone(sample):
    """Qwen2.5's 152,064 rows, the 399 beyond the tokenizer liked best, through `generate`."""
    tokenizer = qwen("qwen2.5-instruct")
    config = Qwen2Config(
        vocab_size=152064,
        hidden_size=8,
        intermediate_size=8,
        num_hidden_layers=1,
        num_attention_heads=1,
        num_key_value_heads=1,
        tie_word_embeddings=False,
    )
    torch.manual_seed(0)
    model = Qwen2ForCausalLM(config).eval()
    model.lm_head.bias = torch.nn.Parameter(torch.zeros(152064))
    model.lm_head.bias.data[151665:] = 5.0
    chat = [[{"role": "user", "content": "a"}], [{"role": "user", "content": "b c d e"}]]
    options = {"max_thinking_tokens": 3, "max_new_tokens": 20, "do_sample": sample}
    completions = generate(model, tokenizer, chat, format="s1", **options)
    assert max(i for c in completions for i in c.token_ids) < 151665
    assert {c.report.ended for c in completions} == {"cut"}
    assert all(c.text.startswith("<|im_start|>think") for c in completions)


class Counted(TorchDispatchMode):
    """Counts tensor operations that are no mere views: on a GPU nearly each is a kernel launch of its own."""

    def __init__(self) -> None:
        super().__init__()
        self.count = 0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        self.count += not any(a.alias_info and not a.alias_info.is_write for a in func._schema.arguments)
        return func(*args, **(kwargs or {}))


def operations(monkeypatch: pytest.MonkeyPatch, **options) -> list[int]:
    """How many operations each step of a call of `generate` takes, our processor's and our criterion's together; after
    the first, which reads the prompts."""
    tokenizer, _ = family_of("opened")
    users = ["q", "rstu"]
    want = [*encode(tokenizer, "ab\nc"), *encode(tokenizer, "</think>") * 3, *encode(tokenizer, "x" * 30)]
    model = wanting(tokenizer, {prompt_of(tokenizer, user): want for user in users})
    steps: list[int] = []

    def counted(inner, is_new):
        def call(self, *args, **kwargs):
            with Counted() as mode:
                result = inner(self, *args, **kwargs)
            if is_new:
                steps.append(0)
            steps[-1] += mode.count
            return result

        return call

    for kind, is_new in ((BudgetForcingLogitsProcessor, True), (SequenceObserver, False)):
        monkeypatch.setattr(kind, "__call__", counted(kind.__call__, is_new))
    completions = generate(model, tokenizer, users, max_new_tokens=40, **options)
    assert max(completion.report.ends_ignored for completion in completions) == 2
    assert "cut" in {completion.report.ended for completion in completions}
    return steps[1:]


@pytest.mark.parametrize("looks", [True, False])
def test_a_greedy_step_takes_at_most_50_operations(looks, monkeypatch):
    """Steps in which ends are ignored, and thinking is cut and closed, among them; on CPUs and as on other devices."""
    if not looks:
        monkeypatch.setattr(decisions, "possibly", lambda rows: True)
    steps = operations(monkeypatch, max_thinking_tokens=[7, 9], num_ignores=2)
    assert len(steps) > 20
    assert max(steps) <= 50
    if looks:
        assert sorted(steps)[len(steps) // 2] <= 30  # what no row needs is left out
