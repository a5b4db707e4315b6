"""All stages together: what stays, why the others went, and that only input and seed decide it."""

import json
import subprocess
import sys

import pytest

pytest.importorskip("datasets")

from curation_pools import RECIPE, STAGES, pool, random_pool, row
from datasets import Dataset

from s1_hf import embedded
from s1_hf.curate import (
    Columns,
    Difficulty,
    Diversity,
    Domains,
    Quality,
    Recipe,
    Trusted,
    curate,
)


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


def test_a_failed_row_does_not_replace_a_good_one_with_the_same_question():
    rows = [row(attempt=str(n), error=None if n == 7 else "429") for n in range(9)]
    assert curate(Dataset.from_list(rows), Recipe(diversity=Diversity("full"))).dataset["attempt"][:] == ["7"]


def test_two_processes_select_the_same():
    rows = random_pool(300)
    assert curate(rows, RECIPE, num_proc=2).drops == curate(rows, RECIPE).drops


def test_another_process_with_another_hash_seed_selects_the_same():
    code = (
        f"import sys; sys.path[:0] = {sys.path!r}\n"
        "from datasets import disable_progress_bars; disable_progress_bars()\n"
        "from curation_pools import RECIPE, random_pool\n"
        "from s1_hf.curate import curate\n"
        "print(curate(random_pool(300), RECIPE).dataset['pool_row'][:])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, env={"PYTHONHASHSEED": "5"}
    )
    assert json.loads(done.stdout) == curate(random_pool(300), RECIPE).dataset["pool_row"][:]


PINNED = [0, 5, 8, 10, 18, 34]


def test_the_selection_is_the_same_on_every_machine():
    """Pinned, to reveal a change in any draw, hash or order."""
    assert curate(random_pool(40), Recipe(seed=1, diversity=Diversity(n=6))).dataset["pool_row"][:] == PINNED


def test_ablations_skip_the_difficulty_stage():
    for method in ("random", "diverse", "longest", "full"):
        names = [stage.name for stage in curate(random_pool(60), Recipe(diversity=Diversity(method, 20))).stages]
        assert names == [name for name in STAGES if name != "difficulty"]


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


def test_all_missing_columns_are_reported_at_once_before_any_work():
    recipe = Recipe(diversity=Diversity(trusted=(Trusted("AIME"),)), difficulty=Difficulty(("solved_7b",)))
    with pytest.raises(ValueError) as caught:
        curate(pool({}), recipe, on_stage=lambda stage: pytest.fail("worked"))
    for name in ("thinking_tokens", "source_type", "correct", "solved_7b", "cot_type"):
        assert f"lacks the column '{name}'" in str(caught.value)


def test_an_empty_pool_is_refused():
    with pytest.raises(ValueError, match="The pool has no rows"):
        curate(pool({}).select([]), Recipe(diversity=Diversity("full")))


def test_a_pool_with_no_rows_left_is_refused():
    with pytest.raises(ValueError, match="No rows are left"):
        curate(pool({"attempt": ""}), Recipe(diversity=Diversity("full")))


def test_a_tokenizer_measures_for_the_shortest_trace_too():
    rows = pool({"question": "1?"}, {"question": "2?", "thinking_trajectories": ["1 < 2\n" * 9]})
    recipe = Recipe(
        tokenizer=str(embedded.MODEL_PATH), quality=Quality(min_thinking_tokens=20), diversity=Diversity("full")
    )
    assert curate(rows, recipe).dataset["pool_row"][:] == [1]


def test_a_missing_tokenizer_is_reported_before_any_work():
    recipe = Recipe(tokenizer="./nowhere", diversity=Diversity("full"))
    with pytest.raises(ValueError, match="`tokenizer` has to be"):
        curate(pool({}), recipe, on_stage=lambda stage: pytest.fail("worked"))


def test_clusters_replace_a_column():
    recipe = Recipe(domains=Domains(by="clusters", clusters=4), diversity=Diversity(n=20))
    report = curate(random_pool(100).remove_columns("cot_type"), recipe).report
    assert len(report["domains"]) == 4 and any("4 clusters" in note for note in report["stages"][-1]["notes"])


def test_if_too_few_rows_are_left_the_stages_say_why():
    rows = pool(*({"question": f"{n}? ![Image]"} for n in range(3)), {"question": "a?"}, {"question": "a?"})
    with pytest.raises(ValueError) as error:
        curate(rows, Recipe(diversity=Diversity("random", n=2)))
    assert "`n` has to be at most 1" in str(error.value)
    assert "quality left 2 (dropped: image 3); deduplicate left 1 (dropped: duplicate 1)." in str(error.value)


# Pools with names of their own

REPLY = "<think>\nHm.\n</think>\n\nIt is 2."


def test_replies_that_hold_thinking_and_answer_are_taken_apart_where_asked_and_offered_where_seen():
    rows = Dataset.from_list([{"question": f"{n}?", "generation": REPLY} for n in range(4)])
    chosen = Recipe(columns=Columns(reply="generation"), diversity=Diversity("full"))
    assert curate(rows, chosen).dataset[3] == {
        "question": "3?", "thinking_trajectories": ["Hm."], "attempt": "It is 2.", "error": None, "pool_row": 3,
    }  # fmt: skip
    both = Columns(thinking_trajectories="generation", attempt="generation")
    offer = "4 of 4 rows with a delimiter hold thinking and answer in one text, 'generation': `columns: {reply: gener"
    with pytest.raises(ValueError, match=f"delimiter 4.*\n{offer}"):
        curate(rows, Recipe(columns=both, diversity=Diversity("random", 2)))
    more = Dataset.from_list([*rows, {"question": "5?", "generation": "2"}])
    assert offer.split(":")[0] in str(curate(more, Recipe(columns=both, diversity=Diversity("full"))).report["stages"])


def test_one_column_may_be_named_twice_in_a_recipe():
    """As the source of a row and as its domain, and as a boolean of two kinds."""
    rows = random_pool(60).rename_columns({"cot_type": "topic", "correct": "right"}).remove_columns("source_type")
    recipe = Recipe(
        columns=Columns(source_type="topic", correct="right"),
        domains=Domains(column="topic"),
        diversity=Diversity(n=5, trusted=(Trusted("algebra", "right", min_thinking_tokens=39),)),
    )
    curation = curate(rows, recipe)
    assert curation.dataset["domain"][:] == curation.dataset["source_type"][:] == curation.dataset["topic"][:]


def test_errors_have_the_pools_own_names():
    rows = random_pool(60).rename_columns({"question": "problem", "thinking_tokens": "length"})
    recipe = Recipe(columns=Columns(question="problem", thinking_tokens="length"), diversity=Diversity("longest", 5))
    lacking = Recipe(columns=recipe.columns, domains=Domains(column="topic"))
    with pytest.raises(ValueError, match="lacks the column 'topic'.*\nThe pool has problem, .*, length, "):
        curate(rows, lacking)
    unknown = rows.remove_columns("length").add_column("length", [None, *range(1, 60)])
    with pytest.raises(ValueError, match="`length` is null in 1 of the rows left"):
        curate(unknown, recipe)
