"""How each family of models writes its prompts: one row each. Adding a family to the package is adding a row here."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import Any

from tokenizers import pre_tokenizers
from transformers import PreTrainedTokenizerFast

from cases import delimiters_of
from s1_hf import ThinkingFormat
from s1_hf.forcing.families import FAMILIES, SIGN, Family
from s1_hf.forcing.vocabulary import encode
from toys import WORDS, byte_tokenizer

Mode = tuple[str, dict[str, object], str, str]
"""A name, the template's arguments, where a prompt then stands, and where it does after a tool's result in its turn."""


@dataclass(frozen=True, kw_only=True)
class Row:
    """A family, or a habit of some of its models.

    Args:
        format (`str`): the name that has to be detected.
        special, added (`tuple[str, ...]`): what is one token in its vocabularies, marked special or not.
        eos (`tuple[str, ...]`): where its models stop, the tokenizer's own first, handovers included.
        handovers (`tuple[str, ...]`): those of them after which a tool answers.
        template (`str`): a chat template in the shape of the real one.
        turn, user (`str`): what opens the assistant's and the user's turn.
        modes (`tuple[Mode, ...]`): what the template can be told, the default first.
        tools (`bool`): whether the template renders calls and results of tools.
        invented (`Family`, *optional*): one that the package does not know, in place of `format`.
    """

    name: str
    format: str
    special: tuple[str, ...]
    added: tuple[str, ...] = ()
    words: tuple[str, ...] = ()
    eos: tuple[str, ...]
    handovers: tuple[str, ...] = ()
    template: str
    turn: str
    user: str
    modes: tuple[Mode, ...]
    tools: bool = True
    invented: Family | None = None

    def __hash__(self) -> int:
        return hash(self.name)

    def tokenizer(self, template: str | None = None) -> PreTrainedTokenizerFast:
        options: dict[str, Any] = {SIGN: "s1"} if self.format == "s1" else {}
        bos = [token for token in self.special if token in BOS]
        if bos:
            options["bos_token"] = bos[0]
        return byte_tokenizer(
            self.special,
            added=self.added,
            words=[*self.words, *WORDS],
            eos=self.eos[0],
            template=template or self.template,
            **options,
        )

    def setting(self) -> Any:
        """Tokenizer, format and the oracle's delimiters."""
        return _setting(self)

    def _resolved(self) -> Any:
        tokenizer = self.tokenizer()
        if self.invented is None:
            fmt = ThinkingFormat.from_tokenizer(tokenizer)
        else:
            fmt = ThinkingFormat.from_delimiters(tokenizer, start=self.family.start, close=self.family.close)
        ids = tokenizer.convert_tokens_to_ids
        d = delimiters_of(
            tokenizer,
            self.family,
            turn=encode(tokenizer, self.turn),
            eos=[ids(token) for token in self.eos],
            handovers=[ids(token) for token in self.handovers],
            plain=self.plain,
            interleaved=self.family.interleaved,
        )
        return tokenizer, fmt, d

    @property
    def family(self) -> Family:
        return self.invented or FAMILIES[self.format]

    @property
    def plain(self) -> bool:
        """Whether the closing delimiter begins with no token of its own."""
        first = self.family.close
        return not any(first.startswith(token) for token in (*self.special, *self.added))


@cache
def _setting(row: Row) -> Any:
    return row._resolved()


BOS = {"<s>", "<bos>", "<｜begin▁of▁sentence｜>", "<seed:bos>", "<BOS_TOKEN>"}


def chat_template(
    *,
    user: str,
    assistant: str,
    prompt: str,
    system: str = "",
    tool: str = "",
    before: str = "",
) -> str:
    """A template that writes each message by its role, and what lets the assistant begin.

    What is written around an assistant's thoughts is `reasons(...)`, a call of a tool `calls(...)`.
    """
    roles = []
    for role, text in (("user", user), ("assistant", assistant), ("tool", tool), ("system", system or user)):
        roles.append(f"{{% {'elif' if roles else 'if'} m.role == '{role}' %}}{text}")
    body = "{% for m in messages %}" + "".join(roles) + "{% endif %}{% endfor %}"
    return before + body + "{% if add_generation_prompt %}" + prompt + "{% endif %}"


X = "{{ m.content }}"
BEGIN = "{{ bos_token }}"


def reasons(text: str) -> str:
    """What is written of an assistant's thoughts if it has any; `R` stands for them."""
    return "{% if m.reasoning_content %}" + text.replace("R", "{{ m.reasoning_content }}") + "{% endif %}"


def calls(text: str) -> str:
    """What is written if the assistant calls a tool."""
    return "{% if m.tool_calls %}" + text + "{% endif %}"


def when(condition: str, text: str, otherwise: str = "") -> str:
    return "{% if " + condition + " %}" + text + "{% else %}" + otherwise + "{% endif %}"


# What is in question after a tool's result: whether the template opens a new turn, as most do.
ASKED_AFTER_A_TOOL = "messages[-1].role == 'tool'"


def chatml(prompt: str, thoughts: str = "<think>\nR\n</think>\n\n") -> str:
    """Qwen's: results of tools stand in a user's turn."""
    result = f"<|im_start|>user\n<tool_response>\n{X}\n</tool_response><|im_end|>\n"
    return chat_template(
        system=f"<|im_start|>system\n{X}<|im_end|>\n",
        user=f"<|im_start|>user\n{X}<|im_end|>\n",
        assistant=f"<|im_start|>assistant\n{reasons(thoughts)}{X}"
        + calls('\n<tool_call>\n{"name": "look"}\n</tool_call>')
        + "<|im_end|>\n",
        tool=result,
        prompt="<|im_start|>assistant\n" + prompt,
    )


def modes(default: str, **others: tuple[dict[str, object], str]) -> tuple[Mode, ...]:
    """Modes in which a tool's result changes nothing: the template opens the turn anew."""
    told = [(name, options, state, state) for name, (options, state) in others.items()]
    return (("default", {}, default, default), *told)


THINK = {"enable_thinking": True}
ANSWER = {"enable_thinking": False}
CHATML = {"special": ("<|im_start|>", "<|im_end|>", "<|endoftext|>"), "eos": ("<|im_end|>", "<|endoftext|>")}
CHATML |= {"turn": "<|im_start|>assistant", "user": "<|im_start|>user"}
THINK_TAGS = ("<think>", "</think>")
TOOL_TAGS = ("<tool_call>", "</tool_call>", "<tool_response>", "</tool_response>")
DEEPSEEK = {
    "format": "think",
    "special": ("<｜begin▁of▁sentence｜>", "<｜end▁of▁sentence｜>", "<｜User｜>", "<｜Assistant｜>"),
    "added": (
        *THINK_TAGS,
        "<｜tool▁calls▁begin｜>",
        "<｜tool▁calls▁end｜>",
        "<｜tool▁output▁begin｜>",
        "<｜tool▁output▁end｜>",
        "｜DSML｜",
    ),
    "eos": ("<｜end▁of▁sentence｜>",),
    "turn": "<｜Assistant｜>",
    "user": "<｜User｜>",
}
GLM = {
    "format": "think",
    "special": ("[gMASK]", "<sop>", "<|system|>", "<|user|>", "<|assistant|>", "<|observation|>", "<|endoftext|>"),
    "added": (*THINK_TAGS, *TOOL_TAGS),
    "eos": ("<|endoftext|>", "<|user|>", "<|observation|>"),
    "handovers": ("<|observation|>",),
    "turn": "<|assistant|>",
    "user": "<|user|>",
}
MISTRAL = {
    "special": (
        "<s>",
        "</s>",
        "[INST]",
        "[/INST]",
        "[THINK]",
        "[/THINK]",
        "[TOOL_CALLS]",
        "[TOOL_RESULTS]",
        "[/TOOL_RESULTS]",
        "[SYSTEM_PROMPT]",
        "[/SYSTEM_PROMPT]",
    ),
    "eos": ("</s>",),
    "turn": "[/INST]",
    "user": "[INST]",
}
GEMMA = {
    "format": "gemma4",
    "special": (
        "<bos>",
        "<eos>",
        "<|turn>",
        "<turn|>",
        "<|channel>",
        "<channel|>",
        "<|think|>",
        "<|tool_call>",
        "<tool_call|>",
        "<|tool_response>",
        "<tool_response|>",
    ),
    "eos": ("<turn|>", "<eos>", "<|tool_response>"),
    "handovers": ("<|tool_response>",),
    "turn": "<|turn>model",
    "user": "<|turn>user",
}
MINIMAX = {"special": ("]~!b[", "]~b]", "[e~["), "eos": ("[e~[",), "turn": "]~b]ai", "user": "]~b]user"}
COHERE = {
    "special": (
        "<BOS_TOKEN>",
        "<|START_OF_TURN_TOKEN|>",
        "<|END_OF_TURN_TOKEN|>",
        "<|CHATBOT_TOKEN|>",
        "<|USER_TOKEN|>",
        "<|SYSTEM_TOKEN|>",
        "<|START_THINKING|>",
        "<|END_THINKING|>",
        "<|START_ACTION|>",
        "<|END_ACTION|>",
        "<|START_TOOL_RESULT|>",
        "<|END_TOOL_RESULT|>",
    ),
    "eos": ("<|END_OF_TURN_TOKEN|>",),
    "turn": "<|START_OF_TURN_TOKEN|><|CHATBOT_TOKEN|>",
}


def glm(prompt: str, closed: str, newline: str = "") -> str:
    """GLM's: `<|observation|>` opens the turn of a tool, and is where the model stops for it."""
    return chat_template(
        before="[gMASK]<sop>",
        system=f"<|system|>{newline}{X}",
        user=f"<|user|>{newline}{X}",
        assistant=f"<|assistant|>{newline}"
        + when("m.reasoning_content", "<think>{{ m.reasoning_content }}</think>", closed)
        + f"{newline}{X}"
        + calls("<tool_call>look</tool_call>"),
        tool=f"<|observation|><tool_response>{X}</tool_response>",
        prompt="<|assistant|>" + prompt,
    )


def gemma(prompt: str, after_tool: str = "") -> str:
    """Gemma-4's: a call and the results of tools stay in the assistant's turn."""
    return chat_template(
        before=BEGIN + when("enable_thinking", "<|turn>system\n<|think|>\n<turn|>\n"),
        system=f"<|turn>system\n{X}<turn|>\n",
        user=f"<|turn>user\n{X}<turn|>\n",
        assistant=f"<|turn>model\n{reasons('<|channel>thought' + chr(10) + 'R' + chr(10) + '<channel|>')}"
        + when("m.tool_calls", "<|tool_call>call:look{}<tool_call|>", f"{X}<turn|>\n"),
        tool='<|tool_response>response:look{value:<|"|>' + X + '<|"|>}<tool_response|>',
        prompt=when(ASKED_AFTER_A_TOOL, after_tool, "<|turn>model\n" + prompt),
    )


def minimax(start: str, close: str, prompt: str) -> str:
    """MiniMax's: a tool has a turn of its own."""
    return chat_template(
        before="]~!b[",
        system=f"]~b]system\n{X}[e~[\n",
        user=f"]~b]user\n{X}[e~[\n",
        assistant=f"]~b]ai\n{reasons(start + 'R' + close)}{X}"
        + calls('\n<minimax:tool_call>\n<invoke name="look"></invoke>\n</minimax:tool_call>')
        + "[e~[\n",
        tool=f"]~b]tool\n<response>{X}</response>[e~[\n",
        prompt="]~b]ai\n" + prompt,
    )


def cohere(prompt: str, text: str) -> str:
    """Cohere's: results of tools stand in a system's turn; `text` is RESPONSE or TEXT."""
    turn, end = "<|START_OF_TURN_TOKEN|>", "<|END_OF_TURN_TOKEN|>"
    return chat_template(
        before=BEGIN,
        system=f"{turn}<|SYSTEM_TOKEN|>{X}{end}",
        user=f"{turn}<|USER_TOKEN|>{X}{end}",
        assistant=f"{turn}<|CHATBOT_TOKEN|>{reasons('<|START_THINKING|>R<|END_THINKING|>')}"
        + when("m.tool_calls", "<|START_ACTION|>[look]<|END_ACTION|>", f"<|START_{text}|>{X}<|END_{text}|>")
        + end,
        tool=f"{turn}<|SYSTEM_TOKEN|><|START_TOOL_RESULT|>[{X}]<|END_TOOL_RESULT|>{end}",
        prompt=f"{turn}<|CHATBOT_TOKEN|>" + prompt,
    )


def deepseek(prompt: str, closed: str, tool: str, call: str, after_tool: str | None = None) -> str:
    """DeepSeek's: an earlier turn without thoughts begins with `closed`; `after_tool` if no new turn is opened then."""
    asked = "<｜Assistant｜>" + prompt
    return chat_template(
        before=BEGIN,
        system=X,
        user=f"<｜User｜>{X}",
        assistant="<｜Assistant｜>"
        + when("m.reasoning_content", "<think>{{ m.reasoning_content }}</think>", closed)
        + f"{X}{calls(call)}<｜end▁of▁sentence｜>",
        tool=tool,
        prompt=asked if after_tool is None else when(ASKED_AFTER_A_TOOL, after_tool, asked),
    )


def plain_turns(
    system: str, user: str, assistant: str, end: str, prompt: str, thoughts: str = "", tool: str = ""
) -> str:
    """Turns that are a header, a text and an end."""
    return chat_template(
        system=f"{system}{X}{end}",
        user=f"{user}{X}{end}",
        assistant=f"{assistant}{reasons(thoughts)}{X}{calls('[look]')}{end}",
        tool=f"{tool or user}{X}{end}",
        prompt=assistant + prompt,
    )


def spelled(text: str) -> str:
    """A word as the vocabulary of a byte-level tokenizer writes it."""
    return "".join(piece for piece, _ in pre_tokenizers.ByteLevel(add_prefix_space=False).pre_tokenize_str(text))


KEPT = when("enable_thinking | default(true)", "", "<think>\n\n</think>\n\n")
OPENED = when("enable_thinking | default(true)", "<think>\n", "<think>\n\n</think>\n\n")
DSML_CALL = "\n\n<｜DSML｜tool_calls>look</｜DSML｜tool_calls>"
ASKS_THINKING = when("thinking", "<think>", "<think></think>")


HYBRID = modes("before", think=(THINK, "before"), answer=(ANSWER, "closed"))
OPENS = modes("thinking", think=(THINK, "thinking"), answer=(ANSWER, "closed"))
ASKED_FOR = modes("closed", think=({"thinking": True}, "thinking"), answer=({"thinking": False}, "closed"))
PLAIN_END = {"special": ("<|endoftext|>",), "eos": ("<|endoftext|>",)}

ROWS = [
    # s1: its harness, which forces both delimiters; trained models are known by a sign of their folder
    Row(name="s1", format="s1", template=chatml("", ""), modes=modes("before"), **CHATML),
    # Qwen/Qwen3-8B, SmolLM3, LFM2.5: may think; thoughts of earlier turns are mostly dropped
    Row(
        name="qwen3",
        format="think",
        added=(*THINK_TAGS, *TOOL_TAGS),
        template=chatml(KEPT),
        modes=HYBRID,
        **CHATML,
    ),
    # Qwen/QwQ-32B, Qwen3.5, Nemotron-3: the prompt has opened thinking
    Row(
        name="qwen3_5",
        format="think",
        added=(*THINK_TAGS, *TOOL_TAGS),
        template=chatml(OPENED),
        modes=OPENS,
        **CHATML,
    ),
    # deepseek-ai/DeepSeek-R1 and distillates: a tool's result is followed by nothing
    Row(
        name="r1",
        template=deepseek(
            "<think>\n",
            "",
            f"<｜tool▁output▁begin｜>{X}<｜tool▁output▁end｜>",
            "<｜tool▁calls▁begin｜>look<｜tool▁calls▁end｜>",
            "",
        ),
        modes=(("default", {}, "thinking", "closed"),),
        **DEEPSEEK,
    ),
    # deepseek-ai/DeepSeek-V3.1: likewise, and the default is not to think
    Row(
        name="deepseek_v3_1",
        template=deepseek(
            ASKS_THINKING,
            "<think></think>",
            f"<｜tool▁output▁begin｜>{X}<｜tool▁output▁end｜>",
            "<｜tool▁calls▁begin｜>look<｜tool▁calls▁end｜>",
            "",
        ),
        modes=(("default", {}, "closed", "closed"), ("think", {"thinking": True}, "thinking", "closed")),
        **DEEPSEEK,
    ),
    # deepseek-ai/DeepSeek-V3.2: after a tool's result thinking is opened again in the same turn
    Row(
        name="deepseek_v3_2",
        template=deepseek(
            ASKS_THINKING,
            "</think>",
            f"\n\n<function_results>\n<result>{X}</result>\n</function_results>",
            DSML_CALL,
            "\n\n" + ASKS_THINKING,
        ),
        modes=ASKED_FOR,
        **DEEPSEEK,
    ),
    # deepseek-ai/DeepSeek-V4: results stand in the user's turn, and a closing tag alone asks for no thinking
    Row(
        name="deepseek_v4",
        template=deepseek(
            when("thinking", "<think>", "</think>"),
            "</think>",
            f"<｜User｜><tool_result>{X}</tool_result>",
            DSML_CALL,
        ),
        modes=ASKED_FOR,
        **DEEPSEEK,
    ),
    # zai-org/GLM-4.6: its end of sequence is also the header of a user's or a tool's turn
    Row(
        name="glm4_6",
        template=glm(when("enable_thinking | default(true)", "", "\n<think></think>"), "<think></think>", "\n"),
        modes=HYBRID,
        **GLM,
    ),
    # zai-org/GLM-4.7-Flash: a closing tag alone
    Row(
        name="glm4_7",
        template=glm(when("enable_thinking | default(true)", "<think>", "</think>"), "</think>"),
        modes=OPENS,
        **GLM,
    ),
    # zai-org/GLM-5.2
    Row(
        name="glm5",
        template=glm(when("enable_thinking | default(true)", "<think>", "<think></think>"), "<think></think>"),
        modes=OPENS,
        **GLM,
    ),
    # MiniMaxAI/MiniMax-M2
    Row(
        name="minimax_m2",
        format="think",
        added=(*THINK_TAGS, "<minimax:tool_call>", "</minimax:tool_call>"),
        template=minimax("<think>\n", "\n</think>\n\n", "<think>\n"),
        modes=modes("thinking"),
        **MINIMAX,
    ),
    # MiniMaxAI/MiniMax-M3: the default leaves it to the model
    Row(
        name="minimax_m3",
        format="minimax",
        added=("<mm:think>", "</mm:think>"),
        template=minimax(
            "<mm:think>",
            "</mm:think>",
            when("thinking_mode == 'enabled'", "<mm:think>") + when("thinking_mode == 'disabled'", "</mm:think>"),
        ),
        modes=modes(
            "before",
            think=({"thinking_mode": "enabled"}, "thinking"),
            answer=({"thinking_mode": "disabled"}, "closed"),
        ),
        **MINIMAX,
    ),
    # moonshotai/Kimi-K2-Thinking: earlier turns keep an empty block
    Row(
        name="kimi_k2",
        format="think",
        special=("<|im_user|>", "<|im_assistant|>", "<|im_system|>", "<|im_middle|>", "<|im_end|>", "[EOS]"),
        added=THINK_TAGS,
        eos=("<|im_end|>", "[EOS]"),
        template=chat_template(
            system=f"<|im_system|>system<|im_middle|>{X}<|im_end|>",
            user=f"<|im_user|>user<|im_middle|>{X}<|im_end|>",
            assistant="<|im_assistant|>assistant<|im_middle|><think>{{ m.reasoning_content }}</think>"
            + f"{X}{calls('look')}<|im_end|>",
            tool=f"<|im_system|>tool<|im_middle|>## Return of look\n{X}<|im_end|>",
            prompt="<|im_assistant|>assistant<|im_middle|>",
        ),
        turn="<|im_assistant|>assistant<|im_middle|>",
        user="<|im_user|>user<|im_middle|>",
        modes=modes("before"),
    ),
    # nvidia/NVIDIA-Nemotron-Nano-9B-v2: the tags are plain text
    Row(
        name="nemotron_v2",
        format="think",
        special=("<s>", "</s>", "<SPECIAL_10>", "<SPECIAL_11>", "<SPECIAL_12>"),
        eos=("<SPECIAL_12>", "</s>"),
        template=chat_template(
            system=f"<SPECIAL_10>System\n{X}\n",
            user=f"<SPECIAL_11>User\n{X}\n",
            assistant=f"<SPECIAL_11>Assistant\n{X}{calls('<TOOLCALL>[look]</TOOLCALL>')}\n<SPECIAL_12>\n",
            tool=f"<SPECIAL_11>User\n<TOOL_RESPONSE>[{X}]</TOOL_RESPONSE>",
            prompt="<SPECIAL_11>Assistant\n" + when("enable_thinking | default(true)", "<think>\n", "<think></think>"),
        ),
        turn="<SPECIAL_11>Assistant",
        user="<SPECIAL_11>User",
        modes=OPENS,
    ),
    # allenai/Olmo-3-7B-Think: likewise, on ChatML
    Row(name="olmo3", format="think", template=chatml("<think>"), modes=modes("thinking"), **CHATML),
    # RWKV world models: no token but the end of sequence, and no turn of a tool
    Row(
        name="rwkv",
        format="think",
        template=chat_template(
            system=f"System: {X}\n\n",
            user=f"User: {X}\n\n",
            assistant=f"Assistant: {X}\n\n",
            prompt="Assistant:"
            + when("enable_thinking is defined", when("enable_thinking", " <think>", " <think>\n</think>")),
        ),
        turn="Assistant:",
        user="User:",
        modes=modes("before", think=(THINK, "thinking"), answer=(ANSWER, "closed")),
        tools=False,
        **PLAIN_END,
    ),
    # openai/gpt-oss-20b: a turn is one message; a call ends it
    Row(
        name="gpt_oss",
        format="harmony",
        special=("<|start|>", "<|end|>", "<|channel|>", "<|message|>", "<|return|>", "<|call|>", "<|constrain|>"),
        eos=("<|return|>", "<|call|>"),
        handovers=("<|call|>",),
        template=chat_template(
            system=f"<|start|>system<|message|>{X}<|end|>",
            user=f"<|start|>user<|message|>{X}<|end|>",
            assistant=reasons("<|start|>assistant<|channel|>analysis<|message|>R<|end|>")
            + when(
                "m.tool_calls",
                "<|start|>assistant to=functions.look<|channel|>commentary json<|message|>{}<|call|>",
                f"<|start|>assistant<|channel|>final<|message|>{X}<|end|>",
            ),
            tool=f"<|start|>functions.look to=assistant<|channel|>commentary<|message|>{X}<|end|>",
            prompt="<|start|>assistant",
        ),
        turn="<|start|>assistant",
        user="<|start|>user<|message|>",
        modes=modes("before"),
    ),
    # mistralai/Ministral-3-14B-Reasoning: no generation prompt; calls and results stay in the assistant's turn
    Row(
        name="ministral",
        format="magistral",
        template=chat_template(
            before="<s>[SYSTEM_PROMPT]First [THINK]draft[/THINK], then answer.[/SYSTEM_PROMPT]",
            system=f"[SYSTEM_PROMPT]{X}[/SYSTEM_PROMPT]",
            user=f"[INST]{X}[/INST]",
            assistant=f"{reasons('[THINK]R[/THINK]')}{X}{calls('[TOOL_CALLS]look')}</s>",
            tool=f"[TOOL_RESULTS]{X}[/TOOL_RESULTS]",
            prompt="",
        ),
        modes=(("default", {}, "before", "closed"),),
        **MISTRAL,
    ),
    # ByteDance-Seed/Seed-OSS-36B: a budget of nothing closes thinking at once
    Row(
        name="seed_oss",
        format="seed",
        special=("<seed:bos>", "<seed:eos>", "<seed:think>", "</seed:think>"),
        added=("<seed:cot_budget_reflect>", "</seed:cot_budget_reflect>", "<seed:tool_call>", "</seed:tool_call>"),
        eos=("<seed:eos>",),
        template=chat_template(
            system="{{ bos_token }}system\n" + X + "<seed:eos>",
            user="{{ bos_token }}user\n" + X + "<seed:eos>",
            assistant="{{ bos_token }}assistant"
            + reasons("\n<seed:think>R</seed:think>")
            + f"\n{X}{calls('<seed:tool_call>look</seed:tool_call>')}<seed:eos>",
            tool="{{ bos_token }}tool\n" + X + "<seed:eos>",
            prompt="{{ bos_token }}assistant\n"
            + when(
                "thinking_budget == 0",
                "<seed:think>\n<seed:cot_budget_reflect>None.</seed:cot_budget_reflect>\n</seed:think>",
            ),
        ),
        turn="<seed:bos>assistant",
        user="<seed:bos>user",
        modes=modes("before", answer=({"thinking_budget": 0}, "closed")),
    ),
    # google/gemma-4-31B-it: the default is an empty block; after a tool the turn just goes on
    Row(
        name="gemma4",
        template=gemma(when("enable_thinking", "", "<|channel>thought\n<channel|>")),
        modes=(
            ("default", {}, "closed", "closed"),
            ("think", THINK, "before", "closed"),
            ("answer", ANSWER, "closed", "closed"),
        ),
        **GEMMA,
    ),
    # the same, later: thinking is opened again after a tool's result
    Row(
        name="gemma4_later",
        template=gemma("", when("enable_thinking", "<|channel>thought\n")),
        modes=(("default", {}, "before", "closed"), ("think", THINK, "before", "thinking")),
        **GEMMA,
    ),
    # meituan-longcat/LongCat-Flash-Thinking
    Row(
        name="longcat",
        format="longcat",
        special=("<longcat_s>", "</longcat_s>"),
        added=("<longcat_think>", "</longcat_think>"),
        eos=("</longcat_s>",),
        template=plain_turns(
            "SYSTEM:",
            "[Round] USER:",
            " ASSISTANT:",
            "</longcat_s>",
            "<longcat_think>",
            "<longcat_think>R</longcat_think>",
        ),
        turn=" ASSISTANT:",
        user="[Round] USER:",
        modes=modes("thinking"),
    ),
    # CohereLabs/command-a-reasoning and command-r7b: an answer has delimiters of its own
    Row(
        name="command",
        format="command",
        template=cohere(when("enable_thinking | default(true)", "", "<|START_THINKING|><|END_THINKING|>"), "RESPONSE"),
        modes=HYBRID,
        user="<|START_OF_TURN_TOKEN|><|USER_TOKEN|>",
        **COHERE | {"special": (*COHERE["special"], "<|START_RESPONSE|>", "<|END_RESPONSE|>")},
    ),
    # CohereLabs' mixtures of experts
    Row(
        name="command_text",
        format="command_text",
        template=cohere("<|START_THINKING|>" + when("reasoning | default(true)", "", "<|END_THINKING|>"), "TEXT"),
        modes=modes("thinking", answer=({"reasoning": False}, "closed")),
        user="<|START_OF_TURN_TOKEN|><|USER_TOKEN|>",
        **COHERE | {"special": (*COHERE["special"], "<|START_TEXT|>", "<|END_TEXT|>")},
    ),
    # swiss-ai/Apertus-8B-Instruct: results stand in the assistant's turn, which is then opened anew
    Row(
        name="apertus",
        format="apertus",
        special=(
            "<s>",
            "</s>",
            "<|system_start|>",
            "<|system_end|>",
            "<|user_start|>",
            "<|user_end|>",
            "<|assistant_start|>",
            "<|assistant_end|>",
            "<|inner_prefix|>",
            "<|inner_suffix|>",
            "<|tools_prefix|>",
            "<|tools_suffix|>",
        ),
        eos=("<|assistant_end|>", "<|tools_suffix|>"),
        handovers=("<|tools_suffix|>",),
        template=chat_template(
            before=BEGIN,
            system=f"<|system_start|>{X}<|system_end|>",
            user=f"<|user_start|>{X}<|user_end|>",
            assistant="<|assistant_start|>"
            + reasons("<|inner_prefix|>R<|inner_suffix|>")
            + when("m.tool_calls", "<|tools_prefix|>[look]<|tools_suffix|>", f"{X}<|assistant_end|>"),
            tool=f"[{X}]",
            prompt="<|assistant_start|>",
        ),
        turn="<|assistant_start|>",
        user="<|user_start|>",
        modes=modes("before"),
    ),
    # moonshotai/Kimi-K3
    Row(
        name="kimi_k3",
        format="kimi_k3",
        special=("<|open|>", "<|close|>", "<|sep|>", "<|end_of_msg|>"),
        eos=("<|end_of_msg|>",),
        template=chat_template(
            system=f"<|open|>system<|sep|>{X}<|end_of_msg|>",
            user=f"<|open|>user<|sep|>{X}<|end_of_msg|>",
            assistant="<|open|>assistant<|sep|>"
            + reasons("<|open|>think<|sep|>R<|close|>think<|sep|>")
            + f"<|open|>response<|sep|>{X}<|close|>response<|sep|>{calls('look')}<|end_of_msg|>",
            tool=f"<|open|>tool<|sep|>{X}<|end_of_msg|>",
            prompt="<|open|>assistant<|sep|>" + when("thinking", "<|open|>think<|sep|>"),
        ),
        turn="<|open|>assistant<|sep|>",
        user="<|open|>user<|sep|>",
        modes=modes("before", think=({"thinking": True}, "thinking")),
    ),
    # moonshotai/Kimi-VL-A3B-Thinking, on a vocabulary that keeps its tags' characters whole
    Row(
        name="kimi_vl",
        format="kimi_vl",
        special=("<|im_user|>", "<|im_assistant|>", "<|im_system|>", "<|im_middle|>", "<|im_end|>"),
        words=(spelled("◁"), spelled("▷")),
        eos=("<|im_end|>",),
        template=plain_turns(
            "<|im_system|>system<|im_middle|>",
            "<|im_user|>user<|im_middle|>",
            "<|im_assistant|>assistant<|im_middle|>",
            "<|im_end|>",
            "",
            "◁think▷R◁/think▷",
        ),
        turn="<|im_assistant|>assistant<|im_middle|>",
        user="<|im_user|>user<|im_middle|>",
        modes=modes("before"),
    ),
    # LGAI-EXAONE/EXAONE-Deep-7.8B
    Row(
        name="exaone_deep",
        format="thought",
        special=("[|system|]", "[|user|]", "[|assistant|]", "[|endofturn|]"),
        eos=("[|endofturn|]",),
        template=plain_turns(
            "[|system|]", "[|user|]", "[|assistant|]", "[|endofturn|]\n", "<thought>\n", "<thought>\nR</thought>\n"
        ),
        turn="[|assistant|]",
        user="[|user|]",
        modes=modes("thinking"),
    ),
    # open-thoughts/OpenThinker-7B: its tags are named by the system prompt that its template writes
    Row(
        name="openthinker",
        format="openthinker",
        template="<|im_start|>system\nWrite <|begin_of_thought|> and <|end_of_thought|>, then <|begin_of_solution|>."
        + "<|im_end|>\n"
        + chatml("", "<|begin_of_thought|>R<|end_of_thought|>"),
        modes=modes("before"),
        **CHATML,
    ),
    # ibm-granite/granite-3.3-8b-instruct: tags and answer block are named in the system prompt
    Row(
        name="granite",
        format="granite",
        special=("<|start_of_role|>", "<|end_of_role|>", "<|end_of_text|>", "<|tool_call|>"),
        eos=("<|end_of_text|>",),
        template=when(
            "thinking",
            "<|start_of_role|>system<|end_of_role|>Between <think></think>, then <response></response>."
            "<|end_of_text|>\n",
        )
        + plain_turns(
            "<|start_of_role|>system<|end_of_role|>",
            "<|start_of_role|>user<|end_of_role|>",
            "<|start_of_role|>assistant<|end_of_role|>",
            "<|end_of_text|>\n",
            "",
            tool="<|start_of_role|>tool<|end_of_role|>",
        ),
        turn="<|start_of_role|>assistant<|end_of_role|>",
        user="<|start_of_role|>user<|end_of_role|>",
        modes=modes("before", think=({"thinking": True}, "before")),
    ),
    # tencent/Hunyuan-A13B-Instruct
    Row(
        name="hunyuan",
        format="hunyuan",
        special=("<|startoftext|>", "<|extra_0|>", "<|extra_4|>", "<|eos|>"),
        eos=("<|eos|>",),
        template=chat_template(
            system=f"<|startoftext|>{X}<|extra_4|>",
            user=f"<|startoftext|>{X}<|extra_0|>",
            assistant=f"{reasons('<think>R</think>')}<answer>{X}</answer>{calls('look')}<|eos|>",
            tool=f"<|startoftext|><tool_response>{X}</tool_response><|extra_0|>",
            prompt=when("enable_thinking | default(true)", "", "<think>\n\n</think>\n"),
        ),
        turn="<|extra_0|>",
        user="<|startoftext|>",
        modes=HYBRID,
    ),
]
"""Every family that the package knows, and every way of writing prompts that its models have."""


def invented(start: str, close: str, *, whole: bool) -> Row:
    """A family that nobody knows, on ChatML; `whole`: its delimiters are single tokens."""
    return Row(
        name=start,
        format="custom",
        added=(start, close) if whole else (),
        template=chatml(when("enable_thinking", start), f"{start}R{close}") + f"{{# {start} {close} #}}",
        modes=modes("before", think=(THINK, "thinking")),
        invented=Family(start=start, close=close, models="none", source="this test"),
        **CHATML,
    )


INVENTED = [
    invented("<reason>", "</reason>", whole=False),
    invented("<|think_start|>", "<|think_end|>", whole=True),
    invented("[THOUGHTS]", "[/THOUGHTS]", whole=True),
    invented("<|begin_of_reasoning|>", "<|end_of_reasoning|>", whole=True),
    invented("<scratchpad>", "</scratchpad>", whole=False),
]
"""Families that the package does not know, and that are exact all the same once their delimiters are said."""
