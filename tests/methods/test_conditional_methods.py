"""What prompts say, what settings promise, and that forced and unforced rows come from one trace."""

from __future__ import annotations

import dataclasses
import math
from typing import Any

import pytest
from benches import problems, random_bench

from s1_hf.methods import (
    Bench,
    BudgetForcing,
    ClassConditional,
    CueAblation,
    StepConditional,
    TokenConditional,
    instructed,
)
from s1_hf.results.rows import Problem
from s1_hf.results.summaries import summarize_methods, summarize_settings

SHORT = "Answer after a short amount of thinking. Do not spend excessive time double-checking your work."
LONG = (
    "Answer after a long amount of thinking. If you feel like you are finished early, spend the extra time trying to "
    "double-check your work until you are absolutely sure that you have the correct answer."
)


class Recorded(Bench):
    """Keeps the prompts that were generated from."""

    @property
    def asked(self) -> list[Any]:
        return self.__dict__.setdefault("prompts", [])

    def complete(self, prompts, *args, **options):
        self.asked.extend(prompts)
        return super().complete(prompts, *args, **options)


def recorded(count: int = 2, **options: Any) -> Recorded:
    bench = random_bench(count, **options)
    return Recorded(**{field.name: getattr(bench, field.name) for field in dataclasses.fields(bench)})


@pytest.mark.parametrize(
    ("method", "instructions"),
    [
        (TokenConditional([64, 8]), ["Think for up to 64 tokens.", "Think for up to 8 tokens."]),
        (TokenConditional([8], forced=True), ["Think for up to 8 tokens."]),
        (StepConditional([16]), ["Think for up to 16 steps."]),
        (StepConditional([2], forced=True), ["Think for up to 2 steps."] * 2),
        (ClassConditional(), [SHORT, LONG, None]),
    ],
)
def test_prompts_are_the_papers_word_for_word(method, instructions):
    bench = recorded()
    method.run(bench)
    questions = [problem.prompt for problem in bench.problems]
    expected = [q if i is None else f"{q}\n\n{i}" for i in instructions for q in questions]
    assert bench.asked == expected


def test_in_a_chat_the_last_user_message_is_instructed_and_nothing_else_changed():
    chat = [{"role": "system", "content": "S"}, {"role": "user", "content": "Q"}, {"role": "assistant", "content": "A"}]
    assert instructed(chat, "Be brief.") == [chat[0], {"role": "user", "content": "Q\n\nBe brief."}, chat[2]]
    assert chat[1]["content"] == "Q"


@pytest.mark.parametrize(
    "chat", [[{"role": "system", "content": "S"}], [{"role": "user", "content": [{"type": "text"}]}]]
)
def test_a_chat_without_a_text_to_instruct_is_refused(chat):
    with pytest.raises(ValueError, match="has to stand behind a user message of text"):
        instructed(chat, "Be brief.")


def test_forced_tokens_are_capped_and_unforced_rows_are_as_without_forcing():
    bench = random_bench(4)
    both, alone = TokenConditional([3, 9], forced=True).run(bench), TokenConditional([3, 9]).run(bench)
    name = "token-conditional control"
    assert [row for row in both if row.method == name] == alone
    capped = [row for row in both if row.method == f"{name} + budget forcing"]
    asked = [dataclasses.replace(p, prompt=instructed(p.prompt, "Think for up to 3 tokens.")) for p in bench.problems]
    directly = BudgetForcing([3]).run(dataclasses.replace(bench, problems=asked))
    assert [r.transcript for r in capped if r.setting == "3 tokens"] == [r.transcript for r in directly]
    assert {(r.setting, r.max_thinking_tokens) for r in both} == {("3 tokens", 3), ("9 tokens", 9)}
    assert all(row.thinking_tokens <= row.max_thinking_tokens for row in capped)


def test_steps_promise_the_papers_100_tokens_each():
    rows = StepConditional([2, 3]).run(random_bench(1))
    assert [(row.setting, row.max_thinking_tokens) for row in rows] == [("2 steps", 200), ("3 steps", 300)]


def test_short_and_long_promise_the_mean_without_instruction_of_their_task():
    bench = random_bench(problems=[*problems(3), *problems(5, "u")], samples=2, answer_prefix=None)
    rows = ClassConditional().run(bench)
    for task, count in (("t", 3), ("u", 5)):
        of_task = [row for row in rows if row.task == task]
        plain = [row.thinking_tokens for row in of_task if row.method == "no intervention"]
        mean = sum(plain) / len(plain)
        assert len(plain) == 2 * count and mean % 1 > 0
        promised = {(row.setting, row.max_thinking_tokens, row.min_thinking_tokens) for row in of_task}
        assert promised == {("short", int(mean), None), ("long", None, int(mean) + 1), ("no intervention", None, None)}
    (short, *_) = [m for m in summarize_methods(summarize_settings(rows)) if m.method.startswith("class")]
    assert short.settings == 2


def test_budget_forcing_promises_its_caps_and_nothing_for_ignores():
    rows = BudgetForcing([4, None], [0, 1]).run(random_bench(1))
    assert [(row.setting, row.max_thinking_tokens) for row in rows] == [
        ("cap 4", 4), ("cap 4, 1 ignore", 4), ("no intervention", None), ("1 ignore", None),
    ]  # fmt: skip


def test_cues_are_those_of_separate_budget_forcing_and_the_baseline_comes_once():
    bench = random_bench(3, max_new_tokens=40, samples=5)
    cues = ["Wait", "Hmm", ["Wait", "Hmm"], None]
    rows = CueAblation(cues, num_ignores=2).run(bench)
    names = ["no extrapolation", '2x "Wait"', '2x "Hmm"', '2x "Wait", "Hmm"', "2x without string"]
    assert list(dict.fromkeys(row.setting for row in rows)) == names and len(rows) == 75
    for name, cue in zip(names[1:], cues, strict=True):
        separate = BudgetForcing(num_ignores=[2], wait_text=cue).run(bench)
        assert [r.transcript for r in rows if r.setting == name] == [r.transcript for r in separate]
    assert len({str([r.transcript for r in rows if r.setting == name]) for name in names}) == 5


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: TokenConditional([]), "`budgets` has to be a sequence of different integers of at least 1"),
        (lambda: TokenConditional([0]), "`budgets` has to be a sequence"),
        (lambda: StepConditional("16"), "`steps` has to be a sequence"),
        (lambda: CueAblation("Wait"), "`wait_texts` has to be a sequence of different wait texts, but is 'Wait'"),
        (lambda: CueAblation(["Wait", "Wait"]), "`wait_texts` has to be a sequence of different"),
        (lambda: CueAblation(["Wait", ["Wait"]]), "`wait_texts` has to be a sequence of different"),
        (lambda: CueAblation([""]), "`wait_text` has to be a text"),
        (lambda: CueAblation(num_ignores=0), "`num_ignores` has to be an integer of at least 1"),
        (lambda: BudgetForcing([-1]), "`max_thinking_tokens` has to be an integer of at least 0"),
        (lambda: BudgetForcing(num_ignores=[]), "`num_ignores` has to be a sequence"),
        (lambda: BudgetForcing(points=[16]), "`settings` has to hold different settings"),
    ],
)
def test_bad_settings_of_methods_are_refused_when_they_are_built(make, message):
    with pytest.raises(ValueError, match=message):
        make()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"problems": []}, "`problems` has to be a sequence of `s1_hf.results.rows.Problem` with at least one"),
        ({"problems": ["1+1?"]}, "`problems` has to be a sequence of `s1_hf.results.rows.Problem`"),
        ({"problems": problems(2) + problems(1)}, "`problems` has to name each once, but has ...t., .0..."),
        ({"problems": [Problem(0, "Q", "7")]}, "`id`, `task` and `gold` of a problem have to be texts"),
        ({"problems": [Problem("0", "Q", 7)]}, "`id`, `task` and `gold` of a problem have to be texts"),
        ({"problems": [Problem("1", "Q", "Z", kind="choice")]}, "`gold` has to be a letter from A to D"),
        ({"max_new_tokens": 0, "batch_size": 0}, "`max_new_tokens` has to .* `batch_size` has to be an integer"),
        ({"samples": 0}, "`samples` has to be an integer of at least 1, but is 0"),
        (
            {"temperature": 0.0},
            "`temperature` has to be a number above 0, but is 0.0. For greedy answers leave `samples` out",
        ),
        ({"temperature": math.nan}, "`temperature` has to be a number above 0, but is nan"),
        ({"temperature": math.inf}, "`temperature` has to be a number above 0, but is inf"),
        ({"top_p": 1.5}, "`top_p` has to be a number above 0 and at most 1"),
        ({"min_p": -1}, "`min_p` has to be a number from 0 to 1"),
        ({"max_new_tokens": 500}, "have to fit into the model's context of 512"),
        ({"temperature": "hot"}, "`temperature` has to be a number above 0, but is 'hot'"),
        ({"loop_guard": 5}, "`loop_guard` has to be a LoopGuard or None"),
        ({"format": "none"}, "`format` has to be one of"),
    ],
)
def test_bad_benches_are_refused_when_they_are_built(changes, message):
    with pytest.raises(ValueError, match=message):
        random_bench(2, **changes)


def test_a_cue_that_a_format_cannot_have_is_refused_before_anything_is_run():
    bench = recorded(2, family="plain")
    with pytest.raises(ValueError, match="`num_ignores` and `min_thinking_tokens` have to be 0"):
        CueAblation().run(bench)
    with pytest.raises(ValueError, match="`wait_text` has to be free of delimiters"):
        BudgetForcing(num_ignores=[1], wait_text="<|im_start|>").run(recorded(2))
    assert not bench.asked


def test_an_instruction_that_no_longer_fits_is_refused_before_anything_is_run():
    plain = random_bench(1)
    room = 512 - len(plain.encode(plain.problems[0].prompt)) - 10
    bench = recorded(1, max_new_tokens=room)
    with pytest.raises(ValueError, match="have to fit into the model's context"):
        ClassConditional().run(bench)
    assert not bench.asked
