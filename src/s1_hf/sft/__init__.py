"""Supervised fine-tuning as in the paper (section 4.1), by TRL's `SFTTrainer`. Needs the `train` extra.

    python -m s1_hf.sft recipes/sft.yaml [--field value ...]

`recipe` reads the YAML, `data` makes tokens and labels, `guards` and `checking` refuse a run that would be wasted,
`run` trains, `saving` writes the result, and `launch` starts all of it on a machine.
"""
