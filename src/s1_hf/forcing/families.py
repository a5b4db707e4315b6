"""Families of reasoning models: one row each. Adding a family is adding a row (and one to `conformance/toys.py`)."""

from __future__ import annotations

from dataclasses import dataclass

_TIGHT = "{start}{trace}{close}{answer_start}{answer}"


@dataclass(frozen=True, kw_only=True)
class Family:
    """How a family of models writes its thinking.

    Args:
        start, close (`str`): what opens and closes thinking.
        answer_start (`str`): what stands between `close` and the answer's text; forced on a cut.
        handovers (`tuple[str, ...]`): ends of sequence at which the model waits for a tool, each one token.
        tokens (`tuple[str, ...]`): what is a single token in the family's vocabularies; empty for plain delimiters.
        force_start (`bool`): see [`ThinkingFormat`]; such a family is never guessed.
        interleaved (`bool`): see [`ThinkingFormat`].
        layout (`str`): how a whole reply is written, with `{start}`, `{trace}`, `{close}`, `{answer_start}` and
            `{answer}`; without what the chat template itself writes behind it.
        models (`str`): who writes like this.
        source (`str`): where that was read.
    """

    start: str
    close: str
    answer_start: str = ""
    handovers: tuple[str, ...] = ()
    tokens: tuple[str, ...] = ()
    force_start: bool = False
    interleaved: bool = False
    layout: str = "{start}\n{trace}\n{close}\n\n{answer}"
    models: str
    source: str

    @property
    def closing(self) -> str:
        """What closes thinking and opens the answer."""
        return self.close + self.answer_start

    @property
    def texts(self) -> tuple[str, ...]:
        """Every delimiter that it has."""
        return tuple(text for text in (self.start, self.close, self.answer_start) if text)

    def written(self, trace: str, answer: str) -> str:
        """A whole reply."""
        delimiters = {"start": self.start, "close": self.close, "answer_start": self.answer_start}
        return self.layout.format(**delimiters, trace=trace, answer=answer)


FAMILIES: dict[str, Family] = {
    "s1": Family(
        start="<|im_start|>think",
        close="<|im_start|>answer",
        tokens=("<|im_start|>",),
        force_start=True,
        layout="{start}\n{trace}\n{close}\n{answer}",
        models="s1, s1.1",
        source="simplescaling/s1, evaluation harness",
    ),
    "think": Family(
        start="<think>",
        close="</think>",
        handovers=("<|observation|>", "<|eom_id|>"),
        tokens=("<think>", "</think>"),
        models="DeepSeek R1, V3.1, V3.2, V4 and distillates, ERNIE-4.5, EXAONE-4, Falcon-H1R, GLM-4.5 to 5, Kimi-K2, "
        "LFM2.5, MiniMax-M2, Nemotron, OLMo-3, Phi-4-reasoning, QwQ, Qwen3 to 3.8, Ring, SmolLM3",
        source="the models' chat templates",
    ),
    "harmony": Family(
        start="<|channel|>analysis<|message|>",
        close="<|end|>",
        answer_start="<|start|>assistant<|channel|>final<|message|>",
        handovers=("<|call|>",),
        tokens=("<|start|>", "<|channel|>", "<|message|>", "<|end|>"),
        interleaved=True,
        layout=_TIGHT,
        models="gpt-oss",
        source="openai/harmony, docs/format.md",
    ),
    "magistral": Family(
        start="[THINK]",
        close="[/THINK]",
        tokens=("[THINK]", "[/THINK]"),
        layout=_TIGHT,
        models="Magistral, Ministral-3-Reasoning",
        source="the models' chat templates",
    ),
    "seed": Family(
        start="<seed:think>",
        close="</seed:think>",
        tokens=("<seed:think>", "</seed:think>"),
        layout="{start}{trace}{close}\n{answer}",
        models="Seed-OSS",
        source="the model's chat template",
    ),
    "gemma4": Family(
        start="<|channel>thought\n",
        close="<channel|>",
        handovers=("<|tool_response>",),
        tokens=("<|channel>", "<channel|>"),
        layout="{start}{trace}\n{close}{answer}",
        models="Gemma-4",
        source="the model's chat template and generation config",
    ),
    "minimax": Family(
        start="<mm:think>",
        close="</mm:think>",
        tokens=("<mm:think>", "</mm:think>"),
        layout=_TIGHT,
        models="MiniMax-M3",
        source="the model's chat template",
    ),
    "longcat": Family(
        start="<longcat_think>",
        close="</longcat_think>",
        tokens=("<longcat_think>", "</longcat_think>"),
        models="LongCat-Flash-Thinking",
        source="the model's card",
    ),
    "command": Family(
        start="<|START_THINKING|>",
        close="<|END_THINKING|>",
        answer_start="<|START_RESPONSE|>",
        tokens=("<|START_THINKING|>", "<|END_THINKING|>", "<|START_RESPONSE|>"),
        layout=_TIGHT,
        models="Command-A-Reasoning, Command-R7B",
        source="the models' chat templates",
    ),
    "command_text": Family(
        start="<|START_THINKING|>",
        close="<|END_THINKING|>",
        answer_start="<|START_TEXT|>",
        tokens=("<|START_THINKING|>", "<|END_THINKING|>", "<|START_TEXT|>"),
        layout=_TIGHT,
        models="Cohere2-MoE",
        source="the model's chat template",
    ),
    "apertus": Family(
        start="<|inner_prefix|>",
        close="<|inner_suffix|>",
        handovers=("<|tools_suffix|>",),
        tokens=("<|inner_prefix|>", "<|inner_suffix|>"),
        layout=_TIGHT,
        models="Apertus",
        source="the model's chat template",
    ),
    "kimi_k3": Family(
        start="<|open|>think<|sep|>",
        close="<|close|>think<|sep|>",
        answer_start="<|open|>response<|sep|>",
        tokens=("<|open|>", "<|close|>", "<|sep|>"),
        layout=_TIGHT,
        models="Kimi-K3",
        source="the model's card",
    ),
    "kimi_vl": Family(
        start="◁think▷",
        close="◁/think▷",
        layout=_TIGHT,
        models="Kimi-VL-Thinking (refused where its tokenizer splits the delimiters inside characters)",
        source="the model's card",
    ),
    "thought": Family(
        start="<thought>",
        close="</thought>",
        models="EXAONE-Deep",
        source="the model's card",
    ),
    "openthinker": Family(
        start="<|begin_of_thought|>",
        close="<|end_of_thought|>",
        answer_start="<|begin_of_solution|>",
        layout="{start}\n\n{trace}\n\n{close}\n\n{answer_start}\n\n{answer}\n\n<|end_of_solution|>",
        models="OpenThinker",
        source="the model's card",
    ),
    "granite": Family(
        start="<think>",
        close="</think>",
        answer_start="<response>",
        layout="{start}{trace}{close}{answer_start}{answer}</response>",
        models="Granite-3.3",
        source="the model's chat template",
    ),
    "hunyuan": Family(
        start="<think>",
        close="</think>",
        answer_start="<answer>",
        layout="{start}\n{trace}\n{close}\n{answer_start}\n{answer}\n</answer>",
        models="Hunyuan-A13B",
        source="the model's chat template",
    ),
}
"""Every family that is known, by the name of its format."""

TOOL_RESULTS = (
    ("<tool_response>", "</tool_response>"),
    ("<tool_result>", "</tool_result>"),
    ("<function_results>", "</function_results>"),
    ("<|tool_response>", "<tool_response|>"),
    ("<|START_TOOL_RESULT|>", "<|END_TOOL_RESULT|>"),
    ("[TOOL_RESULTS]", "[/TOOL_RESULTS]"),
    ("<｜tool▁output▁begin｜>", "<｜tool▁output▁end｜>"),
)
"""What stands around a tool's result inside an assistant's turn; tags in between are not the model's."""

CALL_ENDS = (
    "</tool_call>",
    "</seed:tool_call>",
    "</minimax:tool_call>",
    "</longcat_tool_call>",
    "<tool_call|>",
    "<|tool_call_end|>",
    "<|tool_calls_section_end|>",
    "<｜tool▁call▁end｜>",
    "<｜tool▁calls▁end｜>",
)
"""What ends a tool call, where it is one token. An end of sequence right behind it, inside thinking, hands over."""

SWITCHES: dict[str, tuple[object, ...]] = {
    "enable_thinking": (True, False),
    "thinking": (True, False),
    "reasoning": (True, False),
    "thinking_mode": ("enabled", "disabled", "thinking", "chat"),
    "reasoning_effort": ("low", "high", "none"),
    "thinking_budget": (512, 0),
}
"""Variables of chat templates that turn thinking on and off, with the values to try."""

SIGN = "thinking_format"
"""The key of `tokenizer_config.json` that names a folder's format: what s1-hf saves with the models that it trains."""
