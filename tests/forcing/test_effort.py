"""Names for budgets: what the default table promises, what a table of one's own may be, what a name comes to."""

import json

import pytest

from s1_hf import Budget, Effort, LoopGuard, generate
from wishes import babbler, chat, family_of

NAMES = ("none", "minimal", "low", "medium", "high", "xhigh", "max")


def thought(effort, **options):
    tokenizer, _ = family_of("s1")
    model = babbler(tokenizer, ends=False, max_position_embeddings=options.pop("context", 4096))
    (completion,) = generate(model, tokenizer, chat("q"), budget=Effort().budget(effort), **options)
    return completion.report


def test_the_default_names_are_those_that_clients_send():
    assert Effort().names == NAMES


@pytest.mark.parametrize("length", [{"context": 300}, {"context": 800}, {"max_new_tokens": 250}], ids=str)
def test_more_effort_is_more_thinking_and_there_is_always_room_for_an_answer(length):
    reports = [thought(name, **length) for name in NAMES]
    tokens = [report.thinking_tokens for report in reports]
    assert tokens == sorted(set(tokens)) and tokens[0] == 0
    assert all(report.ended == "cut" and report.answer_tokens >= 100 for report in reports)


def test_the_default_scales_with_the_context():
    small, large = (thought("medium", context=size).thinking_tokens for size in (500, 1000))
    assert large - small == 250


def test_a_name_is_the_budget_of_its_table():
    own = {"quick": {"max_thinking_tokens": 5, "loop_guard": {"max_period": 3}}, "slow": Budget(num_ignores=2)}
    effort = Effort(own)
    assert effort.names == ("quick", "slow")
    assert effort.budget("quick") == Budget(max_thinking_tokens=5, loop_guard=LoopGuard(max_period=3))
    assert effort.budget("slow") == Budget(num_ignores=2)


def test_a_table_is_not_changed_from_outside():
    own = {"quick": Budget(max_thinking_tokens=5)}
    effort = Effort(own)
    own["quick"] = Budget()
    assert effort.budget("quick") == Budget(max_thinking_tokens=5)


@pytest.mark.parametrize("name", ["hihg", "High", " high ", "HIGH"])
def test_an_unknown_name_is_answered_with_all_and_the_nearest(name):
    with pytest.raises(
        ValueError, match="There is no effort .*Give one of none, minimal, .*, max. Did you mean 'high'"
    ):
        Effort().budget(name)


@pytest.mark.parametrize("name", ["zzz", "", None, 3, ["low"], {}, True], ids=repr)
def test_what_is_no_name_is_refused(name):
    with pytest.raises(ValueError, match="There is no effort"):
        Effort().budget(name)


def test_settings_beside_an_effort_are_added():
    assert Effort().budget("none", {"num_ignores": 0, "answer_prefix": None}) == Budget(
        max_thinking_tokens=0, answer_prefix=None
    )


@pytest.mark.parametrize(
    ("table", "beside"),
    [
        ({"e": {"max_thinking_tokens": 5}}, {"max_thinking_tokens": 6}),
        ({"e": {}}, {"max_thinking_tokens": None}),
        ({"e": {"num_ignores": 1}}, {"num_ignores": 1}),
    ],
    ids=str,
)
def test_what_an_effort_says_must_not_come_with_it(table, beside):
    (name,) = beside
    with pytest.raises(ValueError, match=f"The effort 'e' .* has to stand alone, but `{name}` came with it"):
        Effort(table).budget("e", beside)


@pytest.mark.parametrize(
    ("table", "said"),
    [
        ({}, "has to hold names, each with a budget"),
        (["low"], "has to hold names, each with a budget"),
        (None, "has to hold names"),
        ({False: {}}, "has to be a text, but is False. In YAML, put names such as on, off"),
        ({"": {}}, "has to be printable"),
        ({" low": {}}, "without white space around it"),
        ({"a\x1b[2J": {}}, "has to be printable"),
        ({"a\ud800": {}}, "has to be printable"),
        ({"low": 500}, "Effort 'low': It has to be a budget, such as {'max_thinking_tokens': 500}.*but is 500"),
        ({"low": None}, "Effort 'low': It has to be a budget"),
        (
            {"low": {"max_thinking_token": 5}},
            "Effort 'low': `max_thinking_token` is no setting .*`max_thinking_tokens`",
        ),
        ({"low": {"zzz": 5}}, "`zzz` is no setting of a budget. Known are max_thinking_tokens"),
        ({"low": {3: 5}}, "`3` is no setting"),
        ({"low": {"max_thinking_tokens": -1}}, "Effort 'low': `max_thinking_tokens` has to be"),
        ({"low": {"max_thinking_tokens": [1, 2]}}, "Effort 'low': Its budget has to be one value each"),
        ({"low": {"max_thinking_tokens": 0, "num_ignores": 1}}, "Effort 'low': `num_ignores` has no effect without"),
        ({"low": {"cut_window": 5}}, "Effort 'low': `cut_window` has no effect without"),
        ({"low": {"loop_guard": {"zzz": 1}}}, "Effort 'low': .*zzz"),
    ],
    ids=repr,
)
def test_a_table_that_cannot_be_meant_is_refused_with_its_place(table, said):
    with pytest.raises(ValueError, match=said):
        Effort(table)


def test_a_table_is_read_from_yaml_and_json(tmp_path):
    table = {"none": {"max_thinking_tokens": 0}, "high": {"max_thinking_tokens": 900, "cut_text": "Stop \u00e9."}}
    yaml = tmp_path / "table.yml"
    yaml.write_text(
        "none: {max_thinking_tokens: 0}\nhigh:\n  max_thinking_tokens: 900\n  cut_text: Stop \u00e9.\n", "utf-8"
    )
    (tmp_path / "table.json").write_text(json.dumps(table))
    assert Effort.read(yaml) == Effort.read(str(tmp_path / "table.json")) == Effort(table)


def test_a_table_comes_back_from_its_file(tmp_path):
    effort = Effort({**Effort().table, "off": Budget(num_ignores=1, wait_text=('a: "b"', "\u00e9#")), "1": Budget()})
    effort.write(tmp_path / "table.yaml", comment="found by\n\nsomebody: {\x1b[2J")
    text = (tmp_path / "table.yaml").read_text(encoding="utf-8")
    assert (
        text.startswith("# found by\n#\n# somebody: {⟨U+001B⟩[2J\n") and '"low": {"max_thinking_tokens": "auto"' in text
    )
    assert Effort.read(tmp_path / "table.yaml") == effort


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        ("table.yaml", "off: {}", "table.yaml: The name of an effort has to be a text, but is False"),
        ("table.yaml", "a: {}\na: {}", "comes twice"),
        ("table.json", "{", "is not JSON"),
        ("table.json", '{"low": {"num_ignores": "x"}}', "table.json: Effort 'low': `num_ignores`"),
        ("table.txt", "", "has to be a file in .json, .yaml, .yml, but is 'table.txt'"),
        ("table.yaml", "", "has to hold names"),
    ],
)
def test_a_file_that_is_no_table_is_named(tmp_path, name, text, said):
    (tmp_path / name).write_text(text)
    with pytest.raises(ValueError, match=said):
        Effort.read(tmp_path / name)
