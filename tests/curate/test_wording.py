"""Spellings of one question have one wording; other questions have another."""

import pytest

from s1_hf.curate.wording import wording


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("Find $x$.", "FIND X"),
        (r"Compute $\frac{1}{2}$", "Compute 1/2"),
        (r"Compute $\dfrac12$", r"Compute \(\frac{1}{2}\)"),
        (r"$\frac" "\n" r"13$", r"$\frac{1}{3}$"),
        ("$1,000$ men", r"1{,}000 men"),
        (r"$10,\!000$", "10000"),
        (r"$x \leq y$", "x ≤ y"),
        ("x <= y", r"\[x \leqslant y\]"),
        ("x^{2} - 1", "x² − 1"),
        ("$99^2$", "99²"),
        ("3½", r"$3 \frac{1}{2}$"),
        (r"$60^\circ$", "60 degrees"),
        (r"$\theta \cdot \pi$", "θ × π"),
        (r"$\left( \text{if } a \right)$", "(if a)"),
        ("a two-digit number", "a two digit number"),
        ("Hint!", "hint"),
        ("It -- or this — is a word - with a dash", "it or this is a word with a dash"),
        ("\ufeffFind\u00a0the “angle”\u200b", 'Find the "angle"'),
        ("Ｆｉｎｄ　ｘ", "Find x"),
        ("naïve", "naive"),
        ("x\n- 1", "x - 1"),
        ("<p>If x &lt; 3 &amp; x&nbsp;> 2,<br/>find <b>all</b> x.</p>", "If x < 3 & x > 2, find all x."),
        ("**Question.**\n> Find *all* x.\n> * one", "Question. Find all x. one"),
        ("Find x. [asy] draw((0,0)); [/asy] Then y.", "Find x. ![Image](https://a.b/c.png) Then y."),
        (r"\begin{align*} a &= b \\ c &= d \end{align*}", "a = b, c = d"),
        (r"\begin{array}{cl} 1 & 2 \end{array}", "1 2"),
    ],
)
def test_spelling_does_not_count(one, other):
    assert wording(one).tokens == wording(other).tokens != []


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("5 - 3", "5 + 3"),
        ("x - y", "x y"),
        ("2*3", "2 3"),
        ("2 * 3", "2 3"),
        ("a <b and c> d", "a d"),
        ("2.5", "25"),
        ("7!", "7"),
        ("99²", "992"),
        ("x < y", "x > y"),
        ("x <= y", "x < y"),
        ("1 2", "12"),
        ("20%", "20"),
        (r"\sin x", r"\cos x"),
        (r"\sqrt{2}", "2"),
    ],
)
def test_what_is_asked_counts(one, other):
    assert wording(one).tokens != wording(other).tokens


def test_a_character_is_a_word_where_words_have_no_spaces():
    assert wording("求和，设x=2。").tokens == ["求", "和", "设", "x", "=", "2"]


def test_sentences_lines_and_formulas_end_where_they_end():
    found = wording("Problem 7. Find x:\n$$x = 2.5$$ now")
    assert [found.tokens[at] for at in sorted(found.breaks)[:-1]] == ["problem", "find", "x", "now"]


def test_an_unfinished_drawing_hides_no_question():
    assert wording("[asy] Find x.").tokens == ["find", "x"]


@pytest.mark.parametrize(
    "text", ["![", "![a](", r"\begin{", "[asy]", "frac 1", "1,", "$", "-a", "½", "̸", "&", "<p ", "*"]
)
def test_a_hostile_question_takes_a_time_that_grows_with_its_length(text):
    """A pattern that tries twice would take minutes here."""
    assert wording(text * 50_000).breaks >= {0}
