"""How each family of reward models is asked, and how its output is read; one class per published formula."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Literal, Protocol

from s1_hf.scoring.marking import Encoded, chat, marked, rendered, single_token

if TYPE_CHECKING:
    import torch
    from transformers import PreTrainedTokenizerBase

    from s1_hf.scoring.scorer import Candidate

Head = Literal["tokens", "value", "causal", "sequence"]
"""What the model has on top: labels or one value for every token, a vocabulary, or one score for the whole text."""


class Convention(Protocol):
    """From a candidate to token ids, and from logits to numbers."""

    name: ClassVar[str]
    head: ClassVar[Head]

    def columns(self, tokenizer: PreTrainedTokenizerBase) -> list[int] | None:
        """Of a vocabulary the tokens whose logits are read; raises a `ValueError` if the tokenizer does not fit."""

    def encode(self, tokenizer: PreTrainedTokenizerBase, candidate: Candidate) -> Encoded:
        """The ids, and where they are read: after each part, or of an outcome reward model at the end."""

    def read(self, logits: torch.Tensor) -> torch.Tensor:
        """Numbers of shape `(n,)` from float32 logits of shape `(n, labels)`, at the places that are read."""


@dataclass(frozen=True)
class Qwen:
    """Qwen2.5-Math-PRM and ReasonFlux-PRM-7B: `<extra_0>` after every step of the reply, in a chat; there the
    probability of the second of two labels.

    Source: the model cards of Qwen/Qwen2.5-Math-PRM-7B and Gen-Verse/ReasonFlux-PRM-7B. The latter has no system
    prompt of its own: `system_prompt=None`.
    """

    system_prompt: str | None = "Please reason step by step, and put your final answer within \\boxed{}."

    name: ClassVar[str] = "qwen"
    head: ClassVar[Head] = "tokens"
    MARK: ClassVar[str] = "<extra_0>"

    def columns(self, tokenizer: PreTrainedTokenizerBase) -> list[int] | None:
        single_token(tokenizer, self.MARK, self.name)
        return None

    def encode(self, tokenizer: PreTrainedTokenizerBase, candidate: Candidate) -> Encoded:
        reply = "".join(part + self.MARK for part in candidate.parts)
        text = rendered(tokenizer, [*chat(candidate, self.system_prompt), {"role": "assistant", "content": reply}])
        begin = text.rfind(reply)
        if begin < 0:
            raise ValueError("The chat template changes the reply, so that its steps are not found in it.")
        places = []
        for part in candidate.parts:
            places.append(begin + len(part))
            begin += len(part) + len(self.MARK)
        return marked(tokenizer, text, places, single_token(tokenizer, self.MARK, self.name), add_special_tokens=True)

    def read(self, logits: torch.Tensor) -> torch.Tensor:
        return logits.softmax(dim=-1)[:, 1]


@dataclass(frozen=True)
class MathShepherd:
    """Math-Shepherd: the tag `ки` after every step, steps on lines of their own; there the probability of `+` beside
    `-` as the next token.

    Source: the model card of peiyi9979/math-shepherd-mistral-7b-prm (https://arxiv.org/abs/2312.08935). It was trained
    on steps that begin with `Step 1: ` and so on; nothing is put before those that do not.
    """

    name: ClassVar[str] = "math-shepherd"
    head: ClassVar[Head] = "causal"
    TAG: ClassVar[str] = "ки"

    def columns(self, tokenizer: PreTrainedTokenizerBase) -> list[int] | None:
        self._tag(tokenizer)
        ids = [int(i) for i in tokenizer.encode("+ -", add_special_tokens=False)]
        if len(ids) != 2:
            raise ValueError(
                f"The convention {self.name!r} needs '+ -' to be two tokens, but this tokenizer makes "
                f"{tokenizer.convert_ids_to_tokens(ids)!r} of it. Use the reward model's own tokenizer."
            )
        return ids

    def encode(self, tokenizer: PreTrainedTokenizerBase, candidate: Candidate) -> Encoded:
        text, places = f"{candidate.question_text} ", []
        for number, part in enumerate(candidate.parts):
            text += "\n" * (number > 0) + f"{part} "
            places.append(len(text))
            text += self.TAG
        return marked(tokenizer, text, places, self._tag(tokenizer), add_special_tokens=True)

    def read(self, logits: torch.Tensor) -> torch.Tensor:
        return logits.softmax(dim=-1)[:, 0]

    def _tag(self, tokenizer: PreTrainedTokenizerBase) -> int:
        return single_token(tokenizer, self.TAG, self.name)


@dataclass(frozen=True)
class RLHFlow:
    """RLHFlow's process reward models: every step is a user's turn, the first one behind the question and a space,
    each answered by a turn `+`; in its place the probability of `+` beside `-`.

    Source: https://github.com/RLHFlow/RLHF-Reward-Modeling, `math/prm_evaluate.py`, which asks step by step; the model
    is causal, so that one run over all turns gives the same numbers.
    """

    name: ClassVar[str] = "rlhflow"
    head: ClassVar[Head] = "causal"

    def columns(self, tokenizer: PreTrainedTokenizerBase) -> list[int] | None:
        return [single_token(tokenizer, sign, self.name) for sign in ("+", "-")]

    def encode(self, tokenizer: PreTrainedTokenizerBase, candidate: Candidate) -> Encoded:
        first, *others = candidate.parts
        messages: list[dict[str, Any]] = []
        texts = []
        for said in (f"{candidate.question_text} {first}", *others):
            messages += [{"role": "user", "content": said}, {"role": "assistant", "content": "+"}]
            texts.append(rendered(tokenizer, messages))
        whole = texts[-1]
        if not all(whole.startswith(text) for text in texts):
            raise ValueError(f"The chat template changes earlier turns, which the convention {self.name!r} cannot use.")
        places = [text.rindex("+") for text in texts]
        plus = single_token(tokenizer, "+", self.name)
        found = marked(tokenizer, whole, places, plus, add_special_tokens=False)
        return Encoded(found.ids, [index - 1 for index in found.reads])  # the token before predicts it

    def read(self, logits: torch.Tensor) -> torch.Tensor:
        return logits.softmax(dim=-1)[:, 0]


@dataclass(frozen=True)
class Skywork:
    """Skywork-o1-Open-PRM: a line for every step after a line for the question; at each line break the sigmoid of a
    value head.

    Source: https://github.com/SkyworkAI/skywork-o1-prm-inference, `model_utils`. A step of several lines is read once,
    at its end, where the published code would take every line for a step.
    """

    name: ClassVar[str] = "skywork"
    head: ClassVar[Head] = "value"

    def columns(self, tokenizer: PreTrainedTokenizerBase) -> list[int] | None:
        if tokenizer.bos_token is None:
            raise ValueError(f"The convention {self.name!r} begins with a BOS token, which this tokenizer lacks.")
        single_token(tokenizer, "\n", self.name)
        return None

    def encode(self, tokenizer: PreTrainedTokenizerBase, candidate: Candidate) -> Encoded:
        begin = f"{tokenizer.bos_token}{candidate.question_text}\n"
        return _step_by_step(tokenizer, begin, candidate, [single_token(tokenizer, "\n", self.name)])

    def read(self, logits: torch.Tensor) -> torch.Tensor:
        return logits[:, 0].sigmoid()


@dataclass(frozen=True)
class TRL:
    """Models of TRL's PRM trainer (up to TRL 1.0): the question, then every step and a separator; at the separator's
    last token the probability of the second of two labels.

    Source: `PRMTrainer.tokenize_row` of TRL 0.24. The separator does not stand in the models' configurations, TRL's
    default was a line break.
    """

    separator: str

    name: ClassVar[str] = "trl"
    head: ClassVar[Head] = "tokens"

    def columns(self, tokenizer: PreTrainedTokenizerBase) -> list[int] | None:
        if not tokenizer.encode(self.separator, add_special_tokens=False):
            raise ValueError(f"`separator` has to be at least one token, but {self.separator!r} is none.")
        return None

    def encode(self, tokenizer: PreTrainedTokenizerBase, candidate: Candidate) -> Encoded:
        separator = tokenizer.encode(self.separator, add_special_tokens=False)
        found = _step_by_step(tokenizer, candidate.question_text, candidate, separator)
        if tokenizer.bos_token_id is None:
            return found
        return Encoded([tokenizer.bos_token_id, *found.ids], [index + 1 for index in found.reads])

    def read(self, logits: torch.Tensor) -> torch.Tensor:
        return logits.softmax(dim=-1)[:, 1]


@dataclass(frozen=True)
class Outcome:
    """Outcome reward models with one label, such as Skywork-Reward: question and answer as a chat, and its score.

    Source: the model card of Skywork/Skywork-Reward-V2-Llama-3.1-8B.

    Args:
        sigmoid (`bool`, defaults to `False`): the sigmoid of the score, which is any number, in place of it.
        thinking (`bool`, defaults to `False`): whether the model is shown the steps, on lines of their own before the
            answer, or the answer alone.
    """

    sigmoid: bool = False
    thinking: bool = False

    name: ClassVar[str] = "outcome"
    head: ClassVar[Head] = "sequence"

    def columns(self, tokenizer: PreTrainedTokenizerBase) -> list[int] | None:
        return None

    def encode(self, tokenizer: PreTrainedTokenizerBase, candidate: Candidate) -> Encoded:
        reply = "\n".join(candidate.parts) if self.thinking else candidate.answer
        text = rendered(tokenizer, [*chat(candidate, None), {"role": "assistant", "content": reply}])
        ids = tokenizer.encode(text, add_special_tokens=False)
        return Encoded(ids, [len(ids) - 1])

    def read(self, logits: torch.Tensor) -> torch.Tensor:
        return logits[:, 0].sigmoid() if self.sigmoid else logits[:, 0]


def as_json(convention: Convention) -> dict[str, Any]:
    """A convention's name and settings."""
    return {"name": convention.name, **asdict(convention)}  # type: ignore[call-overload]


def _step_by_step(
    tokenizer: PreTrainedTokenizerBase, begin: str, candidate: Candidate, separator: list[int]
) -> Encoded:
    """Texts tokenized one by one, with a separator after every part, at whose last token it is read."""
    ids, reads = list(tokenizer.encode(begin, add_special_tokens=False)), []
    for part in candidate.parts:
        ids += [*tokenizer.encode(part, add_special_tokens=False), *separator]
        reads.append(len(ids) - 1)
    return Encoded(ids, reads)
