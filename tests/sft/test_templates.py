"""Chat templates by name, and what is read off them."""

import pytest

pytest.importorskip("trl")

from real_templates import IN_TRL, REAL, real_row

from s1_hf import ThinkingFormat
from s1_hf.forcing.families import FAMILIES
from s1_hf.sft.data import IGNORED, tokenize
from s1_hf.sft.templates import find_template, read_turn, tokens_of_template
from shared_data import SHARED, needs_shared, qwen
from toys import CHATML, CHATML_OPENED, byte_tokenizer

TAGS = ("<think>", "</think>")


def tokenizer(template: str | None, special=("<|im_start|>", "<|im_end|>"), eos: str = "<|im_end|>", added=TAGS):
    return byte_tokenizer(special, added=added, eos=eos, template=template, bos_token="<|pad|>")


def think(template: str | None, **options):
    """The turn of a template, read for `think`."""
    ours = tokenizer(template)
    return read_turn(ours, ThinkingFormat.from_delimiters(ours, start="<think>", close="</think>", turn="t"), **options)


def test_a_template_is_found_by_its_file_or_name(tmp_path):
    (tmp_path / "mine.jinja").write_text("mine")
    assert find_template(str(tmp_path / "mine.jinja")) == "mine"
    assert "<|start_header_id|>" in find_template("llama3") == find_template("llama3.jinja")
    chat = [{"role": "system", "content": "S"}, {"role": "user", "content": "U"}, {"role": "assistant", "content": "A"}]
    ours = tokenizer(find_template("chatml"))
    said = ours.apply_chat_template(chat, tokenize=False)
    asked = "<|im_start|>system\nS<|im_end|>\n<|im_start|>user\nU<|im_end|>\n<|im_start|>assistant\n"
    assert said == asked + "A<|im_end|>\n"
    assert ours.apply_chat_template(chat[:2], tokenize=False, add_generation_prompt=True) == asked
    assert ours.apply_chat_template(chat, tokenize=False, continue_final_message=True).endswith("assistant\nA")


def test_a_template_that_is_not_there_is_refused_with_those_that_are():
    with pytest.raises(ValueError, match=r"'qwen2.5' is not a file and none of these: chatml, .*mean 'qwen2_5'"):
        find_template("qwen2.5")


def test_the_tokens_that_a_template_means_are_named():
    assert tokens_of_template(tokenizer(CHATML)) == ["<|im_start|>", "<|im_end|>"]
    found = tokens_of_template(tokenizer(find_template("llama3"), eos="<|im_end|>"))
    assert found == ["<|pad|>", "<|start_header_id|>", "<|end_header_id|>", "<|eot_id|>"]


def test_the_end_of_turn_stands_behind_an_answer():
    assert think(CHATML).end == "<|im_end|>\n"
    assert think(CHATML.replace("<|im_end|>\n", "<|im_end|>")).end == "<|im_end|>"


def test_an_end_that_is_written_only_before_the_next_turn_is_found():
    """As GLM's, whose turns end with what opens the user's, and Apertus'."""
    glm = "{% for m in messages %}<|{{ m['role'] }}|>{{ m['content'] }}{% endfor %}"
    glm += "{% if add_generation_prompt %}<|assistant|>{% endif %}"
    ours = tokenizer(glm, ("<|user|>", "<|assistant|>", "<|end|>"), eos="<|end|>")
    fmt = ThinkingFormat.from_delimiters(ours, start="<think>", close="</think>", turn="t")
    assert read_turn(ours, fmt, [ours.convert_tokens_to_ids("<|user|>")]).end == "<|user|>"
    with pytest.raises(ValueError, match="has to end with the end of turn '<.end.>', but ends with 'the answer'"):
        read_turn(ours, fmt)


def test_what_opens_the_next_turn_is_no_end():
    """The loss would teach the model to go on by itself."""
    opening = "<|im_start|>assistant\n"
    always = CHATML.replace(f"{{% if add_generation_prompt %}}{opening}{{% endif %}}", opening)
    assert always != CHATML
    assert think(always).end == "<|im_end|>\n"


def test_an_end_of_turn_that_is_no_end_of_sequence_is_named():
    with pytest.raises(ValueError, match=r"end of turn '<\|im_end\|>', but ends .*: set `eos_token` to '<\|eot\|>'"):
        think(CHATML.replace("<|im_end|>", "<|eot|>"))


def test_the_ends_of_the_generation_config_are_ends_of_turn():
    ours = tokenizer(CHATML.replace("<|im_end|>", "<|eot|>"), ("<|im_start|>", "<|im_end|>", "<|eot|>"))
    fmt = ThinkingFormat.from_delimiters(ours, start="<think>", close="</think>")
    turn = read_turn(ours, fmt, [ours.convert_tokens_to_ids("<|eot|>")])
    assert turn.end == "<|eot|>\n"


@pytest.mark.parametrize(
    ("template", "said"),
    [
        (None, "has no chat template. Set `chat_template_path` to a Jinja file, to `chatml`"),
        ("{% for m in messages %}{{ m['role'] }}{% endfor %}", "does not write what the assistant says"),
        (
            CHATML + "{% if add_generation_prompt %}x{% endif %}",
            "renders the prompt differently once an answer",
        ),
        (CHATML.replace("{% if add_generation_prompt", "{% if nothing"), "renders the prompt differently"),
        (CHATML_OPENED.replace("<think>\n", "</think>\n"), "has ended the thinking before the model begins"),
        (CHATML_OPENED.replace("<think>", "<thought>"), "opens thinking by '<thought>', but the rows would open it by"),
        ("{{ raise_exception('no users') }}", "the chat template cannot render this row: no users"),
    ],
)
def test_a_template_that_cannot_be_trained_is_refused(template, said):
    with pytest.raises(ValueError, match=said):
        think(template)


def test_a_switch_that_ends_the_thinking_is_named_and_can_be_set():
    closes = CHATML.replace(
        "assistant\n{% endif %}", "assistant\n{% if not enable_thinking %}<think></think>{% endif %}{% endif %}"
    )
    with pytest.raises(ValueError, match=r"`chat_template_kwargs` so that it does not; the template reads enable_"):
        think(closes)
    turn = think(closes, options={"enable_thinking": True})
    assert turn.prompt(tokenizer(closes), [{"role": "user", "content": "U"}]).endswith("assistant\n")


@pytest.mark.parametrize("name", ["qwen3", "deepseek_r1_distill", "gptoss", "gemma3", "llama3"])
def test_what_a_template_puts_before_an_answer_may_be_about_thinking(name):
    """Qwen3 puts an empty block there, DeepSeek opens one in the prompt, gpt-oss names a channel."""
    special = ("<|im_start|>", "<|im_end|>", "<|eot_id|>", "<end_of_turn>", "<|return|>", "<｜end▁of▁sentence｜>")
    ours = tokenizer(find_template(name), special)
    fmt = ThinkingFormat.from_delimiters(ours, start="<think>", close="</think>")
    read_turn(ours, fmt, ours.convert_tokens_to_ids(list(special)))


@needs_shared
def test_the_templates_of_models_that_think_are_read():
    for file in ("unpatched/deepseek-ai-DeepSeek-R1-Distill-Qwen-32B", "families/HuggingFaceTB-SmolLM3-3B"):
        ours = qwen("qwen3", f"chat_templates/{file}.jinja")
        ends = ours.convert_tokens_to_ids(["<|im_end|>"])
        fmt = ThinkingFormat.from_tokenizer(ours, "think")
        if "R1" in file:  # whose end of turn this vocabulary has not
            with pytest.raises(ValueError, match="set `eos_token` to '<｜end▁of▁sentence｜>'"):
                read_turn(ours, fmt, ends)
        else:
            assert read_turn(ours, fmt, ends).end == "<|im_end|>\n"
    assert (SHARED / "tokenizers").is_dir()


SWITCHED_ON = {"enable_thinking": True, "thinking": True}
ROW = {"question": "How much?", "thinking_trajectories": ["One.\n\nAnd one."], "attempt": "It is 2."}


def check_trained(path, name, modes):
    row = real_row(path, name, modes)
    ours, fmt, _ = row.setting()
    turn = read_turn(ours, fmt, ours.convert_tokens_to_ids(list(row.eos)), SWITCHED_ON)
    tokens = tokenize(ROW, ours, fmt, turn)
    reply = FAMILIES[fmt.name].written("One.\n\nAnd one.", "It is 2.")
    trained = ours.decode([i for i in tokens.labels if i != IGNORED])
    prompt = ours.decode(tokens.input_ids[: tokens.prompt_length])
    opened = prompt.rstrip().endswith(fmt.start_text.strip())
    assert trained.lstrip() == (reply.removeprefix(fmt.start_text).lstrip() if opened else reply) + turn.end
    assert prompt == turn.prompt(ours, [{"role": "user", "content": "How much?"}])


@pytest.mark.parametrize(("path", "name", "modes"), IN_TRL, ids=[path for path, *_ in IN_TRL])
def test_trls_templates_of_models_that_think_are_trained_as_they_are(path, name, modes):
    check_trained(path, name, modes)


@needs_shared
@pytest.mark.parametrize(("path", "name", "modes"), REAL, ids=[path for path, *_ in REAL])
def test_real_templates_are_too(path, name, modes):
    if "rwkv" in path:  # whose turns end with an empty line
        with pytest.raises(ValueError, match="has to end with the end of turn"):
            check_trained(path, name, modes)
    else:
        check_trained(path, name, modes)
