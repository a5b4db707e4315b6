"""Secrets are hidden in all forms in which a server or a library repeats them; nothing else is."""

from base64 import b64encode, urlsafe_b64encode
from urllib.parse import quote, quote_plus

import pytest

from s1_hf.secrets import (
    is_secret,
    login_of,
    shown_address,
    without_login,
    without_secret_arguments,
    without_secret_values,
    without_secrets,
)

SECRET = "pä/ss+w?rd@1>>"


@pytest.mark.parametrize("before", ["", "a", "user:", "Bearer "])
@pytest.mark.parametrize("encode", [b64encode, urlsafe_b64encode])
def test_base64_of_a_text_with_the_secret_does_not_give_it_away(before, encode):
    """A character of base64 has 6 bits; at most the first and the last of the secret's bytes are cut."""
    said = encode(f"{before}{SECRET}".encode()).decode()
    shown = without_secrets(f"it is {said} !", [SECRET])
    assert shown.startswith("it is ") and shown.endswith(" !") and "***" in shown
    assert len(shown) <= len("it is *** !") + len(b64encode(before.encode())) + 3


@pytest.mark.parametrize("spelled", [SECRET, quote(SECRET), quote(SECRET, safe=""), quote_plus(SECRET)])
def test_a_secret_is_hidden_as_it_is_and_as_an_address_has_it(spelled):
    assert without_secrets(f"<{spelled}>", [None, SECRET]) == "<***>"


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("at http://user:pw@host:1/v1.", "at http://***@host:1/v1."),
        ("https://KEY@host and HTTPS://a:b@c@host", "https://***@host and HTTPS://***@host"),
        ("https://host/?api_key=abc&n=1&access_token=d#x", "https://host/?api_key=***&n=1&access_token=***#x"),
        ("https://host/?key=abc", "https://host/?key=***"),
        ("http://user:p/w@host/v1 http://host:80/a@b", "http://***@host/v1 http://host:80/a@b"),
        ("mail me@host, see http://host/@name?q=a@b", "mail me@host, see http://host/@name?q=a@b"),
        ("http://host/v1?max_tokens=8&monkey=1", "http://host/v1?max_tokens=8&monkey=1"),
    ],
)
def test_addresses_keep_all_but_their_secrets(text, shown):
    assert without_secrets(text) == shown
    assert without_secrets(shown) == shown


def test_secrets_of_the_environment_are_hidden(monkeypatch):
    monkeypatch.setenv("HF_TOKEN", "hf_planted")
    monkeypatch.setenv("SOME_LOGIN_KEY", "key_planted")
    monkeypatch.setenv("SHORT_TOKEN", "data")  # stands in too many words
    monkeypatch.setenv("TOKENIZERS_PARALLELISM", "false_false")
    assert without_secrets("hf_planted key_planted data false_false") == "*** *** data false_false"


@pytest.mark.parametrize("name", ["api_key", "hub_token", "--hub-token", "PGPASSWORD", "AWS_SECRET_ACCESS_KEY"])
def test_names_of_secrets_are_known(name):
    assert is_secret(name)


@pytest.mark.parametrize("name", ["answer_key", "eos_token", "padding_token", "max_new_tokens", "--tokenizer", "key"])
def test_names_of_other_things_are_left_alone(name):
    assert not is_secret(name)


def test_arguments_and_values_of_such_names_go_whole():
    given = ["--token=abc", "--api-key", "x y", "--seed", "0", "--input", "http://u:p@h/x"]
    shown = ["--token=***", "--api-key", "***", "--seed", "0", "--input", "http://***@h/x"]
    assert without_secret_arguments(given) == shown
    facts = {"a": [{"hub_token": "abc"}], "pad_token": "abc", "url": "http://u:p@h", "token": None, "n": 1}
    clean = {"a": [{"hub_token": "***"}], "pad_token": "abc", "url": "http://***@h", "token": None, "n": 1}
    assert without_secret_values(facts) == clean


@pytest.mark.parametrize(
    ("address", "login", "rest"),
    [
        ("http://host/v1", None, "http://host/v1"),
        ("http://user:p%40ss@host/v1", ("user", "p@ss"), "http://host/v1"),
        ("https://key@host", ("key", ""), "https://host"),
        ("http://:pw@host", ("", "pw"), "http://host"),
    ],
)
def test_a_login_is_read_out_of_an_address(address, login, rest):
    assert (login_of(address), without_login(address)) == (login, rest)


def test_an_address_that_has_lost_its_beginning_is_not_quoted_with_its_login():
    assert shown_address("user:pw@host/v1") == "***@host/v1"


@pytest.mark.parametrize("piece", ["a", "ab:/", "ab://c:", "?_", "?a-", "http://a:b", "&password"])
def test_a_long_text_is_searched_in_linear_time(piece):
    """A quadratic search of a megabyte would take minutes."""
    text = piece * (1_000_000 // len(piece))
    assert without_secrets(text) == text


@pytest.mark.parametrize("name", ["PWD", "OLDPWD", "max_thinking_tokens"])
def test_what_is_no_secret_is_shown(name, monkeypatch):
    monkeypatch.setenv(name, "/home/somebody/results")
    assert without_secrets("/home/somebody/results does not exist") == "/home/somebody/results does not exist"
