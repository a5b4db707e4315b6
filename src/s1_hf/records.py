"""What is read from files, which people and other programs change: one clear error, with file and line, or the value.

JSON, lines of JSON and YAML are read here and nowhere else. What comes out is plain: nested at most `DEEPEST` deep, all
whole numbers in 64 bits, all other numbers finite, no name twice in one object. What an object has to hold is a
[`Schema`]: names and the kinds of their values.
"""

from __future__ import annotations

import errno
import gzip
import json
import math
import os
import zlib
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

from filelock import FileLock

from s1_hf._lazy import require
from s1_hf.files import open_to_append
from s1_hf.visible import shortened

DEEPEST = 64
"""Lists and objects in each other; what we write is less than 10 deep."""

MOST = 2**53
"""The largest count: up to here every whole number is exact as a float."""

NO_LOCKS = (errno.ENOLCK, errno.ENOSYS, errno.ENOTSUP, errno.EOPNOTSUPP)
"""What a file system says that has no locks."""

_GZIP = b"\x1f\x8b"
_UTF_8_MARK = b"\xef\xbb\xbf"
PACKED_FAULTS = (EOFError, zlib.error, gzip.BadGzipFile)
"""What reading from [`unpacked`] raises where a packed file is torn or damaged."""

_BYTES_8 = (-(2**63), 2**63 - 1)
_MOST_IN_YAML = 20_000  # lists and mappings, every use of an alias counted: ten lines of aliases can stand for billions
_NESTING = {list, dict, tuple, set}  # the last two in YAML
_SHOWN = 60  # characters of a wrong value
_WAIT_S = 60


# -- reading ----------------------------------------------------------------------------------------------------------


def read_text(file: str | Path) -> str:
    """A text file, see [`unpacked`].

    Raises:
        ValueError: it is no UTF-8. OSError: it cannot be read.
    """
    try:
        return _content(file).decode()
    except UnicodeDecodeError as error:
        raise ValueError(f"{file} has to be text in UTF-8, but byte {error.start} is not.") from None


def unpacked(stream: Any) -> Any:
    """The text in a file that was just opened for reading bytes, without a byte order mark.

    It is unpacked if it is packed with gzip, whatever the file is called.
    """
    if stream.peek(2)[:2] == _GZIP:
        stream = gzip.GzipFile(fileobj=stream, mode="rb")
    if stream.peek(3)[:3] == _UTF_8_MARK:
        stream.read(3)
    return stream


def _content(file: str | Path) -> bytes:
    refuse_pipe(file)
    try:
        with open(file, "rb") as stream:
            content: bytes = unpacked(stream).read()
            return content
    except PACKED_FAULTS as error:
        raise ValueError(f"{file} is packed with gzip, but cannot be unpacked: {error}") from None


def read_json(file: str | Path, *, strict: bool = True) -> Any:
    """The value of a JSON file; see [`parse`].

    Raises:
        ValueError: it holds no plain JSON. The message names the file. OSError: it cannot be read.
    """
    return parse(read_text(file), str(file), strict=strict)


def read_lines(file: str | Path, *, torn: bool = False, strict: bool = True) -> Iterator[tuple[str, Any]]:
    """The values of a file of JSON lines, each with where it stands: `Line 3 of rows.jsonl`. Blank lines are left out.

    Args:
        torn (`bool`): leave out a last line without its end, which a killed process had begun to write.
        strict (`bool`, defaults to `True`): see [`parse`].

    Raises:
        ValueError: a line is no plain JSON. OSError: the file cannot be read.
    """
    lines = _content(file).split(b"\n")
    if torn:
        lines.pop()
    for number, line in enumerate(lines, 1):
        if line.strip():
            where = f"Line {number} of {file}"
            yield where, parse(line, where, strict=strict)


def refuse_pipe(file: str | Path) -> None:
    """Raises a `ValueError` if this is a pipe in a folder, which nobody may ever close; a shell's `<(...)` is read."""
    if Path(file).is_fifo() and not str(file).startswith(("/dev/", "/proc/")):
        raise ValueError(f"{file} has to be a file, but is a pipe.")


def parse(text: str | bytes, where: str, *, strict: bool = True, any_size: bool = False) -> Any:
    """The value of a JSON text.

    Args:
        where (`str`): what the text is, for the message.
        strict (`bool`, defaults to `True`): refuse what files that others write may well hold, and what we do not
            compute with there: NaN and infinity, numbers beyond 64 bits, names that come twice.
        any_size (`bool`, defaults to `False`): let whole numbers beyond 64 bits through all the same.

    Raises:
        ValueError: it is no JSON, or not plain.

    Example:

    ```python
    >>> from s1_hf.records import parse
    >>> parse('{"a": [1, 2]}', "the example")
    {'a': [1, 2]}

    ```
    """
    try:
        text = text.decode("utf-8-sig") if isinstance(text, bytes) else text
        value = json.loads(text, object_pairs_hook=_object if strict else None)
    except UnicodeDecodeError as error:
        raise ValueError(f"{where} is not JSON: it is no text in UTF-8 (byte {error.start}).") from None
    except RecursionError:
        raise ValueError(f"{where} is not JSON that can be used: it is nested too deeply.") from None
    except ValueError as error:  # of Python, also for numbers of thousands of digits
        raise ValueError(f"{where} is not JSON: {shortened(str(error), 200)}.") from None
    _check_plain(value, where, strict, None, any_size)
    return value


def read_yaml(file: str | Path) -> Any:
    """The value of a YAML file.

    Raises:
        ValueError: it holds no plain YAML. The message names the file. OSError: it cannot be read.
    """
    yaml = require("yaml", "data")
    text = read_text(file)
    try:
        value = yaml.load(text, Loader=_loader(yaml, str(file)))
    except RecursionError:
        raise ValueError(f"{file} is not a YAML file that can be used: it is nested too deeply.") from None
    except (yaml.YAMLError, ValueError, TypeError, LookupError, AttributeError, OverflowError) as error:
        # PyYAML lets Python's errors through, such as those of dates that do not exist
        raise ValueError(f"{file} is not a YAML file: {error}") from None
    _check_plain(value, str(file), True, _MOST_IN_YAML)
    return value


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise ValueError(f"the name {shortened(twice, _SHOWN)!r} comes twice in one object")
    return found


def _loader(yaml: Any, file: str) -> Any:
    """PyYAML's safe loader, but for names that come twice, of which it would take the last, and the file's own name."""

    class Loader(yaml.SafeLoader):
        @property
        def name(self) -> str:
            """What its errors call the text, which to PyYAML is a `<unicode string>`."""
            return file

        @name.setter
        def name(self, name: str) -> None:
            pass

        def construct_mapping(self, node: Any, deep: bool = False) -> Any:
            seen = set()
            for key, _ in node.value if isinstance(node, yaml.MappingNode) else ():
                if isinstance(key, yaml.ScalarNode) and key.tag != "tag:yaml.org,2002:merge":
                    if (key.tag, key.value) in seen:
                        raise ValueError(f"the name {key.value!r} comes twice\n{key.start_mark}")
                    seen.add((key.tag, key.value))
            return super().construct_mapping(node, deep)

    return Loader


def _check_plain(value: Any, where: str, strict: bool, most: int | None, any_size: bool = False) -> None:
    """Level by level, so that nothing is as deep as the value."""
    level, count = [[value]], 0
    for _ in range(DEEPEST + 1):
        inner: list[Any] = []
        for one in level:
            children = list(one.values()) if isinstance(one, dict) else one
            kinds = set(map(type, children))
            if int in kinds and strict and not any_size:
                _check_integers([child for child in children if type(child) is int], where)
            if float in kinds and strict:
                _check_floats([child for child in children if type(child) is float], where)
            if kinds & _NESTING:
                inner += [child for child in children if type(child) in _NESTING]
            if most is not None and count + len(inner) > most:
                raise ValueError(f"{where} is too large: with its aliases, more than {most:,} lists and mappings.")
        if not inner:
            return
        level, count = inner, count + len(inner)
    raise ValueError(f"{where} is nested too deeply: more than {DEEPEST} lists or objects in each other.")


def _check_integers(numbers: list[int], where: str) -> None:
    if min(numbers) < _BYTES_8[0] or max(numbers) > _BYTES_8[1]:
        raise ValueError(f"{where} holds a whole number that is too large: all have to fit into 64 bits.")


def _check_floats(numbers: list[float], where: str) -> None:
    strange = [number for number in numbers if not math.isfinite(number)]
    if strange:
        raise ValueError(f"{where} holds a number that is not finite ({strange[0]}).")


# -- what a record has to hold ----------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Kind:
    """What a value has to be, in words, and whether it is."""

    words: str
    fits: Callable[[Any], bool]


TEXT = Kind("a text", lambda value: isinstance(value, str))
UNICODE = Kind("a text without lone surrogates", lambda value: isinstance(value, str) and _is_unicode(value))
FLAG = Kind("true or false", lambda value: isinstance(value, bool))
LIST = Kind("a list", lambda value: isinstance(value, list))
OBJECT = Kind("an object", lambda value: isinstance(value, dict))
COUNT = Kind(f"a whole number from 0 to {MOST:,}", lambda value: type(value) is int and 0 <= value <= MOST)

Schema = dict[str, Kind]


def _is_unicode(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def or_null(kind: Kind) -> Kind:
    """This, or nothing."""
    return Kind(f"{kind.words}, or null", lambda value: value is None or kind.fits(value))


def one_of(names: Collection[str]) -> Kind:
    """One of these texts."""
    return Kind(f"one of {', '.join(names)}", lambda value: isinstance(value, str) and value in names)


def counts_below(end: int) -> Kind:
    """A list of whole numbers from 0 that are less than `end`."""

    def fits(value: Any) -> bool:
        if not isinstance(value, list) or not set(map(type, value)) <= {int}:
            return False
        return not value or (min(value) >= 0 and max(value) < end)

    return Kind(f"a list of whole numbers from 0 to {end - 1:,}", fits)


def check(
    record: Any, schema: Schema, where: str, *, optional: Schema | None = None, others: bool = True, remedy: str = ""
) -> None:
    """Refuse a record that does not hold what it has to.

    Args:
        schema ([`Schema`]): what it has to hold.
        optional ([`Schema`], *optional*): what it may hold as well.
        others (`bool`, defaults to `True`): let other names through.
        where (`str`): where the record stands, for the message.
        remedy (`str`): what to do, for the message.

    Raises:
        ValueError: it does not; the message says everything that is wrong.

    Example:

    ```python
    >>> from s1_hf.records import COUNT, TEXT, check
    >>> check({"name": 3}, {"name": TEXT, "sample": COUNT}, "Line 7 of rows.jsonl")
    Traceback (most recent call last):
    ValueError: Line 7 of rows.jsonl lacks `sample`; `name` has to be a text, but is 3.

    ```
    """
    remedy = f" {remedy}" if remedy else ""
    if not isinstance(record, dict):
        names = f" with {', '.join(schema)}" if schema else ""
        raise ValueError(f"{where} has to be an object{names}, but is {as_json(record)}.{remedy}")
    faults = []
    missing = [name for name in schema if name not in record]
    known = {**schema, **(optional or {})}
    unknown = [] if others else [name for name in record if name not in known]
    if missing:
        faults.append(f"lacks {', '.join(f'`{name}`' for name in missing)}")
    if unknown:
        names = ", ".join(f"`{shortened(str(name), _SHOWN)}`" for name in unknown[:5])
        faults.append(f"has unknown {names} (known are {', '.join(known)})")
    for name, kind in known.items():
        if name in record and not kind.fits(record[name]):
            faults.append(f"`{name}` has to be {kind.words}, but is {as_json(record[name])}")
    if faults:
        first = f"{where}: " if faults[0].startswith("`") else f"{where} "
        raise ValueError(f"{first}{'; '.join(faults)}.{remedy}")


def as_json(value: Any) -> str:
    """A value in an error about JSON, at no great length."""
    return shortened(json.dumps(value, ensure_ascii=False, default=str, skipkeys=True), _SHOWN)


# -- lines that are added ---------------------------------------------------------------------------------------------


def append_line(file: str | Path, value: Any) -> None:
    """Add a line of JSON to a file that other processes may append to as well; it is on the disk when this returns.

    They take turns by a lock beside the file. A torn last line, which a killed process had begun, is cut off first.

    Raises:
        ValueError: the file is a link. OSError: it cannot be written, or another process holds its lock for a minute.
    """
    file = Path(file)
    file.parent.mkdir(parents=True, exist_ok=True)
    lock = FileLock(file.with_name(f"_{file.name}.guard"), timeout=_WAIT_S, fallback_to_soft=False)
    try:
        lock.acquire()
    except OSError as error:
        if error.errno not in NO_LOCKS:
            raise
    try:
        append_line_alone(file, value)
    finally:
        lock.release()


def append_line_alone(file: Path, value: Any) -> None:
    """The same, for a process that holds the lock of the file's folder."""
    with open_to_append(file) as stream:
        _cut_off_torn_line(stream)
        stream.write(json.dumps(value, allow_nan=False).encode() + b"\n")
        stream.flush()
        os.fsync(stream.fileno())


def _cut_off_torn_line(stream: BinaryIO) -> None:
    end = stream.seek(0, os.SEEK_END)
    if end == 0:
        return
    stream.seek(end - 1)
    if stream.read(1) == b"\n":
        return
    stream.seek(0)
    stream.truncate(stream.read().rfind(b"\n") + 1)
