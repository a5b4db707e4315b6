"""An evaluation by our model class and by lighteval's own transformers backend: the same prompts and tokens.

Each measurement is a process of its own, so that peak memory is its own, and the two ways take turns.
"""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import torch
from transformers import GenerationConfig, Qwen2Config, Qwen2ForCausalLM

from reporting import Row, table
from s1_hf.embedded import MODEL_PATH
from s1_hf.embedded.problems import held_out_sample
from stand_ins import make_tokenizer

WAYS = ("lighteval", "s1-hf")
HALF_BILLION = {  # the shape of Qwen2.5-0.5B
    "hidden_size": 896,
    "intermediate_size": 4864,
    "num_hidden_layers": 24,
    "num_attention_heads": 14,
    "num_key_value_heads": 2,
    "tie_word_embeddings": True,
}


@dataclass(frozen=True)
class Case:
    """What is generated. `shape` is of a random model; without it, it is the embedded one."""

    name: str
    device: str
    dtype: str
    prompts: int
    batch_size: int
    max_new_tokens: int
    repeats: int
    shape: dict[str, Any] | None = None
    vocabulary: int = 0


def cases(quick: bool) -> list[Case]:
    if quick:
        tiny = {"hidden_size": 64, "intermediate_size": 128, "num_attention_heads": 2, "num_key_value_heads": 1}
        return [
            Case("embedded, 0.8 M parameters", "cpu", "float32", 4, 2, 200, 1),
            Case("random, tiny", "cpu", "float32", 2, 2, 8, 1, tiny | {"num_hidden_layers": 2}, 1000),
        ]
    half = (HALF_BILLION, 151_936)
    chosen = [
        Case("embedded, 0.8 M parameters", "cpu", "float32", 200, 50, 300, 3),
        Case("random, 0.5 B parameters", "cpu", "float32", 4, 4, 48, 2, *half),
    ]
    if torch.cuda.is_available():
        chosen.append(Case("random, 0.5 B parameters", "cuda", "bfloat16", 16, 16, 4096, 2, *half))
    return chosen


def run(quick: bool) -> tuple[list[Row], list[str]]:
    rows = []
    for case in cases(quick):
        with TemporaryDirectory() as folder:
            model = _folder(case, Path(folder))
            found: dict[str, list[Row]] = {way: [] for way in WAYS}
            for _ in range(case.repeats):
                for way in WAYS:
                    found[way].append(_in_a_process(case, way, model, folder))
        texts = {json.dumps(measured.pop("tokens")) for way in WAYS for measured in found[way]}
        assert len(texts) == 1, f"{case.name}: the two ways wrote different tokens"
        for way in WAYS:
            best = min(found[way], key=lambda measured: measured["seconds"])
            rows.append(asdict(case) | {"way": way} | best)
    notes = ["Both ways wrote the same tokens in every row."]
    if not torch.cuda.is_available():
        notes.append("On a GPU: not run, there is none here.")
    return rows, notes


def tables(rows: list[Row]) -> list[str]:
    shown = [
        {
            "model": row["name"],
            "device": row["device"],
            "backend": row["way"],
            "B": row["batch_size"],
            "generated tokens": row["generated_tokens"],
            "seconds": row["seconds"],
            "CPU seconds": row["cpu_seconds"],
            "tokens/s": row["generated_tokens"] / row["seconds"],
            "before generating, MB": row["memory_before_mb"],
            "peak, MB": row["memory_peak_mb"],
        }
        for row in rows
    ]
    return [table(shown)]


# -- in a process of its own ----------------------------------------------------------------------------------------


def _in_a_process(case: Case, way: str, model: str, folder: str) -> Row:
    source = os.pathsep.join([str(Path(__file__).parents[1] / "src"), os.environ.get("PYTHONPATH", "")])
    offline = {"HF_HUB_OFFLINE": "1", "PYTHONPATH": source}
    if case.device == "cpu":
        offline["CUDA_VISIBLE_DEVICES"] = ""
    arguments = [sys.executable, __file__, json.dumps(asdict(case)), way, model, folder]
    done = subprocess.run(arguments, capture_output=True, text=True, env=os.environ | offline)
    if done.returncode:
        raise RuntimeError(done.stderr)
    return json.loads(done.stdout.splitlines()[-1])


def _measure(case: Case, way: str, model: str, folder: str) -> Row:
    backend = (_ours if way == "s1-hf" else _lightevals)(case, model, folder)
    docs = _docs(case)
    backend.greedy_until(docs[:1])  # ours reads the weights only now, and keeps the answer:
    for doc in docs:
        doc.task_name = "b|0"  # so that it is asked for anew
    before = _memory(case.device, anew=True)
    start, cpu = time.perf_counter(), time.process_time()
    responses = backend.greedy_until(docs)
    seconds, cpu = time.perf_counter() - start, time.process_time() - cpu
    tokens = [_until_end([int(i) for i in response.output_tokens[0]], backend) for response in responses]
    return {
        "generated_tokens": sum(map(len, tokens)),
        "seconds": seconds,
        "cpu_seconds": cpu,
        "memory_before_mb": before,
        "memory_peak_mb": _memory(case.device),
        "tokens": tokens,
    }


def _ours(case: Case, model: str, folder: str) -> Any:
    from s1_hf.evaluation import BudgetForcingConfig, BudgetForcingModel

    settings = {"dtype": case.dtype, "batch_size": case.batch_size, "cache_dir": f"{folder}/{time.time_ns()}"}
    return BudgetForcingModel(BudgetForcingConfig(model_name=model, num_ignores=0, **settings))


def _lightevals(case: Case, model: str, folder: str) -> Any:
    from lighteval.models.transformers.transformers_model import TransformersModel, TransformersModelConfig

    settings = {"dtype": case.dtype, "batch_size": case.batch_size, "cache_dir": folder}
    theirs = TransformersModel(TransformersModelConfig(model_name=model, **settings))
    theirs._cache = None
    return theirs


def _docs(case: Case) -> list[Any]:
    from lighteval.tasks.requests import Doc

    questions = [problem.question for problem in held_out_sample(case.prompts, seed=0)]
    prompt = "{}" if case.shape is None else "<|im_start|>{}<think>"
    return [
        Doc(prompt.format(q), [], 0, id=str(i), task_name="a|0", generation_size=case.max_new_tokens, stop_sequences=[])
        for i, q in enumerate(questions)
    ]


def _until_end(ids: list[int], backend: Any) -> list[int]:
    end = backend.tokenizer.eos_token_id
    return ids[: ids.index(end) + 1] if end in ids else ids


def _memory(device: str, *, anew: bool = False) -> float:
    """Peak in MB since it was last asked for `anew`: of the process, or of what torch has allocated on the GPU."""
    if device == "cuda":
        if anew:
            torch.cuda.reset_peak_memory_stats()
        return torch.cuda.max_memory_allocated() / 2**20
    if not Path("/proc/self/clear_refs").exists():
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**10  # since the process began
    if anew:
        Path("/proc/self/clear_refs").write_text("5")  # the kernel sets the peak to what is resident now
    (line,) = [line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmHWM")]
    return int(line.split()[1]) / 2**10


def _folder(case: Case, folder: Path) -> str:
    """The embedded model's folder as lighteval's backend can run it, or a random model's."""
    if case.shape is None:
        return str(MODEL_PATH)
    tokenizer = make_tokenizer(case.vocabulary)
    config = Qwen2Config(vocab_size=case.vocabulary, **case.shape)
    torch.manual_seed(0)
    model = Qwen2ForCausalLM(config).to(torch.bfloat16)
    ends = {"eos_token_id": tokenizer.eos_token_id, "pad_token_id": tokenizer.pad_token_id}
    model.generation_config = GenerationConfig(**ends)
    for part in (model, tokenizer):
        part.save_pretrained(folder / "model")
    return str(folder / "model")


if __name__ == "__main__":
    given, *rest = sys.argv[1:]
    print(json.dumps(_measure(Case(**json.loads(given)), *rest)))
