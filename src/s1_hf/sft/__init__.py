"""Supervised fine-tuning as in the paper (section 4.1), by TRL's `SFTTrainer`. Needs the `train` extra.

    python -m s1_hf.sft recipes/sft.yaml [--field value ...]

`recipe` reads the YAML, `templates` says how turns are written, `data` makes tokens and labels, `vocabulary` adds
tokens, `guards`, `packages` and `checking` refuse a run that would be wasted, `checkpoints` and `journal` say where it
resumes, `run` trains with the `trainer`, `saving` writes the result, and `launch` starts all of it on a machine.
"""
