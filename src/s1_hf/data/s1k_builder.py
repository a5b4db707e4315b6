"""The columns of the s1 datasets, and the `datasets` builder that turns their files into typed rows.

datasets makes a builder's module read through its own `open`, so that hub files can be streamed: only the builder
belongs here. [`s1_hf.data.s1k.load_s1k`] finds the files and runs it.
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import islice
from typing import TYPE_CHECKING, Any

from s1_hf._lazy import require
from s1_hf.data.replies import TRAINING, sources, training_row
from s1_hf.records import PACKED_FAULTS, UNICODE, check, parse, unpacked

if TYPE_CHECKING:
    import datasets
else:
    datasets = require("datasets", "data")

pa: Any = require("pyarrow", "data")  # datasets brings it; untyped
arrow_csv: Any = require("pyarrow.csv", "data")
parquet: Any = require("pyarrow.parquet", "data")

Row = dict[str, Any]

_COMMON = ("solution", "question", "cot_type", "source_type", "metadata")
S1K_COLUMNS = (*_COMMON, "cot", "thinking_trajectories", "attempt")
S1K_1_1_COLUMNS = (
    *_COMMON,
    *("gemini_thinking_trajectory", "gemini_attempt", "deepseek_thinking_trajectory", "deepseek_attempt"),
    *("gemini_grade", "gemini_grade_reason", "deepseek_grade", "deepseek_grade_reason"),
)
TRACES = ("deepseek", "gemini")
KINDS = (".parquet", ".json", ".jsonl", ".csv", ".arrow")
PACKED = ".gz"  # may follow, but for parquet and arrow

_FAULTS = (ValueError, OverflowError, csv.Error, pa.ArrowException, *PACKED_FAULTS)
_BATCH = 200  # rows; one row is up to about 100 kB
_LISTED = 5  # faults spelled out in one message


@dataclass
class S1KConfig(datasets.BuilderConfig):
    """What one call of the builder reads.

    Args:
        columns (`tuple[str, ...]`): the files' columns to keep in addition to the training columns.
        own (`dict[str, str]`): see [`s1_hf.data.replies.training_row`].
        files (`tuple[str, ...]`): paths, or `hf://` addresses when streamed.
        source (`str`): where the files came from, as text for `dataset.info.description`.
        licence (`str`): as stated by their publisher.
    """

    version: Any = "1.0.0"  # of the way rows are made from files: prepared rows of other versions are not reused
    columns: tuple[str, ...] = ()
    own: dict[str, str] = field(default_factory=dict)
    files: tuple[str, ...] = ()
    source: str = ""
    licence: str = ""


class S1K(datasets.ArrowBasedBuilder):
    """Builder with the configs `s1K`, `s1K-1.1`, `full59K`, and `files` for your own files.

    All columns are strings, except `thinking_trajectories`, a list of strings. The hub's `cot` is null in every row of
    s1K and has no type there; here it is a null string. Columns that a file lacks are null, if training does not need
    them.
    """

    BUILDER_CONFIG_CLASS = S1KConfig
    BUILDER_CONFIGS = (
        S1KConfig(name="s1K", columns=S1K_COLUMNS),
        S1KConfig(name="s1K-1.1", columns=S1K_1_1_COLUMNS),
        S1KConfig(name="full59K", columns=S1K_COLUMNS),
        S1KConfig(name="files"),
    )

    def _info(self) -> Any:
        names = dict.fromkeys((*self.config.columns, *TRAINING))
        text = datasets.Value("string")
        features = {name: datasets.List(text) if name == "thinking_trajectories" else text for name in names}
        return datasets.DatasetInfo(
            description=self.config.source, license=self.config.licence, features=datasets.Features(features)
        )

    def _split_generators(self, dl_manager: Any) -> list[Any]:
        return [datasets.SplitGenerator(name="train", gen_kwargs={"files": list(self.config.files)})]

    def _generate_tables(self, files: Iterable[str]) -> Iterator[tuple[str, Any]]:
        schema = self.info.features.arrow_schema
        wanted = {*schema.names, *sources(self.config.own).values()}
        for file in files:
            done = 0
            for rows in _batches(read_rows(file, wanted)):
                columns = _typed(rows, schema.names, self.config.own, file, done)
                done += len(rows)
                yield f"{file} {done}", pa.Table.from_pydict(columns, schema=schema)


def build(config: str, *, streaming: bool, cache_dir: str | None, token: str | None, **options: Any) -> Any:
    """The rows of `options["files"]` as a `Dataset`, or an `IterableDataset` if `streaming`.

    Raises:
        ValueError: a file cannot be read, or a value has the wrong type (when streaming, once it is reached).
    """
    builder = S1K(
        dataset_name="s1k", config_name=config, cache_dir=cache_dir, token=token, **options
    )  # the name of its cache folder hashes all options: other files, revisions or traces get another folder
    if streaming:
        return builder.as_streaming_dataset(split="train")
    try:
        builder.download_and_prepare()
    except datasets.exceptions.DatasetGenerationError as error:
        if isinstance(error.__cause__, ValueError):
            raise error.__cause__ from None
        raise
    return builder.as_dataset(split="train")


def column_names(file: str) -> list[str]:
    """The columns of a data file; for JSON, the keys of its first row.

    Raises:
        ValueError: it cannot be read as the kind of file that its name says.
    """
    kind = kind_of(file)
    try:
        if kind == ".parquet":
            with open(file, "rb") as stream:
                return list(parquet.ParquetFile(stream).schema_arrow.names)
        if kind == ".arrow":
            with _saved_to_disk(file) as table:
                return list(table.schema.names)
        if kind == ".csv":
            return _csv_header(file)
        return list(next(_json_rows(file), {}))
    except _FAULTS as error:
        raise _unreadable(file, error) from None


def read_rows(file: str, columns: Iterable[str]) -> Iterator[Row]:
    """The rows of a data file, with those of `columns` that it has.

    Raises:
        ValueError: it cannot be read as the kind of file that its name says.
    """
    wanted = set(columns)
    read = {".parquet": _parquet_rows, ".arrow": _arrow_rows, ".csv": _csv_rows}.get(kind_of(file), _json_rows)
    try:
        for row in read(file, wanted):
            yield {name: value for name, value in row.items() if name in wanted}
    except _FAULTS as error:
        raise _unreadable(file, error) from None


def kind_of(file: str) -> str:
    """The kind of a data file by its name, one of `KINDS`, or an empty text."""
    name = file.lower()
    kind = "." + name.removesuffix(PACKED).rsplit(".", 1)[-1]
    return "" if kind not in KINDS or (name.endswith(PACKED) and kind in (".parquet", ".arrow")) else kind


def _unreadable(file: str, error: Exception) -> ValueError:
    return ValueError(f"{file} cannot be read as a {kind_of(file)} file: {error}")


def _parquet_rows(file: str, wanted: set[str]) -> Iterator[Row]:
    with open(file, "rb") as stream:
        table = parquet.ParquetFile(stream)
        names = [name for name in table.schema_arrow.names if name in wanted]
        for batch in table.iter_batches(batch_size=_BATCH, columns=names):
            yield from batch.to_pylist()


@contextmanager
def _saved_to_disk(file: str) -> Iterator[Any]:
    """A file of `Dataset.save_to_disk`, open for reading."""
    with open(file, "rb") as stream:
        try:
            with pa.ipc.open_stream(stream) as table:
                yield table
        except (OSError, MemoryError) as error:  # what a damaged file is to Arrow
            raise ValueError(str(error)) from None


def _arrow_rows(file: str, wanted: set[str]) -> Iterator[Row]:
    with _saved_to_disk(file) as table:
        names = [name for name in table.schema.names if name in wanted]
        for batch in table:
            batch.validate(full=True)
            chosen = batch.select(names)
            for at in range(0, len(chosen), _BATCH):
                yield from chosen.slice(at, _BATCH).to_pylist()


def _json_rows(file: str, wanted: set[str] | None = None) -> Iterator[Row]:
    """One list of objects, or one object per line."""
    with open(file, "rb") as packed:
        stream = unpacked(packed)
        is_list = stream.peek(1)[:1] == b"["
        rows = parse(stream.read(), "it", strict=False) if is_list else _json_lines(stream)
        for number, row in enumerate(rows):
            check(row, {}, f"row {number}")
            yield row


def _json_lines(stream: Iterable[bytes]) -> Iterator[Any]:
    for number, line in enumerate(stream, 1):
        if line.strip():
            yield parse(line, f"line {number}", strict=False)


def _csv_rows(file: str, wanted: set[str]) -> Iterator[Row]:
    yield from _csv_table(file, wanted).to_pylist()


def _csv_header(file: str) -> list[str]:
    with open(file, "rb") as packed, io.TextIOWrapper(unpacked(packed), encoding="utf-8", newline="") as stream:
        return next(csv.reader(stream), [])


def _csv_table(file: str, wanted: set[str]) -> Any:
    """All cells as text, none as numbers or null; Python's own reader refuses cells over 131,072 characters."""
    names = [name for name in _csv_header(file) if name in wanted]
    with open(file, "rb") as packed:
        content = unpacked(packed).read()
    return arrow_csv.read_csv(
        pa.BufferReader(content),
        arrow_csv.ReadOptions(block_size=len(content) + 1),  # a row has to fit into a block
        arrow_csv.ParseOptions(newlines_in_values=True),
        arrow_csv.ConvertOptions(include_columns=names, column_types=dict.fromkeys(names, pa.string())),
    )


def traces_of_cell(text: str) -> list[str]:
    """The traces in a CSV cell: the text itself, or the entries of a JSON list.

    Raises:
        ValueError: it is a list as Python or numpy prints it.
    """
    try:
        traces = json.loads(text) if text.startswith("[") else None
    except json.JSONDecodeError:
        traces = None
    if isinstance(traces, list) and all(isinstance(trace, str) for trace in traces):
        return traces
    if text.startswith(("['", '["')):
        raise ValueError(
            f"has to be one trace or a JSON list of traces, but is {text[:40]!r}..., a list as Python or numpy prints "
            "it. Write it with `json.dumps`, or use a parquet or jsonl file"
        )
    return [text]


def _batches(rows: Iterator[Row]) -> Iterator[list[Row]]:
    while batch := list(islice(rows, _BATCH)):
        yield batch


def _typed(
    rows: list[Row], names: Iterable[str], own: Mapping[str, str], file: str, first: int
) -> dict[str, list[Any]]:
    """Columns of checked values."""
    came_from = sources(own)
    traces = _traces_of_csv if kind_of(file) == ".csv" else _traces
    checks: dict[str, Callable[[Any], Any]] = {"question": _text, "thinking_trajectories": traces, "attempt": _text}
    columns: dict[str, list[Any]] = {name: [] for name in names}
    faults = []
    for number, given in enumerate(rows, first):
        try:
            row = training_row(given, own)
        except ValueError as error:
            faults.append(f"row {number}: {error}")
            continue
        for name, values in columns.items():
            try:
                values.append(checks.get(name, _printed)(row.get(name)))
            except (TypeError, ValueError) as error:
                faults.append(f"row {number}: `{came_from.get(name, name)}` {error}")
    if faults:
        more = f" and {len(faults) - _LISTED} more" if len(faults) > _LISTED else ""
        raise ValueError(f"{file} has values of the wrong type: {'; '.join(faults[:_LISTED])}{more}.")
    return columns


def _text(value: Any) -> str | None:
    if value is None or UNICODE.fits(value):
        return value
    raise TypeError(f"has to be a string{_no_surrogates(value)}, but is {value!r:.60} ({type(value).__name__})")


def _traces(value: Any) -> list[str] | None:
    """A single string is one trace."""
    if UNICODE.fits(value):
        return [value]
    if value is None or (isinstance(value, list) and all(map(UNICODE.fits, value))):
        return value
    raise TypeError(
        f"has to be a list of strings{_no_surrogates(value)}, but is {value!r:.60} ({type(value).__name__})"
    )


def _traces_of_csv(value: Any) -> list[str] | None:
    """In a CSV file, which has no lists, a cell is one trace or a JSON list of traces."""
    return _traces(traces_of_cell(value) if isinstance(value, str) else value)


def _no_surrogates(value: Any) -> str:
    texts = value if isinstance(value, list) else [value]
    return " without lone surrogates" if all(isinstance(text, str) for text in texts) else ""


def _printed(value: object) -> str | None:
    """For columns that only accompany the rows: strings stay as they are, anything else becomes JSON."""
    if value is None:
        return None
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str)
    return text.encode("utf-8", "backslashreplace").decode()  # a lone surrogate as `\\ud800`: Arrow has none
