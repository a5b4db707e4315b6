"""The countdown before each step, token for token, against a slow reference; and what counts as a step."""

from __future__ import annotations

import random

import pytest
import torch
from benches import problems
from countdown_by_rows import CountdownByRows
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from transformers.modeling_outputs import CausalLMOutput

from s1_hf.forcing.formats import ThinkingFormat
from s1_hf.forcing.report import Report
from s1_hf.generation.chats import Completion
from s1_hf.methods import Bench, StepConditional, StepCountdown, count_steps, instructed, step_format
from s1_hf.methods.steps import DELIMITER, Countdown
from s1_hf.results.rows import Problem
from toys import ToyConfig, ToyModel, toy_model, toy_tokenizer
from waiting import NoWaiting

common = {"deadline": None, "derandomize": True, "database": None, "suppress_health_check": list(HealthCheck)}
PLAIN = "Step {steps}:\n"


def stepping_model(family: str, seed: int) -> tuple[ToyModel, object]:
    """Writes letters, blank lines, the beginnings of delimiters, and ends; what next follows from the last two."""
    tokenizer = toy_tokenizer(family)
    texts = ["a", "b", "\n", "ĊĊ", "answer", "<|im_start|>", "<|im_end|>", "<think>", "</think>"]
    ids = [tokenizer.convert_tokens_to_ids(text if text != "\n" else "Ċ") for text in texts]
    ids = [i for i in ids if i is not None]
    likely = {tokenizer.convert_tokens_to_ids("ĊĊ"): 1.0, tokenizer.convert_tokens_to_ids("<|im_start|>"): 0.5}
    return toy_model(len(tokenizer), seed, likely, ids), tokenizer


def reference(model, tokenizer, fmt: ThinkingFormat, prompt: list[int], steps: int, delimiter: str, limit: int):
    """Generated ids, which of them were forced by hand, and how thinking ended; one token at a time, greedily."""
    out: list[int] = []
    forced: list[bool] = []

    def emit(ids, by_hand=True):
        out.extend(ids)
        forced.extend([by_hand] * len(ids))

    def likeliest(banned=()):
        scores = model.next_logits(prompt + out).clone()
        scores[list(banned)] = -torch.inf
        return int(scores.argmax())

    def encode(text):
        return tokenizer.encode(text, add_special_tokens=False)

    def ends_line():
        return tokenizer.decode((prompt + out)[-1:]).endswith("\n")

    def think() -> str:
        """How thinking ended."""
        begun, left = 0, steps
        while True:
            if left == 0:
                emit(fmt.close[begun and fmt.close[0] == encode(delimiter)[0] :])
                return "cut"
            emit([] if begun or ends_line() else encode("\n"))
            emit(encode(delimiter.format(steps=left))[begun:])
            left, begun, written = left - 1, 0, ""
            while not (written.strip() and written.endswith("\n\n")) and not begun:
                if len(out) >= limit:
                    return "unfinished"
                token = likeliest()
                if token in fmt.ends:
                    emit(fmt.close)
                    return "natural"
                emit([token], by_hand=False)
                written += tokenizer.decode([token])
                begun = int(token == encode(delimiter)[0] and delimiter.startswith("<"))
                if begun and fmt.close[0] == token and likeliest() == fmt.close[1]:
                    emit([fmt.close[1]], by_hand=False)
                    return "natural"

    if fmt.force_start:
        emit(fmt.start)
    ended = think()
    while len(out) < limit and tokenizer.eos_token_id not in out:
        completing = {d[-1] for d in (fmt.start, fmt.close) if out[len(out) - len(d) + 1 :] == list(d[:-1])}
        emit([likeliest(completing)], by_hand=False)
    return tuple(out[:limit]), tuple(forced[:limit]), ended


@pytest.mark.parametrize(
    ("family", "delimiter"), [("s1", DELIMITER), ("opened", DELIMITER), ("s1", PLAIN), ("opened", PLAIN)]
)
@given(seed=st.integers(0, 10**6), steps=st.integers(1, 4), size=st.sampled_from([1, 2]))
@settings(max_examples=8, **common)
def test_forced_steps_equal_the_slow_reference(family, delimiter, seed, steps, size):
    model, tokenizer = stepping_model(family, seed)
    fmt = step_format(tokenizer, ThinkingFormat.from_tokenizer(tokenizer), delimiter)
    asked = [Problem(str(i), text, "1") for i, text in enumerate(["a", "a longer one"])]
    bench = Bench(model=model, tokenizer=tokenizer, problems=asked, max_new_tokens=40, batch_size=size)
    for _, problem, _, done in bench.answers(asked, steering=Countdown(steps, delimiter)):
        ids, forced, ended = reference(model, tokenizer, fmt, bench.encode(problem.prompt), steps, delimiter, 40)
        assert done.token_ids == ids
        assert done.forced == forced == done.report.forced
        if ended != "unfinished" and tuple(fmt.close) in zip(*(ids[k:] for k in range(len(fmt.close))), strict=False):
            assert done.report.ended == ended
            assert count_steps(done.thinking, delimiter) <= steps


@pytest.mark.parametrize("family", ["s1", "think", "opened", "harmony"])
@pytest.mark.parametrize("delimiter", [DELIMITER, PLAIN, "\n[{steps}]"])
@given(seed=st.integers(0, 10**6), steps=st.integers(1, 4))
@settings(max_examples=12, **common)
def test_a_countdown_in_tensors_equals_one_row_by_row_whatever_is_generated(family, delimiter, seed, steps):
    """Tokens are drawn at random, most often those that are forced. The law: equality."""
    tokenizer, draw = toy_tokenizer(family), random.Random(seed)
    fmt = step_format(tokenizer, ThinkingFormat.from_tokenizer(tokenizer), delimiter)
    begins = tokenizer.encode(delimiter.format(steps=1), add_special_tokens=False)[0]
    texts = [tokenizer.encode(text, add_special_tokens=False)[0] for text in ("a", " ", "\n", "ĊĊ", "b")]
    likely = [*texts, tokenizer.convert_tokens_to_ids("ĊĊ"), begins, begins, *fmt.close, fmt.ends[0]]
    ids = torch.tensor([[*(draw.choice(likely) for _ in range(3)), *fmt.start] for _ in range(3)])
    by_rows = CountdownByRows(tokenizer, fmt, steps, delimiter)
    in_tensors = StepCountdown(tokenizer, fmt, steps, delimiter)
    width = ids.shape[1]
    for _ in range(60):
        scores = torch.rand(3, len(tokenizer) + 3, generator=torch.Generator().manual_seed(draw.randrange(10**9)))
        scores[:, [*fmt.close, begins]] += draw.choice([0.0, 1.0])
        expected, before = by_rows(ids, scores), scores.clone()
        assert torch.equal(in_tensors(ids, scores), expected)
        assert torch.equal(scores, before)
        tokens = [draw.choice(likely) if draw.random() < 0.1 else int(row.argmax()) for row in expected]
        free = (expected > -torch.inf).sum(1) > 1
        tokens = [draw.choice(likely) if free[row] else token for row, token in enumerate(tokens)]
        ids = torch.cat([ids, torch.tensor(tokens)[:, None]], dim=1)
    for row in range(3):
        kept = draw.randrange(1, 60)
        others = tuple(draw.random() < 0.3 for _ in range(kept))
        report = Report(0, "unfinished", 0, others, 0)
        done = Completion("", "", "", tuple(ids[row, width : width + kept].tolist()), others, report)
        assert in_tensors.finished(row, done) == by_rows.finished(row, done)


@pytest.mark.parametrize("family", ["s1", "opened"])
def test_no_step_waits_for_the_device(family):
    model, tokenizer = stepping_model(family, 3)
    fmt = step_format(tokenizer, ThinkingFormat.from_tokenizer(tokenizer))
    countdown = StepCountdown(tokenizer, fmt, 2)
    ids = torch.tensor([[*tokenizer.encode(text), *fmt.start] for text in ("a", "b")])
    ids = torch.cat([ids, countdown(ids, model(ids).logits[:, -1]).argmax(-1, keepdim=True)], dim=1)
    for _ in range(40):
        scores = model(ids).logits[:, -1]
        with NoWaiting():
            scores = countdown(ids, scores)
        ids = torch.cat([ids, scores.argmax(-1, keepdim=True)], dim=1)


def test_rows_may_change_places():
    model, tokenizer = stepping_model("s1", 3)
    fmt = step_format(tokenizer, ThinkingFormat.from_tokenizer(tokenizer))
    still, moved = (StepCountdown(tokenizer, fmt, 2) for _ in range(2))
    ids = torch.tensor([[*tokenizer.encode(text), *fmt.start] for text in ("a", "b", "\n")])
    for step in range(40):
        order = torch.randperm(3, generator=torch.Generator().manual_seed(step))
        scores = model(ids).logits[:, -1]
        expected = still(ids, scores)
        assert torch.equal(moved(ids[order], scores[order]), expected[order])
        ids = torch.cat([ids, expected.argmax(-1, keepdim=True)], dim=1)


def test_a_countdown_as_it_is_written():
    """A model that writes steps of a letter for ever; the last step is closed, and the answer has no prefix."""
    tokenizer = toy_tokenizer("s1")
    a, line = tokenizer.encode("a")[0], tokenizer.convert_tokens_to_ids("ĊĊ")
    model = toy_model(len(tokenizer), only=[a, line, tokenizer.eos_token_id])
    for table in (model.last, model.before, model.place):
        table.data.zero_()
    model.last.data[:, a] = 5.0
    model.last.data[a, line] = 9.0
    bench = Bench(model=model, tokenizer=tokenizer, problems=problems(1), max_new_tokens=80, max_answer_tokens=2)
    plain, forced = StepConditional([2], forced=True).run(bench)
    assert [piece["text"] for piece in forced.transcript] == [
        "<|im_start|>think\n<|im_start|>2 steps left\n", "a\n\n", "<|im_start|>1 steps left\n", "a\n\n",
        "<|im_start|>answer", "a\n\n",
    ]  # fmt: skip
    assert [piece["forced"] for piece in forced.transcript] == [True, False, True, False, True, False]
    delimiters = [tokenizer.encode(f"<|im_start|>{n} steps left\n") for n in (2, 1)]
    assert forced.thinking_tokens == 1 + sum(map(len, delimiters)) + 2 * 2
    assert (forced.ended, forced.promised_max_tokens, forced.setting) == ("cut", 200, "2 steps")
    assert (plain.ended, plain.method) == ("unfinished", "step-conditional control")
    assert forced.method == "step-conditional control + budget forcing"


class Scripted(ToyModel):
    """Writes `script` behind a prompt of `width` tokens."""

    script: list[int]
    width: int

    def forward(self, input_ids, **kwargs) -> CausalLMOutput:
        logits = torch.zeros(*input_ids.shape, self.config.vocab_size)
        logits[:, -1, self.script[input_ids.shape[1] - self.width]] = 1.0
        return CausalLMOutput(logits=logits)


def test_without_forcing_a_countdown_of_the_models_own_does_not_end_its_thinking():
    tokenizer = toy_tokenizer("s1")
    model = Scripted(ToyConfig(vocab_size=len(tokenizer))).eval()
    thinking = "\n<|im_start|>1 steps left\nb\n"
    model.script = tokenizer.encode(f"<|im_start|>think{thinking}<|im_start|>answer\n7<|im_end|>")
    bench = Bench(model=model, tokenizer=tokenizer, problems=problems(1), max_new_tokens=60)
    model.width = len(bench.encode(instructed(bench.problems[0].prompt, "Think for up to 4 steps.")))
    (row,) = StepConditional([4]).run(bench)
    assert (row.ended, row.answer, row.thinking_tokens) == ("natural", "7", len(tokenizer.encode(thinking)))


def test_sampled_steps_depend_on_their_seeds_alone():
    model, tokenizer = stepping_model("s1", 3)
    asked = [Problem(str(i), "ab", "1") for i in range(6)]
    options = {"problems": asked, "max_new_tokens": 40, "samples": 2, "temperature": 3.0}
    method = StepConditional([2], forced=True)
    one, other = (method.run(Bench(model=model, tokenizer=tokenizer, batch_size=size, **options)) for size in (12, 5))
    assert one == other
    assert len({str(row.transcript) for row in one}) > 8
    assert all(count_steps(str(row.transcript[1:])) <= 2 for row in one if "forcing" in row.method)


def test_formats_without_the_delimiters_first_token_stay_as_they_are():
    for family in ("opened", "harmony", "seed"):
        tokenizer = toy_tokenizer(family)
        fmt = ThinkingFormat.from_tokenizer(tokenizer)
        assert step_format(tokenizer, fmt) is fmt
    tokenizer = toy_tokenizer("s1")
    fmt = ThinkingFormat.from_tokenizer(tokenizer)
    assert step_format(tokenizer, fmt).plain and not fmt.plain


@pytest.mark.parametrize(
    ("thinking", "delimiter", "count"),
    [
        ("", DELIMITER, 0),
        ("one", DELIMITER, 1),
        ("one\n\ntwo\n \nthree\n\n", DELIMITER, 3),
        ("<|im_start|>12 steps left\none\n\nstill\n<|im_start|>11 steps left\ntwo", DELIMITER, 2),
        ("Step 2:\na\n\nStep 1:\nb", PLAIN, 2),
    ],
)
def test_steps_are_delimiters_or_else_parts_between_blank_lines(thinking, delimiter, count):
    assert count_steps(thinking, delimiter) == count


@pytest.mark.parametrize("delimiter", ["{steps}<|im_end|>", "<|im_start|>answer{steps}", "<|im_start|>think {steps}"])
def test_a_delimiter_that_means_something_else_is_refused_before_anything_is_run(delimiter):
    model, tokenizer = stepping_model("s1", 0)
    bench = Bench(model=model, tokenizer=tokenizer, problems=problems(1), max_new_tokens=10)
    with pytest.raises(ValueError, match="`delimiter` has to be free of delimiters and ends of sequence"):
        StepConditional([2], forced=True, delimiter=delimiter).check(bench)


@pytest.mark.parametrize("delimiter", ["steps left", "{steps} {steps}", "{x} {steps}", "{steps} }", None])
def test_a_delimiter_says_the_steps_once(delimiter):
    with pytest.raises(ValueError, match="`delimiter` has to be a text with one '.steps.'"):
        StepConditional([2], delimiter=delimiter)
