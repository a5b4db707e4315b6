"""A page is what was built: every text comes back as text, and no text becomes an element."""

import base64
import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hostile import ANY_TEXT, all_examples, read
from s1_hf.reporting.html import element, page, picture
from s1_hf.visible import visible

MARKUP = st.text(alphabet="<>&\"'=/!-#;x \n\0", max_size=60)


@all_examples
@given(ANY_TEXT | MARKUP)
def test_any_text_comes_back_as_text_and_adds_no_element(text):
    found = read(element("div", element("mark", text), text))
    assert found.tags == {"div": 1, "mark": 1} and found.attributes == []
    assert "".join(found.text) == 2 * visible(text)


@all_examples
@given(ANY_TEXT | MARKUP)
def test_any_attribute_comes_back_as_it_was_and_stays_one(text):
    found = read(element("div", class_=text))
    assert found.tags == {"div": 1} and found.attributes == [("class", visible(text))]


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


def test_the_policy_allows_only_the_pages_own_style_and_pictures():
    css = "p { color: red; }"
    digest = base64.b64encode(hashlib.sha256(css.encode()).digest()).decode()
    found = read(page("t", css, picture(b"<svg/>", "a drawing")))
    (policy,) = [value for name, value in found.attributes if name == "content" and "default-src" in value]
    assert policy == (
        f"default-src 'none'; style-src 'sha256-{digest}'; img-src data:; base-uri 'none'; form-action 'none'"
    )
