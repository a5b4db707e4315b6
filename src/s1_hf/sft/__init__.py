"""Supervised fine-tuning as in the paper (section 4.1), by TRL's `SFTTrainer`. Needs the `train` extra.

    python -m s1_hf.sft recipes/sft.yaml [--field value ...]

`recipe` reads the YAML, `data` makes tokens and labels, `guards` refuses what would waste the run, `run` trains,
`launch` starts it on a machine.
"""
