"""Training of a tiny model, sharded or not; a module of its own, because spawned processes import it."""

from pathlib import Path
from types import SimpleNamespace

import torch
import torch.distributed as dist
from accelerate.utils import FullyShardedDataParallelPlugin
from accelerate.utils.fsdp_utils import fsdp2_prepare_auto_wrap_policy
from torch.distributed.checkpoint.state_dict import StateDictOptions, get_model_state_dict
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import FSDPModule, fully_shard
from torch.distributed.tensor import DTensor
from transformers import Qwen2Config, Qwen2ForCausalLM

STEPS, RANKS = 5, 2


def tiny_model() -> Qwen2ForCausalLM:
    torch.manual_seed(0)
    config = Qwen2Config(
        vocab_size=64, hidden_size=16, intermediate_size=32, num_hidden_layers=3, num_attention_heads=2,
        num_key_value_heads=1, tie_word_embeddings=False, attn_implementation="sdpa",
    )  # fmt: skip
    return Qwen2ForCausalLM(config)


def batches() -> torch.Tensor:
    return torch.randint(64, (STEPS, 4, 12), generator=torch.Generator().manual_seed(1))


def wrapped_by_accelerate(model) -> list[str]:
    """The modules that the machines' `TRANSFORMER_BASED_WRAP` turns into separate units."""
    plugin = FullyShardedDataParallelPlugin(fsdp_version=2, auto_wrap_policy="transformer_based_wrap")
    plugin.set_auto_wrap_policy(model)
    policy = fsdp2_prepare_auto_wrap_policy(plugin, model)
    return [name for name, module in model.named_modules() if name and policy(module)]


def train_steps(model, rows: torch.Tensor) -> list[float]:
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-2, betas=(0.9, 0.95), weight_decay=1e-4)
    losses = []
    for batch in rows:
        loss = model(input_ids=batch, labels=batch).loss
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()
        losses.append(loss.item())
    return losses


def sharded(rank: int, folder: str) -> None:
    """One process: half of every batch, half of every weight."""
    torch.set_num_threads(1)
    dist.init_process_group("gloo", init_method=f"file://{folder}/rendezvous", rank=rank, world_size=RANKS)
    mesh = init_device_mesh("cpu", (RANKS,))
    model = tiny_model()
    for name in wrapped_by_accelerate(model):
        fully_shard(model.get_submodule(name), mesh=mesh)
    fully_shard(model, mesh=mesh)
    units = [name for name, module in model.named_modules() if isinstance(module, FSDPModule)]
    held = sum(p.to_local().numel() for p in model.parameters())
    whole = all(isinstance(p, DTensor) for p in model.parameters())
    losses = train_steps(model, batches()[:, rank::RANKS])
    mean = torch.tensor(losses)
    dist.all_reduce(mean)
    weights = {name: p.full_tensor().detach() for name, p in model.named_parameters()}
    if rank == 0:
        result = {"units": units, "held": held, "whole": whole, "losses": mean / RANKS, "weights": weights}
        torch.save(result, f"{folder}/result.pt")
    save_merged(rank, mesh, Path(folder))
    dist.destroy_process_group()


class Killed(Exception):
    """In the place of a kill."""


def save_merged(rank: int, mesh, folder: Path) -> None:
    """Save an adapter of a sharded model, merged, after kills of the main process at several points of it."""
    from peft import LoraConfig, get_peft_model

    from s1_hf import embedded
    from s1_hf.sft import saving
    from s1_hf.sft.recipe import SFT
    from s1_hf.sft.vocabulary import NewTokens

    base, tokenizer = embedded.load_base()
    model = get_peft_model(base, LoraConfig(r=4, target_modules="all-linear", task_type="CAUSAL_LM"))
    with torch.no_grad():
        for name, weight in model.named_parameters():
            if "lora_B" in name:
                weight.normal_(std=0.05, generator=torch.Generator().manual_seed(0))
    for layer in model.base_model.model.model.layers:
        fully_shard(layer, mesh=mesh)
    fully_shard(model, mesh=mesh)
    options = StateDictOptions(full_state_dict=True, cpu_offload=True)
    args = SimpleNamespace(output_dir=str(folder / "lora"), should_save=rank == 0, world_size=RANKS, seed=0)
    args.per_device_train_batch_size = args.gradient_accumulation_steps = 1
    trainer = SimpleNamespace(
        args=args, model=model, save_state=lambda: None, state=SimpleNamespace(log_history=[], global_step=1),
        accelerator=SimpleNamespace(get_state_dict=lambda model: get_model_state_dict(model, options=options)),
    )  # fmt: skip
    run = SimpleNamespace(
        model_args=SimpleNamespace(use_peft=True, model_name_or_path=str(embedded.BASE_PATH)),
        data=SimpleNamespace(merge_adapter=True, save_dtype="float32"),
        prepared=SimpleNamespace(
            tokenizer=tokenizer,
            source={},
            rows=[1],
            thinking_format=SimpleNamespace(start_text="a", close_text="b"),
            new_tokens=NewTokens(),
            about="fine-tuned",
        ),
        recipe=SimpleNamespace(path=Path("x.yaml"), given={}, kind=SFT),
    )
    for place, name in ((saving, "_save_merged"), (saving, "_save_model"), (saving.AutoConfig, "from_pretrained")):
        kept = getattr(place, name)
        setattr(place, name, _killed)
        try:
            saving.save(trainer, run)
            assert rank != 0
        except Killed:
            assert rank == 0
        setattr(place, name, kept)
    saving.save(trainer, run)


def _killed(*args, **kwargs):
    raise Killed
