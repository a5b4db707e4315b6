"""All stages together: what stays, why the others went, and that only input and seed decide it."""

import json
import subprocess
import sys

import pytest

pytest.importorskip("datasets")

from curation_pools import pool, random_pool, row
from datasets import Dataset, Value

from s1_hf import embedded
from s1_hf.curate import (
    Columns,
    Difficulty,
    Diversity,
    Domains,
    Quality,
    Recipe,
    Trusted,
    as_pool,
    curate,
    keep_difficult,
)
from s1_hf.curate.difficulty import with_thinking_tokens

RECIPE = Recipe(diversity=Diversity(n=30, trusted=(Trusted("AIME", min_thinking_tokens=35),)))
STAGES = ["decontaminate", "quality", "deduplicate", "difficulty", "diversity"]


def test_every_row_stays_or_is_dropped_once():
    curation = curate(random_pool(300), RECIPE)
    dropped = [drop.row for _, drop in curation.drops]
    assert sorted([*dropped, *curation.dataset["pool_row"]]) == list(range(300))
    assert [stage.name for stage in curation.stages] == STAGES and len(curation.dataset) == 30


def test_rows_are_those_of_the_pool_with_their_domain():
    rows = random_pool(300)
    for one in curate(rows, RECIPE).dataset:
        assert one["question"] == rows[one["pool_row"]]["question"] and one["domain"] == one["cot_type"]


def test_drops_are_explained_by_the_pools_row_numbers():
    rows = [row(question=f"{n}?") for n in range(6)]
    rows[1]["attempt"], rows[2]["question"] = "", "![Image]"
    rows[4]["question"], rows[5]["question"] = "Find x.", "find X."
    curation = curate(Dataset.from_list(rows), Recipe(diversity=Diversity("full")))
    (twice,) = [drop for _, drop in curation.drops if drop.rule == "duplicate"]
    assert {twice.row, twice.of} == {4, 5}
    assert [(s, d.row, d.rule) for s, d in curation.drops if d is not twice] == [
        ("quality", 1, "empty"),
        ("quality", 2, "image"),
    ]


def test_a_failed_row_does_not_stand_in_for_a_good_one_of_the_same_question():
    rows = [row(attempt=str(n), error=None if n == 7 else "429") for n in range(9)]
    assert curate(Dataset.from_list(rows), Recipe(diversity=Diversity("full"))).dataset["attempt"][:] == ["7"]


def test_two_processes_select_the_same():
    rows = random_pool(300)
    assert curate(rows, RECIPE, num_proc=2).drops == curate(rows, RECIPE).drops


def test_another_process_with_another_hash_seed_selects_the_same():
    code = (
        f"import sys; sys.path[:0] = {sys.path!r}\n"
        "from datasets import disable_progress_bars; disable_progress_bars()\n"
        "from test_curate_pipeline import RECIPE, curate, random_pool\n"
        "print(curate(random_pool(300), RECIPE).dataset['pool_row'][:])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, env={"PYTHONHASHSEED": "5"}
    )
    assert json.loads(done.stdout) == curate(random_pool(300), RECIPE).dataset["pool_row"][:]


def test_the_selection_is_that_of_every_machine():
    """Pinned, so that a change of any draw, hash or order shows."""
    assert curate(random_pool(40), Recipe(seed=1, diversity=Diversity(n=6))).dataset["pool_row"][:] == PINNED


PINNED = [0, 5, 8, 10, 18, 34]


def test_ablations_go_without_the_difficulty_stage():
    for method in ("random", "diverse", "longest", "full"):
        names = [stage.name for stage in curate(random_pool(60), Recipe(diversity=Diversity(method, 20))).stages]
        assert names == [name for name in STAGES if name != "difficulty"]


def test_the_funnel_stands_beside_the_papers():
    report = curate(random_pool(300), RECIPE).report
    steps = [(step["stage"], step["rows"], step["paper"]) for step in report["funnel"]]
    assert steps[:4] == [
        ("input", 300, 59_029),
        ("decontaminate", 300, None),
        ("quality: no errors", 285, 54_116),
        ("quality", 270, 51_581),
    ]
    assert [(name, paper) for name, _, paper in steps[5:]] == [("difficulty", 24_496), ("diversity", 1_000)]
    assert report["stages"][1]["dropped"]["error"]["rows"] == 15
    assert report["stages"][1]["dropped"]["error"]["examples"][0]["row"] == 13


def test_the_report_counts_sources_domains_and_lengths():
    curation = curate(random_pool(300), RECIPE)
    report, selected = curation.report, curation.dataset
    assert sum(source["input"] for source in report["sources"].values()) == 300
    assert sum(domain["selected"] for domain in report["domains"].values()) == 30
    assert report["thinking_tokens"]["selected"]["total"] == sum(selected["thinking_tokens"])
    assert sum(part["rows"] for part in report["thinking_tokens"]["selected"]["histogram"]) == 30
    json.dumps(report)


def test_licences_are_the_rows_own_or_their_sources():
    rows = pool({"source_type": "a/AIME", "question": "1?"}, {"source_type": "b", "question": "2?"})
    recipe = Recipe(diversity=Diversity("full"), licenses={"AIME": "mit"})
    assert curate(rows, recipe).report["licenses"] == {"mit": 1, "unknown": 1}
    rows = rows.add_column("license", [None, "cc0-1.0"])
    assert curate(rows, recipe).report["licenses"] == {"mit": 1, "cc0-1.0": 1}


def test_a_curation_can_be_curated_again():
    once = curate(random_pool(300), RECIPE).dataset
    again = curate(once, Recipe(domains=Domains(column="domain"), diversity=Diversity(n=10))).dataset
    assert len(again) == 10 and max(again["pool_row"]) < 30


def test_columns_are_found_under_other_names():
    rows = Dataset.from_list(
        [{"q": "1?", "gemini_thinking_trajectory": "Hm.", "gemini_attempt": "1", "question_id": 7}]
    )
    columns = Columns(question="q", thinking_trajectories="gemini_thinking_trajectory", attempt="gemini_attempt")
    selected = curate(rows, Recipe(columns=columns, diversity=Diversity("full"))).dataset
    assert selected[0] == {
        "question": "1?",
        "thinking_trajectories": ["Hm."],
        "attempt": "1",
        "question_id": 7,
        "pool_row": 0,
    }


@pytest.mark.parametrize(
    ("columns", "said"),
    [
        ({"question": "prompt"}, "`columns.question` is 'prompt', which the pool does not have"),
        ({"question": "attempt"}, "`columns.question` is 'attempt', but the pool also has a column 'question'"),
        ({"ended": "end"}, "`columns.ended` is 'end', which the pool does not have"),
    ],
)
def test_columns_that_are_not_there_are_refused(columns, said):
    with pytest.raises(ValueError, match=said):
        as_pool(pool({}), Columns(**columns))


@pytest.mark.parametrize(
    ("columns", "said"),
    [
        ({"question": 1.5}, "'question' has to hold texts, but holds .*float64"),
        ({"thinking_trajectories": [1]}, "'thinking_trajectories' has to hold texts, but holds List.*int64"),
        ({"thinking_tokens": 1.5}, "'thinking_tokens' has to hold whole numbers, but holds .*float64"),
        ({"source_type": ["a"]}, "'source_type' has to hold texts"),
    ],
)
def test_columns_of_wrong_types_are_refused(columns, said):
    with pytest.raises(ValueError, match=said):
        as_pool(pool(columns))


def test_answers_that_were_read_as_numbers_become_texts():
    assert as_pool(pool({"attempt": 2, "source_type": 7}))[0]["attempt"] == "2"


def test_blank_cells_of_a_csv_file_that_were_read_as_floats_become_nulls():
    rows = pool({"error": None, "thinking_tokens": None}, {"error": None, "thinking_tokens": 2.0})
    rows = as_pool(rows.cast_column("error", Value("float64")))
    assert rows.to_dict()["error"] == [None, None] and rows.to_dict()["thinking_tokens"] == [None, 2]


@pytest.mark.parametrize("column", ["error", "thinking_tokens"])
def test_floats_that_are_not_numbers_are_no_blank_cells(column):
    with pytest.raises(ValueError, match=f"'{column}' has to hold"):
        as_pool(pool({column: float("nan")}))


def test_all_missing_columns_are_told_at_once_before_any_work():
    recipe = Recipe(diversity=Diversity(trusted=(Trusted("AIME"),)), difficulty=Difficulty(("solved_7b",)))
    with pytest.raises(ValueError) as caught:
        curate(pool({}), recipe, on_stage=lambda stage: pytest.fail("worked"))
    for name in ("thinking_tokens", "source_type", "correct", "solved_7b", "cot_type"):
        assert f"lacks the column '{name}'" in str(caught.value)


def test_an_empty_pool_is_refused():
    with pytest.raises(ValueError, match="The pool has no rows"):
        curate(pool({}).select([]), Recipe(diversity=Diversity("full")))


def test_a_pool_of_which_nothing_is_left_is_refused():
    with pytest.raises(ValueError, match="No rows are left"):
        curate(pool({"attempt": ""}), Recipe(diversity=Diversity("full")))


def test_solved_by_any_is_dropped_and_null_is_counted():
    rows = pool(
        *({"solved_a": a, "solved_b": b} for a, b in [(False, False), (False, True), (True, True), (None, False)])
    )
    stage = keep_difficult(rows)
    assert stage.rows == (0, 3) and stage.drops[1].detail == "solved_a and solved_b"
    assert "solved_a is null in 1 rows, counted as not solved" in stage.notes


def test_only_the_given_graders_count():
    rows = pool({"solved_a": True, "solved_b": False})
    assert keep_difficult(rows, Difficulty(("solved_b",))).rows == (0,)
    assert keep_difficult(rows, Difficulty(())).rows == (0,)


@pytest.mark.parametrize("values", [(0, 1), ("true", "false"), ([True], [False])])
def test_verdicts_of_another_type_are_refused(values):
    with pytest.raises(ValueError, match="'solved_a' has to hold booleans"):
        keep_difficult(pool(*({"solved_a": value} for value in values)))


def test_a_tokenizer_measures_traces_anew():
    rows = pool({"thinking_trajectories": ["1 < 2", "Not yet."], "thinking_tokens": 99})
    tokenizer = embedded.load()[1]
    measured = with_thinking_tokens(rows, str(embedded.MODEL_PATH))["thinking_tokens"][:]
    assert measured == [len(tokenizer.encode("1 < 2\nNot yet.", add_special_tokens=False))] != [99]


def test_a_tokenizer_measures_for_the_shortest_trace_too():
    rows = pool({"question": "1?"}, {"question": "2?", "thinking_trajectories": ["1 < 2\n" * 9]})
    recipe = Recipe(
        tokenizer=str(embedded.MODEL_PATH), quality=Quality(min_thinking_tokens=20), diversity=Diversity("full")
    )
    assert curate(rows, recipe).dataset["pool_row"][:] == [1]


def test_a_tokenizer_that_is_nowhere_is_named():
    with pytest.raises(ValueError, match="`tokenizer` has to be a folder or a name on the Hub, but is './nowhere'"):
        with_thinking_tokens(pool({}), "./nowhere")


def test_a_tokenizer_that_is_nowhere_is_told_before_any_work():
    recipe = Recipe(tokenizer="./nowhere", diversity=Diversity("full"))
    with pytest.raises(ValueError, match="`tokenizer` has to be"):
        curate(pool({}), recipe, on_stage=lambda stage: pytest.fail("worked"))


def test_clusters_stand_in_for_a_column():
    recipe = Recipe(domains=Domains(by="clusters", clusters=4), diversity=Diversity(n=20))
    report = curate(random_pool(100).remove_columns("cot_type"), recipe).report
    assert len(report["domains"]) == 4 and any("4 clusters" in note for note in report["stages"][-1]["notes"])


def test_where_too_few_rows_are_left_the_stages_say_why():
    rows = pool(*({"question": f"{n}? ![Image]"} for n in range(3)), {"question": "a?"}, {"question": "a?"})
    with pytest.raises(ValueError) as error:
        curate(rows, Recipe(diversity=Diversity("random", n=2)))
    assert "`n` has to be at most 1" in str(error.value)
    assert "quality left 2 (dropped: image 3); deduplicate left 1 (dropped: duplicate 1)." in str(error.value)
