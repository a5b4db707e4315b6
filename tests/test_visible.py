"""Visible text is left unchanged; characters that would hide or reorder it are spelled out."""

import io

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hostile import ANY_TEXT, all_examples
from s1_hf.visible import VisibleStream, visible


@all_examples
@given(ANY_TEXT)
def test_visible_text_can_be_encoded_and_is_not_changed_again(text):
    shown = visible(text)
    shown.encode("utf-8")
    assert visible(shown) == shown
    assert not set(shown) & {*map(chr, range(9)), "\r", "\x1b", "\u202e", "\u2066", "\ud800", "\uffff"}


@pytest.mark.parametrize("text", ["plain\n\ttext", "äßλ 思考 🙂", "👩\u200d🔬", "שלום", "x\u0301"])
def test_visible_text_is_left_unchanged(text):
    assert visible(text) == text


class Terminal(io.TextIOWrapper):
    def __init__(self, encoding="utf-8"):
        super().__init__(io.BytesIO(), encoding=encoding, write_through=True, newline="\n")

    def isatty(self):
        return True

    @property
    def shown(self):
        return self.buffer.getvalue().decode(self.encoding)


@given(st.lists(ANY_TEXT | st.sampled_from(["\x1b", "[", "3", "1m", "\x1b]0;t", "\x07", "\x1b[3", "A", "\r", " \r"])))
def test_no_sequence_gets_through_however_it_is_cut(pieces):
    for has_progress in (False, True):
        terminal = Terminal()
        stream = VisibleStream(terminal, has_progress)
        stream.writelines(pieces)
        allowed = {"\n", "\t"} | ({"\r"} if has_progress else set())
        assert not [c for c in terminal.shown if c not in allowed and visible(c) != c]


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("\x1b[1;31mred\x1b[0m\n", "red\n"),
        ("\n\x1b[A", "\n"),
        ("\r 50%|", "\r 50%|"),
        ("\r      \r", "\r      \r"),
        ("a\rb", "a⟨U+000D⟩b"),
        ("\r\x1b]0;t\x07", "\r⟨U+001B⟩]0;t⟨U+0007⟩"),
    ],
)
def test_colours_are_left_out_and_progress_bars_return(text, shown):
    terminal = Terminal()
    VisibleStream(terminal, has_progress=True).write(text)
    assert terminal.shown == shown


def test_only_what_shows_progress_may_return():
    terminal = Terminal()
    VisibleStream(terminal).write("\ra")
    assert terminal.shown == "⟨U+000D⟩a"


def test_a_terminal_that_lacks_a_character_gets_an_escape():
    terminal = Terminal("latin-1")
    VisibleStream(terminal).write("ä\x9b")
    assert terminal.shown == "ä\\u27e8U+009B\\u27e9"


def test_bytes_and_everything_else_of_the_stream_are_there():
    terminal = Terminal()
    stream = VisibleStream(terminal)
    for byte in "思\x1b".encode():
        stream.buffer.write(bytes([byte]))
    assert terminal.shown == "思⟨U+001B⟩"
    assert (stream.isatty(), stream.encoding, stream.errors) == (True, "utf-8", "strict")
    assert stream.buffer.getvalue() == terminal.buffer.getvalue()
    with pytest.raises(TypeError):
        stream.write(b"bytes")
