"""HTML that is built, never pasted together: every text and attribute is escaped, by construction.

Model output is hostile text. Everything on a page goes through [`element`], which has no raw markup, so no text can
become an element and no link leads to a script. Invisible characters are spelled out, see [`s1_hf.visible.visible`].
"""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from hashlib import sha256
from html import escape
from typing import Union

from s1_hf.visible import visible

Node = Union["Element", str, Sequence["Node"]]

_EMPTY = frozenset({"meta", "img"})
_TAGS = _EMPTY | {"html", "head", "title", "style", "body", "nav", "main", "section", "footer", "h1", "h2", "h3", "p"}
_TAGS |= {"a", "span", "strong", "mark", "div", "details", "summary", "figure", "figcaption", "dl", "dt", "dd"}
_TAGS |= {"table", "thead", "tbody", "tr", "th", "td"}
_ATTRIBUTES = frozenset({"lang", "charset", "http-equiv", "content", "name", "class", "id", "dir", "scope", "alt"})
_ATTRIBUTES |= {"role", "tabindex", "aria-label", "aria-live"}
_ADDRESSES = {"href": ("#", "https://arxiv.org/"), "src": ("data:image/svg+xml;base64,",)}


@dataclass(frozen=True)
class Element:
    """A tag, its attributes and its children; built by [`element`]."""

    tag: str
    attributes: tuple[tuple[str, str], ...]
    children: tuple[Node, ...]

    def __post_init__(self) -> None:
        if self.tag not in _TAGS:
            raise ValueError(f"`tag` has to be one of {', '.join(sorted(_TAGS))}, but is {self.tag!r}.")
        for name, value in self.attributes:
            if name not in _ATTRIBUTES and not value.startswith(_ADDRESSES.get(name, ())):
                raise ValueError(f"`{name}` of <{self.tag}> must not be {value!r:.60}.")

    def __str__(self) -> str:
        attributes = "".join(f' {name}="{escape(visible(value))}"' for name, value in self.attributes)
        if self.tag in _EMPTY:
            return f"<{self.tag}{attributes}>"
        content = _style(self) if self.tag == "style" else "".join(map(_markup, _flat(self.children)))
        return f"<{self.tag}{attributes}>{content}</{self.tag}>"


def element(tag: str, *children: Node, **attributes: str) -> Element:
    """An element. In attribute names, `_` stands for `-`, and a trailing `_` is dropped.

    Raises:
        ValueError: the tag, attribute or address is not one of the few that a report needs.

    Example:

    ```python
    >>> from s1_hf.reporting.html import element
    >>> print(element("p", "<script>", element("mark", "Wait"), class_='"'))
    <p class="&quot;">&lt;script&gt;<mark>Wait</mark></p>

    ```
    """
    named = {name.removesuffix("_").replace("_", "-"): value for name, value in attributes.items()}
    return Element(tag, tuple(named.items()), children)


def page(title: str, css: str, *body: Node) -> str:
    """A whole page that loads nothing and runs nothing: its policy allows only this style and inline pictures."""
    digest = b64encode(sha256(css.encode()).digest()).decode()
    policy = f"default-src 'none'; style-src 'sha256-{digest}'; img-src data:; base-uri 'none'; form-action 'none'"
    head = element(
        "head",
        element("meta", charset="utf-8"),
        element("meta", http_equiv="Content-Security-Policy", content=policy),
        element("meta", name="viewport", content="width=device-width, initial-scale=1"),
        element("meta", name="color-scheme", content="light dark"),
        element("title", title),
        element("style", css),
    )
    return f"<!DOCTYPE html>\n{element('html', head, element('body', *body), lang='en')}\n"


def picture(svg: bytes, alt: str) -> Element:
    """An inline drawing: as an image it can run nothing, and its ids cannot clash with others."""
    return element("img", src=f"data:image/svg+xml;base64,{b64encode(svg).decode()}", alt=alt)


def _flat(nodes: Sequence[Node]) -> Iterator[Element | str]:
    for node in nodes:
        if isinstance(node, (Element, str)):
            yield node
        else:
            yield from _flat(node)


def _markup(node: Element | str) -> str:
    return str(node) if isinstance(node, Element) else escape(visible(node))


def _style(element: Element) -> str:
    """Style is not escaped in HTML, so it must not need to be."""
    css = "".join(str(child) for child in _flat(element.children))
    if "<" in css:
        raise ValueError("A style must not contain '<'.")
    return css
