"""The end of a run: save a complete model folder, with a card that says how it was made."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path
from statistics import fmean
from typing import TYPE_CHECKING

import torch
import yaml
from huggingface_hub import ModelCard, ModelCardData
from transformers import AutoConfig, AutoModelForCausalLM

from s1_hf.files import write_text
from s1_hf.secrets import without_secret_values
from s1_hf.sft.journal import versions
from s1_hf.sft.trainer import NotFinite, not_finite
from s1_hf.sft.vocabulary import give_rows

if TYPE_CHECKING:
    from transformers import PreTrainedConfig, PreTrainedModel
    from trl import SFTTrainer

    from s1_hf.sft.checking import Run

_TRAINED = ("lora_", "trainable_tokens_delta", "modules_to_save")  # in the names of an adapter's weights
_CARD = """---
{front}
---

# {name}

{base} {about} It thinks between
`{start}` and `{close}`; s1-hf can shorten or extend that thinking.

| | |
|---|---|
{facts}

## Recipe

The fields set by `{recipe}` or on the command line; all others have the defaults of the versions above.

```yaml
{settings}
```
"""


def save(trainer: SFTTrainer, run: Run) -> None:
    """Save weights (for LoRA, the adapter), config, generation config, tokenizer, chat template and card.

    Every process has to call this: sharded weights are gathered on the main process, in host memory. What follows is
    that process's work alone.

    Raises:
        NotFinite: a weight is not; nothing is written.
    """
    folder, model = Path(trainer.args.output_dir), trainer.model
    weights = trainer.accelerator.get_state_dict(model)
    trainer.save_state()
    if not trainer.args.should_save:
        return
    if run.model_args.use_peft:
        _refuse_not_finite({name: weight for name, weight in weights.items() if any(map(name.__contains__, _TRAINED))})
        # An adapter has the rows of new tokens; where embeddings have grown, PEFT would put all others beside them.
        whole = False if run.prepared.new_tokens.rows else "auto"
        model.save_pretrained(folder, state_dict=weights, save_embedding_layers=whole)
        del weights  # of the base as well
        if run.data.merge_adapter:
            _save_merged(model.config, folder, run)
    else:
        _save_model(model, weights, folder, run)
    run.prepared.tokenizer.save_pretrained(folder)
    write_text(folder / "README.md", str(ModelCard(card(trainer, run))))
    _draw(trainer.state.log_history, folder / "training.png")


def card(trainer: SFTTrainer, run: Run) -> str:
    """The model card: recipe, data, versions, seed, processes, steps and loss."""
    source, history = run.prepared.source, trainer.state.log_history
    losses = [entry["loss"] for entry in history if "loss" in entry]
    base = str(run.model_args.model_name_or_path)
    commit = getattr(trainer.model.config, "_commit_hash", None)
    thinking = run.prepared.thinking_format
    facts = {
        "base model": f"`{base}`" + (f", commit `{commit}`" if commit else ""),
        "data": ", ".join(f"{key} `{value}`" for key, value in source.items() if value is not None),
        "rows, optimizer steps": f"{len(run.prepared.rows):,}, {trainer.state.global_step:,}",
        "processes x batch x accumulation": f"{trainer.args.world_size} x {trainer.args.per_device_train_batch_size} x "
        f"{trainer.args.gradient_accumulation_steps}",
        "loss": f"mean of logged values {fmean(losses):.4f}, last {losses[-1]:.4f}" if losses else "not logged",
        "seed": str(trainer.args.seed),
        "versions": ", ".join(f"{name} {number}" for name, number in versions().items()),
    }
    front = ModelCardData(
        base_model=None if Path(base).is_dir() else base,
        library_name="peft" if run.model_args.use_peft else "transformers",
        pipeline_tag="text-generation",
        tags=["s1-hf", "trl", run.recipe.kind.module.rpartition(".")[2], "test-time-scaling"],
    )
    return _CARD.format(
        front=front.to_yaml(),
        name=Path(trainer.args.output_dir).name,
        base=f"[{base}](https://huggingface.co/{base})" if not Path(base).is_dir() else f"`{base}`",
        about=run.prepared.about,
        start=thinking.start_text,
        close=thinking.close_text,
        facts="\n".join(f"| {name} | {value} |" for name, value in facts.items()),
        recipe=run.recipe.path.name,
        settings=yaml.safe_dump(without_secret_values(run.recipe.given), sort_keys=False).strip(),
    )


def _draw(log_history: list[dict[str, float]], path: Path) -> None:
    if find_spec("matplotlib") is None or not any("loss" in entry for entry in log_history):
        return
    from s1_hf.plots.style import forget_own_settings
    from s1_hf.plots.training import save_training

    forget_own_settings()
    save_training(log_history, path)


def _save_merged(config: PreTrainedConfig, folder: Path, run: Run) -> None:
    """The base, read anew, with the adapter in `folder` merged: the model in training may be sharded or quantised."""
    from peft import PeftModel

    base = AutoModelForCausalLM.from_pretrained(
        run.model_args.model_name_or_path,
        revision=getattr(config, "_commit_hash", None) or "main",
        dtype=config.dtype,
        trust_remote_code=run.recipe.given.get("trust_remote_code", False),
    )
    give_rows(base, run.prepared.new_tokens)
    merged = PeftModel.from_pretrained(base, folder).merge_and_unload()
    _save_model(merged, merged.state_dict(), folder / "merged", run)


def _refuse_not_finite(weights: dict[str, torch.Tensor]) -> None:
    if strange := not_finite(weights):
        raise NotFinite(f"{len(strange):,} weights are not finite at its end, such as {strange[0]}")


def _save_model(model: PreTrainedModel, weights: dict[str, torch.Tensor], folder: Path, run: Run) -> None:
    _refuse_not_finite(weights)
    dtype = getattr(torch, run.data.save_dtype)
    weights = {name: tensor.to(dtype) for name, tensor in weights.items()}
    if beyond := not_finite(weights):
        raise NotFinite(
            f"{len(beyond):,} weights are too large for `save_dtype` {run.data.save_dtype}, such as {beyond[0]}"
        )
    for name, source in model.all_tied_weights_keys.items():
        weights[name] = weights[source]  # tied again, so that the tensor is written once
    model.save_pretrained(folder, state_dict=weights)
    run.prepared.tokenizer.save_pretrained(folder)
    config = AutoConfig.from_pretrained(folder)
    config.dtype, config.use_cache = run.data.save_dtype, True  # the trainer sets float32 and no cache
    config.save_pretrained(folder)
