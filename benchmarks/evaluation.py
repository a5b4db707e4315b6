"""An evaluation by our model class and by lighteval's own transformers backend: the same prompts and tokens.

Also one whose answers are as different in length as reasoning is, with `generate` on plain batches beside the two.

Each measurement is a process of its own, so that peak memory is its own, and the two ways take turns.
"""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from types import SimpleNamespace
from typing import Any

import torch
from transformers import AutoModelForCausalLM, AutoTokenizer, GenerationConfig, Qwen2Config, Qwen2ForCausalLM

from reporting import Row, table
from s1_hf.embedded import MODEL_PATH
from s1_hf.embedded.problems import held_out_sample
from s1_hf.generation.chats import left_padded
from stand_ins import make_tokenizer

WAYS = ("lighteval", "static batches", "s1-hf")
HALF_BILLION = {  # the shape of Qwen2.5-0.5B
    "hidden_size": 896,
    "intermediate_size": 4864,
    "num_hidden_layers": 24,
    "num_attention_heads": 14,
    "num_key_value_heads": 2,
    "tie_word_embeddings": True,
}


LONG = {  # so small that a cache of thousands of slots is no burden
    "hidden_size": 32,
    "intermediate_size": 64,
    "num_hidden_layers": 4,
    "num_attention_heads": 4,
    "num_key_value_heads": 1,
    "max_position_embeddings": 2**16,
}


@dataclass(frozen=True)
class Case:
    """What is generated. `shape` is of a random model; without it, it is the embedded one.

    With a `mean_length`, answers end where a geometric distribution says, and otherwise where the model ends them.
    """

    name: str
    device: str
    dtype: str
    prompts: int
    batch_size: int
    max_new_tokens: int
    repeats: int
    shape: dict[str, Any] | None = None
    vocabulary: int = 0
    mean_length: int = 0


def cases(quick: bool) -> list[Case]:
    if quick:
        tiny = {"hidden_size": 64, "intermediate_size": 128, "num_attention_heads": 2, "num_key_value_heads": 1}
        return [
            Case("embedded, 0.8 M parameters", "cpu", "float32", 4, 2, 200, 1),
            Case("random, tiny", "cpu", "float32", 2, 2, 8, 1, tiny | {"num_hidden_layers": 2}, 1000),
            Case("random, long answers", "cpu", "float32", 12, 4, 400, 1, LONG, 300, mean_length=60),
        ]
    half = (HALF_BILLION, 151_936)
    chosen = [
        Case("embedded, 0.8 M parameters", "cpu", "float32", 200, 50, 300, 3),
        Case("random, 0.5 B parameters", "cpu", "float32", 4, 4, 48, 2, *half),
        Case("random, long answers", "cpu", "float32", 64, 16, 2**12, 1, LONG, 300, mean_length=500),
    ]
    if torch.cuda.is_available():
        chosen.append(Case("random, 0.5 B parameters", "cuda", "bfloat16", 16, 16, 4096, 2, *half))
    return chosen


def run(quick: bool) -> tuple[list[Row], list[str]]:
    rows = []
    for case in cases(quick):
        with TemporaryDirectory() as folder:
            model = _folder(case, Path(folder))
            ways = WAYS if case.mean_length else ("lighteval", "s1-hf")
            found: dict[str, list[Row]] = {way: [] for way in ways}
            for _ in range(case.repeats):
                for way in ways:
                    found[way].append(_in_a_process(case, way, model, folder))
        texts = {json.dumps(measured.pop("tokens")) for way in ways for measured in found[way]}
        assert len(texts) == 1, f"{case.name}: the ways wrote different tokens"
        for way in ways:
            best = min(found[way], key=lambda measured: measured["seconds"])
            rows.append(asdict(case) | {"way": way} | best)
    notes = ["All ways wrote the same tokens in every row."]
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
    backend = {"s1-hf": _ours, "lighteval": _lightevals, "static batches": _plain}[way](case, model, folder)
    docs = _docs(case)
    if case.mean_length:
        runner = backend.on_tasks.engine if way == "s1-hf" else backend
        runner.model.register_forward_hook(_ends_at(case, backend.tokenizer), with_kwargs=True)
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


class _plain:
    """`generate`, batch after batch."""

    def __init__(self, case: Case, model: str, folder: str) -> None:
        self._case = case
        self.tokenizer = AutoTokenizer.from_pretrained(model)
        dtype = getattr(torch, case.dtype)
        self.model = AutoModelForCausalLM.from_pretrained(model, dtype=dtype).to(case.device).eval()

    def greedy_until(self, docs: list[Any]) -> list[Any]:
        prompts = sorted((self.tokenizer.encode(doc.query) for doc in docs), key=len, reverse=True)
        responses = []
        for i in range(0, len(prompts), self._case.batch_size):
            inputs = left_padded(prompts[i : i + self._case.batch_size], self.tokenizer.pad_token_id)
            inputs = {name: tensor.to(self._case.device) for name, tensor in inputs.items()}
            ids = self.model.generate(**inputs, do_sample=False, max_new_tokens=self._case.max_new_tokens)
            responses += [SimpleNamespace(output_tokens=[row]) for row in ids[:, inputs["input_ids"].shape[1] :]]
        return responses


def _ends_at(case: Case, tokenizer: Any) -> Callable[..., None]:
    """A hook by which a row repeats the letter of its prompt until it is as long as that letter means."""
    letters = torch.tensor(tokenizer.convert_tokens_to_ids(_letters(case)), device=case.device)
    drawn = torch.distributions.Geometric(torch.tensor(1 / case.mean_length))
    torch.manual_seed(1)
    lengths = drawn.sample((len(letters),)).long().clamp(1, case.max_new_tokens - 1)
    lengths[0] = 2  # what is generated to warm up
    length_of = torch.zeros(case.vocabulary, dtype=torch.long, device=case.device)
    length_of[letters] = lengths.to(case.device)
    end = tokenizer.eos_token_id

    def hook(_: Any, args: Any, kwargs: dict[str, Any], outputs: Any) -> None:
        ids = kwargs["input_ids"]
        letter = ids.masked_fill(length_of[ids] == 0, -1).amax(1)  # (batch_size,); -1: a row that has ended
        mask = kwargs.get("attention_mask")  # left out where nothing is padded
        slots = kwargs["past_key_values"].get_seq_length()
        generated = (slots if mask is None else mask.sum(1)) - 2
        due = (generated >= length_of[letter]) | (letter < 0)
        logits = outputs.logits[:, -1]
        logits.fill_(-1e4)
        logits[torch.arange(len(ids)), torch.where(due, end, letter)] = 1e4

    return hook


def _letters(case: Case) -> list[str]:
    return [chr(33 + i) for i in range(case.prompts)]


def _docs(case: Case) -> list[Any]:
    from lighteval.tasks.requests import Doc

    questions = [problem.question for problem in held_out_sample(case.prompts, seed=0)]
    prompt = "{}" if case.shape is None else "<|im_start|>{}<think>"
    if case.mean_length:
        questions, prompt = _letters(case), "<|im_start|>{}"
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
