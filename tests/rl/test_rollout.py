"""What TRL's trainer makes of rollouts under budgets: its loss knows nothing of what the model did not choose."""

from __future__ import annotations

import pytest
import torch

pytest.importorskip("trl")

from grpo_runs import inputs_of, trainer_of

from s1_hf import Budget
from s1_hf.rl.budgets import Drawn
from s1_hf.rl.rollout import FIELDS, BudgetRollout

WAITS = Drawn(max_thinking_tokens=(8, 40), num_ignores=(0, 1))


class Kept(BudgetRollout):
    """Remembers what it told."""

    def __call__(self, prompts, trainer):
        self.told = super().__call__(prompts, trainer)
        return self.told


@pytest.fixture(scope="module")
def rollout() -> Kept:
    return Kept(WAITS)


@pytest.fixture(scope="module")
def trainer(rollout, tmp_path_factory):
    return trainer_of(rollout, tmp_path_factory.mktemp("grpo"))


@pytest.fixture(scope="module")
def batch(trainer):
    inputs = inputs_of(trainer)
    inputs["advantages"] = torch.tensor([1.0, -1.0, 0.5, -0.5])  # whatever was right
    return inputs


def loss_of(trainer, batch, logps: torch.Tensor) -> torch.Tensor:
    """TRL's own loss for these log-probabilities of the model."""
    trainer._get_per_token_logps_and_entropies = lambda *args, **kwargs: (logps, torch.zeros_like(logps), None)
    try:
        return trainer._compute_loss(trainer.model, batch)
    finally:
        del trainer._get_per_token_logps_and_entropies


@pytest.mark.parametrize("loss_type", ["grpo", "dapo", "dr_grpo", "bnpo", "cispo"])
@pytest.mark.parametrize("beta", [0.0, 0.1])
def test_the_loss_has_no_gradient_where_a_token_was_forced_and_does_not_depend_on_it(trainer, batch, loss_type, beta):
    trainer.loss_type, trainer.beta = loss_type, beta
    given = {**batch, "ref_per_token_logps": torch.full(batch["completion_ids"].shape, -1.0)}
    out = (batch["tool_mask"] * batch["completion_mask"]) == 0
    torch.manual_seed(0)
    logps = (-torch.rand(out.shape)).requires_grad_()
    given["old_per_token_logps"] = logps.detach() - 0.01
    loss = loss_of(trainer, given, logps)
    loss.backward()
    assert out.any() and bool((logps.grad[out] == 0).all())
    assert bool((logps.grad[~out] != 0).any())
    changed = logps.detach().masked_fill(out, -7.0)
    assert torch.equal(loss_of(trainer, given, changed), loss.detach())
    trainer.loss_type, trainer.beta = "dapo", 0.0


def test_masks_stand_beside_their_tokens_through_padding(rollout, batch):
    told = rollout.told
    lengths = [len(ids) for ids in told["completion_ids"]]
    assert len(set(lengths)) > 1
    for r, length in enumerate(lengths):
        assert batch["completion_ids"][r, :length].tolist() == told["completion_ids"][r]
        assert batch["tool_mask"][r, :length].tolist() == told["env_mask"][r]
        assert batch["completion_mask"][r].tolist() == [1] * length + [0] * (max(lengths) - length)
        assert len(told["logprobs"][r]) == length


def test_log_probabilities_are_the_models_own_where_it_chose(trainer, rollout, batch):
    """TRL's own pass over the padded batch gives the same, where a place is in the loss, up to what was moved there."""
    ids = torch.cat([batch["prompt_ids"], batch["completion_ids"]], dim=1)
    mask = torch.cat([batch["prompt_mask"], batch["completion_mask"]], dim=1)
    with torch.no_grad():
        own, _, _ = trainer._get_per_token_logps_and_entropies(
            trainer.model, ids, mask, batch["completion_ids"].shape[1]
        )
    kept = (batch["tool_mask"] * batch["completion_mask"]) == 1
    ours = batch["sampling_per_token_logps"]
    assert float((own - ours)[kept].abs().max()) < 0.011  # log(1 - 0.01), and rounding
    assert float((own - ours)[kept].abs().median()) < 1e-4


def test_rewards_are_given_every_field(trainer, rollout):
    assert set(FIELDS) < rollout.told.keys() and all(len(rollout.told[name]) == 4 for name in FIELDS)


@pytest.mark.parametrize("masks_truncated", [False, True])
def test_rows_that_the_length_cut_keep_their_masks(tmp_path, masks_truncated):
    rollout = Kept(Budget())
    trainer = trainer_of(rollout, tmp_path, max_completion_length=12, mask_truncated_completions=masks_truncated)
    inputs = inputs_of(trainer)
    assert set(rollout.told["ended"]) == {"unfinished"} and inputs["completion_ids"].shape[1] == 12
    opening = len(["x", "x"])  # <|im_start|> and think
    assert inputs["tool_mask"][:, :opening].sum() == 0
    assert bool((inputs["tool_mask"][:, opening:] == (0 if masks_truncated else 1)).all())


def test_a_prompts_completions_share_a_budget_that_follows_from_seed_and_step(tmp_path):
    def caps(**fields) -> tuple[list, list]:
        rollout = Kept(Drawn(max_thinking_tokens=(1, 50)))
        trainer = trainer_of(rollout, tmp_path, **fields)
        prompts = [trainer.train_dataset[i // 2]["prompt"] for i in range(4)]
        trainer.state.global_step = 5
        first = rollout(prompts, trainer)
        second = rollout(prompts, trainer)
        return first, second

    one, again = caps(), caps()
    assert one[0] == again[0] and one[1] == again[1]  # every token too
    limits = one[0]["max_thinking_tokens"]
    assert limits[0] == limits[1] and limits[2] == limits[3] and limits[0] != limits[2]
    assert one[1]["max_thinking_tokens"] != limits  # another rollout of the same step
    assert caps(seed=4)[0]["max_thinking_tokens"] != limits


def test_evaluation_has_its_own_number_of_completions(tmp_path):
    rollout = Kept(Drawn(max_thinking_tokens=(1, 50)))
    trainer = trainer_of(rollout, tmp_path, num_generations_eval=4, per_device_eval_batch_size=4)
    metrics = trainer.evaluate(trainer.eval_dataset.select([0]))
    assert 0 <= metrics["eval_reward"] <= 1
    assert len(set(rollout.told["max_thinking_tokens"])) == 1


def test_the_model_is_left_as_it_was(tmp_path):
    rollout = Kept(Budget(max_thinking_tokens=4))
    trainer = trainer_of(rollout, tmp_path)
    before = trainer.model.generation_config.to_dict()
    trainer.model.train()
    inputs_of(trainer)
    assert trainer.model.training and trainer.model.generation_config.to_dict() == before


@pytest.mark.parametrize(
    ("fields", "columns", "message"),
    [
        ({"generation_kwargs": {"min_new_tokens": 3}}, {}, "`generation_kwargs` has to be empty"),
        ({"repetition_penalty": 1.2}, {}, "`repetition_penalty` has to be 1"),
        ({"use_transformers_continuous_batching": True}, {}, "would not be used"),
        ({}, {"ended": ["x"] * 4}, r"columns \['ended'\].*rename"),
    ],
)
def test_a_trainer_in_which_budgets_could_not_act_is_refused(tmp_path, fields, columns, message):
    trainer = trainer_of(BudgetRollout(Budget(max_thinking_tokens=4)), tmp_path, columns, **fields)
    with pytest.raises(ValueError, match=message):
        inputs_of(trainer)


def test_a_prompt_without_tokens_is_refused(tmp_path):
    with pytest.raises(ValueError, match="A prompt has no tokens"):
        inputs_of(trainer_of(BudgetRollout(Budget()), tmp_path, {"prompt": [""] * 4}))


def test_what_does_not_fit_is_said_in_the_trainers_words(tmp_path):
    with pytest.raises(ValueError, match="`max_completion_length` of TRL"):
        inputs_of(trainer_of(BudgetRollout(Budget(min_thinking_tokens=99)), tmp_path, max_completion_length=30))


def test_vllm_is_refused_with_the_reason(tmp_path):
    """It cannot be installed beside TRL here: the trainer is told afterwards."""
    trainer = trainer_of(BudgetRollout(Budget(max_thinking_tokens=4)), tmp_path)
    trainer.args.use_vllm = True
    with pytest.raises(ValueError, match="`use_vllm` has to be off: TRL starts vLLM itself"):
        inputs_of(trainer)


@pytest.mark.parametrize(
    ("budget", "message"),
    [
        (Budget(max_thinking_tokens=[1, 2]), "one value for each field"),
        (Budget(max_thinking_tokens="auto"), "but is 'auto'"),
        (Budget(num_ignores=1, wait_text=None), "`wait_text` has to be a text"),
    ],
)
def test_budgets_that_cannot_be_followed_are_refused_at_once(budget, message):
    with pytest.raises(ValueError, match=message):
        BudgetRollout(budget)


def test_what_is_no_budget_is_refused(tmp_path):
    with pytest.raises(TypeError, match="has to be a Budget"):
        BudgetRollout("64")
    with pytest.raises(ValueError, match="`tolerance` has to be a number"):
        BudgetRollout(Budget(), tolerance=1.5)
    trainer = trainer_of(BudgetRollout(lambda random: 64), tmp_path)
    with pytest.raises(TypeError, match="A budget has to be drawn, but 64 was"):
        inputs_of(trainer)
