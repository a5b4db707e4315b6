"""Writes the table of docs/training.md from the code: `python docs/training.py`. A test holds the two together.

For every model, its vocabulary and chat template go through what `s1-hf sft` does before it loads weights, with one
row. The tokenizers have the special tokens of the real ones over bytes; the templates are TRL's copies of the real
ones, or in their shape where TRL has none.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from transformers import LlamaConfig, PreTrainedTokenizerBase
from trl import SFTConfig

from s1_hf.conformance.toys import CHATML, MAGISTRAL, byte_tokenizer
from s1_hf.forcing.formats import format_of_settings
from s1_hf.sft.data import IGNORED, tokenize
from s1_hf.sft.prepare import set_tokens
from s1_hf.sft.recipe import ADD, DataArguments
from s1_hf.sft.templates import find_template, read_turn

PAGE = Path(__file__).with_name("training.md")

_BEGIN, _END = "<!-- the table -->", "<!-- end of the table -->"
_ROW = {"question": "How much is 1+1?", "thinking_trajectories": ["One.\n\nAnd one."], "attempt": "It is 2."}
_CHATML_TOKENS = ("<|im_start|>", "<|im_end|>")
_OPENED = CHATML.replace("assistant\n{% endif %}", "assistant\n<think>\n{% endif %}")
_OLMO_2 = (
    "{{ bos_token }}{% for m in messages %}<|{{ m['role'] }}|>\n{{ m['content'] }}"
    "{% if m['role'] == 'assistant' %}{{ eos_token }}{% endif %}\n{% endfor %}"
    "{% if add_generation_prompt %}<|assistant|>\n{% endif %}"
)
_PHI_4 = (
    "<|im_start|>system<|im_sep|>Write <think> your thoughts </think> first.<|im_end|>"
    "{% for m in messages %}<|im_start|>{{ m['role'] }}<|im_sep|>{{ m['content'] }}<|im_end|>{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant<|im_sep|>{% endif %}"
)
_LLAMA_TOKENS = ("<|begin_of_text|>", "<|end_of_text|>", "<|start_header_id|>", "<|end_header_id|>", "<|eot_id|>")
_R1_TOKENS = ("<｜begin▁of▁sentence｜>", "<｜end▁of▁sentence｜>", "<｜User｜>", "<｜Assistant｜>")


@dataclass(frozen=True)
class Model:
    """What decides about a family of models.

    Args:
        special, added (`tuple[str, ...]`): its special tokens, and tags that are one token each.
        eos (`str`): the tokenizer's end of sequence.
        template (`str`, *optional*): the chat template: a name of TRL's, or its text; `None` where there is none.
        own (`str`, *optional*): its own thinking format.
        stops (`str`, *optional*): one more end of sequence, of its generation config.
        fields (`tuple[tuple[str, str], ...]`): of the recipe, that a base model needs.
    """

    special: tuple[str, ...]
    eos: str
    template: str | None
    own: str | None = None
    added: tuple[str, ...] = ()
    stops: str | None = None
    fields: tuple[tuple[str, str], ...] = ()


_THINK_TAGS = ("<think>", "</think>")
MODELS = {
    "Qwen2.5-Instruct": Model(_CHATML_TOKENS, "<|im_end|>", "qwen2_5"),
    "Qwen3": Model(_CHATML_TOKENS, "<|im_end|>", "qwen3", "think", _THINK_TAGS),
    "Llama 3 Instruct": Model(_LLAMA_TOKENS, "<|eot_id|>", "llama3"),
    "Llama 3, base": Model(
        _LLAMA_TOKENS, "<|end_of_text|>", None, fields=(("chat_template_path", "llama3"), ("eos_token", "<|eot_id|>"))
    ),
    "Gemma 3": Model(("<bos>", "<eos>", "<start_of_turn>", "<end_of_turn>"), "<eos>", "gemma3", stops="<end_of_turn>"),
    "Mistral": Model(("<s>", "</s>", "[INST]", "[/INST]"), "</s>", MAGISTRAL),
    "Mistral, base": Model(
        ("<s>", "</s>"), "</s>", None, fields=(("chat_template_path", "chatml"), ("eos_token", "<|im_end|>"))
    ),
    "Magistral": Model(("<s>", "</s>", "[INST]", "[/INST]", "[THINK]", "[/THINK]"), "</s>", MAGISTRAL, "magistral"),
    "SmolLM2": Model(_CHATML_TOKENS, "<|im_end|>", CHATML),
    "SmolLM3": Model(_CHATML_TOKENS, "<|im_end|>", CHATML, "think", _THINK_TAGS),
    "gpt-oss": Model(
        ("<|start|>", "<|end|>", "<|channel|>", "<|message|>", "<|return|>", "<|call|>", "<|constrain|>"),
        "<|return|>",
        "gptoss",
        "harmony",
    ),
    "Phi-3": Model(("<|system|>", "<|user|>", "<|assistant|>", "<|end|>", "<|endoftext|>"), "<|endoftext|>", "phi3"),
    "Phi-4-reasoning": Model((*_CHATML_TOKENS, "<|im_sep|>"), "<|im_end|>", _PHI_4, "think"),
    "OLMo-2": Model(("<|endoftext|>",), "<|endoftext|>", _OLMO_2),
    "OLMo-3-Think": Model(_CHATML_TOKENS, "<|im_end|>", _OPENED, "think"),
    "DeepSeek-R1-Distill": Model(_R1_TOKENS, _R1_TOKENS[1], "deepseek_r1_distill", "think", _THINK_TAGS),
    "DeepSeek-V3": Model(_R1_TOKENS, _R1_TOKENS[1], "deepseekv3", "think", _THINK_TAGS),
}


def page() -> str:
    """The page's text, with today's table in it."""
    before, rest = PAGE.read_text(encoding="utf-8").split(_BEGIN)
    return f"{before}{_BEGIN}\n\n{_table()}\n\n{_END}{rest.split(_END)[1]}"


def tokenizer_of(model: Model) -> PreTrainedTokenizerBase:
    """A tokenizer with a model's tokens and chat template."""
    template = model.template
    if template is not None and "{" not in template:
        template = find_template(template)
    first = next((token for token in model.special if token in ("<s>", "<bos>", "<|begin_of_text|>")), None)
    return byte_tokenizer(model.special, added=model.added, eos=model.eos, template=template, bos_token=first)


def trained(model: Model, thinking_format: str, missing_tokens: str | None) -> tuple[str, str, int]:
    """A row as it is trained: the text without loss and the text with loss, and how many tokens were added.

    Raises:
        ValueError: the run would be refused.
    """
    tokenizer, data = tokenizer_of(model), DataArguments(thinking_format=thinking_format, missing_tokens=missing_tokens)
    args = SFTConfig("unused", use_cpu=True, bf16=False, report_to="none", **dict(model.fields))
    new = set_tokens(tokenizer, data, args, LlamaConfig(vocab_size=len(tokenizer)))
    stops = [] if model.stops is None else [tokenizer.convert_tokens_to_ids(model.stops)]
    found = format_of_settings(tokenizer, tokenizer.init_kwargs["thinking_format"])
    tokens = tokenize(_ROW, tokenizer, found, read_turn(tokenizer, found, stops))
    labels = [i for i in tokens.labels if i != IGNORED]
    masked = tokens.input_ids[: tokens.prompt_length]
    return str(tokenizer.decode(masked)), str(tokenizer.decode(labels)), len(new.pieces)


def cell(model: Model, thinking_format: str | None) -> str:
    """What comes of training a format on a model."""
    if thinking_format is None:
        return "none"
    try:
        prompt, reply, _ = trained(model, thinking_format, None)
        added = 0
    except ValueError as error:
        if "missing_tokens" not in str(error):
            return f"refused: {str(error).split(', but')[0]}"
        try:
            prompt, reply, added = trained(model, thinking_format, ADD)
        except ValueError as error:
            return f"refused: {str(error).split(', but')[0]}"
    said = [f"with `missing_tokens: add` ({added})" if added else "yes"]
    if prompt.rstrip().endswith("<think>"):
        said.append("opened by the prompt")
    if "<think>" in reply and not added and "<think>" not in tokenizer_of(model).get_vocab():
        said.append("as several tokens")
    return ", ".join(said)


def _table() -> str:
    columns = ("model", "`s1`", "`think`", "its own format")
    return "\n".join(_lines([columns, ("---",) * len(columns), *_rows()]))


def _rows() -> Iterator[tuple[str, ...]]:
    for name, model in MODELS.items():
        own = cell(model, model.own)
        yield name, cell(model, "s1"), cell(model, "think"), f"`{model.own}`: {own}" if model.own else own


def _lines(rows: list[tuple[str, ...]]) -> list[str]:
    return [f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in row)} |" for row in rows]


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
