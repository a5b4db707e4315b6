"""The real chat templates that lie beside the repository, on tokenizers with their models' own tokens."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from family_rows import ANSWER, ROWS, THINK, Mode, Row, modes

from shared_data import SHARED, trl_template

FAMILIES = "chat_templates/families"
UNPATCHED = "chat_templates/unpatched"
BY_NAME = {row.name: row for row in ROWS}

HYBRID, OPENS = BY_NAME["qwen3"].modes, BY_NAME["qwen3_5"].modes
CLOSED_BY_DEFAULT = modes("closed", think=(THINK, "thinking"), answer=(ANSWER, "closed"))
AFTER_A_TOOL = "before"  # R1's templates write no thoughts of a call, and nothing behind its result


def _r1(default: str, told: str = AFTER_A_TOOL) -> tuple[Mode, ...]:
    return (("default", {}, default, told),)


REAL: list[tuple[str, str, tuple[Mode, ...] | None]] = [  # a template's path, the row that it is of, and its modes
    (f"{FAMILIES}/Qwen-Qwen3-0.6B", "qwen3", None),
    (f"{FAMILIES}/Qwen3.5-4B", "qwen3_5", None),
    (f"{FAMILIES}/Qwen-QwQ-32B", "qwen3_5", CLOSED_BY_DEFAULT),
    (f"{UNPATCHED}/Qwen-QwQ-32B", "qwen3_5", modes("thinking")),
    (f"{FAMILIES}/HuggingFaceTB-SmolLM3-3B", "qwen3", None),
    (f"{FAMILIES}/LFM2.5-8B-A1B", "qwen3", modes("before")),
    (f"{FAMILIES}/LFM2.5-Instruct", "qwen3", modes("before")),
    (f"{FAMILIES}/NVIDIA-Nemotron-3-Nano-30B-A3B-BF16", "qwen3_5", None),
    (f"{FAMILIES}/NVIDIA-Nemotron-Nano-v2", "nemotron_v2", modes("thinking")),
    (f"{FAMILIES}/deepseek-ai-DeepSeek-R1-Distill-Llama-8B", "r1", _r1("thinking")),
    (f"{FAMILIES}/deepseek-ai-DeepSeek-R1-Distill-Qwen-32B", "r1", _r1("closed")),
    (f"{FAMILIES}/llama-cpp-deepseek-r1", "r1", modes("thinking")),
    (f"{UNPATCHED}/deepseek-ai-DeepSeek-R1-Distill-Llama-8B", "r1", _r1("thinking")),
    (f"{UNPATCHED}/deepseek-ai-DeepSeek-R1-Distill-Qwen-32B", "r1", _r1("thinking")),
    (f"{UNPATCHED}/llama-cpp-deepseek-r1", "r1", modes("thinking")),
    (f"{FAMILIES}/deepseek-ai-DeepSeek-V3.1", "deepseek_v3_1", None),
    (f"{FAMILIES}/deepseek-ai-DeepSeek-V3.2", "deepseek_v3_2", None),
    (f"{FAMILIES}/deepseek-ai-DeepSeek-V4", "deepseek_v4", None),
    (f"{FAMILIES}/deepseek-ai-DeepSeek-V4-Flash-0731", "deepseek_v4", None),
    (f"{FAMILIES}/GLM-4.6", "glm4_6", None),
    (f"{FAMILIES}/GLM-4.7-Flash", "glm4_7", None),
    (f"{FAMILIES}/GLM-5.2", "glm5", None),
    (f"{FAMILIES}/MiniMax-M2", "minimax_m2", None),
    (f"{FAMILIES}/MiniMax-M3", "minimax_m3", None),
    (f"{FAMILIES}/Kimi-K2-Thinking", "kimi_k2", None),
    (f"{FAMILIES}/google-gemma-4-31B-it", "gemma4", None),
    (
        f"{FAMILIES}/google-gemma-4-31B-it-interleaved",
        "gemma4",
        modes("closed", think=(THINK, "before"), answer=(ANSWER, "closed")),
    ),
    (f"{FAMILIES}/Cohere2MoE", "command_text", None),
    (
        f"{FAMILIES}/CohereForAI-c4ai-command-r7b-12-2024-tool_use",
        "command",
        modes("closed", think=(THINK, "before"), answer=(ANSWER, "closed")),
    ),
    (f"{FAMILIES}/mistralai-Ministral-3-14B-Reasoning-2512", "ministral", (("default", {}, "before", "before"),)),
    (f"{FAMILIES}/Apertus-8B-Instruct", "apertus", None),
    (f"{FAMILIES}/ByteDance-Seed-OSS", "seed_oss", None),
    (f"{FAMILIES}/ibm-granite-granite-3.3-2B-Instruct", "granite", None),
    (f"{FAMILIES}/openai-gpt-oss-120b", "gpt_oss", None),
    (f"{FAMILIES}/llama-cpp-rwkv-world", "rwkv", None),
]
IN_TRL: list[tuple[str, str, tuple[Mode, ...] | None]] = [
    ("qwen3", "qwen3", None),
    ("qwen3_instruct_2507", "qwen3", modes("before")),
    ("qwen3_5_think", "qwen3_5", None),
    ("qwen3_5_nothink", "qwen3_5", CLOSED_BY_DEFAULT),
    ("qwen3_6", "qwen3_5", None),
    ("qwen3_8", "qwen3_5", None),
    ("qwen3_vl", "qwen3", modes("before")),
    ("lfm2_2_5", "qwen3", modes("before")),
    ("lfm2_2_5_v2", "qwen3", modes("before")),
    ("nemotron_3_nano", "qwen3_5", None),
    ("nemotron_3_super", "qwen3_5", None),
    ("nemotron_3_ultra", "qwen3_5", None),
    ("nemotron_3_5_lightning", "qwen3_5", None),
    ("glm4moe", "glm4_6", None),
    ("gptoss", "gpt_oss", None),
    ("gemma4", "gemma4", (("default", {}, "before", "closed"), ("think", THINK, "before", "closed"))),
    ("gemma4_v5", "gemma4_later", None),
    ("deepseek_r1_distill", "r1", _r1("thinking")),
]


def real_row(path: str, name: str, told: tuple[Mode, ...] | None) -> Row:
    """A row with a real template in place of its short one."""
    where = SHARED / f"{path}.jinja" if "/" in path else trl_template(path)
    row = BY_NAME[name]
    template = Path(where).read_text(encoding="utf-8")
    return replace(row, name=path, template=template, modes=told or row.modes)


LEFT_OUT = {  # chats that a template refuses, or takes for something else
    "HuggingFaceTB-SmolLM3-3B": ("tags in the system prompt",),  # `/think` in it turns thinking on
    "Kimi-K2-Thinking": (
        "a tool in an earlier turn",
        "after a tool",
    ),  # it appends to a list, which the sandbox forbids
    "openai-gpt-oss-120b": ("thoughts inside an earlier turn", "thoughts begun in an earlier turn"),
    "gptoss": ("thoughts inside an earlier turn", "thoughts begun in an earlier turn"),
}

QWEN2_5 = ("<|im_start|>", "<|im_end|>", "<|endoftext|>", "<tool_call>", "</tool_call>")
LLAMA = ("<|begin_of_text|>", "<|start_header_id|>", "<|end_header_id|>", "<|eot_id|>", "<|eom_id|>", "<|python_tag|>")
MISTRAL = ("<s>", "</s>", "[INST]", "[/INST]", "[TOOL_CALLS]", "[TOOL_RESULTS]", "[/TOOL_RESULTS]")
COHERE = ("<|START_OF_TURN_TOKEN|>", "<|END_OF_TURN_TOKEN|>", "<|CHATBOT_TOKEN|>", "<|USER_TOKEN|>", "<|SYSTEM_TOKEN|>")
KIMI = ("<|im_user|>", "<|im_assistant|>", "<|im_system|>", "<|im_middle|>", "<|im_end|>")
NO_THINKING = {  # templates of models that do not think, and tokens that they have
    "CohereForAI-c4ai-command-r-plus-tool_use": COHERE,
    "Kimi-K2-Instruct": KIMI,
    "LFM2-8B-A1B": QWEN2_5,
    "Mistral-Small-3.2-24B-Instruct-2506": MISTRAL,
    "NousResearch-Hermes-2-Pro-Llama-3-8B-tool_use": QWEN2_5,
    "NousResearch-Hermes-3-Llama-3.1-8B-tool_use": QWEN2_5,
    "Qwen-Qwen2.5-7B-Instruct": QWEN2_5,
    "Qwen3-Coder": QWEN2_5,
    "fireworks-ai-llama-3-firefunction-v2": LLAMA,
    "google-gemma-2-2b-it": ("<bos>", "<eos>", "<start_of_turn>", "<end_of_turn>"),
    "ibm-granite-granite-4.0": ("<|start_of_role|>", "<|end_of_role|>", "<|end_of_text|>", "<|tool_call|>"),
    "ibm-granite-granite-4.1": ("<|start_of_role|>", "<|end_of_role|>", "<|end_of_text|>", "<|tool_call|>"),
    "meetkai-functionary-medium-v3.1": LLAMA,
    "meetkai-functionary-medium-v3.2": LLAMA,
    "meta-llama-Llama-3.1-8B-Instruct": LLAMA,
    "meta-llama-Llama-3.2-3B-Instruct": LLAMA,
    "meta-llama-Llama-3.3-70B-Instruct": LLAMA,
    "microsoft-Phi-3.5-mini-instruct": ("<|system|>", "<|user|>", "<|assistant|>", "<|end|>", "<|endoftext|>"),
    "mistralai-Mistral-Nemo-Instruct-2407": MISTRAL,
    "moonshotai-Kimi-K2": KIMI,
    "unsloth-mistral-Devstral-Small-2507": MISTRAL,
}
