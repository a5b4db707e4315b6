"""A page is what was built: every text comes back as text, and no text becomes an element."""

import base64
import hashlib

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from hostile import HOSTILE, read
from s1_hf.reporting.html import element, page, picture
from s1_hf.visible import visible


def all_examples(test):
    for text in HOSTILE:
        test = example(text)(test)
    return test


ANY = st.text(alphabet=st.characters(exclude_categories=()), max_size=60)  # surrogates and all
MARKUP = st.text(alphabet="<>&\"'=/!-#;x \n\0", max_size=60)


@all_examples
@given(ANY | MARKUP)
def test_any_text_comes_back_as_text_and_adds_no_element(text):
    found = read(element("div", element("mark", text), text))
    assert found.tags == {"div": 1, "mark": 1} and found.attributes == []
    assert "".join(found.text) == 2 * visible(text)


@all_examples
@given(ANY | MARKUP)
def test_any_attribute_comes_back_as_it_was_and_stays_one(text):
    found = read(element("div", class_=text))
    assert found.tags == {"div": 1} and found.attributes == [("class", visible(text))]


@all_examples
@given(ANY)
def test_what_is_visible_can_be_written_and_is_left_as_it_is_when_seen_again(text):
    shown = visible(text)
    shown.encode("utf-8")
    assert visible(shown) == shown
    assert not set(shown) & {*map(chr, range(9)), "\r", "\x1b", "\u202e", "\u2066", "\ud800", "\uffff"}


@pytest.mark.parametrize("text", ["plain\n\ttext", "äßλ 思考 🙂", "👩\u200d🔬", "שלום", "x\u0301"])
def test_text_that_can_be_seen_is_left_alone(text):
    assert visible(text) == text


@pytest.mark.parametrize(
    ("tag", "attributes"),
    [
        ("script", {}),
        ("iframe", {}),
        ("div", {"onclick": "x"}),
        ("div", {"style": "x"}),
        ("a", {"href": "javascript:alert(1)"}),
        ("a", {"href": "https://example.com"}),
        ("img", {"src": "https://example.com/x.png"}),
        ("img", {"src": "data:text/html;base64,"}),
    ],
)
def test_what_could_run_or_load_something_cannot_be_built(tag, attributes):
    with pytest.raises(ValueError):
        element(tag, **attributes)


def test_a_style_that_would_end_itself_is_refused():
    with pytest.raises(ValueError, match="must not contain '<'"):
        str(element("style", "</style><script>"))


def test_the_policy_allows_the_page_its_own_style_and_pictures_alone():
    css = "p { color: red; }"
    digest = base64.b64encode(hashlib.sha256(css.encode()).digest()).decode()
    found = read(page("t", css, picture(b"<svg/>", "a drawing")))
    (policy,) = [value for name, value in found.attributes if name == "content" and "default-src" in value]
    assert policy == (
        f"default-src 'none'; style-src 'sha256-{digest}'; img-src data:; base-uri 'none'; form-action 'none'"
    )
