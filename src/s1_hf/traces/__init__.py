"""Reasoning traces for a pool of questions, from any local model or OpenAI-compatible endpoint, on disk as they come.

- `trace`: what is asked, what comes back, and what a source of traces is.
- `local`: [`LocalModel`], under a budget; `endpoint`: [`Endpoint`]. Neither imports anything heavy before it is used.
- `folder`: what a run keeps: its settings, a ledger of what is finished, the result. So a killed run resumes.
- `run`: [`generate_traces`], from a pool to a data set that `load_s1k`, `datasets` and pandas open.
- `pool`: [`load_pool`], a file, folder or data set on the Hub, and [`embedded_pool`], problems of the embedded model.

The difficulty signal of the paper (https://arxiv.org/abs/2501.19393, section 2.2), whether a model solves a question,
is the same run with `solved_as="qwen7b"`: the pool as it was, and the column `solved_qwen7b`.
"""

from s1_hf.traces.endpoint import Endpoint
from s1_hf.traces.local import LocalModel
from s1_hf.traces.pool import embedded_pool, load_pool
from s1_hf.traces.run import generate_traces
from s1_hf.traces.trace import Ask, Source, Trace

__all__ = ["Ask", "Endpoint", "LocalModel", "Source", "Trace", "embedded_pool", "generate_traces", "load_pool"]
