"""Texts that would break out of a page, and what a parser of HTML makes of one."""

from collections import Counter
from html.parser import HTMLParser

from hypothesis import example
from hypothesis import strategies as st

from s1_hf.results.rows import Row

HOSTILE = [
    "</script><img src=x onerror=console.log(1)>",
    "<svg onload=console.log(1)>",
    "&lt;b&gt; &amp;amp; &#60;",
    '"><style>*{display:none}</style>',
    "' onmouseover='console.log(1)",
    "<!-- --> ]]> <![CDATA[ <?php",
    "\x00\x1b[31m\r\n\r\x7f\x85\ufffe\uffff\ud800\u202e\u2066\u200b\ufeff\U000e0041",
    "</p></body></html><plaintext>",
    "\n\n leading line feeds",
]

ANY_TEXT = st.text(alphabet=st.characters(exclude_categories=()), max_size=60)  # surrogates and all


def all_examples(test):
    """A hypothesis test that also sees every hostile text."""
    for text in HOSTILE:
        test = example(text)(test)
    return test


class Reader(HTMLParser):
    """What a parser of HTML makes of a page, character references resolved."""

    def __init__(self):
        super().__init__(convert_charrefs=True)
        self.tags, self.attributes, self.text = Counter(), [], []

    def handle_starttag(self, tag, attrs):
        self.tags[tag] += 1
        self.attributes += attrs

    def handle_data(self, data):
        self.text.append(data)

    def handle_comment(self, data):
        self.tags["comment"] += 1

    handle_decl = unknown_decl = handle_pi = handle_comment


def read(markup):
    reader = Reader()
    reader.feed(str(markup))
    reader.close()
    return reader


def hostile_rows():
    """Two settings; every name and text is hostile."""
    everything = " ".join(HOSTILE)
    for i, text in enumerate(HOSTILE):
        pieces = [{"text": text, "forced": bool(i % 2)}, {"text": text, "forced": not i % 2}]
        names = {"task": everything, "method": everything, "question": text, "gold": text, "extracted": text}
        common = {"problem": text, "sample": 0, "answer_tokens": 2, "total_tokens": 9, "answer": text}
        plain = {"setting": everything, "thinking_tokens": 9, "correct": bool(i % 2), "ended": "natural"}
        cut = {
            "setting": f"cap {everything}",
            "thinking_tokens": 7,
            "max_thinking_tokens": 7,
            "correct": True,
            "ended": "cut",
        }
        for setting in (plain, cut):
            yield Row(**common, **names, **setting, transcript=pieces)
