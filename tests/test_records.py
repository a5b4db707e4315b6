"""Files that others have changed: a value, or one error that says where."""

import gzip
import json
import os
import sys
from concurrent.futures import ThreadPoolExecutor
from subprocess import run

import pytest

from s1_hf.records import (
    COUNT,
    DEEPEST,
    FLAG,
    MOST,
    TEXT,
    UNICODE,
    append_line,
    check,
    counts_below,
    one_of,
    or_null,
    parse,
    read_json,
    read_lines,
    read_text,
    read_yaml,
)

NOT_JSON = {
    "nothing": ("", "is not JSON"),
    "half": ('{"a": ', "is not JSON"),
    "deep": ("[" * 200_000 + "]" * 200_000, "nested too deeply"),
    "deep objects": ('{"a":' * 200_000, "nested too deeply|is not JSON"),
    "a little too deep": ("[" * (DEEPEST + 1) + "]" * (DEEPEST + 1), f"more than {DEEPEST} lists or objects"),
    "too many digits": ("9" * 5000, "is not JSON|64 bits"),
    "a huge number": (str(10**400), "fit into 64 bits"),
    "one more than 64 bits": (str(2**63), "fit into 64 bits"),
    "one less than 64 bits": (str(-(2**63) - 1), "fit into 64 bits"),
    "NaN": ('{"a": [NaN]}', "not finite .nan"),
    "infinity": ("-Infinity", "not finite .-inf"),
    "a float that is too large": ("[1e999]", "not finite .inf"),
    "a name that comes twice": ('{"a": {"b": 1, "b": 2}}', "the name 'b' comes twice"),
    "no UTF-8": (b'"\xff"', "UTF-8"),
    "UTF-16": (json.dumps("a").encode("utf-16"), "UTF-8"),
}


@pytest.mark.parametrize(("text", "message"), NOT_JSON.values(), ids=NOT_JSON)
def test_what_is_no_plain_json_is_refused_in_one_line_that_names_the_file(tmp_path, text, message):
    file = tmp_path / "about.json"
    file.write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(ValueError, match=f"about.json .*({message})") as refused:
        read_json(file)
    assert len(str(refused.value)) < 400 + len(str(file)) and "\n" not in str(refused.value)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("[" * DEEPEST + "]" * DEEPEST, None),
        (str(2**63 - 1), 2**63 - 1),
        (str(-(2**63)), -(2**63)),
        ('\ufeff{"a": 1}', {"a": 1}),
        (r'"\ud800"', "\ud800"),
        ("[true, 1.5, null]", [True, 1.5, None]),
    ],
)
def test_what_is_plain_is_read(tmp_path, text, value):
    (tmp_path / "a.json").write_text(text, encoding="utf-8")
    assert value is None or read_json(tmp_path / "a.json") == value


def test_files_of_others_may_hold_what_python_reads():
    assert parse('{"a": 1, "a": NaN, "b": 1000000000000000019884624838656}', "it", strict=False)["b"] > 2**63
    with pytest.raises(ValueError, match="nested too deeply"):
        parse("[" * (DEEPEST + 1) + "]" * (DEEPEST + 1), "it", strict=False)


def test_lines_have_numbers_and_a_torn_one_is_left_out_only_where_a_kill_may_have_left_it(tmp_path):
    file = tmp_path / "rows.jsonl"
    file.write_bytes(b'{"a": 1}\n\n{"a": 2}\n{"a"')
    assert list(read_lines(file, torn=True)) == [(f"Line 1 of {file}", {"a": 1}), (f"Line 3 of {file}", {"a": 2})]
    with pytest.raises(ValueError, match="Line 4 of .*rows.jsonl is not JSON"):
        list(read_lines(file))


def test_text_that_is_no_utf_8_is_refused_with_its_file(tmp_path):
    (tmp_path / "t.jinja").write_bytes(b"a\xe4")
    with pytest.raises(ValueError, match=r"t.jinja has to be text in UTF-8, but byte 1 is not"):
        read_text(tmp_path / "t.jinja")
    with pytest.raises(OSError, match="t2.jinja"):
        read_text(tmp_path / "t2.jinja")
    with pytest.raises(OSError, match=tmp_path.name):
        read_text(tmp_path)


BOMB = "a: &a [x, x, x, x, x, x, x, x, x]\n" + "".join(
    f"{name}: &{name} [{', '.join(['*' + before] * 9)}]\n" for before, name in zip("abcdefgh", "bcdefghi", strict=True)
)
NOT_YAML = {
    "deep": ("[" * 200_000, "nested too deeply"),
    "too deep": ("[" * (DEEPEST + 1) + "]" * (DEEPEST + 1), "nested too deeply"),
    "aliases": (BOMB, "too large: with its aliases"),
    "itself": ("&a [*a]", "nested too deeply"),
    "a name that comes twice": ("a: 1\nb: 2\na: 3", "the name 'a' comes twice"),
    "a day that is none": ("a: 2001-99-99", "is not a YAML file"),
    "no timestamp": ("a: !!timestamp x", "is not a YAML file"),
    "no number": ("a: !!int ''", "is not a YAML file"),
    "no flag": ("a: !!bool x", "is not a YAML file"),
    "an object of Python": ("a: !!python/object/apply:os.getcwd []", "is not a YAML file"),
    "a list as a name": ("? [a]\n: b", "is not a YAML file"),
    "digits": ("a: " + "9" * 5000, "is not a YAML file|64 bits"),
    "huge": (f"a: {10**400}", "64 bits"),
    "not finite": ("a: .inf", "not finite"),
    "no YAML": ("a: [", r'in ".*recipe\.yaml", line 1'),
    "a control character": ("a: \x07", r'in ".*recipe\.yaml", position 3'),
}


@pytest.mark.parametrize(("text", "message"), NOT_YAML.values(), ids=NOT_YAML)
def test_what_is_no_plain_yaml_is_refused_with_its_file(tmp_path, text, message):
    (tmp_path / "recipe.yaml").write_text(text)
    with pytest.raises(ValueError, match=f"recipe.yaml (?s:.*)({message})"):
        read_yaml(tmp_path / "recipe.yaml")


def test_whole_numbers_of_any_size_are_all_that_may_be_let_through():
    assert parse(f'{{"a": {10**30}}}', "it", any_size=True) == {"a": 10**30}
    for text in ('{"a": 1, "a": 2}', '{"a": NaN}', '{"a": -1e400}'):
        with pytest.raises(ValueError, match="comes twice|not finite"):
            parse(text, "it", any_size=True)


def test_aliases_and_merged_mappings_are_read(tmp_path):
    (tmp_path / "r.yaml").write_text("a: &a {x: 1}\nb: {<<: *a, x: 2}\nc: *a\n")
    assert read_yaml(tmp_path / "r.yaml") == {"a": {"x": 1}, "b": {"x": 2}, "c": {"x": 1}}


SCHEMA = {"name": TEXT, "count": COUNT, "right": FLAG, "how": one_of(["a", "b"]), "ids": counts_below(9)}
GOOD = {"name": "n", "count": MOST, "right": False, "how": "a", "ids": [0, 8]}


def test_a_record_that_holds_what_it_has_to_passes():
    check(GOOD, SCHEMA, "it")
    check(GOOD | {"more": None}, SCHEMA, "it", optional={"more": or_null(TEXT)}, others=False)
    check(GOOD | {"ids": []}, SCHEMA, "it")


@pytest.mark.parametrize(
    "wrong",
    [
        {"name": None}, {"name": 3}, {"count": -1}, {"count": MOST + 1}, {"count": True}, {"count": 1.0}, {"right": 1},
        {"right": "yes"}, {"how": "c"}, {"how": ["a"]}, {"ids": [9]}, {"ids": [-1]}, {"ids": [True]}, {"ids": {"0": 1}},
        {"ids": [0, "1"]}, {"more": 1},
    ],
)  # fmt: skip
def test_a_value_of_another_kind_is_named(wrong):
    (name,) = wrong
    message = f"^Line 7 of it(: `{name}` has to be .* but is | has unknown `more`).*Remove it.$"
    with pytest.raises(ValueError, match=message):
        check(GOOD | wrong, SCHEMA, "Line 7 of it", others=False, remedy="Remove it.")


def test_everything_that_is_wrong_with_a_record_is_said_at_once():
    message = "it lacks `count`; has unknown `b`.*; `name` has to be a text, but is 1; `right` has to be true or false"
    with pytest.raises(ValueError, match=message):
        check({"name": 1, "right": 0, "b": 1}, {"name": TEXT, "count": COUNT, "right": FLAG}, "it", others=False)
    with pytest.raises(ValueError, match=r"it has to be an object with name, but is \[1\]"):
        check([1], {"name": TEXT}, "it")


def test_lone_surrogates_are_refused_where_a_file_cannot_hold_them():
    with pytest.raises(ValueError, match='`a` has to be a text without lone surrogates, but is "⟨U\\+D800⟩'):
        check({"a": "\ud800"}, {"a": UNICODE}, "it")


def test_a_wrong_value_controls_no_terminal():
    with pytest.raises(ValueError) as refused:
        check({"a": "\x1b[31m" * 100, "\x1b": 1}, {"a": COUNT}, "it", others=False)
    assert "\x1b" not in str(refused.value) and len(str(refused.value)) < 300


# -- lines that are added ---------------------------------------------------------------------------------------------


def test_a_torn_line_is_cut_off_by_the_next_one(tmp_path):
    file = tmp_path / "new" / "said.jsonl"
    append_line(file, {"a": 1})
    file.write_bytes(file.read_bytes() + b'{"a": "torn')
    append_line(file, {"a": 2})
    assert [value for _, value in read_lines(file)] == [{"a": 1}, {"a": 2}]


def test_processes_that_append_to_one_file_take_turns(tmp_path):
    """Each cuts off what it takes for a torn line: without turns that is a line which another is writing."""
    file = tmp_path / "said.jsonl"
    code = (
        "from s1_hf.records import append_line\n"
        f"for number in range(100): append_line({str(file)!r}, [number, 'x' * 100_000])"
    )
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    with ThreadPoolExecutor() as pool:
        ended = list(pool.map(lambda _: run([sys.executable, "-c", code], env=environment).returncode, range(3)))
    assert ended == [0, 0, 0]
    assert sorted(value[0] for _, value in read_lines(file)) == sorted([*range(100)] * 3)


def test_nothing_is_appended_through_a_link(tmp_path):
    (tmp_path / "mine").write_text("mine")
    (tmp_path / "said.jsonl").symlink_to(tmp_path / "mine")
    with pytest.raises(ValueError, match="said.jsonl is a link"):
        append_line(tmp_path / "said.jsonl", {})
    assert (tmp_path / "mine").read_text() == "mine"


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="Windows has no such pipes")
@pytest.mark.parametrize("read", [read_text, read_json, lambda file: list(read_lines(file)), read_yaml])
def test_a_pipe_in_a_folder_is_not_waited_for(tmp_path, read):
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(ValueError, match="pipe has to be a file, but is a pipe"):
        read(tmp_path / "pipe")


# What people have


@pytest.mark.parametrize("mark", [b"", b"\xef\xbb\xbf"], ids=["plain", "with a byte order mark"])
@pytest.mark.parametrize("pack", [bytes, gzip.compress], ids=["plain", "packed"])
def test_byte_order_marks_and_packed_files_are_read(tmp_path, mark, pack):
    file = tmp_path / "x"
    file.write_bytes(pack(mark + b'{"a": 1}\n'))
    assert read_text(file) == '{"a": 1}\n' and read_json(file) == {"a": 1} and read_yaml(file) == {"a": 1}
    assert [value for _, value in read_lines(file)] == [{"a": 1}]


@pytest.mark.parametrize("kept", [2, 10, -5], ids=["two bytes", "no content", "no end"])
@pytest.mark.parametrize("more", [b"", b"\xff" * 9], ids=["torn", "damaged"])
def test_a_damaged_packed_file_is_named(tmp_path, kept, more):
    (tmp_path / "x.jsonl.gz").write_bytes(gzip.compress(b"[1]")[:kept] + more)
    with pytest.raises(ValueError, match="x.jsonl.gz is packed with gzip, but cannot be unpacked: "):
        read_text(tmp_path / "x.jsonl.gz")
