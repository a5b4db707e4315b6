"""`to_conversation` writes the original's text, and the checks before training find what would spoil it."""

import copy
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from transformers import AutoTokenizer

from s1_hf import embedded, to_conversation
from s1_hf.data.conversation import (
    FORMATS,
    LengthSummary,
    check_delimiters,
    check_rows,
    check_template,
    summarize,
)
from shared_data import REAL_ROWS, SHARED, needs_shared
from toys import byte_tokenizer

ROW = {"question": "1+1?", "thinking_trajectories": ["one\n", "\ntwo "], "attempt": " 2 "}

# Chat templates that keep the message, and that take its thinking out as DeepSeek-R1's does.
KEEPS = (
    "{% for m in messages %}<|im_start|>{{ m.role }}\n{{ m.content }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
DROPS = KEEPS.replace("m.content", "m.content.split('</think>')[-1]")
STRIPS = KEEPS.replace("m.content", "m.content.replace('Answer: 2', '2')")
OPENS = KEEPS.replace("assistant\n{%", "assistant\n<think>\n{%")  # in the prompt, as QwQ's
ADDS = KEEPS.replace("{{ m.content", "{{ '<think>\n\n</think>\n\n' if m.role == 'assistant' }}{{ m.content")


def original_text(question: str, traces: list[str], attempt: str, tokenizer) -> str:
    """The rule of the original's data/tokenization.py, in our words."""
    answer = attempt
    if attempt.find("Answer:") == -1:
        answer = f"Answer: {attempt}"
    pieces = ["<|im_start|>think", str.join("\n", traces).strip(), "<|im_start|>answer", answer.strip()]
    chat = [{"role": "user", "content": question}, {"role": "assistant", "content": "\n".join(pieces)}]
    return tokenizer.apply_chat_template(chat, tokenize=False)


def content(row: dict, format: str = "s1") -> str:
    (message,) = to_conversation(row, format)["completion"]
    assert message["role"] == "assistant"
    return message["content"]


@pytest.fixture(scope="module")
def tokenizer():
    return AutoTokenizer.from_pretrained(Path(embedded.__file__).parent / "model")


@pytest.fixture(scope="module")
def qwen2_5():
    return AutoTokenizer.from_pretrained(SHARED / "tokenizers/qwen2.5-instruct")


@pytest.fixture(scope="module")
def qwen3():
    return AutoTokenizer.from_pretrained(SHARED / "tokenizers/qwen3")


def trl_template(name: str) -> str:
    trl = pytest.importorskip("trl")
    return (Path(trl.__file__).parent / f"chat_templates/{name}.jinja").read_text(encoding="utf-8")


# What is written


def test_s1_text():
    assert content(ROW) == "<|im_start|>think\none\n\n\ntwo\n<|im_start|>answer\nAnswer:  2"


def test_think_text_has_nothing_put_before_the_answer():
    assert content(ROW, "think") == "<think>\none\n\n\ntwo\n</think>\n\n2"


@pytest.mark.parametrize(
    ("format", "written"),
    [
        ("harmony", "<|channel|>analysis<|message|>one\n\n\ntwo<|end|><|start|>assistant<|channel|>final<|message|>2"),
        ("magistral", "[THINK]one\n\n\ntwo[/THINK]2"),
        ("seed", "<seed:think>one\n\n\ntwo</seed:think>\n2"),
        ("gemma4", "<|channel>thought\none\n\n\ntwo\n<channel|>2"),
        ("command", "<|START_THINKING|>one\n\n\ntwo<|END_THINKING|><|START_RESPONSE|>2"),
        ("hunyuan", "<think>\none\n\n\ntwo\n</think>\n<answer>\n2\n</answer>"),
    ],
)
def test_other_families_are_written_as_their_models_write(format, written):
    assert content(ROW, format) == written


@pytest.mark.parametrize("attempt", ["Answer: 2", "so\nFinal Answer:2", "\nThe Answer: is 2 \n"])
def test_s1_puts_no_second_answer_marker(attempt):
    assert content({**ROW, "attempt": attempt}).endswith("<|im_start|>answer\n" + attempt.strip())


@pytest.mark.parametrize("attempt", ["answer: 2", "Answer 2", "The Answer is: 2"])
def test_what_the_original_does_not_take_for_an_answer_marker_gets_one(attempt):
    assert content({**ROW, "attempt": attempt}).endswith("<|im_start|>answer\nAnswer: " + attempt)


def test_the_prompt_is_the_question_as_it_is_without_a_system_message():
    assert to_conversation({**ROW, "question": " q\n"})["prompt"] == [{"role": "user", "content": " q\n"}]


def test_a_system_message_comes_first():
    prompt = to_conversation(ROW, system="Be brief.")["prompt"]
    assert [m["role"] for m in prompt] == ["system", "user"] and prompt[0]["content"] == "Be brief."


@needs_shared
def test_real_rows_are_byte_for_byte_the_originals(qwen2_5, tmp_path):
    pytest.importorskip("datasets")
    from s1_hf import load_s1k

    rows = list(load_s1k(path=REAL_ROWS, traces="gemini", cache_dir=tmp_path))
    assert len(rows) == 5 and all("Answer:" in row["attempt"] for row in rows)
    unmarked = [{**row, "attempt": row["attempt"].replace("Answer:", "Result:") + "\n"} for row in rows]
    for row in rows + unmarked:
        messages = to_conversation(row)
        ours = qwen2_5.apply_chat_template(messages["prompt"] + messages["completion"], tokenize=False)
        assert ours == original_text(row["question"], row["thinking_trajectories"], row["attempt"], qwen2_5)
        assert ours.startswith("<|im_start|>system\nYou are Qwen, created by Alibaba Cloud.")  # the template's default


# hypothesis also draws strings that it finds in our source: a delimiter in a text is refused, and tested below
TEXT = st.text(st.sampled_from("ab :\n\t") | st.characters(exclude_categories=["Cs"]), min_size=1).filter(
    lambda text: text.strip() and "<|im_start|>" not in text
)


@settings(deadline=None)
@given(
    TEXT, st.lists(TEXT, min_size=1, max_size=3), TEXT | TEXT.map("{}Answer:".format) | TEXT.map(" Answer:{}".format)
)
def test_any_row_is_byte_for_byte_the_originals(tokenizer, question, traces, attempt):
    row = {"question": question, "thinking_trajectories": traces, "attempt": attempt}
    messages = to_conversation(row)
    ours = tokenizer.apply_chat_template(messages["prompt"] + messages["completion"], tokenize=False)
    assert ours == original_text(question, traces, attempt, tokenizer)


def test_conversation_imports_nothing_heavy():
    code = (
        "import sys; from s1_hf import to_conversation; "
        "print({'torch', 'transformers', 'datasets', 'trl'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "set()\n"


# Rows that are refused


@pytest.mark.parametrize("format", FORMATS)
def test_good_rows_pass(format):
    check_rows([ROW] * 3, format)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            {"thinking_trajectories": []},
            r"`thinking_trajectories` has to be a list of one or more strings, but is \[\]",
        ),
        (
            {"thinking_trajectories": None},
            "`thinking_trajectories` has to be a list of one or more strings, but is None",
        ),
        (
            {"thinking_trajectories": "text"},
            "`thinking_trajectories` has to be a list of one or more strings, but is 'text'",
        ),
        ({"thinking_trajectories": ["t", " \n"]}, r"`thinking_trajectories\[1\]` has to be a string that is not blank"),
        (
            {"thinking_trajectories": [1]},
            r"`thinking_trajectories\[0\]` has to be a string that is not blank, but is 1",
        ),
        ({"question": ""}, "`question` has to be a string that is not blank, but is ''"),
        ({"attempt": None}, "`attempt` has to be a string that is not blank, but is None"),
        ({"attempt": 2}, "`attempt` has to be a string that is not blank, but is 2"),
    ],
)
def test_a_row_without_text_is_refused_by_column(change, message):
    with pytest.raises(ValueError, match=f"row 1: {message}"):
        check_rows([ROW, {**ROW, **change}])
    with pytest.raises(ValueError, match=message):
        to_conversation({**ROW, **change})


@pytest.mark.parametrize(("format", "token"), [("s1", "<|im_start|>"), ("think", "<think>"), ("think", "</think>")])
@pytest.mark.parametrize("column", ["question", "attempt", "thinking_trajectories"])
def test_a_delimiter_inside_a_text_is_refused(format, token, column):
    text = f"before {token} after"
    row = {**ROW, column: [text] if column == "thinking_trajectories" else text}
    with pytest.raises(ValueError, match=rf"row 0: `{column}.*` contains '.*', a delimiter of format '{format}'"):
        check_rows([row], format)
    check_rows([row], "think" if format == "s1" else "s1")  # to the other format it is text


def test_many_bad_rows_are_counted_and_the_first_five_named():
    rows = [ROW] * 10 + [{**ROW, "attempt": ""}] * 7
    with pytest.raises(ValueError) as caught:
        check_rows(rows)
    lines = str(caught.value).splitlines()
    assert lines[0].startswith("7 rows cannot be used for training")
    assert [line.split(":")[0] for line in lines[1:-1]] == [f"row {i}" for i in range(10, 15)]
    assert lines[-1] == "and 2 more"


def test_all_faults_of_a_row_are_named_at_once():
    with pytest.raises(ValueError, match="`thinking_trajectories`.*; `question`.*; `attempt`"):
        check_rows([{"question": None, "thinking_trajectories": [], "attempt": None}])


def test_a_row_of_s1k_1_1_as_it_is_on_the_hub_is_told_to_use_load_s1k():
    row = {"question": "q", "deepseek_thinking_trajectory": "t", "deepseek_attempt": "a"}
    with pytest.raises(ValueError, match="lacks `thinking_trajectories`, `attempt` .*load it with `load_s1k`"):
        to_conversation(row)


@pytest.mark.parametrize("call", [lambda f: to_conversation(ROW, f), lambda f: check_rows([], f)])
def test_an_unknown_format_is_refused(call):
    with pytest.raises(ValueError, match="`format` has to be one of 's1', 'think', .*, or a pair .*, but is 'thinks'"):
        call("thinks")


# Tokenizers


@needs_shared
def test_delimiters_of_the_real_tokenizers(qwen2_5, qwen3):
    check_delimiters(qwen2_5, "s1")
    check_delimiters(qwen3, "s1")
    check_delimiters(qwen3, "think")
    with pytest.raises(ValueError) as caught:
        check_delimiters(qwen2_5, "think")
    assert "'<think>', which splits into ['<th', 'ink', '>']" in str(caught.value)
    assert "'</think>', which splits into ['</', 'think', '>']" in str(caught.value)


def test_a_delimiter_that_splits_is_named_with_its_parts(tokenizer):
    check_delimiters(tokenizer, "s1")
    with pytest.raises(ValueError, match=r"'<think>', which splits into \['<', .*Use format 's1'"):
        check_delimiters(tokenizer, "think")


def test_no_format_is_advised_that_the_tokenizer_does_not_have_either(tokenizer):
    """As those of Llama, Mistral and Gemma have none of them."""
    tokenizer = copy.deepcopy(tokenizer)
    tokenizer.unk_token = "<|im_start|>"
    for name, other in (("s1", "think"), ("think", "s1")):
        with pytest.raises(ValueError, match="of no other format either. Use two tokens .*`thinking_start`") as no:
            check_delimiters(tokenizer, name)
        assert f"Use format {other!r}" not in str(no.value)


def test_a_delimiter_that_is_the_unknown_token_is_refused(tokenizer):
    tokenizer = copy.deepcopy(tokenizer)
    tokenizer.unk_token = "<|im_start|>"
    with pytest.raises(ValueError, match="one token each, but this tokenizer does not have"):
        check_delimiters(tokenizer, "s1")


# Chat templates


@pytest.mark.parametrize(("template", "format"), [(KEEPS, "s1"), (KEEPS, "think"), (OPENS, "think"), (DROPS, "s1")])
def test_a_template_that_renders_the_message_in_full_passes(monkeypatch, tokenizer, template, format):
    monkeypatch.setattr(tokenizer, "chat_template", template)
    check_template(tokenizer, format)


@pytest.mark.parametrize(
    ("template", "format", "fault"),
    [
        (DROPS, "think", "the thinking is dropped or changed"),
        (STRIPS, "s1", "the answer is changed"),
        (ADDS, "s1", r"it is preceded by .*<think>\\n\\n</think>\\n\\n', while a prompt ends in .*assistant\\n'"),
        (OPENS, "s1", r"it is preceded by .*assistant\\n', while a prompt ends in .*<think>\\n'"),
    ],
)
def test_a_template_that_drops_changes_or_adds_is_refused(monkeypatch, tokenizer, template, format, fault):
    monkeypatch.setattr(tokenizer, "chat_template", template)
    with pytest.raises(ValueError, match=f"message in full and right after the prompt, but {fault}"):
        check_template(tokenizer, format)


def test_a_tokenizer_without_a_template_is_refused(monkeypatch, tokenizer):
    monkeypatch.setattr(tokenizer, "chat_template", None)
    with pytest.raises(ValueError, match="has to have a chat template, but has none"):
        check_template(tokenizer)


@needs_shared
@pytest.mark.parametrize(
    ("name", "format"),
    [
        ("qwen2_5", "s1"),
        ("qwen2_5_training", "s1"),
        ("qwen3", "think"),
        ("qwen3_training", "think"),
        ("deepseek_r1_distill_training", "think"),
    ],
)
def test_templates_that_fine_tuning_can_use(monkeypatch, qwen3, name, format):
    monkeypatch.setattr(qwen3, "chat_template", trl_template(name))
    check_template(qwen3, format)


@needs_shared
@pytest.mark.parametrize(
    ("name", "format", "fault"),
    [
        ("deepseek_r1_distill", "think", "the thinking is dropped"),
        ("deepseekv3", "think", "the thinking is dropped"),
        ("qwen3", "s1", "it is preceded by"),
        ("qwen3_training", "s1", "it is preceded by"),
    ],
)
def test_templates_that_fine_tuning_cannot_use(monkeypatch, qwen3, name, format, fault):
    monkeypatch.setattr(qwen3, "chat_template", trl_template(name))
    with pytest.raises(ValueError, match=fault):
        check_template(qwen3, format)


@needs_shared
@pytest.mark.parametrize(
    ("name", "passes"),
    [("Qwen-QwQ-32B", True), ("deepseek-ai-DeepSeek-R1-Distill-Qwen-32B", False), ("llama-cpp-deepseek-r1", False)],
)
def test_the_models_own_templates_with_the_think_format(monkeypatch, qwen3, name, passes):
    monkeypatch.setattr(
        qwen3, "chat_template", (SHARED / f"chat_templates/unpatched/{name}.jinja").read_text(encoding="utf-8")
    )
    if passes:
        check_template(qwen3, "think")
    else:
        with pytest.raises(ValueError, match="the thinking is dropped"):
            check_template(qwen3, "think")


# Lengths


def numbered(*sizes: int) -> list[dict]:
    return [{"question": "q", "thinking_trajectories": ["7 " * size], "attempt": "Answer: 7"} for size in sizes]


@pytest.mark.parametrize("format", FORMATS)
def test_lengths_are_those_of_the_rendered_conversations(tokenizer, format):
    rows = numbered(*range(1, 140))  # more than two batches
    summary = summarize(rows, tokenizer, format)
    for row, length in zip(rows, summary.lengths, strict=True):
        messages = to_conversation(row, format)
        ids = tokenizer.apply_chat_template(messages["prompt"] + messages["completion"], return_dict=True)["input_ids"]
        assert length == len(ids)


@pytest.mark.parametrize("format", FORMATS)
def test_completion_tokens_are_those_after_the_prompt(tokenizer, format):
    rows = numbered(3, 5)
    prompt = to_conversation(rows[0])["prompt"]
    length = len(tokenizer.apply_chat_template(prompt, add_generation_prompt=True, return_dict=True)["input_ids"])
    summary = summarize(rows, tokenizer, format)
    assert summary.completion_tokens == sum(summary.lengths) - 2 * length


def test_a_system_message_is_counted_with_the_prompts(tokenizer):
    plain, longer = (summarize(numbered(4), tokenizer, system=s) for s in ("Be brief.", "Be brief. Be brief."))
    assert longer.lengths[0] > plain.lengths[0] and longer.completion_tokens == plain.completion_tokens


def test_the_statistics_of_a_summary():
    summary = LengthSummary((10, 30, 20, 100), completion_tokens=120, max_length=20)
    assert (summary.rows, summary.min, summary.median, summary.mean, summary.max) == (4, 10, 25, 40, 100)
    assert (summary.longest_row, summary.too_long, summary.share_too_long) == (3, (1, 3), 0.5)


def test_a_summary_can_be_read():
    assert str(LengthSummary((10, 30, 20, 1000), 900, max_length=20)).splitlines() == [
        "4 rows of 10 to 1,000 tokens (median 25, mean 265); the longest is row 3",
        "900 of 1,060 tokens in completions",
        "2 rows (50.0%) longer than 20",
    ]
    assert len(str(LengthSummary((10,), 5)).splitlines()) == 2


@needs_shared
def test_lengths_of_the_real_rows(qwen2_5, tmp_path):
    pytest.importorskip("datasets")
    from s1_hf import load_s1k

    rows = load_s1k(path=REAL_ROWS, traces="gemini", cache_dir=tmp_path)
    summary = summarize(rows, qwen2_5, max_length=4096)
    texts = [original_text(r["question"], r["thinking_trajectories"], r["attempt"], qwen2_5) for r in rows]
    assert list(summary.lengths) == [len(qwen2_5.encode(text)) for text in texts]
    assert summary.max == 8165 and len(summary.too_long) == 4


@pytest.mark.parametrize(
    ("rows", "options", "message"),
    [
        ([], {}, "`rows` has to have at least one row"),
        (numbered(1), {"max_length": 0}, "`max_length` has to be a positive number of tokens, but is 0"),
        ([*numbered(*[1] * 70), {**ROW, "attempt": ""}], {}, "Row 70: .*`attempt` has to be a string"),
    ],
)
def test_what_cannot_be_summarized_is_refused(tokenizer, rows, options, message):
    with pytest.raises(ValueError, match=message):
        summarize(rows, tokenizer, **options)


def test_a_template_that_changes_only_one_row_is_found_by_that_row(monkeypatch, tokenizer):
    monkeypatch.setattr(tokenizer, "chat_template", KEEPS.replace("m.content", "m.content.replace('\\t', ' ')"))
    with pytest.raises(
        ValueError, match="Row 1: The chat template has to render .* the thinking is dropped or changed"
    ):
        summarize([*numbered(1), {**ROW, "thinking_trajectories": ["a\tb"]}], tokenizer)


def test_delimiters_of_ones_own_are_written_as_think_is():
    row = {"question": "1+1?", "thinking_trajectories": ["One."], "attempt": " 2"}
    assert to_conversation(row, ("<r>", "</r>"))["completion"][0]["content"] == "<r>\nOne.\n</r>\n\n2"
    with pytest.raises(ValueError, match="`attempt` contains '</r>', a delimiter"):
        to_conversation(row | {"attempt": "2</r>"}, ("<r>", "</r>"))
    for bad in (("<r>",), ("<r>", ""), ("<r>", 3)):
        with pytest.raises(ValueError, match="or a pair of delimiters such as"):
            to_conversation(row, bad)


# Rows as others have them

REPLY = "<think>\nHm.\n</think>\n\nIt is 2."


def test_messages_are_read():
    row = {"messages": [{"role": "user", "content": "1+1?"}, {"role": "assistant", "content": REPLY}]}
    assert to_conversation(row, "think") == {
        "prompt": row["messages"][:1],
        "completion": row["messages"][1:],
    }
    check_rows([row], "think")


def test_columns_may_have_names_of_their_own():
    row = {"question": "1+1?", "solution": "Hm.", "answer": "It is 2."}
    columns = {"thinking_trajectories": "solution", "attempt": "answer"}
    assert to_conversation(row, "think", columns=columns)["completion"][0]["content"] == REPLY
    assert to_conversation({"q": "1+1?", "g": REPLY}, "think", columns={"question": "q", "reply": "g"})[
        "completion"
    ] == [{"role": "assistant", "content": REPLY}]


@pytest.mark.parametrize(
    ("row", "columns", "said"),
    [
        ({"messages": [{"role": "user", "content": "q"}]}, None, "`messages` has to be one question of a user and one"),
        ({"problem": "q"}, {"question": "problem", "reply": "generation"}, r"lacks `generation` \(it has problem\)"),
        (
            {"q": " ", "t": ["t"], "a": "a"},
            {"question": "q", "thinking_trajectories": "t", "attempt": "a"},
            "`q` has to",
        ),
        (
            {"question": "q", "thinking_trajectories": ["t"], "attempt": REPLY},
            None,
            "a delimiter of format 'think'; `columns={'reply': 'attempt'}` takes it apart",
        ),
    ],
)
def test_faults_have_the_rows_own_names_and_what_could_be_read_is_offered(row, columns, said):
    with pytest.raises(ValueError, match=said):
        to_conversation(row, "think", columns=columns)


def test_a_template_that_refuses_a_message_is_said_in_a_line():
    """gpt-oss' wants thinking beside the content; `s1-hf sft` writes its replies behind the prompt."""
    with pytest.raises(ValueError, match="cannot render this row: TemplateError: You have passed a message contain"):
        check_template(byte_tokenizer(["<|return|>"], eos="<|return|>", template=trl_template("gptoss")), "harmony")
