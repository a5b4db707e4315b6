"""The prompt lists every domain, and replies are read strictly."""

import pytest

pytest.importorskip("datasets")


from s1_hf.curate.msc import DOMAINS, domain_of, instruction


def test_replies_are_read_by_their_last_line():
    assert domain_of("It is about primes.\n\n **11** ") == "Number theory"
    assert domain_of("51: geometry.") == "Geometry" and domain_of("c") == "Chemistry"
    assert domain_of("51: Number theory") is None and domain_of("number theory") is None and domain_of("") is None


def test_the_model_is_shown_every_code():
    assert all(f"\n{code}: {name}" in instruction() for code, name in DOMAINS.items())
