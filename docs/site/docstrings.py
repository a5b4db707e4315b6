"""Our docstrings are written as transformers' are; here they become what mkdocstrings reads.

- `` [`Budget`] `` becomes a link to where the reference shows it, or plain code where it is shown nowhere.
- Types in brackets give way to those of the signature, where it has one.
- Several arguments that are described together become one entry each.
"""

import re
from collections.abc import Iterator, Set
from pathlib import Path
from typing import Any

import griffe

REFERENCE = Path(__file__).parents[1] / "reference"
_SECTION = re.compile(r"^(Args|Attributes):\n((?: {4}.*\n?|\n(?= {4}))+)", re.MULTILINE)
_BRACKETS = re.compile(r" \(((?:[^()]|\([^()]*\))*)\)")


def shown(folder: Path = REFERENCE) -> dict[str, str]:
    """What the reference shows: by the whole name and by its last part, the name to link to."""
    names: dict[str, str] = {}
    for page in sorted(folder.glob("*.md")):
        for name in re.findall(r"^::: (\S+)$", page.read_text(encoding="utf-8"), flags=re.MULTILINE):
            names.setdefault(name.rsplit(".", 1)[-1], name)
            names[name] = name
    return names


class AsTransformers(griffe.Extension):
    """Rewrites every docstring of a package."""

    def on_package(self, *, pkg: griffe.Module, **_: Any) -> None:
        """Called once, when the package has been read."""
        names = shown()
        for one in _objects(pkg):
            _take_fields_of_a_private_base(one)
            if one.docstring is not None:
                one.docstring.value = rewritten(one.docstring.value, names, one.path, _typed(one))


def _objects(one: griffe.Object) -> Iterator[griffe.Object]:
    yield one
    for member in _own(one).values():
        yield from _objects(member)


def _take_fields_of_a_private_base(one: griffe.Object) -> None:
    """`class Bench(_Fields)`, whose `__init__` takes `**options`: the fields are its arguments."""
    if not isinstance(one, griffe.Class) or "__init__" not in _own(one):
        return
    init: Any = one.members["__init__"]
    for base in map(str, one.bases):
        fields = one.parent.members.get(base) if base.startswith("_") and one.parent is not None else None
        options = next((p for p in init.parameters if p.kind is griffe.ParameterKind.var_keyword), None)
        if isinstance(fields, griffe.Class) and options is not None:
            del init.parameters[options.name]
            for name, field in _own(fields).items():
                if isinstance(field, griffe.Attribute) and name not in init.parameters:
                    kind = griffe.ParameterKind.keyword_only
                    init.parameters.add(
                        griffe.Parameter(name, annotation=field.annotation, kind=kind, default=field.value)
                    )


def _own(one: griffe.Object) -> dict[str, griffe.Object]:
    """The members that are defined here, not imported."""
    return {name: member for name, member in one.members.items() if not member.is_alias}  # type: ignore[misc]


def _typed(one: griffe.Object) -> set[str]:
    """The names that the signature has a type for."""
    typed = set()
    if isinstance(one, griffe.Class | griffe.Function):
        typed |= {parameter.name for parameter in one.parameters if parameter.annotation is not None}
    return typed | {name for name, member in _own(one).items() if getattr(member, "annotation", None) is not None}


def rewritten(text: str, names: dict[str, str], path: str = "", typed: Set[str] = frozenset()) -> str:
    """The docstring `text` of the object at `path`, whose signature has the types of the names in `typed`.

    ```python
    >>> rewritten("See [`Budget`] and [`torch.Tensor`].", {"Budget": "s1_hf.Budget"})
    'See [`Budget`][s1_hf.Budget] and `torch.Tensor`.'
    >>> print(rewritten("Args:\\n    a (`int` or (`c`), *optional*), b: it.", {}, typed={"b"}))
    Args:
        a (int or (c), optional): it.
        b: it.
    <BLANKLINE>

    ```
    """
    text = _SECTION.sub(lambda section: f"{section[1]}:\n{_entries(section[2], typed)}", text)
    text = re.sub(r"^(Returns:\n {4})\[?`[^`]*`\]?: ", r"\1", text, flags=re.MULTILINE)
    text = re.sub(r"^Example:$", "Examples:", text, flags=re.MULTILINE)
    room = ".".join(path.split(".")[:2])

    def link(found: re.Match[str]) -> str:
        said = found[1].removeprefix("~")
        target = names.get(f"{room}.{said}") or names.get(said) or names.get(said.rpartition(".")[0])
        return f"[`{said}`][{target}]" if target else f"`{said}`"

    return re.sub(r"\[`([^`]+)`\](?![\[(])", link, text)


def _entries(section: str, typed: Set[str]) -> str:
    """The section's entries, one for each name."""
    lines = []
    for entry in re.split(r"^ {4}(?! )", section, flags=re.MULTILINE)[1:]:
        head, description = _split(entry)
        said = {name: types for name, types in _named(head)}
        first = next(iter(said))
        for name, types in said.items():
            bare = name.lstrip("*")
            types = re.sub(r"\[`([^`]+)`\]|[`*]", lambda found: found[1] or "", types)
            types = "" if bare in typed or not types else f" ({types})"
            what = description if name == first or len(description) < 150 else f" see `{first}`."
            lines.append(f"    {name}{types}:{what.rstrip()}\n")
    return "".join(lines)


def _split(entry: str) -> tuple[str, str]:
    """What is described, and the description behind the first colon that stands in no brackets."""
    depth = 0
    for place, character in enumerate(entry):
        depth += {"(": 1, "[": 1, "{": 1, ")": -1, "]": -1, "}": -1}.get(character, 0)
        if character == ":" and depth == 0:
            return " ".join(entry[:place].split()), entry[place + 1 :]
    raise ValueError(f"An entry has to have a colon, but does not: {entry!r}")


def _named(head: str) -> list[tuple[str, str]]:
    """Names, each with its types; those of the next one that has some count for the names before it."""
    found: list[tuple[str, str]] = []
    for one in re.finditer(rf"(\*{{0,2}}\w+)(?:{_BRACKETS.pattern})?", head):
        if one[1] != "and":
            found.append((one[1], one[2] or ""))
    for place in range(len(found) - 2, -1, -1):
        if not found[place][1]:
            found[place] = (found[place][0], found[place + 1][1])
    return found
