"""What prompts say, what settings promise, and that forced and unforced rows come from one trace."""

from __future__ import annotations

import dataclasses

import pytest
from benches import problems, random_bench, recording

from s1_hf.methods import (
    BudgetForcing,
    ClassConditional,
    StepConditional,
    TokenConditional,
    instructed,
)
from s1_hf.results.summaries import summarize_methods, summarize_settings

SHORT = "Answer after a short amount of thinking. Do not spend excessive time double-checking your work."
LONG = (
    "Answer after a long amount of thinking. If you feel like you are finished early, spend the extra time trying to "
    "double-check your work until you are absolutely sure that you have the correct answer."
)


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
    bench, engine = recording(random_bench(2))
    method.run(bench)
    questions = [problem.prompt for problem in bench.problems]
    expected = [q if i is None else f"{q}\n\n{i}" for i in instructions for q in questions]
    asked = [request.prompt for requests in engine.asked for request in requests]
    assert asked == [tuple(bench.encode(prompt)) for prompt in expected]


def test_in_a_chat_the_last_user_message_is_instructed_and_nothing_else_changed():
    chat = [{"role": "system", "content": "S"}, {"role": "user", "content": "Q"}, {"role": "assistant", "content": "A"}]
    assert instructed(chat, "Be brief.") == [chat[0], {"role": "user", "content": "Q\n\nBe brief."}, chat[2]]
    assert chat[1]["content"] == "Q"


@pytest.mark.parametrize(
    "chat", [[{"role": "system", "content": "S"}], [{"role": "user", "content": [{"type": "text"}]}]]
)
def test_a_chat_without_a_text_to_instruct_is_refused(chat):
    with pytest.raises(ValueError, match="has to stand after a user message of text"):
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
    assert {(r.setting, r.promised_max_tokens) for r in both} == {("3 tokens", 3), ("9 tokens", 9)}
    assert all(row.thinking_tokens <= row.max_thinking_tokens == row.promised_max_tokens for row in capped)
    assert {row.max_thinking_tokens for row in alone} == {None}  # the prompt promises it, and nothing is forced


def test_steps_promise_the_papers_100_tokens_each():
    rows = StepConditional([2, 3]).run(random_bench(1))
    assert [(row.setting, row.promised_max_tokens) for row in rows] == [("2 steps", 200), ("3 steps", 300)]


def test_short_and_long_promise_the_mean_without_instruction_of_their_task():
    bench = random_bench(problems=[*problems(3), *problems(5, "u")], samples=2)
    rows = ClassConditional().run(bench)
    for task, count in (("t", 3), ("u", 5)):
        of_task = [row for row in rows if row.task == task]
        plain = [row.thinking_tokens for row in of_task if row.method == "no intervention"]
        mean = sum(plain) / len(plain)
        assert len(plain) == 2 * count and mean % 1 > 0
        promised = {(row.setting, row.promised_max_tokens, row.promised_min_tokens) for row in of_task}
        assert promised == {("short", int(mean), None), ("long", None, int(mean) + 1), ("no intervention", None, None)}
    (short, *_) = [m for m in summarize_methods(summarize_settings(rows)) if m.method.startswith("class")]
    assert short.settings == 2


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: TokenConditional([]), "`budgets` has to be a sequence of different integers of at least 1"),
        (lambda: TokenConditional([0]), "`budgets` has to be a sequence"),
        (lambda: StepConditional("16"), "`steps` has to be a sequence"),
    ],
)
def test_bad_settings_of_methods_are_refused_when_they_are_built(make, message):
    with pytest.raises(ValueError, match=message):
        make()


def test_an_instruction_that_no_longer_fits_is_refused_before_anything_is_run():
    plain = random_bench(1)
    room = 512 - len(plain.encode(plain.problems[0].prompt)) - 10
    bench, engine = recording(random_bench(1, max_new_tokens=room))
    with pytest.raises(ValueError, match="have to fit into the model's context"):
        ClassConditional().run(bench)
    assert not engine.asked
