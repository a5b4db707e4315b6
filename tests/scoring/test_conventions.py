"""Every convention beside a slow reference that follows its model's card line by line, one candidate at a time."""

from __future__ import annotations

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from transformers import Qwen2ForSequenceClassification, Qwen2ForTokenClassification

from reward_models import (
    CARD,
    QUESTION,
    QWEN_SYSTEM,
    card,
    llama_tokenizer,
    mistral_tokenizer,
    qwen_prm_tokenizer,
    tiny,
    tiny_llama,
    toy_prm_tokenizer,
)
from s1_hf.scoring import Candidate, RewardModel
from s1_hf.scoring.conventions import TRL, MathShepherd, Outcome, Qwen
from s1_hf.scoring.heads import Qwen2ForPrmModel, Qwen2ForProcessRewardModel
from shared_data import needs_shared, qwen
from toys import byte_tokenizer

CANDIDATES = [card(), card(steps=CARD[:1]), card(answer="30"), Candidate("1 + 1?", ["", "It is 2."], "2")]


def assert_equal(scorer, reference):
    """Batched and one by one the numbers are those of the reference."""
    for scored in (scorer.scores(CANDIDATES).values, scorer.scores(CANDIDATES[::-1]).values[::-1]):
        for values, one in zip(scored, CANDIDATES, strict=True):
            expected = reference(one)
            assert len(values) == len(expected)
            np.testing.assert_allclose(values, expected, rtol=2e-4, atol=2e-6)


# -- Qwen2.5-Math-PRM -------------------------------------------------------------------------------------------------


def make_step_rewards(logits, token_masks):
    probabilities = F.softmax(logits, dim=-1) * token_masks.unsqueeze(-1)
    found = []
    for sample in probabilities:
        found.append(sample[sample != 0].view(-1, 2)[:, 1].tolist())
    return found


def qwen_card(model, tokenizer, candidate, system):
    messages = [{"role": "system", "content": system}] if system else []
    messages += [
        {"role": "user", "content": candidate.question},
        {"role": "assistant", "content": "<extra_0>".join(candidate.parts) + "<extra_0>"},
    ]
    text = tokenizer.apply_chat_template(messages, tokenize=False, add_generation_prompt=False)
    input_ids = tokenizer.encode(text, return_tensors="pt")
    with torch.no_grad():
        logits = model(input_ids=input_ids)[0]
    return make_step_rewards(logits, input_ids == tokenizer.encode("<extra_0>")[0])[0]


@needs_shared
@pytest.mark.parametrize("system", [QWEN_SYSTEM, None])
def test_qwen_is_as_its_card_has_it_on_the_real_tokenizer(system):
    tokenizer = qwen_prm_tokenizer()
    model = tiny(Qwen2ForProcessRewardModel, 152064)
    scorer = RewardModel(model, tokenizer, Qwen(system_prompt=system), batch_size=3)
    assert_equal(scorer, lambda one: qwen_card(model, tokenizer, one, system))


def test_a_mark_that_a_model_wrote_itself_is_no_step():
    tokenizer = toy_prm_tokenizer()
    scorer = RewardModel(tiny(Qwen2ForProcessRewardModel, len(tokenizer)), tokenizer, "qwen")
    ((first, second),) = scorer.scores([card(steps=["So <extra_0> it", "is 2."])]).values
    assert 0 < first < 1 and 0 < second < 1
    ids = scorer.convention.encode(tokenizer, card(steps=["So <extra_0> it", "is 2."]))
    mark = tokenizer.convert_tokens_to_ids("<extra_0>")
    assert ids.ids.count(mark) == 3 and [ids.ids[i] for i in ids.reads] == [mark, mark]


def test_a_system_prompt_of_the_question_is_kept():
    tokenizer = toy_prm_tokenizer()
    chat = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": QUESTION}]
    text = tokenizer.decode(Qwen().encode(tokenizer, card(question=chat)).ids)
    assert "Be brief." in text and QWEN_SYSTEM not in text


@needs_shared
def test_a_tokenizer_without_the_mark_is_refused():
    with pytest.raises(ValueError, match="needs '<extra_0>' to be one token, but this tokenizer makes"):
        Qwen().columns(qwen("qwen2.5-instruct"))


def test_a_template_that_changes_the_reply_is_refused():
    tokenizer = byte_tokenizer(["<extra_0>"], template="{% for m in messages %}{{ m.content | upper }}{% endfor %}")
    with pytest.raises(ValueError, match="changes the reply"):
        Qwen().encode(tokenizer, card())


# -- Math-Shepherd ----------------------------------------------------------------------------------------------------


def shepherd_card(model, tokenizer, candidate):
    candidate_tokens = tokenizer.encode("+ -")[1:]
    step_tag_id = tokenizer.encode("ки")[-1]
    output = "\n".join(f"{part} ки" for part in candidate.parts)
    input_id = torch.tensor([tokenizer.encode(f"{candidate.question} {output}")])
    with torch.no_grad():
        logits = model(input_id).logits[:, :, candidate_tokens]
        scores = logits.softmax(dim=-1)[:, :, 0]
        return scores[input_id == step_tag_id].tolist()


def test_math_shepherd_is_as_its_card_has_it():
    tokenizer = mistral_tokenizer()
    model = tiny_llama(len(tokenizer))
    assert_equal(
        RewardModel(model, tokenizer, "math-shepherd", batch_size=3), lambda one: shepherd_card(model, tokenizer, one)
    )


def test_a_russian_step_does_not_add_a_step():
    tokenizer = mistral_tokenizer()
    found = MathShepherd().encode(tokenizer, card(steps=["ки ки", "2"]))
    assert len(found.reads) == 2 and found.ids.count(tokenizer.encode("ки")[-1]) == 4


def test_a_tokenizer_that_splits_the_tag_is_refused():
    tokenizer = byte_tokenizer([])
    with pytest.raises(ValueError, match="'math-shepherd' needs 'ки' to be one token"):
        RewardModel(tiny_llama(len(tokenizer)), tokenizer, "math-shepherd")


@needs_shared
def test_a_tokenizer_that_has_another_token_for_the_tag_behind_a_space_is_refused_before_anything_is_scored():
    tokenizer = qwen("qwen2.5-instruct")
    with pytest.raises(ValueError, match="has to stand after every step"):
        RewardModel(tiny_llama(len(tokenizer)), tokenizer, "math-shepherd")


# -- RLHFlow ----------------------------------------------------------------------------------------------------------


def rlhflow_code(model, tokenizer, candidate):
    candidate_tokens = [tokenizer.encode("+")[-1], tokenizer.encode("-")[-1]]
    conversation, step_scores = [], []
    for k, part in enumerate(candidate.parts):
        text = f"{candidate.question} {part}" if k == 0 else part
        conversation.append({"content": text, "role": "user"})
        conversation.append({"content": "+", "role": "assistant"})
        ids = tokenizer.apply_chat_template(conversation, return_tensors="pt", return_dict=True)["input_ids"]
        with torch.no_grad():
            logits = model(ids).logits[:, -3, candidate_tokens]
        step_scores.append(logits.softmax(dim=-1)[0, 0].item())
    return step_scores


def test_rlhflow_is_as_its_code_has_it_step_by_step():
    tokenizer = llama_tokenizer()
    model = tiny_llama(len(tokenizer))
    assert_equal(
        RewardModel(model, tokenizer, "rlhflow", batch_size=3), lambda one: rlhflow_code(model, tokenizer, one)
    )


# -- Skywork ----------------------------------------------------------------------------------------------------------


def skywork_code(model, tokenizer, candidate):
    input_ids = tokenizer.encode(tokenizer.bos_token + candidate.question + "\n")
    flags = [0] * len(input_ids)
    step_token_id = tokenizer.encode("\n")[-1]
    for step in candidate.parts:
        step_ids = (tokenizer.encode(step) if step != "" else []) + [step_token_id]
        input_ids = input_ids + step_ids
        flags += [0] * (len(step_ids) - 1) + [1]
    with torch.no_grad():
        hidden = model.model(torch.tensor([input_ids])).last_hidden_state
        value = torch.sigmoid(model.v_head["summary"](hidden).squeeze(-1))[0]
    return [score for score, flag in zip(value.tolist(), flags, strict=True) if flag]


def test_skywork_is_as_its_code_has_it():
    tokenizer = byte_tokenizer(["<|endoftext|>"], bos_token="<|endoftext|>")
    model = tiny(Qwen2ForPrmModel, len(tokenizer), architectures=["Qwen2ForPrmModel"])
    assert_equal(RewardModel(model, tokenizer, batch_size=3), lambda one: skywork_code(model, tokenizer, one))


def test_skywork_needs_a_bos_token():
    tokenizer = byte_tokenizer([])
    with pytest.raises(ValueError, match="begins with a BOS token"):
        RewardModel(tiny(Qwen2ForPrmModel, len(tokenizer)), tokenizer, "skywork")


# -- TRL --------------------------------------------------------------------------------------------------------------


def trl_code(model, tokenizer, candidate, separator):
    ids = tokenizer(candidate.question, add_special_tokens=False)["input_ids"]
    if tokenizer.bos_token_id is not None:
        ids = [tokenizer.bos_token_id, *ids]
    separator_ids = tokenizer.encode(separator, add_special_tokens=False)
    labels = [-100] * len(ids)
    for part in candidate.parts:
        step = tokenizer(part, add_special_tokens=False)["input_ids"] + separator_ids
        ids = ids + step
        labels += [-100] * (len(step) - 1) + [1]
    with torch.no_grad():
        probabilities = model(torch.tensor([ids])).logits[0].softmax(dim=-1)[:, 1]
    return probabilities[torch.tensor(labels) == 1].tolist()


@pytest.mark.parametrize("separator", ["\n", "\n\n"])
@pytest.mark.parametrize("bos", [{}, {"bos_token": "<|im_start|>"}])
def test_trl_is_as_its_trainer_has_it(separator, bos):
    tokenizer = byte_tokenizer(["<|im_start|>"], words=["ĊĊ"], **bos)
    model = tiny(Qwen2ForTokenClassification, len(tokenizer), num_labels=2)
    scorer = RewardModel(model, tokenizer, TRL(separator), batch_size=3)
    assert_equal(scorer, lambda one: trl_code(model, tokenizer, one, separator))


# -- outcome reward models --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("sigmoid", [False, True])
@pytest.mark.parametrize("thinking", [False, True])
@pytest.mark.parametrize("pad", [0, None])
def test_an_outcome_reward_model_is_as_its_card_has_it(sigmoid, thinking, pad):
    tokenizer = byte_tokenizer(["<|im_start|>", "<|im_end|>"])
    model = tiny(Qwen2ForSequenceClassification, len(tokenizer), num_labels=1, pad_token_id=pad)
    scorer = RewardModel(model, tokenizer, Outcome(sigmoid=sigmoid, thinking=thinking), batch_size=3)
    candidates = [card(answer="30"), card(answer="It is 31, I think.", steps=CARD[:1])]
    for one, (value,) in zip(candidates, scorer.scores(candidates).values, strict=True):
        reply = "\n".join([*one.steps, one.answer]) if thinking else one.answer
        chat = [{"role": "user", "content": one.question}, {"role": "assistant", "content": reply}]
        ids = tokenizer.apply_chat_template(chat, tokenize=True, return_tensors="pt", return_dict=True)["input_ids"]
        with torch.no_grad():
            raw = model(ids).logits[0][0]
        assert value == pytest.approx((raw.sigmoid() if sigmoid else raw).item(), rel=1e-4)
    assert scorer.of_steps is False


def test_an_outcome_reward_model_refuses_what_has_no_answer():
    tokenizer = byte_tokenizer(["<|im_start|>", "<|im_end|>"])
    model = tiny(Qwen2ForSequenceClassification, len(tokenizer), num_labels=1)
    with pytest.raises(ValueError, match="1 of 2 candidates have none"):
        RewardModel(model, tokenizer, "outcome").scores([card(), card(answer="30")])
