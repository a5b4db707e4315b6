"""Rows as others have them are read as those of s1K."""

import pytest

pytest.importorskip("transformers")

from s1_hf.data.replies import holds_both, read_messages, seen_in, split_reply, training_row
from s1_hf.forcing.families import FAMILIES

ENDS = {"<answer>": "</answer>", "<response>": "</response>", "<|begin_of_solution|>": "<|end_of_solution|>"}
USER = {"role": "user", "content": "1+1?"}


@pytest.mark.parametrize(
    ("text", "thinking", "answer"),
    [
        ("<think>\n\nHm.\n</think>\n\n2", "Hm.", "2"),
        ("Hm.\n</think>\n\n2", "Hm.", "2"),  # the prompt has opened it
        ("  <think>a</think>b</think>c", "a", "b</think>c"),
        ("<think>never closed", "never closed", None),
        ("2", None, "2"),
        ("", None, ""),
        ("<think></think>2", "", "2"),
        ("<think>a</think><answer>2</answer>", "a", "2"),
        ("<think>a</think><answer>2</answer>, because", "a", "<answer>2</answer>, because"),
        ("<|begin_of_thought|>a<|end_of_thought|>\n<|begin_of_solution|>2<|end_of_solution|>", "a", "2"),
        ("<|im_start|>think\na\n<|im_start|>answer\n2", "a", "2"),
        ("[THINK]a[/THINK]2", "a", "2"),
        ("<thinking>a</thinking>2", "a", "2"),
        ("He wrote <think>a</think>b", "He wrote <think>a", "b"),  # which quality's rule `delimiter` drops
    ],
)
def test_a_reply_is_split_at_the_first_end_of_thinking(text, thinking, answer):
    assert split_reply(text) == (thinking, answer)
    assert holds_both(text) == (thinking is not None and answer is not None)


@pytest.mark.parametrize("name", FAMILIES)
def test_a_reply_of_every_family_is_split(name):
    family = FAMILIES[name]
    answer = f"{family.answer_start}2{ENDS.get(family.answer_start, '')}"
    assert split_reply(f"{family.start}\nHm.\n{family.close}{answer}") == ("Hm.", "2")


@pytest.mark.parametrize(
    "messages",
    [
        [USER, {"role": "assistant", "content": "<think>Hm.</think>2"}],
        [{"role": "system", "content": "s"}, USER, {"role": "assistant", "content": "2", "reasoning_content": " Hm."}],
        [USER, {"role": "assistant", "content": "2", "thinking": "Hm.", "reasoning": None}],
        [{"from": "human", "value": "1+1?"}, {"from": "gpt", "value": "Hm.</think>2"}],
        [USER, {"role": "assistant", "content": [{"type": "text", "text": "<think>Hm."}, {"text": "</think>2"}]}],
        '[{"from": "user", "value": "1+1?"}, {"from": "assistant", "value": "<think>Hm.</think>2"}]',
    ],
    ids=["content", "beside, after a system message", "gpt-oss", "ShareGPT", "parts", "a cell of a csv file"],
)
def test_messages_are_read(messages):
    assert read_messages(messages) == ("1+1?", "Hm.", "2")


@pytest.mark.parametrize(
    ("messages", "said"),
    [
        (None, "a list of messages, but is None"),
        (["a"], "a list of messages, but is \\['a'\\]"),
        ([], "one reply, but is empty"),
        ([USER], "one reply, but is user"),
        ([USER] * 6, "one reply, but is user, user, user, user and 2 more"),
        ([USER, {"role": "assistant", "content": None}], "texts as contents, but has None"),
        ([USER, {"role": 3, "content": "2"}], "one reply, but is user, nobody"),
        ("[", "it is not JSON"),
    ],
)
def test_other_messages_are_refused(messages, said):
    with pytest.raises(ValueError, match=said):
        read_messages(messages)


def test_a_row_loses_what_stands_under_a_name_of_training_for_something_else():
    row = {"question": "q", "solution": "Hm.", "answer": "2"}
    assert training_row(row, {"thinking_trajectories": "solution", "attempt": "answer"}) == {
        "question": "q", "thinking_trajectories": "Hm.", "attempt": "2", "answer": "2",
    }  # fmt: skip


def test_a_column_of_the_wrong_type_is_named():
    with pytest.raises(ValueError, match="`generations` has to be a text with thinking and answer, but is \\['a', 'b'"):
        training_row({"generations": ["a", "b"]}, {"reply": "generations"})


def test_what_could_be_read_is_offered():
    assert "'generation' holds thinking" in seen_in({"n": 1, "generation": "a</think>b"})
    assert "'conversations'" in seen_in({"question": "q", "conversations": []}) and not seen_in({"question": "q"})
