"""What goes through a reward model, what is kept, and what is refused."""

from __future__ import annotations

import random
from dataclasses import replace

import pytest
import torch
from transformers import (
    BertConfig,
    BertForTokenClassification,
    Qwen2ForSequenceClassification,
    Qwen2ForTokenClassification,
)

from reward_models import CARD, QUESTION, Counted, card, tiny, tiny_llama, toy_prm_tokenizer
from s1_hf.engines.request import digest
from s1_hf.scoring import Candidate, RewardModel, ScoringCost, reward_model
from s1_hf.scoring.conventions import TRL
from s1_hf.scoring.heads import Qwen2ForPrmModel, Qwen2ForProcessRewardModel
from toys import byte_tokenizer


def scorer(**options):
    tokenizer = byte_tokenizer([], words=[])
    model = tiny(Qwen2ForTokenClassification, len(tokenizer), num_labels=2)
    return RewardModel(model, tokenizer, TRL("\n"), **options)


def tokens_of(*texts):
    return sum(len(text.encode()) for text in texts)  # a byte a token


def grown(rows=12, seed=0):
    """The candidates of a search: rounds in which some rows are dropped, some doubled and all grow by a step."""
    rng = random.Random(seed)
    live = [Candidate(QUESTION if r % 2 else "1 + 1?", [f"begin {r % 3}"]) for r in range(rows)]
    for number in range(4):
        yield live
        chosen = rng.choices(live, k=rows)
        live = [replace(one, steps=[*one.steps, f"step {number} {rng.randrange(2)}"]) for one in chosen]
    yield [replace(one, answer=f"{rng.randrange(3)}") for one in live]


def test_a_search_counts_exactly_the_tokens_that_go_through_the_model():
    found, total = scorer(batch_size=5), ScoringCost()
    with Counted(found.model) as counted:
        for candidates in grown():
            total += found.scores(candidates).cost
    assert counted.calls > 1
    assert (total.tokens, total.tokens + total.padding_tokens) == (counted.tokens, counted.places)
    assert total.padding_tokens > 0


def test_uncached_tokens_are_those_of_a_fresh_scorer_for_every_candidate():
    found, total, alone = scorer(), ScoringCost(), 0
    for candidates in grown(rows=3):
        total += found.scores(candidates).cost
        for one in candidates:
            fresh = scorer()
            with Counted(fresh.model) as counted:
                fresh.scores([one])
            alone += counted.tokens
    assert total.uncached_tokens == alone > total.tokens


def test_scores_are_those_of_candidates_scored_alone():
    found = scorer(batch_size=3)
    for candidates in grown(rows=4):
        for values, one in zip(found.scores(candidates).values, candidates, strict=True):
            assert values == pytest.approx(scorer().scores([one]).values[0], rel=1e-4)
            assert len(values) == len(one.parts)


def test_what_was_scored_is_not_scored_again_and_keeps_its_number():
    found = scorer()
    first = found.scores([card()])
    again = found.scores([card(), card(steps=CARD[:2])])
    assert again.values == [first.values[0], first.values[0][:2]]
    assert again.cost.tokens == again.cost.padding_tokens == 0
    assert first.cost.tokens == tokens_of(QUESTION, *CARD) + 3


def test_a_new_step_costs_its_prefix_and_itself():
    found = scorer()
    found.scores([card(steps=CARD[:2])])
    assert found.scores([card()]).cost.tokens == tokens_of(QUESTION, *CARD) + 3


def test_equal_and_shorter_candidates_of_one_call_share_a_run():
    cost = scorer().scores([card(steps=CARD[:1]), card(), card(), card(steps=CARD[:2])]).cost
    assert cost.tokens == tokens_of(QUESTION, *CARD) + 3
    assert cost.padding_tokens == 0


def test_the_same_step_behind_another_question_is_another_step():
    found = scorer()
    (one,), (other,) = found.scores([Candidate("1 + 1?", ["2"]), Candidate("1 + 2?", ["2"])]).values
    assert one != other


def test_the_end_of_a_chat_does_not_go_through_the_model():
    tokenizer = toy_prm_tokenizer()
    found = RewardModel(tiny(Qwen2ForProcessRewardModel, len(tokenizer)), tokenizer, "qwen")
    ids, reads = found.convention.encode(tokenizer, card())
    assert found.scores([card()]).cost.tokens == reads[-1] + 1 < len(ids)


def test_no_candidates_cost_nothing():
    assert scorer().scores([]) == ([], ScoringCost())


def test_of_more_scores_than_are_kept_the_oldest_are_forgotten(monkeypatch):
    monkeypatch.setattr(reward_model, "KEPT", 3)
    found = scorer()
    before = found.scores([card()]).values
    assert found.scores([Candidate("1 + 1?", ["2", "2"])]).cost.tokens
    assert len(found._kept) == 3
    assert found.scores([card()]).cost.tokens
    assert found.scores([card()]).values[0] == pytest.approx(before[0], rel=1e-4)


def test_an_identity_tells_weights_conventions_and_tokenizers_apart():
    one = scorer()
    others = [scorer(), scorer(), scorer()]
    with torch.no_grad():
        others[0].model.score.weight[0, 0] += 1
    others[1] = RewardModel(one.model, one.tokenizer, TRL("\n\n"))
    others[2] = RewardModel(one.model, byte_tokenizer([], pad="<|p|>"), TRL("\n"))
    assert len({digest(found.identity) for found in (one, scorer(), *others)}) == 4
    assert one.identity["convention"] == {"name": "trl", "separator": "\n"}


# -- what is refused --------------------------------------------------------------------------------------------------


def test_what_does_not_fit_into_the_context_is_refused_before_anything_is_run():
    found = scorer()
    with Counted(found.model) as counted, pytest.raises(ValueError, match="takes 523 tokens.* context of 512"):
        found.scores([card(), Candidate("?", ["x" * 521])])
    assert counted.calls == 0


def test_numbers_that_are_not_finite_are_refused():
    found = scorer()
    torch.nn.init.constant_(found.model.score.weight, torch.inf)
    with pytest.raises(FloatingPointError, match="not finite"):
        found.scores([card()])
    assert not found._kept


@pytest.mark.parametrize(
    ("model", "convention", "message"),
    [
        (lambda n: tiny(Qwen2ForTokenClassification, n, num_labels=3), TRL("\n"), "with 2 labels, but this one has 3"),
        (
            lambda n: tiny(Qwen2ForSequenceClassification, n, num_labels=2),
            "outcome",
            "with 1 label, but this",
        ),
        (tiny_llama, TRL("\n"), "this one is a LlamaForCausalLM"),
        (lambda n: tiny(Qwen2ForTokenClassification, n, num_labels=2), "rlhflow", "is a Qwen2ForTokenClassification"),
    ],
)
def test_a_convention_refuses_a_model_that_it_cannot_read(model, convention, message):
    tokenizer = byte_tokenizer([])
    with pytest.raises(ValueError, match=message):
        RewardModel(model(len(tokenizer)), tokenizer, convention)


def test_a_model_that_looks_ahead_is_no_process_reward_model():
    config = BertConfig(
        vocab_size=300, hidden_size=16, num_hidden_layers=1, num_attention_heads=2, intermediate_size=16, num_labels=2
    )
    with pytest.raises(ValueError, match="looks at later tokens"):
        RewardModel(BertForTokenClassification(config).eval(), byte_tokenizer([]), TRL("\n"))


def test_a_model_in_training_mode_is_refused():
    found = scorer()
    with pytest.raises(ValueError, match="training mode"):
        RewardModel(found.model.train(), found.tokenizer, TRL("\n"))


@pytest.mark.parametrize("size", [0, -1, 1.5, True])
def test_a_batch_size_has_to_be_positive(size):
    with pytest.raises(ValueError, match="`batch_size`"):
        scorer(batch_size=size)


# -- loading ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("cls", "convention"), [(Qwen2ForProcessRewardModel, "qwen"), (Qwen2ForPrmModel, "skywork")])
def test_models_with_code_of_their_own_are_loaded_without_running_it(tmp_path, cls, convention):
    tokenizer = byte_tokenizer(["<|im_start|>", "<extra_0>"], bos_token="<|im_start|>")
    model = tiny(cls, len(tokenizer), auto_map={"AutoModel": "modeling_rm.Own"})
    model.save_pretrained(tmp_path)
    tokenizer.save_pretrained(tmp_path)
    (tmp_path / "modeling_rm.py").write_text("raise SystemExit('run')")
    loaded = RewardModel.load(str(tmp_path))
    assert loaded.convention.name == convention
    assert loaded.scores([card()]).values == RewardModel(model, tokenizer, convention).scores([card()]).values


def test_weights_that_lack_the_head_are_refused(tmp_path):
    tokenizer = byte_tokenizer([])
    tiny_llama(len(tokenizer)).save_pretrained(tmp_path)
    tokenizer.save_pretrained(tmp_path)
    with pytest.raises(ValueError, match="lacks score.bias, score.weight, which the convention 'trl' reads"):
        RewardModel.load(str(tmp_path), TRL("\n"))
    with pytest.raises(ValueError, match="reads a head that 'LlamaForCausalLM' does not have"):
        RewardModel.load(str(tmp_path), "skywork")
