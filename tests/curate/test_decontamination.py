"""Questions that share eight words with a test question go; others stay."""

import json

import pytest

pytest.importorskip("datasets")

from curation_pools import pool

from s1_hf.curate import Decontamination, TestSet, decontaminate

TEST = "Let ABC be a triangle inscribed in a circle of radius 5."


@pytest.fixture
def against(tmp_path):
    def make(*questions, name="test", column="question"):
        file = tmp_path / f"{name}.jsonl"
        file.write_text("".join(json.dumps({column: question}) + "\n" for question in questions))
        return TestSet(name, str(file), column)

    return make


def dropped(question, *tests, size=8, share=None, compare="paper"):
    options = Decontamination(tests, size, share, compare)
    return [drop.detail for drop in decontaminate(pool({"question": question}), options).drops]


def test_eight_consecutive_shared_words_are_found_and_reported(against):
    details = dropped("Now let abc be  a\ntriangle INSCRIBED in a square.", against("Something.", TEST))
    assert details == ["'let abc be a triangle inscribed in a' is in test, question 1 (share 0.20)"]


def test_seven_shared_words_are_not(against):
    assert not dropped("Let ABC be a triangle inscribed in one.", against(TEST))


def test_punctuation_belongs_to_the_word(against):
    assert not dropped("Let ABC, be a triangle inscribed in a circle.", against(TEST))


def test_a_short_test_question_is_found_where_it_is_the_whole_question(against):
    test = against("Find 2 + 2.")
    assert dropped("find 2 + 2.", test) and not dropped("Now find 2 + 2. And then something else, too, please.", test)


def test_the_size_is_an_option(against):
    assert dropped("a triangle inscribed", against(TEST), size=3) and not dropped("a triangle", against(TEST), size=3)


def test_the_test_set_is_named(against):
    one, two = against("Something else.", name="AIME24"), against(TEST, name="MATH500", column="problem")
    assert dropped(TEST, one, two)[0].endswith("is in MATH500, question 0 (share 1.00)")


def test_a_stock_phrase_passes_if_a_share_is_required(against):
    """TEST has 12 words, 5 n-grams; the phrase is one of them."""
    phrase = "Now let ABC be a triangle inscribed in a square."
    assert dropped(phrase, against(TEST), share=0.2) and not dropped(phrase, against(TEST), share=0.21)
    assert dropped(f"Hint: {TEST}", against(TEST), share=1.0)


def test_the_test_question_with_the_largest_share_is_reported(against):
    long = f"Let ABC be a triangle inscribed in a {'very ' * 30} large circle."
    assert "question 1 (share 1.00)" in dropped(TEST, against(long, TEST))[0]


def test_processes_do_not_matter(against):
    rows = pool(*({"question": TEST if n % 3 == 1 else f"{n}?"} for n in range(9)))
    options = Decontamination((against(TEST),))
    assert decontaminate(rows, options, num_proc=2) == decontaminate(rows, options)
    assert decontaminate(rows, options).rows == (0, 2, 3, 5, 6, 8)


def test_without_test_sets_nothing_is_dropped_and_a_note_says_so():
    stage = decontaminate(pool({}), Decontamination())
    assert stage.rows == (0,) and stage.notes == ("no test sets were given",)


def test_a_wrong_column_is_refused_with_the_existing_ones(against):
    test = against(TEST)
    with pytest.raises(ValueError, match="has no column 'problem'; it has question"):
        TestSet("test", test.path, "problem").questions()


def test_a_missing_test_set_is_named_with_the_remedy(monkeypatch):
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    with pytest.raises(ConnectionError, match="AIME24 could not be loaded.*`path` of a local copy"):
        TestSet("AIME24", "./nowhere/aime24.jsonl").questions()


def test_two_test_sets_of_one_name_are_refused(against):
    with pytest.raises(ValueError, match="names in `against` have to differ, but are test, test"):
        Decontamination((against(TEST), against(TEST)))


# Normalized

SHORT = r"Compute $\sin 60^\circ$."


@pytest.mark.parametrize(
    ("test", "question"),
    [
        (TEST, "Let ABC, be: a triangle -- inscribed in a CIRCLE of radius $5$!"),
        (TEST, f"Problem 3. {TEST} Please reason step by step."),
        (SHORT, "compute sin 60 degrees"),
        (SHORT, r"Question: Compute \(\sin 60^{\circ}\) Please put your final answer within \\boxed{}"),
        (SHORT, "12. Compute sin 60°. (A) 1 (B) 2"),
        (SHORT, "Please compute sin 60 degrees"),
        ("Find the two primes, the sum is 8.", "y find the two primes the sum is 8 y"),  # as long as an n-gram
        ("x?", "X"),
        ("求 2+3 的和", "请计算：求2+3的和。请逐步推理。"),
    ],
)
def test_a_test_question_is_found_however_it_is_spelt(against, test, question):
    assert dropped(question, against(test), compare="normalized")


@pytest.mark.parametrize(
    ("test", "question"),
    [
        (TEST, TEST.replace("5", "6")),
        (TEST, "Let ABC be a triangle inscribed in a square of side 5."),
        (SHORT, "Compute sin 60 degrees cos 30 degrees."),
        (SHORT, "Let y be such that we compute sin 60 degrees y times"),
        (SHORT, "Compute cos 60°."),
        ("x?", "x y"),
        ("[asy] draw(); [/asy]", ""),
    ],
)
def test_another_question_stays(against, test, question):
    assert not dropped(question, against(test), compare="normalized")


def test_numbers_that_come_twice_have_to_come_twice(against):
    test = "There are 3 red and 3 blue and 3 white balls in the bag of Anna."
    assert not dropped(test.replace("3 white", "some white"), against(test), compare="normalized", share=0.1)
    assert dropped(test.replace("white", "green"), against(test), compare="normalized", share=0.1)


def test_the_detail_names_a_short_question_which_the_papers_way_misses(against):
    detail = "'compute sin 60 degree' is test, question 0"
    assert dropped("Compute sin 60°", against(SHORT), compare="normalized") == [detail]
    assert not dropped("Compute sin 60°", against(SHORT))


def test_each_way_says_what_the_other_would_drop(against):
    stock = "Now let ABC be a triangle inscribed in a square."
    rows = pool({"question": stock}, {"question": TEST}, *[{"question": "Compute sin 60°"}] * 7)
    test = against(TEST, SHORT)
    paper, normalized = (
        decontaminate(rows, Decontamination((test,), compare=way)).notes[-1] for way in ("paper", "normalized")
    )
    assert paper == ("2 dropped; `compare: normalized` would drop 8, 7 that stay here (rows 2, 3, 4, 5, 6 and more)")
    assert normalized == "8 dropped; `compare: paper` would drop 2, 1 that stay here (rows 0)"


def test_another_way_of_comparing_is_refused():
    with pytest.raises(ValueError, match="`compare` has to be one of paper, normalized, but is 'exact'"):
        Decontamination(compare="exact")
