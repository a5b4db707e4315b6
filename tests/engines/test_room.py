"""How much room there is for thinking."""

import pytest

from s1_hf import Budget, ThinkingFormat, embedded
from s1_hf.engines.room import check_room, room_for_thinking
from s1_hf.forcing.automaton import Automaton


@pytest.mark.parametrize("prompt", ["<|im_start|>assistant\n", "<|im_start|>assistant\n<|im_start|>think"])
@pytest.mark.parametrize("max_answer_tokens", [None, 16, 500])
def test_the_largest_cap_is_the_last_that_is_let_through(prompt, max_answer_tokens):
    _, tokenizer = embedded.load()
    fmt, ids = ThinkingFormat.from_tokenizer(tokenizer), tokenizer.encode(prompt)
    room = room_for_thinking(Automaton(tokenizer, fmt, Budget()), Budget(), ids, 300, max_answer_tokens)
    for cap in (room, room + 1):
        budget = Budget(max_thinking_tokens=cap)
        given = (Automaton(tokenizer, fmt, budget), budget, ids, 300, max_answer_tokens)
        if cap == room:
            check_room(*given, what="This", allowed="the limit allows")
        else:
            with pytest.raises(ValueError, match=f"Lower `max_thinking_tokens` to {room}."):
                check_room(*given, what="This", allowed="the limit allows")
