"""Thinking formats: what is detected, the delimiters' ids, and where a prompt leaves its assistant's turn."""

from __future__ import annotations

import functools
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import torch
from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers
from transformers import AutoTokenizer, GenerationConfig, PreTrainedTokenizerFast, Qwen2Config, Qwen2ForCausalLM

from s1_hf import BudgetForcingLogitsProcessor, ThinkingFormat, generate
from s1_hf.forcing.vocabulary import Vocabulary, encode
from shared_data import SHARED, needs_shared
from toys import CHATML, CHATML_OPENED, FAMILIES, WORDS, byte_tokenizer, toy_model, toy_tokenizer


def bug(reason: str, raises: Any = AssertionError) -> pytest.MarkDecorator:
    """What the contract demands and the package does not do yet; fails as soon as it does, or fails otherwise."""
    return pytest.mark.xfail(strict=True, reason=reason, raises=raises)


# -- tokenizers ---------------------------------------------------------------------------------------------------


def metaspace_tokenizer(special: Sequence[str], words: Sequence[str], template: str | None) -> PreTrainedTokenizerFast:
    """In the shape of Llama 2's and Mistral's: a space before a word is part of its token, and one is put in front."""
    vocab, merges = {"<unk>": 0}, []
    for piece in [*(f"<0x{i:02X}>" for i in range(256)), "▁", "\n", *map(chr, range(33, 127))]:
        vocab[piece] = len(vocab)
    for word in words:
        for k in range(2, len(word) + 1):
            if word[:k] not in vocab:
                vocab[word[:k]] = len(vocab)
                merges.append((word[: k - 1], word[k - 1]))
    core = Tokenizer(models.BPE(vocab=vocab, merges=merges, unk_token="<unk>", byte_fallback=True, fuse_unk=True))
    core.pre_tokenizer = pre_tokenizers.Metaspace(replacement="▁", prepend_scheme="first", split=False)
    core.decoder = decoders.Sequence(
        [decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse(), decoders.Strip(" ", 1, 0)]
    )
    core.add_special_tokens([AddedToken(t, special=True) for t in ["<pad>", "</s>", *special]])
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=core, eos_token="</s>", pad_token="<pad>")
    tokenizer.chat_template = template
    return tokenizer


@functools.cache
def _qwen(name: str) -> Any:
    return AutoTokenizer.from_pretrained(SHARED / "tokenizers" / name)


def qwen(name: str, template: str | None = None) -> Any:
    """A real tokenizer, the same object each time; `template` is a file's path below `SHARED` or an absolute one."""
    tokenizer = _qwen(name)
    path = SHARED / (template or f"tokenizers/{name}/tokenizer_config.json")
    tokenizer.chat_template = path.read_text() if template else json.loads(path.read_text())["chat_template"]
    return tokenizer


def trl_template(name: str) -> str:
    trl = pytest.importorskip("trl", reason="TRL ships the chat templates")
    return str(Path(trl.__file__).with_name("chat_templates") / f"{name}.jinja")


# -- what a processor makes of a prompt ---------------------------------------------------------------------------


def forced_texts(tokenizer: Any, fmt: ThinkingFormat, texts: Sequence[str], **budget: Any) -> list[str]:
    """The text that a fresh processor forces behind each prompt before it leaves the choice to the model."""
    rows = [encode(tokenizer, text) for text in texts]
    width, pad = max(map(len, rows)), tokenizer.pad_token_id
    ids = torch.tensor([[pad] * (width - len(row)) + list(row) for row in rows])
    options = {"answer_prefix": None, "max_thinking_tokens": 0} | budget
    processor = BudgetForcingLogitsProcessor(tokenizer, format=fmt, **options)
    scores = torch.randn(len(rows), len(tokenizer), generator=torch.Generator().manual_seed(0))
    forced: list[list[int]] = [[] for _ in rows]
    done = [False] * len(rows)
    while not all(done):
        out = processor(ids, scores)
        only = (out > -torch.inf).sum(-1) == 1
        for r, token in enumerate(out.argmax(-1).tolist()):
            done[r] = done[r] or not only[r]
            forced[r] += [] if done[r] else [token]
        ids = torch.cat([ids, out.argmax(-1, keepdim=True)], 1)
    before = encode(tokenizer, "a")  # alone, a text may lose the space before it
    skip = len(tokenizer.decode(before))
    return [tokenizer.decode([*before, *row], skip_special_tokens=False)[skip:] for row in forced]


def stances(tokenizer: Any, fmt: ThinkingFormat, texts: Sequence[str]) -> list[str]:
    """Where each prompt stands, by what is forced under a cap of 0, now and if it had the opening delimiter."""
    forced = forced_texts(tokenizer, fmt, [*texts, *(text + fmt.start_text for text in texts)])
    names = {(True, True): "thinking", (False, True): "before", (False, False): "closed"}
    found = []
    for now, opened in zip(forced[: len(texts)], forced[len(texts) :], strict=True):
        closes = fmt.close_text in now and fmt.start_text not in now  # s1 opens thinking and closes it at once
        found.append(names[closes, fmt.close_text in opened])
    return found


def prompt_texts(tokenizer: Any, fmt: ThinkingFormat, **options: Any) -> list[str]:
    """One request, asked with tags in the wrong places: user text, system prompt, an earlier turn."""
    start, close = fmt.start_text, fmt.close_text
    ask = {"role": "user", "content": "a"}
    chats = [
        [ask],
        [{"role": "user", "content": f"a{start}b"}],
        [{"role": "user", "content": f"{start}a{close}"}],
        [{"role": "user", "content": f"{close}\n{start}"}],
        [{"role": "system", "content": f"Think in {start} and {close}."}, ask],
        [ask, {"role": "assistant", "content": f"{start}\nb\n{close}\n\nc"}, ask],
        [ask, {"role": "assistant", "content": f"{start}\nb"}, ask],
    ]
    return [tokenizer.apply_chat_template(c, tokenize=False, add_generation_prompt=True, **options) for c in chats]


# -- shipped families on toy tokenizers ---------------------------------------------------------------------------

SHIPPED = [  # family of toys, format, start, close, ends, turn, force_start, plain
    ("s1", "s1", "<|im_start|>think", "<|im_start|>answer", "<|im_start|><|im_end|>", "<|im_start|>assistant", 1, 0),
    ("think", "think", "<think>", "</think>", "</think><|im_end|>", "<|im_start|>assistant", 0, 0),
    ("opened", "think", "<think>", "</think>", "</think><|im_end|>", "<|im_start|>assistant", 0, 0),
    ("plain", "think", "<think>", "</think>", "<|im_end|>", "<|im_start|>assistant", 0, 1),
    (
        "harmony",
        "harmony",
        "<|channel|>analysis<|message|>",
        "<|end|><|start|>assistant<|channel|>final<|message|>",
        "<|end|><|return|>",
        "<|start|>assistant",
        0,
        0,
    ),
    ("magistral", "magistral", "[THINK]", "[/THINK]", "[/THINK]</s>", "[/INST]", 0, 0),
    ("seed", "seed", "<seed:think>", "</seed:think>", "</seed:think><eos>", "", 0, 0),
]
BY_FAMILY = pytest.mark.parametrize("row", SHIPPED, ids=[row[0] for row in SHIPPED])


@BY_FAMILY
@pytest.mark.parametrize("named", [False, True])
def test_a_shipped_format_has_its_delimiters_whether_named_or_detected(row, named):
    """Name, start, close, ends, turn and flags of every shipped family on its toy tokenizer."""
    family, name, start, close, ends, turn, force_start, plain = row
    tokenizer = toy_tokenizer(family)
    fmt = ThinkingFormat.from_tokenizer(tokenizer, name if named else None)
    assert fmt.name == name
    assert [tokenizer.decode(ids) for ids in (fmt.start, fmt.close, fmt.ends, fmt.turn)] == [start, close, ends, turn]
    assert (fmt.start_text, fmt.close_text) == (start, close)
    assert (fmt.force_start, fmt.plain, fmt.interleaved) == (bool(force_start), bool(plain), False)


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
        ("harmony", "<|channel|>analysis<|message|>ab<|end|>", "<|start|>assistant<|channel|>final<|message|>"),
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


@bug("a closing delimiter is looked for behind an opening one alone")
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


# -- custom delimiters --------------------------------------------------------------------------------------------


def test_custom_delimiters_keep_what_they_were_given():
    """Name, flags, texts and turn of one's own go into the format."""
    tokenizer = toy_tokenizer("think")
    fmt = ThinkingFormat.from_delimiters(
        tokenizer,
        start="<think>",
        close="</think>",
        force_start=True,
        interleaved=True,
        turn="<|im_start|>system",
        name="mine",
    )
    assert (fmt.name, fmt.force_start, fmt.interleaved, fmt.plain) == ("mine", True, True, False)
    assert fmt.turn == encode(tokenizer, "<|im_start|>system") != ThinkingFormat.from_tokenizer(tokenizer).turn


def test_an_end_of_sequence_that_is_the_delimiter_is_one_end():
    """`ends` lists every id once, the delimiter's first."""
    tokenizer = byte_tokenizer(["<|im_start|>", "<|im_end|>", "</r>"], eos="</r>")
    fmt = ThinkingFormat.from_delimiters(tokenizer, start="<r>", close="</r>")
    assert fmt.ends == fmt.close == (tokenizer.eos_token_id,)


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


def test_a_single_token_close_behind_a_plain_start_is_never_spelled_out():
    """If only `start` is plain, `close` is still one token: `<` is text, and the token itself is forced."""
    tokenizer = byte_tokenizer(["<|im_start|>", "<|im_end|>"], added=["</think>"])
    fmt = ThinkingFormat.from_delimiters(tokenizer, start="Hm begin", close="</think>")
    assert not fmt.plain
    prompts = ["<|im_start|>assistant\nHm begin ab <", "<|im_start|>assistant\nHm begin ab </"]
    assert forced_texts(tokenizer, fmt, prompts) == ["\n</think>", "\n</think>"]


SPACED = "{% for m in messages %}<|{{ m['role'] }}|>{{ m['content'] }}{% endfor %}<|assistant|><think>"


def test_forced_texts_have_no_space_of_the_tokenizers_own():
    """Tokenizers that put a space before a text (Llama 2, Mistral) add none to what is forced inside a text."""
    tokenizer = metaspace_tokenizer(["<|user|>", "<|assistant|>", "<think>", "</think>"], ["▁Wait", "Wait"], SPACED)
    fmt = ThinkingFormat.from_tokenizer(tokenizer)
    texts = ["<|assistant|><think>ab", "<|assistant|><think>ab\n"]
    forced = forced_texts(tokenizer, fmt, texts, answer_prefix="So:")
    assert forced == ["\n</think>\nSo:", "</think>\nSo:"]


def test_a_begun_plain_close_is_completed_without_a_space():
    """`</` is completed to `</think>`, not to `</ think>`, which the model does not know."""
    tokenizer = metaspace_tokenizer(["<|user|>", "<|assistant|>"], ["▁</", "</", "think", "▁think"], SPACED)
    fmt = ThinkingFormat.from_tokenizer(tokenizer)
    assert fmt.plain
    assert forced_texts(tokenizer, fmt, ["<|assistant|><think>ab</"]) == ["think>"]


# -- refusals -----------------------------------------------------------------------------------------------------


def test_a_tokenizer_with_no_delimiters_is_told_what_was_looked_for():
    """The error names every family's tokens and both ways out."""
    tokenizer = byte_tokenizer(["<eos>"], eos="<eos>", template=None)
    with pytest.raises(ValueError, match="has the delimiters of none") as error:
        ThinkingFormat.from_tokenizer(tokenizer)
    told = str(error.value)
    wanted = ["<|im_start|>", "<think> </think>", "<|channel|>", "[THINK]", "<seed:think>", "from_delimiters(tokenizer"]
    assert [part for part in wanted if part not in told] == []


def test_a_tokenizer_with_two_families_is_not_guessed():
    """Both families are named; naming one of them resolves it."""
    tokenizer = byte_tokenizer(["<eos>"], added=["<think>", "</think>", "[THINK]", "[/THINK]"], eos="<eos>")
    with pytest.raises(ValueError, match=r"has the delimiters of several \(think, magistral\)"):
        ThinkingFormat.from_tokenizer(tokenizer)
    assert ThinkingFormat.from_tokenizer(tokenizer, "magistral").start_text == "[THINK]"


def test_think_wins_over_the_chatml_vocabulary_it_stands_in():
    """A ChatML tokenizer is s1's only if it has no delimiters of another family (Qwen3, gpt-oss in ChatML)."""
    both = byte_tokenizer(["<|im_start|>", "<|im_end|>"], added=["<think>", "</think>"])
    half = byte_tokenizer(["<|im_start|>", "<|im_end|>"], added=["<think>"])
    assert [ThinkingFormat.from_tokenizer(t).name for t in (both, half)] == ["think", "s1"]


def test_a_template_that_names_the_tags_does_not_outweigh_the_vocabulary():
    """Templates strip `<think>` of other models from earlier turns; whole tokens say more than a template's text."""
    tokenizer = toy_tokenizer("magistral")
    tokenizer.chat_template = "{# not </think> #}" + FAMILIES["magistral"]["template"]
    assert ThinkingFormat.from_tokenizer(tokenizer).name == "magistral"


def test_a_template_that_names_the_tags_is_enough_for_think():
    """Plain tags are detected by the chat template, be it one text or several by name."""
    tokenizer = byte_tokenizer(["<|im_start|>", "<|im_end|>"])
    assert ThinkingFormat.from_tokenizer(tokenizer).name == "s1"
    tokenizer.chat_template = {"default": CHATML_OPENED, "tool_use": CHATML}
    fmt = ThinkingFormat.from_tokenizer(tokenizer)
    assert (fmt.name, fmt.plain, tokenizer.decode(fmt.turn)) == ("think", True, "<|im_start|>assistant")


@pytest.mark.parametrize("name", ["s1", "harmony", "magistral", "seed"])
def test_a_named_format_needs_its_tokens(name):
    """The tokens that are missing are named; only `think` may be several plain tokens."""
    tokenizer = byte_tokenizer(["<eos>"], eos="<eos>", template=None)
    missing = {"s1": r"<\|im_start\|>", "harmony": r"<\|channel\|>", "magistral": r"\[/THINK\]", "seed": "<seed:think>"}
    with pytest.raises(ValueError, match=f"The thinking format '{name}' needs .*'{missing[name]}'.* as single tokens"):
        ThinkingFormat.from_tokenizer(tokenizer, name)
    assert ThinkingFormat.from_tokenizer(tokenizer, "think").plain


@pytest.mark.parametrize(
    ("options", "match"),
    [
        ({"start": ""}, "`start` has to be a text such as '<think>', but is ''"),
        ({"close": " \n"}, r"`close` has to be a text such as '<think>', but is ' \\n'"),
        ({"start": None}, "`start` has to be a text such as '<think>', but is None"),
        ({"close": 7}, "`close` has to be a text such as '<think>', but is 7"),
        ({"close": "<think>"}, "have to be told apart, but '<think>' is part of '<think>'"),
        ({"start": "think"}, "have to be told apart, but 'think' is part of '</think>'"),
        ({"close": "<think>!"}, "have to be told apart, but '<think>' is part of '<think>!'"),
    ],
)
def test_delimiters_that_are_none_are_refused(options, match):
    with pytest.raises(ValueError, match=match):
        ThinkingFormat.from_delimiters(toy_tokenizer("s1"), **({"start": "<think>", "close": "</think>"} | options))


def test_interleaved_needs_delimiters_that_begin_differently():
    with pytest.raises(ValueError, match="`interleaved` has to be False when both delimiters begin with the same"):
        ThinkingFormat.from_delimiters(
            toy_tokenizer("s1"), start="<|im_start|>think", close="<|im_start|>answer", interleaved=True
        )


def test_delimiters_that_the_tokenizer_cannot_write_are_refused():
    """A tokenizer that makes one unknown token of both delimiters cannot tell them apart."""
    core = Tokenizer(models.WordLevel({"[UNK]": 0, "a": 1, "</s>": 2}, unk_token="[UNK]"))
    core.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=core, eos_token="</s>", unk_token="[UNK]")
    with pytest.raises(ValueError, match="begin"):
        ThinkingFormat.from_delimiters(tokenizer, start="begin", close="end")


@pytest.mark.parametrize("family", ["think", "magistral"])
def test_a_format_of_another_tokenizer_is_refused(family):
    """Wrong ids are the commonest silent failure of all (SGLang's Qwen3 class on Qwen3.5)."""
    foreign = ThinkingFormat.from_tokenizer(toy_tokenizer(family))
    with pytest.raises(ValueError, match="tokenizer"):
        BudgetForcingLogitsProcessor(toy_tokenizer("s1"), format=foreign)


def test_a_format_of_another_tokenizer_with_ids_that_exist_is_refused():
    """Here the foreign ids exist and stand for other texts, so that budgets would silently do nothing."""
    other = byte_tokenizer(["<|im_start|>", "<|im_end|>"], words=WORDS[:-1], added=["<think>", "</think>"])
    foreign = ThinkingFormat.from_tokenizer(other)
    with pytest.raises(ValueError, match="tokenizer"):
        BudgetForcingLogitsProcessor(toy_tokenizer("think"), format=foreign)


# -- real tokenizers and templates --------------------------------------------------------------------------------


@needs_shared
def test_qwen2_5_is_s1():
    """The ids that s1's own harness uses."""
    tokenizer = qwen("qwen2.5-instruct")
    fmt = ThinkingFormat.from_tokenizer(tokenizer)
    assert (fmt.name, fmt.start, fmt.close) == ("s1", (151644, 26865), (151644, 9217))
    assert (fmt.ends, fmt.turn) == ((151644, 151645), (151644, 77091))
    assert (encode(tokenizer, "Wait"), len(Vocabulary.of(tokenizer).texts)) == ((14190,), 151665)


@needs_shared
def test_qwen2_5_has_think_as_plain_tokens():
    fmt = ThinkingFormat.from_tokenizer(qwen("qwen2.5-instruct"), "think")
    assert (fmt.start, fmt.close, fmt.ends) == ((13708, 766, 29), (522, 26865, 29), (151645,))
    assert (fmt.plain, fmt.force_start) == (True, False)


@needs_shared
def test_qwen3_is_think():
    fmt = ThinkingFormat.from_tokenizer(qwen("qwen3"))
    assert (fmt.name, fmt.start, fmt.close) == ("think", (151667,), (151668,))
    assert (fmt.ends, fmt.turn, fmt.plain) == ((151668, 151645), (151644, 77091), False)


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


R1 = ["deepseek-ai-DeepSeek-R1-Distill-Llama-8B", "deepseek-ai-DeepSeek-R1-Distill-Qwen-32B", "llama-cpp-deepseek-r1"]


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


def r1_tokenizer(template: str) -> PreTrainedTokenizerFast:
    """R1's own shape: turns are special tokens, `<think>` is an added one."""
    special = ["<｜begin▁of▁sentence｜>", "<｜end▁of▁sentence｜>", "<｜User｜>", "<｜Assistant｜>"]
    return byte_tokenizer(
        special, added=["<think>", "</think>"], eos=special[1], template=template, bos_token=special[0]
    )


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
    fmt = ThinkingFormat.from_tokenizer(tokenizer)
    assert fmt.name == fmt_name
    assert set(stances(tokenizer, fmt, prompt_texts(tokenizer, fmt))) == {want}


HARMONY_TOKENS = ["<|start|>", "<|end|>", "<|channel|>", "<|message|>", "<|return|>", "<|call|>", "<|constrain|>"]


def harmony_tokenizer(template: str | None = None) -> PreTrainedTokenizerFast:
    return byte_tokenizer(HARMONY_TOKENS, eos="<|return|>", template=template or FAMILIES["harmony"]["template"])


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
def test_a_finished_harmony_answer_is_closed():
    """A conversation that ends with a final message behind its analysis has closed thinking."""
    tokenizer = harmony_tokenizer()
    fmt = ThinkingFormat.from_tokenizer(tokenizer)
    text = (SHARED / "chat_templates/harmony/test-data/test_keep_analysis_between_finals.txt").read_text().rstrip()
    assert stances(tokenizer, fmt, [text.removesuffix("<|end|>")]) == ["closed"]


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
    fmt = ThinkingFormat.from_tokenizer(tokenizer)
    processor = BudgetForcingLogitsProcessor(tokenizer, generation_config=config)
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
    completions = generate(model, tokenizer, chat, **options)
    assert max(i for c in completions for i in c.token_ids) < 151665
    assert {c.report.ended for c in completions} == {"cut"}
    assert all(c.text.startswith("<|im_start|>think") for c in completions)
