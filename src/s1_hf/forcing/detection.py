"""Which family a tokenizer belongs to: by what its folder says, by whole tokens, by its chat template's tags."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from s1_hf.forcing.families import FAMILIES, SIGN, Family
from s1_hf.forcing.templates import template_of
from s1_hf.forcing.vocabulary import Vocabulary

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

_S1_NAMES = re.compile(r"simplescaling(/|--)s1|(^|/)s1(\.\d)?-\d+(\.\d+)?B", re.IGNORECASE)
_STEMS = "think|thought|reason|reflect|ponder|deliberat|contemplat|scratch|inner|cot|analysis|analyz|monolog|rationale"
_WORDS = rf"[\w.:▁-]*?(?:{_STEMS})[\w.▁-]*?"
_PAIRS = (  # what delimiters of thinking look like: opening, and what its closing is
    (rf"<({_WORDS})>", "</{}>"),
    (rf"\[({_WORDS})\]", "[/{}]"),
    (rf"◁({_WORDS})▷", "◁/{}▷"),
    (rf"<\|({_WORDS})\|>", "<|/{}|>"),
    (rf"<\|begin_of_({_WORDS})\|>", "<|end_of_{}|>"),
    (rf"<\|start_({_WORDS})\|>", "<|end_{}|>"),
    (rf"<\|START_({_WORDS})\|>", "<|END_{}|>"),
    (rf"<\|({_WORDS})_start\|>", "<|{}_end|>"),
    (rf"<\|({_WORDS})_start\|>", "<|{}_stop|>"),
    (rf"<\|({_WORDS})_begin\|>", "<|{}_end|>"),
    (rf"<\|({_WORDS})_open\|>", "<|{}_close|>"),
    (rf"<\|({_WORDS})\|>", "<|end_{}|>"),
    (rf"<\|({_WORDS})\|>", "<|end_of_{}|>"),
    (rf"<\|({_WORDS})\|>", "<|end{}|>"),
    (rf"<\|begin_({_WORDS})\|>", "<|end_{}|>"),
    (rf"<｜begin▁of▁({_WORDS})｜>", "<｜end▁of▁{}｜>"),
    (rf"<｜({_WORDS})▁begin｜>", "<｜{}▁end｜>"),
    (rf"<({_WORDS}):start>", "<{}:end>"),
    (rf"<({_WORDS})_start>", "<{}_end>"),
    (rf"<\|({_WORDS})>", "<{}|>"),
    (rf"«({_WORDS})»", "«/{}»"),
)
_TAG = re.compile(rf"<[|｜]?/?(?:{_WORDS})[^<>{{}}\s'\"]*>|\[/?(?:{_WORDS})\]|«/?(?:{_WORDS})»", re.IGNORECASE)


def detect(tokenizer: PreTrainedTokenizerBase) -> str | dict[str, Any]:
    """The name of the family, or the settings of a format that the folder names itself (see `format_of_settings`).

    Raises:
        ValueError: none was found, or several.
    """
    return detect_with_reason(tokenizer)[0]


def detect_with_reason(tokenizer: PreTrainedTokenizerBase) -> tuple[str | dict[str, Any], str]:
    """What [`detect`] finds, and by what, in words; raises the same."""
    # 1. What the folder says.
    signed: Any = getattr(tokenizer, "init_kwargs", {}).get(SIGN)
    if _is_sign(signed):
        return signed, f"the folder says so: `{SIGN}` in its tokenizer_config.json"
    # 2. Families whose tokens are whole in the vocabulary; if there are several, those that the template names best.
    vocabulary, template = Vocabulary.of(tokenizer), template_of(tokenizer)
    whole = _whole(vocabulary)
    found = _named_best(whole, template) if len(whole) > 1 else whole
    for name in found:
        _check_no_likeness(name, template)
    reason = "whole tokens of the vocabulary"
    if len(whole) > 1:
        reason += ", and of several families the one whose delimiters the chat template names"
    # 3. A template that names the tags of another family, or tags that nobody knows, outweighs tokens that it has not.
    if not any(is_named(FAMILIES[name], template) for name in found):
        named = _named_fully(template)
        if named:
            found, reason = named, "delimiters that the chat template names"
        pair = unknown_pair(template)
        if pair is not None and not any(is_named(FAMILIES[name], template) for name in found):
            raise _unknown(pair)
    # 4. Tags of which the template names one only; then simplescaling's own models.
    if not found:
        found, reason = _half_named(template), "a delimiter that the chat template names"
    if not found and _S1_NAMES.search(str(tokenizer.name_or_path)) and "<|im_start|>" in vocabulary.single:
        return "s1", "the name of simplescaling's models"
    if len(found) == 1:
        return found[0], reason
    raise _undetected(tokenizer, found)


def _whole(vocabulary: Vocabulary) -> list[str]:
    """The families all of whose tokens are single tokens of the vocabulary; s1, which forces tokens, is not guessed."""
    found = []
    for name, family in FAMILIES.items():
        if family.tokens and not family.force_start and vocabulary.single.keys() >= set(family.tokens):
            found.append(name)
    return found


def unknown_pair(template: str) -> tuple[str, str] | None:
    """Tags of a chat template that look like delimiters of thinking and belong to no family."""
    known = {text for family in FAMILIES.values() for text in family.texts}
    for opening, closing in _PAIRS:
        for match in re.finditer(opening, template, re.IGNORECASE):
            pair = match.group(0), closing.format(match.group(1))
            if pair[1] in template and not known.intersection(pair):
                return pair
    return None


def _check_no_likeness(name: str, template: str) -> None:
    """Raises a `ValueError` if a template opens thinking almost as a family does, but with other words.

    Tokens such as `<|channel|>` belong to a message's structure, and say nothing about what is in it.
    """
    start = FAMILIES[name].start.strip()
    if start in template and f"<{start}" not in template:
        return
    structure = next((token for token in FAMILIES[name].tokens if start.startswith(token) and token != start), "")
    if structure:
        likeness = re.search(re.escape(structure) + rf"(?:{_WORDS})(?=\W|$)\W*", template, re.IGNORECASE)
    else:  # a tag: doubled, or with attributes
        likeness = re.search(rf"<?{re.escape(start.rstrip('>'))}(?:>|\s[^<>]*>)", template)
    if likeness and likeness.group().strip() != start and not likeness.group().startswith(start):
        raise ValueError(
            f"The thinking format could not be detected: the tokens are those of {name!r}, but the chat template has "
            f"{likeness.group().strip()!r} where that family opens thinking by {start!r}. Say what opens and closes "
            "the model's thinking: `format=ThinkingFormat.from_delimiters(tokenizer, start=..., close=...)`, or "
            "`--thinking-start`, `--thinking-close` on the command line."
        )


def _half_named(template: str) -> list[str]:
    """`think`, if the template names one of its tags, as those do that only cut thinking out of earlier turns."""
    if not any(text in template for text in FAMILIES["think"].texts):
        return []
    _check_no_likeness("think", template)
    return ["think"]


def is_named(family: Family, template: str) -> bool:
    """Whether a chat template names both delimiters of a family, a line end (written as `\\n` there) aside."""
    return family.start.strip() in template and family.close.strip() in template


def _is_sign(signed: object) -> bool:
    """Whether it names a family, or delimiters; a name that nobody knows (of a later version) says nothing."""
    if isinstance(signed, dict):
        return any(key in signed for key in ("start", "close", "name"))
    return isinstance(signed, str) and signed in FAMILIES


def _named_fully(template: str) -> list[str]:
    """The families all of whose delimiters the template names; of nested ones that with the most."""
    named = [
        name
        for name, family in FAMILIES.items()
        if not family.force_start and all(text.strip() in template for text in family.texts)
    ]
    for name in named:
        _check_no_likeness(name, template)
    return _named_best(named, template)


def _named_best(names: Sequence[str], template: str) -> list[str]:
    """Those of which the template names the most delimiters."""
    count = {name: sum(text.strip() in template for text in FAMILIES[name].texts) for name in names}
    return [name for name in names if count[name] == max(count.values())]


def _unknown(pair: tuple[str, str]) -> ValueError:
    return ValueError(
        f"The thinking format could not be detected: the chat template names {pair[0]!r} and {pair[1]!r}, which belong "
        "to no family that is known. If they open and close the model's thinking, say "
        f"`format=ThinkingFormat.from_delimiters(tokenizer, start={pair[0]!r}, close={pair[1]!r})`, or "
        f"`--thinking-start {pair[0]!r} --thinking-close {pair[1]!r}` on the command line."
    )


def _undetected(tokenizer: PreTrainedTokenizerBase, found: Sequence[str]) -> ValueError:
    looked_for = "; ".join(f"{name}: {family.start.strip()} {family.close}" for name, family in FAMILIES.items())
    problem, hint = "has the delimiters of none", ""
    if found:
        problem = f"has the delimiters of several ({', '.join(found)})"
    elif "<|im_start|>" in Vocabulary.of(tokenizer).single:
        hint = " A model of s1's kind, whose thinking is opened by force, has to be named: `format='s1'`."
    if tags := list(dict.fromkeys(_TAG.findall(template_of(tokenizer))))[:6]:
        problem += f", though its chat template names {', '.join(map(repr, tags))}"
    return ValueError(
        f"The thinking format could not be detected: this tokenizer {problem}. Looked for, in the vocabulary and the "
        f"chat template: {looked_for}.{hint} Say it: `format=ThinkingFormat.from_tokenizer(tokenizer, 'think')`, or "
        "`format=ThinkingFormat.from_delimiters(tokenizer, start='<think>', close='</think>')`."
    )
