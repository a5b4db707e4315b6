"""What `generate` makes of a call before it decodes; nothing is computed by the model."""

from __future__ import annotations

import pytest
from transformers import MaxLengthCriteria

from s1_hf import Budget
from s1_hf.forcing.collect import stacked
from s1_hf.generation.generate import forcing_arguments
from s1_hf.generation.preparing import Prepared
from s1_hf.generation.running import Call, Row
from toys import Untouched, toy_model, toy_tokenizer

PROMPTS = [[5, 6, 7], [8]]


@pytest.fixture
def prepared():
    tokenizer = toy_tokenizer("s1")
    model = Untouched(toy_model(len(tokenizer)).config)
    arguments = forcing_arguments(
        model, tokenizer, stacked([Budget(max_thinking_tokens=4)] * 2), format="s1", max_new_tokens=20, do_sample=False
    )
    return Prepared.of(model, Call(arguments), PROMPTS)


def test_prompts_are_padded_and_every_row_has_a_length_of_its_own(prepared):
    pad = prepared.config.pad_token_id
    assert prepared.ids.tolist() == [[5, 6, 7], [pad, pad, 8]]
    assert prepared.carried["attention_mask"].tolist() == [[1, 1, 1], [0, 0, 1]]
    assert prepared.most == 20 and not any(isinstance(one, MaxLengthCriteria) for one in prepared.criteria)
    assert prepared.call.processor in prepared.processors and prepared.call.criterion in prepared.criteria


def test_repeated_prompts_are_read_once(prepared):
    twice = prepared.repeated([1, 0, 1])
    assert twice.ids.tolist() == [prepared.ids[i].tolist() for i in (1, 0, 1)]
    assert twice.twins.read.tolist() == prepared.ids.tolist() and twice.twins.places.tolist() == [1, 0, 1]
    assert twice.carried is prepared.carried


def test_rows_that_have_got_something_may_get_so_much_less(prepared):
    rows = [Row(0, Budget()), Row(1, Budget(), forced=(False,) * 6)]
    other = Call(dict(prepared.call.arguments))
    batch = prepared.batch(rows, other, prepared.ids, prepared.carried)
    assert batch.start == 3 and batch.limits == [23, 17] and batch.unfinished.all()
    assert other.processor in batch.processors
