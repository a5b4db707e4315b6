"""The domain of every question: from a column, from clusters, or from a model served at an endpoint."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from s1_hf.curate.clusters import cluster
from s1_hf.curate.duplicates import row_keys
from s1_hf.curate.msc import domain_of, instruction
from s1_hf.curate.stage import values
from s1_hf.records import TEXT, UNICODE, Schema, append_line, check, read_lines

if TYPE_CHECKING:
    from datasets import Dataset

WAYS = ("column", "clusters", "endpoint")
UNKNOWN = "Other"
_ANSWER: Schema = {"model": TEXT, "question": TEXT, "domain": UNICODE}


@dataclass(frozen=True)
class Domains:
    """Options of [`assign_domains`].

    Args:
        by (`str`, defaults to `"column"`): `"column"`, `"clusters"` or `"endpoint"`.
        column (`str`, defaults to `"cot_type"`): the column that holds the domains.
        clusters (`int`, defaults to 50): the largest number of clusters.
        embedding_model (`str`, *optional*): for clusters, a folder or a name on the Hub. By default, TF-IDF of words.
        base_url, model (`str`, *optional*): an OpenAI-compatible endpoint, with its key in `OPENAI_API_KEY`.
        answers (`str`, *optional*): a JSON Lines file that keeps the endpoint's answers, so that no question is asked
            twice. By default, next to the output.
        concurrency (`int`, defaults to 8): number of parallel requests.
    """

    by: str = "column"
    column: str = "cot_type"
    clusters: int = 50
    embedding_model: str | None = None
    base_url: str | None = None
    model: str | None = None
    answers: str | None = None
    concurrency: int = 8

    def __post_init__(self) -> None:
        rules = {
            f"`by` has to be one of {', '.join(WAYS)}, but is {self.by!r}.": self.by in WAYS,
            f"`clusters` has to be 1 or more, but is {self.clusters}.": self.clusters >= 1,
            f"`concurrency` has to be 1 or more, but is {self.concurrency}.": self.concurrency >= 1,
            "`by: endpoint` needs `base_url` and `model`.": self.by != "endpoint" or bool(self.base_url and self.model),
            "`base_url` and `model` are only for `by: endpoint`.": self.by == "endpoint"
            or not (self.base_url or self.model or self.answers),
            "`embedding_model` is only for `by: clusters`.": self.by == "clusters" or not self.embedding_model,
        }
        broken = [message for message, kept in rules.items() if not kept]
        if broken:
            raise ValueError("\n".join(broken))

    def beside(self, output: Path) -> Domains:
        """These options, with `answers` next to `output` if a file is needed and none is named."""
        if self.by != "endpoint" or self.answers:
            return self
        return replace(self, answers=f"{output}.domains.jsonl")


def assign_domains(dataset: Dataset, options: Domains | None = None, *, seed: int = 0) -> tuple[list[str], str]:
    """The domain of every row, and a note on where the domains come from.

    Args:
        dataset: needs the columns `question`, `thinking_trajectories` and `attempt`.
        seed (`int`, defaults to 0): random seed for the first centres of the clusters.

    Raises:
        ValueError: the column is missing or lacks a domain for some row, or the file `answers` cannot be read.
        ConnectionError: the endpoint cannot be reached. The answers received so far are kept.
    """
    options = options or Domains()
    if options.by == "column":
        return _from_column(dataset, options.column), f"domains: column {options.column!r}"
    questions = [question or "" for question in values(dataset, "question")]
    if options.by == "endpoint":
        return _from_endpoint(questions, options)
    keys = row_keys(dataset)
    order = sorted(range(len(questions)), key=keys.__getitem__)
    names = cluster([questions[row] for row in order], options.clusters, seed, model=options.embedding_model)
    found = dict(zip(order, names, strict=True))
    how = (
        f"mean-pooled embeddings of {options.embedding_model}" if options.embedding_model else "TF-IDF of hashed words"
    )
    return [found[row] for row in range(len(questions))], f"domains: {len(set(names))} clusters of questions by {how}"


def _from_column(dataset: Dataset, name: str) -> list[str]:
    if name not in dataset.column_names:
        raise ValueError(
            f"The pool has no column {name!r} to take domains from; it has {', '.join(dataset.column_names)}. Name "
            "another column, or use `by: clusters` or `by: endpoint`."
        )
    found = values(dataset, name)
    blank = [row for row, value in enumerate(found) if value is None or not str(value).strip()]
    if blank:
        raise ValueError(
            f"The column {name!r} has no domain in {len(blank):,} rows, the first being "
            f"{dataset['question'][blank[0]]!r:.80}. Fill them in, or use `by: clusters` or `by: endpoint`."
        )
    return [str(value) for value in found]


def _from_endpoint(questions: Sequence[str], options: Domains) -> tuple[list[str], str]:
    from s1_hf.traces.endpoint import Endpoint
    from s1_hf.traces.trace import Ask

    file = Path(options.answers or "domains.jsonl")
    said = _read(file, options.model or "")
    todo = [question for question in dict.fromkeys(questions) if question not in said]
    endpoint = Endpoint(
        options.base_url or "", options.model or "", system_prompt=instruction(), concurrency=options.concurrency,
        temperature=0, timeout_s=300,
    )  # fmt: skip
    for found in endpoint.traces([Ask(question) for question in todo], lambda rows: None):
        for ask, trace in found:
            if trace.error is not None:
                raise ConnectionError(
                    f"{options.model} gave no domain: {trace.error}. Rerun to resume: earlier answers are kept."
                )
            domain = domain_of(trace.attempt) or UNKNOWN
            append_line(file, {"model": options.model, "question": ask.question, "domain": domain})
            said[ask.question] = domain
    unclear = sum(said[question] == UNKNOWN for question in questions)
    return [said[question] for question in questions], (
        f"domains: by {options.model}; {unclear:,} questions are {UNKNOWN!r}, by its choice or without a clear reply"
    )


def _read(file: Path, model: str) -> dict[str, str]:
    found: dict[str, str] = {}
    for where, row in read_lines(file, torn=True) if file.exists() else ():
        check(row, _ANSWER, where, remedy="It does not hold the domain of a question: remove it.")
        if row["model"] == model:
            found[row["question"]] = row["domain"]
    return found
