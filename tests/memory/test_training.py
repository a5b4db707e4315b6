"""The settings of a fine-tune, checked, and read from a recipe."""

import pytest

from s1_hf import memory
from s1_hf.memory import Lora, Training
from s1_hf.memory.training import ALL_LINEAR


def test_settings_without_effect_or_formula_are_refused():
    with pytest.raises(ValueError, match="`optim` has to be one of .*but is lion"):
        Training(1, optimizer="lion")
    with pytest.raises(ValueError, match="`dtype` has to be bfloat16 with LoRA"):
        Training(1, lora=Lora())
    with pytest.raises(ValueError, match="`lora_target_modules` has to name some of q_proj"):
        Lora(targets=("query",))


RECIPE = {"max_length": 512, "per_device_train_batch_size": 1, "global_batch_size": 16, "gradient_checkpointing": True}
RECIPE |= {"bf16": True, "optim": "adamw_torch_fused"}


def test_a_recipe_becomes_settings():
    accumulate = {"gradient_accumulation_kwargs": {"sync_each_batch": True}}
    training = memory.training_from_recipe(RECIPE | {"accelerator_config": accumulate}, gpus=4)
    assert training == Training(512, accumulation_steps=4, sync_each_batch=True)
    low = {"use_peft": True, "lora_r": 8, "lora_target_modules": ["all-linear"], "dtype": "bfloat16"}
    training = memory.training_from_recipe(RECIPE | low, gpus=16)
    assert training == Training(512, dtype="bfloat16", lora=Lora(8, ALL_LINEAR))


def test_a_recipe_that_the_formulas_do_not_cover_is_refused_with_all_reasons():
    with pytest.raises(ValueError, match="`max_length` has to be set.*`packing` is not covered"):
        memory.training_from_recipe(RECIPE | {"max_length": None, "packing": True}, gpus=1)
