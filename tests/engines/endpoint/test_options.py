"""What is said about a server before anything is asked of it."""

from __future__ import annotations

import subprocess
import sys

import pytest

from s1_hf.engines.endpoint.options import check_options, is_address, key_in, wrong_address


@pytest.mark.parametrize(
    ("name", "is_one"),
    [("http://127.0.0.1:8000/v1", True), ("https://a", True), ("vllm", False), ("localhost:8000", False), ("", False)],
)
def test_addresses_are_told_from_engines(name, is_one):
    assert is_address(name) == is_one


@pytest.mark.parametrize(
    "address", ["localhost:8000/v1", "ftp://a/v1", "http://a/v1?key=abcdefgh", "http://a/v1#x", ""]
)
def test_what_is_no_address_is_refused(address):
    bad = wrong_address(address)
    assert bad and "abcdefgh" not in " ".join(bad)


def test_unknown_options_are_refused_and_a_key_is_sent_to_the_environment():
    check_options({"concurrency": 3, "rounds": True})
    with pytest.raises(ValueError, match="concurency.*Did you mean|concurrency"):
        check_options({"concurency": 3})
    with pytest.raises(ValueError, match="A key belongs in the environment: OPENAI_API_KEY") as raised:
        check_options({"api_key": "sk-abcdefgh"})
    assert "sk-abcdefgh" not in str(raised.value)


def test_the_key_comes_from_the_variable_that_is_named(monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", "one")
    monkeypatch.setenv("MINE", "two")
    assert (key_in(None), key_in("MINE")) == ("one", "two")
    monkeypatch.delenv("OPENAI_API_KEY")
    assert key_in(None) is None
    with pytest.raises(ValueError, match="what it names is not set") as raised:
        key_in("sk_given_by_mistake")
    assert "mistake" not in str(raised.value)


def test_they_are_light_to_import():
    check = "import sys; import s1_hf.engines.endpoint.options; print({'transformers', 'httpx'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", check], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"
