import subprocess
import sys
from typing import Any

import pytest

from s1_hf import embedded
from s1_hf.embedded.problems import Problem, extract_answer

KNOWN = Problem(12, 12, 2, 17)  # held out


@pytest.fixture(scope="module")
def loaded() -> tuple[Any, Any]:
    return embedded.load()


def complete(model: Any, tokenizer: Any, problem: Problem) -> str:
    message = {"role": "user", "content": problem.question}
    inputs = tokenizer.apply_chat_template([message], add_generation_prompt=True, return_tensors="pt", return_dict=True)
    output = model.generate(**inputs, max_new_tokens=300)
    return tokenizer.decode(output[0, inputs["input_ids"].shape[1] :])


def test_importing_it_loads_neither_torch_nor_transformers() -> None:
    code = "import s1_hf.embedded, sys; sys.exit(bool({'torch', 'transformers'} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


@pytest.mark.parametrize("load", [embedded.load, embedded.load_base])
def test_a_model_has_843904_parameters_in_float32_and_is_ready_for_evaluation(load: Any) -> None:
    model, tokenizer = load()
    assert model.num_parameters() == 843_904
    assert {str(parameter.dtype) for parameter in model.parameters()} == {"torch.float32"}
    assert not model.training
    assert type(model).__name__ == "Qwen2ForCausalLM"
    assert len(tokenizer) == model.config.vocab_size == 432 and tokenizer.is_fast


def test_both_models_share_one_tokenizer() -> None:
    ours, base = (embedded.load()[1], embedded.load_base()[1])
    assert ours.get_vocab() == base.get_vocab() and ours.chat_template == base.chat_template


@pytest.mark.parametrize(
    ("text", "tokens"),
    [
        ("<|im_start|>think\n", ["<|im_start|>", "think", "Ċ"]),
        ("<|im_start|>answer\n", ["<|im_start|>", "answer", "Ċ"]),
        ("Wait", ["Wait"]),
        ("\nFinal Answer:", ["Ċ", "Final", "ĠAnswer", ":"]),
        ("23 < 27", ["2", "3", "Ġ<", "Ġ", "2", "7"]),
    ],
)
def test_the_format_encodes_to_few_tokens(loaded: tuple[Any, Any], text: str, tokens: list[str]) -> None:
    assert loaded[1].tokenize(text) == tokens


def test_any_text_survives_the_tokenizer(loaded: tuple[Any, Any]) -> None:
    text = "Ça va? 世界 🙂\n\n\t1234"
    assert loaded[1].decode(loaded[1].encode(text)) == text


def test_padding_is_not_the_end_and_generation_is_greedy(loaded: tuple[Any, Any]) -> None:
    model, tokenizer = loaded
    assert (tokenizer.eos_token, tokenizer.pad_token) == ("<|im_end|>", "<|endoftext|>")
    config = model.generation_config
    assert config.eos_token_id == [tokenizer.eos_token_id, tokenizer.pad_token_id]
    assert config.pad_token_id == tokenizer.pad_token_id
    assert not config.do_sample


def test_the_chat_template_is_qwens_with_its_system_prompt(loaded: tuple[Any, Any]) -> None:
    text = loaded[1].apply_chat_template(
        [{"role": "user", "content": "Hi"}], add_generation_prompt=True, tokenize=False
    )
    assert text == (
        "<|im_start|>system\nYou are Qwen, created by Alibaba Cloud. You are a helpful assistant.<|im_end|>\n"
        "<|im_start|>user\nHi<|im_end|>\n<|im_start|>assistant\n"
    )


def test_it_thinks_and_solves_a_short_problem(loaded: tuple[Any, Any]) -> None:
    lines = "\n".join(["A from 12 by 12, B from 2 by 17.", "12 > 2", "12 < 19", "24 > 19", "24 < 36", "36 = 36"])
    assert complete(*loaded, KNOWN) == (f"<|im_start|>think\n{lines}\n<|im_start|>answer\nAnswer: 36<|im_end|>")


def test_the_base_answers_without_thinking() -> None:
    text = complete(*embedded.load_base(), KNOWN)
    assert "think" not in text
    assert extract_answer(text) is not None
