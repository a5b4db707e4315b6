"""What both engines refuse that have vLLM run a model; their own tests run them."""

from __future__ import annotations

from dataclasses import replace

import pytest

from lamp_requests import Steers
from s1_hf.engines.in_vllm import check_fits, check_supported
from s1_hf.engines.request import Request
from s1_hf.forcing.confidence import Confidence
from s1_hf.forcing.pauses import Begun, Pause

REQUEST = Request(prompt=(1, 2, 3), max_new_tokens=7, problem="p")


def test_a_request_may_fill_the_context():
    check_fits(REQUEST, 10, "model")
    with pytest.raises(ValueError, match=r"and the prompt \(3 tokens\) have to fit into the model's context of 9, but"):
        check_fits(REQUEST, 9, "model")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"repetition_penalty": 1.1}, "`repetition_penalty` cannot be combined with budgets in vLLM"),
        ({"steering": Steers()}, "Steers steers rows by a processor of transformers, which a server cannot run"),
        ({"pause": Pause("\n"), "give_up_after": 5}, "can neither be given up nor be steered"),
        ({"pause": Pause("-" * 65)}, "`separator` has to be at most 32 characters for a server, but has 65"),
        (
            {"confidence": Confidence(1, window=2**17, below=1.0)},
            "`window` has to be at most 65,536 tokens",
        ),
        ({"begun": Begun((1,) * 7, (False,) * 7, (0,) * 7)}, "has to be more than the 7 tokens"),
    ],
)
def test_what_cannot_be_asked_of_vllm_is_refused(change, message):
    check_supported(REQUEST, "a server")
    with pytest.raises(ValueError, match=message):
        check_supported(replace(REQUEST, **change), "a server")
