"""A stand-in for a model that thinks and calls tools: it writes what a script says, whatever the tools return."""

from __future__ import annotations

from typing import Any

import torch
from transformers import AutoTokenizer, GenerationConfig, GenerationMixin, PretrainedConfig, PreTrainedModel
from transformers.modeling_outputs import CausalLMOutput

from s1_hf import embedded

TEMPLATE = """\
{%- if tools %}<|im_start|>system
# Tools{% for tool in tools %}
{{ tool | tojson }}{% endfor %}<|im_end|>
{% endif %}
{%- for message in messages %}
{%- if message.role == "tool" %}<|im_start|>user
<tool_response>
{{ message.content }}
</tool_response><|im_end|>
{% else %}<|im_start|>{{ message.role }}
{% if message.reasoning_content %}<think>
{{ message.reasoning_content }}
</think>

{% endif %}{{ message.content or "" }}
{%- for call in message.tool_calls or [] %}
<tool_call>
{{ call.function | tojson }}
</tool_call>
{%- endfor %}<|im_end|>
{% endif %}
{%- endfor %}
{%- if add_generation_prompt %}<|im_start|>assistant
{% endif %}"""
"""In the shape of Qwen3's."""

CALL = '\n\n<tool_call>\n{"name": "get_temperature", "arguments": {"city": "%s"}}\n</tool_call><|im_end|>'
SCRIPT = [  # of each turn: what is thought, and what follows
    ("<think>\nI need both temperatures. Oslo first.\n</think>", CALL % "Oslo"),
    (
        "<think>\nOslo is cold. Now Rome. " + "Or should I look at something else first? " * 9 + "</think>",
        CALL % "Rome",
    ),
    ("<think>\n4 is less than 17.</think>, yes, it is Rome.\n</think>", "\n\nIt is warmer in Rome.<|im_end|>"),
]


class Scripted(PreTrainedModel, GenerationMixin):
    """Writes `SCRIPT`: the first text until thinking is closed, by itself or by force, and then the second."""

    config_class = PretrainedConfig
    main_input_name = "input_ids"

    def __init__(self, config: PretrainedConfig, tokenizer: Any) -> None:
        super().__init__(config)
        self.nothing = torch.nn.Parameter(torch.zeros(1))
        self.generation_config = GenerationConfig(use_cache=False)
        self.header = tokenizer.encode("<|im_start|>assistant\n")
        self.result, self.close = tokenizer.convert_tokens_to_ids(["<tool_response>", "</think>"])
        self.script = [tuple(map(tokenizer.encode, texts)) for texts in SCRIPT]
        self.prefix = tokenizer.encode("\nFinal Answer:")

    def forward(self, input_ids: torch.Tensor, **_: Any) -> CausalLMOutput:
        (ids,) = input_ids.tolist()
        begin = max(i for i in range(len(ids) + 1) if ids[:i][-len(self.header) :] == self.header)
        own, wanted = ids[begin:], self.script[ids.count(self.result)][0]
        if self.close in own:
            own, wanted = own[own.index(self.close) + 1 :], self.script[ids.count(self.result)][1]
            own = own[len(self.prefix) * (own[: len(self.prefix)] == self.prefix) :]
        logits = torch.zeros(1, 1, self.config.vocab_size)
        logits[0, 0, wanted[min(len(own), len(wanted) - 1)]] = 50.0
        return CausalLMOutput(logits=logits)

    def prepare_inputs_for_generation(self, input_ids: torch.Tensor, attention_mask: Any = None, **_: Any) -> dict:
        return {"input_ids": input_ids}


def scripted() -> tuple[Scripted, Any]:
    """The model, and the embedded model's tokenizer with the tokens and the template of a model that calls tools."""
    tokenizer: Any = AutoTokenizer.from_pretrained(embedded.MODEL_PATH, thinking_format="think")
    tokenizer.add_tokens(["<think>", "</think>", "<tool_call>", "</tool_call>", "<tool_response>", "</tool_response>"])
    tokenizer.chat_template = TEMPLATE
    config = PretrainedConfig(vocab_size=len(tokenizer), num_hidden_layers=1, max_position_embeddings=8192)
    return Scripted(config, tokenizer).eval(), tokenizer
