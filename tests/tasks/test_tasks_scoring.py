"""lighteval's metrics by our grading, on texts as models and hosts really hand them over."""

import pytest

pytest.importorskip("lighteval")

from lighteval.metrics import apply_metric
from lighteval.models.model_output import ModelResponse
from lighteval.tasks.requests import Doc
from pytest import approx

from s1_hf.tasks.scoring import accuracy_metric, votes_metric

S1 = "<|im_start|>think\n{}\n<|im_start|>answer\n{}"


def score(metric, gold, response, choices=None):
    doc = Doc(query="?", choices=choices or [gold], gold_index=(choices or [gold]).index(gold))
    (scores,) = apply_metric([response], [doc], [metric])
    return scores


def accuracy(text, gold="25", **response):
    return score(accuracy_metric("math"), gold, ModelResponse(text=[text], **response))["accuracy"]


@pytest.mark.parametrize(
    ("text", "right"),
    [
        (S1.format("Is it 24?", "Final Answer: 025"), 1),
        (S1.format("It is \\boxed{25}.", "Final Answer: 24"), 0),
        ("think\nIs it 24?\nanswer\nFinal Answer: 25", 1),  # delimiters lost to skip_special_tokens
        ("think\nIt is \\boxed{25}.\nanswer\nFinal Answer: 24", 0),
        ("<think>Is it 24?</think>\n\n$\\boxed{25}$", 1),
        ("<think>It is \\boxed{25}.</think>\n\n$\\boxed{24}$", 0),
        ("Is it 24?</think>The answer is 25.", 1),  # opened in the prompt
        ("The answer is \\boxed{\\frac{50}{2}}.", 1),  # no thinking at all
    ],
)
def test_the_answer_part_alone_is_graded(text, right):
    assert accuracy(text) == right


@pytest.mark.parametrize(
    "text", ["<|im_start|>think\nIt is \\boxed{25}.", "<think>It is \\boxed{25}.", "", None], ids=repr
)
def test_thinking_that_never_closed_is_no_answer(text):
    assert accuracy(text) == 0


@pytest.mark.parametrize(("opening", "right"), [("<think>\n", 0), ("", 1)])
def test_thinking_opened_in_a_prompt_that_is_known_counts_as_opened(opening, right):
    prompt = f"<|User|>What is it?<|Assistant|>{opening}"
    assert accuracy("It is \\boxed{25}.", input=prompt) == right
    assert accuracy("So.</think>It is \\boxed{25}.", input=prompt) == 1
    assert accuracy("<think>So.</think>It is \\boxed{25}.", input=prompt) == 1


def test_what_lighteval_cut_at_think_tags_is_not_read():
    """Its own metrics read `text_post_processed`, from which all thinking tags that it knows were cut."""
    text = "<think>a</think>24<think>b</think>\\boxed{25}"
    assert accuracy(text, text_post_processed=["24"]) == 1
    assert accuracy("<think>It is 25", text_post_processed=["25"]) == 0


def test_a_choice_is_graded_by_its_letter():
    metric, choices = accuracy_metric("choice"), list("ABCD")
    for text, right in [("<think>A?</think>Answer: (B) gold", 1), ("<think>B</think>Answer: A", 0), ("<think>B", 0)]:
        assert score(metric, "B", ModelResponse(text=[text]), choices) == {"accuracy": right}


def test_one_sample_is_graded_where_one_is_asked_for():
    assert score(accuracy_metric("math"), "25", ModelResponse(text=["Answer: 25", "Answer: 3"])) == {"accuracy": 1}


# Votes


def votes(answers, n, gold="7", kind="math", choices=None):
    """`None`: thinking that never closed, with the right answer in it."""
    texts = [f"<think>{gold}</think>Answer: {a}" if a is not None else f"<think>Answer: {gold}" for a in answers]
    return score(votes_metric(kind, n), gold, ModelResponse(text=texts), choices)


def test_votes_are_counted_over_the_first_k_of_the_samples():
    assert votes(["3", "3", "7", "07", None, "14/2", "5", "5"], 8) == {
        "avg@2": 0, "avg@4": 0.5, "avg@8": 0.375,
        "cov@2": 0, "cov@4": 1, "cov@8": 1,
        "pass@2": approx(1 - 10 / 28), "pass@4": approx(1 - 5 / 70), "pass@8": 1,
        "maj@2": 0, "maj@4": 0, "maj@8": 1,  # at 4 a draw, which the first answer wins; at 8 three votes to two
    }  # fmt: skip


def test_the_first_answer_wins_a_draw():
    assert votes(["7", "3"], 2)["maj@2"] == 1
    assert votes(["3", "7"], 2)["maj@2"] == 0


def test_no_answer_has_no_vote():
    assert votes([None, None, None, "7"], 4)["maj@4"] == 1
    assert votes([None, None, "7", "7"], 4) == {
        "avg@2": 0, "avg@4": 0.5, "cov@2": 0, "cov@4": 1, "pass@2": approx(5 / 6), "pass@4": 1, "maj@2": 0, "maj@4": 1,
    }  # fmt: skip


def test_answers_written_differently_vote_together():
    assert votes(["3", "\\frac{1}{2}", "3", "0.5", "1/2", "3", "\\boxed{.5}", "9"], 8, gold="0.5")["maj@8"] == 1


def test_letters_vote():
    assert votes(["A", "(B)", "\\boxed{B}", "C"], 4, gold="B", kind="choice", choices=list("ABCD"))["maj@4"] == 1


def test_too_few_samples_are_an_error():
    with pytest.raises(ValueError, match="8 samples has to be given as many, but the model gave 2"):
        votes(["7", "7"], 8)


def test_votes_are_averaged_under_their_names():
    metric = votes_metric("math", 64)
    names = [f"{name}@{k}" for name in ("avg", "cov", "pass", "maj") for k in (2, 4, 8, 16, 32, 64)]
    assert metric.metric_name == names
    assert {name: mean([0, 1, 1]) for name, mean in metric.get_corpus_aggregations().items()} == dict.fromkeys(
        names, approx(2 / 3)
    )
