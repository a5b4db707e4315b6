"""What is put to the test: an engine with a model, and the reference of that model, which uses no cache."""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import torch

from s1_hf import embedded
from s1_hf.conformance.cases import delimiters_of, setting
from s1_hf.conformance.comparing import Reference
from s1_hf.conformance.models import LAW_WORDS, biases, random_transformer, saved, table_model
from s1_hf.conformance.reference import Delimiters
from s1_hf.engines.checkpoint import Checkpoint
from s1_hf.engines.engine import Engine
from s1_hf.engines.plain_config import ends_of
from s1_hf.engines.request import Request
from s1_hf.engines.transformers_engine import TransformersEngine
from s1_hf.engines.vllm_engine import VllmEngine
from s1_hf.forcing.families import Family
from s1_hf.generation.chats import Completion

if TYPE_CHECKING:
    from transformers import PreTrainedModel

    from s1_hf.forcing.budget import Budget
    from s1_hf.forcing.formats import ThinkingFormat

EngineName = Literal["transformers", "vllm"]

_TF32 = 2.0**-10
_CONTEXT = 512  # tokens: what tiny models have
_TINY = {"gpu_memory_utilization": 0.3, "enforce_eager": True}
"""Options of vLLM for models of kilobytes."""

TIGHT: Mapping[str, Any] = {
    "block_size": 32, "num_gpu_blocks_override": 8, "max_num_batched_tokens": 24, "max_num_seqs": 16,
    "enable_chunked_prefill": True, "disable_log_stats": False, "max_model_len": 192,
}  # fmt: skip
"""Options of vLLM with which requests are preempted, their prompts are read in chunks, and they change places."""


@dataclass(frozen=True)
class Machine:
    """Where everything runs.

    Args:
        engine (`str`): `"transformers"` or `"vllm"`.
        device (`torch.device`): of models of transformers; vLLM chooses by itself.
        dtype (`str`): of the weights, such as `"bfloat16"`.
        attn_implementation (`str`, *optional*): of transformers; its own choice by default.
        folder (`Path`): for tiny models, which vLLM reads from the disk.
    """

    engine: EngineName
    device: torch.device
    dtype: str
    attn_implementation: str | None
    folder: Path


@dataclass
class Subject:
    """An engine with a model, and what its rows are compared with."""

    name: str
    engine: Engine
    reference: Reference
    batches: list[int] = field(default_factory=list)  # the sizes of all batches that the model has seen

    def run(self, requests: Sequence[Request]) -> list[Completion]:
        """The completions, in the order of the requests."""
        done: dict[str, Completion] = {}
        for batch in self.engine.run(requests, _no_progress):
            done.update({finished.request.key: finished.completion for finished in batch})
        return [done[request.key] for request in requests]

    def sweep(self, requests: Sequence[Request], settings: Sequence[Budget]) -> list[list[Completion]]:
        """The completions under each setting, `completions[s][r]`."""
        found: list[dict[str, Completion]] = [{} for _ in settings]
        for batch in self.engine.sweep(requests, settings, _no_progress):
            for of_setting, finished in zip(found, batch.of_settings, strict=True):
                of_setting.update({one.request.problem: one.completion for one in finished})
        return [[of_setting[request.problem] for request in requests] for of_setting in found]

    def close(self) -> None:
        """Shut vLLM down, so that another engine can be built, or the reference can read the weights."""
        if isinstance(self.engine, VllmEngine):
            self.engine.forget_weights()


def _no_progress(rows: int) -> None:
    pass


def table_subject(machine: Machine, family: str, seed: int) -> Subject:
    """A model of tables, in transformers."""
    tokenizer, fmt, delimiters = setting(family)
    model: Any = table_model(family, seed, biases(family))
    model.to(machine.device, getattr(torch, machine.dtype))
    engine = TransformersEngine(model, tokenizer, format=fmt)
    reference = Reference(model.next_logits, delimiters, tokenizer, torch.finfo(model.dtype).eps)
    return Subject(f"tables, {family}", engine, reference)


def random_subject(machine: Machine, family: str, seed: int, *, tight: bool = False) -> Subject:
    """A tiny random transformer, in vLLM perhaps with so little room that requests are preempted."""
    model = random_transformer(family, seed, biases(family))
    options = {**_TINY, **(TIGHT if tight else {})}
    return _tiny(f"random transformer, {family}", machine, machine.dtype, family, model, 4, options)


def law_subject(machine: Machine, seed: int, batch_size: int = 1000) -> Subject:
    """A tiny random transformer of three words and two ends, in float32, so that its law can be enumerated."""
    model = random_transformer("opened", seed, biases("opened", LAW_WORDS, ends=0.5))
    return _tiny("few words", machine, "float32", "opened", model, batch_size, _TINY)


def _tiny(
    name: str, machine: Machine, dtype: str, family: str, model: Any, batch_size: int, options: Mapping[str, Any]
) -> Subject:
    tokenizer, fmt, delimiters = setting(family)
    engine: Any
    if machine.engine == "vllm":
        folder = machine.folder / name.replace(" ", "-").replace(",", "")
        checkpoint = saved(family, model, folder)
        own = {"max_model_len": _CONTEXT, **options}
        engine = VllmEngine(checkpoint, format=fmt, batch_size=batch_size, dtype=dtype, options=own)
    _placed(model, machine, dtype)
    if machine.engine == "transformers":
        engine = TransformersEngine(model, tokenizer, format=fmt, batch_size=batch_size)
    return Subject(name, engine, _reference(model, machine, delimiters, tokenizer, is_tiny=True))


def embedded_subject(machine: Machine, batch_size: int = 24) -> Subject:
    """The toy model that ships with the package."""
    model: Any
    model, tokenizer = embedded.load()
    engine: Any
    if machine.engine == "vllm":
        options = {**_TINY, "max_model_len": _CONTEXT}
        checkpoint = Checkpoint.find("embedded")
        engine = VllmEngine(checkpoint, batch_size=batch_size, dtype=machine.dtype, options=options)
    _placed(model, machine, machine.dtype)
    if machine.engine == "transformers":
        engine = TransformersEngine(model, tokenizer, batch_size=batch_size)
    delimiters = delimiters_for(tokenizer, engine.format, ends_of(tokenizer, model.generation_config))
    subject = Subject("embedded", engine, _reference(model, machine, delimiters, tokenizer, is_tiny=True))
    _watch(model, subject)
    return subject


def model_subject(
    machine: Machine,
    checkpoint: Checkpoint,
    fmt: ThinkingFormat | None,
    options: Mapping[str, Any],
    batch_size: int = 4,
) -> Subject:
    """A model by its name. In vLLM the reference reads the weights when the engine has been closed."""
    loading: dict[str, Any] = {"device": machine.device, "dtype": machine.dtype}
    loading["attn_implementation"] = machine.attn_implementation
    engine: Any
    if machine.engine == "vllm":
        engine = VllmEngine(checkpoint, format=fmt, batch_size=batch_size, dtype=machine.dtype, options=options)
    else:
        engine = TransformersEngine.from_checkpoint(checkpoint, loading=loading, format=fmt, batch_size=batch_size)
    loaded: list[PreTrainedModel] = []

    def model() -> Any:
        if machine.engine == "transformers":
            return engine.model
        if not loaded:
            loaded.append(checkpoint.load(**loading))
        return loaded[0]

    ends = ends_of(checkpoint.tokenizer, checkpoint.generation_config)
    delimiters = delimiters_for(checkpoint.tokenizer, engine.format, ends)
    precision = _precision(machine, checkpoint.config.dtype if machine.dtype == "auto" else machine.dtype)
    reference = Reference(
        lambda ids: _alone(model(), ids),
        delimiters,
        checkpoint.tokenizer,
        precision,
        [lambda ids: _beside_another(model(), ids)],
    )
    return Subject(Path(checkpoint.base).name, engine, reference)


def delimiters_for(tokenizer: Any, fmt: ThinkingFormat, ends: Sequence[int]) -> Delimiters:
    """The contract's words for a format on a tokenizer."""
    family = Family(
        start=fmt.start_text,
        close=fmt.close_text,
        answer_start=fmt.answer_start_text,
        force_start=fmt.force_start,
        models=fmt.name,
        source="the tokenizer",
    )
    handovers = [i for i in ends if i in fmt.handovers]
    return delimiters_of(
        tokenizer,
        family,
        turn=list(fmt.turn),
        eos=list(ends),
        handovers=handovers,
        plain=fmt.plain,
        interleaved=fmt.interleaved,
    )


def preemptions(subject: Subject) -> int:
    """How often vLLM has preempted requests of an engine built with [`TIGHT`]."""
    engine: Any = subject.engine
    return sum(int(one.value) for one in engine.llm.get_metrics() if one.name == "vllm:num_preemptions")


# -- scores ---------------------------------------------------------------------------------------------------------


def _placed(model: Any, machine: Machine, dtype: str) -> None:
    model.to(machine.device, getattr(torch, dtype))
    if machine.attn_implementation is not None:
        model.set_attn_implementation(machine.attn_implementation)


def _reference(model: Any, machine: Machine, delimiters: Delimiters, tokenizer: Any, is_tiny: bool) -> Reference:
    ways = [lambda ids: _beside_another(model, ids)]
    if is_tiny and model.dtype not in (torch.float32, torch.float64):
        precise = copy.deepcopy(model).float()
        ways.append(lambda ids: _alone(precise, ids))
    precision = _precision(machine, model.dtype)
    return Reference(lambda ids: _alone(model, ids), delimiters, tokenizer, precision, ways)


@torch.no_grad()
def _alone(model: Any, ids: Sequence[int]) -> torch.Tensor:
    """The scores behind a row, by itself and without a cache."""
    row = torch.tensor([list(ids)], device=model.device)
    scores: torch.Tensor = model(input_ids=row, attention_mask=torch.ones_like(row), use_cache=False).logits[0, -1]
    return scores


@torch.no_grad()
def _beside_another(model: Any, ids: Sequence[int]) -> torch.Tensor:
    """The same scores, of a row that is padded on the left beside a longer one."""
    rows = torch.tensor([[*ids[:3], *ids], [0, 0, 0, *ids]], device=model.device)
    mask = torch.ones_like(rows)
    mask[1, :3] = 0
    places = (mask.cumsum(-1) - 1).clamp(min=0)
    found = model(input_ids=rows, attention_mask=mask, position_ids=places, use_cache=False)
    scores: torch.Tensor = found.logits[1, -1]
    return scores


def _precision(machine: Machine, dtype: Any) -> float:
    """The relative rounding of scores: the dtype's, or TF32's where a GPU may compute float32 with it."""
    if isinstance(dtype, str):
        dtype = getattr(torch, dtype)
    is_rough = machine.engine == "vllm" or torch.get_float32_matmul_precision() != "highest"
    if dtype == torch.float32 and machine.device.type == "cuda" and is_rough:
        return _TF32
    return max(torch.finfo(dtype or torch.float32).eps, 1e-5)


def _watch(model: Any, subject: Subject) -> None:
    """Keep the size of every batch that goes through a model."""

    def note(module: Any, args: Any, kwargs: Any) -> None:
        ids = kwargs.get("input_ids", args[0] if args else None)
        if ids is not None:
            subject.batches.append(len(ids))

    model.register_forward_pre_hook(note, with_kwargs=True)
