"""Reinforcement learning under a thinking budget, with TRL's `GRPOTrainer`: docs/reinforcement.md. Needs extra `train`.

`rollout` generates under budgets and says which tokens belong in the loss; `places` follows the rows by the rules,
`law` has the probabilities with which they were drawn; `rewards` are those of the literature. Recipes are those of
`s1_hf.sft`, with `prepare` and `job` in place of what is fine-tuning's own.
"""
