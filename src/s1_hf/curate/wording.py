"""Questions without their spelling: what the spellings of one question share, and other questions do not.

Every pattern here is linear in the text, whatever the text is.
"""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from dataclasses import dataclass
from functools import cached_property
from html import unescape

_SIGNS = {
    "≤": "le", "≥": "ge", "≠": "ne", "<": "lt", ">": "gt", "×": "times", "·": "times", "⋅": "times", "∙": "times",
    "*": "times", "÷": "div", "√": "sqrt", "∞": "infty", "°": "degree", "∘": "degree", "∠": "angle", "△": "triangle",
    "∈": "in", "∪": "cup", "∩": "cap", "→": "to", "±": "pm", "∑": "sum", "∏": "prod", "∫": "int", "≡": "equiv",
    "≈": "approx", "⌊": "lfloor", "⌋": "rfloor", "⌈": "lceil", "⌉": "rceil", "⊥": "perp", "∥": "parallel",
    "≅": "cong", "∼": "sim",
}  # fmt: skip
_GREEK_LETTERS = "αβγδεζηθικλμνξπρστυφχψωϕΓΔΘΛΞΠΣΦΨΩ"
_GREEK_NAMES = (
    "alpha beta gamma delta epsilon zeta eta theta iota kappa lambda mu nu xi pi rho sigma tau upsilon phi chi psi "
    "omega phi gamma delta theta lambda xi pi sigma phi psi omega"
)
_GREEK = dict(zip(_GREEK_LETTERS, _GREEK_NAMES.split(), strict=True))
_CHARACTERS = str.maketrans(
    {sign: f" {name} " for sign, name in (_SIGNS | _GREEK).items()}
    | dict.fromkeys("−–‐‑", "-")
    | dict.fromkeys(map(chr, (0xAD, 0x200B, 0x200C, 0x200D, 0x2060, 0xFEFF)), "")  # nothing that is seen
)
_SAME = {
    "leq": "le", "leqslant": "le", "geq": "ge", "geqslant": "ge", "neq": "ne", "cdot": "times", "circ": "degree",
    "degrees": "degree", "rightarrow": "to", "varphi": "phi", "varepsilon": "epsilon", "dbinom": "binom",
    "tbinom": "binom",
}  # fmt: skip
_COMMANDS_OF_STYLE = (
    "left right big bigl bigr bigg biggl biggr middle displaystyle textstyle text textrm textbf textit texttt "
    "textnormal mathrm mathbf mathbb mathcal mathit mathsf operatorname emph mbox hbox quad qquad frac dfrac tfrac "
    "cfrac limits nolimits boxed ldots dots cdots hspace vspace smallskip medskip bigskip noindent hline label "
    "underline lvert rvert"
)
_STYLE = frozenset(_COMMANDS_OF_STYLE.split())  # a question means the same without them
_UNSPACED = "\u3040-\u30ff\u3400-\u9fff"  # Chinese and Japanese: a word is a character here
_TOKEN = re.compile(rf"(\\?[^\W\d_{_UNSPACED}]+|[{_UNSPACED}])|(\d+(?:\.\d+)?|[+\-=%!])|([.?:;\n]|\\\]|\$\$)")
_THOUSANDS = re.compile(r"(?<=\d)(?:\{,\}|\\{1,2},|,\\{1,2}!|,)(?=\d{3}(?!\d))")
_SHORT_FRACTION = re.compile(r"(?<=frac)(\s{0,3}\d)(?=\d)")
_RAISED = re.compile("(?<=[0-9])(?=[⁰¹²³⁴⁵⁶⁷⁸⁹½⅓⅔¼¾⅕⅛])")
_ENVIRONMENT = re.compile(r"\\(?:begin|end) ?\{[^{}]{0,40}\}(?:\{[^{}]{0,40}\})?")
_IMAGE = re.compile(r"!\[[^\]]{0,200}\]\([^)]{0,500}\)")
_HYPHEN = re.compile(r"(?<=[^\W\d_]{2})(?: - |-|!)(?=[^\W\d_]{2}|\s|$)|--+|—")  # no minus, and no factorial
_ENTITY = re.compile(r"&(?:#\d{1,6}|[a-zA-Z]{2,8});")
_TAG = re.compile(
    r"</?(?:p|br|b|i|em|strong|su[bp]|div|span|ul|ol|li|code|pre|h\d)(?: \w+=\"[^\"<>]{0,200}\")?\s?/?>", re.IGNORECASE
)
# Quotes, lists and emphasis; 2*3 stays a product.
_MARKDOWN = re.compile(r"^(?: {0,3}(?:> ?|\* )){1,3}|\*\*|(?<!\w)\*(?=\w)|(?<=\w)\*(?!\w)", re.M)  # 2*3 stays a product
_DRAWING = "[asy]", "[/asy]"


@dataclass(frozen=True)
class Wording:
    """A question as words, numbers and signs.

    Args:
        tokens (`list[str]`): in lower case, without punctuation, brackets, drawings, and what only styles a formula.
        breaks (`frozenset[int]`): the places between tokens where a sentence, a line or a formula of its own ends; also
            0 and the number of tokens.
    """

    tokens: list[str]
    breaks: frozenset[int]

    @cached_property
    def numbers(self) -> Counter[str]:
        """How many times it has each number."""
        return Counter(token for token in self.tokens if token[0].isdigit())

    @cached_property
    def _others(self) -> tuple[int, int]:
        """The first and the last token that is no word: a number, a sign or a variable."""
        words = [token.isalpha() and (len(token) > 1 or token in "ai" or not token.isascii()) for token in self.tokens]
        first = words.index(False) if False in words else len(words)
        return first, len(words) - 1 - words[::-1].index(False) if False in words else -1

    def stands_alone(self, begin: int, end: int) -> bool:
        """Whether what is before and behind is of other sentences, or only words, such as an instruction."""
        first, last = self._others
        return (begin in self.breaks or begin <= first) and (end in self.breaks or end > last)


def wording(question: str) -> Wording:
    """The question without its spelling.

    Example:

    ```python
    >>> from s1_hf.curate.wording import wording
    >>> wording(r"Compute $\\dfrac12 \\cdot 1{,}000$.").tokens == wording("COMPUTE 1/2 × 1000").tokens
    True

    ```
    """
    text = _without_markup(_without_drawings(question))
    text = text.replace("<=", "≤").replace(">=", "≥").replace("!=", "≠").translate(_CHARACTERS)
    if not text.isascii():
        letters = unicodedata.normalize("NFKD", _RAISED.sub(" ", text))
        text = "".join(letter for letter in letters if not unicodedata.combining(letter))
    text = _HYPHEN.sub(" ", _IMAGE.sub(" ", _ENVIRONMENT.sub(" ", text)))
    text = _SHORT_FRACTION.sub(r"\1 ", _THOUSANDS.sub("", text)).lower()
    tokens: list[str] = []
    breaks = {0}
    for word, sign, _ in _TOKEN.findall(text):
        name = word.removeprefix("\\")
        if sign:
            tokens.append(sign)
        elif not word:
            breaks.add(len(tokens))
        elif name == word or name not in _STYLE:
            tokens.append(_SAME.get(name, name))
    return Wording(tokens, frozenset((*breaks, len(tokens))))


def _without_markup(text: str) -> str:
    """Without that of HTML and Markdown."""
    text = _ENTITY.sub(lambda found: unescape(found[0]), text)
    return _MARKDOWN.sub(" ", _TAG.sub("\n", text))


def _without_drawings(text: str) -> str:
    begin, end = _DRAWING
    first, *drawn = text.split(begin)
    return " ".join([first, *(part.partition(end)[2] if end in part else part for part in drawn)])
