"""Which requests share a batch, and batches that do not fit into memory."""

import pytest
import torch

from s1_hf.engines.batches import in_halves, plan_batches
from s1_hf.engines.request import Request
from s1_hf.forcing.budget import Budget


def requests_of(task: str, count: int, **fields) -> list[Request]:
    fields = {"max_new_tokens": 10} | fields
    return [Request(prompt=(0,) * (i * 7 % 5 + 1), task=task, problem=str(i), **fields) for i in range(count)]


@pytest.mark.parametrize("kept", [[], [0], [1, 2], [0, 1, 2], [3], [0, 3]])
def test_what_is_missing_is_cut_into_the_same_batches(kept):
    """If whole batches are finished, whichever they are."""
    requests = requests_of("t", 11)
    batches = plan_batches(requests, 3)
    done = {request.key for i in kept for request in batches[i]}
    left = [request for request in requests if request.key not in done]
    assert plan_batches(left, 3) == [batch for i, batch in enumerate(batches) if i not in kept]


def test_batches_are_of_one_task_and_their_prompts_alike():
    requests = [
        Request(prompt=(0,) * (i % 7 + 1), max_new_tokens=10, task=t, problem=str(i)) for t in "ab" for i in range(20)
    ]
    batches = plan_batches(requests, 8)
    assert [{request.task for request in batch} for batch in batches] == [{"a"}] * 3 + [{"b"}] * 3
    padding = sum(len(batch[0].prompt) - len(request.prompt) for batch in batches for request in batch)
    assert padding < sum(7 - len(request.prompt) for request in requests) / 3


def test_budgets_that_differ_by_row_share_a_batch_and_texts_that_differ_do_not():
    alike = [Budget(max_thinking_tokens=5), Budget(num_ignores=2), Budget(min_thinking_tokens=1)]
    requests = [Request(prompt=(0,), max_new_tokens=10, budget=budget) for budget in alike]
    assert len(plan_batches(requests, 8)) == 1
    others = [Budget(wait_text="Hmm"), Budget(answer_prefix=None), Budget(max_thinking_tokens="auto")]
    requests += [Request(prompt=(0,), max_new_tokens=10, budget=budget) for budget in others]
    assert [len(batch) for batch in plan_batches(requests, 8)] == [3, 1, 1, 1]


def test_a_batch_that_does_not_fit_is_halved_until_it_does(caplog):
    sizes = []

    def run(part):
        sizes.append(len(part))
        if len(part) > 2:
            raise torch.OutOfMemoryError
        return [request.problem for request in part]

    assert in_halves(run, requests_of("t", 7)) == [str(i) for i in range(7)]
    assert sizes == [7, 4, 2, 2, 3, 2, 1]
    assert "A batch of 7 does not fit into memory and is halved" in caplog.text


def test_a_single_row_that_does_not_fit_is_an_error():
    def run(part):
        raise torch.OutOfMemoryError

    with pytest.raises(torch.OutOfMemoryError):
        in_halves(run, requests_of("t", 2))
