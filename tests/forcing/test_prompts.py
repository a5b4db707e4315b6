"""Where a prompt leaves its assistant's turn (rule 1), for families of toys and for real templates."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from placed_rows import PlacedRows
from s1_hf import BudgetForcingLogitsProcessor, ThinkingFormat, generate
from s1_hf.forcing import prompts
from s1_hf.forcing.automaton import Automaton
from s1_hf.forcing.families import TOOL_RESULTS
from s1_hf.forcing.prompts import read_prompt, split_output, start_of, turn_of
from s1_hf.forcing.report import Ended
from s1_hf.forcing.spelling import Spelling
from s1_hf.forcing.tables import State
from s1_hf.forcing.vocabulary import encode
from shared_data import SHARED, needs_shared, qwen, trl_template
from stances import BY_FAMILY, R1, forced_texts, harmony_tokenizer, prompt_texts, r1_tokenizer, stances
from toys import WORDS, byte_tokenizer, toy_model, toy_tokenizer


@BY_FAMILY
def test_tags_outside_the_own_turn_mean_nothing(row):
    """User text, system prompt and earlier turns with tags leave the prompt where the template leaves it."""
    family, name, *_ = row
    tokenizer = toy_tokenizer(family)
    if tokenizer.chat_template is None:
        pytest.skip("this family's toy has no chat template, so its prompts have no turns")
    fmt = ThinkingFormat.from_tokenizer(tokenizer, name)
    want = "thinking" if family in ("opened", "plain") else "before"
    assert set(stances(tokenizer, fmt, prompt_texts(tokenizer, fmt))) == {want}


@BY_FAMILY
@pytest.mark.parametrize(
    ("own", "want"),
    [
        ("{start}", "thinking"),
        ("{start}\nab", "thinking"),
        ("{start}ab{close}", "closed"),
        ("{start}{close}", "closed"),
        ("{start}\n\n{close}\n\n", "closed"),
        ("{start}a{close}bc", "closed"),
    ],
)
def test_the_own_turn_says_whether_thinking_was_opened_or_closed(row, own, want):
    """The assistant's turn in the prompt may have opened thinking, thought, or closed it, with or without thoughts."""
    family, name, *_ = row
    tokenizer = toy_tokenizer(family)
    fmt = ThinkingFormat.from_tokenizer(tokenizer, name)
    header = tokenizer.decode(fmt.turn) + ("\n" if family in ("s1", "think", "opened", "plain") else "")
    text = "xy" + header + own.format(start=fmt.start_text, close=fmt.close_text)
    assert stances(tokenizer, fmt, [text]) == [want]


@pytest.mark.parametrize(
    ("family", "own", "forced"),
    [
        ("s1", "", "<|im_start|>think\n<|im_start|>answer"),
        ("s1", "<|im_start|>", "think\n<|im_start|>answer"),
        ("s1", "<|im_start|>think\nab<|im_start|>", "answer"),
        ("harmony", "<|channel|>analysis<|message|>ab<|end|>", ""),
        ("kimi_k3", "<|open|>think<|sep|>ab<|close|>thi", "nk<|sep|>"),
        ("opened", "ab</", "\n</think>"),  # half of one token's text is text
        ("opened", "ab\n", "</think>"),
        ("plain", "ab</", "think>"),
        ("plain", "ab</thi", "nk>"),
        ("plain", "ab</thin<", "/think>"),
    ],
)
def test_a_delimiter_begun_in_the_prompt_is_continued(family, own, forced):
    """Half an opening or closing delimiter at the prompt's end is completed, not begun again."""
    tokenizer = toy_tokenizer(family)
    fmt = ThinkingFormat.from_tokenizer(tokenizer, {"opened": "think", "plain": "think"}.get(family, family))
    chat = [{"role": "user", "content": "x"}]
    text = tokenizer.apply_chat_template(chat, tokenize=False, add_generation_prompt=True)
    assert forced_texts(tokenizer, fmt, [text + own]) == [forced]


@pytest.mark.parametrize(("family", "forced"), [("s1", "<|im_start|>think\n<|im_start|>answer"), ("opened", "")])
def test_an_own_turn_that_has_ended_opens_no_thinking(family, forced):
    """Behind the end of sequence of the assistant's last turn nothing was thought, even if tags follow."""
    tokenizer = toy_tokenizer(family)
    fmt = ThinkingFormat.from_tokenizer(tokenizer)
    text = f"<|im_start|>assistant\nab<|im_end|>\n<|im_start|>user\n{fmt.start_text}a<|im_end|>\n"
    assert forced_texts(tokenizer, fmt, [text]) == [forced]


@pytest.mark.parametrize("family", ["think", "plain"])
def test_a_closing_delimiter_alone_in_the_own_turn_has_closed_thinking(family):
    """DeepSeek-V3.1 asks for no thinking by `</think>` behind its header, without any `<think>`."""
    tokenizer = toy_tokenizer(family)
    fmt = ThinkingFormat.from_tokenizer(tokenizer, "think")
    assert stances(tokenizer, fmt, ["<|im_start|>assistant\n</think>"]) == ["closed"]


def test_the_merged_newline_opens_thinking_and_is_not_counted():
    """`<think>` and a newline may be merged into fewer tokens; the newline is the template's, not the model's."""
    tokenizer = toy_tokenizer("plain")
    *_, last = encode(tokenizer, "<think>\n")
    assert tokenizer.decode(last) == ">\n"  # or the test shows nothing
    only = [encode(tokenizer, t)[0] for t in "abx"]
    model = toy_model(len(tokenizer), 0, only=only)
    (completion,) = generate(model, tokenizer, "x", max_thinking_tokens=3, max_new_tokens=9)
    assert completion.report.thinking_tokens == 3
    assert completion.forced == (False,) * 3 + (True,) * 6


def test_delimiters_that_share_a_token_are_both_found():
    """An empty block `<think></think>` is closed, also where `></` is one token (as on Qwen2.5)."""
    tokenizer = byte_tokenizer(["<|im_start|>", "<|im_end|>"], words=["></", *WORDS])
    assert "></" in [tokenizer.decode(i) for i in encode(tokenizer, "<think></think>")]
    fmt = ThinkingFormat.from_tokenizer(tokenizer, "think")
    assert stances(tokenizer, fmt, ["<|im_start|>assistant\n<think></think>\n"]) == ["closed"]


PLAIN_HEADER = (
    "{% for m in messages %}<|{{ m['role'] }}|>\n{{ m['content'] }}{% if m['role'] == 'assistant' %}</s>{% endif %}\n"
    "{% endfor %}{% if add_generation_prompt %}<|assistant|>\n<think>{% endif %}"
)


def test_a_header_of_plain_tokens_is_found_where_it_merges_with_its_newline():
    """Tulu's and OLMo's `<|assistant|>` are plain tokens, `>` and a newline are one; tags elsewhere mean nothing."""
    tokenizer = byte_tokenizer(["</s>"], eos="</s>", template=PLAIN_HEADER)
    fmt = ThinkingFormat.from_tokenizer(tokenizer)
    assert fmt.plain
    assert set(stances(tokenizer, fmt, prompt_texts(tokenizer, fmt))) == {"thinking"}


@pytest.mark.parametrize("text", ["a<seed:think>", "<eos>a<seed:think>"], ids=["padding", "beginning"])
def test_prompts_without_turns_may_begin_with_ends_of_sequence(text):
    """Padding on the left and a beginning of sequence that are the end of sequence change nothing (GPT-2, Pythia)."""
    tokenizer = toy_tokenizer("seed")
    tokenizer.pad_token = tokenizer.eos_token
    fmt = ThinkingFormat.from_tokenizer(tokenizer)
    assert forced_texts(tokenizer, fmt, [text, "abcdefgh" + text])[0] == "\n</seed:think>"


@pytest.mark.parametrize(("start", "close"), [("<r>", "</r>"), ("((", "))"), ("aab", "aac"), ("R: ", "A: ")])
def test_plain_delimiters_that_share_letters_cap_and_end_thinking(start, close):
    """Plain delimiters of one's own are found by their text, and forced at the cap."""
    tokenizer = byte_tokenizer(["<|im_start|>", "<|im_end|>"])
    fmt = ThinkingFormat.from_delimiters(tokenizer, start=start, close=close)
    header = "<|im_start|>assistant\n"
    assert stances(tokenizer, fmt, [header, header + start + "x", header + start + "x" + close]) == [
        "before",
        "thinking",
        "closed",
    ]
    assert forced_texts(tokenizer, fmt, [header + start + "x"]) == ["\n" + close]


@needs_shared
@pytest.mark.parametrize("enable_thinking", [True, False])
def test_a_qwen3_prompt_without_thinking_is_left_alone(enable_thinking):
    """`enable_thinking=False` gives an empty block: nothing is forced, and thinking does not open again."""
    tokenizer = qwen("qwen3")
    fmt = ThinkingFormat.from_tokenizer(tokenizer)
    texts = prompt_texts(tokenizer, fmt, enable_thinking=enable_thinking)
    assert set(stances(tokenizer, fmt, texts)) == {"before" if enable_thinking else "closed"}
    if not enable_thinking:
        processor = BudgetForcingLogitsProcessor(tokenizer, max_thinking_tokens=0, num_ignores=3)
        scores = torch.randn(1, 151936, generator=torch.Generator().manual_seed(1))
        out = processor(torch.tensor([encode(tokenizer, texts[0])]), scores)
        kept = out > -torch.inf
        assert kept.sum() == 151669 - 2 and not kept[0, [151667, 151668]].any()
        assert torch.equal(out[kept], scores[kept])


@needs_shared
@pytest.mark.parametrize("name", ["qwen2.5-instruct", "qwen3"])
def test_qwq_prompts_have_opened_thinking(name):
    """QwQ's template opens `<think>` in the generation prompt; merged newlines and tags elsewhere mean nothing."""
    tokenizer = qwen(name, "chat_templates/unpatched/Qwen-QwQ-32B.jinja")
    fmt = ThinkingFormat.from_tokenizer(tokenizer)
    assert (fmt.name, fmt.turn) == ("think", (151644, 77091))
    texts = prompt_texts(tokenizer, fmt)
    assert all(text.endswith("<|im_start|>assistant\n<think>\n") for text in texts)
    if name == "qwen2.5-instruct":
        assert encode(tokenizer, texts[0])[-3:] == (13708, 766, 397)
    assert set(stances(tokenizer, fmt, texts)) == {"thinking"}
    assert forced_texts(tokenizer, fmt, [texts[0], texts[0] + "Hm"]) == ["</think>", "\n</think>"]


@needs_shared
def test_an_empty_block_without_newlines_is_closed_on_qwen2_5():
    tokenizer = qwen("qwen2.5-instruct")
    fmt = ThinkingFormat.from_tokenizer(tokenizer, "think")
    assert 1472 in encode(tokenizer, "<think></think>")
    texts = [f"<|im_start|>assistant\n<think>{s}</think>{s}" for s in ("\n\n", "")]
    assert stances(tokenizer, fmt, texts) == ["closed", "closed"]


@needs_shared
@pytest.mark.parametrize("template", R1)
@pytest.mark.parametrize("name", ["qwen2.5-instruct", "qwen3"])
def test_r1_prompts_have_opened_thinking_even_on_a_vocabulary_without_its_turns(name, template):
    """`<｜Assistant｜>` is several plain tokens of Qwen's; `<think>` behind it has still opened thinking."""
    tokenizer = qwen(name, f"chat_templates/unpatched/{template}.jinja")
    fmt = ThinkingFormat.from_tokenizer(tokenizer)
    assert (fmt.name, tokenizer.decode(fmt.turn)) == ("think", "<｜Assistant｜>")
    chat = [{"role": "user", "content": "a"}]
    text = tokenizer.apply_chat_template(chat, tokenize=False, add_generation_prompt=True)
    assert stances(tokenizer, fmt, [text]) == ["thinking"]


@needs_shared
@pytest.mark.parametrize(
    ("name", "template"),
    [(name, template) for name in ("qwen2.5-instruct", "qwen3") for template in R1],
)
def test_tags_elsewhere_mean_nothing_with_r1_templates(name, template):
    tokenizer = qwen(name, f"chat_templates/unpatched/{template}.jinja")
    fmt = ThinkingFormat.from_tokenizer(tokenizer)
    assert set(stances(tokenizer, fmt, prompt_texts(tokenizer, fmt))) == {"thinking"}


@needs_shared
@pytest.mark.parametrize(("name", "template"), [("qwen2.5-instruct", R1[0]), ("qwen2.5-instruct", R1[1])])
def test_the_last_turn_counts_also_where_an_earlier_one_is_spelled_as_expected(name, template):
    """`<｜Assistant｜>c` keeps the header's own ids, `<｜Assistant｜><think>` does not: the last is still the turn."""
    tokenizer = qwen(name, f"chat_templates/unpatched/{template}.jinja")
    fmt = ThinkingFormat.from_tokenizer(tokenizer)
    turns = ["a", "c", "<think>x</think>"]
    chat = [{"role": ("user", "assistant")[i % 2], "content": content} for i, content in enumerate(turns)]
    text = tokenizer.apply_chat_template(chat, tokenize=False, add_generation_prompt=True)
    assert stances(tokenizer, fmt, [text]) == ["thinking"]


@needs_shared
@pytest.mark.parametrize("template", R1)
def test_tags_elsewhere_mean_nothing_with_r1_templates_on_its_own_vocabulary(template):
    tokenizer = r1_tokenizer((SHARED / f"chat_templates/unpatched/{template}.jinja").read_text())
    fmt = ThinkingFormat.from_tokenizer(tokenizer)
    assert fmt.turn == encode(tokenizer, "<｜Assistant｜>") and len(fmt.turn) == 1
    assert set(stances(tokenizer, fmt, prompt_texts(tokenizer, fmt))) == {"thinking"}


@needs_shared
@pytest.mark.parametrize(
    ("name", "template", "fmt_name", "want"),
    [
        ("qwen2.5-instruct", "qwen2_5", "s1", "before"),
        ("qwen2.5-instruct", "qwen3", "think", "before"),
        ("qwen2.5-instruct", "nemotron_3_nano", "think", "thinking"),
        ("qwen3", "qwen3", "think", "before"),
        ("qwen3", "qwen3_training", "think", "before"),
        ("qwen3", "qwen3_instruct_2507", "think", "before"),
        ("qwen3", "qwen3_5_think", "think", "thinking"),
        ("qwen3", "qwen3_5_nothink", "think", "closed"),
        ("qwen3", "qwen3_6", "think", "thinking"),
        ("qwen3", "nemotron_3_super", "think", "thinking"),
        ("qwen3", "lfm2_2_5", "think", "before"),
        ("qwen3", "glm4moe", "think", "before"),
    ],
)
def test_trl_templates_are_read_for_what_they_are(name, template, fmt_name, want):
    """Format, turn and where the prompt stands, for templates of many families on Qwen's tokenizers."""
    tokenizer = qwen(name, trl_template(template))
    fmt = ThinkingFormat.from_tokenizer(tokenizer, fmt_name if fmt_name == "s1" else None)
    assert fmt.name == fmt_name
    assert set(stances(tokenizer, fmt, prompt_texts(tokenizer, fmt))) == {want}


@pytest.mark.parametrize("template", ["gptoss", "gptoss_training"])
def test_gpt_oss_templates_are_harmony(template):
    """gpt-oss' own template: its turn is found, and analysis in earlier turns means nothing."""
    tokenizer = harmony_tokenizer(Path(trl_template(template)).read_text())
    fmt = ThinkingFormat.from_tokenizer(tokenizer)
    assert (fmt.name, tokenizer.decode(fmt.turn)) == ("harmony", "<|start|>assistant")
    ask = {"role": "user", "content": "a"}
    chats = [[ask], [ask, {"role": "assistant", "thinking": "b", "content": "c"}, ask]]
    texts = [tokenizer.apply_chat_template(c, tokenize=False, add_generation_prompt=True) for c in chats]
    own = "<|channel|>analysis<|message|>b"
    assert stances(tokenizer, fmt, [*texts, texts[1] + own]) == ["before", "before", "thinking"]


@needs_shared
def test_rendered_harmony_conversations_wait_for_the_analysis():
    """openai/harmony's own renderings that end with the assistant's header, analysis and tool calls before included."""
    tokenizer = harmony_tokenizer()
    fmt = ThinkingFormat.from_tokenizer(tokenizer)
    files = sorted((SHARED / "chat_templates/harmony/test-data").glob("*.txt"))
    texts = [text for f in files if (text := f.read_text().rstrip("\n")).endswith("<|start|>assistant")]
    assert len(texts) >= 18
    assert sum("<|channel|>analysis" in text.split("# Valid channels")[-1] for text in texts) >= 2
    assert stances(tokenizer, fmt, texts) == ["before"] * len(texts)


@needs_shared
def test_a_finished_harmony_answer_may_be_thought_about_again():
    """A final message has a header of its own, so that nothing was thought in its turn, which may interleave."""
    tokenizer = harmony_tokenizer()
    fmt = ThinkingFormat.from_tokenizer(tokenizer)
    text = (SHARED / "chat_templates/harmony/test-data/test_keep_analysis_between_finals.txt").read_text().rstrip()
    assert stances(tokenizer, fmt, [text.removesuffix("<|end|>")]) == ["before"]


# -- the functions by themselves ----------------------------------------------------------------------------------


def ids_of(rows: PlacedRows, text: str) -> tuple[int, ...]:
    return encode(rows.tokenizer, text)


HEADER = "<|im_start|>user\nx<|im_end|>\n<|im_start|>assistant\n"


def test_the_turn_begins_after_its_last_header():
    rows = PlacedRows("think")
    ids = ids_of(rows, HEADER + "a<|im_end|>\n" + HEADER + "bc")
    assert rows.tokenizer.decode(ids[turn_of(rows.automaton, ids) :]) == "\nbc"
    assert turn_of(rows.automaton, ids_of(rows, "abc")) == 0


def test_a_prompt_is_spelled_out_and_its_tool_results_are_looked_for_once(monkeypatch):
    """However long it is."""
    rows, calls = PlacedRows("think"), []
    for name in ("pieces_of", "_without_tool_results"):
        place = Spelling if name == "pieces_of" else prompts
        real = getattr(place, name)
        monkeypatch.setattr(place, name, lambda *args, real=real, name=name: (calls.append(name), real(*args))[1])
    assert read_prompt(rows.automaton, ids_of(rows, HEADER + "<think>abc")).thinking_tokens == 3
    assert calls == ["pieces_of", "_without_tool_results"]


def test_a_header_inside_the_closing_delimiter_opens_no_turn():
    """`<|start|>assistant` stands in the middle of what closes this analysis."""
    close = "<|end|><|start|>assistant<|channel|>final<|message|>"
    rows = PlacedRows("harmony")
    fmt = ThinkingFormat.from_delimiters(rows.tokenizer, start="<|channel|>analysis<|message|>", close=close)
    automaton = Automaton(rows.tokenizer, fmt)
    own = "<|channel|>analysis<|message|>ab<|end|><|start|>assistant<|channel|>final<|message|>c"
    ids = ids_of(rows, "<|start|>user<|message|>x<|end|><|start|>assistant" + own)
    assert rows.tokenizer.decode(ids[turn_of(automaton, ids) :]) == own


def test_thoughts_in_the_prompt_are_counted_but_for_the_templates_white_space():
    rows = PlacedRows("think")
    state = read_prompt(rows.automaton, ids_of(rows, HEADER + "<think>\n\na\nb"))
    assert (state.cell, state.thinking_tokens, state.ended) == (rows.automaton.think, 3, Ended.UNFINISHED)


def test_a_prompt_that_has_closed_thinking_has_thought_nothing():
    rows = PlacedRows("think")
    state = read_prompt(rows.automaton, ids_of(rows, HEADER + "<think>ab</think>cd"))
    assert state == State(rows.automaton.answer)


@pytest.mark.parametrize("interleaved", [False, True])
def test_only_thoughts_since_the_last_opening_count(interleaved):
    """Earlier blocks of the own turn were thought under budgets of their own."""
    rows = PlacedRows("think", interleaved=interleaved)
    assert read_prompt(rows.automaton, ids_of(rows, HEADER + "<think>ab</think>cd")) == State(rows.automaton.answer)
    state = read_prompt(rows.automaton, ids_of(rows, HEADER + "<think>ab</think>cd<|im_end|>\n<think>\nx"))
    assert (state.thinking_tokens, state.ended, state.answer_tokens) == (1, Ended.UNFINISHED, 0)


@pytest.mark.parametrize(("opening", "closing"), TOOL_RESULTS)
def test_tags_in_tool_results_mean_nothing(opening, closing):
    rows = PlacedRows("think")
    for tags in ("<think>", "</think>", "<think>a</think>"):
        result = f"{opening}{tags}{closing}"
        closed = read_prompt(rows.automaton, ids_of(rows, f"{HEADER}<think>ab</think>call{result}"))
        assert closed == State(rows.automaton.answer)
        opened = read_prompt(rows.automaton, ids_of(rows, f"{HEADER}<think>ab{result}"))
        assert (opened.cell, opened.ended) == (rows.automaton.think, Ended.UNFINISHED)


@pytest.mark.parametrize("header", ["<|im_start|>assistant\n", "<|im_start|>user\n"])
@pytest.mark.parametrize("tag", ["<think>", "</think>", ""])
def test_headers_in_tool_results_mean_nothing(header, tag):
    rows = PlacedRows("think")
    result = f"<tool_response>{header}{tag}a</tool_response>"
    closed = read_prompt(rows.automaton, ids_of(rows, f"{HEADER}<think>ab</think>call{result}"))
    assert closed == State(rows.automaton.answer)
    opened = read_prompt(rows.automaton, ids_of(rows, f"{HEADER}<think>ab</think>call{result}<think>\nxy"))
    assert (opened.cell, opened.thinking_tokens) == (rows.automaton.think, 2)


def test_what_was_only_spoken_of_opens_no_tool_result():
    rows = PlacedRows("think")
    text = f"<|im_start|>user\nWhat is <tool_response>?<|im_end|>\n{HEADER}<think>a<tool_response>b</tool_response>"
    assert read_prompt(rows.automaton, ids_of(rows, text)).ended == Ended.UNFINISHED


def test_a_wrapper_of_tool_results_can_be_named():
    tokenizer = toy_tokenizer("think")
    fmt = ThinkingFormat.from_tokenizer(tokenizer, tool_results=[("[[", "]]")])
    automaton = Automaton(tokenizer, fmt)
    assert read_prompt(automaton, encode(tokenizer, HEADER + "<think>a</think>b[[<think>]]c")) == State(
        automaton.answer
    )


@pytest.mark.parametrize("own", ["ab User: says", "a Assistant: b", "a\nb User:"])
def test_a_speakers_name_in_begun_thinking_opens_no_turn(own):
    """Where headers are plain words, those in the midst of a line are the model's."""
    template = "{% for m in messages %}{{ m.role | capitalize }}: {{ m.content }}\n{% endfor %}"
    template += "{% if add_generation_prompt %}Assistant: <r>{% endif %}"
    tokenizer = byte_tokenizer(["<eos>"], added=["<r>", "</r>"], eos="<eos>", template=template)
    fmt = ThinkingFormat.from_delimiters(tokenizer, start="<r>", close="</r>")
    chat = [{"role": "user", "content": "x <r>"}]
    prompt = tokenizer.apply_chat_template(chat, tokenize=False, add_generation_prompt=True)
    assert stances(tokenizer, fmt, [prompt + own, prompt]) == ["thinking", "thinking"]


def test_a_prompt_that_ends_in_a_users_turn_has_not_begun_to_think():
    rows = PlacedRows("opened")
    state = read_prompt(rows.automaton, ids_of(rows, HEADER + "ab<|im_end|>\n<|im_start|>user\n<think>a<|im_end|>\n"))
    assert state == State(rows.automaton.pre)


def test_a_row_starts_in_the_run_that_forces_what_is_missing():
    rows = PlacedRows("s1")
    for own, forced in (("", "<|im_start|>think"), ("<|im_start|>", "think"), ("<|im_start|>think", "")):
        state = start_of(rows.automaton, ids_of(rows, HEADER + own))
        assert rows.forced_from(state.cell) == forced


def test_a_row_starts_in_the_rest_of_a_closing_delimiter_that_its_prompt_has_begun():
    rows = PlacedRows("kimi_k3")
    ids = ids_of(rows, "<|open|>assistant<|sep|><|open|>think<|sep|>ab<|close|>")
    state = start_of(rows.automaton, ids)
    assert rows.forced_from(state.cell) == "think<|sep|>"
    assert (state.thinking_tokens, state.pending, state.ended) == (2, 0, Ended.NATURAL)


@pytest.mark.parametrize(
    ("family", "prompt", "output", "thinking", "answer"),
    [
        ("think", HEADER, "<think>ab</think>cd", ["ab"], "cd"),
        ("think", HEADER + "<think>\n", "ab</think>cd", ["ab"], "cd"),
        ("think", HEADER + "<think>\n", "ab", ["ab"], ""),
        ("think", HEADER, "cd", [], "cd"),
        ("think", HEADER + "<think>a</think>", "cd", [], "cd"),
        ("plain", HEADER + "<think>\n", "ab</think>cd", ["ab"], "cd"),
        ("s1", HEADER, "<|im_start|>thinkab<|im_start|>answercd", ["ab"], "cd"),
        ("harmony", "<|start|>assistant", "<|channel|>final<|message|>cd", [], "cd"),
        (
            "harmony",
            "<|start|>assistant",
            "<|channel|>analysis<|message|>ab<|end|><|start|>assistant<|channel|>final<|message|>cd",
            ["ab"],
            "cd",
        ),
    ],
)
def test_what_was_generated_is_split_at_the_delimiters(family, prompt, output, thinking, answer):
    rows = PlacedRows(family)
    ids = ids_of(rows, output)
    spans, begins = split_output(rows.automaton, ids_of(rows, prompt), ids)
    assert [rows.tokenizer.decode(ids[a:b]) for a, b in spans] == thinking
    assert rows.tokenizer.decode(ids[begins:]) == answer


def test_every_block_of_interleaved_thinking_is_a_span():
    rows = PlacedRows("think", interleaved=True)
    ids = ids_of(rows, "<think>ab</think>x<think>c</think>yz")
    spans, begins = split_output(rows.automaton, ids_of(rows, HEADER), ids)
    assert (spans, begins) == ([(1, 3), (6, 7)], 8)
