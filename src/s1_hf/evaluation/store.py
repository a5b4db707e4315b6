"""Finished samples on disk: what makes a run that was killed go on where it stopped.

A folder `{cache_dir}/{model}/{key}` belongs to one set of weights under one set of settings, which `settings.json` in
it spells out. Each process appends to a file of its own there. A line is a whole batch, forced to the disk (fsync)
before the next batch begins: after a kill at any moment a batch is there or it is not, and a last line that is not
whole is dropped. What is missing is cut into batches as before (see `batches`), so that it is computed in the company
in which it would have been without the kill.

lighteval's own `SampleCache` writes when all problems are done, knows no weights (a folder trained anew keeps its old
answers), and with an absolute path as the model's name writes into the model's folder; it is not used.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

from s1_hf.engines.lines import append_line, whole_lines


@dataclass(frozen=True)
class Sample:
    """One finished sample of one problem.

    Args:
        key (`str`): of its request, see `batches.Request`.
        task, problem (`str`) and index (`int`): the task with its number of shots, the problem's id in it, and which
            sample of the problem this is.
        thinking, answer (`str`): as in [`Completion`]; the answer is empty if thinking never closed.
        output (`str`): everything that was generated, delimiters included.
        token_ids (`list[int]`): the same as ids, and the end of sequence.
        forced (`list[int]`): which of these were forced, as positions.
        thinking_tokens, ended, ends_ignored, answer_tokens: as in [`Report`].
    """

    key: str
    task: str
    problem: str
    index: int
    thinking: str
    answer: str
    output: str
    token_ids: list[int]
    forced: list[int]
    thinking_tokens: int
    ended: Literal["natural", "cut", "looped", "unfinished", "never_started"]
    ends_ignored: int
    answer_tokens: int


class Store:
    """The finished samples of one model under one set of settings.

    Args:
        folder (`Path`): made if it is not there.
        settings (`Mapping`): JSON types; written down for the reader, not read again.
        process (`int`): which of the processes that share the folder this is.
    """

    def __init__(self, folder: Path, settings: Mapping[str, Any], process: int = 0) -> None:
        self.folder, self.file = folder, folder / f"samples_{process}.jsonl"
        folder.mkdir(parents=True, exist_ok=True)
        if process == 0:
            (folder / "settings.json").write_text(json.dumps(settings, indent=2) + "\n", encoding="utf-8")

    def read(self) -> dict[str, Sample]:
        """All finished samples by their keys, those of other processes included."""
        files = sorted(self.folder.glob("samples_*.jsonl"))
        return {sample.key: sample for file in files for sample in _samples(file)}

    def append(self, samples: Iterable[Sample], seconds: float) -> None:
        """Keep the samples of a batch; they are on the disk when this returns."""
        append_line(self.file, {"seconds": round(seconds, 3), "samples": [asdict(sample) for sample in samples]})


def _samples(file: Path) -> Iterator[Sample]:
    for number, line in enumerate(whole_lines(file), 1):
        try:
            yield from [Sample(**row) for row in json.loads(line)["samples"]]
        except (ValueError, TypeError, KeyError):
            raise ValueError(
                f"Line {number} of {file} is not a batch of finished samples. Delete that line (its samples are then "
                "generated again), or the file."
            ) from None
